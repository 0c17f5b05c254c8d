//! Malformed and endless answers: each object of a list is parsed by itself, and every list ends.

use super::kit::*;
use crate::ids::{Namespace, ServiceAccountName};
use crate::model::live::NamespacePhase;
use crate::world::{MalformedServiceAccount, ReadKubernetes, ServiceAccountList, ServiceAccountScope};
use irsa_sandbox::kubernetes::{Cluster, Fault, Match, Refusal, Resource, Stage};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// `depth` nested objects.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({}), |inner, _| json!({"f:x": inner}))
}

fn spot(name: &str) -> (Namespace, ServiceAccountName) {
    (namespace("a"), ServiceAccountName::parse(name).unwrap())
}

/// An object of a list, as an API server sends it.
fn sent(name: &str) -> Value {
    json!({"metadata": {
        "namespace": "a", "name": name, "uid": "u", "resourceVersion": "7", "annotations": {ROLE: "arn"},
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }})
}

/// Reads a list of three objects of which one was changed.
async fn listed(change: impl FnOnce(&mut Value)) -> ServiceAccountList {
    let mut odd = sent("odd");
    change(&mut odd);
    let body = json!({"metadata": {}, "items": [sent("good"), odd, sent("last")]});
    list(&answering(body.to_string()).await).await.unwrap()
}

async fn list(cluster: &Cluster) -> Result<ServiceAccountList, String> {
    let reader = reader(cluster).await;
    let answer = reader.service_accounts(&key("prod"), ServiceAccountScope::Namespace(&namespace("a"))).await;
    answer.map_err(|error| error.to_string())
}

#[tokio::test]
async fn malformed_object_is_reported_beside_the_others() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 7] = [
        (
            |object| object["metadata"]["managedFields"] = json!([{"manager": "x", "fieldsV1": nested(200)}]),
            "nested too deeply",
        ),
        (|object| object["metadata"]["managedFields"] = json!("x"), "malformed object"),
        (|object| object["metadata"]["ownerReferences"] = json!({"kind": 1}), "malformed object"),
        (|object| object["metadata"]["creationTimestamp"] = json!("yesterday"), "malformed object"),
        (|object| drop(object["metadata"].as_object_mut().unwrap().remove("uid")), "without `uid`"),
        (|object| object["metadata"]["resourceVersion"] = json!(7), "malformed object"),
        (|object| object["metadata"]["labels"] = json!({"x": "y".repeat(3 << 20)}), "above 2 MiB"),
    ];
    for (change, why) in changes {
        let list = listed(change).await;
        let names: Vec<&str> = list.items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["good", "last"], "{why}");
        let [odd] = &list.malformed[..] else { panic!("{why}: {:?}", list.malformed) };
        assert!(odd.why.contains(why), "{odd:?}");
        // no field of a too large object is read
        if why != "above 2 MiB" {
            assert_eq!(odd.object, Some(spot("odd")));
            assert_eq!(
                (odd.labels.clone(), odd.annotations.clone()),
                (Some(pairs(&[])), Some(pairs(&[(ROLE, "arn")])))
            );
        }
    }
}

#[tokio::test]
async fn readable_fields_of_a_malformed_object_are_kept() {
    let deep = |object: &mut Value| object["metadata"]["managedFields"] = json!([{"fieldsV1": nested(130)}]);
    let list = listed(|object| {
        deep(object);
        object["metadata"]["annotations"] = json!({"a": 1});
        object["metadata"]["labels"] = Value::Null;
    });
    let MalformedServiceAccount { object: place, labels, annotations, .. } = list.await.malformed.remove(0);
    assert_eq!((place, labels, annotations), (Some(spot("odd")), Some(pairs(&[])), None));
    for name in [json!(null), json!(7), json!("Not A Name")] {
        let list = listed(|object| object["metadata"]["name"] = name).await;
        assert_eq!((list.malformed.len(), &list.malformed[0].object), (1, &None));
    }
    for object in [json!(null), json!(7), json!([]), json!({"metadata": []})] {
        let list = listed(|place| *place = object.clone()).await;
        assert_eq!((list.malformed.len(), list.items.len()), (1, 2), "{object}");
        assert_eq!(list.malformed[0].annotations, None);
    }
}

