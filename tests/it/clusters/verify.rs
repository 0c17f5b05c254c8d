//! `irsa verify` on an API server as EKS would run it: its own tokens, its RBAC, and pods and webhooks as real objects.
//!
//! EKS and STS are the sandbox's. DescribeCluster answers with the server, and its documents are published at the host of
//! its issuer, where STS reads its keys.

use super::{ROLE_ARN, Scene, entry};
use crate::support::clusters::{ADMIN_TOKEN, LIMITED_TOKEN, TestCluster, kubeconfig_of, on_every_backend};
use crate::support::program::Bench;
use crate::support::verification::{link, links, text};
use crate::support::world::World;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_sandbox::aws::{Fault, Match};
use irsa_sandbox::gate::Stage;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::runtime::Runtime;

const CONFIGURATION: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";
const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const JSON: &str = "application/json";
const ROLE: &str = "arn:aws:iam::111122223333:role/irsa/it/app";

/// A cluster that EKS describes, with the role `app` for `shop/cart`.
pub(super) struct Eks<'a> {
    runtime: &'a Runtime,
    cluster: &'a TestCluster,
    pub(super) scene: Scene,
}

impl<'a> Eks<'a> {
    pub(super) fn new(runtime: &'a Runtime, clusters: &'a [TestCluster]) -> Self {
        let [cluster] = clusters else { panic!("one cluster") };
        let world = World::empty();
        for (action, answer) in
            [("DescribeCluster", cluster.described()), ("ListPodIdentityAssociations", json!({"associations": []}))]
        {
            let page = Fault::Page { status: 200, body: answer.to_string() };
            world.fault(Stage::Before, Match::on("eks", action), page, None);
        }
        let bench = Bench::new(world.environment_with_issuers());
        bench.write("kube.yaml", &kubeconfig_of(clusters, ADMIN_TOKEN));
        bench.write("limited.yaml", &kubeconfig_of(clusters, LIMITED_TOKEN));
        let name = &cluster.name;
        let head = format!(
            "owner = \"it\"\n[clusters.{name}]\nkubernetes = {{ kubeconfig = \"kube.yaml\", context = \"{name}\" }}\n"
        );
        let eks = Self { runtime, cluster, scene: Scene { world, bench, head } };
        eks.publish_all();
        eks
    }

    fn publish(&self, path: &str, answer: Option<(u16, String)>) {
        let url = format!("{}{path}", self.cluster.issuer());
        self.scene.world.with(|sandbox| sandbox.publish(&url, answer));
    }

    /// Publishes the server's documents at the host of its issuer.
    fn publish_all(&self) {
        let (_, mut document) = self.cluster.get_as(self.runtime, CONFIGURATION, "*/*");
        document["jwks_uri"] = json!(format!("{}{KEYS}", self.cluster.issuer()));
        self.publish(CONFIGURATION, Some((200, document.to_string())));
        let (status, keys) = self.cluster.get_with(self.runtime, ADMIN_TOKEN, KEYS);
        self.publish(KEYS, Some((status, keys)));
    }

    fn change(&self, method: &str, path: &str, kind: &str, body: &Value) {
        let (status, answer) = self.cluster.ask(self.runtime, method, path, kind, &body.to_string());
        assert!(status < 300, "{method} {path}: {status} {answer}");
    }

