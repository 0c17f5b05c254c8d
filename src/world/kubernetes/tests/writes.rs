//! Creating, applying, releasing and deleting.

use super::kit::*;
use crate::model::call::KubernetesCall;
use crate::model::marks::{ADDRESS, CREATED};
use crate::model::resource;
use crate::world::{CallErrorKind, WriteKubernetes, Written};
use irsa_sandbox::kubernetes::{Fault, Grant, Match, Preconditions, Refusal, Resource, Stage, WriteOptions};
use serde_json::json;

const MARK: (&str, &str) = (ADDRESS, "service-account/prod/a/worker");

fn create() -> KubernetesCall {
    KubernetesCall::Create { service_account: ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]) }
}

#[tokio::test]
async fn what_was_made_is_marked_by_a_second_apply() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    let reader = reader(&cluster).await;
    let written = reader.writer().write(&key("prod"), &create()).await.unwrap();
    assert!(!written.already_done && written.request_id.is_some());
    let live = read(&reader).await.unwrap();
    assert_eq!(live.labels, pairs(&[("irsa/owner", "me")]));
    assert_eq!(live.annotations, pairs(&[(ROLE, "r1"), MARK, (CREATED, "true")]));
    assert_eq!(live.managers.len(), 1);
    let manager = &live.managers[0];
    assert_eq!((manager.name.as_str(), manager.operation.as_str(), manager.others), (US, "Apply", false));
    let writes = cluster.gate().writes();
    assert_eq!(writes.len(), 2);
    for query in writes.iter().filter(|record| record.call.is_apply()).map(|record| record.call.query.as_str()) {
        assert_eq!(query.trim_start_matches('&'), format!("fieldManager={US}"), "without force");
    }
    assert!(!writes[0].call.body.contains(CREATED) && !writes[0].call.body.contains("uid"));
    assert!(writes[1].call.body.contains(CREATED) && writes[1].call.body.contains(&live.uid));
    assert!(writes.iter().all(|record| !record.call.body.contains("managedFields")));
}

#[tokio::test]
async fn what_is_there_already_is_not_marked() {
    let cluster = cluster("prod").await;
    cluster.with(|store| store.seed_service_account("a", "worker", &[("other", "1")], "terraform")).unwrap();
    let reader = reader(&cluster).await;
    reader.writer().write(&key("prod"), &create()).await.unwrap();
    let live = read(&reader).await.unwrap();
    assert_eq!(live.annotations, pairs(&[(ROLE, "r1"), MARK, ("other", "1")]));
    assert_eq!(cluster.gate().writes().len(), 1);
}

#[tokio::test]
async fn one_who_makes_it_at_the_same_moment_is_no_error() {
    let cluster = cluster("prod").await;
    cluster.with(|store| store.seed_service_account("a", "worker", &[("other", "1")], "terraform")).unwrap();
    let reader = reader(&cluster).await;
    for (code, reason) in [(409, "AlreadyExists"), (409, "Conflict")] {
        let refusal = Refusal::new(code, reason, "serviceaccounts \"worker\" …");
        cluster.gate().fault(Stage::Before, Match::on("patch", "serviceaccounts"), Fault::Refuse(refusal), Some(1));
        reader.writer().write(&key("prod"), &create()).await.unwrap();
        assert_eq!(read(&reader).await.unwrap().annotations, pairs(&[(ROLE, "r1"), MARK, ("other", "1")]));
    }
    assert_eq!(cluster.gate().writes().len(), 4);
}

#[tokio::test]
async fn an_object_that_was_made_without_a_trace_is_not_held_by_us_alone() {
    let cluster = cluster("prod").await;
    cluster.with(|store| store.seed_service_account("a", "worker", &[], "kubectl-create")).unwrap();
    let age = |object: &mut serde_json::Value| object["metadata"]["creationTimestamp"] = json!("2024-01-02T03:04:05Z");
    assert!(cluster.with(|store| store.tamper(Resource::ServiceAccounts, "a", "worker", age)));
    let reader = reader(&cluster).await;
    reader.writer().write(&key("prod"), &create()).await.unwrap();
    assert_eq!(managers(&object(&cluster).unwrap()), [US], "the API shows us alone");
    let live = read(&reader).await.unwrap();
    assert!(!live.annotations.contains_key(CREATED));
    assert!(live.managers.iter().any(|manager| manager.name != US && manager.others), "{:?}", live.managers);
}

