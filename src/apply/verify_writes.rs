//! Reads again what the run wrote to IAM, and waits until IAM shows it, because IAM is eventually consistent
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>).
//!
//! A write that IAM acknowledged counts as done, so a difference or a failed read only adds a note to the report.
//! Kubernetes answers a write with the stored object, so irsa does not read it again.

mod expected;

use super::report::Report;
use crate::ids::Key;
use crate::model::call::Target;
use crate::plan::Plan;
use crate::world::{Answer, ReadAws, RoleDetail};
use expected::{Expected, Object};
use futures::future::{join, join_all};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The number of roles on one page of ListRoles and GetAccountAuthorizationDetails.
const ROLES_PER_PAGE: usize = 1000;
/// When the missing objects are read again, as fractions of the time limit.
const READ_AGAIN_AT: [f64; 3] = [0.1, 0.3, 0.7];
/// The first read may last this many times the time limit, because a large account has many pages.
const FIRST_READ_LIMITS: u32 = 3;
/// If this many calls or fewer are needed, irsa always reads the roles one by one.
const ALWAYS_ONE_BY_ONE: usize = 15;

/// The objects that do not show yet what was written to them, with the note for the report.
type Missing<'p> = BTreeMap<Object<'p>, String>;

/// Reads what the run wrote, and again for up to `time` while something is missing. Adds notes to the report.
pub(super) async fn verify_writes<A: ReadAws>(plan: &Plan, report: &mut Report, aws: &A, time: Duration) {
    let expected = expected::of(plan, report);
    if expected.is_empty() {
        return;
    }
    let first = timeout_at(Instant::now() + time * FIRST_READ_LIMITS, read_all(&expected, aws)).await;
    let mut missing = first.unwrap_or_else(|_| {
        expected
            .keys()
            .map(|object| (*object, "it was written, but irsa could not read it again: no answer came in time".into()))
            .collect()
    });
    let start = Instant::now();
    for fraction in READ_AGAIN_AT {
        if missing.is_empty() {
            return;
        }
        sleep_until(start + time.mul_f64(fraction)).await;
        let again = expected.iter().filter(|(object, _)| missing.contains_key(object));
        match timeout_at(start + time, each_on_its_own(again, aws)).await {
            Ok(now) => missing = now,
            Err(_) => break,
        }
    }
    for (object, note) in missing {
        for index in &expected[&object].writers {
            if let Some(step) = report.outcomes.get_mut(*index) {
                step.note.get_or_insert_with(|| note.clone());
            }
        }
    }
}

/// Reads every object. Reads the roles of each account from lists or one by one, whichever takes fewer calls.
async fn read_all<'p, A: ReadAws>(expected: &BTreeMap<Object<'p>, Expected<'p>>, aws: &A) -> Missing<'p> {
    let accounts: BTreeSet<&'p Key> = expected.keys().map(|(account, _)| *account).collect();
    let reads = accounts.into_iter().map(|account| async move {
        let of_account = expected.iter().filter(|((key, _), _)| *key == account);
        let (roles, others): (Vec<_>, Vec<_>) =
            of_account.partition(|((_, target), _)| matches!(target, Target::Role(_)));
        let Some(mut missing) = in_bulk(account, &roles, aws).await else {
            return each_on_its_own(roles.into_iter().chain(others), aws).await;
        };
        missing.extend(each_on_its_own(others, aws).await);
        missing
    });
    join_all(reads).await.into_iter().flatten().collect()
}

/// Reads the roles from the lists of all roles. None if that takes more calls than one by one, or fails.
async fn in_bulk<'p, A: ReadAws>(
    account: &Key,
    roles: &[(&Object<'p>, &Expected<'p>)],
    aws: &A,
) -> Option<Missing<'p>> {
    let calls: usize = roles.iter().map(|(_, expected)| expected.calls()).sum();
    if calls <= ALWAYS_ONE_BY_ONE {
        return None;
    }
    let pages = aws.summary(account).await.ok()?.roles?.div_ceil(ROLES_PER_PAGE).max(1);
    if 2 * pages >= calls {
        return None;
    }
    let (summaries, details) = join(aws.roles(account), all_details(account, aws)).await;
    let (summaries, mut details) = (summaries.ok()?, details.ok()?);
    let mut live = BTreeMap::new();
    for summary in &summaries.items {
        let name = summary.name.lower_case();
        if let Some(detail) = details.remove(&name) {
            live.insert(name, detail.joined(summary).ok()?.role);
        }
    }
    let missing = roles.iter().filter_map(|(object, expected)| {
        let Target::Role(name) = object.1 else { return None };
        Some((**object, expected.missing_in(live.get(&name.lower_case()))?))
    });
    Some(missing.collect())
}

async fn all_details<A: ReadAws>(account: &Key, aws: &A) -> Answer<BTreeMap<String, RoleDetail>> {
    let (mut all, mut next) = (BTreeMap::new(), None::<String>);
    loop {
        let page = aws.bulk_page(account, next.as_deref()).await?;
        all.extend(page.roles.into_iter().map(|role| (role.name.lower_case(), role)));
        next = page.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}

async fn each_on_its_own<'e, 'p: 'e, A: ReadAws>(
    objects: impl IntoIterator<Item = (&'e Object<'p>, &'e Expected<'p>)>,
    aws: &A,
) -> Missing<'p> {
    let reads =
        objects.into_iter().map(|(object, expected)| async move { Some((*object, expected.read(object, aws).await?)) });
    join_all(reads).await.into_iter().flatten().collect()
}
