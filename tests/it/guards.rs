//! Guards (docs/configuration.md#guard) limit writes. `drift` reports everything, `plan` shows the changes that a guard
//! refuses, and `apply` writes none of them. These tests run the real binary against the sandbox.

use crate::ownership::{Scene, role, trust};
use crate::saved::signed;
use crate::support::program::{changes, refusals};
use serde_json::{Value, json};

/// The same change, as the short form of a plan shows it.
const SHORT: &str = "- aws:AmazonSQSReadOnlyAccess";
const EXTRA: &str = "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess";
const DRIFT: [&str; 3] = ["drift", "--confirm-after", "0s"];

fn drift<'a>(more: &[&'a str]) -> Vec<&'a str> {
    DRIFT.iter().copied().chain(more.iter().copied()).collect()
}

/// Five roles with ServiceAccounts. Somebody attached a policy to four of the roles.
fn tampered() -> Scene {
    let scene = Scene::new();
    let roles: String = (0..5).map(|index| role(&format!("r{index}"))).collect();
    scene.declare(&roles);
    scene.bench.converges();
    (0..4).for_each(|index| scene.someone.attach(&format!("r{index}"), EXTRA));
    scene
}

/// Adds a `[guard]` table to the configuration.
fn guard(scene: &Scene, table: &str) {
    scene.bench.write("irsa.toml", &format!("{}[guard]\n{table}\n", scene.bench.read("irsa.toml")));
}

#[test]
fn guards_hide_nothing_from_drift() {
    let scene = tampered();
    let run = scene.bench.ends(2, &drift(&["--metrics-file", "irsa.prom"]));
    run.says("~ role/r0").says("Plan: 0 to create, 4 to update, 0 to delete.").says(SHORT);
    assert!(!run.stdout.contains("--force") && !run.stdout.contains("refused"), "{run}");
    let metrics = scene.bench.read("irsa.prom");
    for line in [
        "irsa_drift_objects{owner=\"me\",kind=\"role\",action=\"update\"} 4",
        "irsa_refused_objects{owner=\"me\"} 0",
        "irsa_complete{owner=\"me\"} 1",
        "irsa_last_run_exit_code{owner=\"me\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let plan = scene.bench.ends(2, &drift(&["--format", "json"])).json();
    assert_eq!(changes(&plan).len(), 4);
    assert_eq!((refusals(&plan).len(), &plan["options"]["force"]), (0, &Value::Bool(false)));
    for format in ["markdown", "github", "html", "jsonl"] {
        let run = scene.bench.ends(2, &drift(&["--format", format]));
        assert!(run.stdout.contains("role/r3") && !run.stdout.contains("--force"), "{run}");
    }
    // guard limits on the command line hide nothing either
    scene.bench.ends(2, &drift(&["--guard-max-change-percent", "0", "--guard-max-delete", "0"]));
}

#[test]
fn undeclared_object_is_drift_even_if_a_guard_refuses_its_deletion() {
    let scene = Scene::new();
    let kept = role("kept") + "prevent-destroy = true\n";
    scene.declare(&(role("app") + &kept + &role("old")));
    scene.bench.converges();
    scene.someone.tag_role("old", "irsa/address", "policy/elsewhere/old");
    scene.declare(&role("app"));
    guard(&scene, "max-delete = 0");
    let plan = scene.bench.ends(2, &drift(&["--format", "json"])).json();
    let found = changes(&plan);
    for change in [
        "delete orphan/default/role/kept",
        "delete orphan/default/role/old",
        "delete service-account/main/apps/kept",
        "delete service-account/main/apps/old",
    ] {
        assert!(found.contains(&change.to_owned()), "{change}: {found:?}");
    }
    assert_eq!(refusals(&plan), [""; 0]);
    // irsa manages none of the declared objects, and apply would delete everything of ours in the cluster
    scene.declare(&role("fresh"));
    assert_eq!(scene.bench.ends(2, &drift(&["--format", "json"])).json()["refused"], json!([]));
    let plan = scene.bench.plan(&["--force"]);
    assert!(refusals(&plan).join("\n").contains("another configuration may use the same `owner`"), "{plan}");
    assert!(changes(&plan).contains(&"delete service-account/main/apps/old".to_owned()), "it is shown: {plan}");
}

#[test]
fn drift_refuses_another_owners_object_and_suggests_no_flag_that_drift_lacks() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene.bench.converges();
    scene.someone.create_role("theirs", &trust(), &[]);
    scene.someone.attach("app", EXTRA);
    scene.declare(&(role("app") + &role("theirs")));
    let plan = scene.bench.ends(4, &drift(&["--format", "json"])).json();
    assert!(changes(&plan).contains(&"update role/app".to_owned()), "what differs is shown: {plan}");
    assert!(refusals(&plan).iter().any(|line| line.starts_with("role/theirs: ")), "{plan}");
    assert!(!plan["refused"].to_string().contains("--adopt"), "{plan}");
    assert!(scene.bench.plan(&[])["refused"].to_string().contains("--adopt"));
}

