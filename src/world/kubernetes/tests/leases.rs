//! Reads and writes of a Lease.

use super::kit::*;
use crate::model::lease::{Lease, LeaseRecord, LeaseRef};
use crate::world::kubernetes::KubernetesReader;
use crate::world::{CallErrorKind, ReadLease, WriteLease};
use irsa_sandbox::kubernetes::{Cluster, Fault, Grant, Match, Preconditions, Resource, Stage, Store};
use serde_json::{Value, json};

fn place() -> LeaseRef {
    LeaseRef { cluster: key("prod"), namespace: namespace("kube-system"), name: "irsa-me".parse().unwrap() }
}

fn hold(holder: &str) -> LeaseRecord {
    let now = Some(1_767_323_045_000_006);
    LeaseRecord { holder: holder.into(), seconds: Some(60), acquired: now, renewed: now, transitions: 2 }
}

fn object(cluster: &Cluster) -> Value {
    cluster.with(|store| store.get(Resource::Leases, "kube-system", "irsa-me").cloned()).unwrap()
}

async fn read(reader: &KubernetesReader) -> Lease {
    reader.lease(&place()).await.unwrap().unwrap()
}

#[tokio::test]
async fn lease_is_created_and_updated() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    assert_eq!(reader.lease(&place()).await, Ok(None));
    let made = reader.writer().create_lease(&place(), &hold("one")).await.unwrap();
    assert_eq!((&made.hold, &read(&reader).await), (&hold("one"), &made));
    let live = object(&cluster);
    assert_eq!(
        live["spec"],
        json!({
            "holderIdentity": "one", "leaseDurationSeconds": 60, "leaseTransitions": 2,
            "acquireTime": "2026-01-02T03:04:05.000006Z", "renewTime": "2026-01-02T03:04:05.000006Z",
        })
    );
    assert_eq!(managers(&live), [US]);
    let free = LeaseRecord { holder: String::new(), seconds: Some(1), ..hold("") };
    let freed = reader.writer().update_lease(&place(), &made, &free).await.unwrap();
    assert_eq!((&freed.hold, &read(&reader).await), (&free, &freed));
}

#[tokio::test]
async fn update_of_a_lease_keeps_fields_of_others() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    reader.writer().create_lease(&place(), &hold("one")).await.unwrap();
    let label = |object: &mut Value| object["metadata"]["labels"] = json!({"team": "platform"});
    cluster.with(|store| store.edit(Resource::Leases, "kube-system", "irsa-me", "kubectl-label", label)).unwrap();
    let found = read(&reader).await;
    reader.writer().update_lease(&place(), &found, &hold("two")).await.unwrap();
    let live = object(&cluster);
    assert_eq!(live["metadata"]["labels"], json!({"team": "platform"}));
    assert_eq!(live["spec"]["holderIdentity"], "two");
}

#[tokio::test]
async fn write_of_a_changed_lease_is_refused() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    let writer = reader.writer();
    let first = writer.create_lease(&place(), &hold("one")).await.unwrap();
    let error = writer.create_lease(&place(), &hold("two")).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::AlreadyExists, "{error}");
    writer.update_lease(&place(), &first, &hold("two")).await.unwrap();
    let error = writer.update_lease(&place(), &first, &hold("three")).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Conflict, "{error}");
    assert_eq!(read(&reader).await.hold, hold("two"));
    // an update neither recreates a deleted Lease nor overwrites a new one
    let second = read(&reader).await;
    let gone =
        |store: &mut Store| store.delete(Resource::Leases, "kube-system", "irsa-me", &Preconditions::default(), false);
    cluster.with(gone).unwrap();
    let error = writer.update_lease(&place(), &second, &hold("three")).await.unwrap_err();
    assert!(matches!(error.kind, CallErrorKind::Conflict | CallErrorKind::NotFound), "{error}");
    assert_eq!(reader.lease(&place()).await, Ok(None));
    writer.create_lease(&place(), &hold("four")).await.unwrap();
    let error = writer.update_lease(&place(), &second, &hold("three")).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Conflict, "{error}");
    assert_eq!(read(&reader).await.hold, hold("four"));
}

#[tokio::test]
async fn lost_answer_to_a_lease_write_is_a_conflict_and_the_write_stands() {
    let cluster = cluster("prod").await;
    let reader = reader_with(&cluster, "admin-token", 10).await;
    let writer = reader.writer();
    cluster.gate().fault(Stage::After, Match::on("create", "leases"), Fault::Drop, Some(1));
    let error = writer.create_lease(&place(), &hold("one")).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::AlreadyExists, "{error}");
    let made = read(&reader).await;
    assert_eq!(made.hold, hold("one"));
    cluster.gate().fault(Stage::After, Match::on("update", "leases"), Fault::Drop, Some(1));
    let error = writer.update_lease(&place(), &made, &hold("two")).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Conflict, "{error}");
    assert_eq!(read(&reader).await.hold, hold("two"));
}

#[tokio::test]
async fn denied_lease_and_missing_namespace_are_different_errors() {
    let cluster = cluster("prod").await;
    limit(&cluster, [Grant::in_namespaces(&["kube-system"], &["leases"], &["get"])]);
    let less = reader_with(&cluster, "less", 1).await;
    assert_eq!(less.lease(&place()).await, Ok(None));
    let error = less.writer().create_lease(&place(), &hold("one")).await.unwrap_err();
    assert_eq!((error.kind, error.operation.as_str()), (CallErrorKind::Denied, "create Lease"), "{error}");
    let elsewhere = LeaseRef { namespace: namespace("elsewhere"), ..place() };
    let error = less.lease(&elsewhere).await.unwrap_err();
    assert_eq!((error.kind, error.operation.as_str()), (CallErrorKind::Denied, "get Lease"), "{error}");
    let error = reader(&cluster).await.writer().create_lease(&elsewhere, &hold("one")).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::NotFound, "{error}");
}
