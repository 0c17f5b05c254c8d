//! Creates, applies, releases and deletes.

use super::kit::*;
use crate::model::call::KubernetesCall;
use crate::model::marks::{ADDRESS, CREATED};
use crate::model::resource;
use crate::world::{CallErrorKind, WriteKubernetes, Written};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_sandbox::kubernetes::{Fault, Grant, Match, Preconditions, Refusal, Resource, Stage, WriteOptions};
use serde_json::json;
use std::sync::Arc;

const MARK: (&str, &str) = (ADDRESS, "service-account/prod/a/worker");

fn create() -> KubernetesCall {
    KubernetesCall::Create { service_account: ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]) }
}

#[tokio::test]
async fn create_sends_object_and_marks_in_one_request() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    let reader = reader(&cluster).await;
    let written = reader.writer().write(&key("prod"), &create(), None).await.unwrap();
    assert!(!written.already_done && written.request_id.is_some());
    let live = read(&reader).await.unwrap();
    assert_eq!(live.labels, pairs(&[("irsa/owner", "me")]));
    assert_eq!(live.annotations, pairs(&[(ROLE, "r1"), MARK, (CREATED, "true")]));
    assert_eq!(live.managers.len(), 1);
    let manager = &live.managers[0];
    assert_eq!((manager.name.as_str(), manager.operation.as_str(), manager.others), (US, "Apply", false));
    let writes = cluster.gate().writes();
    assert_eq!(writes.len(), 1);
    assert!(writes[0].call.is_apply() && !writes[0].call.body.contains("uid"));
    assert_eq!(writes[0].call.query.trim_start_matches('&'), format!("fieldManager={US}"), "without force");
    assert!(!writes[0].call.body.contains("managedFields"));
}

#[tokio::test]
async fn create_of_an_object_that_someone_else_created_leaves_out_the_created_mark() {
    let cluster = cluster("prod").await;
    cluster.with(|store| store.seed_service_account("a", "worker", &[("other", "1")], "terraform")).unwrap();
    let reader = reader(&cluster).await;
    reader.writer().write(&key("prod"), &create(), None).await.unwrap();
    let live = read(&reader).await.unwrap();
    assert_eq!(live.annotations, pairs(&[(ROLE, "r1"), MARK, ("other", "1")]));
    assert_eq!(cluster.gate().writes().len(), 2, "refused because the object exists, then applied to it");
    let last = cluster.gate().writes().pop().unwrap();
    assert!(last.call.body.contains(&live.uid), "with the uid that was read");
}

#[tokio::test]
async fn create_of_an_object_that_another_run_created_keeps_the_created_mark() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    let reader = reader(&cluster).await;
    reader.writer().write(&key("prod"), &create(), None).await.unwrap();
    let again = reader.writer().write(&key("prod"), &create(), None).await.unwrap();
    assert!(again.already_done);
    // a run with another value
    let other = KubernetesCall::Create { service_account: ours(&[(ROLE, "r2"), MARK, (CREATED, "true")]) };
    reader.writer().write(&key("prod"), &other, None).await.unwrap();
    let live = read(&reader).await.unwrap();
    assert_eq!(live.annotations, pairs(&[(ROLE, "r2"), MARK, (CREATED, "true")]));
    assert_eq!(managers(&object(&cluster).unwrap()), [US]);
}

#[tokio::test]
async fn create_is_repeated_after_a_conflict_without_an_object() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    let reader = reader(&cluster).await;
    // ResourceQuota does this for two concurrent creates
    let refusal = Refusal::new(409, "Conflict", "resourcequotas \"q\" …");
    cluster.gate().fault(Stage::Before, Match::on("patch", "serviceaccounts"), Fault::Refuse(refusal), Some(1));
    reader.writer().write(&key("prod"), &create(), None).await.unwrap();
    assert!(read(&reader).await.unwrap().annotations.contains_key(CREATED));
    assert_eq!(cluster.gate().writes().len(), 2);
}

