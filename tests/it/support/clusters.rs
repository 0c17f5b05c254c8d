//! Clusters for the Kubernetes scenarios: those of the sandbox, or a real kube-apiserver. The scenarios are the same
//! for both.

mod trouble;

pub(crate) use trouble::{WEBHOOK, allowed, denied, patched};

use super::apiserver::{self, ADMIN, ApiServer, LIMITED};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_sandbox::kubernetes::{Cluster, ClusterOptions, Grant, User, WebhookServer};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

/// A cluster, and a client with administrator permissions.
pub(crate) struct TestCluster {
    pub(crate) name: String,
    endpoint: String,
    authority_pem: String,
    issuer: String,
    backend: Backend,
    client: kube::Client,
    /// The registered admission webhooks.
    webhooks: Mutex<Vec<WebhookServer>>,
}

enum Backend {
    Sandbox(Arc<Cluster>),
    Real(Arc<Mutex<ApiServer>>),
}

/// Runs a scenario on the sandbox, and on a real server if this machine has one.
pub(crate) fn on_every_backend(scenario: &str, names: &[&str], run: impl Fn(&Runtime, &[TestCluster])) {
    let runtime = Runtime::new().expect("a runtime");
    let start = |name: &&str| TestCluster::sandbox(&runtime, name);
    run(&runtime, &names.iter().map(start).collect::<Vec<_>>());
    match apiserver::assets() {
        None => apiserver::skipped(&format!("scenario `{scenario}` on a real kube-apiserver")),
        Some(assets) => {
            let start = |name: &&str| TestCluster::real(&runtime, &assets, name);
            run(&runtime, &names.iter().map(start).collect::<Vec<_>>());
        }
    }
}

impl TestCluster {
    fn new(runtime: &Runtime, name: &str, place: [&str; 3], backend: Backend) -> Self {
        let [endpoint, authority_pem, issuer] = place;
        let config = kubeconfig(&[(name, endpoint, authority_pem, ADMIN)]);
        Self {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            authority_pem: authority_pem.to_owned(),
            issuer: issuer.to_owned(),
            backend,
            client: runtime.block_on(client(&config)),
            webhooks: Mutex::default(),
        }
    }

    fn sandbox(runtime: &Runtime, name: &str) -> Self {
        let options = ClusterOptions {
            name: name.to_owned(),
            issuer: format!("https://oidc.example.com/{name}"),
            tokens: BTreeMap::from([(ADMIN.to_owned(), User::admin("admin"))]),
            ..ClusterOptions::default()
        };
        let cluster = Arc::new(runtime.block_on(Cluster::start(options)).expect("a cluster"));
        let endpoint = cluster.endpoint();
        let place = [endpoint.as_str(), cluster.certificate_authority_pem(), cluster.issuer()];
        Self::new(runtime, name, place, Backend::Sandbox(Arc::clone(&cluster)))
    }

    fn real(runtime: &Runtime, assets: &(std::path::PathBuf, std::path::PathBuf), name: &str) -> Self {
        let server = ApiServer::start(assets, name);
        let (endpoint, authority, issuer) = (server.endpoint(), server.authority_pem.clone(), server.issuer.clone());
        let backend = Backend::Real(Arc::new(Mutex::new(server)));
        let cluster = Self::new(runtime, name, [&endpoint, &authority, &issuer], backend);
        cluster.wait_until_ready(runtime);
        cluster
    }