#[tokio::test]
async fn a_lost_answer_to_the_first_apply_is_recognized() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    cluster.gate().fault(Stage::After, Match::on("patch", "serviceaccounts"), Fault::Drop, Some(1));
    let reader = reader_with(&cluster, "admin-token", 5).await;
    reader.writer().write(&key("prod"), &create()).await.unwrap();
    assert_eq!(read(&reader).await.unwrap().annotations.get(CREATED).map(String::as_str), Some("true"));
    assert_eq!(cluster.gate().writes().len(), 3);
}

#[tokio::test]
async fn a_lost_answer_is_no_claim_to_what_another_made() {
    let cluster = cluster("prod").await;
    cluster.with(|store| store.seed_service_account("a", "worker", &[], "kubectl-create")).unwrap();
    let age = |object: &mut serde_json::Value| object["metadata"]["creationTimestamp"] = json!("2024-01-02T03:04:05Z");
    assert!(cluster.with(|store| store.tamper(Resource::ServiceAccounts, "a", "worker", age)));
    cluster.gate().fault(Stage::After, Match::on("patch", "serviceaccounts"), Fault::Drop, Some(1));
    let reader = reader_with(&cluster, "admin-token", 5).await;
    reader.writer().write(&key("prod"), &create()).await.unwrap();
    assert!(!read(&reader).await.unwrap().annotations.contains_key(CREATED));
}

#[tokio::test]
async fn a_namespace_that_is_missing_is_not_found_and_one_that_goes_takes_nothing() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let writer = reader.writer();
    let error = writer.write(&key("prod"), &create()).await.unwrap_err();
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
    let error = writer.write(&key("prod"), &create()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (CallErrorKind::Rejected, Some("NamespaceTerminating")), "{error}");
    assert!(error.message.contains("being terminated"), "{error}");
}

#[tokio::test]
async fn creating_needs_both_rights_and_says_which_is_missing() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    limit(&cluster, [Grant::in_namespaces(&["a"], &["serviceaccounts"], &["get", "patch"])]);
    let reader = reader_with(&cluster, "less", 1).await;
    let error = reader.writer().write(&key("prod"), &create()).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Denied);
    assert!(error.message.contains("cannot create resource \"serviceaccounts\""), "{error}");
    limit(&cluster, [Grant::in_namespaces(&["a"], &["serviceaccounts"], &["get", "patch", "create"])]);
    reader.writer().write(&key("prod"), &create()).await.unwrap();
    assert!(object(&cluster).is_some());
}

/// A ServiceAccount that we made, and its uid.
async fn made(cluster: &irsa_sandbox::kubernetes::Cluster, reader: &super::super::KubernetesReader) -> String {
    with_namespace(cluster);
    reader.writer().write(&key("prod"), &create()).await.unwrap();
    cluster.gate().forget();
    uid(cluster)
}

#[tokio::test]
async fn a_field_that_is_not_applied_any_more_goes() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    let (from, to) = (ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]), ours(&[(ROLE, "r2"), MARK]));
    let call = KubernetesCall::Apply { uid: uid.clone(), from, to: to.clone(), force: false };
    let version = object(&cluster).unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let written = reader.writer().write(&key("prod"), &call).await.unwrap();
    assert!(!written.already_done);
    assert_eq!(read(&reader).await.unwrap().annotations, to.annotations);
    let writes = cluster.gate().writes();
    assert_eq!(writes.len(), 1);
    let body: serde_json::Value = serde_json::from_str(&writes[0].call.body).unwrap();
    assert_eq!(body["metadata"]["uid"], json!(uid));
    assert_eq!(body["metadata"]["resourceVersion"], json!(version));
    assert!(!writes[0].call.query.contains("force"));
    // the same again is done already, and not sent
    let again = reader.writer().write(&key("prod"), &call).await.unwrap();
    assert_eq!(again, Written { request_id: None, already_done: true });
    assert_eq!(cluster.gate().writes().len(), 1);
}

