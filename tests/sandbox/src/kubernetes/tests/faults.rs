//! Answers that no API server gives, and those that a busy one does, over TLS and HTTP.

use super::http::{cluster, get, send_accepting};
use crate::gate::Bucket;
use crate::kubernetes::{Fault, Match, Refusal, Stage};
use serde_json::{Value, json};

const WORKER: &str = "/api/v1/namespaces/reporting/serviceaccounts/worker";
const LIST: &str = "/api/v1/namespaces/reporting/serviceaccounts";

#[tokio::test]
async fn a_truncated_answer_and_a_page_are_no_answers() {
    let cluster = cluster().await;
    cluster.gate().fault(Stage::Before, Match::on("create", "serviceaccounts"), Fault::Truncate, Some(1));
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "worker"}}).to_string();
    let kinds = ["application/json"; 2];
    assert_eq!(send_accepting(&cluster, "POST", LIST, "root", kinds, &body).await, None);
    assert_eq!(get(&cluster, WORKER, "root").await.0, 200, "it was carried out");
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
async fn refusals_are_worded_as_the_server_words_them() {
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
async fn the_bucket_is_a_users_own() {
    let cluster = cluster().await;
    cluster.gate().bucket(Some(Bucket { rate: 0.0, burst: 1.0 }));
    for user in ["root", "less"] {
        assert_eq!(get(&cluster, LIST, user).await.0, 200);
        let (status, body) = get(&cluster, LIST, user).await;
        assert_eq!((status, &body["details"]["retryAfterSeconds"]), (429, &json!(1)));
    }
    assert_eq!(cluster.gate().throttled(), 2);
}