#[tokio::test]
async fn create_of_an_object_with_the_label_of_another_owner_is_refused() {
    let cluster = cluster("prod").await;
    cluster.with(|store| store.seed_service_account("a", "worker", &[], "x")).unwrap();
    edit(&cluster, "x", |object| object["metadata"]["labels"] = json!({"irsa/owner": "them"}));
    let reader = reader(&cluster).await;
    let error = reader.writer().write(&key("prod"), &create(), None).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Conflict);
    assert!(error.message.contains("owner `them`"), "{error}");
    assert!(read(&reader).await.unwrap().annotations.is_empty());
}

#[tokio::test]
async fn lost_answer_to_a_create_is_already_done() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    cluster.gate().fault(Stage::After, Match::on("patch", "serviceaccounts"), Fault::Drop, Some(1));
    let reader = reader_with(&cluster, "admin-token", 5).await;
    assert!(reader.writer().write(&key("prod"), &create(), None).await.unwrap().already_done);
    assert_eq!(read(&reader).await.unwrap().annotations.get(CREATED).map(String::as_str), Some("true"));
    assert_eq!(cluster.gate().writes().len(), 2);
}

#[tokio::test]
async fn lost_answer_to_a_create_does_not_mark_an_object_of_someone_else() {
    let cluster = cluster("prod").await;
    cluster.with(|store| store.seed_service_account("a", "worker", &[], "kubectl-create")).unwrap();
    cluster.gate().fault(Stage::After, Match::on("patch", "serviceaccounts"), Fault::Drop, Some(2));
    let reader = reader_with(&cluster, "admin-token", 5).await;
    reader.writer().write(&key("prod"), &create(), None).await.unwrap();
    assert!(!read(&reader).await.unwrap().annotations.contains_key(CREATED));
}

/// Makes a mutating webhook change an annotation of each apply.
fn mutated(cluster: &irsa_sandbox::kubernetes::Cluster, key: &'static str, value: Option<&str>) {
    let path = format!("/metadata/annotations/{}", key.replace('/', "~1"));
    let operation = match value {
        Some(value) => json!([{"op": "add", "path": path, "value": value}]),
        None => json!([{"op": "remove", "path": path}]),
    };
    let answer = json!({"allowed": true, "patch": STANDARD.encode(operation.to_string())});
    cluster.with(|store| store.ask_webhook("x.example.com", true, Arc::new(move |_| answer.clone())));
}

#[tokio::test]
async fn object_that_a_webhook_altered_is_an_error() {
    for (called, value, says) in [
        (ROLE, Some("theirs"), "annotation `eks.amazonaws.com/role-arn` is `theirs`, irsa sent `r1`"),
        (CREATED, None, "annotation `irsa/created` is not there, irsa sent `true`"),
    ] {
        let cluster = cluster("prod").await;
        with_namespace(&cluster);
        mutated(&cluster, called, value);
        let reader = reader(&cluster).await;
        let error = reader.writer().write(&key("prod"), &create(), None).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Altered);
        assert!(error.message.contains(says) && error.request_id.is_some(), "{error}");
    }
}

#[tokio::test]
async fn remove_takes_fields_without_owner_at_the_version_that_was_read() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    edit(&cluster, "kubectl-patch", |object| object["metadata"]["managedFields"] = json!([{}]));
    let from = ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]);
    let call = KubernetesCall::Remove { uid: uid.clone(), from: from.clone() };
    let version = object(&cluster).unwrap()["metadata"]["resourceVersion"].clone();
    cluster.gate().forget();
    assert!(!reader.writer().write(&key("prod"), &call, None).await.unwrap().already_done);
    let live = read(&reader).await.unwrap();
    assert!(live.labels.is_empty() && live.annotations.is_empty(), "{live:?}");
    let writes = cluster.gate().writes();
    let body: serde_json::Value = serde_json::from_str(&writes[0].call.body).unwrap();
    assert_eq!((writes.len(), &body["metadata"]["uid"]), (1, &json!(uid)));
    assert_eq!(body["metadata"]["resourceVersion"], version);
    assert!(reader.writer().write(&key("prod"), &call, None).await.unwrap().already_done);
    // a field with another value is not removed
    edit(&cluster, "x", |object| object["metadata"]["annotations"] = json!({ROLE: "other"}));
    assert_eq!(reader.writer().write(&key("prod"), &call, None).await.unwrap_err().kind, CallErrorKind::Conflict);
    assert_eq!(read(&reader).await.unwrap().annotations, pairs(&[(ROLE, "other")]));
}

