//! Changes that irsa refuses although the configuration asks for them. These tests run the real binary against the
//! sandbox.

use crate::ownership::{HEAD, Scene, role, trust};
use crate::support::program::{Bench, changes, refusals};
use crate::support::world::{self, FIRST, SECOND, World};
use serde_json::json;

#[test]
fn wrong_account_is_refused_before_any_other_request() {
    let scene = Scene::new();
    let text = format!("owner = \"me\"\n[accounts.prod]\nid = \"{SECOND}\"\n[clusters.main]\n{}", role("app"));
    scene.bench.write("irsa.toml", &text);
    let plan = scene.bench.plan(&[]);
    let refused = refusals(&plan).join("\n");
    assert!(refused.contains("account/prod") && refused.contains(FIRST) && refused.contains(SECOND), "{refused}");
    scene.bench.ends(4, &["plan"]);
    assert_eq!(scene.apply(&[]).code, 4);
    let services = scene.world.actions();
    assert!(services.iter().all(|action| action == "GetCallerIdentity"), "{services:?}");
}

#[test]
fn api_of_another_cluster_is_refused() {
    let scene = Scene::new();
    scene.world.add_cluster("second");
    let kubeconfig = scene.world.kubeconfig();
    scene.bench.write("kube.yaml", &kubeconfig);
    let text = |context: &str, more: &str| {
        format!(
            "owner = \"me\"\n[clusters.main]\nkubernetes = {{ kubeconfig = \"kube.yaml\", context = \"{context}\"{more} }}\n{}",
            role("app")
        )
    };
    scene.bench.write("irsa.toml", &text("second", ""));
    let refused = refusals(&scene.bench.plan(&[])).join("\n");
    assert!(refused.contains("cluster/main"), "{refused}");
    assert_eq!(scene.apply(&[]).code, 4);
    scene.bench.write("irsa.toml", &text("main", ""));
    scene.bench.ends(0, &["plan"]);
    scene.bench.write("irsa.toml", &text("second", ", unverified = true"));
    scene.bench.ends(0, &["plan"]);
}

fn many(range: std::ops::Range<usize>) -> String {
    range.map(|number| role(&format!("app{number}"))).collect()
}

#[test]
fn too_many_deletes_are_refused_without_force() {
    let scene = Scene::new();
    scene
        .bench
        .write("irsa.toml", &format!("owner = \"me\"\n[guard]\nmax-delete = 1\n[clusters.main]\n{}", many(0..4)));
    scene.bench.converges();
    scene
        .bench
        .write("irsa.toml", &format!("owner = \"me\"\n[guard]\nmax-delete = 1\n[clusters.main]\n{}", many(0..3)));
    let run = scene.apply(&[]);
    assert_eq!(run.code, 4, "{run}");
    run.says("max-delete");
    assert!(scene.someone.has_role("app3"));
    assert_eq!(scene.apply(&["--force"]).code, 0);
    assert!(!scene.someone.has_role("app3"));
}

#[test]
fn too_many_changes_are_refused() {
    let scene = Scene::new();
    scene.declare(&many(0..6));
    scene.bench.converges();
    let described: String = (0..6).map(|number| role(&format!("app{number}")) + "description = \"new\"\n").collect();
    scene.declare(&described);
    let run = scene.apply(&[]);
    assert_eq!(run.code, 4, "{run}");
    run.says("max-change-percent");
    assert_eq!(scene.apply(&["--force"]).code, 0);
    scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
}

#[test]
fn recently_used_role_is_not_deleted() {
    let scene = Scene::new();
    scene.declare(&many(0..2));
    scene.bench.converges();
    scene.world.use_role("app1");
    scene.declare(&many(0..1));
    let run = scene.apply(&[]);
    assert_eq!(run.code, 4, "{run}");
    run.says("recent-use");
    assert_eq!(scene.apply(&["--force"]).code, 0);
    assert!(!scene.someone.has_role("app1"));
}

