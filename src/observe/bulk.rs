//! Reads roles in bulk, which means by GetAccountAuthorizationDetails with up to a thousand roles on a page, if that is
//! faster than role by role.
//!
//! A page takes between 0.1 and 10 seconds, so irsa measures. If many roles are declared, it requests the first page
//! together with ListRoles. Otherwise it waits for ListRoles, and requests a page only if there are many roles to read.
//! Then it reads the rest in whichever way is faster at the current rate limit. It keeps the roles of all pages that it
//! has read. The result is the same either way.

use super::first_calls::{self, FEW_CALLS, TimedPage};
use super::reader::AccountReader;
use super::role_selection::RoleSelection;
use crate::world::{AccountSummary, BulkPage, IAM_PAGE_SIZE, ReadAws, RoleDetail};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The assumed time of a page, as long as none was measured.
const PAGE_TIME: Duration = Duration::from_secs(1);

const FEW_ROLES: &str = "one by one: there are few roles";
const NOT_LISTED: &str = "one by one: the account's roles could not be listed";

/// The roles that were read in bulk, and the text for the log that says how irsa read the roles and why.
#[derive(Default)]
pub(super) struct Bulk {
    /// By case-insensitive name.
    details: BTreeMap<String, RoleDetail>,
    pages: usize,
    spent: Duration,
    /// How irsa read the roles, and why. For the log.
    reason: String,
}

impl Bulk {
    /// Removes the role. None if no page had it.
    pub(super) fn take(&mut self, name: &str) -> Option<RoleDetail> {
        self.details.remove(name)
    }

    /// How irsa read `roles` roles, and why.
    pub(super) fn description(&self, roles: usize) -> String {
        let noun = if roles == 1 { "role" } else { "roles" };
        format!("{roles} {noun} {}", self.reason)
    }

    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }

    fn has(&self, name: &str) -> bool {
        self.details.contains_key(name)
    }

    fn add(&mut self, page: BulkPage, took: Duration) {
        self.pages += 1;
        self.spent += took;
        self.details.extend(page.roles.into_iter().map(|role| (role.name.lower_case(), role)));
    }

    /// The number of remaining pages in an account of `total` roles, at least one.
    fn pages_left(&self, total: usize) -> usize {
        // IAM may return fewer roles on a page than requested
        let page_size = (self.details.len() / self.pages.max(1)).max(1);
        total.saturating_sub(self.details.len()).div_ceil(page_size).max(1)
    }

    fn page_time(&self) -> Duration {
        self.spent / count(self.pages.max(1))
    }

    fn time_left(&self, total: usize) -> Duration {
        self.page_time().saturating_mul(count(self.pages_left(total)))
    }

    fn pages_read(&self) -> String {
        let each = if self.pages == 1 { "" } else { "s, each" };
        format!("{} page{each} of {}", self.pages, seconds(self.page_time()))
    }

    /// The text for the log if irsa read all roles in bulk. `single` is the time that it would have taken one by one.
    fn describe_in_bulk(&self, single: Duration) -> String {
        format!("in bulk: {}; one by one it would take {}", self.pages_read(), seconds(single))
    }

    /// The text for the log if irsa stops because `left` more pages would take longer than `single`, the time one by
    /// one.
    fn describe_pages_too_slow(&self, single: Duration, left: usize) -> String {
        let more = if self.pages == 0 { "" } else { " more" };
        let noun = if left == 1 { "page" } else { "pages" };
        let after = if self.pages == 0 { String::new() } else { format!(" after {}", self.pages_read()) };
        format!("one by one in {}: in bulk it would take {left}{more} {noun}{after}", seconds(single))
    }
}

