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
    assert_eq!((first.transitions, first.acquired, first.renewed, first.seconds), (0, Some(NOW), Some(NOW), Some(60)));
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
