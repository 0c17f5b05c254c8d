//! Saved plans that somebody changed or forged, or whose live state changed after the plan. irsa refuses them and
//! writes nothing.

use crate::saved::signed;
use crate::support::fleet::{CLUSTERS, Fleet, Scene, same};
use crate::support::given::{OtherPeople, document_with_list};
use crate::support::moments::Watch;
use crate::support::program::tell;
use crate::support::world::{self, FIRST, SECOND};
use irsa::plan::PlanV2;
use irsa_sandbox::kubernetes::{Preconditions, Resource, Store};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A sandbox, a saved plan with changes of every kind, and a watch of the writes after it.
struct Case {
    scene: Scene,
    watch: Watch,
    text: String,
}

impl Case {
    fn new(fleet: &Fleet) -> Self {
        let scene = fleet.scene();
        scene.bench.ends(0, &["plan", "-o", "plan.json"]);
        let text = scene.bench.read("plan.json");
        let watch = Watch::over(&scene.world, &CLUSTERS);
        watch.go_on();
        Self { scene, watch, text }
    }
}

/// A plan with a create, an update, a delete and an adoption, small enough to change every byte of it.
fn small() -> (crate::ownership::Scene, String) {
    use crate::ownership::{self, role, trust};
    let scene = ownership::Scene::new();
    scene.declare(&(role("goes") + &role("changes") + &role("stays")));
    scene.bench.converges();
    scene.someone.create_role("taken", &trust(), &[]);
    let text = role("changes") + "description = \"new\"\n" + &role("stays") + &role("made") + &role("taken");
    scene.declare(&(text + "adopt = true\npath = \"/\"\n"));
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    scene.world.clear_log();
    let text = scene.bench.read("plan.json");
    for action in ["create", "update", "delete", "adopt"] {
        assert!(text.contains(&format!("\"action\": \"{action}\"")), "{action}: {text}");
    }
    (scene, text)
}

#[test]
fn plan_file_with_any_changed_byte_is_refused() {
    let (scene, text) = small();
    PlanV2::read(&text).expect("it is as it was written");
    assert!(text.is_ascii());
    // every byte, with the function with which the program reads a plan
    let (threads, tried) = (4, AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (text, tried) = (&text, &tried);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                for place in (0..text.len()).skip(usize::try_from(thread).expect("a few")).step_by(4) {
                    let mut bytes = text.clone().into_bytes();
                    // flips a bit such that the byte stays ASCII
                    bytes[place] ^= 1 << random.u32(0..7);
                    tried.fetch_add(1, Ordering::Relaxed);
                    let changed = String::from_utf8(bytes).expect("the plan is ASCII");
                    assert!(PlanV2::read(&changed).is_err(), "byte {place}");
                }
            });
        }
    });
    // some bytes, with the program itself
    let mut random = fastrand::Rng::with_seed(7);
    let run = |what: &str, bytes: Vec<u8>| {
        std::fs::write(scene.bench.path("changed.json"), &bytes).expect("it is writable");
        let run = scene.bench.irsa(&["apply", "changed.json"]);
        assert_eq!(run.code, 5, "{what}: {run}");
    };
    let count = 240;
    for _ in 0..count {
        let mut bytes = text.clone().into_bytes();
        let place = random.usize(..bytes.len());
        let (what, other) = (random.u8(0..4), random.usize(..bytes.len()));
        match what {
            0 => bytes[place] ^= 1 << random.u32(0..8),
            1 => bytes.truncate(place),
            2 => bytes.insert(place, b' '),
            _ => drop(bytes.drain(place.min(other)..=place.max(other))),
        }
        run(&format!("change {what} at {place}"), bytes);
    }
    run("an empty file", Vec::new());
    run("twice", text.repeat(2).into_bytes());
    run("a mark of byte order", [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat());
    assert!(scene.world.writes().is_empty(), "{:?}", scene.world.writes());
    tell(&format!(
        "tampered: {} bytes, {} changes read, {} applied",
        text.len(),
        tried.load(Ordering::Relaxed),
        count + 3
    ));
    // the unchanged plan is accepted
    scene.bench.ends(0, &["apply", "plan.json"]);
}

/// An attacker's change to a plan; the digests are recomputed after it.
type Forge = fn(&mut Value);

