//! irsa applies what was reviewed (README, guarantee 4), also if somebody forges a saved plan. Whoever can write the
//! file can also recompute its digests. So the user must repeat every option that lets a run do more, and irsa
//! recomputes everything that it can derive. These tests run the real binary.

use crate::ownership::{Scene, role, trust};
use crate::saved::signed;
use crate::support::program::Run;
use irsa_sandbox::aws::{Fault, Match};
use irsa_sandbox::gate::Stage;
use serde_json::{Value, json};

const GOLDEN: &str = include_str!("../fixtures/plan/v2.json");
const OLD: &str = include_str!("../fixtures/plan/v1.json");

/// An attacker's change to a plan; the digests are recomputed after it.
type Forge<'a> = &'a dyn Fn(&mut Value);

/// A sandbox in which two roles already exist.
fn settled() -> Scene {
    let scene = Scene::new();
    scene.declare(&(role("app") + &role("other")));
    scene.bench.converges();
    scene.world.clear_log();
    scene
}

/// Saves the plan for these flags as `forged.json`, changed and with new digests.
fn forge(scene: &Scene, code: i32, flags: &[&str], change: impl FnOnce(&mut Value)) {
    let mut line = vec!["plan", "-o", "plan.json"];
    line.extend(flags);
    scene.bench.ends(code, &line);
    let mut plan: Value = serde_json::from_str(&scene.bench.read("plan.json")).expect("JSON");
    change(&mut plan);
    scene.bench.write("forged.json", &signed(&plan.to_string()));
    scene.world.clear_log();
}

/// Makes the summary counts match the changes.
fn recount(plan: &mut Value) {
    for action in ["create", "update", "delete", "adopt"] {
        let changes = plan["changes"].as_array().expect("a list").iter();
        plan["summary"][action] = json!(changes.filter(|change| change["action"] == action).count());
    }
}

/// irsa refuses the command with this code and writes nothing.
#[track_caller]
fn refused(scene: &Scene, code: i32, arguments: &[&str]) -> Run {
    let run = scene.bench.ends(code, arguments);
    assert!(scene.world.writes().is_empty(), "{run}{:?}", scene.world.writes());
    run
}

#[test]
fn apply_of_a_plan_must_repeat_the_flags_that_let_it_do_more() {
    let flags = ["--destroy", "--adopt", "--force", "--force-conflicts", "--allow-incomplete", "--skip-refused"];
    let scene = settled();
    for flag in flags {
        // the flag was given when the plan was made, or somebody added it to the file
        let key = flag.trim_start_matches("--");
        for made in [true, false] {
            let with: &[&str] = if flag == "--force" { &[flag] } else { &[flag, "--force"] };
            forge(&scene, 0, if made { with } else { &[] }, |plan| plan["options"][key] = json!(true));
            let run = refused(&scene, 5, &["apply", "forged.json"]);
            run.says(&format!("`{flag}`")).says("if you want these options, use `irsa apply --");
            for other in flags.into_iter().filter(|other| *other != flag) {
                refused(&scene, 5, &["apply", "forged.json", other]);
            }
            let run = refused(&scene, 5, &["apply", "forged.json", "--expect", "sha256:0"]);
            run.says("repeat that to apply it");
        }
    }
    // apply works if the user repeats the flags
    forge(&scene, 0, &["--destroy", "--force"], |_| {});
    scene.bench.ends(0, &["show", "forged.json"]).says("irsa apply --destroy --force forged.json");
    refused(&scene, 5, &["apply", "forged.json", "--destroy"]).says("made with `--force`:");
    scene.bench.ends(0, &["apply", "forged.json", "--destroy", "--force"]);
    assert!(!scene.someone.has_role("app") && !scene.someone.has_role("other"));
}

#[test]
fn flags_the_plan_was_made_without_do_not_change_its_apply() {
    let scene = settled();
    scene.declare(&role("app"));
    forge(&scene, 0, &[], |_| {});
    let run = scene.bench.ends(0, &["apply", "forged.json", "--destroy", "--adopt", "--force-conflicts"]);
    run.says("made without `--destroy`, `--adopt`, `--force-conflicts`: it is applied as it was made");
    assert!(scene.someone.has_role("app") && !scene.someone.has_role("other"), "{run}");
}

