use super::*;
use crate::ids::Key;
use crate::model::address::Address;

fn read(place: &str, objects: usize) -> Event {
    Event::PlaceRead { place: place.into(), objects }
}

#[test]
fn reading_counts_places_and_objects() {
    let mut tally = Tally::default();
    assert_eq!(tally.count(&Event::ReadStarted { places: 2 }), Change::Started);
    assert_eq!(tally.line(), "Reading: 0 of 2 accounts and clusters, 0 objects");
    assert_eq!(tally.count(&read("account/prod", 40)), Change::Progress);
    assert_eq!(tally.line(), "Reading: 1 of 2 accounts and clusters, 40 objects (account/prod)");
    assert_eq!(tally.progress(), (1, 2));
    tally.count(&read("cluster/\u{1b}x", 2));
    assert_eq!(tally.line(), "Reading: 2 of 2 accounts and clusters, 42 objects (cluster/<U+001B>x)");
    assert_eq!(tally.count(&Event::ReadFinished), Change::Ended("Read 42 objects in 1 account and 1 cluster.".into()));
    tally.count(&Event::ReadStarted { places: 1 });
    assert_eq!(tally.line(), "Reading: 0 of 1 accounts and clusters, 0 objects");
}

#[test]
fn proving_counts_service_accounts() {
    let mut tally = Tally::default();
    assert_eq!(tally.count(&Event::VerifyStarted { chains: 2 }), Change::Started);
    assert_eq!(tally.count(&Event::ChainRead), Change::Progress);
    tally.count(&Event::Waiting { what: "sts:AssumeRoleWithWebIdentity".into() });
    assert_eq!(tally.line(), "Verifying: 1 of 2 ServiceAccounts (waiting: sts:AssumeRoleWithWebIdentity)");
    assert_eq!(tally.progress(), (1, 2));
    assert_eq!(tally.count(&Event::VerifyFinished), Change::Ended("Tried 2 ServiceAccounts.".into()));
}

#[test]
fn applying_counts_calls_and_ends_with_the_last_step() {
    let address = Address::role(&Key::parse("reports").unwrap());
    let operation = "iam:CreateRole".to_owned();
    let mut tally = Tally::default();
    assert_eq!(tally.count(&Event::ApplyStarted { steps: 2, calls: 3 }), Change::Started);
    tally.count(&Event::CallStarted { address: address.clone(), operation: operation.clone() });
    assert_eq!(tally.line(), "Applying: 0 of 2 steps, 0 of 3 calls (role/reports iam:CreateRole)");
    tally.count(&Event::CallFinished { address: address.clone(), operation });
    assert_eq!(tally.count(&Event::StepFinished { address: address.clone(), outcome: "applied" }), Change::Progress);
    tally.count(&Event::Waiting { what: "a throttle".into() });
    assert_eq!(tally.line(), "Applying: 1 of 2 steps, 1 of 3 calls (waiting: a throttle)");
    assert_eq!(tally.progress(), (1, 3));
    let end = tally.count(&Event::StepFinished { address, outcome: "failed" });
    assert_eq!(end, Change::Ended("Ended 2 of 2 steps with 1 call, 1 failed.".into()));
}
