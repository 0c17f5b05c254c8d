//! Writes to ServiceAccounts that other field managers change too.

use super::kit::*;
use crate::model::call::KubernetesCall;
use crate::model::resource::ServiceAccount;
use crate::world::kubernetes::KubernetesReader;
use crate::world::{CallErrorKind, WriteKubernetes};
use irsa_sandbox::kubernetes::{
    Admission, Call, Cluster, Decision, Fault, Match, Refusal, Resource, Stage, Store, WriteOptions,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::Mutex;

fn helm(store: &mut Store, annotations: &Value) -> Result<(), Refusal> {
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "worker", "labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": annotations,
    }});
    let options = WriteOptions::by("helm").forced();
    store.apply(Resource::ServiceAccounts, "a", "worker", body, &options, || Ok(())).map(|_| ())
}

async fn beside_helm(annotations: &Value) -> (Cluster, KubernetesReader) {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    cluster.with(|store| helm(store, annotations)).unwrap();
    let reader = reader_with(&cluster, "admin-token", 5).await;
    (cluster, reader)
}

fn apply(cluster: &Cluster, from: ServiceAccount, to: ServiceAccount, force: bool) -> KubernetesCall {
    KubernetesCall::Apply { uid: uid(cluster), from, to, force }
}

#[tokio::test]
async fn apply_and_release_leave_the_fields_of_helm() {
    let (cluster, reader) = beside_helm(&json!({"meta.helm.sh/release-name": "shop"})).await;
    let to = ours(&[(ROLE, "r1")]);
    reader.writer().write(&key("prod"), &apply(&cluster, nothing(), to.clone(), false), None).await.unwrap();
    cluster.with(|store| helm(store, &json!({"meta.helm.sh/release-name": "shop"}))).unwrap();
    let live = read(&reader).await.unwrap();
    assert_eq!(live.annotations, pairs(&[(ROLE, "r1"), ("meta.helm.sh/release-name", "shop")]));
    let release = KubernetesCall::Release { uid: uid(&cluster), from: to };
    reader.writer().write(&key("prod"), &release, None).await.unwrap();
    assert_eq!(read(&reader).await.unwrap().annotations, pairs(&[("meta.helm.sh/release-name", "shop")]));
    assert_eq!(managers(&object(&cluster).unwrap()), ["helm"]);
}

#[tokio::test]
async fn field_of_another_manager_is_taken_only_with_force() {
    let (cluster, reader) = beside_helm(&json!({ROLE: "theirs"})).await;
    let (from, to) = (ServiceAccount { annotations: pairs(&[(ROLE, "theirs")]), ..nothing() }, ours(&[(ROLE, "r1")]));
    let error =
        reader.writer().write(&key("prod"), &apply(&cluster, from.clone(), to.clone(), false), None).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Conflict);
    assert_eq!(error.code.as_deref(), Some("FieldManagerConflict"));
    assert_eq!(error.message, "manager `helm` holds annotation `eks.amazonaws.com/role-arn`");
    assert_eq!(cluster.gate().writes().len(), 1, "no retry");
    assert_eq!(read(&reader).await.unwrap().annotations, pairs(&[(ROLE, "theirs")]));
    let create = KubernetesCall::Create { service_account: to.clone() };
    let error = reader.writer().write(&key("prod"), &create, None).await.unwrap_err();
    assert_eq!((error.operation.as_str(), error.kind), ("create ServiceAccount", CallErrorKind::Conflict));

    reader.writer().write(&key("prod"), &apply(&cluster, from, to, true), None).await.unwrap();
    assert_eq!(read(&reader).await.unwrap().annotations, pairs(&[(ROLE, "r1")]));
    assert!(cluster.gate().writes().last().unwrap().call.query.contains("force=true"));
}

/// Changes the object right before each apply of irsa.
struct Meddler {
    cluster: Arc<Cluster>,
    changes: Mutex<Vec<(&'static str, &'static str)>>,
}

impl Admission<Call> for Meddler {
    fn decide<'a>(&'a self, stage: Stage, call: &'a Call, _: Option<u16>) -> Decision<'a> {
        let ours = stage == Stage::Before && call.is_apply();
        if let Some((annotation, value)) = ours.then(|| self.changes.lock().unwrap().pop()).flatten() {
            edit(&self.cluster, "kubectl-annotate", |object| {
                object["metadata"]["annotations"][annotation] = json!(value);
            });
        }
        Box::pin(std::future::ready(None))
    }
}

