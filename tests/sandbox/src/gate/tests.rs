//! Tests of the gate alone, on a paused clock.

use super::*;
use crate::aws::{Call, Fault as AwsFault, Gate as AwsGate, Match, Refusal};
use tokio::time::Instant;

fn call(gate: &AwsGate, account: &str, action: &str) -> Call {
    let mut call =
        Call { account: account.to_owned(), service: "iam".to_owned(), action: action.to_owned(), ..Call::default() };
    gate.arrived(&mut call);
    call
}

async fn before(gate: &AwsGate, account: &str, action: &str) -> Passed<Refusal> {
    let call = call(gate, account, action);
    gate.pass(Stage::Before, &call, None).await
}

async fn taken(gate: &AwsGate, account: &str, action: &str, times: u32) -> u32 {
    let mut count = 0;
    for _ in 0..times {
        count += u32::from(matches!(before(gate, account, action).await, Passed::On));
    }
    count
}

#[tokio::test(start_paused = true)]
async fn a_bucket_allows_its_burst_and_then_its_rate() {
    let gate = AwsGate::default();
    gate.bucket(Some(Bucket { rate: 15.0, burst: 15.0 }));
    assert_eq!(taken(&gate, "1", "GetRole", 40).await, 15);
    assert_eq!(taken(&gate, "1", "ListRoles", 40).await, 15, "each action has its own bucket");
    assert_eq!(taken(&gate, "2", "GetRole", 40).await, 15, "each account has its own bucket");
    assert_eq!(gate.throttled(), 75);
    let mut later = 0;
    for _ in 0..30 {
        tokio::time::advance(Duration::from_secs(1) / 30).await;
        later += taken(&gate, "1", "GetRole", 1).await;
    }
    assert_eq!(later, 15, "a second adds as many tokens as the rate");
    tokio::time::advance(Duration::from_secs(4000)).await;
    assert_eq!(taken(&gate, "1", "GetRole", 40).await, 15, "a bucket never holds more than its burst");
    let Passed::Refused(refusal) = before(&gate, "1", "GetRole").await else { panic!("the bucket is empty") };
    assert_eq!(refusal, Refusal::throttled("iam"));
    let last = gate.log().pop().unwrap();
    assert_eq!((last.fault, last.outcome), (Some("throttle"), None));
    gate.bucket(None);
    assert_eq!(taken(&gate, "1", "GetRole", 40).await, 40);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_request_uses_up_no_fault() {
    let gate = AwsGate::default();
    gate.bucket(Some(Bucket { rate: 1.0, burst: 1.0 }));
    gate.fault(Stage::Before, Match::any(), AwsFault::Deny, Some(2));
    let codes = async |count: usize| {
        let mut codes = Vec::new();
        for _ in 0..count {
            match before(&gate, "1", "GetRole").await {
                Passed::Refused(refusal) => codes.push(refusal.code),
                _ => codes.push("on".to_owned()),
            }
        }
        codes
    };
    assert_eq!(codes(3).await, ["AccessDenied", "Throttling", "Throttling"]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(codes(1).await, ["AccessDenied"]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(codes(1).await, ["on"]);
}

#[tokio::test(start_paused = true)]
async fn latency_delays_every_request_and_a_delay_fault_its_own() {
    let gate = AwsGate::default();
    let start = Instant::now();
    gate.wait_for_latency().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    gate.latency(Duration::from_millis(80));
    gate.wait_for_latency().await;
    gate.wait_for_latency().await;
    assert_eq!(start.elapsed().as_millis(), 160);
    gate.fault(Stage::Before, Match::any(), AwsFault::Delay(Duration::from_secs(40)), Some(1));
    assert!(matches!(before(&gate, "1", "GetRole").await, Passed::On));
    assert_eq!(start.elapsed().as_millis(), 40_160);
    assert_eq!(gate.log()[0].fault, Some("delay"));
}

#[tokio::test]
async fn truncate_works_at_both_stages() {
    let gate = AwsGate::default();
    for stage in [Stage::Before, Stage::After] {
        gate.fault(stage, Match::any(), AwsFault::Truncate, Some(1));
        let cut = call(&gate, "1", "GetRole");
        assert!(matches!(gate.pass(Stage::Before, &cut, None).await, Passed::On), "the request is executed");
        assert!(matches!(gate.pass(Stage::After, &cut, Some(200)).await, Passed::Cut));
        let whole = call(&gate, "1", "GetRole");
        assert!(matches!(gate.pass(Stage::Before, &whole, None).await, Passed::On));
        assert!(matches!(gate.pass(Stage::After, &whole, Some(200)).await, Passed::On));
    }
    let faults: Vec<_> = gate.log().iter().map(|record| record.fault).collect();
    assert_eq!(faults, [Some("truncate"), None, Some("truncate"), None]);
}

#[test]
fn a_stale_state_is_shown_for_the_given_number_of_reads() {
    let mut stale = Stale::default();
    let mut now = 1;
    let write = |stale: &mut Stale<i32>, now: &mut i32, value: Result<i32, ()>| {
        let _ = stale.write(2, now, |state| value.map(|value| *state = value));
    };
    write(&mut stale, &mut now, Ok(2));
    assert_eq!(stale.read().copied(), Some(1));
    write(&mut stale, &mut now, Err(()));
    assert_eq!(
        (stale.read().copied(), stale.read(), now),
        (Some(1), None, 2),
        "a refused write does not change the stale state"
    );
    write(&mut stale, &mut now, Ok(3));
    write(&mut stale, &mut now, Ok(4));
    assert_eq!(stale.read().copied(), Some(3), "reads see the state before the last write");
    stale.clear();
    assert_eq!(stale.read(), None);
    assert_eq!(stale.write(0, &mut now, |state| Ok::<_, ()>(std::mem::replace(state, 5))), Ok(4));
    assert_eq!((stale.read(), now), (None, 5));
}
