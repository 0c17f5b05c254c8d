//! Around the order of writes: irsa refuses plans that it cannot carry out before the first write, a saved plan with
//! missing changes is stale, and the plan notes access that irsa cannot remove.

use super::scene::{PARALLEL, Scene, notes};
use crate::saved::signed;
use crate::support::program::refusals;
use crate::support::world::FIRST;
use serde_json::Value;

const SMALL: &str = r#"
[policies.p]
statements = [{ actions = ["s3:Get*"], resources = ["*"] }]
[roles.r]
attach = ["p"]
cluster = "main"
service-accounts = ["apps/r"]
"#;

#[test]
fn new_role_is_created_after_its_new_boundary() {
    for parallel in PARALLEL {
        let scene = Scene::empty();
        scene.declare(
            r#"
[policies.bound]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[roles.keeper]
attach = ["bound"]
cluster = "main"
service-accounts = ["apps/keeper"]
[roles.a]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/order/bound"
attach = ["aws:AmazonS3ReadOnlyAccess"]
cluster = "main"
service-accounts = ["apps/a"]
"#,
        );
        scene.hold_up("CreatePolicy");
        scene.apply(&["--parallelism", parallel]).is_lawful().ends(0);
        scene.world.allow_all();
        scene.is_settled();
    }
}

