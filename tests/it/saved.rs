//! irsa applies what was reviewed (README, guarantee 4): saved plans. These tests run the real binary against the
//! sandbox.

use crate::ownership::{HEAD, Scene, role};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

fn scene() -> Scene {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene
}

#[test]
fn saved_plan_is_private_and_is_shown_and_applied_without_confirmation() {
    let scene = scene();
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    let mode = std::fs::metadata(scene.bench.path("plan.json")).expect("it was written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = scene.bench.ends(0, &["show", "plan.json"]);
    shown.says("+ role/app").says("Plan: 3 to create, 0 to update, 0 to delete.");
    let saved: Value = serde_json::from_str(&scene.bench.read("plan.json")).expect("JSON");
    assert_eq!(scene.bench.ends(0, &["show", "plan.json", "--format", "json"]).json(), saved);
    scene.bench.ends(0, &["apply", "plan.json"]);
    scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.");
    // a second apply has nothing left to do
    scene.bench.ends(0, &["apply", "plan.json"]);
}

#[test]
fn plan_json_has_the_documented_keys() {
    let scene = scene();
    let plan = scene.bench.plan(&[]);
    let keys: Vec<&str> = plan.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut wanted = vec![
        "format-version",
        "irsa-version",
        "created-at",
        "owner",
        "config-digest",
        "options",
        "complete",
        "summary",
        "changes",
        "refused",
        "unknown",
        "notes",
        "plan-digest",
        "digest",
    ];
    wanted.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, wanted);
    assert_eq!(plan["format-version"], "2.0");
    assert_eq!(
        plan["options"],
        json!({"only": [], "destroy": false, "adopt": false, "force": false, "force-conflicts": false,
            "allow-incomplete": false, "skip-refused": false})
    );
    let change = &plan["changes"][0];
    for key in ["address", "action", "reasons", "before", "after", "fields"] {
        assert!(change.get(key).is_some(), "{key}");
    }
    assert!(change["before"].is_null());
}

#[test]
fn same_live_state_gives_the_same_plan_digest() {
    let scene = scene();
    let (one, two) = (scene.bench.plan(&[]), scene.bench.plan(&[]));
    assert_eq!(one["plan-digest"], two["plan-digest"]);
    let expected = one["plan-digest"].as_str().expect("text").to_owned();
    scene.someone.create_role("unrelated", &crate::ownership::trust(), &[]);
    scene.bench.ends(5, &["apply", "--auto-approve", "--expect", "sha256:0000"]);
    assert!(!scene.someone.has_role("app"));
    scene.bench.ends(0, &["apply", "--auto-approve", "--expect", &expected]);
}

#[test]
fn plan_file_with_a_changed_byte_is_refused() {
    let scene = scene();
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    let text = scene.bench.read("plan.json");
    for (number, place) in (0..text.len()).step_by(97).enumerate() {
        let mut bytes = text.clone().into_bytes();
        bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
        scene.bench.write("changed.json", &String::from_utf8_lossy(&bytes));
        let run = scene.bench.irsa(&["show", "changed.json"]);
        assert_eq!(run.code, 5, "byte {place} ({number}): {run}");
    }
    scene.bench.write("changed.json", &format!("{text} "));
    scene.bench.ends(5, &["apply", "changed.json"]);
    assert!(scene.world.writes().is_empty());
}

/// Whoever can change the file can also recompute its digests. Each change must still follow from the configuration.
#[test]
fn forged_plan_with_recomputed_digests_is_refused() {
    let scene = scene();
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    let text = scene.bench.read("plan.json");
    let forged_text = text.replace("AmazonS3ReadOnlyAccess", "AdministratorAccess");
    assert_ne!(forged_text, text);
    scene.bench.write("forged.json", &signed(&forged_text));
    scene.bench.ends(0, &["show", "forged.json"]);
    let run = scene.bench.ends(5, &["apply", "forged.json"]);
    run.says("role/app");
    assert!(scene.world.writes().is_empty(), "{:?}", scene.world.writes());
}

/// The text with both digests recomputed.
pub(crate) fn signed(text: &str) -> String {
    let mut plan: irsa::plan::PlanV2 = serde_json::from_str(text).expect("a plan");
    crate::corpus::targets::seal(&mut plan);
    plan.to_text()
}

#[test]
fn plan_of_another_configuration_is_refused() {
    let scene = scene();
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    scene.declare(&(role("app") + "description = \"changed since\"\n"));
    scene.bench.ends(5, &["apply", "plan.json"]).says("another configuration");
    assert!(scene.world.writes().is_empty());
}

#[test]
fn stale_plan_is_refused_and_writes_nothing() {
    let scene = scene();
    scene.bench.converges();
    scene.declare(&(role("app") + "description = \"new\"\n"));
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    let document =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    scene.someone.put_inline("app", "since", &document);
    scene.world.clear_log();
    let run = scene.bench.ends(5, &["apply", "plan.json"]);
    run.says("role/app");
    assert!(scene.world.writes().is_empty(), "{:?}", scene.world.writes());
}

#[test]
fn planned_change_that_is_already_live_does_not_make_the_plan_stale() {
    let scene = scene();
    scene.bench.converges();
    scene
        .bench
        .write("irsa.toml", &format!("{HEAD}{}", role("app") + "tags = { team = \"x\" }\ndescription = \"new\"\n"));
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    scene.someone.tag_role("app", "team", "x");
    scene.bench.ends(0, &["apply", "plan.json"]);
    scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
}

/// IAM ignores the case of tag keys.
#[test]
fn ignored_tag_may_change_in_any_case_while_a_plan_is_saved() {
    let scene = scene();
    let declare = |more: &str| {
        scene.bench.write("irsa.toml", &format!("ignore-tags = [\"cost:*\"]\n{HEAD}{}{more}", role("app")));
    };
    declare("");
    scene.bench.converges();
    scene.someone.tag_role("app", "Cost:Center", "7");
    declare("description = \"new\"\n");
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    scene.someone.tag_role("app", "Cost:Center", "8");
    scene.bench.ends(0, &["apply", "plan.json"]);
    assert_eq!(scene.someone.role_tags("app")["Cost:Center"], "8");
}

#[test]
fn plan_with_refusals_is_refused() {
    let scene = scene();
    scene.someone.create_role("app", &crate::ownership::trust(), &[]);
    scene.bench.ends(4, &["plan", "-o", "plan.json"]);
    scene.bench.ends(4, &["apply", "plan.json"]);
}

#[test]
fn missing_or_invalid_plan_file_is_refused() {
    let scene = scene();
    scene.bench.ends(1, &["apply", "missing.json"]);
    scene.bench.write("other.json", "{}");
    scene.bench.ends(5, &["apply", "other.json"]);
    scene.bench.ends(64, &["apply", "other.json", "--only", "role/app"]);
}
