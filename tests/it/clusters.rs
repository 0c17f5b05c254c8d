//! Kubernetes scenarios. Each runs on the sandbox, and unchanged on a real kube-apiserver if this machine has one.

mod admission;
mod answers;
mod import;
mod outages;
mod races;
mod verify;

use crate::support::clusters::{ADMIN_TOKEN, LIMITED_TOKEN, TestCluster, kubeconfig_of, on_every_backend};
use crate::support::program::{Bench, changes, refusals};
use crate::support::world::World;
use serde_json::{Value, json};
use std::fmt::Write;
use tokio::runtime::Runtime;

const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";

/// A bench whose configuration declares the clusters by issuer, and an AWS sandbox for them.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) bench: Bench,
    pub(crate) head: String,
}

impl Scene {
    pub(crate) fn new(clusters: &[TestCluster], token: &str) -> Self {
        let world = World::empty();
        let mut head = "owner = \"it\"\n".to_owned();
        for cluster in clusters {
            let (name, issuer) = (&cluster.name, cluster.issuer());
            writeln!(
                head,
                "[clusters.{name}]\nissuer = \"{issuer}\"\nkubernetes = {{ kubeconfig = \"kube.yaml\", context = \"{name}\" }}"
            )
            .expect("a string");
        }
        let bench = Bench::new(world.environment());
        bench.write("kube.yaml", &kubeconfig_of(clusters, token));
        Self { world, bench, head }
    }

    /// Replaces the roles and ServiceAccounts in the configuration.
    pub(crate) fn declare(&self, text: &str) {
        self.bench.write("irsa.toml", &format!("{}{text}", self.head));
    }
}

pub(crate) fn entry(manage: &str, namespace: &str, name: &str, more: &str) -> String {
    format!(
        "[roles.app]\n[[service-accounts]]\nrole = \"app\"\ncluster = \"*\"\nnamespace = \"{namespace}\"\nname = \"{name}\"\n\
         manage = \"{manage}\"\n{more}\n"
    )
}

pub(crate) fn managers(object: &Value) -> Vec<String> {
    let list = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    list.iter().map(|entry| entry["manager"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn missing_service_account_is_created_with_owner_label_and_later_deleted() {
    on_every_backend("create", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        scene.declare(&entry("create", "reporting", "worker", ""));
        // the namespace is missing: the ServiceAccount waits, and that is not a failure
        let plan = scene.bench.plan(&[]);
        assert_eq!(plan["summary"]["waiting"], 1);
        scene.bench.ends(0, &["apply", "--auto-approve"]);
        assert!(cluster.get(runtime, "reporting", "worker").is_none());

        cluster.create_namespace(runtime, "reporting");
        scene.bench.converges();
        let object = cluster.get(runtime, "reporting", "worker").expect("it was made");
        let metadata = &object["metadata"];
        assert_eq!(metadata["labels"], json!({"irsa/owner": "it"}));
        assert_eq!(
            metadata["annotations"],
            json!({
                ROLE_ARN: "arn:aws:iam::111122223333:role/irsa/it/app",
                "irsa/address": "service-account/alpha/reporting/worker",
                "irsa/created": "true",
            })
        );
        assert_eq!(managers(&object), ["irsa-it"]);

        // another role of ours stays, so that this plan does not delete everything
        cluster.create_namespace(runtime, "other");
        scene.declare(&entry("create", "other", "worker", ""));
        scene.bench.converges();
        assert!(cluster.get(runtime, "reporting", "worker").is_none(), "it was ours alone");
        assert!(cluster.get(runtime, "other", "worker").is_some());
    });
}

#[test]
fn irsa_changes_only_its_own_fields_of_a_helm_service_account() {
    on_every_backend("annotate beside a Helm-like manager", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(&entry("annotate", "shop", "cart", ""));
        assert_eq!(scene.bench.plan(&[])["summary"]["waiting"], 1, "its maker has not made it yet");

        let helm = json!({
            "labels": {"app.kubernetes.io/managed-by": "Helm", "tier": "web"},
            "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop"},
        });
        cluster.apply(runtime, "helm", "shop", "cart", &helm);
        scene.bench.converges();
        let object = cluster.get(runtime, "shop", "cart").expect("it is there");
        assert_eq!(object["metadata"]["labels"]["tier"], "web");
        assert_eq!(object["metadata"]["annotations"]["meta.helm.sh/release-name"], "shop");
        assert!(object["metadata"]["annotations"][ROLE_ARN].is_string());
        assert!(object["metadata"]["annotations"]["irsa/created"].is_null(), "Helm made it");

        // an upgrade by Helm keeps our fields
        cluster.apply(runtime, "helm", "shop", "cart", &helm);
        let plan = scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
        plan.says("No changes.");

        // no longer declared: irsa removes its fields and keeps the object
        cluster.create_namespace(runtime, "other");
        scene.declare(&entry("create", "other", "worker", ""));
        scene.bench.converges();
        let object = cluster.get(runtime, "shop", "cart").expect("it is not ours to delete");
        assert!(object["metadata"]["annotations"][ROLE_ARN].is_null());
        assert!(object["metadata"]["labels"]["irsa/owner"].is_null());
        assert_eq!(object["metadata"]["annotations"]["meta.helm.sh/release-name"], "shop");
        assert!(!managers(&object).contains(&"irsa-it".to_owned()), "{object}");
    });
}

