//! Stops sending calls to an account or cluster after a few failures in a row that are not about one object: a server
//! that is down, a webhook without a backend, expired credentials.
//!
//! Each call already retries for as long as `--timeout` allows. A plan of many objects must not spend that time on each
//! of them, so after a few such failures in a row irsa sends no further call with that operation to that account or
//! cluster.

use super::report::Failure;
use crate::model::call::Call;
use crate::world::CallErrorKind;
use std::collections::HashMap;

/// After this many failures in a row irsa sends no further call with the same operation to the same account or cluster.
pub(super) const LIMIT: usize = 3;

/// Added to the error of each call that is not sent.
pub(super) const NOT_SENT: &str = "not sent, because the last calls of this kind all failed with this error";

/// Whether an error is about the service or the connection, not about the object.
pub(super) fn is_outage(kind: CallErrorKind) -> bool {
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

/// Counts consecutive failures by place. A failure with an error code counts for its operation, a failure without an
/// answer counts for all operations.
#[derive(Debug, Default)]
pub(super) struct Outages(HashMap<(usize, Option<String>), (usize, Failure)>);

impl Outages {
    /// Counts a failure. Returns true when it reaches the limit.
    pub(super) fn failed(&mut self, place: usize, call: &Call, failure: Failure) -> bool {
        let operation = failure.code.is_some().then(|| call.operation());
        let (count, last) = self.0.entry((place, operation)).or_insert((0, failure.clone()));
        *count += 1;
        *last = failure;
        *count == LIMIT
    }

    /// Forgets the failures of this kind of call.
    pub(super) fn succeeded(&mut self, place: usize, call: &Call) {
        if !self.0.is_empty() {
            self.0.remove(&(place, Some(call.operation())));
            self.0.remove(&(place, None));
        }
    }

    /// Whether the last call of this kind failed.
    pub(super) fn is_suspect(&self, place: usize, call: &Call) -> bool {
        self.last(place, call, 1).is_some()
    }

    /// The last failure, if the call is not worth sending.
    pub(super) fn failure(&self, place: usize, call: &Call) -> Option<&Failure> {
        self.last(place, call, LIMIT)
    }

    fn last(&self, place: usize, call: &Call, at_least: usize) -> Option<&Failure> {
        if self.0.is_empty() {
            return None;
        }
        let kinds = [Some(call.operation()), None];
        let mut counted = kinds.into_iter().filter_map(|kind| self.0.get(&(place, kind)));
        counted.find(|(count, _)| *count >= at_least).map(|(_, failure)| failure)
    }
}
