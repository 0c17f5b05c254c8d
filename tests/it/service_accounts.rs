//! ServiceAccounts that others also write: a second run, a restore, kubectl, Helm, finalizers, admission policies.

use crate::clusters::{Scene, entry, managers};
use crate::support::clusters::{ADMIN_TOKEN, TestCluster, allowed, on_every_backend, patched};
use crate::support::program::{Bench, changes, refusals};
use crate::support::world::{FIRST, World, create_namespaces_in};
use irsa_sandbox::gate::{Admission, Stage};
use irsa_sandbox::kubernetes::{Call, Cluster, Decision, Resource, Store};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";

/// A second role and ServiceAccount, which never change: with them no plan deletes everything.
fn keep() -> String {
    entry("create", "shop", "keep", "").replace("app", "keep")
}

fn applied(runtime: &Runtime, clusters: &[TestCluster], more: &str) -> Scene {
    let scene = Scene::new(clusters, ADMIN_TOKEN);
    clusters[0].create_namespace(runtime, "shop");
    scene.declare(&(entry("create", "shop", "cart", more) + &keep()));
    scene.bench.converges();
    scene
}

#[test]
fn two_parallel_applies_keep_the_owner_label_and_destroy_leaves_nothing() {
    on_every_backend("two runs at once", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        let names: Vec<String> = (0..60).map(|number| format!("w-{number:02}")).collect();
        // the roles exist already, so that both runs reach the ServiceAccounts at the same time
        let declare = |manage: &str| {
            let entries = names.chunks(15).enumerate().map(|(number, names)| {
                format!(
                    "[roles.r{number}]\n[[service-accounts]]\nrole = \"r{number}\"\nnamespace = \"shop\"\n\
                     name = {names:?}\nmanage = \"{manage}\"\n"
                )
            });
            scene.declare(&entries.collect::<String>());
        };
        declare("none");
        scene.bench.converges();
        declare("create");
        let line = ["apply", "--auto-approve"];
        let (one, other) = (scene.bench.start(&line), scene.bench.start(&line));
        for run in [one.ends(), other.ends()] {
            assert!([0, 1, 4, 6].contains(&run.code), "{run}");
        }
        scene.bench.converges();
        for name in &names {
            let made = cluster.annotation(runtime, "shop", name, "irsa/created");
            assert_eq!(made.as_deref(), Some("true"), "{name}");
        }
        scene.bench.ends(0, &["apply", "--auto-approve", "--destroy", "--force"]);
        for name in &names {
            assert!(cluster.get(runtime, "shop", name).is_none(), "{name} is left");
        }
    });
}

#[test]
fn fields_without_manager_after_a_restore_are_removed() {
    on_every_backend("managedFields reset", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (applied(runtime, clusters, ""), &clusters[0]);
        cluster.merge(runtime, "shop", "cart", &json!({"metadata": {"managedFields": [{}]}}));
        scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.");
        scene.declare(&keep());
        scene.bench.ends(2, &["drift", "--confirm-after", "0s"]).says("service-account/alpha/shop/cart");
        scene.bench.converges();
        let object = cluster.get(runtime, "shop", "cart").expect("who manages it is not known");
        assert!(object["metadata"]["annotations"].is_null() && object["metadata"]["labels"].is_null(), "{object}");
        assert!(!scene.world.has_role(FIRST, "app"));
    });
}

#[test]
fn fields_owned_by_a_restore_are_kept_with_a_note_and_removed_with_force() {
    on_every_backend("restored by another manager", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (applied(runtime, clusters, ""), &clusters[0]);
        let object = cluster.get(runtime, "shop", "cart").expect("it was made");
        let path = "/api/v1/namespaces/shop/serviceaccounts/cart";
        cluster.delete(runtime, path);
        let kept = json!({"labels": object["metadata"]["labels"], "annotations": object["metadata"]["annotations"]});
        cluster.apply(runtime, "velero", "shop", "cart", &kept);
        scene.declare(&keep());
        let plan = scene.bench.ends(4, &["plan"]);
        plan.says("because it also belongs to `velero`").says("Pods of this ServiceAccount still ask for");
        scene.bench.ends(0, &["apply", "--auto-approve", "--force-conflicts"]);
        let object = cluster.get(runtime, "shop", "cart").expect("velero made it");
        assert!(object["metadata"]["annotations"].is_null() && object["metadata"]["labels"].is_null(), "{object}");
        scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.");
    });
}

