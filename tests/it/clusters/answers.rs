//! What the Kubernetes API answers to raw requests. The sandbox and a real API server must both match the same table.

use crate::support::clusters::{TestCluster, on_every_backend};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const ACCOUNTS: &str = "/api/v1/namespaces/shop/serviceaccounts";
const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";

fn account(metadata: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}).to_string()
}

/// Sends a request and compares status, reason and a part of the message with what is expected.
#[track_caller]
fn refuses(
    cluster: &TestCluster,
    runtime: &Runtime,
    (method, path): (&str, &str),
    (kind, body): (&str, &str),
    (code, reason, text): (u16, &str, &str),
) -> Value {
    let (status, answer) = cluster.ask(runtime, method, path, kind, body);
    assert_eq!((status, &answer["kind"]), (code, &json!("Status")), "{method} {path}: {answer}");
    assert_eq!(answer["reason"].as_str().unwrap_or_default(), reason, "{method} {path}: {answer}");
    assert!(answer["message"].as_str().is_some_and(|message| message.contains(text)), "{method} {path}: {answer}");
    answer
}

#[test]
fn unknown_routes_and_malformed_requests_are_refused_alike() {
    on_every_backend("refused requests", &["alpha"], |runtime, clusters| {
        let cluster = &clusters[0];
        cluster.create_namespace(runtime, "shop");
        cluster.create(runtime, "shop", "cart");
        let one = format!("{ACCOUNTS}/cart");
        let (nothing, cart) = ((JSON, ""), account(&json!({"name": "cart"})));
        for (method, path) in [
            ("PUT", ACCOUNTS),
            ("PATCH", ACCOUNTS),
            ("POST", one.as_str()),
            ("POST", "/api/v1/serviceaccounts"),
            ("DELETE", "/api/v1/serviceaccounts"),
            ("PUT", "/api/v1/namespaces"),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/shop/leases"),
            ("DELETE", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        ] {
            let why = (405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
            refuses(cluster, runtime, (method, path), (JSON, &cart), why);
        }
        for path in [
            "/api/v1/namespaces/shop/serviceaccountz",
            "/api/v1/namespaces/shop/serviceaccounts/cart/status",
            "/api/v1/nothings",
            "/apis/coordination.k8s.io/v1/namespaces/shop/releases",
        ] {
            let why = (404, "NotFound", "the server could not find the requested resource");
            refuses(cluster, runtime, ("GET", path), nothing, why);
        }
        for selector in [
            "labelSelector=a%3D%3D%3Db",
            "labelSelector=a%3Db%3Dc",
            "labelSelector=a%20in%20b",
            "labelSelector=%3Db",
            "labelSelector=a%2C%2Cb",
            "labelSelector=-a",
            "fieldSelector=metadata.name%3D%3D%3Da",
            "fieldSelector=metadata.name",
            "fieldSelector=spec.x%3Dy",
        ] {
            for collection in [ACCOUNTS, "/api/v1/namespaces"] {
                let path = format!("{collection}?{selector}");
                refuses(cluster, runtime, ("GET", &path), nothing, (400, "BadRequest", ""));
            }
        }
        // a number in place of a string: the server finds it while it merges, and answers 500
        let applied = format!("{one}?fieldManager=it");
        for field in ["labels", "annotations"] {
            let body = account(&json!({"name": "cart", field: {"a": 1}}));
            let why = (500, "", "failed to create typed patch object");
            let answer = refuses(cluster, runtime, ("PATCH", &applied), (APPLY, &body), why);
            let message = answer["message"].as_str().unwrap_or_default();
            assert!(message.contains(&format!(".metadata.{field}.a: expected string, got")), "{message}");
            refuses(
                cluster,
                runtime,
                ("POST", ACCOUNTS),
                (JSON, &body),
                (400, "BadRequest", "cannot be handled as a ServiceAccount"),
            );
        }
    });
}

#[test]
fn metadata_list_and_token_request_have_the_documented_form() {
    on_every_backend("forms of answers", &["alpha"], |runtime, clusters| {
        let cluster = &clusters[0];
        cluster.create_namespace(runtime, "shop");
        cluster.create(runtime, "shop", "cart");
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let (status, list) = cluster.get_as(runtime, &format!("{ACCOUNTS}?labelSelector=nobody%3Dme"), metadata);
        assert_eq!(
            (status, &list["kind"], list.get("items")),
            (200, &json!("PartialObjectMetadataList"), Some(&Value::Null))
        );
        let (_, list) = cluster.get_as(runtime, &format!("{ACCOUNTS}?labelSelector=nobody%3Dme"), JSON);
        assert_eq!((&list["kind"], &list["items"]), (&json!("ServiceAccountList"), &json!([])));
        let wish = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": ["sts.amazonaws.com"], "expirationSeconds": 3600},
        });
        let path = format!("{ACCOUNTS}/cart/token");
        let (status, token) = cluster.ask(runtime, "POST", &path, JSON, &wish.to_string());
        assert_eq!(status, 201, "{token}");
        assert!(token["metadata"].is_object() && token["status"]["token"].is_string(), "{token}");
    });
}

