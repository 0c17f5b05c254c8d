//! Whether the roles of an account come in bulk or one by one, and the pages of those that come in bulk.
//!
//! What a page takes cannot be told beforehand: some tenths of a second or ten. So the first one is asked for beside the
//! list of roles, and timed; the rest is read whichever way is sooner there, at the pace that IAM bears. What the pages
//! so far had is kept either way, and which way was taken never shows in the result.

use super::early::{self, FEW, Page};
use super::reader::AccountReader;
use super::role_list::RoleList;
use crate::world::{AccountSummary, Answer, BulkPage, ReadAws, RoleDetail};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The roles on a page of GetAccountAuthorizationDetails
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html>).
const PAGE: usize = 1000;
/// What a page is taken to last where none was timed.
const UNTIMED: Duration = Duration::from_secs(1);

/// What was read in bulk, and why not more.
#[derive(Debug)]
pub(super) struct Bulk {
    /// By folded name.
    details: BTreeMap<String, RoleDetail>,
    pages: usize,
    spent: Duration,
    way: Way,
}

/// Which way was taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// So few that nothing was compared.
    Few,
    /// In bulk; one by one it would have taken so long.
    Bulk(Duration),
    /// One by one, which takes so long: so many more pages would take longer.
    Pages(Duration, usize),
    /// One by one, which takes so long: a page was not there by then.
    Slow(Duration),
    /// One by one, since this went wrong with the bulk.
    Failed(String),
    /// One by one, since what else is wanted cannot be known.
    Unlisted,
}

impl Bulk {
    fn new() -> Self {
        Self { details: BTreeMap::new(), pages: 0, spent: Duration::ZERO, way: Way::Few }
    }

    /// The role, if a page had it.
    pub(super) fn take(&mut self, folded: &str) -> Option<RoleDetail> {
        self.details.remove(folded)
    }

    /// Whether a page had the role.
    pub(super) fn has(&self, folded: &str) -> bool {
        self.details.contains_key(folded)
    }

    /// What is said of it, for so many roles.
    pub(super) fn words(&self, roles: usize) -> String {
        let what = if roles == 1 { "1 role" } else { &format!("{roles} roles") };
        format!("{what} {self}")
    }

    fn by(self, way: Way) -> Self {
        Self { way, ..self }
    }

    fn add(&mut self, page: BulkPage, took: Duration) {
        self.pages += 1;
        self.spent += took;
        self.details.extend(page.roles.into_iter().map(|role| (role.name.case_insensitive(), role)));
    }

    /// How many pages are left of so many roles; there is one at least.
    fn pages_left(&self, total: usize) -> usize {
        // a page may have less than was asked for
        let each = (self.details.len() / self.pages.max(1)).max(1);
        total.saturating_sub(self.details.len()).div_ceil(each).max(1)
    }

    fn page_time(&self) -> Duration {
        self.spent / u32::try_from(self.pages.max(1)).unwrap_or(u32::MAX)
    }

    fn time_left(&self, total: usize) -> Duration {
        self.page_time().saturating_mul(u32::try_from(self.pages_left(total)).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: &Duration| format!("{:.1} s", time.as_secs_f64());
        let so_far = |f: &mut fmt::Formatter<'_>| {
            let each = if self.pages == 1 { "" } else { "s, each" };
            write!(f, "{} page{each} of {}", self.pages, seconds(&self.page_time()))
        };
        match &self.way {
            Way::Few => write!(f, "one by one: so few need no wait"),
            Way::Bulk(single) => {
                write!(f, "in bulk: ")?;
                so_far(f)?;
                write!(f, ", one by one {}", seconds(single))
            }
            Way::Pages(single, left) => {
                write!(f, "one by one in {}: in bulk ", seconds(single))?;
                if self.pages > 0 {
                    so_far(f)?;
                    write!(f, ", ")?;
                }
                write!(f, "{left} more")
            }
            Way::Slow(single) => write!(f, "one by one in {}: a page in bulk takes longer", seconds(single)),
            Way::Failed(why) => write!(f, "one by one: {why}"),
            Way::Unlisted => write!(f, "one by one: the account's roles could not be listed"),
        }
    }
}

