//! Admission policies, quotas and terminating namespaces: irsa repeats the reason that the server gives, and does not
//! report a missing permission.

use super::{ADMIN_TOKEN, ROLE_ARN, Scene, entry};
use crate::support::clusters::{TestCluster, WEBHOOK, allowed, denied, on_every_backend};
use crate::support::program::Run;
use serde_json::Value;
use tokio::runtime::Runtime;

const WHY: &str = "[team-label] each ServiceAccount needs a label `team`: ask #platform";

/// The HTTP code and reason that the author of a policy chose.
const CODES: [(u16, &str); 4] = [(403, "Forbidden"), (422, "Invalid"), (404, "NotFound"), (409, "AlreadyExists")];

/// The run does not report missing permissions, because none are missing.
#[track_caller]
fn blames_the_policy(run: &Run) {
    run.says(&format!("admission webhook \"{WEBHOOK}\" denied the request: {WHY}"));
    let text = format!("{}{}", run.stdout, run.stderr);
    for word in ["give these credentials", "RBAC", "plan again", "create namespace"] {
        assert!(!text.contains(word), "`{word}` is in {run}");
    }
}

fn denies(cluster: &TestCluster, runtime: &Runtime, operation: &'static str, (code, reason): (u16, &'static str)) {
    cluster.judged_by(runtime, false, move |request: &Value| {
        if request["operation"] == operation { denied(code, reason, WHY) } else { allowed() }
    });
}

#[test]
fn policy_that_denies_create_is_named_for_every_code() {
    on_every_backend("admission denies create", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(&entry("create", "shop", "cart", ""));
        for code in CODES {
            denies(cluster, runtime, "CREATE", code);
            let run = scene.bench.irsa(&["apply", "--auto-approve"]);
            assert!([1, 6].contains(&run.code), "{run}");
            blames_the_policy(&run);
            assert!(cluster.get(runtime, "shop", "cart").is_none());
            cluster.admits_all(runtime, "shop");
        }
        scene.bench.converges();
    });
}

#[test]
fn policy_that_denies_update_is_named_for_every_code() {
    on_every_backend("admission denies update", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        cluster.create(runtime, "shop", "cart");
        scene.declare(&entry("annotate", "shop", "cart", ""));
        for code in CODES {
            denies(cluster, runtime, "UPDATE", code);
            let run = scene.bench.irsa(&["apply", "--auto-approve"]);
            assert!([1, 6].contains(&run.code), "{run}");
            blames_the_policy(&run);
            assert!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).is_none());
            cluster.admits_all(runtime, "shop");
        }
        scene.bench.converges();
    });
}

/// A policy that answers 404 does not mean that the object is gone.
#[test]
fn policy_that_denies_delete_is_named_for_every_code() {
    on_every_backend("admission denies delete", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(
            &(entry("create", "shop", "cart", "") + &entry("create", "shop", "stays", "").replace("[roles.app]\n", "")),
        );
        scene.bench.converges();
        scene.declare(&entry("create", "shop", "stays", ""));
        for code in CODES {
            denies(cluster, runtime, "DELETE", code);
            let run = scene.bench.irsa(&["apply", "--auto-approve"]);
            assert!([1, 6].contains(&run.code), "{run}");
            blames_the_policy(&run);
            assert!(cluster.get(runtime, "shop", "cart").is_some(), "it is still there");
            cluster.admits_all(runtime, "shop");
        }
        scene.bench.converges();
        assert!(cluster.get(runtime, "shop", "cart").is_none());
    });
}

#[test]
fn exhausted_quota_is_named() {
    on_every_backend("quota", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(&entry("create", "shop", "cart", ""));
        cluster.fill_up(runtime, "shop");
        let run = scene.bench.irsa(&["apply", "--auto-approve"]);
        assert!([1, 6].contains(&run.code), "{run}");
        run.says("exceeded quota: full").says("limited: count/serviceaccounts=0").says("raise the ResourceQuota");
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("give these credentials"), "{run}");
        assert!(cluster.get(runtime, "shop", "cart").is_none());
        cluster.admits_all(runtime, "shop");
        scene.bench.converges();
    });
}

/// The namespace starts to terminate between the plan and the write.
#[test]
fn namespace_that_starts_to_terminate_before_the_write_is_reported() {
    on_every_backend("a namespace goes", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        cluster.create(runtime, "shop", "held");
        cluster.hold(runtime, "shop", "held", true);
        scene.declare(&entry("create", "shop", "cart", ""));
        scene.bench.ends(0, &["plan", "-o", "plan.json"]);
        cluster.delete_namespace(runtime, "shop");
        let run = scene.bench.irsa(&["apply", "plan.json"]);
        assert!([1, 5, 6].contains(&run.code), "{run}");
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("give these credentials"), "{run}");
        assert!(cluster.get(runtime, "shop", "cart").is_none());
    });
}
