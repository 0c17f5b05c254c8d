//! What fails for every object alike: a server that is down, a webhook that nobody serves, credentials that have expired.
//!
//! Each call is tried again as long as its own budget lasts. So that a plan of many objects does not spend that budget for
//! each, some such failures in a row speak for the calls that have not been sent.

use super::report::Failure;
use crate::world::CallErrorKind;
use std::collections::HashMap;

/// How many must fail in a row. Others that are under way meanwhile spend their budgets at the same time.
pub(super) const IN_A_ROW: usize = 3;

/// What is said of a call that was not sent.
pub(super) const UNSENT: &str = "not sent: the last calls of this kind all failed like that";

/// Whether a failure says that the service, or the way to it, cannot do it now, whatever the object.
pub(super) fn is_one(kind: CallErrorKind) -> bool {
    match kind {
        CallErrorKind::Unavailable | CallErrorKind::Throttled | CallErrorKind::Credentials => true,
        CallErrorKind::Denied
        | CallErrorKind::Rejected
        | CallErrorKind::NotFound
        | CallErrorKind::AlreadyExists
        | CallErrorKind::Conflict
        | CallErrorKind::Altered
        | CallErrorKind::Limit
        | CallErrorKind::Invalid
        | CallErrorKind::Stopped
        | CallErrorKind::Other => false,
    }
}

/// The failures in a row of each account or cluster: of one operation, or, where there was no answer, of all.
#[derive(Debug, Default)]
pub(super) struct Outages(HashMap<(usize, Option<String>), (usize, Failure)>);

impl Outages {
    /// One more call failed. Returns whether the others are not worth sending from now on.
    pub(super) fn failed(&mut self, home: usize, operation: String, failure: Failure) -> bool {
        let of = failure.code.is_some().then_some(operation);
        let (count, last) = self.0.entry((home, of)).or_insert((0, failure.clone()));
        *count += 1;
        *last = failure;
        *count == IN_A_ROW
    }

    /// One came through.
    pub(super) fn succeeded(&mut self, home: usize, operation: &str) {
        self.0.remove(&(home, Some(operation.to_owned())));
        self.0.remove(&(home, None));
    }

    /// Whether nothing has failed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the last call of this kind failed.
    pub(super) fn suspects(&self, home: usize, operation: &str) -> bool {
        self.row(home, Some(operation)).or_else(|| self.row(home, None)).is_some()
    }

    /// Why a call is not worth sending, if so.
    pub(super) fn of(&self, home: usize, operation: &str) -> Option<&Failure> {
        let long = |of| self.row(home, of).filter(|(count, _)| *count >= IN_A_ROW);
        long(Some(operation)).or_else(|| long(None)).map(|(_, failure)| failure)
    }

    fn row(&self, home: usize, operation: Option<&str>) -> Option<&(usize, Failure)> {
        self.0.get(&(home, operation.map(str::to_owned)))
    }
}