#[test]
fn deletes_hidden_by_a_forged_plan_are_counted_and_refused() {
    let scene = settled();
    scene.bench.write("irsa.toml", &format!("{}[guard]\nmax-delete = 0\n", scene.bench.read("irsa.toml")));
    // the plan deletes everything, but its summary says that it deletes nothing
    forge(&scene, 0, &["--destroy", "--force"], |plan| {
        plan["summary"]["delete"] = json!(0);
        plan["summary"]["unchanged"] = json!(5);
    });
    let shown = scene.bench.ends(0, &["show", "forged.json"]);
    shown
        .says("0 to create, 0 to update, 5 to delete.")
        .says("Planned with `--destroy`, `--force`.")
        .says("someone changed the file");
    let json = scene.bench.ends(0, &["show", "forged.json", "--format", "json"]).json();
    assert_eq!(json["summary"]["delete"], 5);
    for flags in [&[][..], &["--destroy"], &["--force"], &["--destroy", "--force"]] {
        let mut line = vec!["apply", "forged.json"];
        line.extend(flags);
        refused(&scene, 5, &line);
    }
    // the same, with the options removed from the file
    forge(&scene, 0, &["--destroy", "--force"], |plan| {
        plan["options"]["destroy"] = json!(false);
        plan["options"]["force"] = json!(false);
    });
    for flags in [&[][..], &["--destroy", "--force"]] {
        let mut line = vec!["apply", "forged.json"];
        line.extend(flags);
        refused(&scene, 5, &line).says("role/app");
    }
    // the same, with the addresses of objects that are no longer declared
    forge(&scene, 0, &["--destroy", "--force"], |plan| {
        plan["options"]["destroy"] = json!(false);
        plan["options"]["force"] = json!(false);
        for change in plan["changes"].as_array_mut().expect("a list") {
            let address = change["address"].as_str().expect("text").replace("role/", "orphan/default/role/");
            change["address"] = json!(address);
        }
    });
    refused(&scene, 5, &["apply", "forged.json"]);
    assert!(scene.someone.has_role("app") && scene.someone.has_role("other"));
}

#[test]
fn forged_plan_does_not_adopt_a_role_of_no_owner() {
    let scene = Scene::new();
    scene.someone.create_role("app", &trust(), &[("team", "theirs")]);
    scene.declare(&(role("app") + "path = \"/\"\n"));
    forge(&scene, 0, &["--adopt"], |_| {});
    refused(&scene, 5, &["apply", "forged.json"]).says("`--adopt`");
    // the option is removed, the change is still in the file
    forge(&scene, 0, &["--adopt"], |plan| plan["options"]["adopt"] = json!(false));
    refused(&scene, 5, &["apply", "forged.json"]).says("role/app");
    refused(&scene, 5, &["apply", "forged.json", "--adopt"]).says("role/app");
    assert!(!scene.someone.role_tags("app").contains_key("irsa/owner"));
    forge(&scene, 0, &["--adopt"], |_| {});
    scene.bench.ends(0, &["apply", "forged.json", "--adopt"]);
    assert_eq!(scene.someone.role_tags("app")["irsa/owner"], "me");
}

#[test]
fn refusals_removed_from_the_file_are_refused_again() {
    let scene = Scene::new();
    scene.someone.create_role("app", &trust(), &[]);
    scene.declare(&(role("app") + &role("other")));
    forge(&scene, 4, &[], |plan| {
        plan["refused"] = json!([]);
        plan["notes"] = json!([]);
        plan["summary"]["refused"] = json!(0);
    });
    let run = refused(&scene, 4, &["apply", "forged.json"]);
    run.says("role/app: role `app` exists and has no owner tag").says("--skip-refused");
    // a refusal in the file also counts if the live state no longer causes it
    forge(&scene, 4, &[], |_| {});
    scene.someone.tag_role("app", "irsa/owner", "me");
    let run = refused(&scene, 4, &["apply", "forged.json"]);
    run.says("role/app");
    scene.someone.untag_role("app", "irsa/owner");
    // `--skip-refused` applies the rest
    scene.bench.ends(0, &["apply", "forged.json", "--skip-refused"]);
    assert!(scene.someone.has_role("other") && !scene.someone.role_tags("app").contains_key("irsa/owner"));
}