async fn with_meddler(
    changes: &[(&'static str, &'static str)],
    force: bool,
) -> (Arc<Cluster>, Result<bool, crate::world::CallError>) {
    let (cluster, reader) = beside_helm(&json!({"theirs": "1"})).await;
    let cluster = Arc::new(cluster);
    let changes = Mutex::new(changes.iter().rev().copied().collect());
    cluster.gate().admit_by(Some(Arc::new(Meddler { cluster: Arc::clone(&cluster), changes })));
    let call = apply(&cluster, nothing(), ours(&[(ROLE, "r1")]), force);
    let written = reader.writer().write(&key("prod"), &call, None).await;
    // breaks the reference cycle between the gate and the cluster
    cluster.gate().admit_by(None);
    (cluster, written.map(|written| written.already_done))
}

#[tokio::test]
async fn change_of_another_field_is_retried_once() {
    let (cluster, written) = with_meddler(&[("theirs", "2")], false).await;
    assert_eq!(written, Ok(false));
    let annotations = &object(&cluster).unwrap()["metadata"]["annotations"];
    assert_eq!(*annotations, json!({ROLE: "r1", "theirs": "2"}));
    assert_eq!(cluster.gate().writes().len(), 2);
    let (cluster, written) = with_meddler(&[("theirs", "2"), ("theirs", "3")], false).await;
    let error = written.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (CallErrorKind::Conflict, Some("Conflict")));
    assert!(error.message.contains("the object has been modified"), "{error}");
    assert_eq!(cluster.gate().writes().len(), 2);
    assert!(object(&cluster).unwrap()["metadata"]["annotations"][ROLE].is_null());
}

#[tokio::test]
async fn concurrent_change_of_a_wanted_field_is_refused() {
    for (force, message) in [
        (false, format!("manager `kubectl-annotate` holds annotation `{ROLE}`")),
        (true, format!("someone changed annotation `{ROLE}` since it was read")),
    ] {
        let (cluster, written) = with_meddler(&[(ROLE, "theirs")], force).await;
        let error = written.unwrap_err();
        assert_eq!((error.kind, error.message), (CallErrorKind::Conflict, message));
        assert_eq!(object(&cluster).unwrap()["metadata"]["annotations"][ROLE], json!("theirs"));
        assert_eq!(cluster.gate().writes().len(), 1);
    }
}

#[tokio::test]
async fn field_changed_since_the_plan_is_refused_even_with_force() {
    let (cluster, reader) = beside_helm(&json!({ROLE: "new"})).await;
    let from = ServiceAccount { annotations: pairs(&[(ROLE, "old")]), ..nothing() };
    let call = apply(&cluster, from, ours(&[(ROLE, "r1")]), true);
    let error = reader.writer().write(&key("prod"), &call, None).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Conflict, "{error}");
    assert!(cluster.gate().writes().is_empty());
}

#[tokio::test]
async fn lost_answer_to_an_apply_is_already_done() {
    let (cluster, reader) = beside_helm(&json!({"theirs": "1"})).await;
    cluster.gate().fault(Stage::After, Match::on("patch", "serviceaccounts"), Fault::Drop, Some(1));
    let call = apply(&cluster, nothing(), ours(&[(ROLE, "r1")]), false);
    let written = reader.writer().write(&key("prod"), &call, None).await.unwrap();
    assert!(written.already_done);
    assert_eq!(cluster.gate().writes().len(), 2, "sent, refused as stale, then found done");
    assert_eq!(read(&reader).await.unwrap().annotations, pairs(&[(ROLE, "r1"), ("theirs", "1")]));
}

#[tokio::test]
async fn lost_answer_to_a_delete_is_already_done() {
    let (cluster, reader) = beside_helm(&json!({})).await;
    cluster.gate().fault(Stage::After, Match::on("delete", "serviceaccounts"), Fault::Drop, Some(1));
    let call = KubernetesCall::Delete { uid: uid(&cluster), from: nothing() };
    assert!(reader.writer().write(&key("prod"), &call, None).await.unwrap().already_done);
    assert!(object(&cluster).is_none());
}
