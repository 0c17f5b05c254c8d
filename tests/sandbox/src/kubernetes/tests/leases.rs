//! Tests of Leases: the behaviour that a lock on a Lease relies on.

use super::http::{cluster, get, send};
use super::store;
use crate::kubernetes::{Cluster, PatchType, Preconditions, Resource, WriteOptions};
use serde_json::{Value, json};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/reporting/leases";
const JSON: &str = "application/json";

fn lease(holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lock"},
        "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 0,
            "acquireTime": "2024-05-01T10:00:00.000000Z", "renewTime": "2024-05-01T12:00:00.000001+02:00",
        },
    })
}

async fn write(cluster: &Cluster, method: &str, name: &str, body: &Value) -> (u16, Value) {
    let path = if name.is_empty() { LEASES.to_owned() } else { format!("{LEASES}/{name}") };
    send(cluster, method, &path, "root", JSON, &body.to_string()).await.unwrap()
}

#[tokio::test]
async fn a_lease_is_created_renewed_and_released() {
    let cluster = cluster().await;
    let (code, made) = write(&cluster, "POST", "", &lease("me")).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!((&made["apiVersion"], &made["kind"]), (&json!("coordination.k8s.io/v1"), &json!("Lease")));
    assert_eq!(made["spec"]["renewTime"], "2024-05-01T10:00:00.000001Z", "in UTC");
    assert_eq!(made["metadata"]["managedFields"][0]["apiVersion"], "coordination.k8s.io/v1");
    let (code, status) = write(&cluster, "POST", "", &lease("you")).await;
    let message = "leases.coordination.k8s.io \"lock\" already exists";
    assert_eq!((code, status["message"].as_str(), &status["reason"]), (409, Some(message), &json!("AlreadyExists")));
    let mut renewed = made.clone();
    renewed["spec"]["renewTime"] = json!("2024-05-01T10:00:10.000000Z");
    let (code, second) = write(&cluster, "PUT", "lock", &renewed).await;
    assert_eq!(code, 200, "{second}");
    assert_eq!(get(&cluster, &format!("{LEASES}/lock"), "root").await, (200, second.clone()));
    // A second holder has also read the first version.
    renewed["spec"]["holderIdentity"] = json!("you");
    let (code, status) = write(&cluster, "PUT", "lock", &renewed).await;
    let message = "Operation cannot be fulfilled on leases.coordination.k8s.io \"lock\": the object has been modified; \
                   please apply your changes to the latest version and try again";
    assert_eq!((code, status["message"].as_str()), (409, Some(message)));
    assert_eq!(status["details"], json!({"name": "lock", "group": "coordination.k8s.io", "kind": "leases"}));
    let (_, list) = get(&cluster, LEASES, "root").await;
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!("LeaseList"), 1));
    assert_eq!(list["apiVersion"], "coordination.k8s.io/v1");
    let options = json!({"preconditions": {"uid": second["metadata"]["uid"], "resourceVersion": "1"}});
    assert_eq!(write(&cluster, "DELETE", "lock", &options).await.0, 409);
    let options = json!({"preconditions": {"resourceVersion": second["metadata"]["resourceVersion"]}});
    assert_eq!(write(&cluster, "DELETE", "lock", &options).await.0, 200);
    let (code, status) = get(&cluster, &format!("{LEASES}/lock"), "root").await;
    assert_eq!((code, status["message"].as_str()), (404, Some("leases.coordination.k8s.io \"lock\" not found")));
    // The former holder writes to the deleted lease. The uid in its request makes that a conflict.
    let (code, status) = write(&cluster, "PUT", "lock", &second).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    assert!(status["message"].as_str().unwrap().ends_with("UID in object meta: "), "{status}");
}