#[test]
fn undeclared_eks_annotation_is_drift_or_refused_or_kept_by_its_effect_and_manager() {
    on_every_backend("undeclared annotations", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (applied(runtime, clusters, ""), &clusters[0]);
        for key in ["audience", "skip-containers", "from-the-future"] {
            let key = format!("eks.amazonaws.com/{key}");
            cluster.annotate(runtime, "shop", "cart", &key, "other");
            scene.bench.ends(2, &["drift", "--confirm-after", "0s"]).says(&key).says("kubectl-annotate");
            scene.bench.converges();
            assert_eq!(cluster.annotation(runtime, "shop", "cart", &key), None);
            assert!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).is_some());
        }
        let skip = "eks.amazonaws.com/skip-containers";
        cluster.apply(runtime, "helm", "shop", "cart", &json!({"annotations": {skip: "sidecar"}}));
        scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.").says(skip);
        assert_eq!(cluster.annotation(runtime, "shop", "cart", skip).as_deref(), Some("sidecar"));
        cluster.apply(runtime, "helm", "shop", "cart", &json!({"annotations": {AUDIENCE: "other"}}));
        let refused = refusals(&scene.bench.plan(&[])).join("\n");
        assert!(refused.contains("helm") && refused.contains(AUDIENCE) && refused.contains("other"), "{refused}");
        scene.bench.ends(0, &["apply", "--auto-approve", "--force-conflicts"]);
        assert_eq!(cluster.annotation(runtime, "shop", "cart", AUDIENCE), None);
        scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.");
    });
}

#[test]
fn declared_labels_and_annotations_are_kept_and_released() {
    on_every_backend("labels and annotations", &["alpha"], |runtime, clusters| {
        let more = "labels = { team = \"shop\" }\nannotations = { \"example.com/contact\" = \"me\" }";
        let (scene, cluster) = (applied(runtime, clusters, more), &clusters[0]);
        let object = cluster.get(runtime, "shop", "cart").expect("it was made");
        assert_eq!(object["metadata"]["labels"], json!({"irsa/owner": "it", "team": "shop"}));
        assert_eq!(object["metadata"]["annotations"]["example.com/contact"], "me");
        assert_eq!(managers(&object), ["irsa-it"]);
        cluster.merge(runtime, "shop", "cart", &json!({"metadata": {"labels": {"team": "other"}}}));
        scene.bench.ends(2, &["drift", "--confirm-after", "0s"]).says("team");
        scene.bench.converges();
        let plan = {
            scene.declare(&(entry("create", "shop", "cart", "") + &keep()));
            scene.bench.plan(&[])
        };
        assert!(plan["changes"].to_string().contains("labels.team"), "{plan}");
        scene.bench.converges();
        let object = cluster.get(runtime, "shop", "cart").expect("it is there");
        assert_eq!(object["metadata"]["labels"], json!({"irsa/owner": "it"}));
        assert!(object["metadata"]["annotations"]["example.com/contact"].is_null());
    });
}

/// As cluster guides recommend: a manifest in Git, applied again by each deployment.
#[test]
fn harmless_annotation_of_a_manifest_is_neither_refused_nor_reverted() {
    on_every_backend("an annotation of a manifest", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (Scene::new(clusters, ADMIN_TOKEN), &clusters[0]);
        let regional = "eks.amazonaws.com/sts-regional-endpoints";
        cluster.create_namespace(runtime, "shop");
        let path = "/api/v1/namespaces/shop/serviceaccounts";
        let manifest = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "cart", "annotations": {regional: "true"}},
        });
        let by = format!("{path}?fieldManager=kubectl-client-side-apply");
        assert_eq!(cluster.ask(runtime, "POST", &by, "application/json", &manifest.to_string()).0, 201);
        let deploy = |key: &str, value: &str| {
            let body = json!({"metadata": {"annotations": {key: value}}}).to_string();
            let path = format!("{path}/cart?fieldManager=kubectl-client-side-apply");
            let (status, answer) =
                cluster.ask(runtime, "PATCH", &path, "application/strategic-merge-patch+json", &body);
            assert_eq!(status, 200, "{answer}");
        };
        scene.declare(&entry("annotate", "shop", "cart", ""));
        scene.bench.ends(0, &["plan"]).says(regional).says("kubectl-client-side-apply");
        scene.bench.converges();
        deploy(regional, "false");
        scene.bench.ends(0, &["drift", "--confirm-after", "0s"]);
        scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.").says(regional);
        assert_eq!(cluster.annotation(runtime, "shop", "cart", regional).as_deref(), Some("false"));
        deploy(AUDIENCE, "other");
        let refused = refusals(&scene.bench.plan(&[])).join("\n");
        assert!(refused.contains("kubectl-client-side-apply") && refused.contains(AUDIENCE), "{refused}");
        let drift = scene.bench.irsa(&["drift", "--confirm-after", "0s"]);
        drift.says("declare it, or remove it where it is set");
    });
}

