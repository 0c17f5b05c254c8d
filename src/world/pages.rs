//! Reads lists of IAM and EKS page by page, within the limits of `bounds`, and parses their entries.
//!
//! An entry that irsa cannot parse is returned separately (`entry`) or fails the whole list (`parsed`). If irsa left
//! out a role, it would count as absent.

use crate::ids::IdError;
use crate::model::address::OrphanKind;
use crate::model::live::Malformed;
use crate::model::resource::StringMap;
use crate::world::account::{AccountClient, Action, other};
use crate::world::bounds::{Listing, ListingError};
use crate::world::redact::clean;
use crate::world::sdk_config::LONG_ATTEMPT;
use crate::world::{Answer, Listed};
use aws_sdk_iam::types::Tag;
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::time::Instant;

/// Reads all pages of a list: `$items` are the entries of `$page`, `$size` tells how many bytes an entry takes.
macro_rules! list {
    ($account:expr, $action:expr, $facts:expr, $request:expr, $size:expr, |$page:ident| $items:expr) => {
        $crate::world::pages::pages($account, $action, $size, |marker| async move {
            let request = $request.set_marker(marker);
            let $page = $account.sender.call($action, $facts, || request.clone().send()).await?;
            let next = $crate::world::pages::next_page($action, $page.is_truncated(), $page.marker())?;
            Ok(($items, next))
        })
    };
}

pub(crate) use list;

/// Reads a list to its end, within the bounds of [`Listing`]. `fetch` returns the entries of a page and the marker of
/// the next one.
pub(crate) async fn pages<T, Fetched>(
    account: &AccountClient,
    action: Action,
    size: impl Fn(&T) -> usize,
    fetch: impl Fn(Option<String>) -> Fetched,
) -> Answer<Vec<T>>
where
    Fetched: Future<Output = Answer<(Vec<T>, Option<String>)>>,
{
    let failed = |error: ListingError| other(action, error.to_string());
    let mut listing = Listing::new(account.sender.budget());
    let mut all = Vec::new();
    let mut marker = None;
    loop {
        // boxed, because the future of a call is large
        let (items, next) = listing.within(Box::pin(fetch(marker))).await.map_err(failed)??;
        let bytes = items.iter().map(&size).sum();
        listing.page(Instant::now(), items.len(), bytes, next.as_deref()).map_err(failed)?;
        all.extend(items);
        if next.is_none() {
            return Ok(all);
        }
        marker = next;
    }
}

/// The marker of the next page. A truncated page without a marker is an error, because the rest of the list would look
/// absent.
pub(crate) fn next_page(action: Action, truncated: bool, marker: Option<&str>) -> Answer<Option<String>> {
    match (truncated, marker) {
        (false, _) => Ok(None),
        (true, Some(marker)) => Ok(Some(marker.to_owned())),
        (true, None) => {
            Err(other(action, "the answer says that the list goes on, and has no marker for the next page"))
        }
    }
}

/// Parses a name, path or ARN.
pub(crate) fn parsed<T>(action: Action, text: Option<&str>, parse: impl Fn(String) -> Result<T, IdError>) -> Answer<T> {
    let text = text.ok_or_else(|| other(action, "the answer lacks a name, path or ARN"))?;
    parse(text.to_owned()).map_err(|error| other(action, format!("`{text}`: {error}")))
}

/// The parsed entry of a list, or `Malformed` if it could not be parsed. `name` is for display.
pub(crate) fn entry<T>(kind: OrphanKind, name: Option<&str>, parsed: Answer<T>) -> Result<T, Malformed> {
    parsed.map_err(|error| Malformed { kind, name: clean(name.unwrap_or_default()), why: error.to_string() })
}

/// About how many bytes an entry takes.
pub(crate) fn entry_size<T>(entry: &Result<T, Malformed>, size: impl Fn(&T) -> usize) -> usize {
    entry.as_ref().map_or_else(|malformed| malformed.name.len() + malformed.why.len(), size)
}

/// Separates the entries that irsa could parse from the others.
pub(crate) fn listed<T>(entries: Vec<Result<T, Malformed>>) -> Listed<T> {
    let mut listed = Listed::default();
    for entry in entries {
        match entry {
            Ok(item) => listed.items.push(item),
            Err(malformed) => listed.malformed.push(malformed),
        }
    }
    listed
}

/// The settings of a call that reads a page of up to a thousand roles: a longer timeout.
pub(crate) fn long_attempt(account: &AccountClient) -> aws_sdk_iam::config::Builder {
    let attempt = account.context.scaled(LONG_ATTEMPT);
    aws_sdk_iam::Config::builder().timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt).build())
}

pub(crate) fn tag_map(tags: &[Tag]) -> StringMap {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

/// About how many bytes a tag takes.
pub(crate) fn tag_size((key, value): &(String, String)) -> usize {
    key.len() + value.len()
}