/// Reads in bulk as far as that is the better way. `first` is the first page, if it was asked for already; `search` and
/// `summary` may come later than it.
pub(super) async fn read<'a, A: ReadAws>(
    reader: &AccountReader<'a, A>,
    first: Option<Page<'a>>,
    search: impl Future<Output = Arc<RoleList<'a>>> + Clone,
    summary: impl Future<Output = Option<AccountSummary>> + Clone,
) -> Bulk {
    let mut bulk = Bulk::new();
    let mut asked = if let Some(first) = first {
        first
    } else {
        let search = search.clone().await;
        if let Some(way) = search.is_bulk_hopeless(reader) {
            return bulk.by(way);
        }
        early::page(reader.key, reader.aws, None)
    };
    loop {
        let begun = Instant::now();
        let (page, took) = tokio::select! {
            biased;
            page = asked.answer() => page,
            way = too_slow(reader, &bulk, search.clone(), begun) => return bulk.by(way),
        };
        let next = match taken(&mut bulk, page, took) {
            Ok(next) => next,
            Err(way) => return bulk.by(way),
        };
        let goes_on = next.is_some() && is_wanted_early(reader, &bulk, search.clone(), summary.clone()).await;
        if !goes_on {
            let search = search.clone().await;
            let wanted = search.calls(|role| bulk.has(role));
            match search.all.as_ref().map(Vec::len) {
                Err(_) => return bulk.by(Way::Unlisted),
                Ok(_) if next.is_none() || wanted == 0 => {
                    let single = reader.aws.one_by_one(reader.key, search.calls(|_| false));
                    return bulk.by(Way::Bulk(single));
                }
                Ok(total) => {
                    let single = reader.aws.one_by_one(reader.key, wanted);
                    if bulk.time_left(total) > single {
                        let left = bulk.pages_left(total);
                        return bulk.by(Way::Pages(single, left));
                    }
                }
            }
        }
        asked = early::page(reader.key, reader.aws, next);
    }
}

fn taken(bulk: &mut Bulk, page: Answer<BulkPage>, took: Duration) -> Result<Option<String>, Way> {
    let page = page.map_err(|error| Way::Failed(error.to_string()))?;
    let next = page.next.clone();
    bulk.add(page, took);
    Ok(next)
}

/// Comes back once the page that was asked for at `begun` takes longer than all that is left one by one.
async fn too_slow<'a, A: ReadAws>(
    reader: &AccountReader<'a, A>,
    bulk: &Bulk,
    search: impl Future<Output = Arc<RoleList<'a>>>,
    begun: Instant,
) -> Way {
    let search = search.await;
    if search.all.is_err() {
        return Way::Unlisted;
    }
    let single = reader.aws.one_by_one(reader.key, search.calls(|role| bulk.has(role)));
    tokio::time::sleep_until(begun + single).await;
    Way::Slow(single)
}

/// Whether the next page is worth its time by what is known before the roles are listed: how many there are, and which
/// are declared.
async fn is_wanted_early<'a, A: ReadAws>(
    reader: &AccountReader<'a, A>,
    bulk: &Bulk,
    search: impl Future<Output = Arc<RoleList<'a>>>,
    summary: impl Future<Output = Option<AccountSummary>>,
) -> bool {
    let summary = tokio::select! {
        biased;
        _ = search => return false,
        summary = summary => summary,
    };
    let unseen = reader.roles().keys().filter(|folded| !bulk.has(folded)).count();
    summary
        .and_then(|summary| summary.roles)
        .is_some_and(|total| unseen > 0 && bulk.time_left(total) <= reader.aws.one_by_one(reader.key, unseen))
}

impl RoleList<'_> {
    /// Why the roles are read one by one although nothing was timed yet, if so.
    fn is_bulk_hopeless<A: ReadAws>(&self, reader: &AccountReader<'_, A>) -> Option<Way> {
        let Ok(role_list) = &self.all else { return Some(Way::Unlisted) };
        if !self.is_large() {
            return Some(Way::Few);
        }
        let single = reader.aws.one_by_one(reader.key, self.calls(|_| false));
        let pages = role_list.len().div_ceil(PAGE);
        (UNTIMED * u32::try_from(pages).unwrap_or(u32::MAX) > single).then_some(Way::Pages(single, pages))
    }

    /// Whether there are so many roles that a further call to find the better way does not matter.
    pub(super) fn is_large(&self) -> bool {
        self.calls(|_| false) > FEW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_told_with_its_reason() {
        let told = |pages, seconds, way, roles| {
            let spent = Duration::from_secs_f64(seconds);
            Bulk { pages, spent, ..Bulk::new() }.by(way).words(roles)
        };
        let time = Duration::from_millis;
        for (text, wanted) in [
            (told(0, 0.0, Way::Few, 1), "1 role one by one: so few need no wait"),
            (told(1, 0.4, Way::Bulk(time(5667)), 100), "100 roles in bulk: 1 page of 0.4 s, one by one 5.7 s"),
            (
                told(5, 2.0, Way::Bulk(time(65_700)), 1000),
                "1000 roles in bulk: 5 pages, each of 0.4 s, one by one 65.7 s",
            ),
            (
                told(1, 2.0, Way::Pages(time(1667), 4), 40),
                "40 roles one by one in 1.7 s: in bulk 1 page of 2.0 s, 4 more",
            ),
            (told(0, 0.0, Way::Pages(time(1667), 5), 40), "40 roles one by one in 1.7 s: in bulk 5 more"),
            (told(0, 0.0, Way::Slow(time(1667)), 40), "40 roles one by one in 1.7 s: a page in bulk takes longer"),
            (told(0, 0.0, Way::Failed("no".into()), 40), "40 roles one by one: no"),
            (told(0, 0.0, Way::Unlisted, 40), "40 roles one by one: the account's roles could not be listed"),
        ] {
            assert_eq!(text, wanted);
        }
    }
}
