//! The verifying reads at the end of an apply, if IAM shows acknowledged writes late or never.

use crate::support::inside::{self, Inside};
use crate::support::many;
use crate::support::world::FIRST;
use irsa_sandbox::aws::{Fault, Match};
use irsa_sandbox::gate::Stage;
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use std::time::Duration;

fn configuration(tag: &str) -> String {
    let head = format!("owner = \"late\"\n[accounts.one]\nid = \"{FIRST}\"\n[clusters.main]\nregion = \"eu-west-1\"\n");
    head + &many::roles(0..3, "one", "main").replace("team = \"x\"", &format!("team = \"{tag}\""))
}

/// A sandbox with three live roles that have tag `x`, and a configuration with tag `y`.
async fn changed() -> Inside {
    let clusters = vec![ClusterSpec::new("main", FIRST, "eu-west-1").with_namespaces(&["apps"])];
    let inside = Inside::start(SandboxOptions { clusters, ..SandboxOptions::empty() }).await;
    inside.write("irsa.toml", &configuration("x"));
    let ended = inside.irsa(1, "irsa.toml", &["apply", "--auto-approve"]).await;
    assert_eq!(ended.code, 0, "{ended}");
    inside.write("irsa.toml", &configuration("y"));
    many::forget(&inside, &["main"]);
    inside
}

const NOTE: &str = "written, but IAM does not show it yet: `tags.team`";

#[test]
fn write_that_iam_never_shows_is_noted_and_is_no_failure() {
    inside::runtime().block_on(async {
        let inside = changed().await;
        inside.sandbox.stale_reads(1_000);
        let apply = ["apply", "--auto-approve", "--format", "json"];
        let ended = inside.irsa(1, "irsa.toml", &apply).await;
        assert_eq!(ended.code, 0, "{ended}");
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!((&report["succeeded"], &report["summary"]["applied"]), (&true.into(), &3.into()), "{ended}");
        // of several writes to an object, the sandbox hides the last one
        let steps = report["outcomes"].as_array().expect("steps");
        assert!(steps.iter().all(|step| step["outcome"] == "applied"), "{ended}");
        let notes: Vec<&str> = steps.iter().filter_map(|step| step["note"].as_str()).collect();
        assert_eq!(notes, [NOTE], "{ended}");
        assert!(ended.took > Duration::from_secs(5) && ended.took < Duration::from_secs(15), "{ended}");
    });
}

#[test]
fn write_that_iam_shows_late_is_waited_for() {
    inside::runtime().block_on(async {
        let inside = changed().await;
        inside.sandbox.stale_reads(4);
        let ended = inside.irsa(1, "irsa.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert!(ended.stdout.contains("Applied 3 of 3 changes.") && !ended.text().contains("note:"), "{ended}");
        assert!(many::aws(&inside)["iam:GetRole"] > 3 + 3, "the plan's and the first look's");
    });
}

#[test]
fn denied_verifying_read_is_noted_and_is_no_failure() {
    inside::runtime().block_on(async {
        let inside = changed().await;
        // allows the three reads of the plan, and no read after that
        let gate = inside.sandbox.gate();
        gate.fault(Stage::Before, Match::on("iam", "GetRole"), Fault::Delay(Duration::ZERO), Some(3));
        gate.fault(Stage::Before, Match::on("iam", "GetRole"), Fault::Deny, None);
        let ended = inside.irsa(1, "irsa.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert!(
            ended.stdout.contains("note: it was written, but irsa could not read it again: iam:GetRole: AccessDenied"),
            "{ended}"
        );
    });
}