#[test]
fn unknown_objects_removed_from_the_file_are_still_unknown() {
    let scene = settled();
    scene.someone.tag_role("app", "team", "x");
    scene.world.fault(Stage::Before, Match::on("iam", "GetRole").about("other"), Fault::Deny, None);
    scene.world.fault(Stage::Before, Match::on("iam", "GetAccountAuthorizationDetails"), Fault::Deny, None);
    forge(&scene, 4, &["--force"], |plan| {
        plan["unknown"] = json!([]);
        plan["complete"] = json!(true);
        plan["options"]["force"] = json!(false);
    });
    let shown = scene.bench.ends(0, &["show", "forged.json"]);
    assert!(!shown.stdout.contains("could not be read"), "{shown}");
    refused(&scene, 4, &["apply", "forged.json"]).says("role/other").says("--allow-incomplete");
    scene.bench.ends(0, &["apply", "forged.json", "--allow-incomplete"]);
    assert!(!scene.someone.role_tags("app").contains_key("team"));
}

/// The forged changes are consistent in themselves, but do not follow from configuration and live state.
#[test]
fn forged_change_is_refused_even_if_nothing_is_left_to_do() {
    let scene = settled();
    scene.declare(&(role("app") + "description = \"new\"\n" + &role("other")));
    let attached = |change: &mut Value, arn: &str, named: bool| {
        let (old, new) = (change["before"]["attached"].clone(), json!([arn]));
        change["after"]["attached"] = new.clone();
        if named {
            let fields = change["fields"].as_array_mut().expect("a list");
            fields.insert(0, json!({"path": "attached", "before": old, "after": new}));
        } else {
            change["before"]["attached"] = new;
        }
    };
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    let settled = |plan: &mut Value| {
        let mut change = plan["changes"][0].clone();
        for (text, other) in [("role/app", "role/other"), ("apps:app", "apps:other"), ("\"app\"", "\"other\"")] {
            change = serde_json::from_str(&change.to_string().replace(text, other)).expect("JSON");
        }
        plan["changes"].as_array_mut().expect("a list").push(change);
    };
    let last = |plan: &mut Value| plan["changes"].as_array_mut().expect("a list").len() - 1;
    let cases: [(&str, &str, Forge<'_>); 6] = [
        ("a wider field", "role/app", &|plan| attached(&mut plan["changes"][0], admin, true)),
        ("a wider whole", "role/app", &|plan| attached(&mut plan["changes"][0], admin, false)),
        ("an object that is as declared", "role/other", &settled),
        ("a wider one that is as declared", "role/other", &|plan| {
            settled(plan);
            let at = last(plan);
            attached(&mut plan["changes"][at], admin, true);
        }),
        ("a delete of it", "role/other", &|plan| {
            settled(plan);
            let at = last(plan);
            let change = &mut plan["changes"][at];
            (change["action"], change["after"]) = (json!("delete"), Value::Null);
            let mut fields: Vec<Value> = Vec::new();
            for (key, value) in change["before"].as_object().expect("an object") {
                match (key.as_str(), value) {
                    ("tags" | "inline", Value::Object(map)) => {
                        let inner = map.iter().map(
                            |(inner, value)| json!({"path": format!("{key}.{inner}"), "before": value, "after": null}),
                        );
                        fields.extend(inner);
                    }
                    _ => fields.push(json!({"path": key, "before": value, "after": null})),
                }
            }
            change["fields"] = json!(fields);
        }),
        ("another owner", "owner `you`", &|plan| plan["owner"] = json!("you")),
    ];
    for (what, named, change) in cases {
        forge(&scene, 0, &[], |plan| {
            change(plan);
            recount(plan);
        });
        scene.bench.ends(0, &["show", "forged.json"]);
        let run = refused(&scene, 5, &["apply", "forged.json"]);
        assert!(run.stderr.contains(named), "{what}: {run}");
    }
    forge(&scene, 0, &[], |_| {});
    scene.bench.ends(0, &["apply", "forged.json"]);
}

/// irsa refuses each file when it reads it, for every command: otherwise `show` would show one thing and `apply` do
/// another.
#[test]
fn inconsistent_plan_file_is_neither_shown_nor_applied() {
    let scene = settled();
    scene.declare(&(role("app") + "description = \"new\"\n" + &role("other")));
    let cases: [(&str, Forge<'_>); 8] = [
        ("a change twice", &|plan| {
            let change = plan["changes"][0].clone();
            plan["changes"].as_array_mut().expect("a list").push(change);
        }),
        ("fields that are not those of the object", &|plan| plan["changes"][0]["fields"] = json!([])),
        ("an action that does not fit", &|plan| plan["changes"][0]["action"] = json!("create")),
        ("an unknown action", &|plan| plan["changes"][0]["action"] = json!("touch")),
        ("a letter of another alphabet", &|plan| plan["changes"][0]["address"] = json!("role/\u{430}pp")),
        ("no address", &|plan| plan["changes"][0]["address"] = json!("role/app\n::error::x")),
        ("an unknown key of the object", &|plan| plan["changes"][0]["after"]["note"] = json!("harmless")),
        ("an owner that is none", &|plan| plan["owner"] = json!("a\u{202e}b")),
    ];
    for (what, change) in cases {
        forge(&scene, 0, &[], change);
        for command in ["show", "apply"] {
            let run = refused(&scene, 5, &[command, "forged.json"]);
            assert!(
                run.stderr.contains("it has been changed since irsa wrote it") && run.stdout.is_empty(),
                "{what}: {run}"
            );
        }
    }
}

#[test]
fn plan_file_of_the_old_format_is_refused_and_of_the_current_one_shown() {
    let scene = settled();
    scene.bench.write("v1.json", OLD);
    scene.bench.write("v2.json", GOLDEN);
    for command in ["show", "apply"] {
        let run = refused(&scene, 5, &[command, "v1.json"]);
        run.says("its format is `1.0`, but this version of irsa reads only `2.0`").says("irsa plan -o FILE");
    }
    let shown = scene.bench.ends(0, &["show", "v2.json"]);
    shown.says("+ role/comes").says("! role/taken").says("- orphan/default/role/goes");
    refused(&scene, 5, &["apply", "v2.json", "--force"]).says("another configuration");
}

#[test]
fn expected_digest_still_matches_when_only_notes_change() {
    let scene = settled();
    scene.declare(&(role("app") + "description = \"new\"\n"));
    let digest = |scene: &Scene| scene.bench.plan(&[])["plan-digest"].as_str().expect("text").to_owned();
    let before = digest(&scene);
    // the roles that our clusters can assume appear in a note, and notes are no part of the digest
    scene.someone.create_role("stranger", &scene.someone.trust("app"), &[]);
    let plan = scene.bench.plan(&[]);
    assert!(plan["notes"].to_string().contains("stranger"), "{plan}");
    assert_eq!(plan["plan-digest"], before);
    scene.someone.tag_role("app", "team", "x");
    assert_ne!(digest(&scene), before);
    scene.someone.untag_role("app", "team");
    scene.bench.ends(0, &["apply", "--auto-approve", "--expect", &before]);
}

#[test]
fn refused_plan_file_sends_no_request_to_aws() {
    let scene = settled();
    forge(&scene, 0, &["--force"], |_| {});
    refused(&scene, 5, &["apply", "forged.json"]);
    assert!(scene.world.actions().is_empty(), "{:?}", scene.world.actions());
    // a configuration error comes first
    scene.declare("[roles.app]\nservice-acounts = []\n");
    refused(&scene, 3, &["apply", "forged.json"]);
    // a usage error comes before that
    refused(&scene, 64, &["apply", "forged.json", "--only", "role/*"]);
}
