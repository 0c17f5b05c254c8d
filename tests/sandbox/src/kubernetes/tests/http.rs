//! Tests over TLS and HTTP: users, RBAC, the gate and what HTTP adds.

use super::ROLE;
use crate::kubernetes::{
    Access, Cluster, ClusterOptions, Fault, Grant, Match, Preconditions, Refusal, Resource, Stage, User,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

pub(super) async fn cluster() -> Cluster {
    let reporting = Grant::in_namespaces(&["reporting"], &["serviceaccounts"], &["get", "list", "patch"]);
    let options = ClusterOptions {
        name: "prod".to_owned(),
        issuer: "https://oidc.example.com/id/PROD".to_owned(),
        tokens: BTreeMap::from([
            ("root".to_owned(), User::admin("admin")),
            ("less".to_owned(), User::limited("arn:aws:iam::111122223333:role/less", [reporting])),
        ]),
        authenticate: Some(Arc::new(|token| token.strip_prefix("k8s-aws-v1.").map(str::to_owned))),
        access: BTreeMap::from([("nobody".to_owned(), Access::Only(Vec::new()))]),
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(options).await.unwrap();
    cluster.with(|store| store.ensure_namespace("reporting")).unwrap();
    cluster
}

/// Sends a request on a new connection. None if the connection ends without an answer.
pub(crate) async fn send(
    cluster: &Cluster,
    method: &str,
    path: &str,
    token: &str,
    kind: &str,
    body: &str,
) -> Option<(u16, Value)> {
    send_accepting(cluster, method, path, token, [kind, "application/json"], body).await
}

pub(super) async fn send_accepting(
    cluster: &Cluster,
    method: &str,
    path: &str,
    token: &str,
    kinds: [&str; 2],
    body: &str,
) -> Option<(u16, Value)> {
    let (response, task) = respond(cluster, method, path, token, kinds, body).await?;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.ok()?.to_bytes();
    task.abort();
    Some((code, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
}

/// A running watch on its own connection.
pub(super) struct Events {
    body: Incoming,
    left: Vec<u8>,
    task: JoinHandle<hyper::Result<()>>,
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Events {
    /// Starts a watch. Panics unless the status is 200.
    pub(super) async fn of(cluster: &Cluster, path: &str, token: &str, accept: &str) -> Self {
        let started = respond(cluster, "GET", path, token, ["application/json", accept], "").await;
        let (response, task) = started.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        Self { body: response.into_body(), left: Vec::new(), task }
    }

    /// The next event. None if the stream has ended.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.left.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.left.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            self.left.extend(frame.into_data().unwrap());
        }
    }
}

async fn respond(
    cluster: &Cluster,
    method: &str,
    path: &str,
    token: &str,
    [kind, accept]: [&str; 2],
    body: &str,
) -> Option<(http::Response<Incoming>, JoinHandle<hyper::Result<()>>)> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cluster.certificate_authority_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = cluster.endpoint().trim_start_matches("https://").to_owned();
    let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let task = tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", &address)
        .header("user-agent", "irsa/0.1.0 (linux)")
        .header("content-type", kind)
        .header("accept", accept)
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let response = sender.send_request(request).await.ok()?;
    Some((response, task))
}

pub(super) async fn get(cluster: &Cluster, path: &str, token: &str) -> (u16, Value) {
    send(cluster, "GET", path, token, "application/json", "").await.unwrap()
}

const WORKER: &str = "/api/v1/namespaces/reporting/serviceaccounts/worker";
const APPLY: &str = "application/apply-patch+yaml";

#[tokio::test]
async fn a_yaml_apply_is_stored() {
    let cluster = cluster().await;
    let body =
        format!("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: worker\n  annotations:\n    {ROLE}: r1\n");
    let path = format!("{WORKER}?fieldManager=irsa-me&force=false");
    let (code, made) = send(&cluster, "PATCH", &path, "root", APPLY, &body).await.unwrap();
    assert_eq!(code, 201, "{made}");
    let (code, again) = send(&cluster, "PATCH", &path, "root", APPLY, &body).await.unwrap();
    assert_eq!((code, &again), (200, &made));
    let (code, read) = get(&cluster, WORKER, "root").await;
    assert_eq!((code, read), (200, made));
    let (code, status) = send(&cluster, "PATCH", WORKER, "root", APPLY, &body).await.unwrap();
    assert_eq!((code, &status["reason"]), (422, &json!("Invalid")));
    let merge = json!({"metadata": {"labels": {"l": "1"}}}).to_string();
    let (code, patched) =
        send(&cluster, "PATCH", WORKER, "root", "application/merge-patch+json", &merge).await.unwrap();
    assert_eq!(code, 200);
    assert!(super::entry(&patched, "irsa", "Update").is_some(), "the user agent is the manager: {patched}");
    let writes = cluster.gate().writes();
    assert_eq!(writes.len(), 4);
    assert!(writes[0].call.is_apply() && !writes[3].call.is_apply());
    assert_eq!((writes[0].answer, writes[0].call.name.as_str()), (Some(201), "worker"));
}

#[tokio::test]
async fn users_are_authenticated_by_token_and_limited_to_their_grants() {
    let cluster = cluster().await;
    let (code, status) = get(&cluster, "/api/v1/serviceaccounts", "wrong").await;
    let unauthorized = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
        "reason": "Unauthorized", "code": 401,
    });
    assert_eq!((code, status), (401, unauthorized));
    let (code, status) = get(&cluster, "/api/v1/serviceaccounts", "less").await;
    let message = "serviceaccounts is forbidden: User \"arn:aws:iam::111122223333:role/less\" cannot list resource \
                   \"serviceaccounts\" in API group \"\" at the cluster scope";
    assert_eq!((code, status["message"].as_str().unwrap()), (403, message));
    assert_eq!(status["details"], json!({"kind": "serviceaccounts"}));
    assert_eq!(get(&cluster, "/api/v1/namespaces/reporting/serviceaccounts", "less").await.0, 200);
    let (_, status) = get(&cluster, "/api/v1/namespaces/default/serviceaccounts/x", "less").await;
    assert!(status["message"].as_str().unwrap().starts_with("serviceaccounts \"x\" is forbidden: User"), "{status}");
    assert!(status["message"].as_str().unwrap().ends_with("in the namespace \"default\""), "{status}");
    // An apply that would create the object also needs permission to create.
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "worker"}}).to_string();
    let path = format!("{WORKER}?fieldManager=m");
    let (code, status) = send(&cluster, "PATCH", &path, "less", APPLY, &body).await.unwrap();
    let why = "serviceaccounts \"worker\" is forbidden: ";
    assert_eq!((code, status["message"].as_str().unwrap()), (403, why), "the reason of RBAC, which is empty");
    assert_eq!(get(&cluster, "/api/v1/pods", "k8s-aws-v1.somebody").await.0, 200);
    assert_eq!(get(&cluster, "/api/v1/pods", "k8s-aws-v1.nobody").await.0, 403);
    assert_eq!(get(&cluster, "/.well-known/openid-configuration", "less").await.0, 403);
    let (code, document) = get(&cluster, "/.well-known/openid-configuration", "root").await;
    assert_eq!((code, document["issuer"].as_str()), (200, Some(cluster.issuer())));
    assert_eq!(get(&cluster, "/healthz", "wrong").await.0, 200);
    let review = |namespace: &str| {
        let attributes = json!({"verb": "list", "resource": "serviceaccounts", "namespace": namespace});
        json!({"spec": {"resourceAttributes": attributes}}).to_string()
    };
    for (namespace, allowed) in [("reporting", true), ("default", false)] {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = send(&cluster, "POST", path, "less", "application/json", &review(namespace)).await.unwrap();
        assert_eq!((answer.0, &answer.1["status"]["allowed"]), (201, &json!(allowed)));
    }
}