#[test]
fn undeclared_label_is_removed_or_kept_with_a_note_if_shared() {
    on_every_backend("a dropped label", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (applied(runtime, clusters, "labels = { tier = \"web\" }"), &clusters[0]);
        let label = || {
            let object = cluster.get(runtime, "shop", "cart").expect("it is there");
            object["metadata"]["labels"]["tier"].as_str().map(str::to_owned)
        };
        let write = |more: &str| scene.declare(&(entry("create", "shop", "cart", more) + &keep()));
        cluster.merge(runtime, "shop", "cart", &json!({"metadata": {"managedFields": [{}]}}));
        write("labels = { tier = \"web\" }\ntoken-expiration = \"2h\"");
        scene.bench.converges();
        let object = cluster.get(runtime, "shop", "cart").expect("it is there");
        assert!(managers(&object).contains(&"before-first-apply".to_owned()), "{object}");
        write("token-expiration = \"2h\"");
        assert!(scene.bench.plan(&[])["changes"].to_string().contains("labels.tier"));
        scene.bench.converges();
        assert_eq!(label(), None);

        write("labels = { tier = \"web\" }\ntoken-expiration = \"2h\"");
        scene.bench.converges();
        cluster.apply(runtime, "helm", "shop", "cart", &json!({"labels": {"tier": "web"}}));
        write("token-expiration = \"2h\"");
        let plan = scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
        plan.says("label `tier` is no longer declared, but it stays, because it also belongs to `helm`");
        scene.bench.converges();
        assert_eq!(label().as_deref(), Some("web"));
    });
}

#[test]
fn service_account_without_owner_label_loses_our_fields_and_is_kept() {
    on_every_backend("the label is taken off", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (applied(runtime, clusters, ""), &clusters[0]);
        cluster.merge(runtime, "shop", "cart", &json!({"metadata": {"labels": {"irsa/owner": null}}}));
        scene.declare(&keep());
        scene.bench.ends(0, &["plan"]).says("service-account/alpha/shop/cart");
        scene.bench.converges();
        let object = cluster.get(runtime, "shop", "cart").expect("whoever took the label off may want it");
        assert!(object["metadata"]["annotations"].is_null(), "{object}");
        assert!(!scene.world.has_role(FIRST, "app"));
        cluster.merge(runtime, "shop", "keep", &json!({"metadata": {"labels": {"irsa/owner": null}}}));
        scene.bench.ends(0, &["apply", "--auto-approve", "--destroy", "--force"]);
        assert!(cluster.annotation(runtime, "shop", "keep", ROLE_ARN).is_none());
        assert!(!scene.world.has_role(FIRST, "keep"));
    });
}

