//! An API server that dies, webhooks that are down, and list pages that expired.

use super::{ADMIN_TOKEN, ROLE_ARN, Scene, entry};
use crate::support::clusters::{kubeconfig_at, on_every_backend};
use crate::support::program::changes;
use crate::support::proxies;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// This many ServiceAccounts, ten per role.
pub(super) fn many(count: usize) -> String {
    let mut text = String::new();
    for first in (0..count).step_by(10) {
        let names: Vec<String> = (first..first + 10).map(|number| format!("\"shop/cart-{number:03}\"")).collect();
        writeln!(text, "[roles.app-{first}]\nservice-accounts = [{}]", names.join(", ")).expect("a string");
    }
    text
}

#[test]
fn apply_after_the_api_server_died_continues_where_it_stopped() {
    on_every_backend("SIGKILL of the server", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(&many(60));
        let run = scene.bench.start(&["apply", "--auto-approve", "--parallelism", "2"]);
        cluster.wait_until(|| cluster.get(runtime, "shop", "cart-004").is_some());
        cluster.die(runtime);
        cluster.come_back(runtime);
        let run = run.ends();
        assert!([0, 6].contains(&run.code), "{run}");
        // the next apply does what is left, and nothing else
        let run = scene.bench.ends(0, &["apply", "--auto-approve"]);
        assert!(!run.stdout.contains("failed"), "{run}");
        scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.");
        for number in 0..60 {
            let name = format!("cart-{number:03}");
            assert!(cluster.annotation(runtime, "shop", &name, ROLE_ARN).is_some(), "{name}");
        }
    });
}

/// The API server works, but answers 500 to each write.
#[test]
fn hundred_objects_behind_a_dead_webhook_fail_soon_with_its_reason() {
    on_every_backend("a webhook is down", &["alpha"], |runtime, clusters| {
        let (mut scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        // waits are a quarter as long as in production
        scene.bench.set("IRSA_TEST_SPEED", "4");
        cluster.create_namespace(runtime, "shop");
        scene.declare(&many(100));
        cluster.judged_by_nobody(runtime);
        let begin = Instant::now();
        let run = scene.bench.ends(6, &["apply", "--auto-approve", "--format", "json"]);
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(20), "{took:?}");
        let report = run.json();
        assert_eq!(report["summary"]["failed"], 100, "{run}");
        let told = run.stdout.matches("failed calling webhook").count();
        assert_eq!(told, 100, "each says why: {run}");
        assert!(
            cluster.get(runtime, "shop", "cart-000").is_none() && cluster.get(runtime, "shop", "cart-099").is_none()
        );
        cluster.admits_all(runtime, "shop");
        scene.bench.converges();
    });
}

#[test]
fn list_with_expired_pages_is_read_to_its_end() {
    on_every_backend("an expired continue token", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "many");
        for number in 0..700 {
            cluster.create(runtime, "many", &format!("sa-{number:04}"));
        }
        scene.declare(&entry("annotate", "many", "sa-0699", ""));
        let (compact, (done, heard)) = (cluster.compaction(), std::sync::mpsc::channel());
        // the first page has about 100 kB
        let port = proxies::between(cluster.port(), 60_000, move || {
            compact();
            done.send(()).expect("the test waits");
        });
        scene.bench.write("kube.yaml", &kubeconfig_at(cluster, ADMIN_TOKEN, port));
        let plan = scene.bench.plan(&[]);
        heard.try_recv().expect("a page was asked for after the first one");
        assert_eq!(plan["complete"], true, "{plan}");
        assert!(changes(&plan).contains(&"update service-account/alpha/many/sa-0699".to_owned()), "{plan}");
        scene.bench.converges();
        assert!(cluster.annotation(runtime, "many", "sa-0699", ROLE_ARN).is_some());
    });
}