#[test]
fn field_of_another_manager_is_refused_and_the_manager_is_named() {
    on_every_backend("conflict", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        let theirs = "arn:aws:iam::111122223333:role/theirs";
        cluster.apply(runtime, "argocd", "shop", "cart", &json!({"annotations": {ROLE_ARN: theirs}}));
        scene.declare(&entry("create", "shop", "cart", ""));
        let plan = scene.bench.plan(&[]);
        let refused = refusals(&plan).join("\n");
        assert!(refused.contains("argocd") && refused.contains(ROLE_ARN), "{refused}");
        scene.bench.ends(4, &["apply", "--auto-approve"]);
        assert_eq!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).as_deref(), Some(theirs));

        scene.bench.ends(0, &["apply", "--auto-approve", "--force-conflicts"]);
        let ours = "arn:aws:iam::111122223333:role/irsa/it/app";
        assert_eq!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).as_deref(), Some(ours));
        scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
    });
}

/// As in the AWS guide: somebody creates the ServiceAccount and annotates it by hand. No known manager owns the
/// annotation, but somebody set it on purpose.
#[test]
fn annotation_set_by_hand_is_refused_without_force() {
    on_every_backend("annotation by hand", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        cluster.create(runtime, "shop", "cart");
        let theirs = "arn:aws:iam::111122223333:role/theirs";
        cluster.annotate(runtime, "shop", "cart", ROLE_ARN, theirs);
        scene.declare(&entry("create", "shop", "cart", ""));
        scene.bench.ends(4, &["apply", "--auto-approve"]).says(theirs);
        assert_eq!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).as_deref(), Some(theirs));
        scene.bench.ends(0, &["apply", "--auto-approve", "--force-conflicts"]);
        let ours = "arn:aws:iam::111122223333:role/irsa/it/app";
        assert_eq!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).as_deref(), Some(ours));
        scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
        assert!(cluster.annotation(runtime, "shop", "cart", "irsa/created").is_none(), "irsa did not make it");
    });
}

#[test]
fn another_owners_label_is_refused_even_with_force() {
    on_every_backend("foreign owner", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        cluster.apply(runtime, "irsa-them", "shop", "cart", &json!({"labels": {"irsa/owner": "them"}}));
        scene.declare(&entry("create", "shop", "cart", ""));
        scene.bench.ends(4, &["apply", "--auto-approve", "--force-conflicts"]).says("them");
        let object = cluster.get(runtime, "shop", "cart").expect("it is there");
        assert_eq!(object["metadata"]["labels"], json!({"irsa/owner": "them"}));
        assert!(object["metadata"]["annotations"].is_null());
    });
}

#[test]
fn change_by_kubectl_is_drift_and_is_reverted() {
    on_every_backend("kubectl drift", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(&entry("create", "shop", "cart", ""));
        scene.bench.converges();
        let other = "arn:aws:iam::111122223333:role/other";
        cluster.apply(runtime, "kubectl-annotate", "shop", "cart", &json!({"annotations": {ROLE_ARN: other}}));
        let drift = scene.bench.ends(2, &["drift", "--confirm-after", "0s"]);
        drift.says("service-account/alpha/shop/cart").says("kubectl-annotate");
        scene.bench.converges();
        let ours = "arn:aws:iam::111122223333:role/irsa/it/app";
        assert_eq!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).as_deref(), Some(ours));
    });
}

#[test]
fn field_that_is_no_longer_declared_is_removed() {
    on_every_backend("field removal", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        scene.declare(&entry("create", "shop", "cart", "token-expiration = \"2h\"\nsts-regional-endpoints = true"));
        scene.bench.converges();
        let value = |key: &str| cluster.annotation(runtime, "shop", "cart", &format!("eks.amazonaws.com/{key}"));
        assert_eq!(value("token-expiration").as_deref(), Some("7200"));
        assert_eq!(value("sts-regional-endpoints").as_deref(), Some("true"));
        scene.declare(&entry("create", "shop", "cart", "sts-regional-endpoints = true"));
        scene.bench.converges();
        assert_eq!(value("token-expiration"), None);
        assert_eq!(value("sts-regional-endpoints").as_deref(), Some("true"));
    });
}