#[test]
fn invalid_labels_and_annotations_are_errors_with_a_line() {
    let bench = Bench::new(World::empty().environment());
    for (more, says) in [
        ("labels = { \"irsa/owner\" = \"x\" }", "the prefix `irsa/` is reserved for irsa"),
        ("annotations = { \"eks.amazonaws.com/audience\" = \"x\" }", "is reserved for the pod identity webhook"),
        ("labels = { team = \"a b\" }", "the value of label `team` is invalid"),
        ("labels = { \"-x\" = \"a\" }", "label `-x`: the key is invalid"),
        ("annotations = { \"A_B/x\" = \"a\" }", "annotation `A_B/x`: the key is invalid"),
        ("labels = { team = \"a\" }\nmanage = \"annotate\"", "are for ServiceAccounts that irsa creates"),
    ] {
        let head = "owner = \"it\"\n[clusters.alpha]\n[roles.app]\n[[service-accounts]]\nrole = \"app\"\nnamespace = \"shop\"\nname = \"cart\"\n";
        bench.write("irsa.toml", &format!("{head}{more}\n"));
        let run = bench.ends(3, &["validate"]);
        assert!(format!("{}{}", run.stdout, run.stderr).contains(says), "{run}");
        assert!(format!("{}{}", run.stdout, run.stderr).contains("irsa.toml:8:"), "{run}");
    }
}

#[test]
fn terminating_service_account_is_reported_as_waiting() {
    on_every_backend("finalizer", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (applied(runtime, clusters, ""), &clusters[0]);
        let hold = |list: Value| cluster.merge(runtime, "shop", "cart", &json!({"metadata": {"finalizers": list}}));
        hold(json!(["example.com/hold"]));
        cluster.delete(runtime, "/api/v1/namespaces/shop/serviceaccounts/cart");
        let plan = scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
        plan.says("is being deleted, and waits for finalizer `example.com/hold`").says("1 object waits");
        assert!(!plan.stdout.contains("No changes"), "{plan}");
        assert_eq!(scene.bench.plan(&[])["summary"]["waiting"], 1);
        scene.bench.ends(0, &["apply", "--auto-approve"]);
        hold(Value::Null);
        scene.bench.converges();
        assert!(cluster.annotation(runtime, "shop", "cart", ROLE_ARN).is_some(), "it was made anew");
        // no longer declared: irsa releases it, because the manager that set the finalizer also owns a part of the
        // object
        hold(json!(["example.com/hold"]));
        scene.declare(&keep());
        scene.bench.ends(0, &["apply", "--auto-approve", "--force-conflicts"]);
        assert!(!scene.world.has_role(FIRST, "app"));
    });
}

#[test]
fn terminating_namespace_is_reported_as_waiting() {
    on_every_backend("Terminating namespace", &["alpha"], |runtime, clusters| {
        let (scene, cluster) = (applied(runtime, clusters, ""), &clusters[0]);
        cluster.create_namespace(runtime, "going");
        cluster.create(runtime, "going", "held");
        let path = "/api/v1/namespaces/going/serviceaccounts/held?fieldManager=x";
        cluster.finalizer(runtime, path);
        cluster.delete(runtime, "/api/v1/namespaces/going");
        scene.declare(&(entry("create", "going", "cart", "") + &keep()));
        let plan = scene.bench.ends(2, &["plan", "--detailed-exitcode"]);
        plan.says("`Terminating`");
        assert!(!plan.stdout.contains("not there yet"), "{plan}");
        assert_eq!(scene.bench.plan(&[])["summary"]["waiting"], 1);
        scene.bench.ends(0, &["apply", "--auto-approve"]);
        assert!(cluster.get(runtime, "going", "cart").is_none());
    });
}

/// A sandbox with one cluster, and a bench with this configuration. Does not run on a real API server.
fn alone(text: &str) -> (World, Bench) {
    let world = World::with_cluster("main");
    create_namespaces_in(&world.cluster("main"), &["apps"]);
    let bench = Bench::new(world.environment());
    bench.write("irsa.toml", &format!("owner = \"me\"\n[clusters.main]\n{text}"));
    (world, bench)
}

fn role(name: &str) -> String {
    format!("[roles.{name}]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\nservice-accounts = [\"apps/{name}\"]\n")
}

/// Changes the object right before a delete arrives, this many times.
struct Meddler {
    cluster: Arc<Cluster>,
    left: Mutex<u32>,
    with: fn(&Cluster, u32),
}

impl Admission<Call> for Meddler {
    fn decide<'a>(&'a self, stage: Stage, call: &'a Call, _: Option<u16>) -> Decision<'a> {
        let mut left = self.left.lock().expect("no test has failed inside");
        if stage == Stage::Before && call.verb == "delete" && *left > 0 {
            *left -= 1;
            (self.with)(&self.cluster, *left);
        }
        Box::pin(std::future::ready(None))
    }
}