#[test]
fn prevent_destroy_tag_prevents_deletion_even_with_force() {
    let scene = Scene::new();
    scene.declare(&(many(0..1) + &role("kept") + "prevent-destroy = true\n"));
    scene.bench.converges();
    scene.declare(&many(0..1));
    for arguments in [&["--force"][..], &["--destroy", "--force"]] {
        let run = scene.apply(arguments);
        assert_eq!(run.code, 4, "{run}");
        run.says("irsa/prevent-destroy");
        assert!(scene.someone.has_role("kept"));
    }
    scene.someone.untag_role("kept", "irsa/prevent-destroy");
    assert_eq!(scene.apply(&[]).code, 0);
    assert!(!scene.someone.has_role("kept"));
}

#[test]
fn reused_owner_name_deletes_nothing() {
    let scene = Scene::new();
    scene.declare(&many(0..2));
    scene.bench.converges();
    scene.declare("[roles.quite-another]\nservice-accounts = [\"apps/another\"]\n");
    let run = scene.apply(&["--force"]);
    assert_eq!(run.code, 4, "{run}");
    assert!(scene.someone.has_role("app0") && scene.someone.has_role("app1"));
}

#[test]
fn deleting_everything_in_an_account_needs_destroy() {
    let world = World::demo();
    world.create_namespaces("apps");
    let (one, two) = (world.first_clusters()[0].clone(), world.second_cluster());
    let text = |both: bool| {
        let mut text = world.clusters_toml("me");
        let block = format!("[roles.a]\naccount = \"one\"\ncluster = \"{one}\"\nservice-accounts = [\"apps/a\"]\n");
        text.push_str(&block);
        if both {
            let block = format!("[roles.b]\naccount = \"two\"\ncluster = \"{two}\"\nservice-accounts = [\"apps/b\"]\n");
            text.push_str(&block);
        }
        text
    };
    let bench = Bench::with(world.environment(), &text(true));
    bench.converges();
    bench.write("irsa.toml", &text(false));
    let run = bench.ends(4, &["apply", "--auto-approve", "--force"]);
    run.says("--destroy");
    assert!(world.has_role(SECOND, "b"));
}

#[test]
fn role_of_an_undeclared_cluster_is_deleted_only_after_state_gone() {
    let scene = Scene::new();
    scene.world.add_cluster("second");
    let both = format!("owner = \"me\"\n[clusters.main]\n[clusters.second]\n{}{}", role("app"), role("two"))
        .replace("service-accounts", "cluster = \"main\"\nservice-accounts")
        .replace(
            "[roles.two]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\ncluster = \"main\"",
            "[roles.two]\ncluster = \"second\"",
        );
    scene.bench.write("irsa.toml", &both);
    scene.world.cluster("second").with(|store| world::create_namespace(store, "apps"));
    scene.bench.converges();
    // the cluster's table and its role leave the file
    scene.declare(&role("app"));
    let plan = scene.bench.plan(&["--force"]);
    assert!(refusals(&plan).join("\n").contains("orphan/default/role/two"), "{plan}");
    assert!(plan["refused"].to_string().contains("gone"), "the hint says how: {plan}");
    assert!(scene.someone.has_role("two"));
    // with `state = "gone"`, irsa deletes the role without contact to the cluster
    scene.world.remove_cluster("second");
    scene.bench.write(
        "irsa.toml",
        &format!(
            "{HEAD}[clusters.second]\nstate = \"gone\"\n{}",
            role("app").replace("service-accounts", "cluster = \"main\"\nservice-accounts")
        ),
    );
    let run = scene.apply(&["--force"]);
    assert_eq!(run.code, 0, "{run}");
    assert!(!scene.someone.has_role("two"));
    assert_eq!(scene.someone.providers().len(), 1);
    scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
}

