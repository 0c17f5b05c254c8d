//! Tests of writes over HTTP: dry runs of every verb, and invalid patches of every type.

use super::http::{cluster, get, send};
use crate::kubernetes::{Cluster, Resource};
use serde_json::{Value, json};

const ACCOUNTS: &str = "/api/v1/namespaces/reporting/serviceaccounts";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/reporting/leases";
const JSON: &str = "application/json";

async fn write(cluster: &Cluster, method: &str, path: &str, kind: &str, body: &Value) -> (u16, Value) {
    send(cluster, method, path, "root", kind, &body.to_string()).await.unwrap()
}

#[tokio::test]
async fn a_dry_run_of_any_verb_changes_nothing() {
    let cluster = cluster().await;
    let finalizers = json!(["example.com/held"]);
    for name in ["w", "held"] {
        cluster.with(|store| store.seed_service_account("reporting", name, &[], "t")).unwrap();
    }
    cluster
        .with(|store| {
            store.edit(Resource::ServiceAccounts, "reporting", "held", "t", |object| {
                object["metadata"]["finalizers"] = finalizers.clone();
            })
        })
        .unwrap();
    let before = cluster.with(|store| store.version());
    let labelled = |name: &str| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "labels": {"l": "1"}}});
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lock"}});
    let add = json!([{"op": "add", "path": "/metadata/labels", "value": {"l": "1"}}]);
    let of = |path: &str, more: &str| format!("{path}?dryRun=All{more}");
    let w = format!("{ACCOUNTS}/w");
    let cases = [
        ("POST", of(ACCOUNTS, ""), JSON, labelled("new"), 201),
        ("PUT", of(&w, ""), JSON, labelled("w"), 200),
        ("PUT", of(&format!("{LEASES}/lock"), ""), JSON, lease.clone(), 201),
        ("POST", of(LEASES, ""), JSON, lease, 201),
        ("PATCH", of(&w, ""), "application/merge-patch+json", labelled("w"), 200),
        ("PATCH", of(&w, ""), "application/strategic-merge-patch+json", labelled("w"), 200),
        ("PATCH", of(&w, ""), "application/json-patch+json", add, 200),
        ("PATCH", of(&w, "&fieldManager=m"), "application/apply-patch+yaml", labelled("w"), 200),
        (
            "PATCH",
            of(&format!("{ACCOUNTS}/new"), "&fieldManager=m"),
            "application/apply-patch+yaml",
            labelled("new"),
            201,
        ),
        ("DELETE", of(&w, ""), JSON, Value::Null, 200),
        ("DELETE", of(ACCOUNTS, ""), JSON, Value::Null, 200),
        ("DELETE", of("/api/v1/namespaces/reporting", ""), JSON, Value::Null, 200),
    ];
    for (method, path, kind, body, expected) in cases {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (code, answer) = send(&cluster, method, &path, "root", kind, &body).await.unwrap();
        assert_eq!(code, expected, "{method} {path}: {answer}");
        if method != "DELETE" && path.starts_with(ACCOUNTS) {
            assert_eq!(answer["metadata"]["labels"]["l"], "1", "a dry run shows the result: {path}");
        }
        assert_eq!(cluster.with(|store| store.version()), before, "{method} {path}");
    }
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]});
    let (code, held) = write(&cluster, "DELETE", &format!("{ACCOUNTS}/held"), JSON, &options).await;
    assert_eq!(code, 200);
    assert!(held["metadata"]["deletionTimestamp"].is_string(), "an object with finalizers would stay: {held}");
    assert_eq!(cluster.with(|store| store.version()), before);
    assert!(
        cluster.gate().writes().iter().all(|record| record.call.body.contains("DeleteOptions")),
        "dry runs do not count as writes"
    );
    for (method, path, kind) in [("POST", ACCOUNTS, "CreateOptions"), ("DELETE", &*w, "DeleteOptions")] {
        let (code, status) = send(&cluster, method, &format!("{path}?dryRun=Some"), "root", JSON, "").await.unwrap();
        let message = format!(
            "{kind}.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"Some\": supported values: \"All\""
        );
        assert_eq!((code, status["message"].as_str()), (422, Some(&*message)));
    }
}

#[tokio::test]
async fn a_patch_with_an_invalid_result_is_named_in_the_error() {
    let cluster = cluster().await;
    let made = cluster.with(|store| store.seed_service_account("reporting", "w", &[], "t")).unwrap();
    let path = format!("{ACCOUNTS}/w");
    let numbers = json!({"metadata": {"labels": {"l": 1}}});
    let words = "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string";
    let (code, status) = write(&cluster, "PATCH", &path, "application/strategic-merge-patch+json", &numbers).await;
    let message = format!(" \"\" is invalid: patch: Invalid value: \"map[metadata:map[labels:map[l:1]]]\": {words}");
    assert_eq!((code, status["message"].as_str()), (422, Some(&*message)));
    let (code, status) = write(&cluster, "PATCH", &path, "application/merge-patch+json", &numbers).await;
    assert_eq!((code, &status["reason"]), (422, &json!("Invalid")));
    assert!(status["message"].as_str().unwrap().ends_with(words), "{status}");
    for kind in ["application/merge-patch+json", "application/strategic-merge-patch+json"] {
        let (code, status) = write(&cluster, "PATCH", &path, kind, &json!([1])).await;
        let words = "json: cannot unmarshal array into Go value of type map[string]interface {}";
        assert_eq!((code, status["message"].as_str()), (400, Some(words)));
    }
    let replace =
        json!({"metadata": {"$patch": "replace", "name": "w", "labels": {"only": "this", "$patch": "merge"}}});
    let (code, patched) = write(&cluster, "PATCH", &path, "application/strategic-merge-patch+json", &replace).await;
    assert_eq!((code, &patched["metadata"]["labels"]), (200, &json!({"only": "this"})), "{patched}");
    assert_eq!(patched["metadata"]["uid"], made["metadata"]["uid"]);
    let (code, status) = get(&cluster, &format!("{ACCOUNTS}?fieldSelector=spec.x%3D1"), "root").await;
    let message = "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
    assert_eq!((code, status["message"].as_str()), (400, Some(message)));
}

#[tokio::test]
async fn deleting_a_lease_answers_a_status() {
    let cluster = cluster().await;
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lock"}});
    let (_, made) = write(&cluster, "POST", LEASES, JSON, &lease).await;
    let (code, status) = send(&cluster, "DELETE", &format!("{LEASES}/lock"), "root", JSON, "").await.unwrap();
    let details = json!({
        "name": "lock", "group": "coordination.k8s.io", "kind": "leases", "uid": made["metadata"]["uid"],
    });
    assert_eq!((code, &status["status"], &status["details"]), (200, &json!("Success"), &details));
}