    /// Creates the webhook of EKS. Its server does not answer, and its `failurePolicy` ignores that.
    fn install_webhook(&self) {
        let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]});
        let skip = json!({"key": "eks.amazonaws.com/skip-pod-identity-webhook", "operator": "DoesNotExist"});
        let webhook = json!({
            "name": "iam-for-pods.amazonaws.com", "rules": [rule], "sideEffects": "None", "failurePolicy": "Ignore",
            "admissionReviewVersions": ["v1"], "objectSelector": {"matchExpressions": [skip]}, "timeoutSeconds": 1,
            "clientConfig": {"url": "https://127.0.0.1:23443/mutate", "caBundle": self.cluster.authority()},
        });
        let body = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "pod-identity-webhook"}, "webhooks": [webhook],
        });
        // a fresh cluster of the sandbox has one
        self.cluster.ask(self.runtime, "DELETE", &format!("{WEBHOOKS}/pod-identity-webhook"), JSON, "");
        self.change("POST", WEBHOOKS, JSON, &body);
    }

    fn set_authority(&self, authority: &str) {
        let path = format!("{WEBHOOKS}/pod-identity-webhook");
        let operation = json!([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": authority}]);
        self.change("PATCH", &path, "application/json-patch+json", &operation);
    }

    /// Creates a pod, with what the webhook of EKS adds unless the pod is older than the annotation.
    fn pod(&self, name: &str, owner: &Value, is_injected: bool) {
        let file = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
        let environment = json!([
            {"name": "AWS_ROLE_ARN", "value": ROLE}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": file},
        ]);
        let source = json!({"serviceAccountToken": {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}});
        let volumes = json!([{"name": "aws-iam-token", "projected": {"sources": [source]}}]);
        let mounts = json!([{"name": "aws-iam-token", "mountPath": file.trim_end_matches("/token"), "readOnly": true}]);
        let added = if is_injected { [environment, volumes, mounts] } else { [json!([]), json!([]), json!([])] };
        let [environment, volumes, mounts] = added;
        let body = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "ownerReferences": owner},
            "spec": {
                "serviceAccountName": "cart", "volumes": volumes,
                "containers": [
                    {"name": "main", "image": "registry.k8s.io/pause:3.9", "env": environment, "volumeMounts": mounts},
                ],
            },
        });
        self.change("POST", PODS, JSON, &body);
    }

    /// The links of the only ServiceAccount: status, and text with hint.
    fn links(&self, code: i32) -> BTreeMap<String, (String, String)> {
        let run = self.scene.bench.ends(code, &["verify", "--format", "json"]);
        for secret in ["eyJ", ADMIN_TOKEN, LIMITED_TOKEN] {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run}");
        }
        let entry = |link: &Value| {
            let told = format!("{} -> {}", text(link, "text"), text(link, "hint"));
            (text(link, "link"), (text(link, "status"), told))
        };
        links(&run.json()).iter().map(entry).collect()
    }

    /// Checks that one link has this status and says this, and that the others are fine.
    #[track_caller]
    fn only(&self, code: i32, link: &str, status: &str, texts: &[&str]) {
        let links = self.links(code);
        assert_eq!(links[link].0, status, "{links:#?}");
        for text in texts {
            assert!(links[link].1.contains(text), "`{text}` is not in {links:#?}");
        }
        let fine = |(name, (status, _)): (&String, &(String, String))| {
            name == link || ["ok", "not-applicable"].contains(&status.as_str())
        };
        assert!(links.iter().all(fine), "{links:#?}");
    }
}

#[test]
fn chain_is_proved_with_tokens_of_the_api_server_and_its_breaks_are_named() {
    on_every_backend("verify", &["alpha"], |runtime, clusters| {
        let (eks, cluster) = (Eks::new(runtime, clusters), &clusters[0]);
        cluster.create_namespace(runtime, "shop");
        eks.install_webhook();
        eks.scene.declare(&entry("create", "shop", "cart", ""));
        let run = eks.scene.bench.ends(0, &["apply", "--auto-approve", "--verify"]);
        run.says("Verified 1 ServiceAccount: 1 ok, 0 broken, 0 not fully seen.");
        eks.pod("cart-0", &json!(null), true);
        let links = eks.links(0);
        assert!(links.len() == 8 && links.values().all(|(status, _)| status == "ok"), "{links:#?}");
        assert!(links["issuer"].1.contains("publishes the key that the API signs with"), "{links:#?}");
        assert!(links["assume"].1.contains("assumed-role/app/irsa-verify"), "{links:#?}");

        // somebody writes another role
        let annotate = |role: &str| {
            cluster.merge(runtime, "shop", "cart", &json!({"metadata": {"annotations": {ROLE_ARN: role}}}));
        };
        annotate("arn:aws:iam::111122223333:role/other");
        eks.only(7, "annotation", "failed", &["role/other`, not", "irsa apply"]);
        annotate(ROLE);

        // the authority of the cluster was rotated
        let other = rcgen::generate_simple_self_signed(["other".to_owned()]).expect("a certificate").cert.pem();
        eks.set_authority(&STANDARD.encode(other));
        eks.only(
            7,
            "webhook",
            "failed",
            &["is not the cluster's authority", "kubectl --context alpha patch mutatingwebhookconfiguration"],
        );
        eks.set_authority(&cluster.authority());

        // pods that are older than the annotation
        let owner = |kind: &str, name: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "11111111-2222-3333-4444-555555555555", "controller": true}]);
        let set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "web-abc", "ownerReferences": owner("Deployment", "web")},
            "spec": {
                "replicas": 0, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}},
            },
        });
        eks.change("POST", "/apis/apps/v1/namespaces/shop/replicasets", JSON, &set);
        eks.pod("web-abc-1", &owner("ReplicaSet", "web-abc"), false);
        let restart = "kubectl --context alpha -n shop rollout restart deployment/web";
        eks.only(
            7,
            "pods",
            "failed",
            &["deployment/web: 1 pod has no `AWS_ROLE_ARN` (the oldest started at 20", restart],
        );
        let now = json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"});
        eks.change("DELETE", &format!("{PODS}/web-abc-1"), JSON, &now);

        // the trust policy is of another ServiceAccount
        let someone = eks.scene.world.someone();
        let good = someone.trust("app");
        let text = good.to_string().replace("serviceaccount:shop:cart", "serviceaccount:shop:other");
        someone.set_trust("app", &serde_json::from_str(&text).expect("JSON"));
        let links = eks.links(7);
        assert!(links["trust"].1.contains("wants `system:serviceaccount:shop:other`"), "{links:#?}");
        assert!(links["assume"].1.contains("AccessDenied"), "{links:#?}");
        someone.set_trust("app", &good);

        discovery_that_is_not_public(&eks);
        api_that_hides_its_issuer(clusters);
        permissions_that_are_missing(&eks);
    });
}

