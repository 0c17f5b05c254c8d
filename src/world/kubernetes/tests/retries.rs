//! Retries, tokens and concurrency.

use super::kit::*;
use crate::model::call::KubernetesCall;
use crate::model::live::Access;
use crate::world::kubernetes::{KubernetesReader, KubernetesSettings, TokenSource};
use crate::world::{CallErrorKind, ReadKubernetes, WriteKubernetes};
use irsa_sandbox::kubernetes::{Fault, Match, Refusal, Stage, User};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[tokio::test]
async fn transient_failure_is_retried() {
    let cluster = cluster("prod").await;
    let reader = reader_with(&cluster, "admin-token", 10).await;
    let refusals = [
        Refusal::too_many_requests(1),
        Refusal::new(500, "InternalError", "Internal error occurred: etcdserver: leader changed"),
        Refusal::new(502, "", "bad gateway"),
        Refusal::unavailable(),
        Refusal::timeout(),
    ];
    let faults = refusals.into_iter().map(Fault::Refuse).chain([Fault::Drop]);
    for fault in faults {
        cluster.gate().fault(Stage::Before, Match::on("list", "namespaces"), fault.clone(), Some(1));
        let before = reader.requests();
        assert!(reader.namespaces(&key("prod")).await.is_ok(), "{fault:?}");
        assert_eq!(reader.requests() - before, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn retries_end_with_the_budget() {
    let cluster = cluster("prod").await;
    let clusters = BTreeMap::from([(key("prod"), declared(access(None, None)))]);
    // at speed 20, an attempt has 0.5 s and the budget is 0.6 s
    let settings = KubernetesSettings { timeout: Duration::from_secs(12), ..SETTINGS };
    let reader = KubernetesReader::new(
        &context(&[], 20),
        &crate::world::Transports::default(),
        &key("me"),
        &clusters,
        tokens("admin-token"),
        settings,
    );
    assert_eq!(reader.connect(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    assert!(reader.namespaces(&key("prod")).await.is_ok());
    for (fault, kind, text) in [
        (Fault::Refuse(Refusal::too_many_requests(0)), CallErrorKind::Throttled, "Too many requests"),
        (Fault::Refuse(Refusal::unavailable()), CallErrorKind::Unavailable, "currently unable"),
        (Fault::Hang, CallErrorKind::Unavailable, "did not answer in time"),
    ] {
        cluster.gate().heal();
        cluster.gate().fault(Stage::Before, Match::any(), fault, None);
        let (begin, before) = (tokio::time::Instant::now(), reader.requests());
        let error = reader.namespaces(&key("prod")).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(text), "{error}");
        assert!(reader.requests() - before >= 2, "{text}");
        assert!(begin.elapsed() < Duration::from_secs(10), "the budget is 0.6 s");
    }
}

#[tokio::test]
async fn slow_webhook_is_awaited_and_failing_webhook_is_reported_early() {
    let cluster = cluster("prod").await;
    with_namespace(&cluster);
    // at speed 20, a second is 50 ms
    let writer = reader_with(&cluster, "admin-token", 20).await.writer();
    let create = KubernetesCall::Create { service_account: ours(&[(ROLE, "r1")]) };
    let patches = Match::on("patch", "serviceaccounts");
    let vain = "failed calling webhook \"a.b.c\": context deadline exceeded";
    for (fault, requests, text) in [
        (Fault::Hang, 2, "did not answer in time: an admission webhook may hang"),
        (Fault::Refuse(Refusal::timeout()), 2, "did not complete within"),
        (Fault::Refuse(Refusal::internal(vain)), 2, "failed calling webhook"),
    ] {
        cluster.gate().heal();
        cluster.gate().fault(Stage::Before, patches.clone(), fault, None);
        let (begin, before) = (tokio::time::Instant::now(), cluster.gate().writes().len());
        let error = writer.write(&key("prod"), &create, None).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Unavailable, "{error}");
        assert!(error.message.contains(text), "{error}");
        assert!(cluster.gate().writes().len() - before >= requests, "{text}");
        assert!(begin.elapsed() < Duration::from_secs(4), "{text}: 40 s of the budget of 120 s: {:?}", begin.elapsed());
    }
    cluster.gate().heal();
    cluster.gate().fault(Stage::Before, patches, Fault::Delay(Duration::from_secs(1)), Some(1));
    let before = cluster.gate().writes().len();
    let written = writer.write(&key("prod"), &create, None).await.unwrap();
    assert!(!written.already_done);
    assert_eq!(cluster.gate().writes().len() - before, 1, "the first attempt succeeds after 20 s");
}

#[tokio::test]
async fn denied_request_is_not_retried() {
    let cluster = cluster("prod").await;
    let reader = reader(&cluster).await;
    cluster.gate().fault(Stage::Before, Match::any(), Fault::Deny, None);
    assert_eq!(reader.namespaces(&key("prod")).await.unwrap_err().kind, CallErrorKind::Denied);
    assert_eq!(reader.requests(), 1);
}

/// Tokens `token-1`, `token-2`, …, each valid until `life` seconds after the start of the run.
fn counted(life: i64) -> (TokenSource, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let made = Arc::clone(&count);
    let source: TokenSource = Arc::new(move |cluster| {
        let number = made.fetch_add(1, Ordering::SeqCst) + 1;
        assert_eq!(cluster, key("prod"));
        Box::pin(async move { Ok((format!("token-{number}").into(), life)) })
    });
    (source, count)
}

#[tokio::test]
async fn token_is_used_until_the_server_refuses_it() {
    let cluster = cluster("prod").await;
    cluster.set_token("token-1", User::admin("first"));
    let (source, count) = counted(3_600);
    let reader = reader_of(access(None, None), &context(&[], 1), source);
    assert_eq!(reader.connect(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    for _ in 0..3 {
        reader.namespaces(&key("prod")).await.unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    cluster.revoke_token("token-1");
    cluster.set_token("token-2", User::admin("second"));
    reader.namespaces(&key("prod")).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert_eq!(cluster.gate().log().last().unwrap().call.user, "second");
    cluster.revoke_token("token-2");
    let error = reader.namespaces(&key("prod")).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (CallErrorKind::Credentials, Some("Unauthorized")));
    assert_eq!(count.load(Ordering::SeqCst), 3, "one renewal is enough");
}

#[tokio::test]
async fn token_about_to_expire_is_renewed() {
    let cluster = cluster("prod").await;
    for number in 1..5 {
        cluster.set_token(&format!("token-{number}"), User::admin("admin"));
    }
    let (source, count) = counted(30);
    let reader = reader_of(access(None, None), &context(&[], 1), source);
    assert_eq!(reader.connect(&key("prod"), &facts(&cluster)).await, Access::Granted(()));
    reader.namespaces(&key("prod")).await.unwrap();
    reader.namespaces(&key("prod")).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn concurrent_requests_are_limited() {
    let cluster = Arc::new(cluster("prod").await);
    let reader = reader(&cluster).await;
    cluster.gate().fault(Stage::Before, Match::any(), Fault::Hang, Some(4));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let reader = reader.clone();
            tokio::spawn(async move { reader.namespaces(&key("prod")).await })
        })
        .collect();
    // four requests hang, and the others wait for a permit
    while cluster.gate().log().len() < 4 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!((cluster.gate().log().len(), reader.requests()), (4, 4));
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}