fn change<'a>(plan: &'a mut Value, address: &str) -> &'a mut Value {
    let changes = plan["changes"].as_array_mut().expect("a list");
    changes.iter_mut().find(|change| change["address"] == address).unwrap_or_else(|| panic!("no {address}"))
}

/// Replaces a text in one change, which must contain it.
fn swap(plan: &mut Value, address: &str, from: &str, to: &str) {
    let change = change(plan, address);
    let text = change.to_string();
    assert!(text.contains(from), "{from} is not in {text}");
    *change = serde_json::from_str(&text.replace(from, to)).expect("JSON");
}

fn drop_change(plan: &mut Value, address: &str) {
    change(plan, address);
    plan["changes"].as_array_mut().expect("a list").retain(|change| change["address"] != address);
}

fn add(plan: &mut Value, address: &str, action: &str, fields: &Value) {
    let (before, after) = if action == "delete" { (json!({}), Value::Null) } else { (Value::Null, json!({})) };
    plan["changes"].as_array_mut().expect("a list").push(json!({
        "address": address, "action": action, "reasons": [], "before": before, "after": after, "fields": fields,
    }));
}

/// Changes to a plan that do not follow from the configuration.
const FORGERIES: [(&str, Forge); 24] = [
    ("another role", |plan| swap(plan, "role/api", "role/api", "role/apis")),
    ("the role of another", |plan| swap(plan, "role/api", "role/api", "role/foreign-plain")),
    ("a wider attachment", |plan| swap(plan, "role/api", "AmazonS3ReadOnlyAccess", "AdministratorAccess")),
    ("one attachment more", |plan| {
        let field =
            json!({"path": "attached", "before": null, "after": ["arn:aws:iam::aws:policy/AdministratorAccess"]});
        let fields = change(plan, "role/web")["fields"].as_array_mut().expect("a list");
        fields.retain(|field| field["path"] != "attached");
        fields.push(field);
    }),
    ("a wider inline policy", |plan| swap(plan, "role/jobs", "s3:GetObject", "s3:*")),
    ("a wider resource", |plan| swap(plan, "role/bridge", "arn:aws:s3:::bridge/*", "*")),
    ("a wider policy", |plan| swap(plan, "policy/one/queue", "sqs:SendMessage", "sqs:*")),
    ("a policy for all", |plan| swap(plan, "policy/two/bucket", "arn:aws:s3:::bucket/*", "*")),
    ("a wider trust", |plan| {
        swap(plan, "role/two-api", "system:serviceaccount:apps:two-api", "system:serviceaccount:*:*");
    }),
    ("another issuer", |plan| swap(plan, "role/two-api", "oidc.example.com/green", "oidc.example.com/evil")),
    ("another account", |plan| swap(plan, "policy/two/bucket", "policy/two/", "policy/one/")),
    ("the ARNs of another account", |plan| swap(plan, "role/two-api", SECOND, FIRST)),
    ("another boundary", |plan| swap(plan, "role/web", "foreign-limits", "foreign-others")),
    ("an annotation with another role", |plan| {
        swap(plan, "service-account/blue/apps/jobs", "role/irsa/fleet/jobs", "role/irsa/fleet/web");
    }),
    ("another namespace", |plan| swap(plan, "service-account/blue/apps/jobs", "blue/apps/", "blue/kube-system/")),
    ("another tag", |plan| swap(plan, "role/web", "stage", "irsa/owner")),
    ("another whole", |plan| swap(plan, "role/web", "\"stage\"", "\"phase\"")),
    ("a harmless whole", |plan| change(plan, "role/jobs")["after"]["inline"] = json!({})),
    ("a need dropped", |plan| drop_change(plan, "role/api")),
    ("a policy dropped that is attached", |plan| drop_change(plan, "policy/one/archive")),
    ("a delete of what is declared", |plan| add(plan, "role/steady", "delete", &json!([]))),
    ("a delete in the place of an update", |plan| {
        drop_change(plan, "role/web");
        add(plan, "role/web", "delete", &json!([]));
    }),
    ("everything destroyed", |plan| plan["options"]["destroy"] = json!(true)),
    ("another configuration", |plan| plan["config-digest"] = json!(format!("sha256:{}", "0".repeat(64)))),
];