#[tokio::test]
async fn release_leaves_nothing_of_us_and_everything_of_others() {
    let cluster = cluster("prod").await;
    cluster
        .with(|store| store.seed_service_account("a", "worker", &[("shared", "1"), ("theirs", "2")], "helm"))
        .unwrap();
    let reader = reader(&cluster).await;
    let wanted = ours(&[(ROLE, "r1"), MARK, ("shared", "1")]);
    reader.writer().write(&key("prod"), &KubernetesCall::Create { service_account: wanted.clone() }).await.unwrap();
    let release = KubernetesCall::Release { uid: uid(&cluster), from: wanted };
    let written = reader.writer().write(&key("prod"), &release).await.unwrap();
    assert!(!written.already_done);
    let live = read(&reader).await.unwrap();
    assert_eq!(live.annotations, pairs(&[("shared", "1"), ("theirs", "2")]));
    assert!(live.labels.is_empty());
    assert_eq!(managers(&object(&cluster).unwrap()), ["helm"]);
    assert!(reader.writer().write(&key("prod"), &release).await.unwrap().already_done);
}

#[tokio::test]
async fn an_object_that_is_gone_is_released_but_not_applied_to() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    cluster
        .with(|store| store.delete(Resource::ServiceAccounts, "a", "worker", &Preconditions::default(), false))
        .unwrap();
    let from = ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]);
    let release = KubernetesCall::Release { uid: uid.clone(), from: from.clone() };
    assert!(reader.writer().write(&key("prod"), &release).await.unwrap().already_done);
    let apply = KubernetesCall::Apply { uid, from, to: ours(&[(ROLE, "r2")]), force: false };
    let error = reader.writer().write(&key("prod"), &apply).await.unwrap_err();
    assert_eq!((error.operation.as_str(), error.kind), ("apply ServiceAccount", CallErrorKind::NotFound));
    assert!(object(&cluster).is_none(), "an apply must not make it anew");
}

#[tokio::test]
async fn only_the_object_of_the_uid_is_deleted() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    let from = ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]);
    let call = |uid: &str| KubernetesCall::Delete { uid: uid.to_owned(), from: from.clone() };
    let error = reader.writer().write(&key("prod"), &call("1-2-3")).await.unwrap_err();
    assert_eq!((error.operation.as_str(), error.kind), ("delete ServiceAccount", CallErrorKind::Conflict));
    assert!(object(&cluster).is_some());
    let written = reader.writer().write(&key("prod"), &call(&uid)).await.unwrap();
    assert!(!written.already_done && written.request_id.is_some());
    assert!(object(&cluster).is_none());
    assert!(cluster.gate().writes().last().unwrap().call.body.contains("\"propagationPolicy\":\"Background\""));
    assert!(reader.writer().write(&key("prod"), &call(&uid)).await.unwrap().already_done);
}

#[tokio::test]
async fn nothing_of_an_object_that_was_made_anew_is_touched() {
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
        let error = reader.writer().write(&key("prod"), &call).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Conflict, "{error}");
    }
    assert_eq!(object(&cluster), before);
}

#[tokio::test]
async fn a_released_object_has_no_declaration_left_to_apply() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let uid = made(&cluster, &reader).await;
    let from = ours(&[(ROLE, "r1"), MARK, (CREATED, "true")]);
    let call = KubernetesCall::Apply { uid, from, to: nothing(), force: false };
    reader.writer().write(&key("prod"), &call).await.unwrap();
    let object = object(&cluster).unwrap();
    assert!(object["metadata"]["labels"].is_null() && object["metadata"]["annotations"].is_null(), "{object}");
    assert!(managers(&object).is_empty());
}