/// The page with the malformed object is read twice, because the token of the second page has expired.
#[tokio::test]
async fn malformed_object_is_reported_once_after_a_restart_of_the_list() {
    let cluster = cluster("prod").await;
    cluster.with(|store| {
        for number in 0..600 {
            store.seed_service_account("a", &format!("sa-{number:04}"), &[], "kubectl-create").unwrap();
        }
        let odd = |object: &mut Value| object["metadata"]["managedFields"] = json!("x");
        assert!(store.tamper(Resource::ServiceAccounts, "a", "sa-0001", odd));
    });
    let reader = reader(&cluster).await;
    let (before, lists) = (reader.requests(), || Match::on("list", "serviceaccounts"));
    cluster.gate().fault(Stage::Before, lists(), Fault::Delay(std::time::Duration::ZERO), Some(1));
    let expired = Refusal::new(410, "Expired", "The provided continue parameter is too old");
    cluster.gate().fault(Stage::Before, lists(), Fault::Refuse(expired), Some(1));
    let scope = ServiceAccountScope::Namespace(&namespace("a"));
    let list = reader.service_accounts(&key("prod"), scope).await.unwrap();
    assert_eq!(reader.requests() - before, 4, "one page, the refusal, two pages");
    let malformed: Vec<_> = list.malformed.iter().map(|malformed| malformed.object.clone()).collect();
    assert_eq!(malformed, [Some(spot("sa-0001"))]);
    let names: BTreeSet<&str> = list.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!((names.len(), list.items.len()), (600, 600), "with `default`");
}

/// A cluster that answers every list with this body.
async fn answering(body: String) -> Cluster {
    let cluster = cluster("prod").await;
    cluster.gate().fault(Stage::Before, Match::any(), Fault::Page { status: 200, body }, None);
    cluster
}

#[tokio::test]
async fn malformed_list_fails_the_call() {
    for body in [
        "{}",
        r#"{"metadata": {}}"#,
        r#"{"metadata": {}, "items": {}}"#,
        "[]",
        r#"{"metadata": {"continue": 7}, "items": []}"#,
    ] {
        let error = list(&answering(body.to_owned()).await).await.unwrap_err();
        assert!(error.contains("does not understand the API"), "{body}: {error}");
    }
    for body in [r#"{"metadata": {}, "items": null}"#, r#"{"metadata": {}, "items": []}"#] {
        assert_eq!(list(&answering(body.to_owned()).await).await, Ok(ServiceAccountList::default()));
    }
}

#[tokio::test]
async fn too_large_answer_and_endless_list_are_given_up() {
    let large = format!(r#"{{"metadata": {{}}, "items": [], "x": "{}"}}"#, "x".repeat(33 << 20));
    let cluster = answering(large).await;
    let error = list(&cluster).await.unwrap_err();
    assert_eq!(error, "list ServiceAccounts: the answer is larger than 32 MiB, the most that irsa reads");
    assert_eq!(cluster.gate().log().len(), 1, "no retry");
    let circle = r#"{"metadata": {"continue": "x"}, "items": []}"#.to_owned();
    let error = list(&answering(circle).await).await.unwrap_err();
    assert!(error.contains("the list does not end"), "{error}");
    let mut many = r#"{"metadata": {}, "items": [0"#.to_owned();
    for _ in 0..600_000 {
        write!(many, ",0").unwrap();
    }
    let error = list(&answering(many + "]}").await).await.unwrap_err();
    assert!(error.contains("more than 500000 objects"), "{error}");
}

#[tokio::test]
async fn too_large_error_body_is_reported_by_its_status() {
    let cluster = cluster("prod").await;
    let body = "x".repeat(2 << 20);
    cluster.gate().fault(Stage::Before, Match::any(), Fault::Page { status: 403, body }, None);
    let error = list(&cluster).await.unwrap_err();
    assert_eq!(error, "list ServiceAccounts: HTTP status 403");
}

#[tokio::test]
async fn malformed_pods_and_namespaces_are_counted() {
    let cluster = cluster("prod").await;
    cluster.with(|store| {
        store.seed_service_account("a", "worker", &[], "kubectl-create").unwrap();
        for pod in ["deep", "nameless"] {
            store.seed_pod("a", pod, "worker").unwrap();
        }
        let deep = |object: &mut Value| object["metadata"]["managedFields"] = json!([{"fieldsV1": nested(200)}]);
        assert!(store.tamper(Resource::Pods, "a", "deep", deep));
        assert!(store.tamper(Resource::Pods, "a", "nameless", |object| object["metadata"]["name"] = json!(7)));
        assert!(store.tamper(Resource::Namespaces, "", "a", deep));
    });
    let reader = reader(&cluster).await;
    let pods = reader.pods(&key("prod"), &namespace("a"), &name("worker")).await.unwrap();
    assert_eq!(pods, ["?", "deep"]);
    assert!(reader.namespaces(&key("prod")).await.unwrap().contains_key(&namespace("a")));
    assert_eq!(reader.namespace(&key("prod"), &namespace("a")).await, Ok(Some(NamespacePhase::Active)));
}
