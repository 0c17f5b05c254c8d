//! Nobody loses for a moment access that they have before and after, if an order without such a dip exists. If none
//! exists, the plan says so.

use super::scene::{Judged, PARALLEL, Scene, notes};
use crate::support::moments::Watch;
use crate::support::program::refusals;
use crate::support::world::FIRST;

/// Applies a change that has an order without dips: access is never widened, nobody dips, and these are all the writes.
#[track_caller]
fn is_smooth(before: &str, after: &str, held_up: &[&str], writes: &[&str]) {
    for parallel in PARALLEL {
        let scene = Scene::of(before);
        scene.declare(after);
        let noted = notes(&scene.plan(&[]), "dips");
        assert!(noted.is_empty(), "{noted:?}");
        for action in held_up {
            scene.hold_up(action);
        }
        let judged: Judged = scene.apply(&["--parallelism", parallel]);
        judged.is_lawful().ends(0).makes_nobody_dip();
        let mut found = judged.writes();
        found.sort();
        assert_eq!(found, writes, "{}", judged.run);
        scene.world.allow_all();
        scene.is_settled();
    }
}

const ONE: &str = r#"
[roles.r]
attach = ["aws:AmazonS3ReadOnlyAccess"]
cluster = "main"
service-accounts = ["apps/r"]
[roles.r.inline.own]
statements = [{ actions = ["sqs:SendMessage"], resources = ["*"] }]
"#;

#[test]
fn added_statement_and_added_service_account_are_one_call_each() {
    let after = r#"
[roles.r]
attach = ["aws:AmazonS3ReadOnlyAccess"]
cluster = "main"
service-accounts = ["apps/r", "apps/more"]
[roles.r.inline.own]
statements = [
  { actions = ["sqs:SendMessage"], resources = ["*"] },
  { actions = ["sqs:ReceiveMessage"], resources = ["*"] },
]
"#;
    is_smooth(ONE, after, &[], &["PutRolePolicy r own", "UpdateAssumeRolePolicy r"]);
}

#[test]
fn replacement_policy_is_attached_before_the_old_one_is_detached() {
    let after = ONE.replace("AmazonS3ReadOnlyAccess", "AmazonS3FullAccess");
    let writes = ["AttachRolePolicy r AmazonS3FullAccess", "DetachRolePolicy r AmazonS3ReadOnlyAccess"];
    is_smooth(ONE, &after, &["AttachRolePolicy"], &writes);
}

#[test]
fn inline_policy_moved_into_a_managed_policy_is_never_missing() {
    let after = r#"
[policies.own]
statements = [{ actions = ["sqs:SendMessage"], resources = ["*"] }]
[roles.r]
attach = ["aws:AmazonS3ReadOnlyAccess", "own"]
cluster = "main"
service-accounts = ["apps/r"]
"#;
    let writes = ["AttachRolePolicy r irsa/order/own", "CreatePolicy own", "DeleteRolePolicy r own"];
    is_smooth(ONE, after, &["AttachRolePolicy", "CreatePolicy"], &writes);
}

#[test]
fn longer_session_and_added_tag_are_one_call_each() {
    let after =
        ONE.replace("cluster = \"main\"", "cluster = \"main\"\nmax-session-duration = \"2h\"\ntags = { team = \"a\" }");
    is_smooth(ONE, &after, &[], &["TagRole r team", "UpdateRole r"]);
}

#[test]
fn service_account_that_moves_between_roles_always_has_a_role() {
    let text = |one: &str, two: &str| {
        format!(
            "[roles.one]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\ncluster = \"main\"\nservice-accounts = [\"apps/one\"{one}]\n\
             [roles.two]\nattach = [\"aws:AmazonSQSReadOnlyAccess\"]\ncluster = \"main\"\nservice-accounts = [\"apps/two\"{two}]\n"
        )
    };
    for parallel in PARALLEL {
        let scene = Scene::of(&text(", \"apps/moves\"", ""));
        scene.declare(&text("", ", \"apps/moves\""));
        let watch = Watch::over(&scene.world, &["main"]);
        watch.go_on();
        let judged = scene.apply(&["--parallelism", parallel]);
        judged.is_lawful().ends(0).makes_nobody_dip();
        let writes: Vec<String> = watch.writes().iter().map(ToString::to_string).collect();
        let at = |text: &str| {
            writes.iter().position(|write| write.contains(text)).unwrap_or_else(|| panic!("{text}: {writes:?}"))
        };
        let [new, annotation, old] = ["UpdateAssumeRolePolicy two", "apps/moves", "UpdateAssumeRolePolicy one"].map(at);
        assert!(new < annotation && annotation < old, "{writes:?}");
        Watch::lift(&scene.world, &["main"]);
        scene.is_settled();
    }
}

/// A role with `policies` and eight policies of others.
fn full(policies: &str) -> String {
    let others: Vec<String> = (0..8).map(|number| format!("\"arn:aws:iam::{FIRST}:policy/other{number}\"")).collect();
    format!(
        "[roles.r]\nattach = [{}, {policies}]\ncluster = \"main\"\nservice-accounts = [\"apps/r\"]\n[roles.r.inline.own]\nstatements = [{{ actions = [\"s3:*\"], resources = [\"*\"] }}]\n",
        others.join(", ")
    )
}

fn others(scene: &Scene) {
    for number in 0..8 {
        scene.foreign(&format!("other{number}"), "Allow", "sns:Publish");
    }
}

#[test]
fn at_the_attachment_quota_a_policy_is_detached_first_and_the_plan_notes_the_dip() {
    let scene = Scene::empty();
    others(&scene);
    scene.declare(&full("\"aws:AmazonS3ReadOnlyAccess\", \"aws:AmazonSQSReadOnlyAccess\""));
    scene.settle();
    scene.declare(&full("\"aws:AmazonS3ReadOnlyAccess\", \"aws:AmazonSQSFullAccess\""));
    let noted = notes(&scene.plan(&[]), "dips");
    assert!(noted.iter().any(|note| note.starts_with("role/r: ")), "{noted:?}");
    scene.apply(&[]).is_lawful().ends(0);
    scene.is_settled();
}

#[test]
fn at_the_attachment_quota_a_deny_policy_is_not_detached_first() {
    let scene = Scene::empty();
    others(&scene);
    scene.foreign("one", "Deny", "s3:Delete*");
    scene.foreign("two", "Deny", "s3:Delete*");
    let arn = |name: &str| format!("\"aws:AmazonSQSReadOnlyAccess\", \"arn:aws:iam::{FIRST}:policy/{name}\"");
    scene.declare(&full(&arn("one")));
    scene.settle();
    scene.declare(&full(&arn("two")));
    let refused = refusals(&scene.plan(&[])).join("\n");
    let judged = scene.apply(&[]);
    judged.is_lawful();
    if refused.is_empty() {
        judged.ends(0);
        scene.is_settled();
    } else {
        assert!(refused.contains("role/r"), "{refused}");
        judged.ends(4).writes_nothing();
    }
}