/// The same for an existing role.
#[test]
fn existing_role_gets_its_new_boundary_after_the_boundary_is_created() {
    for parallel in PARALLEL {
        let scene = Scene::of(SMALL);
        scene.declare(
            r#"
[policies.p]
statements = [{ actions = ["s3:Get*", "iam:*"], resources = ["*"] }]
[policies.bound]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[roles.keeper]
attach = ["bound"]
cluster = "main"
service-accounts = ["apps/keeper"]
[roles.r]
attach = ["p"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/order/bound"
cluster = "main"
service-accounts = ["apps/r"]
"#,
        );
        scene.hold_up("CreatePolicy");
        scene.apply(&["--parallelism", parallel]).is_lawful().ends(0);
        scene.world.allow_all();
        scene.is_settled();
    }
}

/// Two roles name each other, so neither can be created first: irsa creates neither of them.
#[test]
fn new_roles_that_trust_each_other_are_both_created_or_refused() {
    let scene = Scene::empty();
    let role = |name: &str, other: &str| {
        format!(
            "[roles.{name}]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\ncluster = \"main\"\nservice-accounts = [\"apps/{name}\"]\n\
             [[roles.{name}.trust]]\nprincipals = {{ aws = [\"arn:aws:iam::{FIRST}:role/irsa/order/{other}\"] }}\nactions = [\"sts:AssumeRole\"]\n"
        )
    };
    scene.declare(&(role("a", "b") + &role("b", "a")));
    let refused = refusals(&scene.plan(&[])).join("\n");
    let judged = scene.apply(&[]);
    judged.is_lawful();
    if refused.is_empty() {
        judged.ends(0);
        scene.is_settled();
    } else {
        assert!(refused.contains("role/a") && refused.contains("role/b"), "{refused}");
        judged.ends(4).writes_nothing();
    }
}

/// The intermediate trust policy holds the denies of both the old and the new one, and must also fit the size limit.
#[test]
fn too_long_intermediate_trust_policy_is_refused_before_the_first_write() {
    let denies = |names: &str| {
        let arns: Vec<String> = (0..14)
            .map(|number| format!("\"arn:aws:iam::{FIRST}:role/a-role-of-a-long-name-{names}-{number:02}\""))
            .collect();
        format!(
            "[[roles.r.trust]]\neffect = \"Deny\"\nprincipals = \"*\"\nactions = [\"sts:AssumeRoleWithWebIdentity\"]\n\
             conditions = {{ ArnEquals = {{ \"aws:PrincipalArn\" = [{}] }} }}\n",
            arns.join(", ")
        )
    };
    let text = |accounts: &str, action: &str, names: &str| {
        format!(
            "[roles.r]\ncluster = \"main\"\nservice-accounts = [{accounts}]\n\
             [roles.r.inline.own]\nstatements = [{{ actions = [\"{action}\"], resources = [\"*\"] }}]\n{}",
            denies(names)
        )
    };
    let scene = Scene::of(&text("\"apps/stays\", \"apps/leaves\"", "s3:Get*", "one"));
    scene.declare(&text("\"apps/stays\", \"apps/comes\"", "sqs:*", "two"));
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

#[test]
fn missing_policy_is_refused_by_the_plan_with_its_line() {
    let nowhere = "arn:aws:iam::111122223333:policy/nowhere";
    for (line, named) in [
        ("attach = [\"p\", \"arn:aws:iam::111122223333:policy/nowhere\"]".to_owned(), nowhere),
        ("attach = [\"p\", \"aws:NoSuchPolicy\"]".to_owned(), "aws:policy/NoSuchPolicy"),
        (format!("attach = [\"p\"]\npermissions-boundary = \"{nowhere}\""), nowhere),
    ] {
        let scene = Scene::of(SMALL);
        let grown = SMALL.replace("s3:Get*", "s3:*") + "tags = { team = \"a\" }\n";
        let text = grown.replace("attach = [\"p\"]", &line);
        scene.declare(&text);
        let file = scene.bench.read("irsa.toml");
        let at =
            file.lines().position(|line| line.contains("nowhere") || line.contains("NoSuchPolicy")).expect("a line");
        let place = format!("irsa.toml:{}", at + 1);
        scene.bench.ends(4, &["plan", "--deny", "none"]).says(named).says(&place).says("role/r");
        scene.apply(&[]).ends(4).writes_nothing().run.says(named).says(&place);
        // the same for a new role
        scene.declare(
            &(text.replace("[roles.r]", "[roles.made]").replace("apps/r", "apps/made")
                + SMALL.split("[roles.r]").nth(1).map(|rest| format!("[roles.r]{rest}")).unwrap_or_default().as_str()),
        );
        scene.bench.ends(4, &["plan", "--deny", "none"]).says(named).says("role/made");
        scene.apply(&[]).ends(4).writes_nothing();
    }
}

const GUARDED: &str = r#"
[policies.p]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[policies.g]
statements = [{ effect = "Deny", actions = ["s3:Delete*"], resources = ["*"] }]
[roles.r]
attach = ["p", "g"]
cluster = "main"
service-accounts = ["apps/r"]
"#;

/// Changes that somebody removed from a saved plan; the digests are recomputed after it.
type Cut = (&'static str, fn(&mut Vec<Value>));

const CUTS: [Cut; 4] = [
    ("the role that attaches the deny", |changes| changes.retain(|change| change["address"] != "role/r")),
    ("the policy that denies", |changes| changes.retain(|change| change["address"] != "policy/default/g")),
    ("the policy that denies and the role", |changes| {
        changes.retain(|change| change["address"] == "policy/default/p");
    }),
    ("the role's attachments alone", |changes| {
        let role = changes.iter_mut().find(|change| change["address"] == "role/r").expect("a change of the role");
        let fields = role["fields"].as_array_mut().expect("a list");
        fields.retain(|field| !field["path"].as_str().is_some_and(|path| path.starts_with("attached")));
    }),
];

#[test]
fn saved_plan_without_a_prerequisite_change_is_stale() {
    for (what, cut) in CUTS {
        let scene = Scene::of(SMALL);
        scene.declare(&(GUARDED.to_owned() + "tags = { team = \"a\" }\n"));
        scene.bench.ends(0, &["plan", "--deny", "none", "-o", "plan.json"]);
        let mut plan: Value = serde_json::from_str(&scene.bench.read("plan.json")).expect("JSON");
        let before = plan.clone();
        cut(plan["changes"].as_array_mut().expect("a list"));
        assert_ne!(plan, before, "{what}");
        scene.bench.write("cut.json", &signed(&plan.to_string()));
        let judged = scene.judged(None, &["apply", "cut.json"]);
        assert_eq!(judged.run.code, 5, "{what}: {}", judged.run);
        judged.writes_nothing();
        // the complete plan is accepted
        scene.judged(None, &["apply", "plan.json"]).is_lawful().ends(0);
    }
}

/// Sessions from before a change stay valid: if a principal loses a role that gains access, the plan says so, and until
/// when.
#[test]
fn remaining_sessions_are_noted_if_a_role_loses_a_principal_and_gains_access() {
    let text = |accounts: &str, action: &str| {
        format!(
            "[policies.p]\nstatements = [{{ actions = [\"{action}\"], resources = [\"*\"] }}]\n\
             [roles.r]\nattach = [\"p\"]\nmax-session-duration = \"4h\"\ncluster = \"main\"\nservice-accounts = [{accounts}]\n"
        )
    };
    let (both, one) = ("\"apps/stays\", \"apps/leaves\"", "\"apps/stays\"");
    for (after, told) in [(text(one, "s3:*"), true), (text(one, "s3:Get*"), false), (text(both, "s3:*"), false)] {
        let scene = Scene::of(&text(both, "s3:Get*"));
        scene.declare(&after);
        let noted = notes(&scene.plan(&[]), "sessions-live-on");
        assert_eq!(noted.len(), usize::from(told), "{after}: {noted:?}");
        for note in &noted {
            let until = note.contains("4h") || note.contains("4 hours");
            assert!(note.starts_with("role/r: ") && note.contains("leaves") && until, "{note}");
        }
        scene.apply(&[]).is_lawful().ends(0);
    }
}

/// A run was killed while a deny for everything was attached to a role. The next run completes the change.
#[test]
fn transition_deny_left_by_a_killed_run_is_shown_and_removed_last() {
    let scene = Scene::of(SMALL);
    let deny = crate::support::given::document_with_list("Deny", "*");
    scene.iam("PutRolePolicy", &[("RoleName", "r"), ("PolicyName", "irsa-transition"), ("PolicyDocument", &deny)]);
    scene.declare(&SMALL.replace("attach = [\"p\"]", "attach = [\"p\", \"aws:AmazonSQSReadOnlyAccess\"]"));
    let plan = scene.plan(&[]);
    let role = plan["changes"].as_array().into_iter().flatten().find(|change| change["address"] == "role/r");
    assert!(role.is_some_and(|role| role["fields"].to_string().contains("irsa-transition")), "{plan}");
    let judged = scene.apply(&[]);
    judged.is_lawful().ends(0);
    assert_eq!(
        judged.writes().last().map(String::as_str),
        Some("DeleteRolePolicy r irsa-transition"),
        "{}",
        judged.run
    );
    scene.is_settled();
}
