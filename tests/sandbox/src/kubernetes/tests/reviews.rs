//! Tests of the self-reviews.

use super::http::{cluster, send};
use crate::kubernetes::{Cluster, Grant, User};
use serde_json::{Value, json};

async fn post(cluster: &Cluster, token: &str, kind: &str, spec: Value) -> (u16, Value) {
    let path = format!("/apis/authorization.k8s.io/v1/{}s", kind.to_lowercase());
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}).to_string();
    send(cluster, "POST", &path, token, "application/json", &body).await.unwrap()
}

async fn allowed(cluster: &Cluster, token: &str, attributes: Value) -> bool {
    let (code, answer) =
        post(cluster, token, "SelfSubjectAccessReview", json!({"resourceAttributes": attributes})).await;
    assert_eq!((code, &answer["kind"]), (201, &json!("SelfSubjectAccessReview")), "{answer}");
    answer["status"]["allowed"].as_bool().unwrap()
}

#[tokio::test]
async fn a_review_agrees_with_authorization() {
    let cluster = cluster().await;
    let grants = [
        Grant::in_namespaces(&["reporting"], &["leases", "*/token"], &["get", "create"]),
        Grant::everywhere(&["namespaces"], &["*"]),
    ];
    cluster.set_token("some", User::limited("somebody", grants));
    let attributes = |verb: &str, group: &str, resource: &str, namespace: &str| json!({"verb": verb, "group": group, "resource": resource, "namespace": namespace});
    let leases = "coordination.k8s.io";
    for (attributes, expected) in [
        (attributes("get", leases, "leases", "reporting"), true),
        (attributes("get", leases, "leases", "default"), false),
        (attributes("get", leases, "leases", ""), false),
        (attributes("get", "", "leases", "reporting"), false),
        (attributes("patch", leases, "leases", "reporting"), false),
        (attributes("delete", "", "namespaces", ""), true),
        (attributes("create", "", "serviceaccounts", "reporting"), false),
        (
            json!({"verb": "create", "resource": "serviceaccounts", "subresource": "token", "namespace": "reporting"}),
            true,
        ),
        (attributes("create", "authorization.k8s.io", "selfsubjectaccessreviews", ""), true),
        (attributes("create", "apps", "deployments", "reporting"), false),
        (attributes("*", "*", "*", ""), false),
    ] {
        assert_eq!(allowed(&cluster, "some", attributes.clone()).await, expected, "{attributes}");
        assert!(allowed(&cluster, "root", attributes).await, "an administrator may do it");
    }
    for (path, expected) in [("/version", true), ("/openid/v1/jwks", false), ("/metrics", false)] {
        let spec = json!({"nonResourceAttributes": {"verb": "get", "path": path}});
        let (_, answer) = post(&cluster, "some", "SelfSubjectAccessReview", spec).await;
        assert_eq!(answer["status"]["allowed"], expected, "{path}");
    }
}

#[tokio::test]
async fn a_review_without_exactly_one_kind_of_attributes_is_refused() {
    let cluster = cluster().await;
    let (code, status) = post(&cluster, "less", "SelfSubjectAccessReview", json!({})).await;
    let text = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    assert_eq!(code, 422);
    assert!(status["message"].as_str().unwrap().ends_with(text), "{status}");
    let both = json!({"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"verb": "get"}});
    let (code, status) = post(&cluster, "less", "SelfSubjectAccessReview", both).await;
    assert_eq!(code, 422);
    let text = "cannot be specified in combination with resourceAttributes";
    assert!(status["message"].as_str().unwrap().ends_with(text), "{status}");
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let wrong = json!({"apiVersion": "v1", "kind": "Pod"}).to_string();
    assert_eq!(send(&cluster, "POST", path, "less", "application/json", &wrong).await.unwrap().0, 400);
    assert_eq!(send(&cluster, "GET", path, "less", "application/json", "").await.unwrap().0, 403);
}

#[tokio::test]
async fn rules_are_listed_by_namespace() {
    let cluster = cluster().await;
    let rules = async |token: &str, namespace: &str| {
        let (code, answer) = post(&cluster, token, "SelfSubjectRulesReview", json!({"namespace": namespace})).await;
        assert_eq!((code, &answer["status"]["incomplete"]), (201, &json!(false)), "{answer}");
        answer["status"]["resourceRules"].as_array().unwrap().clone()
    };
    let own = json!({"verbs": ["get", "list", "patch"], "apiGroups": [""], "resources": ["serviceaccounts"]});
    assert!(rules("less", "reporting").await.contains(&own));
    let elsewhere = rules("less", "default").await;
    assert!(!elsewhere.contains(&own));
    let review = json!({
        "verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    });
    assert!(elsewhere.contains(&review), "{elsewhere:?}");
    let everything = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
    assert!(rules("root", "default").await.contains(&everything));
    let (code, status) = post(&cluster, "less", "SelfSubjectRulesReview", json!({})).await;
    assert_eq!((code, status["message"].as_str()), (400, Some("no namespace on request")));
}
