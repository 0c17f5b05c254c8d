//! Verification that an API is the declared cluster's.

use super::kit::*;
use crate::model::desired::KubernetesAccess;
use crate::model::live::Access;
use crate::model::refusal::{Refusal, RefusalKind};
use crate::world::{CallError, CallErrorKind, ClusterFacts, ReadKubernetes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_sandbox::kubernetes::{Cluster, Fault, Grant, Match, Stage};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

async fn verdict(access: KubernetesAccess, facts: &ClusterFacts) -> Access<()> {
    let reader = reader_of(access, &context(&[], 1), tokens("admin-token"));
    let verdict = reader.connect(&key("prod"), facts).await;
    // an unverified cluster cannot be read
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
async fn endpoint_of_eks_is_verified_without_a_request() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    assert_eq!(reader.requests(), 0, "the endpoint needs no request");
    let found = reader.namespaces(&key("prod")).await.unwrap();
    assert!(found.contains_key(&namespace("kube-system")));
    assert_eq!(reader.requests(), 1);
    let agent = &cluster.gate().log()[0].call.user_agent;
    assert_eq!(agent, &format!("irsa/{}", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn cluster_without_endpoint_authority_or_token_is_unknown() {
    let cluster = cluster("prod").await;
    let creating = ClusterFacts { status: "CREATING".into(), ..issuer_only(&cluster) };
    let text = unknown(verdict(access(None, None), &creating).await);
    assert_eq!(text, "EKS reports no endpoint for it (its status is `CREATING`)");
    let without_authority = ClusterFacts { certificate_authority: None, ..facts(&cluster) };
    assert_eq!(
        unknown(verdict(access(None, None), &without_authority).await),
        "EKS reports no certificate authority for it"
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
    let text = unknown(reader.connect(&key("prod"), &facts(&cluster)).await);
    assert_eq!(text, "sts:GetCallerIdentity: ExpiredToken: it has expired");
}

#[tokio::test]
async fn context_with_the_authority_of_eks_is_verified_without_a_request() {
    let cluster = cluster("prod").await;
    let folder = tempfile::tempdir().unwrap();
    let path = kubeconfig_in(folder.path(), &[&cluster], &admin()).await;
    let reader = reader_of(access(Some(path), Some("prod")), &context(&[], 1), tokens("unused"));
    assert_eq!(reader.connect(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    assert_eq!(reader.requests(), 0);
    assert!(reader.namespaces(&key("prod")).await.is_ok());
    assert_eq!(reader.connect(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    assert_eq!(reader.requests(), 1, "the second verification uses the first");
}

/// Writes a kubeconfig whose context `prod` has this server and these authorities.
async fn leading_to(folder: &Path, prod: &Cluster, server: &str, authorities: &[&Cluster]) -> PathBuf {
    let bundle: String = authorities.iter().map(|cluster| cluster.certificate_authority_pem()).collect();
    let mut entry = prod.kubeconfig_entry("admin-token");
    entry.cluster["cluster"] = json!({"server": server, "certificate-authority-data": STANDARD.encode(bundle)});
    let path = folder.join("config");
    tokio::fs::write(&path, irsa_sandbox::kubernetes::kubeconfig(&[entry])).await.unwrap();
    path
}

#[tokio::test]
async fn context_is_accepted_with_the_authority_of_eks_and_refused_with_another() {
    let (prod, other) = (cluster("prod").await, cluster("other").await);
    let folder = tempfile::tempdir().unwrap();
    let by = async |server: &str, authorities: &[&Cluster]| {
        access(Some(leading_to(folder.path(), &prod, server, authorities).await), Some("prod"))
    };
    // EKS reports two authorities during a rotation
    let bundle = [&prod, &other].map(Cluster::certificate_authority_pem).concat();
    let rotating = ClusterFacts { certificate_authority: Some(STANDARD.encode(bundle)), ..facts(&prod) };
    let here = prod.endpoint();
    let around = here.replace("127.0.0.1", "localhost");
    for (server, authorities, facts) in [
        (&here, &[&prod][..], facts(&prod)),
        (&here, &[&other, &prod], facts(&prod)),
        (&here, &[&prod], rotating.clone()),
        (&here, &[&other], rotating),
        (&around, &[&prod], facts(&prod)),
    ] {
        let by = by(server, authorities).await;
        assert_eq!(verdict(by, &facts).await, Access::Granted(()), "{server}");
    }
    // another authority is refused, although the issuer would be right
    let replaced = ClusterFacts { certificate_authority: facts(&other).certificate_authority, ..facts(&prod) };
    prod.gate().forget();
    match verdict(by(&here, &[&prod]).await, &replaced).await {
        Access::Wrong(Refusal { why, hint, kind }) => {
            assert_eq!(kind, RefusalKind::CertificateAuthority);
            assert!(
                why.contains("context `prod`")
                    && why.contains("its certificate authority is not the one that EKS reports"),
                "{why}"
            );
            assert!(hint.contains("update-kubeconfig") && hint.contains("unverified = true"), "{hint}");
        }
        verdict => panic!("{verdict:?}"),
    }
    assert!(prod.gate().log().is_empty(), "nothing is sent, no token either");
    let waived = KubernetesAccess { unverified: true, ..by(&here, &[&prod]).await };
    assert_eq!(verdict(waived, &replaced).await, Access::Granted(()));
}

#[tokio::test]
async fn only_the_authority_of_eks_is_trusted_from_a_bundle() {
    let (prod, other) = (cluster("prod").await, cluster("other").await);
    let folder = tempfile::tempdir().unwrap();
    let path = leading_to(folder.path(), &prod, &other.endpoint(), &[&prod, &other]).await;
    let reader = reader_of(access(Some(path), Some("prod")), &context(&[], 1), tokens("unused"));
    assert_eq!(
        reader.connect(&key("prod"), &facts(&prod)).await,
        Access::Granted(()),
        "the certificate is checked with the first request"
    );
    let error = reader.namespaces(&key("prod")).await.unwrap_err();
    assert!(error.message.contains("invalid peer certificate"), "{error}");
    assert!(other.gate().log().is_empty());
}

#[tokio::test]
async fn issuer_is_compared_when_eks_reports_no_authority() {
    let (prod, other) = (cluster("prod").await, cluster("other").await);
    let folder = tempfile::tempdir().unwrap();
    let path = kubeconfig_in(folder.path(), &[&prod, &other], &admin()).await;
    let by = |context: &str| access(Some(path.clone()), Some(context));
    // emulators of EKS report an authority that is no certificate
    let nonsense = ClusterFacts { certificate_authority: Some("c3R1ZmY=".into()), ..facts(&prod) };
    for facts in [issuer_only(&prod), nonsense] {
        assert_eq!(verdict(by("prod"), &facts).await, Access::Granted(()));
        assert!(prod.gate().log().iter().any(|record| record.call.path == "/.well-known/openid-configuration"));
    }
    match verdict(by("other"), &issuer_only(&prod)).await {
        Access::Wrong(Refusal { why, hint, kind }) => {
            assert_eq!(kind, RefusalKind::WrongCluster);
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
async fn http_address_is_refused_unless_local_and_unverified() {
    let cluster = cluster("prod").await;
    let folder = tempfile::tempdir().unwrap();
    let plain = |host: &str| cluster.endpoint().replace("https://127.0.0.1", &format!("http://{host}"));
    let of = async |server: &str, more: Value, unverified: bool| {
        let mut entry = cluster.kubeconfig_entry("admin-token");
        entry.cluster["cluster"] = json!({"server": server});
        entry.cluster["cluster"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = folder.path().join("config");
        tokio::fs::write(&path, irsa_sandbox::kubernetes::kubeconfig(&[entry])).await.unwrap();
        let access = KubernetesAccess { unverified, ..access(Some(path), Some("prod")) };
        let reader = reader_of(access, &context(&[], 1), tokens("unused"));
        let verdict = reader.connect(&key("prod"), &issuer_only(&cluster)).await;
        assert_eq!(reader.requests(), 0, "{server}");
        verdict
    };
    for host in ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"] {
        assert!(unknown(of(&plain(host), json!({}), false).await).contains("`http` address"), "{host}");
        assert_eq!(of(&plain(host), json!({}), true).await, Access::Granted(()), "{host}");
    }
    // through a proxy, the loopback is that of the proxy
    let through = json!({"proxy-url": "http://proxy.example.com:3128"});
    assert!(unknown(of(&plain("127.0.0.1"), through, true).await).contains("`http` address"));
    for host in
        ["10.0.0.1", "example.com", "127.0.0.1.example.com", "0.0.0.0", "localhost.example.com", "[::ffff:1.2.3.4]"]
    {
        assert!(unknown(of(&plain(host), json!({}), true).await).contains("`http` address"), "{host}");
    }
    let eks = ClusterFacts { endpoint: Some(plain("10.0.0.1")), ..facts(&cluster) };
    assert!(unknown(verdict(access(None, None), &eks).await).contains("the endpoint that EKS reports"));
}

#[tokio::test]
async fn cluster_is_unknown_when_its_issuer_may_not_be_read() {
    let cluster = cluster("prod").await;
    let folder = tempfile::tempdir().unwrap();
    let path = kubeconfig_in(folder.path(), &[&cluster], &json!({"token": "less"})).await;
    let by = || access(Some(path.clone()), Some("prod"));
    limit(&cluster, []);
    let reader = reader_of(by(), &context(&[], 1), tokens("unused"));
    let text = unknown(reader.connect(&key("prod"), &issuer_only(&cluster)).await);
    assert!(text.contains("Forbidden") && text.contains("`system:service-account-issuer-discovery`"), "{text}");
    assert!(text.contains("unverified = true"), "{text}");
    limit(&cluster, [Grant::issuer_discovery()]);
    assert_eq!(reader.connect(&key("prod"), &issuer_only(&cluster)).await, Access::Granted(()));
    cluster.revoke_token("less");
    let reader = reader_of(by(), &context(&[], 1), tokens("unused"));
    let text = unknown(reader.connect(&key("prod"), &issuer_only(&cluster)).await);
    assert_eq!(text, "read the API's issuer: Unauthorized: Unauthorized (request id 3)");
}

#[tokio::test]
async fn context_without_certificate_check_is_refused() {
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
async fn cluster_is_unknown_when_its_server_is_untrusted_or_down() {
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
    let text = unknown(reader.connect(&key("prod"), &issuer).await);
    assert!(text.starts_with("read the API's issuer: "), "{text}");
    assert_eq!(reader.requests(), 4, "a server that never answered is given up early");
}

#[tokio::test]
async fn kubeconfigs_of_the_environment_are_merged_and_read_once() {
    let (prod, other) = (cluster("prod").await, cluster("other").await);
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = kubeconfig_in(one.path(), &[&other], &admin()).await;
    let second = kubeconfig_in(two.path(), &[&prod], &admin()).await;
    let list = format!("{}::/not/there:{}", first.display(), second.display());
    let environment = context(&[("KUBECONFIG", &list)], 1);
    let reader = reader_of(access(None, Some("prod")), &environment, tokens("unused"));
    assert_eq!(reader.connect(&key("prod"), &facts(&prod)).await, Access::Granted(()));
    tokio::fs::remove_file(&second).await.unwrap();
    assert_eq!(reader.connect(&key("prod"), &issuer_only(&prod)).await, Access::Granted(()));

    let gone = context(&[("KUBECONFIG", "/not/there")], 1);
    let reader = reader_of(access(None, Some("prod")), &gone, tokens("unused"));
    assert_eq!(unknown(reader.connect(&key("prod"), &facts(&prod)).await), "no kubeconfig found at `/not/there`");
    tokio::fs::write(&second, "users:\n- name: x\n  user: {token: [hunter2\n").await.unwrap();
    let reader = reader_of(access(Some(second), Some("prod")), &gone, tokens("unused"));
    let text = unknown(reader.connect(&key("prod"), &facts(&prod)).await);
    assert!(text.contains("it is not a kubeconfig") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn cluster_is_unknown_when_its_api_names_no_issuer() {
    let cluster = cluster("prod").await;
    let folder = tempfile::tempdir().unwrap();
    let path = kubeconfig_in(folder.path(), &[&cluster], &admin()).await;
    let missing = irsa_sandbox::kubernetes::Refusal::new(404, "", "404 page not found");
    cluster.gate().fault(Stage::Before, Match::any(), Fault::Refuse(missing), Some(1));
    let reader = reader_of(access(Some(path), Some("prod")), &context(&[], 1), tokens("unused"));
    let text = unknown(reader.connect(&key("prod"), &issuer_only(&cluster)).await);
    assert!(text.contains("404 page not found") && text.contains("unverified = true"), "{text}");
}