#[tokio::test]
async fn faults_apply_before_or_after_execution() {
    let cluster = cluster().await;
    cluster.with(|store| store.seed_service_account("reporting", "worker", &[], "t")).unwrap();
    let writes = Match::on("patch", "serviceaccounts").named("worker");
    let patch = |value: &str| json!({"metadata": {"labels": {"l": value}}}).to_string();
    let kind = "application/merge-patch+json";
    let label = || {
        cluster.with(|store| store.service_account("reporting", "worker").unwrap()["metadata"]["labels"]["l"].clone())
    };
    cluster.gate().fault(Stage::Before, writes.clone(), Fault::Deny, Some(1));
    cluster.gate().fault(Stage::Before, writes.clone(), Fault::Refuse(Refusal::unavailable()), Some(1));
    cluster.gate().fault(Stage::Before, writes.clone(), Fault::Drop, Some(1));
    cluster.gate().fault(Stage::After, writes.clone(), Fault::Drop, Some(1));
    let (code, status) = send(&cluster, "PATCH", WORKER, "root", kind, &patch("1")).await.unwrap();
    assert_eq!(code, 403);
    assert!(status["message"].as_str().unwrap().contains("User \"admin\" cannot patch resource"), "{status}");
    assert_eq!(send(&cluster, "PATCH", WORKER, "root", kind, &patch("2")).await.unwrap().0, 503);
    assert_eq!(send(&cluster, "PATCH", WORKER, "root", kind, &patch("3")).await, None);
    assert_eq!(label(), Value::Null);
    assert_eq!(send(&cluster, "PATCH", WORKER, "root", kind, &patch("4")).await, None);
    assert_eq!(label(), json!("4"));
    assert_eq!(send(&cluster, "PATCH", WORKER, "root", kind, &patch("5")).await.unwrap().0, 200);
    let outcomes: Vec<_> = cluster.gate().writes().iter().map(|record| (record.outcome, record.answer)).collect();
    let expected = [(None, Some(403)), (None, Some(503)), (None, None), (Some(200), None), (Some(200), Some(200))];
    assert_eq!(outcomes, expected);
    cluster.gate().fault(Stage::Before, Match::any(), Fault::Hang, None);
    let hung = tokio::time::timeout(Duration::from_millis(200), get(&cluster, WORKER, "root")).await;
    assert!(hung.is_err());
    cluster.gate().heal();
    assert_eq!(get(&cluster, WORKER, "root").await.0, 200);
}