#[test]
fn delete_checks_its_preconditions() {
    on_every_backend("delete preconditions", &["alpha"], |runtime, clusters| {
        let cluster = &clusters[0];
        cluster.create_namespace(runtime, "shop");
        cluster.create(runtime, "shop", "cart");
        let object = cluster.get(runtime, "shop", "cart").expect("it was made");
        let (uid, version) = (&object["metadata"]["uid"], &object["metadata"]["resourceVersion"]);
        cluster.annotate(runtime, "shop", "cart", "note", "changed");
        let one = format!("{ACCOUNTS}/cart");
        let options = |preconditions: Value| {
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}).to_string()
        };
        let other_uid = "the UID in the precondition (other) does not match the UID in record (";
        let other_version = "the ResourceVersion in the precondition (";
        for (preconditions, text) in [
            (json!({"uid": "other"}), other_uid),
            (json!({"uid": uid, "resourceVersion": version}), other_version),
            (json!({"resourceVersion": version}), other_version),
        ] {
            let why = (409, "Conflict", text);
            refuses(cluster, runtime, ("DELETE", &one), (JSON, &options(preconditions)), why);
        }
        let object = cluster.get(runtime, "shop", "cart").expect("it is there");
        let now = json!({"uid": uid, "resourceVersion": object["metadata"]["resourceVersion"]});
        assert_eq!(cluster.ask(runtime, "DELETE", &one, JSON, &options(now)).0, 200);
        assert!(cluster.get(runtime, "shop", "cart").is_none());
    });
}

#[test]
fn namespace_with_content_stays_terminating() {
    on_every_backend("a Terminating namespace", &["alpha"], |runtime, clusters| {
        let cluster = &clusters[0];
        cluster.create_namespace(runtime, "shop");
        cluster.create(runtime, "shop", "cart");
        cluster.hold(runtime, "shop", "cart", true);
        cluster.delete_namespace(runtime, "shop");
        let (_, namespace) = cluster.get_as(runtime, "/api/v1/namespaces/shop", JSON);
        assert_eq!(namespace["status"]["phase"], "Terminating");
        assert!(namespace["metadata"]["deletionTimestamp"].is_string(), "{namespace}");
        let text = "unable to create new content in namespace shop because it is being terminated";
        let body = account(&json!({"name": "new"}));
        for (method, path, kind) in
            [("POST", ACCOUNTS.to_owned(), JSON), ("PATCH", format!("{ACCOUNTS}/new?fieldManager=it"), APPLY)]
        {
            let answer = refuses(cluster, runtime, (method, &path), (kind, &body), (403, "Forbidden", text));
            assert_eq!(answer["details"]["causes"][0]["reason"], "NamespaceTerminating", "{answer}");
        }
    });
}