/// The text for the log if irsa stops because a page takes longer than `single`, the time one by one.
fn describe_page_too_slow(single: Duration) -> String {
    format!("one by one in {}: a page in bulk takes longer", seconds(single))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Reads pages as long as that is faster. `first` is the first page, if it was requested already. `selection` and
/// `summary` may be answered later than the first page.
pub(super) async fn read<'a, A: ReadAws>(
    reader: &AccountReader<'a, A>,
    first: Option<TimedPage<'a>>,
    selection: impl Future<Output = Arc<RoleSelection<'a>>> + Clone,
    summary: impl Future<Output = Option<AccountSummary>> + Clone,
) -> Bulk {
    let mut bulk = Bulk::default();
    let mut pending = if let Some(first) = first {
        first
    } else {
        if let Some(reason) = why_not_bulk(reader, selection.clone().await.as_ref()) {
            return bulk.because(reason);
        }
        first_calls::page(reader.key, reader.aws, None)
    };
    loop {
        let begun = Instant::now();
        let (page, took) = tokio::select! {
            biased;
            page = pending.answer() => page,
            reason = wait_until_too_slow(reader, &bulk, selection.clone(), begun) => return bulk.because(reason),
        };
        let next = match page {
            Ok(page) => {
                let next = page.next.clone();
                bulk.add(page, took);
                next
            }
            Err(error) => return bulk.because(format!("one by one: {error}")),
        };
        if next.is_none() || !request_next_before_list(reader, &bulk, selection.clone(), summary.clone()).await {
            let selection = selection.clone().await;
            let left = selection.slowest_action_calls(|role| bulk.has(role));
            let Ok(all) = &selection.all else { return bulk.because(NOT_LISTED) };
            if next.is_none() || left == 0 {
                let reason = bulk.describe_in_bulk(
                    reader.aws.estimate_one_by_one(reader.key, selection.slowest_action_calls(|_| false)),
                );
                return bulk.because(reason);
            }
            let single = reader.aws.estimate_one_by_one(reader.key, left);
            if bulk.time_left(all.len()) > single {
                let reason = bulk.describe_pages_too_slow(single, bulk.pages_left(all.len()));
                return bulk.because(reason);
            }
        }
        pending = first_calls::page(reader.key, reader.aws, next);
    }
}

/// Ends when the page that was requested at `begun` has taken longer than all remaining roles would take one by one.
/// Returns the reason to stop.
async fn wait_until_too_slow<'a, A: ReadAws>(
    reader: &AccountReader<'a, A>,
    bulk: &Bulk,
    selection: impl Future<Output = Arc<RoleSelection<'a>>>,
    begun: Instant,
) -> String {
    let selection = selection.await;
    if selection.all.is_err() {
        return NOT_LISTED.to_owned();
    }
    let single = reader.aws.estimate_one_by_one(reader.key, selection.slowest_action_calls(|role| bulk.has(role)));
    tokio::time::sleep_until(begun + single).await;
    describe_page_too_slow(single)
}

/// Decides, while ListRoles still runs, whether to request the next page. Knows only the number of roles in the account
/// and the declared roles. False once ListRoles has answered: the caller then decides by the list.
async fn request_next_before_list<'a, A: ReadAws>(
    reader: &AccountReader<'a, A>,
    bulk: &Bulk,
    selection: impl Future<Output = Arc<RoleSelection<'a>>>,
    summary: impl Future<Output = Option<AccountSummary>>,
) -> bool {
    let summary = tokio::select! {
        biased;
        _ = selection => return false,
        summary = summary => summary,
    };
    let left = reader.roles().keys().filter(|name| !bulk.has(name)).count();
    summary
        .and_then(|summary| summary.roles)
        .is_some_and(|total| left > 0 && bulk.time_left(total) <= reader.aws.estimate_one_by_one(reader.key, left))
}

/// Why to read all roles one by one, before a page was measured. None if a bulk read may be faster.
fn why_not_bulk<A: ReadAws>(reader: &AccountReader<'_, A>, selection: &RoleSelection<'_>) -> Option<String> {
    let Ok(all) = &selection.all else { return Some(NOT_LISTED.to_owned()) };
    if !is_large(selection) {
        return Some(FEW_ROLES.to_owned());
    }
    let single = reader.aws.estimate_one_by_one(reader.key, selection.slowest_action_calls(|_| false));
    let pages = all.len().div_ceil(usize::from(IAM_PAGE_SIZE));
    (PAGE_TIME * count(pages) > single).then(|| Bulk::default().describe_pages_too_slow(single, pages))
}

/// Whether reading the roles one by one takes many calls. Then one more call, for a bulk page or GetAccountSummary,
/// adds little time.
pub(super) fn is_large(selection: &RoleSelection<'_>) -> bool {
    selection.slowest_action_calls(|_| false) > FEW_CALLS
}

#[cfg(test)]
mod tests;