#[tokio::test]
async fn delete_preconditions_are_read_from_the_body() {
    let cluster = cluster().await;
    let made = cluster.with(|store| store.seed_service_account("reporting", "worker", &[], "t")).unwrap();
    let body = |uid: &str| json!({"kind": "DeleteOptions", "preconditions": {"uid": uid}}).to_string();
    let kind = "application/json";
    assert_eq!(send(&cluster, "DELETE", WORKER, "root", kind, &body("other")).await.unwrap().0, 409);
    let uid = made["metadata"]["uid"].as_str().unwrap();
    assert_eq!(send(&cluster, "DELETE", WORKER, "root", kind, &body(uid)).await.unwrap().0, 200);
    let (code, status) = get(&cluster, WORKER, "root").await;
    let details = json!({"name": "worker", "kind": "serviceaccounts"});
    assert_eq!((code, &status["reason"], &status["details"]), (404, &json!("NotFound"), &details));
    let gone = cluster
        .with(|store| store.delete(Resource::ServiceAccounts, "reporting", "worker", &Preconditions::default(), false));
    assert_eq!(gone.unwrap_err().code, 404);
}

#[tokio::test]
async fn an_accept_header_can_request_metadata_only() {
    let cluster = cluster().await;
    cluster.with(|store| store.seed_service_account("reporting", "worker", &[(ROLE, "r")], "t")).unwrap();
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let path = "/api/v1/namespaces/reporting/serviceaccounts?fieldSelector=metadata.name%3Dworker";
    let kinds = ["application/json", accept];
    let (code, list) = send_accepting(&cluster, "GET", path, "root", kinds, "").await.unwrap();
    assert_eq!((code, &list["kind"]), (200, &json!("PartialObjectMetadataList")));
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["kind"]), (1, &json!("PartialObjectMetadata")));
    assert_eq!(items[0]["metadata"]["annotations"][ROLE], "r");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_namespace_terminates_for_a_while() {
    let cluster = cluster().await;
    cluster.with(|store| store.seed_service_account("reporting", "worker", &[], "t")).unwrap();
    let path = "/api/v1/namespaces/reporting";
    let (code, gone) = send(&cluster, "DELETE", path, "root", "application/json", "").await.unwrap();
    assert_eq!((code, &gone["status"]["phase"]), (200, &json!("Terminating")));
    assert_eq!(get(&cluster, path, "root").await.0, 200, "the namespace stays for a while");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(get(&cluster, path, "root").await.0, 404);
    assert!(cluster.with(|store| store.service_account("reporting", "worker").is_none()));
}

#[tokio::test]
async fn a_request_without_a_route_gets_a_status() {
    let cluster = cluster().await;
    let accounts = "/api/v1/namespaces/reporting/serviceaccounts";
    for (method, path, code, reason) in [
        ("PUT", accounts, 405, "MethodNotAllowed"),
        ("PATCH", accounts, 405, "MethodNotAllowed"),
        ("POST", WORKER, 405, "MethodNotAllowed"),
        ("POST", "/api/v1/serviceaccounts", 405, "MethodNotAllowed"),
        ("GET", "/api/v1/nothings", 404, "NotFound"),
        ("GET", "/apis/coordination.k8s.io/v1/nothings", 404, "NotFound"),
        ("GET", &format!("{WORKER}/status"), 404, "NotFound"),
    ] {
        let (status, answer) = send(&cluster, method, path, "root", APPLY, "{}").await.unwrap();
        assert_eq!(
            (status, &answer["kind"], &answer["reason"]),
            (code, &json!("Status"), &json!(reason)),
            "{method} {path}"
        );
    }
    // An unknown API group gets a 404 without a Status.
    assert_eq!(get(&cluster, "/apis/example.com/v1/nothings", "root").await, (404, Value::Null));
}
