//! Which API is believed to be the declared cluster's.

use super::kit::*;
use crate::model::desired::KubernetesAccess;
use crate::model::live::Access;
use crate::world::{CallError, CallErrorKind, ClusterFacts, ReadKubernetes};
use irsa_sandbox::kubernetes::{Fault, Grant, Match, Stage};
use serde_json::json;
use std::sync::Arc;

async fn verdict(access: KubernetesAccess, facts: &ClusterFacts) -> Access<()> {
    let reader = reader_of(access, &context(&[], 1), tokens("admin-token"));
    let verdict = reader.verify(&key("prod"), facts).await;
    // whatever is not granted is not read either
    let read = reader.namespaces(&key("prod")).await;
    assert_eq!(read.is_ok(), verdict == Access::Granted(()), "{verdict:?} {read:?}");
    verdict
}

fn unknown(verdict: Access<()>) -> String {
    match verdict {
        Access::Unknown(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_eks_endpoint_is_the_cluster() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    assert_eq!(reader.requests(), 0, "the endpoint needs no proof");
    let found = reader.namespaces(&key("prod")).await.unwrap();
    assert!(found.contains(&namespace("kube-system")));
    assert_eq!(reader.requests(), 1);
    let agent = &cluster.gate().log()[0].call.user_agent;
    assert_eq!(agent, &format!("irsa/{}", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn without_endpoint_or_token_it_is_unknown() {
    let cluster = cluster("prod").await;
    let creating = ClusterFacts { status: "CREATING".into(), ..issuer_only(&cluster) };
    let text = unknown(verdict(access(None, None), &creating).await);
    assert_eq!(text, "EKS names no endpoint of it (its status is `CREATING`)");
    let without_authority = ClusterFacts { certificate_authority: None, ..facts(&cluster) };
    assert_eq!(
        unknown(verdict(access(None, None), &without_authority).await),
        "EKS names no certificate authority of it"
    );
    let error = CallError {
        operation: "sts:GetCallerIdentity".into(),
        kind: CallErrorKind::Credentials,
        code: Some("ExpiredToken".into()),
        message: "it has expired".into(),
        request_id: None,
    };
    let source: crate::world::kubernetes::TokenSource = Arc::new(move |_| {
        let error = error.clone();
        Box::pin(async move { Err(error) })
    });
    let reader = reader_of(access(None, None), &context(&[], 1), source);
    let text = unknown(reader.verify(&key("prod"), &facts(&cluster)).await);
    assert_eq!(text, "sts:GetCallerIdentity: ExpiredToken: it has expired");
}

#[tokio::test]
async fn a_context_with_the_same_server_and_authority_needs_no_request() {
    let cluster = cluster("prod").await;
    let folder = tempfile::tempdir().unwrap();
    let path = kubeconfig_in(folder.path(), &[&cluster], &admin()).await;
    let reader = reader_of(access(Some(path), Some("prod")), &context(&[], 1), tokens("unused"));
    assert_eq!(reader.verify(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    assert_eq!(reader.requests(), 0);
    assert!(reader.namespaces(&key("prod")).await.is_ok());
    assert_eq!(reader.verify(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    assert_eq!(reader.requests(), 1, "the second check is the first");
}

#[tokio::test]
async fn a_context_elsewhere_is_told_by_its_issuer() {
    let (prod, other) = (cluster("prod").await, cluster("other").await);
    let folder = tempfile::tempdir().unwrap();
    let path = kubeconfig_in(folder.path(), &[&prod, &other], &admin()).await;
    let by = |context: &str| access(Some(path.clone()), Some(context));
    assert_eq!(verdict(by("prod"), &issuer_only(&prod)).await, Access::Granted(()));
    // the same server, but not the authority that EKS names
    let replaced = ClusterFacts { certificate_authority: facts(&other).certificate_authority, ..facts(&prod) };
    assert_eq!(verdict(by("prod"), &replaced).await, Access::Granted(()));
    assert!(prod.gate().log().iter().any(|record| record.call.path == "/.well-known/openid-configuration"));
    match verdict(by("other"), &facts(&prod)).await {
        Access::Wrong(why, hint) => {
            assert!(why.contains("context `other`") && why.contains("`https://oidc.example.com/other`"), "{why}");
            assert!(hint.contains(prod.issuer()) && hint.contains(other.issuer()), "{hint}");
        }
        verdict => panic!("{verdict:?}"),
    }
    let waived = KubernetesAccess { unverified: true, ..by("other") };
    assert_eq!(verdict(waived, &facts(&prod)).await, Access::Granted(()));
    let nameless = ClusterFacts { issuer: None, ..issuer_only(&prod) };
    assert!(unknown(verdict(by("prod"), &nameless).await).contains("its issuer is not known"));
}

#[tokio::test]
async fn an_issuer_that_may_not_be_read_leaves_it_unknown() {
    let cluster = cluster("prod").await;
    let folder = tempfile::tempdir().unwrap();
    let path = kubeconfig_in(folder.path(), &[&cluster], &json!({"token": "less"})).await;
    let by = || access(Some(path.clone()), Some("prod"));
    limit(&cluster, []);
    let reader = reader_of(by(), &context(&[], 1), tokens("unused"));
    let text = unknown(reader.verify(&key("prod"), &issuer_only(&cluster)).await);
    assert!(text.contains("Forbidden") && text.contains("`system:service-account-issuer-discovery`"), "{text}");
    assert!(text.contains("unverified = true"), "{text}");
    limit(&cluster, [Grant::issuer_discovery()]);
    assert_eq!(reader.verify(&key("prod"), &issuer_only(&cluster)).await, Access::Granted(()));
    cluster.revoke_token("less");
    let reader = reader_of(by(), &context(&[], 1), tokens("unused"));
    let text = unknown(reader.verify(&key("prod"), &issuer_only(&cluster)).await);
    assert_eq!(text, "read the API's issuer: Unauthorized: Unauthorized (request id 3)");
}

#[tokio::test]
async fn an_unchecked_certificate_proves_nothing() {
    let cluster = cluster("prod").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let mut entry = cluster.kubeconfig_entry("admin-token");
    entry.cluster["cluster"] = json!({"server": cluster.endpoint(), "insecure-skip-tls-verify": true});
    tokio::fs::write(&path, irsa_sandbox::kubernetes::kubeconfig(&[entry])).await.unwrap();
    let by = access(Some(path), Some("prod"));
    let text = unknown(verdict(by.clone(), &facts(&cluster)).await);
    assert!(text.contains("does not check the server's certificate"), "{text}");
    assert_eq!(verdict(KubernetesAccess { unverified: true, ..by }, &facts(&cluster)).await, Access::Granted(()));
}

#[tokio::test]
async fn a_server_that_is_not_there_or_not_itself_is_unknown() {
    let (cluster, other) = (cluster("prod").await, cluster("other").await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let mut entry = cluster.kubeconfig_entry("admin-token");
    entry.cluster["cluster"]["certificate-authority-data"] = json!(other.certificate_authority_data());
    tokio::fs::write(&path, irsa_sandbox::kubernetes::kubeconfig(&[entry])).await.unwrap();
    let text = unknown(verdict(access(Some(path), Some("prod")), &issuer_only(&cluster)).await);
    assert!(text.contains("invalid peer certificate"), "{text}");

    let path = kubeconfig_in(folder.path(), &[&cluster], &admin()).await;
    let issuer = issuer_only(&cluster);
    drop(cluster);
    tokio::task::yield_now().await;
    let reader = reader_of(access(Some(path), Some("prod")), &context(&[], 100), tokens("unused"));
    let text = unknown(reader.verify(&key("prod"), &issuer).await);
    assert!(text.starts_with("read the API's issuer: "), "{text}");
    assert_eq!(reader.requests(), 4, "it is not waited for as long as one that answered");
}

#[tokio::test]
async fn the_kubeconfigs_of_the_environment_are_merged_and_read_once() {
    let (prod, other) = (cluster("prod").await, cluster("other").await);
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = kubeconfig_in(one.path(), &[&other], &admin()).await;
    let second = kubeconfig_in(two.path(), &[&prod], &admin()).await;
    let list = format!("{}::/not/there:{}", first.display(), second.display());
    let environment = context(&[("KUBECONFIG", &list)], 1);
    let reader = reader_of(access(None, Some("prod")), &environment, tokens("unused"));
    assert_eq!(reader.verify(&key("prod"), &facts(&prod)).await, Access::Granted(()));
    tokio::fs::remove_file(&second).await.unwrap();
    assert_eq!(reader.verify(&key("prod"), &issuer_only(&prod)).await, Access::Granted(()));

    let gone = context(&[("KUBECONFIG", "/not/there")], 1);
    let reader = reader_of(access(None, Some("prod")), &gone, tokens("unused"));
    assert_eq!(unknown(reader.verify(&key("prod"), &facts(&prod)).await), "kubeconfig `/not/there` is not there");
    tokio::fs::write(&second, "users:\n- name: x\n  user: {token: [hunter2\n").await.unwrap();
    let reader = reader_of(access(Some(second), Some("prod")), &gone, tokens("unused"));
    let text = unknown(reader.verify(&key("prod"), &facts(&prod)).await);
    assert!(text.contains("it is no kubeconfig") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_told() {
    let cluster = cluster("prod").await;
    let reader = reader_of(access(None, None), &context(&[("HTTPS_PROXY", "http://p:3128")], 1), tokens("admin-token"));
    assert_eq!(reader.verify(&key("prod"), &facts(&cluster)).await, Access::Granted(()), "loopback needs no proxy");
    let far = ClusterFacts { endpoint: Some("https://eks.example.com".into()), ..facts(&cluster) };
    let text = unknown(reader.verify(&key("prod"), &far).await);
    assert!(text.contains("behind a proxy"), "{text}");
}

#[tokio::test]
async fn an_answer_without_an_issuer_is_no_proof() {
    let cluster = cluster("prod").await;
    let folder = tempfile::tempdir().unwrap();
    let path = kubeconfig_in(folder.path(), &[&cluster], &admin()).await;
    let missing = irsa_sandbox::kubernetes::Refusal::new(404, "", "404 page not found");
    cluster.gate().fault(Stage::Before, Match::any(), Fault::Refuse(missing), Some(1));
    let reader = reader_of(access(Some(path), Some("prod")), &context(&[], 1), tokens("unused"));
    let text = unknown(reader.verify(&key("prod"), &issuer_only(&cluster)).await);
    assert!(text.contains("404 page not found") && text.contains("unverified = true"), "{text}");
}