#[test]
fn forged_changes_that_the_configuration_does_not_declare_are_refused() {
    let fleet = Fleet::new();
    let mut case = Case::new(&fleet);
    let mut wrong = Vec::new();
    for (what, forge) in FORGERIES {
        let mut plan: Value = serde_json::from_str(&case.text).expect("JSON");
        forge(&mut plan);
        let forged = signed(&plan.to_string());
        assert_ne!(forged, case.text, "{what}");
        case.scene.bench.write("forged.json", &forged);
        let shown = case.scene.bench.irsa(&["show", "forged.json"]);
        assert!([0, 5].contains(&shown.code) && (shown.code == 0 || shown.stdout.is_empty()), "{what}: {shown}");
        let run = case.scene.bench.irsa(&["apply", "forged.json"]);
        if run.code != 5 || !case.watch.writes().is_empty() {
            wrong.push(format!("{what}: {run}"));
            case = Case::new(&fleet);
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FORGERIES.len(), wrong.join("\n"));
    tell(&format!("tampered: {} forgeries refused", FORGERIES.len()));
}

/// irsa skips what was removed from the file, and ignores values without effect: an apply never does more than was
/// planned.
#[test]
fn forged_plan_can_do_less_and_never_more() {
    let less: [(&str, Forge); 7] = [
        ("force", |plan| plan["options"]["force"] = json!(true)),
        ("adopt", |plan| plan["options"]["adopt"] = json!(true)),
        ("force-conflicts", |plan| plan["options"]["force-conflicts"] = json!(true)),
        ("skip-refused", |plan| plan["options"]["skip-refused"] = json!(true)),
        ("allow-incomplete", |plan| plan["options"]["allow-incomplete"] = json!(true)),
        ("a delete of what is another's", |plan| {
            add(plan, "orphan/one/role/foreign-plain", "delete", &json!([]));
        }),
        ("one object dropped", |plan| drop_change(plan, "service-account/green/apps/kept")),
    ];
    let fleet = Fleet::new();
    let whole = Case::new(&fleet);
    whole.scene.bench.ends(0, &["apply", "plan.json"]);
    let (all, state) = (whole.watch.writes(), whole.scene.state());
    for (what, forge) in less {
        let case = Case::new(&fleet);
        let foreign = case.scene.foreign();
        let mut plan: Value = serde_json::from_str(&case.text).expect("JSON");
        forge(&mut plan);
        case.scene.bench.write("forged.json", &signed(&plan.to_string()));
        let run = case.scene.bench.irsa(&["apply", "forged.json"]);
        assert!([0, 5].contains(&run.code), "{what}: {run}");
        let writes = case.watch.writes();
        assert!(writes.iter().all(|write| all.contains(write)), "{what}: {run}");
        assert!(run.code == 0 || writes.is_empty(), "{what}: {run}");
        assert_eq!(case.scene.foreign(), foreign, "{what}: {run}");
        case.scene.converges();
        same(&case.scene.state(), &state);
    }
}

/// Something that happens between plan and apply.
struct Event {
    what: &'static str,
    address: &'static str,
    happens: fn(&Scene),
}

fn iam(scene: &Scene, account: &str, action: &str, fields: &[(&str, &str)]) {
    scene.world.with(|sandbox| OtherPeople { sandbox, account }.call(action, fields));
}

const TRUST: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
    "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}]}"#;
const QUEUE: (&str, &str) = ("PolicyArn", "arn:aws:iam::111122223333:policy/irsa/fleet/queue");
const WEB: (&str, &str) = ("RoleName", "web");

fn tag(scene: &Scene, account: &str, role: &str, key: &str, value: &str) {
    let fields = [("RoleName", role), ("Tags.member.1.Key", key), ("Tags.member.1.Value", value)];
    iam(scene, account, "TagRole", &fields);
}

fn annotate(scene: &Scene, cluster: &str, name: &str, manager: &str, key: &str, value: &str) {
    let edit = |store: &mut Store| {
        store.edit(Resource::ServiceAccounts, "apps", name, manager, |object| {
            object["metadata"]["annotations"][key] = json!(value);
        })
    };
    scene.world.cluster(cluster).with(edit).expect("a ServiceAccount");
}

fn delete_service_account(scene: &Scene, cluster: &str, name: &str) {
    let delete =
        |store: &mut Store| store.delete(Resource::ServiceAccounts, "apps", name, &Preconditions::default(), false);
    scene.world.cluster(cluster).with(delete).expect("a ServiceAccount");
}

fn delete_role(scene: &Scene, account: &str, name: &str) {
    let (all, role) = (scene.state(), ("RoleName", name));
    let live = &all["iam"][account]["roles"][name];
    for arn in live["attached"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        iam(scene, account, "DetachRolePolicy", &[role, ("PolicyArn", arn)]);
    }
    for policy in live["inline"].as_object().into_iter().flat_map(|inline| inline.keys()) {
        iam(scene, account, "DeleteRolePolicy", &[role, ("PolicyName", policy)]);
    }
    iam(scene, account, "DeleteRole", &[role]);
}

const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const OTHER: &str = "arn:aws:iam::111122223333:role/foreign-plain";

const EVENTS: [Event; 29] = [
    Event {
        what: "a provider is deleted",
        address: "oidc-provider/one/blue",
        happens: |scene| {
            let arn = format!("arn:aws:iam::{FIRST}:oidc-provider/oidc.example.com/blue");
            iam(scene, FIRST, "DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn)]);
        },
    },
    Event {
        what: "a policy gets another document",
        address: "policy/one/queue",
        happens: |scene| {
            iam(scene, FIRST, "DeletePolicyVersion", &[QUEUE, ("VersionId", "v1")]);
            let document = ("PolicyDocument", &*document_with_list("Allow", "sqs:*"));
            iam(scene, FIRST, "CreatePolicyVersion", &[QUEUE, document, ("SetAsDefault", "true")]);
        },
    },
    Event {
        what: "a policy gets another tag",
        address: "policy/one/queue",
        happens: |scene| {
            let (key, value) = (("Tags.member.1.Key", "stage"), ("Tags.member.1.Value", "three"));
            iam(scene, FIRST, "TagPolicy", &[QUEUE, key, value]);
        },
    },
    Event {
        what: "someone makes a policy of the name",
        address: "policy/one/archive",
        happens: |scene| {
            let document = ("PolicyDocument", &*document_with_list("Allow", "s3:*"));
            iam(scene, FIRST, "CreatePolicy", &[("PolicyName", "archive"), ("Path", "/irsa/fleet/"), document]);
        },
    },
    Event {
        what: "a policy that goes is attached elsewhere",
        address: "orphan/one/policy/retired",
        happens: |scene| {
            let arn = ("PolicyArn", "arn:aws:iam::111122223333:policy/irsa/fleet/retired");
            iam(scene, FIRST, "AttachRolePolicy", &[("RoleName", "foreign-plain"), arn]);
        },
    },
    Event {
        what: "a role's trust changes",
        address: "role/web",
        happens: |scene| iam(scene, FIRST, "UpdateAssumeRolePolicy", &[WEB, ("PolicyDocument", TRUST)]),
    },
    Event {
        what: "an inline policy changes",
        address: "role/web",
        happens: |scene| {
            let (name, text) = (("PolicyName", "changes"), document_with_list("Allow", "s3:*"));
            iam(scene, FIRST, "PutRolePolicy", &[WEB, name, ("PolicyDocument", &text)]);
        },
    },
    Event {
        what: "an inline policy comes",
        address: "role/shrink",
        happens: |scene| {
            let (role, name, text) =
                (("RoleName", "shrink"), ("PolicyName", "sneaky"), document_with_list("Allow", "s3:*"));
            iam(scene, FIRST, "PutRolePolicy", &[role, name, ("PolicyDocument", &text)]);
        },
    },
    Event {
        what: "a policy is attached",
        address: "role/web",
        happens: |scene| {
            let arn = ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess");
            iam(scene, FIRST, "AttachRolePolicy", &[WEB, arn]);
        },
    },
    Event { what: "a tag changes", address: "role/web", happens: |scene| tag(scene, FIRST, "web", "stage", "three") },
    Event { what: "a tag comes", address: "role/shrink", happens: |scene| tag(scene, FIRST, "shrink", "team", "x") },
    Event {
        what: "the boundary changes",
        address: "role/shrink",
        happens: |scene| {
            let boundary = ("PermissionsBoundary", "arn:aws:iam::aws:policy/PowerUserAccess");
            iam(scene, FIRST, "PutRolePermissionsBoundary", &[("RoleName", "shrink"), boundary]);
        },
    },
    Event {
        what: "the description changes",
        address: "role/web",
        happens: |scene| iam(scene, FIRST, "UpdateRole", &[WEB, ("Description", "three")]),
    },
    Event {
        what: "the longest session changes",
        address: "role/web",
        happens: |scene| {
            iam(scene, FIRST, "UpdateRole", &[WEB, ("Description", "one"), ("MaxSessionDuration", "7200")]);
        },
    },
    Event {
        what: "a role is taken over by another owner",
        address: "role/web",
        happens: |scene| tag(scene, FIRST, "web", "irsa/owner", "them"),
    },
    Event {
        what: "a role that is adopted has an owner now",
        address: "role/claimed",
        happens: |scene| tag(scene, FIRST, "claimed", "irsa/owner", "them"),
    },
    Event {
        what: "a role that goes gets a permission",
        address: "orphan/two/role/two-old",
        happens: |scene| {
            let (role, name, text) =
                (("RoleName", "two-old"), ("PolicyName", "more"), document_with_list("Allow", "s3:*"));
            iam(scene, SECOND, "PutRolePolicy", &[role, name, ("PolicyDocument", &text)]);
        },
    },
    Event {
        what: "a role that goes must not be destroyed",
        address: "orphan/two/role/two-old",
        happens: |scene| tag(scene, SECOND, "two-old", "irsa/prevent-destroy", "true"),
    },
    Event {
        what: "a role that goes is used",
        address: "orphan/one/role/old",
        happens: |scene| {
            let now = jiff::Timestamp::now();
            assert!(scene.world.with(|sandbox| sandbox.iam(FIRST, |iam| iam.set_last_used("old", now))));
        },
    },
    Event {
        what: "someone makes a role of the name",
        address: "role/api",
        happens: |scene| {
            iam(scene, FIRST, "CreateRole", &[("RoleName", "api"), ("AssumeRolePolicyDocument", TRUST)]);
        },
    },
    Event { what: "a role is deleted", address: "role/web", happens: |scene| delete_role(scene, FIRST, "web") },
    Event {
        what: "an annotation changes",
        address: "service-account/green/apps/kept",
        happens: |scene| annotate(scene, "green", "kept", "kubectl-annotate", ROLE_ARN, OTHER),
    },
    Event {
        what: "another manager holds the annotation",
        address: "service-account/blue/apps/claimed",
        happens: |scene| annotate(scene, "blue", "claimed", "helm", ROLE_ARN, OTHER),
    },
    Event {
        what: "someone makes a ServiceAccount of the name for another role",
        address: "service-account/blue/apps/api",
        happens: |scene| {
            let seed = |store: &mut Store| store.seed_service_account("apps", "api", &[(ROLE_ARN, OTHER)], "helm");
            scene.world.cluster("blue").with(seed).expect("a ServiceAccount");
        },
    },
    Event {
        what: "a ServiceAccount is deleted",
        address: "service-account/green/apps/kept",
        happens: |scene| delete_service_account(scene, "green", "kept"),
    },
    Event {
        what: "a pod uses a ServiceAccount that goes",
        address: "service-account/blue/apps/old",
        happens: |scene| world::create_pod(&scene.world.cluster("blue"), "apps", "late", "old"),
    },
    Event {
        what: "a namespace goes",
        address: "service-account/green/apps/bridge",
        happens: |scene| {
            let cluster = scene.world.cluster("green");
            let gone =
                cluster.with(|store| store.delete(Resource::Namespaces, "", "apps", &Preconditions::default(), false));
            gone.expect("a namespace");
            assert!(cluster.with(|store| store.get(Resource::Namespaces, "", "apps").is_none()), "it is gone");
        },
    },
    Event {
        what: "a cluster is made anew",
        address: "service-account/green/apps/kept",
        happens: |scene| scene.world.replace_cluster("green"),
    },
    Event {
        what: "a cluster is gone",
        address: "service-account/green/apps/bridge",
        happens: |scene| scene.world.remove_cluster("green"),
    },
];

#[test]
fn stale_plan_is_refused_and_names_the_changed_object() {
    let fleet = Fleet::new();
    let mut wrong = Vec::new();
    for Event { what, address, happens } in EVENTS {
        let case = Case::new(&fleet);
        happens(&case.scene);
        let run = case.scene.bench.irsa(&["apply", "plan.json"]);
        let named = run.stderr.contains(address);
        let writes = case.watch.writes();
        if run.code != 5 || !named || !writes.is_empty() {
            wrong.push(format!("{what}: {} writes, `{address}` is named: {named}: {run}", writes.len()));
        }
    }
    tell(&format!("tampered: {} ways in which a plan is overtaken", EVENTS.len()));
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), EVENTS.len(), wrong.join("\n"));
}
