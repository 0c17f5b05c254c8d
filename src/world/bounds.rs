//! How much of an answer and of a list is taken. A server that never comes to an end costs neither memory nor time
//! without end: the place is unknown then, with the reason that stands here.
//!
//! The limits are far above what AWS and Kubernetes send: a page of a thousand roles has 13 MB at most, and the API
//! server keeps no object above 1.5 MB (<https://etcd.io/docs/v3.5/dev-guide/limit/>).

use http_body_util::LengthLimitError;
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The bytes of one answer.
pub(crate) const BODY: usize = 32 << 20;
/// The bytes of an answer that says no.
pub(crate) const REFUSAL: usize = 1 << 20;
/// The bytes of a file that holds a kubeconfig, certificates, a key or a token.
pub(crate) const FILE: u64 = 16 << 20;
/// The bytes of all pages of a list.
const BYTES: usize = 256 << 20;
/// The objects of a list.
pub(crate) const ITEMS: usize = 500_000;
/// The pages of a list.
const PAGES: usize = 5_000;
/// The pages of a list without an object, one behind the other.
const EMPTY: usize = 100;

/// Why a list was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endless {
    /// It took too long: this long.
    Time(Duration),
    /// A page named one that was there before.
    Circle,
    /// It has too many pages that are empty.
    Empty,
    /// It has too many pages.
    Pages,
    /// It has too many objects.
    Items,
    /// It has too many bytes.
    Bytes,
}

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(budget) => {
                write!(f, "the list was not read to its end within {budget:?}; a longer `--timeout` may help")
            }
            Self::Circle => f.write_str("the list does not end: a page names one that was read before as the next"),
            Self::Empty => write!(f, "the list does not end: it has {EMPTY} empty pages one after the other"),
            Self::Pages => write!(f, "the list has more than {PAGES} pages, which irsa does not read"),
            Self::Items => write!(f, "the list has more than {ITEMS} objects, which irsa does not read"),
            Self::Bytes => write!(f, "the list has more than {} MiB, which irsa does not read", BYTES >> 20),
        }
    }
}

/// A list that is being read.
#[derive(Debug)]
pub(crate) struct Listing {
    budget: Duration,
    end: Option<Instant>,
    /// What names a page may be long, so that only its hash is kept.
    seen: HashSet<u64>,
    hasher: RandomState,
    pages: usize,
    items: usize,
    bytes: usize,
    empty: usize,
}

impl Listing {
    /// One that may take this long from its first answer on: how long that takes is its call's own matter.
    pub(crate) fn new(budget: Duration) -> Self {
        let (seen, hasher) = (HashSet::new(), RandomState::new());
        Self { budget, end: None, seen, hasher, pages: 0, items: 0, bytes: 0, empty: 0 }
    }

    /// Waits for the next page, as long as the list may take.
    pub(crate) async fn within<T>(&self, fetch: impl Future<Output = T>) -> Result<T, Endless> {
        match self.end {
            Some(end) => timeout_at(end, fetch).await.map_err(|_| Endless::Time(self.budget)),
            None => Ok(fetch.await),
        }
    }

    /// Counts a page that came at `now` and names `next` as where the next one begins.
    pub(crate) fn page(&mut self, now: Instant, items: usize, bytes: usize, next: Option<&str>) -> Result<(), Endless> {
        let end = *self.end.get_or_insert(now + self.budget);
        self.pages += 1;
        self.items = self.items.saturating_add(items);
        self.bytes = self.bytes.saturating_add(bytes);
        self.empty = if items == 0 { self.empty + 1 } else { 0 };
        if self.items > ITEMS {
            return Err(Endless::Items);
        }
        if self.bytes > BYTES {
            return Err(Endless::Bytes);
        }
        let Some(next) = next else { return Ok(()) };
        if !self.seen.insert(self.hasher.hash_one(next)) {
            return Err(Endless::Circle);
        }
        if self.pages >= PAGES {
            return Err(Endless::Pages);
        }
        if self.empty >= EMPTY {
            return Err(Endless::Empty);
        }
        if now >= end { Err(Endless::Time(self.budget)) } else { Ok(()) }
    }

    /// The list begins anew, in the time that is left.
    pub(crate) fn restart(&mut self) {
        let Self { seen, items, empty, .. } = self;
        seen.clear();
        (*items, *empty) = (0, 0);
    }
}

/// What is said of an answer that is larger than irsa takes.
pub(crate) fn too_large() -> String {
    format!("the answer is larger than {} MiB, which irsa does not read", BODY >> 20)
}

/// Whether an answer was larger than irsa takes.
pub(crate) fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<LengthLimitError>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_secs(5);

    /// Reads pages until one is refused; gives what for, and after how many.
    fn until_refused(mut page: impl FnMut(usize) -> (Duration, usize, usize, String)) -> (Endless, usize) {
        let (start, mut listing) = (Instant::now(), Listing::new(BUDGET));
        for number in 1..=PAGES + 1 {
            let (after, items, bytes, next) = page(number);
            if let Err(endless) = listing.page(start + after, items, bytes, Some(&next)) {
                return (endless, number);
            }
        }
        panic!("it never ends");
    }

    #[test]
    fn no_list_goes_on_for_ever() {
        let fresh = |number: usize| number.to_string();
        let none = Duration::ZERO;
        assert_eq!(until_refused(|number| (none, 0, 10, fresh(number))), (Endless::Empty, EMPTY));
        assert_eq!(until_refused(|number| (none, 1, 10, fresh(number))), (Endless::Pages, PAGES));
        assert_eq!(until_refused(|number| (none, 500, 10, fresh(number))), (Endless::Items, 1_001));
        assert_eq!(until_refused(|number| (none, 1, BODY, fresh(number))), (Endless::Bytes, 9));
        assert_eq!(until_refused(|_| (none, 1, 10, "a".into())), (Endless::Circle, 2));
        assert_eq!(until_refused(|number| (none, 1, 10, fresh(number % 3))), (Endless::Circle, 4));
        let slow = |number: usize| Duration::from_secs(u64::try_from(number).unwrap());
        assert_eq!(until_refused(|number| (slow(number), 1, 10, fresh(number))), (Endless::Time(BUDGET), 6));
    }

    #[test]
    fn the_last_page_may_be_late_and_empty_pages_may_stand_between() {
        let (start, mut listing) = (Instant::now(), Listing::new(BUDGET));
        for number in 0..EMPTY * 3 {
            listing.page(start, usize::from(number % 50 == 0), 10, Some(&number.to_string())).unwrap();
        }
        assert_eq!(listing.page(start + BUDGET * 2, 0, 10, None), Ok(()));
        // the tokens of a list that begins anew may be the same ones
        listing.restart();
        assert_eq!(listing.page(start, 1, 10, Some("1")), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_does_not_come_is_waited_for_as_long_as_the_list_may_take() {
        let mut listing = Listing::new(BUDGET);
        let hour = || tokio::time::sleep(Duration::from_hours(1));
        assert_eq!(listing.within(hour()).await, Ok(()), "the first page is its call's own matter");
        listing.page(Instant::now(), 1, 10, Some("a")).unwrap();
        let begun = Instant::now();
        assert_eq!(listing.within(hour()).await, Err(Endless::Time(BUDGET)));
        assert_eq!(begun.elapsed(), BUDGET);
    }
}