    fn wait_until_ready(&self, runtime: &Runtime) {
        let Backend::Real(server) = &self.backend else { return };
        server.lock().expect("no test has failed inside").wait(|| {
            runtime.block_on(async {
                let request = http::Request::get("/readyz").body(Vec::new()).expect("a request");
                self.client.request_text(request).await.is_ok_and(|text| text == "ok")
            })
        });
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The answer of DescribeCluster, as if EKS ran the cluster.
    pub(crate) fn described(&self) -> Value {
        json!({"cluster": {
            "name": self.name, "status": "ACTIVE", "endpoint": self.endpoint,
            "certificateAuthority": {"data": self.authority()},
            "identity": {"oidc": {"issuer": self.issuer}},
        }})
    }

    /// The certificates that the API's certificate is checked with, in base64 of PEM.
    pub(crate) fn authority(&self) -> String {
        STANDARD.encode(&self.authority_pem)
    }

    /// Lets the user of the token `LIMITED` in, without any permission.
    pub(crate) fn admit_limited(&self) {
        if let Backend::Sandbox(cluster) = &self.backend {
            cluster.set_token(LIMITED, User::limited("limited", []));
        }
    }

    /// Sends a GET with another token. Returns the status and the body.
    pub(crate) fn get_with(&self, runtime: &Runtime, token: &str, path: &str) -> (u16, String) {
        let config = kubeconfig_of(std::slice::from_ref(self), token);
        runtime.block_on(async {
            let request = http::Request::get(path).body(kube::client::Body::empty()).expect("a request");
            let answer = client(&config).await.send(request).await.expect("an answer");
            let status = answer.status().as_u16();
            let body = answer.into_body().collect_bytes().await.expect("a body");
            (status, String::from_utf8_lossy(&body).into_owned())
        })
    }

    /// The port on which the server listens.
    pub(crate) fn port(&self) -> u16 {
        self.endpoint.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    fn place(&self, token: &str) -> (String, String, String, String) {
        (self.name.clone(), self.endpoint.clone(), self.authority_pem.clone(), token.to_owned())
    }

    /// Allows the user of the token `LIMITED` these verbs on ServiceAccounts of one namespace, and to read the issuer;
    /// nothing else.
    pub(crate) fn limit_to(&self, runtime: &Runtime, namespace: &str, verbs: &[&str]) {
        match &self.backend {
            Backend::Sandbox(cluster) => {
                let grants = [
                    Grant::in_namespaces(&[namespace], &["serviceaccounts"], verbs),
                    Grant::in_namespaces(&[namespace], &["namespaces", "pods"], &["get", "list"]),
                    Grant::issuer_discovery(),
                ];
                cluster.set_token(LIMITED, User::limited("limited", grants));
            }
            Backend::Real(_) => {
                let rbac = "/apis/rbac.authorization.k8s.io/v1";
                let subjects = json!([{"kind": "User", "name": "limited", "apiGroup": "rbac.authorization.k8s.io"}]);
                let reference = |kind: &str, name: &str| json!({"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"});
                self.post(
                    runtime,
                    &format!("{rbac}/namespaces/{namespace}/roles"),
                    &json!({
                        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "irsa"},
                        "rules": [
                            {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": verbs},
                            {"apiGroups": [""], "resources": ["namespaces", "pods"], "verbs": ["get", "list"]},
                        ],
                    }),
                );
                self.post(
                    runtime,
                    &format!("{rbac}/namespaces/{namespace}/rolebindings"),
                    &json!({
                        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                        "metadata": {"name": "irsa"}, "subjects": subjects, "roleRef": reference("Role", "irsa"),
                    }),
                );
                self.post(
                    runtime,
                    &format!("{rbac}/clusterrolebindings"),
                    &json!({
                        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                        "metadata": {"name": "irsa-issuer"}, "subjects": subjects,
                        "roleRef": reference("ClusterRole", "system:service-account-issuer-discovery"),
                    }),
                );
            }
        }
    }

    /// Sends a raw request. Returns the status, and the body if it is JSON.
    pub(crate) fn ask(&self, runtime: &Runtime, method: &str, path: &str, kind: &str, body: &str) -> (u16, Value) {
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(kube::client::Body::from(body.as_bytes().to_vec())).expect("a request");
        self.exchange(runtime, request)
    }

    /// Sends a GET with this Accept header. Returns the status and the body.
    pub(crate) fn get_as(&self, runtime: &Runtime, path: &str, accept: &str) -> (u16, Value) {
        let request = http::Request::get(path).header("accept", accept);
        self.exchange(runtime, request.body(kube::client::Body::empty()).expect("a request"))
    }

    fn exchange(&self, runtime: &Runtime, request: http::Request<kube::client::Body>) -> (u16, Value) {
        runtime.block_on(async {
            let answer = self.client.send(request).await.expect("an answer");
            let status = answer.status().as_u16();
            let body = answer.into_body().collect_bytes().await.expect("a body");
            (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
        })
    }

    fn send(&self, runtime: &Runtime, request: http::Request<Vec<u8>>) -> Result<Value, kube::Error> {
        runtime.block_on(self.client.request::<Value>(request))
    }

    #[track_caller]
    fn post(&self, runtime: &Runtime, path: &str, body: &Value) {
        let request = http::Request::post(path).header("content-type", "application/json");
        let request = request.body(body.to_string().into_bytes()).expect("a request");
        self.send(runtime, request).unwrap_or_else(|error| panic!("POST {path}: {error}"));
    }

    #[track_caller]
    pub(crate) fn create_namespace(&self, runtime: &Runtime, name: &str) {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.post(runtime, "/api/v1/namespaces", &body);
    }

    /// Creates a ServiceAccount as a plain client does.
    #[track_caller]
    pub(crate) fn create(&self, runtime: &Runtime, namespace: &str, name: &str) {
        let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        self.post(runtime, &format!("/api/v1/namespaces/{namespace}/serviceaccounts"), &body);
    }

    /// Applies labels and annotations to a ServiceAccount as the field manager `manager`, with force.
    #[track_caller]
    pub(crate) fn apply(
        &self,
        runtime: &Runtime,
        manager: &str,
        namespace: &str,
        name: &str,
        metadata: &Value,
    ) -> Value {
        let mut body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata.clone()});
        body["metadata"]["name"] = name.into();
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}?fieldManager={manager}&force=true");
        let request = http::Request::patch(&path).header("content-type", "application/apply-patch+yaml");
        let request = request.body(body.to_string().into_bytes()).expect("a request");
        self.send(runtime, request).unwrap_or_else(|error| panic!("PATCH {path}: {error}"))
    }

