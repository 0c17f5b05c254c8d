//! What others do to the same objects at the very moment at which irsa writes them.

use super::{ADMIN_TOKEN, ROLE_ARN, Scene, entry, outages::many};
use crate::support::clusters::{allowed, on_every_backend, patched};
use serde_json::{Value, json};

const OURS: &str = "arn:aws:iam::111122223333:role/irsa/it/app";

/// Whoever of the two makes an object, its mark is on it in the end, and so it goes again.
#[test]
fn two_runs_that_make_the_same_lose_no_mark() {
    on_every_backend("make and mark", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(&many(60));
        let line = ["apply", "--auto-approve"];
        let runs = [scene.bench.start(&line), scene.bench.start(&line)].map(crate::support::program::Running::ends);
        for run in &runs {
            assert!([0, 1, 4, 6].contains(&run.code) && !run.stderr.contains("panicked"), "{run}");
        }
        scene.bench.converges();
        for number in 0..60 {
            let name = format!("cart-{number:03}");
            let mark = cluster.annotation(runtime, "shop", &name, "irsa/created");
            assert_eq!(mark.as_deref(), Some("true"), "{name}: {}{}", runs[0], runs[1]);
        }
        scene.bench.ends(0, &["apply", "--auto-approve", "--destroy", "--force"]);
        for number in 0..60 {
            let name = format!("cart-{number:03}");
            assert!(cluster.get(runtime, "shop", &name).is_none(), "{name} was ours alone");
        }
    });
}

/// An apply by Helm comes through between irsa's last look and its DELETE.
#[test]
fn an_object_that_changes_under_its_deletion_stays() {
    on_every_backend("delete preconditions of irsa", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        let both =
            entry("create", "shop", "cart", "") + &entry("create", "shop", "stays", "").replace("[roles.app]\n", "");
        scene.declare(&both);
        scene.bench.converges();
        scene.declare(&entry("create", "shop", "stays", ""));
        cluster.before_deletion_helm_applies(runtime, "shop", "cart");
        let run = scene.bench.irsa(&["apply", "--auto-approve"]);
        assert!([0, 1, 6].contains(&run.code), "{run}");
        let object = cluster.get(runtime, "shop", "cart").unwrap_or_else(|| panic!("it is Helm's too: {run}"));
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
        cluster.admits_all(runtime, "shop");
        // what is left to do is to let go of it
        scene.bench.converges();
        let object = cluster.get(runtime, "shop", "cart").expect("it is Helm's");
        assert!(object["metadata"]["annotations"][ROLE_ARN].is_null(), "{object}");
    });
}

/// Else each run would say "updated", for ever.
#[test]
fn a_policy_that_overwrites_what_was_applied_is_a_failure() {
    on_every_backend("a mutating policy", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(&entry("create", "shop", "cart", ""));
        let path = format!("/metadata/annotations/{}", ROLE_ARN.replace('/', "~1"));
        cluster.judged_by(runtime, true, move |request: &Value| {
            if request["object"]["metadata"]["annotations"][ROLE_ARN].is_null() {
                return allowed();
            }
            patched(&json!([{"op": "replace", "path": path, "value": "arn:aws:iam::111122223333:role/theirs"}]))
        });
        for _ in 0..2 {
            let run = scene.bench.irsa(&["apply", "--auto-approve"]);
            assert!([1, 6].contains(&run.code), "{run}");
            run.says(ROLE_ARN);
            let text = format!("{}{}", run.stdout, run.stderr);
            assert!(["webhook", "policy", "admission"].iter().any(|word| text.contains(word)), "{run}");
        }
        cluster.admits_all(runtime, "shop");
        scene.bench.converges();
        assert_eq!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).as_deref(), Some(OURS));
    });
}

/// It is neither there nor gone: it waits, and is made anew once it is gone.
#[test]
fn a_service_account_that_is_being_deleted_waits_and_is_said_to() {
    on_every_backend("a ServiceAccount goes", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(&entry("create", "shop", "cart", ""));
        scene.bench.converges();
        cluster.hold(runtime, "shop", "cart", true);
        let path = "/api/v1/namespaces/shop/serviceaccounts/cart";
        assert_eq!(cluster.ask(runtime, "DELETE", path, "application/json", "").0, 200);
        let run = scene.bench.irsa(&["plan"]);
        run.says("being deleted");
        assert!(!run.stdout.contains("No changes."), "{run}");
        cluster.hold(runtime, "shop", "cart", false);
        assert!(cluster.get(runtime, "shop", "cart").is_none());
        scene.bench.converges();
        assert_eq!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).as_deref(), Some(OURS));
    });
}

#[test]
fn a_namespace_that_is_being_deleted_is_not_one_that_is_missing() {
    on_every_backend("a plan for a namespace that goes", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        cluster.create(runtime, "shop", "held");
        cluster.hold(runtime, "shop", "held", true);
        cluster.delete_namespace(runtime, "shop");
        scene.declare(&entry("create", "shop", "cart", ""));
        scene.bench.irsa(&["plan"]).says("being deleted");
        scene.bench.ends(0, &["apply", "--auto-approve"]);
        assert!(cluster.get(runtime, "shop", "cart").is_none());
    });
}