#[tokio::test]
async fn delete_of_a_changed_object_is_refused() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    let version = read(&reader).await.unwrap().resource_version;
    edit(&cluster, "helm", |object| object["metadata"]["annotations"]["theirs"] = json!("1"));
    let call = KubernetesCall::Delete { uid, from: ours(&[]) };
    let error = reader.writer().write(&key("prod"), &call, Some(&version)).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Conflict);
    assert!(object(&cluster).is_some());
    let version = read(&reader).await.unwrap().resource_version;
    reader.writer().write(&key("prod"), &call, Some(&version)).await.unwrap();
    assert!(object(&cluster).is_none());
}

#[tokio::test]
async fn create_in_a_missing_or_terminating_namespace_is_refused() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let writer = reader.writer();
    let error = writer.write(&key("prod"), &create(), None).await.unwrap_err();
    assert_eq!((error.operation.as_str(), error.kind), ("create ServiceAccount", CallErrorKind::NotFound));
    assert!(error.message.contains("namespaces \"a\" not found"), "{error}");
    cluster.with(|store| {
        store.seed_service_account("a", "held", &[], "x").unwrap();
        store
            .edit(Resource::ServiceAccounts, "a", "held", "x", |object| {
                object["metadata"]["finalizers"] = json!(["example.com/hold"]);
            })
            .unwrap();
        store.delete(Resource::Namespaces, "", "a", &Preconditions::default(), false).unwrap();
    });
    let error = writer.write(&key("prod"), &create(), None).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (CallErrorKind::Rejected, Some("NamespaceTerminating")), "{error}");
    assert!(error.message.contains("being terminated"), "{error}");
}

#[tokio::test]
async fn create_needs_the_rights_to_patch_and_to_create() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    limit(&cluster, [Grant::in_namespaces(&["a"], &["serviceaccounts"], &["get", "patch"])]);
    let reader = reader_with(&cluster, "less", 1).await;
    let error = reader.writer().write(&key("prod"), &create(), None).await.unwrap_err();
    // the API server says no more
    assert_eq!(
        (error.kind, error.message.trim_end()),
        (CallErrorKind::Denied, "serviceaccounts \"worker\" is forbidden:")
    );
    limit(&cluster, [Grant::in_namespaces(&["a"], &["serviceaccounts"], &["get", "patch", "create"])]);
    reader.writer().write(&key("prod"), &create(), None).await.unwrap();
    assert!(object(&cluster).is_some());
}

/// Creates the ServiceAccount. Returns its uid.
async fn made(cluster: &irsa_sandbox::kubernetes::Cluster, reader: &super::super::KubernetesReader) -> String {
    with_namespace(cluster);
    reader.writer().write(&key("prod"), &create(), None).await.unwrap();
    cluster.gate().forget();
    uid(cluster)
}

#[tokio::test]
async fn apply_removes_fields_that_are_no_longer_wanted() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    let (from, to) = (ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]), ours(&[(ROLE, "r2"), MARK]));
    let call = KubernetesCall::Apply { uid: uid.clone(), from, to: to.clone(), force: false };
    let version = object(&cluster).unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let written = reader.writer().write(&key("prod"), &call, None).await.unwrap();
    assert!(!written.already_done);
    assert_eq!(read(&reader).await.unwrap().annotations, to.annotations);
    let writes = cluster.gate().writes();
    assert_eq!(writes.len(), 1);
    let body: serde_json::Value = serde_json::from_str(&writes[0].call.body).unwrap();
    assert_eq!(body["metadata"]["uid"], json!(uid));
    assert_eq!(body["metadata"]["resourceVersion"], json!(version));
    assert!(!writes[0].call.query.contains("force"));
    // a second time sends nothing
    let again = reader.writer().write(&key("prod"), &call, None).await.unwrap();
    assert_eq!(again, Written { request_id: None, already_done: true });
    assert_eq!(cluster.gate().writes().len(), 1);
}