#[test]
fn permissions_in_one_namespace_are_enough_for_that_namespace() {
    on_every_backend("RBAC of one namespace", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, LIMITED_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "mine");
        cluster.create_namespace(runtime, "theirs");
        cluster.limit_to(runtime, "mine", &["get", "list", "create", "patch", "delete"]);
        scene.declare(&entry("create", "mine", "worker", ""));
        scene.bench.converges();
        assert!(cluster.get(runtime, "mine", "worker").is_some());

        let both = entry("create", "mine", "worker", "")
            + &entry("create", "theirs", "worker", "").replace("[roles.app]\n", "");
        scene.declare(&both);
        let plan = scene.bench.plan(&[]);
        assert_eq!(plan["complete"], false);
        assert!(plan["unknown"].to_string().contains("theirs"), "{plan}");
        scene.bench.ends(4, &["apply", "--auto-approve"]);
        assert!(cluster.get(runtime, "theirs", "worker").is_none());
    });
}

/// When an apply would create an object, the API server asks its authorizer a second time. Its answer says only that
/// the request is forbidden.
#[test]
fn patch_permission_without_create_permission_is_reported_as_such() {
    on_every_backend("RBAC without create", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, LIMITED_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "mine");
        cluster.limit_to(runtime, "mine", &["get", "list", "patch"]);
        scene.declare(&entry("create", "mine", "worker", ""));
        let run = scene.bench.ends(6, &["apply", "--auto-approve"]);
        run.says("serviceaccounts \"worker\" is forbidden")
            .says("give these credentials the verbs `get`, `create` and `patch`");
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("policy of cluster"), "{run}");
        assert!(cluster.get(runtime, "mine", "worker").is_none());
    });
}

#[test]
fn list_of_2000_service_accounts_is_read_to_the_last_page() {
    on_every_backend("paging", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "many");
        for number in 0..2000 {
            cluster.create(runtime, "many", &format!("sa-{number:04}"));
        }
        scene.declare(&entry("annotate", "many", "sa-1999", ""));
        assert!(
            changes(&scene.bench.plan(&[])).contains(&"update service-account/alpha/many/sa-1999".to_owned()),
            "the last one was found"
        );
        scene.bench.converges();
        assert!(cluster.annotation(runtime, "many", "sa-1999", ROLE_ARN).is_some());
        let other = cluster.get(runtime, "many", "sa-0000").expect("it is there");
        assert!(other["metadata"]["annotations"].is_null());
    });
}

#[test]
fn several_clusters_are_applied_in_one_run() {
    on_every_backend("several clusters", &["alpha", "beta", "gamma"], |runtime: &Runtime, clusters| {
        let scene = Scene::new(clusters, ADMIN_TOKEN);
        for cluster in clusters {
            cluster.create_namespace(runtime, "shop");
        }
        scene.declare(&entry("create", "shop", "cart", ""));
        scene.bench.converges();
        for cluster in clusters {
            assert!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).is_some(), "{}", cluster.name);
        }
        let trust = scene.world.role_trust("app").to_string();
        for cluster in clusters {
            assert!(
                trust.contains(cluster.issuer()) || trust.contains(&cluster.issuer()["https://".len()..]),
                "{trust}"
            );
        }
    });
}

#[test]
fn kubeconfig_context_of_another_cluster_is_refused() {
    on_every_backend("wrong cluster", &["alpha", "beta"], |runtime, clusters| {
        let scene = Scene::new(clusters, ADMIN_TOKEN);
        for cluster in clusters {
            cluster.create_namespace(runtime, "shop");
        }
        let swapped = scene.head.replace("context = \"alpha\"", "context = \"beta\"");
        scene.bench.write(
            "irsa.toml",
            &format!("{swapped}{}", entry("create", "shop", "cart", "").replace("\"*\"", "\"alpha\"")),
        );
        let plan = scene.bench.plan(&[]);
        assert!(refusals(&plan).join("\n").contains("cluster/alpha"), "{plan}");
        scene.bench.ends(4, &["apply", "--auto-approve"]);
        for cluster in clusters {
            assert!(cluster.get(runtime, "shop", "cart").is_none(), "{}", cluster.name);
        }
    });
}
