//! The rules of client-go's leader election: when a run may take a Lease, and what it writes into it.

use crate::context::Context;
use crate::model::lease::{Lease, LeaseRecord};
use std::time::Duration;
use tokio::time::Instant;

/// How far the clocks of two machines may differ. With a larger difference, a run may take a Lease that has not
/// expired. A run that has watched the Lease unchanged for its whole duration does not compare clocks.
pub(super) const MAX_SKEW: Duration = Duration::from_mins(1);

/// What a Lease means to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseState {
    /// No run holds it, or its holder has not renewed it in time.
    Free,
    /// This run holds it.
    Ours,
    /// Another run holds it.
    Held,
}

/// The state of a Lease that this run has seen unchanged for `unchanged_for`. `now` is in microseconds since 1970.
pub(super) fn state(
    record: &LeaseRecord,
    identity: &str,
    unchanged_for: Duration,
    now: i64,
    context: &Context,
) -> LeaseState {
    if record.holder.is_empty() {
        return LeaseState::Free;
    }
    if record.holder == identity {
        return LeaseState::Ours;
    }
    // somebody wrote a Lease without a duration by hand, to keep every run out
    let Some(seconds) = record.seconds else { return LeaseState::Held };
    let lifetime = context.scaled(Duration::from_secs(seconds.into()));
    let limit = micros(lifetime).saturating_add(micros(context.scaled(MAX_SKEW)));
    let expired = record.renewed.is_some_and(|renewed| renewed.saturating_add(limit) < now);
    if unchanged_for >= lifetime || expired { LeaseState::Free } else { LeaseState::Held }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The last record that was read, and when it was first read.
#[derive(Debug, Default)]
pub(super) struct Observation(Option<(LeaseRecord, Instant)>);

impl Observation {
    /// How long the Lease has had this record.
    pub(super) fn unchanged_for(&mut self, record: &LeaseRecord, now: Instant) -> Duration {
        match &self.0 {
            Some((seen, since)) if seen == record => now.saturating_duration_since(*since),
            _ => {
                self.0 = Some((record.clone(), now));
                Duration::ZERO
            }
        }
    }
}

/// The record of a run that takes a Lease.
pub(super) fn taken(before: Option<&LeaseRecord>, identity: &str, seconds: u32, now: i64) -> LeaseRecord {
    let transitions = before.map_or(0, |record| record.transitions.saturating_add(1));
    let holder = identity.to_owned();
    LeaseRecord { holder, seconds: Some(seconds), acquired: Some(now), renewed: Some(now), transitions }
}

/// The record after a renewal.
pub(super) fn renewed(record: &LeaseRecord, now: i64) -> LeaseRecord {
    LeaseRecord { renewed: Some(now), ..record.clone() }
}

/// The record after a release: no holder, and the shortest duration.
pub(super) fn released(record: &LeaseRecord, now: i64) -> LeaseRecord {
    let transitions = record.transitions;
    LeaseRecord { holder: String::new(), seconds: Some(1), acquired: Some(now), renewed: Some(now), transitions }
}

/// The Lease if this run still holds it, else why not.
pub(super) fn still_held(found: Option<Lease>, identity: &str) -> Result<Lease, String> {
    let lease = found.ok_or("someone deleted the Lease")?;
    match lease.hold.holder.as_str() {
        holder if holder == identity => Ok(lease),
        "" => Err("someone removed this run's name from the Lease".to_owned()),
        holder => Err(format!("`{holder}` holds it now")),
    }
}

#[cfg(test)]
mod tests;