fn edited(cluster: &Cluster, manager: &str, key: &str, value: &str) {
    let edit = |object: &mut Value| object["metadata"]["annotations"][key] = json!(value);
    cluster.with(|store| store.edit(Resource::ServiceAccounts, "apps", "app", manager, edit)).expect("it is there");
}

fn meddled(times: u32, with: fn(&Cluster, u32)) -> (World, i32, String, usize) {
    let (world, bench) = alone(&(role("app") + &role("keep")));
    bench.converges();
    bench.write("irsa.toml", &format!("owner = \"me\"\n[clusters.main]\n{}", role("keep")));
    let cluster = world.cluster("main");
    let meddler = Meddler { cluster: Arc::clone(&cluster), left: Mutex::new(times), with };
    cluster.gate().admit_by(Some(Arc::new(meddler)));
    cluster.gate().forget();
    let line = ["apply", "--auto-approve", "--force"];
    let run = bench.start(&line).ends();
    cluster.gate().admit_by(None);
    let deletes = cluster.gate().writes().iter().filter(|record| record.call.verb == "delete").count();
    (world, run.code, run.to_string(), deletes)
}

#[test]
fn service_account_changed_before_its_delete_is_read_again() {
    let there = |world: &World| crate::support::world::service_account(&world.cluster("main"), "apps", "app").is_some();
    // Helm takes the object over: irsa keeps it
    let (world, code, text, deletes) =
        meddled(1, |cluster, _| edited(cluster, "helm", "meta.helm.sh/release-name", "x"));
    assert!(there(&world), "{text}");
    assert_eq!((code, deletes), (6, 1), "{text}");
    assert!(text.contains("`helm` manages it too now"), "{text}");
    // a change to no field of ours, which leaves no manager: irsa reads again and deletes
    let past = |cluster: &Cluster, left: u32| {
        let touch = |object: &mut Value| object["metadata"]["generation"] = json!(left);
        assert!(cluster.with(|store| store.tamper(Resource::ServiceAccounts, "apps", "app", touch)));
    };
    let (world, code, text, deletes) = meddled(1, past);
    assert!(!there(&world), "{text}");
    assert_eq!((code, deletes), (0, 2), "{text}");
    // an object that changes every time: irsa gives up
    let (world, code, text, deletes) = meddled(9, past);
    assert!(there(&world), "{text}");
    assert_eq!((code, deletes), (1, 3), "{text}");
}

#[test]
fn admission_policy_that_overwrites_a_field_fails_every_apply() {
    let (world, bench) = alone(&(role("app") + &role("keep")));
    bench.converges();
    let cluster = world.cluster("main");
    let path = format!("/metadata/annotations/{}", ROLE_ARN.replace('/', "~1"));
    let overwrite = move |request: &Value| {
        if request["name"] != "app" {
            return allowed();
        }
        patched(&json!([{"op": "add", "path": path, "value": "arn:aws:iam::111122223333:role/theirs"}]))
    };
    cluster.with(|store| store.ask_webhook("overwrite.example.com", true, Arc::new(overwrite)));
    edited(&cluster, "kubectl-annotate", "x", "y");
    for _ in 0..2 {
        let plan = bench.plan(&[]);
        assert_eq!(changes(&plan), ["update service-account/main/apps/app"]);
        let run = bench.ends(6, &["apply", "--auto-approve"]);
        let text = run.to_string();
        for word in [ROLE_ARN, "role/theirs", "role/irsa/me/app", "mutating admission webhook or policy"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    cluster.with(Store::admit_all);
    bench.converges();
}

#[test]
fn new_service_account_is_created_with_its_marker_in_one_request() {
    let (world, bench) = alone(&role("app"));
    bench.ends(0, &["apply", "--auto-approve"]);
    let cluster = world.cluster("main");
    let writes = cluster.gate().writes();
    assert_eq!(writes.len(), 1, "one request makes and marks");
    let object = crate::support::world::service_account(&cluster, "apps", "app").expect("it was made");
    assert_eq!(object["metadata"]["annotations"]["irsa/created"], "true");
    let reasons = bench.plan(&["--destroy"])["changes"].to_string();
    assert!(!reasons.contains("were not asked for"), "{reasons}");
}
