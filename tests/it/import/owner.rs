//! What the owner has already: nothing of it is lost by an import and an apply of the result.

use super::{ROLE_ARN, Scene, arn, lets_in, trust};
use crate::support::given::document;
use crate::support::program::changes;
use crate::support::world::World;
use irsa_sandbox::kubernetes::{Resource, Store};
use serde_json::json;

/// A cluster with the namespace `apps`, whose OIDC provider irsa makes.
fn without_provider() -> Scene {
    let scene = Scene::of(World::with_cluster("prod"), &["prod"]);
    scene.annotate("apps", "mine", &[]);
    scene
}

/// Applies this configuration, and loses it.
fn apply(scene: &Scene, entries: &str) {
    let head = "owner = \"platform\"\n[clusters.prod]\nregion = \"eu-west-1\"\n";
    scene.bench.write("lost/irsa.toml", &format!("{head}{entries}"));
    scene.bench.ends(0, &["-c", "lost/irsa.toml", "apply", "--auto-approve"]);
}

fn metadata(scene: &Scene, name: &str) -> serde_json::Value {
    let find = |store: &mut Store| {
        let mut all = store.all(Resource::ServiceAccounts);
        all.find(|item| item["metadata"]["name"] == name).map(|item| item["metadata"].clone())
    };
    scene.world.cluster("prod").with(find).expect("a ServiceAccount")
}

#[test]
fn labels_and_annotations_that_irsa_has_set_are_declared() {
    let scene = without_provider();
    apply(
        &scene,
        "[roles.two]\n[[service-accounts]]\nrole = \"two\"\nnamespace = \"apps\"\nname = [\"a\", \"mine\"]\n\
         labels = { team = \"y\" }\nannotations = { \"example.com/a\" = \"b {{ x }} \\n\\\"\" }\n\
         [[service-accounts]]\nrole = \"two\"\nnamespace = \"apps\"\nname = \"chart\"\n\
         annotations = { \"meta.helm.sh/release-name\" = \"shop\" }\n",
    );
    let before: Vec<_> = ["a", "mine", "chart"].map(|name| metadata(&scene, name)).into();
    scene.import(0, &[]);
    let plan = scene.bench.ends(0, &["-c", "out/irsa.toml", "plan", "--adopt", "--format", "json"]).json();
    assert_eq!(changes(&plan), [""; 0], "{}", scene.text());
    scene.keeps_the_law();
    let after: Vec<_> = ["a", "mine", "chart"].map(|name| metadata(&scene, name)).into();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before["labels"], &before["annotations"]), (&after["labels"], &after["annotations"]));
    }
    assert!(scene.text().contains("labels = { team = \"y\" }"), "{}", scene.text());
}

/// The owner label is gone, and the address is irsa's own.
#[test]
fn service_account_without_its_label_is_still_the_owners() {
    let scene = without_provider();
    apply(&scene, "[roles.one]\nservice-accounts = [\"apps/one\"]\n");
    let edit = |store: &mut Store| {
        store.edit(Resource::ServiceAccounts, "apps", "one", "someone", |object| {
            object["metadata"]["labels"] = json!({});
        })
    };
    scene.world.cluster("prod").with(edit).expect("a ServiceAccount");
    scene.import(0, &[]);
    scene.keeps_the_law();
    assert_eq!(metadata(&scene, "one")["labels"]["irsa/owner"], "platform");
}

#[test]
fn field_that_no_configuration_can_declare_keeps_the_service_account_from_being_managed() {
    let scene = Scene::new();
    scene.create_pair("one", "apps", "one");
    let edit = |store: &mut Store| {
        store.edit(Resource::ServiceAccounts, "apps", "one", "irsa-platform", |object| {
            object["metadata"]["labels"] = json!({"irsa/other": "x"});
        })
    };
    scene.world.cluster("prod").with(edit).expect("a ServiceAccount");
    scene
        .import(0, &[])
        .says("`apps/one` in cluster `prod`: irsa has set its label `irsa/other`, which no configuration");
    scene.keeps_the_law();
}

const ROLES: &str = "[policies.loose]\nfile = \"p.json\"\n\
    [roles.one]\nservice-accounts = [\"apps/one\"]\nattach = [\"loose\"]\n\
    [roles.two]\nservice-accounts = [\"apps/two\"]\n\
    [roles.machine]\n[[roles.machine.trust]]\nprincipals = { service = [\"ec2.amazonaws.com\"] }\n\
    actions = [\"sts:AssumeRole\"]\n";

/// Roles, ServiceAccounts, a policy and a provider of the owner.
fn in_use() -> Scene {
    let scene = without_provider();
    scene.bench.write("lost/p.json", &document("Allow", ["s3:GetObject"]));
    apply(&scene, ROLES);
    scene
}