#[test]
fn plan_shows_guarded_changes_and_then_the_refusal() {
    let scene = tampered();
    scene.world.clear_log();
    let run = scene.bench.ends(4, &["plan"]);
    run.says("x role/r0 (would be updated; refused)").says(SHORT).says("x role/r0 is refused");
    run.says("Plan: 0 to create, 4 to update, 0 to delete, 4 of them refused.").says("`--force`");
    let (diff, refusal) = (
        run.stdout.find("x role/r3 (would").expect("a diff"),
        run.stdout.find("x role/r0 is refused").expect("a refusal"),
    );
    assert!(diff < refusal, "{run}");
    for (format, text) in
        [("markdown", "would be updated"), ("html", "would be updated"), ("github", "would be updated")]
    {
        assert!(scene.bench.ends(4, &["plan", "--format", format]).stdout.contains(text), "{format}");
    }
    let plan = scene.bench.plan(&[]);
    assert_eq!(changes(&plan).len(), 4);
    assert_eq!(plan["changes"][0]["fields"][0]["path"], "attached");
    assert_eq!(refusals(&plan).len(), 4);
    assert_eq!((&plan["summary"]["update"], &plan["summary"]["refused"]), (&Value::from(4), &Value::from(4)));
    scene.bench.ends(4, &["apply", "--auto-approve"]).says("nothing was written");
    scene.bench.ends(0, &["apply", "--auto-approve", "--skip-refused"]);
    assert!(scene.world.writes().is_empty(), "{:?}", scene.world.writes());
    assert_eq!(scene.apply(&["--force"]).code, 0);
    assert!(!scene.someone.attached("r0").contains(EXTRA));
}

#[test]
fn saved_plan_is_not_applied_past_its_guards() {
    let scene = tampered();
    // the guard does not count new objects
    scene.bench.write("irsa.toml", &format!("{}{}", scene.bench.read("irsa.toml"), role("fresh")));
    scene.world.clear_log();
    scene.bench.ends(4, &["plan", "-o", "plan.json"]);
    scene.bench.ends(0, &["show", "plan.json"]).says("x role/r0 (would be updated; refused)").says("4 of them refused");
    scene.bench.ends(4, &["apply", "plan.json"]);
    assert!(scene.world.writes().is_empty(), "{:?}", scene.world.writes());
    // apply may do the rest, and the refused part does not make the plan stale
    scene.bench.ends(0, &["plan", "--skip-refused", "-o", "rest.json"]);
    scene.bench.ends(0, &["apply", "rest.json", "--skip-refused"]);
    assert!(scene.someone.has_role("fresh") && scene.someone.attached("r0").contains(EXTRA));
    // apply also refuses what somebody removed from the refusals in the file
    scene.bench.ends(0, &["plan", "--skip-refused", "-o", "rest.json"]);
    let mut plan: Value = serde_json::from_str(&scene.bench.read("rest.json")).expect("JSON");
    (plan["refused"], plan["summary"]["refused"]) = (json!([]), json!(0));
    scene.bench.write("forged.json", &signed(&plan.to_string()));
    scene.bench.ends(5, &["apply", "forged.json", "--skip-refused"]).says("max-change-percent");
    assert!(scene.someone.attached("r0").contains(EXTRA));
    // apply does not do what the file refuses, even if no guard refuses it any more
    scene.bench.ends(0, &["plan", "--skip-refused", "-o", "rest.json"]);
    (1..4).for_each(|index| scene.someone.detach(&format!("r{index}"), EXTRA));
    assert_eq!(
        changes(&scene.bench.ends(2, &["plan", "--detailed-exitcode", "--format", "json"]).json()),
        ["update role/r0"]
    );
    scene.bench.ends(0, &["apply", "rest.json", "--skip-refused"]);
    assert!(scene.someone.attached("r0").contains(EXTRA));
}

#[test]
fn apply_of_a_saved_plan_reports_what_it_skips() {
    let scene = tampered();
    let saved = scene.bench.ends(4, &["plan", "-o", "plan.json"]);
    saved.says("saved, but `irsa apply` refuses it as it is: it has refusals; resolve that and plan again\n");
    assert!(!saved.stderr.contains("apply exactly this"), "{saved}");
    scene.world.clear_log();
    let run = scene.bench.ends(0, &["apply", "plan.json", "--skip-refused"]);
    run.says("nothing was done: 4 refused and skipped").says("role/r0: refused and skipped: ");
    assert!(!run.stderr.contains("done already"), "{run}");
    assert!(scene.world.writes().is_empty(), "{:?}", scene.world.writes());
    // once while something is left to do, and once when all is done
    scene.bench.write("irsa.toml", &format!("{}{}", scene.bench.read("irsa.toml"), role("fresh")));
    let saved = scene.bench.ends(4, &["plan", "-o", "rest.json"]);
    saved.says(", or apply the rest with `irsa apply --skip-refused rest.json`");
    scene.bench.ends(0, &["apply", "rest.json", "--skip-refused"]).says("role/r0: refused and skipped: ");
    assert!(scene.someone.has_role("fresh"));
    let run = scene.bench.ends(0, &["apply", "rest.json", "--skip-refused"]);
    run.says("nothing to do: the rest is already done; 4 refused and skipped");
}

#[test]
fn refused_and_planned_changes_have_different_digests() {
    let scene = tampered();
    let digest = |arguments: &[&str]| scene.bench.plan(arguments)["plan-digest"].as_str().expect("a digest").to_owned();
    let refused = digest(&["--skip-refused"]);
    (2..4).for_each(|index| scene.someone.detach(&format!("r{index}"), EXTRA));
    let fewer = digest(&["--skip-refused"]);
    assert_ne!(refused, fewer);
    // the same two changes, once refused and once not
    let guarded = digest(&["--skip-refused", "--guard-max-change-percent", "1"]);
    assert_ne!(guarded, fewer);
    scene.bench.ends(5, &["apply", "--auto-approve", "--skip-refused", "--expect", &guarded]);
    assert!(scene.someone.attached("r0").contains(EXTRA));
    scene.bench.ends(0, &["apply", "--auto-approve", "--skip-refused", "--expect", &fewer]);
    assert!(!scene.someone.attached("r0").contains(EXTRA));
}
