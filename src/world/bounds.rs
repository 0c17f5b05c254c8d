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
pub(crate) const MAX_BODY: usize = 32 << 20;
/// The largest answer with an error status, in bytes.
pub(crate) const MAX_ERROR_BODY: usize = 1 << 20;
/// The largest kubeconfig, certificate, key or token file, in bytes.
pub(crate) const MAX_FILE: u64 = 16 << 20;
/// At most this many bytes in all pages of a list.
const MAX_BYTES: usize = 256 << 20;
/// At most this many objects in a list.
pub(crate) const MAX_ITEMS: usize = 500_000;
/// At most this many pages in a list.
const MAX_PAGES: usize = 5_000;
/// After this many pages in a row without an object, irsa stops reading.
const MAX_EMPTY: usize = 100;

/// Why irsa stopped reading a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListingError {
    #[error("the list was not read to its end within {0:?}; a longer `--timeout` may help")]
    Time(Duration),
    #[error("the list does not end: a page names an earlier one as the next")]
    Circle,
    #[error("the list does not end: it has {MAX_EMPTY} empty pages one after the other")]
    Empty,
    #[error("the list has more than {MAX_PAGES} pages, the most that irsa reads")]
    Pages,
    #[error("the list has more than {MAX_ITEMS} objects, the most that irsa reads")]
    Items,
    #[error("the list has more than {} MiB, the most that irsa reads", MAX_BYTES >> 20)]
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
    /// `budget` starts when the first page has arrived, because the timeouts of a call already limit the first page.
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
        if self.items > MAX_ITEMS {
            return Err(ListingError::Items);
        }
        if self.bytes > MAX_BYTES {
            return Err(ListingError::Bytes);
        }
        let Some(next) = next else { return Ok(()) };
        if !self.seen.insert(self.hasher.hash_one(next)) {
            return Err(ListingError::Circle);
        }
        if self.pages >= MAX_PAGES {
            return Err(ListingError::Pages);
        }
        if self.empty >= MAX_EMPTY {
            return Err(ListingError::Empty);
        }
        if now >= end { Err(ListingError::Time(self.budget)) } else { Ok(()) }
    }

    /// Starts again from the first page. Time, pages and bytes count on; objects are counted anew.
    pub(crate) fn restart(&mut self) {
        self.seen.clear();
        (self.items, self.empty) = (0, 0);
    }
}

/// Reads a file, at most `MAX_FILE` bytes of it, because it may be a device or a pipe that never ends. Fails if the
/// file is larger.
pub(crate) async fn read_file(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(MAX_FILE + 1).read_to_end(&mut bytes).await?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(io::Error::other(format!("it is larger than {} MiB", MAX_FILE >> 20)));
    }
    Ok(bytes)
}

/// Like `read_file`, as text without white space around it.
pub(crate) async fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    let text = String::from_utf8(read_file(path).await?);
    Ok(text.map_err(|_| io::Error::other("it is not text"))?.trim().to_owned())
}

/// The message for an answer above `MAX_BODY`.
pub(crate) fn too_large() -> String {
    format!("the answer is larger than {} MiB, the most that irsa reads", MAX_BODY >> 20)
}

/// Whether the error, or a cause of it, is that an answer exceeded its limit.
pub(crate) fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.any(<dyn Error>::is::<LengthLimitError>)
}

#[cfg(test)]
mod tests;