#[tokio::test]
async fn a_put_must_name_the_version_that_it_replaces_and_may_create() {
    let cluster = cluster().await;
    let (code, made) = write(&cluster, "PUT", "lock", &lease("me")).await;
    assert_eq!(code, 201, "{made}");
    assert!(made["metadata"]["uid"].is_string());
    let (code, status) = write(&cluster, "PUT", "lock", &lease("you")).await;
    let message = "leases.coordination.k8s.io \"lock\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be \
                   specified for an update";
    assert_eq!((code, status["message"].as_str()), (422, Some(message)));
    let merge = json!({"spec": {"holderIdentity": "you", "leaseTransitions": 1}}).to_string();
    let path = format!("{LEASES}/lock");
    let patched = send(&cluster, "PATCH", &path, "root", "application/merge-patch+json", &merge).await.unwrap();
    assert_eq!((patched.0, &patched.1["spec"]["holderIdentity"]), (200, &json!("you")));
    assert_eq!(patched.1["spec"]["acquireTime"], "2024-05-01T10:00:00.000000Z");
    let stale = json!({"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}).to_string();
    let refused = send(&cluster, "PATCH", &path, "root", "application/merge-patch+json", &stale).await.unwrap();
    assert_eq!(refused.0, 409);
}

#[tokio::test]
async fn an_invalid_lease_is_refused_with_the_servers_message() {
    let cluster = cluster().await;
    let invalid = "Lease.coordination.k8s.io \"lock\" is invalid: spec.";
    let unreadable = "Lease in version \"v1\" cannot be handled as a Lease: ";
    let cases = [
        ("leaseDurationSeconds", json!(0), 422, "leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
        ("leaseDurationSeconds", json!(-3), 422, "leaseDurationSeconds: Invalid value: -3: must be greater than 0"),
        ("leaseTransitions", json!(-1), 422, "leaseTransitions: Invalid value: -1: must be greater than or equal to 0"),
        (
            "leaseDurationSeconds",
            json!("15"),
            400,
            "json: cannot unmarshal string into Go struct field LeaseSpec.spec.leaseDurationSeconds of type int32",
        ),
        (
            "renewTime",
            json!("2024-05-01T10:00:00Z"),
            400,
            "parsing time \"2024-05-01T10:00:00Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \
             \".000000\"",
        ),
        ("renewTime", json!(1), 400, "json: cannot unmarshal number into Go value of type string"),
    ];
    for (field, value, code, text) in cases {
        let mut body = lease("me");
        body["spec"][field] = value;
        let (found, status) = write(&cluster, "POST", "", &body).await;
        let expected = format!("{}{text}", if code == 422 { invalid } else { unreadable });
        assert_eq!((found, status["message"].as_str()), (code, Some(&*expected)));
    }
    let (code, status) = get(&cluster, &format!("{LEASES}/lock"), "less").await;
    let message = "leases.coordination.k8s.io \"lock\" is forbidden: User \"arn:aws:iam::111122223333:role/less\" cannot \
                   get resource \"leases\" in API group \"coordination.k8s.io\" in the namespace \"reporting\"";
    assert_eq!((code, status["message"].as_str()), (403, Some(message)));
    assert_eq!(
        get(&cluster, "/api/v1/namespaces/reporting/leases", "root").await.0,
        404,
        "leases are not in the core group"
    );
}

#[tokio::test]
async fn leases_are_in_discovery() {
    let cluster = cluster().await;
    let (_, groups) = get(&cluster, "/apis", "less").await;
    let names: Vec<&str> =
        groups["groups"].as_array().unwrap().iter().filter_map(|group| group["name"].as_str()).collect();
    let all = [
        "admissionregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "coordination.k8s.io",
    ];
    assert_eq!(names, all);
    let (_, list) = get(&cluster, "/apis/coordination.k8s.io/v1", "less").await;
    let leases = &list["resources"][0];
    assert_eq!((&list["groupVersion"], &leases["name"]), (&json!("coordination.k8s.io/v1"), &json!("leases")));
    assert_eq!((&leases["kind"], &leases["namespaced"]), (&json!("Lease"), &json!(true)));
    let (_, index) = get(&cluster, "/openapi/v3", "less").await;
    let place = index["paths"]["apis/coordination.k8s.io/v1"]["serverRelativeURL"].as_str().unwrap();
    let (_, document) = get(&cluster, place, "less").await;
    assert!(
        document["paths"]["/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"]["patch"].is_object()
    );
}

#[test]
fn a_lease_is_deleted_with_its_namespace_and_has_field_owners() {
    let mut store = store();
    let options = WriteOptions::by("irsa");
    store.create(Resource::Leases, "a", lease("me"), &options).unwrap();
    let mut body = lease("me");
    body["spec"] = json!({"holderIdentity": "you"});
    let applied = |store: &mut crate::kubernetes::Store, options: &WriteOptions| {
        store.apply(Resource::Leases, "a", "lock", body.clone(), options, || Ok(()))
    };
    let refusal = applied(&mut store, &WriteOptions::by("other")).unwrap_err();
    assert!(refusal.message.contains("conflict with \"irsa\" using coordination.k8s.io/v1 at"), "{refusal}");
    assert!(refusal.message.ends_with(": .spec.holderIdentity"), "{refusal}");
    let taken = applied(&mut store, &WriteOptions::by("other").forced()).unwrap().object;
    assert_eq!(super::fields(&taken, "other", "Apply"), json!({"f:spec": {"f:holderIdentity": {}}}));
    assert_eq!(taken["spec"]["leaseDurationSeconds"], 15);
    let json_patch = json!([{"op": "replace", "path": "/spec/holderIdentity", "value": "third"}]);
    let patched = store.patch(Resource::Leases, "a", "lock", PatchType::Json, &json_patch, &options).unwrap().object;
    assert_eq!(patched["spec"]["holderIdentity"], "third");
    store.delete(Resource::Namespaces, "", "a", &Preconditions::default(), false).unwrap();
    assert_eq!(store.all(Resource::Leases).count(), 0);
    assert!(store.get(Resource::Namespaces, "", "a").is_none());
}
