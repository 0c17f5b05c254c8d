//! Others change the same objects at the very moment at which irsa writes them.

use super::{ADMIN_TOKEN, ROLE_ARN, Scene, entry, outages::many};
use crate::support::clusters::{allowed, on_every_backend, patched};
use serde_json::{Value, json};

const OURS: &str = "arn:aws:iam::111122223333:role/irsa/it/app";

/// Whichever run creates the object, it ends with its owner label, so that irsa can delete it again.
#[test]
fn two_runs_that_create_the_same_service_account_keep_its_owner_label() {
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

/// Helm applies its labels between irsa's last read and its DELETE.
#[test]
fn object_that_changes_before_its_delete_is_kept() {
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
        // irsa still has to release the object
        scene.bench.converges();
        let object = cluster.get(runtime, "shop", "cart").expect("it is Helm's");
        assert!(object["metadata"]["annotations"][ROLE_ARN].is_null(), "{object}");
    });
}

/// Otherwise each run would say "updated" for ever.
#[test]
fn admission_policy_that_overwrites_an_apply_is_a_failure() {
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

/// The ServiceAccount counts as neither present nor deleted: irsa waits, and creates it anew once it is gone.
#[test]
fn terminating_service_account_is_waited_for_and_reported() {
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
fn terminating_namespace_is_not_reported_as_missing() {
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
