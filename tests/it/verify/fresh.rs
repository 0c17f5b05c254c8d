//! `apply --verify` while STS does not see yet what was just written, on a clock that stands still.

use crate::support::inside::{self, Ended, Inside};
use crate::support::many;
use crate::support::verification::link;
use crate::support::world::FIRST;
use irsa_sandbox::aws::{Fault, Match, Refusal};
use irsa_sandbox::gate::Stage;
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use serde_json::Value;
use std::time::Duration;

const NOT_AUTHORIZED: &str = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
const NO_PROVIDER: &str = "No OpenIDConnect provider found in your account";

async fn inside() -> Inside {
    let clusters = vec![ClusterSpec::new("main", FIRST, "eu-west-1").with_namespaces(&["apps"])];
    let inside = Inside::start(SandboxOptions { clusters, ..SandboxOptions::empty() }).await;
    let head =
        format!("owner = \"fresh\"\n[accounts.one]\nid = \"{FIRST}\"\n[clusters.main]\nregion = \"eu-west-1\"\n");
    inside.write("irsa.toml", &(head + &many::roles(0..1, "one", "main")));
    inside
}

fn refuse(inside: &Inside, code: &str, message: &str, times: Option<u32>) {
    let status = if code == "AccessDenied" { 403 } else { 400 };
    let fault = Fault::Refuse(Refusal::new(status, code, message));
    inside.sandbox.gate().fault(Stage::Before, Match::on("sts", "AssumeRoleWithWebIdentity"), fault, times);
}

/// Applies and verifies. The issuer's host cannot be reached in memory.
async fn apply(inside: &Inside) -> Ended {
    inside.irsa(1, "irsa.toml", &["apply", "--auto-approve", "--verify", "--allow-incomplete"]).await
}

fn asked(inside: &Inside) -> usize {
    many::aws(inside)["sts:AssumeRoleWithWebIdentity"]
}

#[test]
fn refusals_right_after_the_write_are_asked_again() {
    inside::runtime().block_on(async {
        let inside = inside().await;
        refuse(&inside, "AccessDenied", NOT_AUTHORIZED, Some(3));
        refuse(&inside, "InvalidIdentityToken", NO_PROVIDER, Some(2));
        let ended = apply(&inside).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert!(!ended.text().contains("FAIL") && ended.text().contains("Verified 1 ServiceAccount"), "{ended}");
        assert_eq!(asked(&inside), 6, "{ended}");
        assert!(ended.took < Duration::from_mins(1), "{ended}");
        // the account is identified once, and once more by the session of the pod
        assert_eq!(many::aws(&inside)["sts:GetCallerIdentity"], 2, "{ended}");
    });
}

#[test]
fn reads_of_iam_that_lag_break_no_link() {
    inside::runtime().block_on(async {
        for stale in [1, 3, 6] {
            let inside = inside().await;
            inside.sandbox.stale_reads(stale);
            // lists of a Kubernetes API are from its storage
            inside.sandbox.cluster("main").stale_reads(0);
            refuse(&inside, "InvalidIdentityToken", NO_PROVIDER, Some(2));
            let ended = apply(&inside).await;
            assert_eq!(ended.code, 0, "{stale} stale reads: {ended}");
            assert!(!ended.text().contains("FAIL"), "{ended}");
        }
    });
}

#[test]
fn refusal_that_stays_fails_at_the_end_of_the_time_for_an_operation() {
    inside::runtime().block_on(async {
        let inside = inside().await;
        refuse(&inside, "AccessDenied", NOT_AUTHORIZED, None);
        let ended = apply(&inside).await;
        assert_eq!(ended.code, 7, "{ended}");
        assert!(ended.text().contains("FAIL assume: STS refuses the token: AccessDenied"), "{ended}");
        assert!(ended.took > Duration::from_secs(110) && ended.took < Duration::from_secs(150), "{ended}");
        assert!(asked(&inside) > 20, "{ended}");
    });
}

#[test]
fn denial_by_a_trust_that_depends_on_the_caller_is_not_waited_for() {
    inside::runtime().block_on(async {
        let inside = inside().await;
        let head = std::fs::read_to_string(inside.path("irsa.toml")).expect("the configuration");
        let deny = "[[roles.main-r0.trust]]\neffect = \"Deny\"\nprincipals = \"*\"\nactions = [\"sts:AssumeRoleWithWebIdentity\"]\nconditions = { StringNotEquals = { \"aws:SourceVpc\" = \"vpc-1\" } }\n";
        inside.write("irsa.toml", &(head + deny));
        // the provider of this run is waited for
        refuse(&inside, "InvalidIdentityToken", NO_PROVIDER, Some(2));
        let ended = apply(&inside).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert!(ended.text().contains("? assume: STS denies irsa the role (AccessDenied"), "{ended}");
        assert_eq!(asked(&inside), 3, "{ended}");
        assert!(ended.took < Duration::from_mins(1), "{ended}");
    });
}

#[test]
fn refusal_of_a_role_that_this_run_did_not_write_is_final() {
    inside::runtime().block_on(async {
        let inside = inside().await;
        assert_eq!(apply(&inside).await.code, 0);
        refuse(&inside, "AccessDenied", NOT_AUTHORIZED, None);
        let before = asked(&inside);
        let ended = inside.irsa(1, "irsa.toml", &["verify", "--allow-incomplete"]).await;
        assert_eq!(ended.code, 7, "{ended}");
        assert_eq!(asked(&inside), before + 1, "{ended}");
        // an annotation that somebody took away is this run's; the role is not
        inside.sandbox.cluster("main").with(|store| {
            store.tamper(irsa_sandbox::kubernetes::Resource::ServiceAccounts, "apps", "s0", |object| {
                object["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] = Value::from("x");
            })
        });
        let ended = inside
            .irsa(1, "irsa.toml", &["apply", "--auto-approve", "--verify", "--allow-incomplete", "--force-conflicts"])
            .await;
        assert_eq!(ended.code, 7, "{ended}");
        assert_eq!(asked(&inside), before + 2, "{ended}");
    });
}

#[test]
fn issuer_that_sts_does_not_reach_is_not_a_refusal() {
    inside::runtime().block_on(async {
        let inside = inside().await;
        assert_eq!(apply(&inside).await.code, 0);
        refuse(&inside, "IDPCommunicationError", "could not be reached", None);
        let ended = inside.irsa(1, "irsa.toml", &["verify", "--format", "json"]).await;
        assert_eq!(ended.code, 4, "{ended}");
        let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let link = link(&document, "assume");
        assert_eq!(link["status"], "unknown", "{ended}");
        let text = link["text"].as_str().expect("a text");
        assert!(text.starts_with("STS could not reach the host of the issuer: IDPCommunicationError"), "{text}");
        assert!(link["hint"].as_str().expect("a hint").contains("from the internet"), "{ended}");
    });
}
