//! Tests of faults over TLS and HTTP: answers that no API server gives, and those of a busy one.

use super::http::{cluster, get, send_accepting};
use crate::gate::Bucket;
use crate::kubernetes::{Fault, Match, Refusal, Stage};
use serde_json::{Value, json};

const WORKER: &str = "/api/v1/namespaces/reporting/serviceaccounts/worker";
const LIST: &str = "/api/v1/namespaces/reporting/serviceaccounts";

#[tokio::test]
async fn truncate_and_page_faults_replace_the_answer() {
    let cluster = cluster().await;
    cluster.gate().fault(Stage::Before, Match::on("create", "serviceaccounts"), Fault::Truncate, Some(1));
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "worker"}}).to_string();
    let kinds = ["application/json"; 2];
    assert_eq!(send_accepting(&cluster, "POST", LIST, "root", kinds, &body).await, None);
    assert_eq!(get(&cluster, WORKER, "root").await.0, 200, "the request was executed");
    cluster.gate().fault(Stage::Before, Match::any(), Fault::bad_gateway(), Some(1));
    assert_eq!(get(&cluster, WORKER, "root").await, (502, Value::Null));
    let told: Vec<_> =
        cluster.gate().log().iter().map(|record| (record.fault, record.outcome, record.answer)).collect();
    assert_eq!(
        told,
        [(Some("truncate"), Some(201), Some(201)), (None, Some(200), Some(200)), (Some("page"), None, Some(502))]
    );
}

#[tokio::test]
async fn refusals_use_the_servers_messages() {
    let cluster = cluster().await;
    for (refusal, code, reason) in [
        (Refusal::expired(), 401, "Unauthorized"),
        (Refusal::too_many_requests(1), 429, "TooManyRequests"),
        (Refusal::internal("etcdserver: no leader"), 500, "InternalError"),
        (Refusal::unavailable(), 503, "ServiceUnavailable"),
    ] {
        cluster.gate().fault(Stage::Before, Match::any(), Fault::Refuse(refusal), Some(1));
        let (status, body) = get(&cluster, LIST, "root").await;
        assert_eq!((status, &body["reason"]), (code, &json!(reason)));
    }
    let body = Refusal::internal("etcdserver: no leader").body();
    assert_eq!(body["message"], "Internal error occurred: etcdserver: no leader");
    assert_eq!(body["details"], json!({"causes": [{"message": "etcdserver: no leader"}]}));
}

#[tokio::test]
async fn each_user_has_its_own_bucket() {
    let cluster = cluster().await;
    cluster.gate().bucket(Some(Bucket { rate: 0.0, burst: 1.0 }));
    for user in ["root", "less"] {
        assert_eq!(get(&cluster, LIST, user).await.0, 200);
        let (status, body) = get(&cluster, LIST, user).await;
        assert_eq!((status, &body["details"]["retryAfterSeconds"]), (429, &json!(1)));
    }
    assert_eq!(cluster.gate().throttled(), 2);
}

#[tokio::test]
async fn a_write_is_hidden_from_the_given_number_of_reads() {
    let cluster = cluster().await;
    cluster.stale_reads(3);
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "worker"}}).to_string();
    let kinds = ["application/json"; 2];
    let dry = format!("{LIST}?dryRun=All");
    assert_eq!(send_accepting(&cluster, "POST", &dry, "root", kinds, &body).await.unwrap().0, 201);
    assert_eq!(get(&cluster, &format!("{LIST}/default"), "root").await.0, 200);
    assert_eq!(cluster.gate().log().iter().filter(|record| record.fault.is_some()).count(), 0);
    assert_eq!(send_accepting(&cluster, "POST", LIST, "root", kinds, &body).await.unwrap().0, 201);
    assert_eq!(get(&cluster, WORKER, "root").await.0, 404);
    assert_eq!(send_accepting(&cluster, "POST", LIST, "root", kinds, &body).await.unwrap().0, 409);
    assert_eq!(get(&cluster, "/version", "root").await.0, 200);
    let (_, list) = get(&cluster, "/api/v1/serviceaccounts?limit=2", "root").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert_eq!(get(&cluster, WORKER, "root").await.0, 404);
    assert_eq!(get(&cluster, WORKER, "root").await.0, 200);
    let rest = format!("/api/v1/serviceaccounts?continue={}", list["metadata"]["continue"].as_str().unwrap());
    let (code, rest) = get(&cluster, &rest, "root").await;
    assert_eq!((code, &rest["metadata"]["resourceVersion"]), (200, &list["metadata"]["resourceVersion"]));
    let worker = |list: &Value| list["items"].as_array().unwrap().iter().any(|i| i["metadata"]["name"] == "worker");
    assert!(!worker(&list) && !worker(&rest), "all pages of a list show the state at its start");
    cluster.stale_reads(0);
    assert_eq!(send_accepting(&cluster, "DELETE", WORKER, "root", kinds, "").await.unwrap().0, 200);
    assert_eq!(get(&cluster, WORKER, "root").await.0, 404);
}

#[tokio::test]
async fn connections_are_refused_and_accepted_again() {
    let cluster = cluster().await;
    let address = cluster.endpoint().trim_start_matches("https://").to_owned();
    for _ in 0..3 {
        let mut open = tokio::net::TcpStream::connect(&address).await.unwrap();
        assert_eq!(get(&cluster, LIST, "root").await.0, 200);
        cluster.refuse_connections(true).await.unwrap();
        cluster.refuse_connections(true).await.unwrap();
        let mut byte = [0];
        let ended = tokio::io::AsyncReadExt::read(&mut open, &mut byte).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "open connections end: {ended:?}");
        let refused = tokio::net::TcpStream::connect(&address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        cluster.refuse_connections(false).await.unwrap();
    }
    assert_eq!(get(&cluster, LIST, "root").await.0, 200);
    cluster.stop();
    cluster.refuse_connections(false).await.unwrap();
    let gone = tokio::net::TcpStream::connect(&address).await;
    assert!(gone.is_err(), "a closed server does not accept connections again");
}