#[tokio::test]
async fn release_removes_only_fields_of_irsa() {
    let cluster = cluster("prod").await;
    cluster
        .with(|store| store.seed_service_account("a", "worker", &[("shared", "1"), ("theirs", "2")], "helm"))
        .unwrap();
    let reader = reader(&cluster).await;
    let wanted = ours(&[(ROLE, "r1"), MARK, ("shared", "1")]);
    reader
        .writer()
        .write(&key("prod"), &KubernetesCall::Create { service_account: wanted.clone() }, None)
        .await
        .unwrap();
    let release = KubernetesCall::Release { uid: uid(&cluster), from: wanted };
    let written = reader.writer().write(&key("prod"), &release, None).await.unwrap();
    assert!(!written.already_done);
    let live = read(&reader).await.unwrap();
    assert_eq!(live.annotations, pairs(&[("shared", "1"), ("theirs", "2")]));
    assert!(live.labels.is_empty());
    assert_eq!(managers(&object(&cluster).unwrap()), ["helm"]);
    assert!(reader.writer().write(&key("prod"), &release, None).await.unwrap().already_done);
}

#[tokio::test]
async fn release_of_a_deleted_object_is_done_and_apply_is_an_error() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    cluster
        .with(|store| store.delete(Resource::ServiceAccounts, "a", "worker", &Preconditions::default(), false))
        .unwrap();
    let from = ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]);
    let release = KubernetesCall::Release { uid: uid.clone(), from: from.clone() };
    assert!(reader.writer().write(&key("prod"), &release, None).await.unwrap().already_done);
    let apply = KubernetesCall::Apply { uid, from, to: ours(&[(ROLE, "r2")]), force: false };
    let error = reader.writer().write(&key("prod"), &apply, None).await.unwrap_err();
    assert_eq!((error.operation.as_str(), error.kind), ("apply ServiceAccount", CallErrorKind::NotFound));
    assert!(object(&cluster).is_none(), "an apply must not recreate it");
}

#[tokio::test]
async fn delete_with_another_uid_is_refused() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    let from = ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]);
    let call = |uid: &str| KubernetesCall::Delete { uid: uid.to_owned(), from: from.clone() };
    let error = reader.writer().write(&key("prod"), &call("1-2-3"), None).await.unwrap_err();
    assert_eq!((error.operation.as_str(), error.kind), ("delete ServiceAccount", CallErrorKind::Conflict));
    assert!(object(&cluster).is_some());
    let written = reader.writer().write(&key("prod"), &call(&uid), None).await.unwrap();
    assert!(!written.already_done && written.request_id.is_some());
    assert!(object(&cluster).is_none());
    assert!(cluster.gate().writes().last().unwrap().call.body.contains("\"propagationPolicy\":\"Background\""));
    assert!(reader.writer().write(&key("prod"), &call(&uid), None).await.unwrap().already_done);
}

#[tokio::test]
async fn recreated_object_is_not_written() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    let from = ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]);
    cluster.with(|store| {
        store.delete(Resource::ServiceAccounts, "a", "worker", &Preconditions::default(), false).unwrap();
        let body = json!({"metadata": {"name": "worker", "labels": resource::object(&from.labels), "annotations": resource::object(&from.annotations)}});
        store.create(Resource::ServiceAccounts, "a", body, &WriteOptions::by("velero")).unwrap();
    });
    let before = object(&cluster);
    cluster.gate().forget();
    for call in [
        KubernetesCall::Apply { uid: uid.clone(), from: from.clone(), to: ours(&[(ROLE, "r2")]), force: true },
        KubernetesCall::Release { uid: uid.clone(), from: from.clone() },
        KubernetesCall::Delete { uid: uid.clone(), from: from.clone() },
    ] {
        let error = reader.writer().write(&key("prod"), &call, None).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Conflict, "{error}");
    }
    assert_eq!(object(&cluster), before);
}

#[tokio::test]
async fn apply_without_fields_removes_the_manager() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    let from = ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]);
    let call = KubernetesCall::Apply { uid, from, to: nothing(), force: false };
    reader.writer().write(&key("prod"), &call, None).await.unwrap();
    let object = object(&cluster).unwrap();
    assert!(object["metadata"]["labels"].is_null() && object["metadata"]["annotations"].is_null(), "{object}");
    assert!(managers(&object).is_empty());
}
