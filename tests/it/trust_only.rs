//! Clusters of which irsa uses only the issuer. These tests run the real binary against the sandbox.

use crate::ownership::{Scene, role};
use crate::support::program::{Bench, changes, refusals};
use crate::support::world::World;
use std::collections::BTreeMap;

const METAL: &str = "owner = \"me\"\n[clusters.metal]\nissuer = \"https://oidc.example.com/metal\"\n";

fn trusted(key: &str) -> String {
    format!(
        "[roles.{key}]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\n[[service-accounts]]\nrole = \"{key}\"\nnamespace = \"apps\"\nname = \"{key}\"\nmanage = \"none\"\n"
    )
}

#[test]
fn cluster_with_only_an_issuer_needs_no_kubernetes_access() {
    let world = World::empty();
    let bench = Bench::new(world.environment());
    bench.write("irsa.toml", &(METAL.to_owned() + &trusted("app") + &trusted("old")));
    bench.converges();
    bench.ends(0, &["drift", "--confirm-after", "0s"]);
    let someone = world.someone();
    someone.attach("app", "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess");
    bench.ends(2, &["drift", "--confirm-after", "0s"]);
    bench.converges();

    // irsa cannot know whether a ServiceAccount there names the role, until the configuration says so
    bench.write("irsa.toml", &(METAL.to_owned() + &trusted("app")));
    let run = bench.ends(4, &["plan"]);
    run.says("it is not deleted: it trusts cluster `metal`").says("`kubernetes = \"none\"` in `[clusters.metal]`");
    bench.write("irsa.toml", &(METAL.to_owned() + "kubernetes = \"none\"\n" + &trusted("app")));
    let plan = bench.plan(&[]);
    assert_eq!(
        (changes(&plan), refusals(&plan)),
        (vec!["delete orphan/default/role/old".to_owned()], vec![]),
        "{plan}"
    );
    bench
        .ends(0, &["plan"])
        .says("guard-not-default")
        .says("kubernetes: irsa does not read these clusters")
        .says("`metal`");
    bench.converges();
    assert!(!someone.has_role("old") && someone.has_role("app"));
    bench.ends(0, &["apply", "--destroy", "--auto-approve"]);
    assert!(!someone.has_role("app") && someone.providers().is_empty());
}

#[test]
fn kubernetes_none_sends_no_request_and_manages_nothing() {
    let scene = Scene::new();
    let none = "kubernetes = \"none\"\n";
    scene.declare(&(none.to_owned() + &role("app")));
    scene.bench.converges();
    assert!(scene.someone.has_role("app") && scene.service_account("app").is_none());
    assert!(scene.world.cluster("main").gate().log().is_empty(), "its API was asked");
    // a contradiction is an error with its line and a fix
    let entry = "[[service-accounts]]\nrole = \"app\"\nnamespace = \"apps\"\nname = [\"x\", \"y\"]\n";
    scene.declare(&format!("{none}{}{entry}manage = \"annotate\"\n", role("app")));
    let run = scene.bench.ends(3, &["validate"]);
    run.says("irsa manages nothing in cluster `main`").says("irsa.toml:11:10").says("remove `manage`");
    assert_eq!(run.stderr.matches("nothing in cluster").count() + run.stdout.matches("nothing in cluster").count(), 1);
    scene.declare(&format!("{none}{}{entry}manage = \"none\"\n", role("app")));
    scene.bench.ends(0, &["validate"]);
    scene.declare(&("kubernetes = \"nothing\"\n".to_owned() + &role("app")));
    scene.bench.ends(3, &["validate"]).says("`nothing` is not a way to reach a cluster").says("`\"none\"`");
    let lock = "[lock]\ncluster = \"main\"\n";
    scene.declare(&format!("{none}{}{lock}", role("app")));
    scene.bench.ends(3, &["validate"]).says("cannot hold the lock");
}

#[test]
fn glob_still_manages_the_other_clusters_beside_kubernetes_none() {
    let scene = Scene::new();
    let text = "[clusters.metal]\nissuer = \"https://oidc.example.com/metal\"\nkubernetes = \"none\"\n[roles.app]\ncluster = \"*\"\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\nservice-accounts = [\"apps/app\"]\n";
    scene.declare(text);
    scene.bench.converges();
    assert!(scene.service_account("app").is_some());
    let labelled = "[[service-accounts]]\nrole = \"app\"\ncluster = \"*\"\nnamespace = \"apps\"\nname = \"x\"\nlabels = { team = \"x\" }\n";
    scene.declare(&(text.to_owned() + labelled));
    scene.bench.converges();
    assert_eq!(scene.service_account("x").expect("it is made")["metadata"]["labels"]["team"], "x");
    assert!(scene.someone.trust("app").to_string().contains("oidc.example.com/metal"));
}

/// irsa does not silently ignore labels for a ServiceAccount that nobody creates.
#[test]
fn labels_with_kubernetes_none_are_refused_as_with_manage_none() {
    let entry = |more: &str| {
        format!(
            "owner = \"me\"\n[clusters.main]\nkubernetes = \"none\"\n[roles.app]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\n\
             [[service-accounts]]\nrole = \"app\"\nnamespace = \"apps\"\nname = [\"one\", \"two\"]\n{more}"
        )
    };
    let bench = Bench::with(BTreeMap::new(), &entry(""));
    bench.ends(0, &["validate"]);
    for what in ["labels", "annotations"] {
        let table = format!("{what} = {{ team = \"x\" }}\n");
        bench.write("irsa.toml", &entry(&table));
        let run = bench.ends(3, &["validate"]);
        run.says("irsa manages nothing in cluster `main`").says("irsa.toml:10:").says("remove them");
        assert_eq!(run.stderr.matches("nothing in cluster").count(), 1, "{run}");
        bench.write("irsa.toml", &entry(&(table + "manage = \"none\"\n")));
        bench.ends(3, &["validate"]).says("are for ServiceAccounts that irsa creates");
    }
}
