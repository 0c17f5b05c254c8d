//! Tests of faults over HTTP: truncated answers, HTML pages, refusals and throttling.

use super::tests::{Bench, FIRST, Key, Reply, SECOND, TEST};
use crate::aws::{Fault, Match, Refusal};
use crate::gate::Stage;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;

const ME: [(&str, &str); 2] = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];

impl Bench {
    /// The content length, the number of received body bytes, and whether the connection ended without an error.
    async fn raw(&self, service: &str, query: &str) -> (u64, usize, bool) {
        let address = self.server.endpoint().trim_start_matches("http://").to_owned();
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let task = tokio::spawn(connection);
        let credential = format!("Credential=test/20231114/us-east-1/{service}/aws4_request");
        let request = http::Request::builder()
            .method("POST")
            .uri("/")
            .header("host", &address)
            .header("authorization", format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"))
            .body(Full::new(bytes::Bytes::from(query.to_owned())))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let promised = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let (mut body, mut sent, mut well) = (response.into_body(), 0, true);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => sent += frame.into_data().map_or(0, |data| data.len()),
                Err(_) => well = false,
            }
        }
        task.abort();
        (promised, sent, well)
    }
}

#[tokio::test]
async fn a_truncated_answer_is_shorter_than_its_content_length() {
    let bench = Bench::new().await;
    let user = "Action=CreateUser&UserName=ada";
    bench.aws.gate().fault(Stage::Before, Match::on("iam", "CreateUser"), Fault::Truncate, Some(1));
    let (promised, sent, well) = bench.raw("iam", user).await;
    assert!(promised > 200 && sent as u64 == promised / 2 && !well, "{promised} {sent} {well}");
    assert!(bench.aws.iam_call(FIRST, "GetUser", &[("UserName", "ada")]).is_ok(), "the request was executed");
    let (promised, sent, well) = bench.raw("iam", user).await;
    assert!(sent as u64 == promised && well, "{promised} {sent} {well}");
    let log = bench.aws.gate().log();
    let told = log.iter().map(|record| (record.fault, record.outcome, record.answer)).collect::<Vec<_>>();
    assert_eq!(told, [(Some("truncate"), Some(200), Some(200)), (None, Some(409), Some(409))]);
}

#[tokio::test]
async fn a_page_fault_answers_in_html_without_a_request_id() {
    let bench = Bench::new().await;
    let gate = bench.aws.gate();
    gate.fault(Stage::Before, Match::service("sts"), Fault::bad_gateway(), Some(1));
    gate.fault(Stage::After, Match::service("eks"), Fault::gateway_timeout(), Some(1));
    let page = bench.query(TEST, "sts", &ME).await;
    assert_eq!((page.status, page.headers["content-type"].to_str().unwrap()), (502, "text/html"));
    assert!(page.body.contains("<h1>502 Bad Gateway</h1>"), "{}", page.body);
    assert!(!page.headers.contains_key("x-amzn-requestid"));
    assert_eq!(bench.query(TEST, "sts", &ME).await.status, 200);
    assert_eq!(bench.eks(TEST, "eu-west-1", "GET /clusters", Value::Null).await.status, 504);
    let told: Vec<_> = gate.log().iter().map(|record| (record.fault, record.outcome, record.answer)).collect();
    assert_eq!(
        told,
        [(Some("page"), None, Some(502)), (None, Some(200), Some(200)), (Some("page"), Some(200), Some(504))]
    );
}

#[tokio::test]
async fn refusals_use_each_services_own_error() {
    let bench = Bench::new().await;
    let gate = bench.aws.gate();
    let cases = [
        ("iam", Refusal::expired("iam"), 403, "ExpiredToken"),
        ("sts", Refusal::expired("sts"), 403, "ExpiredToken"),
        ("eks", Refusal::expired("eks"), 403, "ExpiredTokenException"),
        ("iam", Refusal::too_many("iam"), 429, "TooManyRequestsException"),
        ("eks", Refusal::too_many("eks"), 429, "TooManyRequestsException"),
        ("iam", Refusal::internal("iam"), 500, "ServiceFailure"),
        ("sts", Refusal::internal("sts"), 500, "InternalFailure"),
        ("eks", Refusal::internal("eks"), 500, "ServerException"),
        ("iam", Refusal::concurrent_modification(), 409, "ConcurrentModification"),
        ("iam", Refusal::unmodifiable(), 409, "EntityTemporarilyUnmodifiable"),
    ];
    for (service, refusal, status, code) in cases {
        gate.fault(Stage::Before, Match::service(service), Fault::Refuse(refusal), Some(1));
        let reply: Reply = match service {
            "eks" => bench.eks(TEST, "eu-west-1", "GET /clusters", Value::Null).await,
            "sts" => bench.query(TEST, "sts", &ME).await,
            _ => bench.query(TEST, "iam", &[("Action", "ListRoles")]).await,
        };
        assert_eq!(reply.error(), (status, code.to_owned()));
        assert!(reply.headers.contains_key("x-amzn-requestid"));
    }
    assert!(gate.log().iter().all(|record| record.fault == Some("refuse")));
}

#[tokio::test]
async fn each_account_has_its_own_bucket() {
    let bench = Bench::new().await;
    bench.aws.gate().bucket(Some(crate::gate::Bucket { rate: 0.0, burst: 2.0 }));
    let statuses = async |key: Key<'static>| {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(bench.query(key, "iam", &[("Action", "ListRoles")]).await.status);
        }
        statuses
    };
    assert_eq!(statuses(TEST).await, [200, 200, 400]);
    assert_eq!(statuses(Key(SECOND, None)).await, [200, 200, 400]);
    for status in [200, 200, 429] {
        assert_eq!(bench.eks(TEST, "eu-west-1", "GET /clusters", Value::Null).await.status, status);
    }
    assert_eq!(bench.aws.gate().throttled(), 3);
}