#[test]
fn role_of_the_owner_that_trusts_no_cluster_is_imported_too() {
    let scene = in_use();
    scene.import(0, &[]).says(": 1 cluster, 3 roles, 2 ServiceAccounts, 1 policy");
    assert!(scene.bench.read("out/roles/_none.toml").contains("[roles.machine]"), "{}", scene.text());
    let plan = scene.bench.ends(0, &["-c", "out/irsa.toml", "plan", "--adopt", "--format", "json"]).json();
    assert_eq!(changes(&plan), [""; 0], "{}", scene.text());
    scene.keeps_the_law();
}

#[test]
fn objects_of_the_owner_that_the_result_leaves_out_are_refused_by_name() {
    let scene = in_use();
    let provider = arn("oidc-provider", scene.issuer.trim_start_matches("https://"));
    let loose = format!("policy `{}`: no imported role attaches it", arn("policy", "irsa/platform/loose"));
    let one = ["role `one` in account `default`: `--role` or", "`apps/one` in cluster `prod`: `--role` or"];
    let two = ["role `two` in account `default`: `--role` or", "`apps/two` in cluster `prod`: `--role` or"];
    let machine = "role `machine` in account `default`: `--role` or `--namespace` leaves it out";
    let bare = format!("OIDC provider `{provider}`: no imported role is bound in its cluster");
    let namespace = ["role `two` in account", "`apps/two` in cluster `prod`: `--role` or `--namespace` leaves it out"];
    let cases: [(&[&str], Vec<&str>); 4] = [
        (&["--namespace", "kube-*"], [&namespace[..], &[machine, &loose, &bare]].concat()),
        (&["--role", "one"], [&two[..], &[machine]].concat()),
        (&["--role", "machine"], [&one[..], &two, &[&loose, &bare]].concat()),
        (&["--namespace", "apps"], vec![machine]),
    ];
    for (options, named) in cases {
        let run = scene.import(4, options);
        for text in &named {
            run.says(text);
        }
        run.says("nothing was written (owner-in-use)")
            .says("`--config FILE`")
            .says("`--owner NAME`")
            .says("leave out `--");
        assert!(!scene.bench.path("out").exists(), "{run}");
    }
    let policy = arn("policy", "irsa/platform/loose");
    scene.call("DetachRolePolicy", &[("RoleName", "one"), ("PolicyArn", policy.as_str())]);
    let run = scene.import(4, &[]);
    run.says(&loose).says("or remove its tag `irsa/owner`");
    assert!(!run.stderr.contains("role `"), "{run}");
    // another owner has nothing here
    scene.bench.ends(0, &["import", "--owner", "other", "-o", "out"]);
}

#[test]
fn objects_in_a_cluster_that_is_left_out_are_refused_by_name() {
    let scene = without_provider();
    scene.world.add_cluster("stage");
    let stage = arn("oidc-provider", scene.world.issuer("stage").trim_start_matches("https://"));
    apply(
        &scene,
        "[clusters.stage]\nregion = \"eu-west-1\"\n[roles.one]\ncluster = \"prod\"\nservice-accounts = [\"apps/one\"]\n\
         [roles.far]\ncluster = \"stage\"\nservice-accounts = [\"apps/far\"]\n",
    );
    // its role is imported for its tag, with the trust as it is
    let run = scene.import(4, &["--cluster", "prod"]);
    run.says(&format!("OIDC provider `{stage}`: its cluster is not imported")).says("leave out `--cluster`");
    assert!(!run.stderr.contains("role `one`"), "{run}");
    scene.import(0, &[]);
    scene.keeps_the_law();
}

/// The first step adopted them under the path `/`.
#[test]
fn second_new_configuration_of_one_owner_is_refused() {
    let scene = Scene::new();
    for name in ["a", "b"] {
        scene.create_pair(name, "apps", name);
        scene.people(|people| {
            people.create_policy(name, &document("Allow", ["s3:GetObject"]));
            people.attach(name, &arn("policy", name));
        });
    }
    scene.import(0, &["--role", "a"]);
    scene.keeps_the_law();
    let run = scene.bench.ends(4, &["import", "--owner", "platform", "-o", "second", "--role", "b"]);
    run.says("role `a` in account `default`").says(&format!("policy `{}`", arn("policy", "a"))).says("`apps/a`");
    assert!(!scene.bench.path("second").exists());
}

#[test]
fn unread_tags_are_reported() {
    let scene = in_use();
    scene.create_role("stranger", &trust(&[lets_in(&scene.issuer, "sts.amazonaws.com", &["other:x"])]));
    scene.annotate("other", "x", &[(ROLE_ARN, &arn("role", "stranger"))]);
    scene.world.deny("ListRoleTags");
    let run =
        scene.bench.ends(4, &["import", "--owner", "new", "-o", "out", "--namespace", "other", "--role", "stranger"]);
    run.says("not read: account `default`: the tags of role `");
}