fn discovery_that_is_not_public(eks: &Eks<'_>) {
    // the host serves what the API says verbatim: its keys are at an address inside the network
    let (_, verbatim) = eks.cluster.get_with(eks.runtime, ADMIN_TOKEN, CONFIGURATION);
    eks.publish(CONFIGURATION, Some((200, verbatim)));
    let links = eks.links_without_sts();
    assert_eq!(links["issuer"].0, "unknown", "{links:#?}");
    assert!(links["issuer"].1.contains("/openid/v1/jwks`: it has an internal address"), "{links:#?}");
    // the host is the API server, which lets nobody read the document who is not bound to
    // `system:service-account-issuer-discovery`
    eks.cluster.admit_limited();
    let (status, refusal) = eks.cluster.get_with(eks.runtime, LIMITED_TOKEN, CONFIGURATION);
    assert_eq!(status, 403, "{refusal}");
    eks.publish(CONFIGURATION, Some((status, refusal)));
    let links = eks.links_without_sts();
    assert_eq!(links["issuer"].0, "unknown", "{links:#?}");
    assert!(links["issuer"].1.contains("it answered with HTTP status 403"), "{links:#?}");
    // a server without anonymous requests
    let (status, refusal) = eks.cluster.get_with(eks.runtime, "wrong-token", CONFIGURATION);
    assert_eq!(status, 401, "{refusal}");
    eks.publish(CONFIGURATION, Some((status, refusal)));
    let links = eks.links_without_sts();
    assert!(links["issuer"].1.contains("it answered with HTTP status 401"), "{links:#?}");
    eks.publish_all();
    assert!(eks.links(0).values().all(|(status, _)| status == "ok"));
}

impl Eks<'_> {
    /// STS would not find the keys.
    fn links_without_sts(&self) -> BTreeMap<String, (String, String)> {
        let run = self.scene.bench.ends(4, &["verify", "--no-assume", "--format", "json"]);
        let entry = |link: &Value| (text(link, "link"), (text(link, "status"), text(link, "text")));
        links(&run.json()).iter().map(entry).collect()
    }
}

fn permissions_that_are_missing(eks: &Eks<'_>) {
    eks.cluster.limit_to(eks.runtime, "shop", &["get", "list"]);
    eks.scene.bench.write("kube.yaml", &eks.scene.bench.read("limited.yaml"));
    let links = eks.links(4);
    let status = |link: &str| links[link].0.as_str();
    for (link, expected) in [
        ("issuer", "ok"),
        ("provider", "ok"),
        ("trust", "ok"),
        ("annotation", "ok"),
        ("webhook", "unknown"),
        ("token", "unknown"),
        ("assume", "unknown"),
        ("pods", "ok"),
    ] {
        assert_eq!(status(link), expected, "{link}: {links:#?}");
    }
    for text in [
        "cannot create resource \"serviceaccounts/token\"",
        "give these credentials the verb `create` on `serviceaccounts/token`",
    ] {
        assert!(links["token"].1.contains(text), "`{text}` is not in {links:#?}");
    }
    assert!(
        links["webhook"].1.contains("give these credentials the verb `list` on `mutatingwebhookconfigurations"),
        "{links:#?}"
    );
    let run = eks.scene.bench.ends(0, &["verify", "--allow-incomplete"]);
    run.says("? token: create serviceaccounts/token: Forbidden: ");
}

/// A cluster that is declared by its issuer alone is verified by the API's own discovery document.
fn api_that_hides_its_issuer(clusters: &[TestCluster]) {
    clusters[0].admit_limited();
    let scene = Scene::new(clusters, LIMITED_TOKEN);
    scene.declare(&entry("create", "shop", "cart", ""));
    let run = scene.bench.ends(4, &["verify", "--format", "json"]);
    let document = run.json();
    let token = link(&document, "token");
    assert_eq!(token["status"], "unknown", "{run}");
    assert!(
        text(token, "text")
            .contains("the ClusterRole `system:service-account-issuer-discovery` allows irsa to read the issuer"),
        "{run}"
    );
}