#[test]
fn recreated_cluster_changes_its_issuer_in_every_role_in_one_apply() {
    let scene = Scene::new();
    scene.declare(&many(0..2));
    scene.bench.converges();
    let old = scene.world.issuer("main");
    scene.world.replace_cluster("main");
    scene.world.cluster("main").with(|store| world::create_namespace(store, "apps"));
    assert_ne!(scene.world.issuer("main"), old);
    let run = scene.apply(&["--force"]);
    assert_eq!(run.code, 0, "{run}");
    let text = scene.someone.trust("app0").to_string();
    assert!(text.contains(&scene.world.issuer("main")["https://".len()..]), "{text}");
    assert!(!text.contains(&old["https://".len()..]), "{text}");
    scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
}

#[test]
fn role_is_kept_while_a_cluster_that_it_trusts_is_unreadable() {
    let scene = Scene::new();
    scene.declare(&many(0..2));
    scene.bench.converges();
    scene.world.deny_kubernetes("main");
    scene.declare(&many(0..1));
    let run = scene.apply(&["--allow-incomplete", "--force"]);
    assert_eq!(run.code, 4, "{run}");
    assert!(scene.someone.has_role("app1"));
}

#[test]
fn role_in_an_instance_profile_is_not_deleted() {
    let scene = Scene::new();
    scene.declare(&many(0..2));
    scene.bench.converges();
    scene.someone.put_in_instance_profile("app1");
    scene.declare(&many(0..1));
    let run = scene.apply(&["--force"]);
    assert_eq!(run.code, 4, "{run}");
    run.says("instance profile");
    assert!(scene.someone.has_role("app1"));
}

#[test]
fn delete_with_only_is_refused_while_dependents_are_not_selected() {
    let scene = Scene::new();
    scene.declare(&many(0..2));
    scene.bench.converges();
    scene.declare(&many(0..1));
    let plan = scene.bench.plan(&["--only", "orphan/default/role/app1"]);
    assert!(refusals(&plan).join("\n").contains("orphan/default/role/app1"), "{plan}");
    let plan = scene.bench.plan(&["--only", "orphan/default/role/app1", "--only", "service-account/main/apps/app1"]);
    assert_eq!(changes(&plan), ["delete service-account/main/apps/app1", "delete orphan/default/role/app1"]);
}

#[test]
fn skip_refused_applies_the_rest() {
    let scene = Scene::new();
    scene.someone.create_role("app0", &trust(), &[]);
    scene.declare(&many(0..2));
    assert_eq!(scene.apply(&[]).code, 4);
    assert!(!scene.someone.has_role("app1"));
    assert_eq!(scene.apply(&["--skip-refused"]).code, 0);
    assert!(scene.someone.has_role("app1"));
    assert!(scene.someone.role_tags("app0").is_empty());
}

#[test]
fn account_without_permissions_does_not_hide_the_others() {
    let world = World::demo();
    world.create_namespaces("apps");
    let (one, two) = (world.first_clusters()[0].clone(), world.second_cluster());
    let mut text = world.clusters_toml("me");
    let block = format!("[roles.a]\naccount = \"one\"\ncluster = \"{one}\"\nservice-accounts = [\"apps/a\"]\n");
    text.push_str(&block);
    let block = format!("[roles.b]\naccount = \"two\"\ncluster = \"{two}\"\nservice-accounts = [\"apps/b\"]\n");
    text.push_str(&block);
    let bench = Bench::with(world.environment(), &text);
    world.deny_account(SECOND);
    let plan = bench.plan(&[]);
    assert_eq!(plan["complete"], json!(false));
    assert!(changes(&plan).contains(&"create role/a".to_owned()), "{plan}");
    bench.ends(4, &["apply", "--auto-approve"]);
    assert!(!world.has_role(FIRST, "a"));
    bench.ends(0, &["apply", "--auto-approve", "--allow-incomplete"]);
    assert!(world.has_role(FIRST, "a"));
}
