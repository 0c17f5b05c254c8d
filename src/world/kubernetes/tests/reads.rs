//! Reads, and failures that are not absence.

use super::kit::*;
use crate::model::live::NamespacePhase;
use crate::world::{CallErrorKind, ReadKubernetes, ServiceAccountScope};
use irsa_sandbox::kubernetes::{Fault, Grant, Match, Preconditions, Refusal, Resource, Stage};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn two_thousand_service_accounts_are_read_in_five_pages() {
    let cluster = cluster("prod").await;
    cluster.with(|store| {
        for number in 0..2_000 {
            store.seed_service_account("many", &format!("sa-{number:04}"), &[], "kubectl-create").unwrap();
        }
    });
    let reader = reader(&cluster).await;
    let all = reader.service_accounts(&key("prod"), ServiceAccountScope::Cluster).await.unwrap().items;
    let many: BTreeSet<&str> = all
        .iter()
        .filter(|live| live.namespace.as_str() == "many" && live.name.as_str() != "default")
        .map(|live| live.name.as_str())
        .collect();
    assert_eq!(many.len(), 2_000);
    assert_eq!(reader.requests(), 5, "2,005 objects in pages of 500");
    let one = reader
        .service_accounts(&key("prod"), ServiceAccountScope::Namespace(&namespace("kube-system")))
        .await
        .unwrap()
        .items;
    assert_eq!(one.iter().map(|live| live.name.as_str()).collect::<Vec<_>>(), ["default"]);
}

#[tokio::test]
async fn long_list_is_given_up_after_its_first_page_and_owner_list_has_only_its_objects() {
    let cluster = cluster("prod").await;
    cluster.with(|store| {
        for number in 0..1_200 {
            store.seed_service_account("many", &format!("sa-{number:04}"), &[], "kubectl-create").unwrap();
        }
    });
    let label = |object: &mut Value| object["metadata"]["labels"] = json!({"irsa/owner": "team"});
    cluster.with(|store| store.edit(Resource::ServiceAccounts, "many", "sa-0700", "kubectl-edit", label)).unwrap();
    let reader = reader(&cluster).await;
    let all = cluster.with(|store| store.all(Resource::ServiceAccounts).count());
    let left = i64::try_from(all).unwrap() - 500;
    assert_eq!(reader.service_accounts_unless_long(&key("prod"), left - 1).await.unwrap(), None);
    assert_eq!(reader.requests(), 1);
    assert_eq!(reader.service_accounts_unless_long(&key("prod"), left).await.unwrap().unwrap().items.len(), all);
    assert_eq!(reader.requests(), 4, "three pages more");
    let ours = reader.service_accounts(&key("prod"), ServiceAccountScope::Owner(&key("team"))).await.unwrap().items;
    assert_eq!(ours.iter().map(|live| live.name.as_str()).collect::<Vec<_>>(), ["sa-0700"]);
    assert_eq!(reader.requests(), 5);
}

#[tokio::test]
async fn list_with_an_expired_token_starts_again_once() {
    let cluster = cluster("prod").await;
    cluster.with(|store| {
        for number in 0..600 {
            store.seed_service_account("many", &format!("sa-{number:04}"), &[], "kubectl-create").unwrap();
        }
    });
    let reader = reader(&cluster).await;
    let expired = |times| {
        let refusal = Refusal::new(410, "Expired", "The provided continue parameter is too old");
        cluster.gate().heal();
        // the first page passes, with a delay of zero
        let pass = Fault::Delay(std::time::Duration::ZERO);
        for _ in 0..times {
            cluster.gate().fault(Stage::Before, Match::on("list", "serviceaccounts"), pass.clone(), Some(1));
            cluster.gate().fault(
                Stage::Before,
                Match::on("list", "serviceaccounts"),
                Fault::Refuse(refusal.clone()),
                Some(1),
            );
        }
    };
    expired(1);
    let all =
        reader.service_accounts(&key("prod"), ServiceAccountScope::Namespace(&namespace("many"))).await.unwrap().items;
    assert_eq!(all.len(), 601);
    let names: BTreeSet<&str> = all.iter().map(|live| live.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "none twice");
    assert_eq!(reader.requests(), 4);
    expired(2);
    let error =
        reader.service_accounts(&key("prod"), ServiceAccountScope::Namespace(&namespace("many"))).await.unwrap_err();
    assert_eq!((error.operation.as_str(), error.code.as_deref()), ("list ServiceAccounts", Some("Expired")));
}

#[tokio::test]
async fn service_account_is_read_with_its_field_managers() {
    let cluster = cluster("prod").await;
    cluster
        .with(|store| store.seed_service_account("a", "worker", &[("meta.helm.sh/release-name", "shop")], "helm"))
        .unwrap();
    edit(&cluster, "kubectl-edit", |object| {
        object["metadata"]["labels"] = json!({"tier": "web"});
        object["imagePullSecrets"] = json!([{"name": "registry"}]);
        object["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": "1-2-3"}]);
    });
    let reader = reader(&cluster).await;
    let live = read(&reader).await.unwrap();
    assert_eq!(live.uid, uid(&cluster));
    assert_eq!(json!(live.resource_version), object(&cluster).unwrap()["metadata"]["resourceVersion"]);
    assert_eq!(live.labels, pairs(&[("tier", "web")]));
    assert_eq!(live.annotations, pairs(&[("meta.helm.sh/release-name", "shop")]));
    assert_eq!(live.owner_references, ["Deployment/shop"]);
    assert_eq!(live.pods, None);
    let told: Vec<_> = live
        .managers
        .iter()
        .map(|manager| (manager.name.as_str(), manager.operation.as_str(), manager.others))
        .collect();
    assert_eq!(told, [("helm", "Update", false), ("kubectl-edit", "Update", true)]);
    assert_eq!(live.managers[0].annotations, ["meta.helm.sh/release-name"]);
    assert_eq!(live.managers[1].labels, ["tier"]);
    let missing = reader.service_account(&key("prod"), &namespace("a"), &name("nobody")).await.unwrap();
    assert_eq!(missing, None);
}

