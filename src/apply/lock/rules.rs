//! The rules of client-go's leader election: when a run may take a Lease, and what it writes into it.

use crate::context::Context;
use crate::model::lease::{Lease, LeaseRecord};
use std::time::Duration;
use tokio::time::Instant;

/// How far two machines' clocks may differ before one takes a Lease of the other that has not expired. A run that has
/// watched the Lease for its whole duration does not need the clocks.
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

/// The state of a Lease that this run has seen unchanged for some time; `now` in microseconds since 1970.
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
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const NOW: i64 = 1_800_000_000_000_000;
    const SECOND: i64 = 1_000_000;

    fn context(speed: u32) -> Context {
        Context::fixed(BTreeMap::new(), 0, speed)
    }

    /// Held by `them` for 60 seconds, renewed `ago` seconds ago.
    fn held(ago: i64) -> LeaseRecord {
        let renewed = Some(NOW - ago * SECOND);
        LeaseRecord { holder: "them".into(), seconds: Some(60), acquired: renewed, renewed, transitions: 3 }
    }

    fn state_of(hold: &LeaseRecord, unchanged_for: u64) -> LeaseState {
        state(hold, "us", Duration::from_secs(unchanged_for), NOW, &context(1))
    }

    #[test]
    fn lease_without_holder_is_free_and_own_lease_is_ours() {
        assert_eq!(state_of(&LeaseRecord::default(), 0), LeaseState::Free);
        assert_eq!(state_of(&LeaseRecord { holder: String::new(), ..held(0) }, 0), LeaseState::Free);
        assert_eq!(state_of(&LeaseRecord { holder: "us".into(), ..held(500) }, 0), LeaseState::Ours);
    }

    #[test]
    fn held_lease_is_free_once_it_was_seen_unchanged_for_its_duration() {
        for (still, standing) in
            [(0, LeaseState::Held), (59, LeaseState::Held), (60, LeaseState::Free), (61, LeaseState::Free)]
        {
            assert_eq!(state_of(&held(0), still), standing, "{still}");
            // also with a renewal in the future, or without one
            assert_eq!(state_of(&held(-86_400), still), standing, "{still}");
            assert_eq!(state_of(&LeaseRecord { renewed: None, ..held(0) }, still), standing, "{still}");
        }
    }

    #[test]
    fn lease_that_expired_over_a_minute_ago_is_free_at_once() {
        for (ago, standing) in [(60, LeaseState::Held), (120, LeaseState::Held), (121, LeaseState::Free)] {
            assert_eq!(state_of(&held(ago), 0), standing, "{ago}");
        }
        // all durations are scaled
        let quick = |ago| state(&held(ago), "us", Duration::ZERO, NOW, &context(60));
        assert_eq!((quick(2), quick(3)), (LeaseState::Held, LeaseState::Free));
    }

    #[test]
    fn lease_without_duration_is_held() {
        assert_eq!(state_of(&LeaseRecord { seconds: None, ..held(1_000_000) }, 1_000_000), LeaseState::Held);
    }

    #[test]
    fn changed_lease_restarts_the_observation() {
        let (mut observed, start) = (Observation::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(observed.unchanged_for(&held(0), at(0)), Duration::ZERO);
        assert_eq!(observed.unchanged_for(&held(0), at(20)), Duration::from_secs(20));
        assert_eq!(observed.unchanged_for(&held(-20), at(40)), Duration::ZERO, "it was renewed");
        assert_eq!(observed.unchanged_for(&held(-20), at(90)), Duration::from_secs(50));
    }

    #[test]
    fn taking_counts_a_transition_and_renewing_does_not() {
        let first = taken(None, "us", 60, NOW);
        assert_eq!(
            (first.transitions, first.acquired, first.renewed, first.seconds),
            (0, Some(NOW), Some(NOW), Some(60))
        );
        let later = renewed(&first, NOW + SECOND);
        assert_eq!(later, LeaseRecord { renewed: Some(NOW + SECOND), ..first });
        let ended = released(&later, NOW + 2 * SECOND);
        assert_eq!((ended.holder.as_str(), ended.seconds, ended.transitions), ("", Some(1), 0));
        assert_eq!(state(&ended, "them", Duration::ZERO, NOW, &context(1)), LeaseState::Free);
        assert_eq!(taken(Some(&ended), "them", 60, NOW).transitions, 1);
    }

    #[test]
    fn lease_without_this_runs_name_is_lost() {
        let found = |holder: &str| {
            Some(Lease { hold: LeaseRecord { holder: holder.into(), ..held(500) }, object: serde_json::Value::Null })
        };
        assert_eq!(still_held(found("us"), "us").unwrap().hold.holder, "us");
        assert!(still_held(None, "us").unwrap_err().contains("deleted"));
        assert!(still_held(found(""), "us").unwrap_err().contains("removed this run's name"));
        assert_eq!(still_held(found("them"), "us").unwrap_err(), "`them` holds it now");
    }
}
