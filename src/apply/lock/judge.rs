//! Who may take a Lease, and what it says then: decisions alone, made as client-go makes them.

use crate::context::Context;
use crate::model::lease::LeaseRecord;
use std::time::Duration;
use tokio::time::Instant;

/// How far the clocks of two machines may be apart before one of them takes the other's Lease for expired. Where the
/// Lease is watched for as long as it holds, clocks do not matter.
pub(super) const SKEW: Duration = Duration::from_mins(1);

/// What a Lease is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may be taken: nobody holds it, or its holder has not renewed it in time.
    Free,
    /// This run holds it.
    Ours,
    /// Someone else holds it.
    Held,
}

/// What a Lease is to the run `us` that has seen it stand still for so long, at this time of day.
pub(super) fn standing(hold: &LeaseRecord, us: &str, still: Duration, now: i64, context: &Context) -> Standing {
    if hold.holder.is_empty() {
        return Standing::Free;
    }
    if hold.holder == us {
        return Standing::Ours;
    }
    // a holder without an end was written by hand, to hold everyone off
    let Some(seconds) = hold.seconds else { return Standing::Held };
    let life = context.scaled(Duration::from_secs(seconds.into()));
    let over = hold.renewed.is_some_and(|renewed| {
        let end = renewed.saturating_add(micros(life)).saturating_add(micros(context.scaled(SKEW)));
        end < now
    });
    if still >= life || over { Standing::Free } else { Standing::Held }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Since when a Lease has been seen to say the same.
#[derive(Debug, Default)]
pub(super) struct Observation(Option<(LeaseRecord, Instant)>);

impl Observation {
    /// For how long it has said this.
    pub(super) fn still(&mut self, hold: &LeaseRecord, now: Instant) -> Duration {
        match &self.0 {
            Some((seen, since)) if seen == hold => now.saturating_duration_since(*since),
            _ => {
                self.0 = Some((hold.clone(), now));
                Duration::ZERO
            }
        }
    }
}

/// What a Lease says when `us` takes it.
pub(super) fn taken(before: Option<&LeaseRecord>, us: &str, seconds: u32, now: i64) -> LeaseRecord {
    let transitions = before.map_or(0, |hold| hold.transitions.saturating_add(1));
    LeaseRecord { holder: us.to_owned(), seconds: Some(seconds), acquired: Some(now), renewed: Some(now), transitions }
}

/// What it says when its holder renews it.
pub(super) fn renewed(hold: &LeaseRecord, now: i64) -> LeaseRecord {
    LeaseRecord { renewed: Some(now), ..hold.clone() }
}

/// What it says when its holder lets go of it: held by nobody, for as short as can be.
pub(super) fn released(hold: &LeaseRecord, now: i64) -> LeaseRecord {
    LeaseRecord {
        holder: String::new(),
        seconds: Some(1),
        acquired: Some(now),
        renewed: Some(now),
        transitions: hold.transitions,
    }
}

/// Why a run has lost a Lease that it held, from what is there now; nothing if it still has it.
pub(super) fn loss(found: Option<&LeaseRecord>, us: &str) -> Option<String> {
    match found {
        None => Some("someone deleted the Lease".to_owned()),
        Some(hold) if hold.holder == us => None,
        Some(hold) if hold.holder.is_empty() => Some("someone took this run's name out of the Lease".to_owned()),
        Some(hold) => Some(format!("`{}` holds it now", hold.holder)),
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

    /// Held by `them` for 60 seconds, renewed so many seconds ago.
    fn held(ago: i64) -> LeaseRecord {
        let renewed = Some(NOW - ago * SECOND);
        LeaseRecord { holder: "them".into(), seconds: Some(60), acquired: renewed, renewed, transitions: 3 }
    }

    fn judged(hold: &LeaseRecord, still: u64) -> Standing {
        standing(hold, "us", Duration::from_secs(still), NOW, &context(1))
    }

    #[test]
    fn one_that_nobody_holds_is_free_and_ones_own_is_ones_own() {
        assert_eq!(judged(&LeaseRecord::default(), 0), Standing::Free);
        assert_eq!(judged(&LeaseRecord { holder: String::new(), ..held(0) }, 0), Standing::Free);
        assert_eq!(judged(&LeaseRecord { holder: "us".into(), ..held(500) }, 0), Standing::Ours);
    }

    #[test]
    fn a_holder_is_believed_until_it_was_seen_to_stand_still() {
        for (still, standing) in [(0, Standing::Held), (59, Standing::Held), (60, Standing::Free), (61, Standing::Free)]
        {
            assert_eq!(judged(&held(0), still), standing, "{still}");
            // whatever its clock says: a time to come, or none at all
            assert_eq!(judged(&held(-86_400), still), standing, "{still}");
            assert_eq!(judged(&LeaseRecord { renewed: None, ..held(0) }, still), standing, "{still}");
        }
    }

    #[test]
    fn one_that_is_clearly_over_is_free_at_first_sight() {
        for (ago, standing) in [(60, Standing::Held), (120, Standing::Held), (121, Standing::Free)] {
            assert_eq!(judged(&held(ago), 0), standing, "{ago}");
        }
        // all durations are scaled alike
        let quick = |ago| standing(&held(ago), "us", Duration::ZERO, NOW, &context(60));
        assert_eq!((quick(2), quick(3)), (Standing::Held, Standing::Free));
    }

    #[test]
    fn one_without_an_end_is_held_until_someone_ends_it() {
        assert_eq!(judged(&LeaseRecord { seconds: None, ..held(1_000_000) }, 1_000_000), Standing::Held);
    }

    #[test]
    fn a_lease_that_changes_is_seen_anew() {
        let (mut sight, start) = (Observation::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(sight.still(&held(0), at(0)), Duration::ZERO);
        assert_eq!(sight.still(&held(0), at(20)), Duration::from_secs(20));
        assert_eq!(sight.still(&held(-20), at(40)), Duration::ZERO, "it was renewed");
        assert_eq!(sight.still(&held(-20), at(90)), Duration::from_secs(50));
    }

    #[test]
    fn takings_are_counted_renewals_are_not() {
        let first = taken(None, "us", 60, NOW);
        assert_eq!(
            (first.transitions, first.acquired, first.renewed, first.seconds),
            (0, Some(NOW), Some(NOW), Some(60))
        );
        let later = renewed(&first, NOW + SECOND);
        assert_eq!(later, LeaseRecord { renewed: Some(NOW + SECOND), ..first });
        let ended = released(&later, NOW + 2 * SECOND);
        assert_eq!((ended.holder.as_str(), ended.seconds, ended.transitions), ("", Some(1), 0));
        assert_eq!(standing(&ended, "them", Duration::ZERO, NOW, &context(1)), Standing::Free);
        assert_eq!(taken(Some(&ended), "them", 60, NOW).transitions, 1);
    }

    #[test]
    fn a_lease_that_is_no_longer_ours_is_lost() {
        assert_eq!(loss(Some(&LeaseRecord { holder: "us".into(), ..held(500) }), "us"), None);
        assert!(loss(None, "us").unwrap().contains("deleted"));
        assert!(
            loss(Some(&LeaseRecord { holder: String::new(), ..held(0) }), "us")
                .unwrap()
                .contains("took this run's name")
        );
        assert_eq!(loss(Some(&held(0)), "us").unwrap(), "`them` holds it now");
    }
}
