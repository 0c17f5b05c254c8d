//! The last look at what was written to IAM, whose answers may be some seconds old
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>): each field once more, in as few calls as can
//! be, and what is not seen yet again a few times.
//!
//! A write that was acknowledged stays done whatever is seen here: a difference is a note in the report, and so is a
//! look that failed. Kubernetes is not looked at: its answer to a write is the object as it is stored.

mod wanted;

use super::report::Report;
use crate::ids::Key;
use crate::plan::Plan;
use crate::world::{Answer, ReadAws, RoleDetail};
use futures::future::{join, join_all};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};
use wanted::{Object, Wanted};

/// The roles on a page of the lists that have all.
const PAGE: usize = 1000;
/// When it is looked again, in parts of the time there is.
const AGAIN: [f64; 3] = [0.1, 0.3, 0.7];
/// For so many times that long the first look may last: in a large account it reads page after page.
const PATIENCE: u32 = 3;
/// Up to so many calls are made without a thought: IAM takes them at once.
const FEW: usize = 15;

/// What is not known of an object after a look.
type Doubts<'p> = BTreeMap<(&'p Key, Object), String>;

/// ReadOptions at what the run wrote, and notes in the report what does not show. What is not seen at first is looked for
/// for as long as `time`.
pub(super) async fn verify_writes<A: ReadAws>(plan: &Plan, report: &mut Report, aws: &A, time: Duration) {
    let wanted = wanted::of(plan, report);
    if wanted.is_empty() {
        return;
    }
    let late =
        || wanted.keys().map(|place| (place.clone(), "no answer came in time when it was read once more".into()));
    let first = timeout_at(Instant::now() + time * PATIENCE, look(&wanted, aws)).await;
    let mut doubts: Doubts<'_> = first.unwrap_or_else(|_| late().collect());
    let began = Instant::now();
    for part in AGAIN {
        if doubts.is_empty() {
            return;
        }
        sleep_until(began + time.mul_f64(part)).await;
        let left = wanted.iter().filter(|(place, _)| doubts.contains_key(place));
        match timeout_at(began + time, one_by_one(left, aws)).await {
            Ok(now) => doubts = now,
            Err(_) => break,
        }
    }
    for (place, why) in doubts {
        for position in wanted.get(&place).into_iter().flat_map(|fields| &fields.writers) {
            if let Some(step) = report.outcomes.get_mut(*position) {
                step.note.get_or_insert_with(|| why.clone());
            }
        }
    }
}

/// The first look: the roles of each account by whichever way takes fewer calls.
async fn look<'p, A: ReadAws>(wanted: &Wanted<'p>, aws: &A) -> Doubts<'p> {
    let accounts: BTreeSet<&'p Key> = wanted.keys().map(|(account, _)| *account).collect();
    let looked = accounts.into_iter().map(|account| async move {
        let of_it = || wanted.iter().filter(move |((at, _), _)| *at == account);
        let roles = || of_it().filter(|((_, object), _)| matches!(object, Object::Role(_)));
        let Some(mut doubts) = in_bulk(account, roles(), aws).await else { return one_by_one(of_it(), aws).await };
        let others = of_it().filter(|((_, object), _)| !matches!(object, Object::Role(_)));
        doubts.extend(one_by_one(others, aws).await);
        doubts
    });
    join_all(looked).await.into_iter().flatten().collect()
}

/// The roles by the lists that have all; nothing where that takes more calls, or fails.
async fn in_bulk<'w, 'p: 'w, A: ReadAws>(
    account: &'p Key,
    wanted: impl Iterator<Item = (&'w (&'p Key, Object), &'w wanted::Fields<'p>)> + Clone,
    aws: &A,
) -> Option<Doubts<'p>> {
    let calls: usize = wanted.clone().map(|(_, fields)| fields.calls()).sum();
    if calls <= FEW {
        return None;
    }
    let pages = aws.summary(account).await.ok()?.roles?.div_ceil(PAGE).max(1);
    if 2 * pages >= calls {
        return None;
    }
    let (role_list, details) = join(aws.roles(account), all_pages(account, aws)).await;
    let (role_list, mut details) = (role_list.ok()?, details.ok()?);
    let mut seen = BTreeMap::new();
    for summary in &role_list.items {
        if let Some(detail) = details.remove(&summary.name.case_insensitive()) {
            seen.insert(Object::Role(summary.name.case_insensitive()), detail.joined(summary).ok()?.role);
        }
    }
    let doubts = wanted.filter_map(|(place, fields)| Some((place.clone(), fields.missing(seen.get(&place.1))?)));
    Some(doubts.collect())
}

async fn all_pages<A: ReadAws>(account: &Key, aws: &A) -> Answer<BTreeMap<String, RoleDetail>> {
    let (mut all, mut next) = (BTreeMap::new(), None::<String>);
    loop {
        let page = aws.bulk_page(account, next.as_deref()).await?;
        all.extend(page.roles.into_iter().map(|role| (role.name.case_insensitive(), role)));
        next = page.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}

/// Every object by itself.
async fn one_by_one<'w, 'p: 'w, A: ReadAws>(
    wanted: impl Iterator<Item = (&'w (&'p Key, Object), &'w wanted::Fields<'p>)>,
    aws: &A,
) -> Doubts<'p> {
    let looked = wanted.map(|(place, fields)| async move { Some((place.clone(), fields.look(place, aws).await?)) });
    join_all(looked).await.into_iter().flatten().collect()
}
