//! Limits the size of one answer, of one file, and of a paged list, so that a server that never stops sending cannot
//! use up memory or time.
//!
//! The limits are far above what AWS and Kubernetes send: a page of a thousand roles has at most 13 MB, and the API
//! server keeps no object above 1.5 MB (<https://etcd.io/docs/v3.5/dev-guide/limit/>).

use http_body_util::LengthLimitError;
use std::collections::HashSet;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

/// The largest answer, in bytes.
pub(crate) const BODY: usize = 32 << 20;
/// The largest answer with an error status, in bytes.
pub(crate) const ERROR_BODY: usize = 1 << 20;
/// The largest kubeconfig, certificate, key or token file, in bytes.
pub(crate) const FILE: u64 = 16 << 20;
/// The bytes of all pages of a list.
const BYTES: usize = 256 << 20;
/// The objects of a list.
pub(crate) const ITEMS: usize = 500_000;
/// The pages of a list.
const PAGES: usize = 5_000;
/// Successive pages of a list without an object.
const EMPTY: usize = 100;

/// Why irsa stopped reading a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListingError {
    #[error("the list was not read to its end within {0:?}; a longer `--timeout` may help")]
    Time(Duration),
    #[error("the list does not end: a page names an earlier one as the next")]
    Circle,
    #[error("the list does not end: it has {EMPTY} empty pages one after the other")]
    Empty,
    #[error("the list has more than {PAGES} pages, which irsa does not read")]
    Pages,
    #[error("the list has more than {ITEMS} objects, which irsa does not read")]
    Items,
    #[error("the list has more than {} MiB, which irsa does not read", BYTES >> 20)]
    Bytes,
}

/// Checks the pages of one list against the limits.
#[derive(Debug)]
pub(crate) struct Listing {
    budget: Duration,
    end: Option<Instant>,
    /// Hashes of the page tokens seen so far; the tokens themselves may be long.
    seen: HashSet<u64>,
    hasher: RandomState,
    pages: usize,
    items: usize,
    bytes: usize,
    empty: usize,
}

impl Listing {
    /// The list may take `budget` from its first page on. The first page is limited by the timeouts of its call.
    pub(crate) fn new(budget: Duration) -> Self {
        let (seen, hasher) = (HashSet::new(), RandomState::new());
        Self { budget, end: None, seen, hasher, pages: 0, items: 0, bytes: 0, empty: 0 }
    }

    /// Waits for the next page until the budget of the list is spent.
    pub(crate) async fn within<T>(&self, fetch: impl Future<Output = T>) -> Result<T, ListingError> {
        match self.end {
            Some(end) => timeout_at(end, fetch).await.map_err(|_| ListingError::Time(self.budget)),
            None => Ok(fetch.await),
        }
    }

    /// Counts a page that came at `now`; `next` is the token of the page after it.
    pub(crate) fn page(
        &mut self,
        now: Instant,
        items: usize,
        bytes: usize,
        next: Option<&str>,
    ) -> Result<(), ListingError> {
        let end = *self.end.get_or_insert(now + self.budget);
        self.pages += 1;
        self.items = self.items.saturating_add(items);
        self.bytes = self.bytes.saturating_add(bytes);
        self.empty = if items == 0 { self.empty + 1 } else { 0 };
        if self.items > ITEMS {
            return Err(ListingError::Items);
        }
        if self.bytes > BYTES {
            return Err(ListingError::Bytes);
        }
        let Some(next) = next else { return Ok(()) };
        if !self.seen.insert(self.hasher.hash_one(next)) {
            return Err(ListingError::Circle);
        }
        if self.pages >= PAGES {
            return Err(ListingError::Pages);
        }
        if self.empty >= EMPTY {
            return Err(ListingError::Empty);
        }
        if now >= end { Err(ListingError::Time(self.budget)) } else { Ok(()) }
    }

    /// Starts again from the first page, within the same budget.
    pub(crate) fn restart(&mut self) {
        self.seen.clear();
        (self.items, self.empty) = (0, 0);
    }
}

/// Reads a file that must not be larger than `FILE`. It may be a device or a pipe without end.
pub(crate) async fn read_file(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(FILE + 1).read_to_end(&mut bytes).await?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE) {
        return Err(io::Error::other(format!("it is larger than {} MiB", FILE >> 20)));
    }
    Ok(bytes)
}

/// Like `read_file`, as text without white space around it.
pub(crate) async fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    let text = String::from_utf8(read_file(path).await?);
    Ok(text.map_err(|_| io::Error::other("it is not text"))?.trim().to_owned())
}

/// The message for an answer above `BODY`.
pub(crate) fn too_large() -> String {
    format!("the answer is larger than {} MiB, which irsa does not read", BODY >> 20)
}

/// Whether the error, or a cause of it, is that an answer exceeded its limit.
pub(crate) fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.any(<dyn Error>::is::<LengthLimitError>)
}

#[cfg(test)]
mod tests;
