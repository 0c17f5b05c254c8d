//! Two processes at once, without a lock. Whatever they do to each other, one more run reaches the declared state, no
//! object exists twice, and objects of others stay untouched.
//!
//! Free-running processes cannot be replayed: these tests show that nothing broke, not that every order was tried.

use crate::support::fleet::{Fleet, HEAD, Scene, same};
use crate::support::program::{Bench, Run, tell};
use serde_json::Value;
use std::collections::BTreeMap;

/// Exit codes that one of two runs may end with: done, a service error, refused, applied in part.
const ENDS: [i32; 4] = [0, 1, 4, 6];

/// Runs both at once, to their ends.
fn both(one: &Bench, other: &Bench) -> [Run; 2] {
    let line = ["apply", "--auto-approve"];
    let (one, other) = (one.start(&line), other.start(&line));
    [one.ends(), other.ends()]
}

fn sound(runs: &[Run; 2], ends: &mut BTreeMap<(i32, i32), usize>) {
    for run in runs {
        assert!(ENDS.contains(&run.code), "{run}");
        assert!(!run.stderr.contains("panicked"), "{run}");
    }
    *ends.entry((runs[0].code, runs[1].code)).or_default() += 1;
}

/// The state without the parts that depend on which run was first: the number of versions that a policy has had.
fn settled(scene: &Scene) -> Value {
    let mut state = scene.state();
    for account in ["111122223333", "444455556666"] {
        let policies = state["iam"][account]["policies"].as_object_mut().into_iter().flat_map(|all| all.values_mut());
        for policy in policies {
            let versions = policy["versions"].as_object().cloned().unwrap_or_default();
            assert!(versions.len() <= 5, "{policy}");
            let default = policy["default"].as_str().unwrap_or_default().to_owned();
            policy["versions"] = versions.get(&default).cloned().unwrap_or_default();
            policy["default"] = "the only one shown".into();
        }
    }
    state
}

#[test]
fn two_runs_of_one_configuration_reach_its_state() {
    let fleet = Fleet::new();
    let alone = fleet.scene();
    alone.converges();
    let wanted = settled(&alone);
    let mut ends = BTreeMap::new();
    for _ in 0..20 {
        let scene = fleet.scene();
        let foreign = scene.foreign();
        sound(&both(&scene.bench, &scene.bench), &mut ends);
        assert_eq!(scene.foreign(), foreign, "the objects of others");
        scene.converges();
        assert_eq!(scene.foreign(), foreign, "the objects of others");
        same(&settled(&scene), &wanted);
    }
    tell(&format!("pairs: 20 that apply the same end with {ends:?}"));
}

/// Another configuration for the same accounts and clusters.
const OTHER: &str = r#"
[policies.b-queue]
statements = [{ actions = ["sqs:SendMessage"], resources = ["arn:aws:sqs:*:*:b"] }]
[roles.b-api]
attach = ["b-queue", "aws:AmazonS3ReadOnlyAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/foreign-limits"
cluster = "blue"
service-accounts = ["apps/b-api"]
[roles.b-api.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::b-api/*"] }]
[roles.b-jobs]
attach = ["b-queue"]
cluster = "blue"
service-accounts = ["apps/b-jobs", "apps/b-jobs-two"]
[roles.b-bridge]
account = "one"
attach = ["aws:AmazonS3ReadOnlyAccess"]
cluster = "green"
service-accounts = ["apps/b-bridge"]
[roles.b-two]
attach = ["aws:AmazonSQSReadOnlyAccess"]
cluster = "green"
service-accounts = ["apps/b-two"]
"#;

/// The names of the roles, policies and ServiceAccounts of this owner alone.
fn names(state: &Value, owner: &str) -> Vec<String> {
    let mark = format!("\"irsa/owner\":\"{owner}\"");
    let mut list = Vec::new();
    for (place, kinds) in state["iam"].as_object().into_iter().flatten() {
        for (kind, objects) in kinds.as_object().into_iter().flatten().filter(|(kind, _)| *kind != "providers") {
            let ours =
                objects.as_object().into_iter().flatten().filter(|(_, object)| object.to_string().contains(&mark));
            list.extend(ours.map(|(name, _)| format!("{place} {kind} {name}")));
        }
    }
    for (place, objects) in state["service-accounts"].as_object().into_iter().flatten() {
        let ours = objects.as_object().into_iter().flatten().filter(|(_, object)| object.to_string().contains(&mark));
        list.extend(ours.map(|(name, _)| format!("{place} {name}")));
    }
    list
}

#[test]
fn two_runs_of_different_owners_keep_apart() {
    let fleet = Fleet::new();
    let other = |scene: &Scene| {
        let mut bench =
            Bench::with(scene.world.environment(), &format!("{}{OTHER}", HEAD.replace("\"fleet\"", "\"b\"")));
        bench.set("IRSA_TEST_SPEED", "3");
        bench
    };
    // the runs do not disturb each other if they run one after the other
    let alone = fleet.scene();
    alone.converges();
    other(&alone).converges();
    let wanted = ["fleet", "b"].map(|owner| names(&alone.state(), owner));
    let providers = alone.state()["iam"]["111122223333"]["providers"].as_object().map(serde_json::Map::len);
    assert_eq!((wanted[1].len(), providers), (10, Some(3)), "{wanted:?}");
    let mut ends = BTreeMap::new();
    for _ in 0..10 {
        let scene = fleet.scene();
        let (foreign, second) = (scene.foreign(), other(&scene));
        sound(&both(&scene.bench, &second), &mut ends);
        for bench in [&scene.bench, &second] {
            bench.ends(0, &["apply", "--auto-approve"]);
        }
        for bench in [&scene.bench, &second] {
            bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.");
        }
        assert_eq!(scene.foreign(), foreign, "the objects of others");
        let state = scene.state();
        assert_eq!(["fleet", "b"].map(|owner| names(&state, owner)), wanted);
        assert_eq!(state["iam"]["111122223333"]["providers"].as_object().map(serde_json::Map::len), providers);
    }
    tell(&format!("pairs: 10 of different owners end with {ends:?}"));
}