    /// Annotates a ServiceAccount as `kubectl annotate` does.
    #[track_caller]
    pub(crate) fn annotate(&self, runtime: &Runtime, namespace: &str, name: &str, key: &str, value: &str) {
        let body = json!({"metadata": {"annotations": {key: value}}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}?fieldManager=kubectl-annotate");
        let request = http::Request::patch(&path).header("content-type", "application/merge-patch+json");
        let request = request.body(body.to_string().into_bytes()).expect("a request");
        self.send(runtime, request).unwrap_or_else(|error| panic!("PATCH {path}: {error}"));
    }

    /// Patches a ServiceAccount as `kubectl patch --type=merge` does.
    #[track_caller]
    pub(crate) fn merge(&self, runtime: &Runtime, namespace: &str, name: &str, body: &Value) {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}?fieldManager=kubectl-patch");
        let request = http::Request::patch(&path).header("content-type", "application/merge-patch+json");
        let request = request.body(body.to_string().into_bytes()).expect("a request");
        self.send(runtime, request).unwrap_or_else(|error| panic!("PATCH {path}: {error}"));
    }

    /// Adds a finalizer that no controller removes.
    #[track_caller]
    pub(crate) fn finalizer(&self, runtime: &Runtime, path: &str) {
        let request = http::Request::patch(path).header("content-type", "application/merge-patch+json");
        let body = json!({"metadata": {"finalizers": ["example.com/hold"]}});
        let request = request.body(body.to_string().into_bytes()).expect("a request");
        self.send(runtime, request).unwrap_or_else(|error| panic!("PATCH {path}: {error}"));
    }

    /// Deletes the object with this path. An object with finalizers stays, in deletion.
    #[track_caller]
    pub(crate) fn delete(&self, runtime: &Runtime, path: &str) {
        let request = http::Request::delete(path).body(Vec::new()).expect("a request");
        self.send(runtime, request).unwrap_or_else(|error| panic!("DELETE {path}: {error}"));
    }

    /// The ServiceAccount, if it exists.
    pub(crate) fn get(&self, runtime: &Runtime, namespace: &str, name: &str) -> Option<Value> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}");
        self.send(runtime, http::Request::get(path).body(Vec::new()).expect("a request")).ok()
    }

    /// The value of an annotation of a ServiceAccount.
    pub(crate) fn annotation(&self, runtime: &Runtime, namespace: &str, name: &str, key: &str) -> Option<String> {
        self.get(runtime, namespace, name)?["metadata"]["annotations"][key].as_str().map(str::to_owned)
    }
}

/// A kubeconfig with one context per cluster, named like the cluster.
pub(crate) fn kubeconfig_of(clusters: &[TestCluster], token: &str) -> String {
    let places: Vec<_> = clusters.iter().map(|cluster| cluster.place(token)).collect();
    let places: Vec<_> = places.iter().map(|(a, b, c, d)| (a.as_str(), b.as_str(), c.as_str(), d.as_str())).collect();
    kubeconfig(&places)
}

/// A kubeconfig that reaches the cluster through another port.
pub(crate) fn kubeconfig_at(cluster: &TestCluster, token: &str, port: u16) -> String {
    kubeconfig(&[(&cluster.name, &format!("https://127.0.0.1:{port}"), &cluster.authority_pem, token)])
}

/// The token of the user whose permissions `limit_to` sets.
pub(crate) const LIMITED_TOKEN: &str = LIMITED;
/// An administrator's token.
pub(crate) const ADMIN_TOKEN: &str = ADMIN;

fn kubeconfig(places: &[(&str, &str, &str, &str)]) -> String {
    let list = |entry: fn(&(&str, &str, &str, &str)) -> Value| places.iter().map(entry).collect::<Vec<_>>();
    json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": list(|(name, endpoint, authority, _)| json!({"name": name, "cluster": {
            "server": endpoint, "certificate-authority-data": STANDARD.encode(authority)}})),
        "users": list(|(name, _, _, token)| json!({"name": name, "user": {"token": token}})),
        "contexts": list(|(name, ..)| json!({"name": name, "context": {"cluster": name, "user": name}})),
    })
    .to_string()
}

async fn client(kubeconfig: &str) -> kube::Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
    let context = kubeconfig.contexts.first().map(|context| context.name.clone());
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a configuration");
    // tests that wait for a server retry themselves
    config.default_retry = false;
    kube::Client::try_from(config).expect("a client")
}