#[tokio::test]
async fn namespace_being_deleted_is_terminating() {
    let cluster = cluster("prod").await;
    cluster.with(|store| {
        store.seed_service_account("going", "held", &[], "kubectl-create").unwrap();
        store
            .edit(Resource::ServiceAccounts, "going", "held", "x", |object| {
                object["metadata"]["finalizers"] = json!(["example.com/hold"]);
            })
            .unwrap();
        store.delete(Resource::Namespaces, "", "going", &Preconditions::default(), false).unwrap();
        store.ensure_namespace("here").unwrap();
    });
    let reader = reader(&cluster).await;
    let all = reader.namespaces(&key("prod")).await.unwrap();
    let (active, terminating) = (Some(NamespacePhase::Active), Some(NamespacePhase::Terminating));
    assert_eq!((all.get(&namespace("here")).copied(), all.get(&namespace("going")).copied()), (active, terminating));
    for (text, there) in [("here", active), ("going", terminating), ("nowhere", None)] {
        assert_eq!(reader.namespace(&key("prod"), &namespace(text)).await, Ok(there), "{text}");
    }
}

#[tokio::test]
async fn only_running_pods_of_the_service_account_are_listed() {
    let cluster = cluster("prod").await;
    cluster.with(|store| {
        store.seed_service_account("a", "worker", &[], "kubectl-create").unwrap();
        for (pod, account) in
            [("b", "worker"), ("a", "worker"), ("done", "worker"), ("failed", "worker"), ("x", "default")]
        {
            store.seed_pod("a", pod, account).unwrap();
        }
        for (pod, phase) in [("done", "Succeeded"), ("failed", "Failed"), ("a", "Pending")] {
            assert!(store.tamper(Resource::Pods, "a", pod, |object| object["status"]["phase"] = json!(phase)));
        }
    });
    let reader = reader(&cluster).await;
    let pods = reader.pods(&key("prod"), &namespace("a"), &name("worker")).await.unwrap();
    assert_eq!(pods, ["a", "b"]);
}

#[tokio::test]
async fn rights_in_one_namespace_allow_only_that_namespace() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    limit(&cluster, [Grant::in_namespaces(&["a"], &["serviceaccounts", "namespaces"], &["get", "list"])]);
    let reader = reader_with(&cluster, "less", 1).await;
    assert_eq!(
        reader
            .service_accounts(&key("prod"), ServiceAccountScope::Namespace(&namespace("a")))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    assert_eq!(reader.namespace(&key("prod"), &namespace("a")).await, Ok(Some(NamespacePhase::Active)));
    let error = reader.service_accounts(&key("prod"), ServiceAccountScope::Cluster).await.unwrap_err();
    assert_eq!((error.operation.as_str(), error.kind), ("list ServiceAccounts", CallErrorKind::Denied));
    assert!(error.message.contains("User \"less\" cannot list resource \"serviceaccounts\""), "{error}");
    assert!(error.request_id.is_some());
    for (operation, error) in [
        ("list Namespaces", reader.namespaces(&key("prod")).await.unwrap_err()),
        ("get Namespace", reader.namespace(&key("prod"), &namespace("b")).await.unwrap_err()),
        ("list Pods", reader.pods(&key("prod"), &namespace("a"), &name("worker")).await.unwrap_err()),
        ("get ServiceAccount", reader.service_account(&key("prod"), &namespace("b"), &name("x")).await.unwrap_err()),
    ] {
        assert_eq!((error.operation.as_str(), error.kind), (operation, CallErrorKind::Denied));
    }
    assert_eq!(cluster.gate().log().len(), 7, "no retry");
}

#[tokio::test]
async fn http_404_without_reason_is_not_absence() {
    let cluster = cluster("prod").await;
    let nowhere = Refusal::new(404, "", "404 page not found");
    cluster.gate().fault(Stage::Before, Match::any(), Fault::Refuse(nowhere), None);
    let reader = reader(&cluster).await;
    let error = reader.service_account(&key("prod"), &namespace("a"), &name("worker")).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (CallErrorKind::Other, "404 page not found"));
    assert!(reader.namespace(&key("prod"), &namespace("a")).await.is_err());
}

#[tokio::test]
async fn unverified_cluster_is_not_read() {
    let reader = reader_of(access(None, None), &context(&[], 1), tokens("admin-token"));
    for cluster in ["prod", "other"] {
        let error = reader.namespaces(&key(cluster)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("list Namespaces: cluster `{cluster}` was not verified"));
    }
}
