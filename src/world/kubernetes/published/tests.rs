use super::*;
use crate::world::Transports;
use crate::world::kubernetes::KubernetesReader;
use crate::world::kubernetes::tests::kit;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tower::service_fn;

/// Why the documents were not seen if every request fails with `error`, and how many requests were sent.
async fn failing(error: &'static str, bundle: &str) -> (String, usize) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let connect = move |_: Config| {
        let counted = Arc::clone(&counted);
        let service = service_fn(move |_: http::Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { Err::<http::Response<Body>, _>(io::Error::other(error)) }
        });
        Ok(kube::Client::new(service, "default"))
    };
    let transports = Transports { kubernetes: Some(Arc::new(connect)), ..Transports::default() };
    let context = kit::context(&[("AWS_CA_BUNDLE", bundle)], 1);
    let clusters = BTreeMap::new();
    let reader =
        KubernetesReader::new(&context, &transports, &kit::key("me"), &clusters, kit::tokens("x"), kit::SETTINGS);
    let issuer = IssuerUrl::parse("https://oidc.example.com/id/A").unwrap();
    match read(&reader.clusters.run, &issuer).await {
        Published::NotSeen(why) => (why, sent.load(Ordering::Relaxed)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_authority_is_tried_only_for_a_certificate_that_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    tokio::fs::write(&bundle, kit::cluster("prod").await.certificate_authority_pem()).await.unwrap();
    let bundle = bundle.to_str().unwrap();
    for (error, requests) in [("invalid peer certificate: UnknownIssuer", 2), ("connection reset by peer", 1)] {
        let (why, sent) = failing(error, bundle).await;
        assert_eq!(sent, requests, "{error}: {why}");
        assert!(why.contains(error), "{why}");
    }
}

#[tokio::test]
async fn unreadable_bundle_does_not_hide_why_the_certificate_is_not_trusted() {
    let (why, sent) = failing("invalid peer certificate: UnknownIssuer", "/does/not/exist").await;
    assert_eq!(sent, 1, "{why}");
    assert!(why.contains("UnknownIssuer"), "{why}");
    assert!(why.contains("`AWS_CA_BUNDLE` names `/does/not/exist`, which cannot be read"), "{why}");
}
