//! Common obstacles in real clusters: admission policies, quotas, terminating namespaces, servers that die.

use super::{Backend, TestCluster};
use crate::support::moments::{PATIENCE, pause};
use crate::support::standin::free_port;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use irsa_sandbox::kubernetes::{
    Admission, Call, Decision, Fault, Match, Policy, Refusal, Resource, Stage, WebhookServer,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::runtime::{Handle, Runtime};

/// The name of the webhooks here.
pub(crate) const WEBHOOK: &str = "policy.it.example.com";
/// A ServiceAccount that every webhook refuses: the refusal shows that the server calls the webhook. It is never
/// created.
const PROBE: &str = "probe";
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1";
const JSON: &str = "application/json";

/// The admission response that allows a write.
pub(crate) fn allowed() -> Value {
    json!({"allowed": true})
}

/// The admission response that denies a write.
pub(crate) fn denied(code: u16, reason: &str, message: &str) -> Value {
    json!({"allowed": false, "status": {"code": code, "reason": reason, "message": message}})
}

/// The admission response that allows a write with these JSON patch operations.
pub(crate) fn patched(operations: &Value) -> Value {
    json!({"allowed": true, "patch": STANDARD.encode(operations.to_string())})
}

/// A change that somebody makes in a cluster.
type Change = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

struct BeforeDeletion {
    name: String,
    first: AtomicBool,
    change: Change,
}

impl Admission<Call> for BeforeDeletion {
    fn decide<'a>(&'a self, stage: Stage, call: &'a Call, _outcome: Option<u16>) -> Decision<'a> {
        Box::pin(async move {
            let it = stage == Stage::Before && call.verb == "delete" && call.name == self.name;
            if it && self.first.swap(false, Ordering::SeqCst) {
                (self.change)().await;
            }
            None
        })
    }
}

fn kind(mutates: bool) -> (&'static str, &'static str) {
    if mutates {
        ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
    } else {
        ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
    }
}

impl TestCluster {
    /// Registers a webhook with this policy for each write to a ServiceAccount.
    pub(crate) fn judged_by(
        &self,
        runtime: &Runtime,
        mutates: bool,
        policy: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) {
        let policy: Policy =
            Arc::new(
                move |request| {
                    if request["name"] == PROBE { denied(403, "Forbidden", "the probe") } else { policy(request) }
                },
            );
        match &self.backend {
            Backend::Sandbox(cluster) => cluster.with(|store| store.ask_webhook(WEBHOOK, mutates, policy)),
            Backend::Real(_) => {
                let server = runtime.block_on(WebhookServer::start(policy)).expect("a webhook");
                self.register(runtime, mutates, &server.url(), server.certificate_authority_pem());
                self.webhooks.lock().expect("no test has failed inside").push(server);
            }
        }
        self.wait_until(|| self.probe(runtime, "default") == 403);
    }

    fn register(&self, runtime: &Runtime, mutates: bool, url: &str, authority: &str) {
        let (kind, plural) = kind(mutates);
        let rule = json!({
            "apiGroups": [""], "apiVersions": ["v1"], "resources": ["serviceaccounts"],
            "operations": ["CREATE", "UPDATE", "DELETE"],
        });
        let webhook = json!({
            "name": WEBHOOK, "rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail", "clientConfig": {"url": url, "caBundle": STANDARD.encode(authority)},
        });
        let body = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": WEBHOOK},
            "webhooks": [webhook],
        });
        self.post(runtime, &format!("{CONFIGURATIONS}/{plural}"), &body);
    }

    /// Registers a webhook without a server for each write to a ServiceAccount.
    pub(crate) fn judged_by_nobody(&self, runtime: &Runtime) {
        match &self.backend {
            Backend::Sandbox(cluster) => {
                let url = "https://127.0.0.1:1/?timeout=10s";
                let why = format!(
                    "failed calling webhook \"{WEBHOOK}\": failed to call webhook: Post \"{url}\": dial tcp 127.0.0.1:1: \
                     connect: connection refused"
                );
                for verb in ["create", "update", "patch", "delete"] {
                    let fault = Fault::Refuse(Refusal::internal(&why));
                    cluster.gate().fault(Stage::Before, Match::on(verb, "serviceaccounts"), fault, None);
                }
            }
            Backend::Real(_) => {
                let url = format!("https://127.0.0.1:{}/", free_port());
                self.register(runtime, false, &url, &self.authority_pem);
            }
        }
        self.wait_until(|| self.probe(runtime, "default") == 500);
    }

    /// Removes the webhooks and quotas.
    pub(crate) fn admits_all(&self, runtime: &Runtime, namespace: &str) {
        match &self.backend {
            Backend::Sandbox(cluster) => {
                cluster.gate().heal();
                cluster.gate().admit_by(None);
                cluster.with(irsa_sandbox::kubernetes::Store::admit_all);
            }
            Backend::Real(_) => {
                for mutates in [true, false] {
                    let path = format!("{CONFIGURATIONS}/{}/{WEBHOOK}", kind(mutates).1);
                    self.ask(runtime, "DELETE", &path, JSON, "");
                }
                let quota = format!("/api/v1/namespaces/{namespace}/resourcequotas/full");
                self.ask(runtime, "DELETE", &quota, JSON, "");
            }
        }
        self.wait_until(|| self.probe(runtime, namespace) == 201);
    }

    /// Makes Helm apply its labels to this ServiceAccount once, between irsa's last read and its delete.
    pub(crate) fn before_deletion_helm_applies(&self, runtime: &Runtime, namespace: &str, name: &str) {
        let (client, object, name) =
            (self.client.clone(), format!("{namespace}/serviceaccounts/{name}"), name.to_owned());
        let change: Change = Box::new(move || {
            let body = json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
            });
            let path = format!("/api/v1/namespaces/{object}?fieldManager=helm&force=true");
            let request = http::Request::patch(path).header("content-type", "application/apply-patch+yaml");
            let request = request.body(body.to_string().into_bytes()).expect("a request");
            let client = client.clone();
            Box::pin(async move {
                client.request::<Value>(request).await.expect("Helm applies");
            })
        });
        let (first, change) = (AtomicBool::new(true), change);
        match &self.backend {
            Backend::Sandbox(cluster) => {
                cluster.gate().admit_by(Some(Arc::new(BeforeDeletion { name, first, change })));
            }
            // the server calls the webhook during the delete, and then checks the stored object again
            Backend::Real(_) => self.judged_by(runtime, false, move |request| {
                let it = request["operation"] == "DELETE" && request["name"] == name.as_str();
                if it && first.swap(false, Ordering::SeqCst) {
                    tokio::task::block_in_place(|| Handle::current().block_on(change()));
                }
                allowed()
            }),
        }
    }

    /// Fills the quota of a namespace, so that no further ServiceAccount fits.
    pub(crate) fn fill_up(&self, runtime: &Runtime, namespace: &str) {
        match &self.backend {
            Backend::Sandbox(cluster) => {
                cluster.with(|store| store.set_quota("full", namespace, Resource::ServiceAccounts, 0));
            }
            // no controller runs that would count the usage
            Backend::Real(_) => {
                let path = format!("/api/v1/namespaces/{namespace}/resourcequotas");
                let none = json!({"count/serviceaccounts": "0"});
                let mut body = json!({
                    "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": none},
                });
                self.post(runtime, &path, &body);
                body["status"] = json!({"hard": none, "used": none});
                let (status, answer) =
                    self.ask(runtime, "PUT", &format!("{path}/full/status"), JSON, &body.to_string());
                assert_eq!(status, 200, "{answer}");
            }
        }
        self.wait_until(|| self.probe(runtime, namespace) == 403);
    }

    /// Adds or removes a finalizer on a ServiceAccount. With it, a deleted object stays.
    pub(crate) fn hold(&self, runtime: &Runtime, namespace: &str, name: &str, held: bool) {
        let finalizers = if held { json!(["it.example.com/held"]) } else { json!(null) };
        let body = json!({"metadata": {"finalizers": finalizers}}).to_string();
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}?fieldManager=holder");
        let (status, answer) = self.ask(runtime, "PATCH", &path, "application/merge-patch+json", &body);
        assert_eq!(status, 200, "{answer}");
    }

    /// Deletes a namespace. It stays while one of its objects has a finalizer.
    pub(crate) fn delete_namespace(&self, runtime: &Runtime, namespace: &str) {
        let path = format!("/api/v1/namespaces/{namespace}");
        let (status, answer) = self.ask(runtime, "DELETE", &path, JSON, "");
        assert_eq!((status, &answer["status"]["phase"]), (200, &json!("Terminating")), "{answer}");
    }

    /// Stops the server, as SIGKILL does.
    pub(crate) fn die(&self, runtime: &Runtime) {
        match &self.backend {
            Backend::Sandbox(cluster) => runtime.block_on(cluster.refuse_connections(true)).expect("its port"),
            Backend::Real(server) => server.lock().expect("no test has failed inside").kill_program(),
        }
    }

    /// Starts the server again, with the objects that it had.
    pub(crate) fn come_back(&self, runtime: &Runtime) {
        match &self.backend {
            Backend::Sandbox(cluster) => runtime.block_on(cluster.refuse_connections(false)).expect("its port"),
            Backend::Real(server) => server.lock().expect("no test has failed inside").start_program(),
        }
        self.wait_until_ready(runtime);
    }

    /// Returns a function that makes the server compact all revisions before the current one.
    pub(crate) fn compaction(&self) -> impl Fn() + Send + 'static + use<> {
        let backend = match &self.backend {
            Backend::Sandbox(cluster) => Backend::Sandbox(Arc::clone(cluster)),
            Backend::Real(server) => Backend::Real(Arc::clone(server)),
        };
        move || match &backend {
            Backend::Sandbox(cluster) => cluster.with(irsa_sandbox::kubernetes::Store::compact),
            Backend::Real(server) => server.lock().expect("no test has failed inside").compact(),
        }
    }

    /// The HTTP status of a dry run that creates a ServiceAccount.
    fn probe(&self, runtime: &Runtime, namespace: &str) -> u16 {
        let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": PROBE}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts?dryRun=All");
        self.ask(runtime, "POST", &path, JSON, &body.to_string()).0
    }

    /// Waits until `ready` returns true: a server sees its own new objects a moment later.
    #[track_caller]
    pub(crate) fn wait_until(&self, ready: impl Fn() -> bool) {
        let begin = Instant::now();
        while !ready() {
            assert!(begin.elapsed() < PATIENCE, "cluster `{}` does not come to it", self.name);
            pause();
        }
    }
}
