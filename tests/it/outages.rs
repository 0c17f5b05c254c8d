//! How long an apply of many objects takes, and how much it sends, if a cluster or an account cannot serve it. The
//! clock stands still.

use crate::support::inside::{self, Ended, Inside};
use crate::support::program::tell;
use crate::support::world::FIRST;
use irsa_sandbox::gate::Stage;
use irsa_sandbox::{ClusterSpec, SandboxOptions, aws, kubernetes};
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

/// The time budget of one operation, and a little more.
const ONE_BUDGET: Duration = Duration::from_secs(125);
/// The time that a call behind a broken webhook may take, and a little more.
const SOON: Duration = Duration::from_secs(25);

/// Ten roles with ten ServiceAccounts each.
fn configuration() -> String {
    let mut text = "owner = \"me\"\n[clusters.main]\n".to_owned();
    for role in 0..10 {
        let names: Vec<String> = (0..10).map(|number| format!("\"apps/w{role}-{number}\"")).collect();
        writeln!(text, "[roles.r{role}]\nservice-accounts = [{}]", names.join(", ")).expect("a string");
    }
    text
}

async fn inside() -> Inside {
    let clusters = vec![ClusterSpec::new("main", FIRST, "eu-west-1").with_namespaces(&["apps"])];
    let inside = Inside::start(SandboxOptions { clusters, ..SandboxOptions::empty() }).await;
    inside.write("irsa.toml", &configuration());
    inside
}

async fn apply(inside: &Inside) -> (Ended, Value) {
    let line = ["apply", "--auto-approve", "--format", "json"];
    let ended = inside.irsa(1, "irsa.toml", &line).await;
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {ended}"));
    (ended, report)
}

#[test]
fn hundred_objects_in_a_failing_cluster_take_the_time_of_one() {
    let webhook = "failed calling webhook \"a.b.c\": failed to call webhook: Post \"https://a.b.svc:443/\": EOF";
    let refuse = kubernetes::Fault::Refuse;
    for (what, fault, most) in [
        ("a webhook is down", refuse(kubernetes::Refusal::internal(webhook)), SOON),
        ("500", refuse(kubernetes::Refusal::internal("etcdserver: no leader")), ONE_BUDGET),
        ("503", refuse(kubernetes::Refusal::unavailable()), ONE_BUDGET),
        ("429", refuse(kubernetes::Refusal::too_many_requests(1)), ONE_BUDGET),
        ("no answer", kubernetes::Fault::Hang, ONE_BUDGET),
        ("a reset", kubernetes::Fault::Drop, ONE_BUDGET),
        ("502 in HTML", kubernetes::Fault::bad_gateway(), ONE_BUDGET),
    ] {
        inside::runtime().block_on(async {
            let inside = inside().await;
            let cluster = inside.sandbox.cluster("main");
            for verb in ["create", "patch"] {
                let what = kubernetes::Match::on(verb, "serviceaccounts");
                cluster.gate().fault(Stage::Before, what, fault.clone(), None);
            }
            let (ended, report) = apply(&inside).await;
            assert_eq!((ended.code, &report["summary"]["failed"]), (6, &100.into()), "{what}: {ended}");
            assert!(ended.took < most, "{what}: {:?}", ended.took);
            let outcomes = report["outcomes"].as_array().cloned().unwrap_or_default();
            let failures: Vec<&Value> =
                outcomes.iter().map(|one| &one["failure"]).filter(|one| one.is_object()).collect();
            let unsent = failures.iter().filter(|one| one["why"].to_string().contains("not sent")).count();
            assert!((80..100).contains(&unsent), "{what}: {unsent} of 100 were not sent");
            let first = &failures[0];
            assert!(
                failures.iter().all(|one| one["code"] == first["code"] && one["hint"] == first["hint"]),
                "{what}: {ended}"
            );
            let sent = cluster.gate().writes().len();
            assert!(sent < 13 * 25, "{what}: {sent} requests");
            tell(&format!("outages: {what}: 100 objects fail in {:?} with {sent} requests", ended.took));
            cluster.gate().heal();
            let (ended, report) = apply(&inside).await;
            assert_eq!((ended.code, &report["summary"]["applied"]), (0, &100.into()), "{what}: {ended}");
        });
    }
}

#[test]
fn hundred_calls_to_a_failing_account_take_the_time_of_one() {
    for (what, fault) in [
        ("503", aws::Fault::Refuse(aws::Refusal::unavailable())),
        ("500", aws::Fault::Refuse(aws::Refusal::internal("iam"))),
        ("a reset", aws::Fault::Drop),
    ] {
        inside::runtime().block_on(async {
            let inside = inside().await;
            let mut text = "owner = \"me\"\n[clusters.main]\n".to_owned();
            for role in 0..100 {
                writeln!(text, "[roles.r{role}]\nservice-accounts = [\"apps/w{role}\"]").expect("a string");
            }
            inside.write("irsa.toml", &text);
            inside.sandbox.gate().fault(Stage::Before, aws::Match::on("iam", "CreateRole"), fault, None);
            let (ended, report) = apply(&inside).await;
            assert_eq!((ended.code, &report["summary"]["failed"]), (6, &100.into()), "{what}: {ended}");
            assert!(ended.took < ONE_BUDGET, "{what}: {:?}", ended.took);
            inside.sandbox.gate().heal();
            let (ended, _) = apply(&inside).await;
            assert_eq!(ended.code, 0, "{what}: {ended}");
        });
    }
}
