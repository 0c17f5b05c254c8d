//! Tests of the AWS server over HTTP: services, callers, errors in both protocols, and the gate.

use crate::aws::{Aws, Fault, Match, Refusal, Server};
use crate::gate::Stage;
use crate::kubernetes::Clock;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

pub(crate) const FIRST: &str = "111122223333";
pub(crate) const SECOND: &str = "444455556666";

/// A server with a clock that the test sets, and a client.
pub(crate) struct Bench {
    pub(crate) aws: Arc<Aws>,
    pub(crate) server: Server,
    seconds: Arc<AtomicI64>,
}

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    /// The text of an XML element.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> &str {
        crate::aws::element(&self.body, name).unwrap_or_else(|| panic!("no <{name}> in {}", self.body))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The status and error code of a response in either protocol.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String) {
        let code = self.headers.get("x-amzn-errortype").map(|value| value.to_str().unwrap().to_owned());
        (self.status, code.unwrap_or_else(|| self.text("Code").to_owned()))
    }
}

/// An access key and, for a session, its token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a>(pub(crate) &'a str, pub(crate) Option<&'a str>);

pub(crate) const TEST: Key<'_> = Key("test", None);

impl Bench {
    pub(crate) async fn new() -> Self {
        let seconds = Arc::new(AtomicI64::new(1_700_000_000));
        let shown = Arc::clone(&seconds);
        let clock: Clock = Arc::new(move || Timestamp::from_second(shown.load(Ordering::SeqCst)).unwrap());
        let aws = Arc::new(Aws::new(&[FIRST.to_owned(), SECOND.to_owned()], clock));
        let server = Server::start(Arc::clone(&aws), 0).await.unwrap();
        Self { aws, server, seconds }
    }

    pub(crate) fn wait(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.seconds.load(Ordering::SeqCst)).unwrap()
    }

    /// Sends a request on a new connection. None if the connection ends without an answer.
    pub(crate) async fn send(&self, request: http::request::Builder, body: String) -> Option<Reply> {
        let address = self.server.endpoint().trim_start_matches("http://").to_owned();
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let task = tokio::spawn(connection);
        let request = request.header("host", &address).body(Full::new(Bytes::from(body))).unwrap();
        let response = sender.send_request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.ok()?.to_bytes();
        task.abort();
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        Some(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    fn signed(key: Key<'_>, service: &str, region: &str) -> http::request::Builder {
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/20231114/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0",
            key.0
        );
        let request = http::Request::builder().header("authorization", value);
        match key.1 {
            Some(token) => request.header("x-amz-security-token", token),
            None => request,
        }
    }

    pub(crate) async fn try_query(&self, key: Key<'_>, service: &str, fields: &[(&str, &str)]) -> Option<Reply> {
        let request = Self::signed(key, service, "us-east-1").method("POST").uri("/");
        self.send(request, form(fields)).await
    }

    pub(crate) async fn query(&self, key: Key<'_>, service: &str, fields: &[(&str, &str)]) -> Reply {
        self.try_query(key, service, fields).await.unwrap()
    }

    pub(crate) async fn unsigned(&self, fields: &[(&str, &str)]) -> Reply {
        self.send(http::Request::builder().method("POST").uri("/"), form(fields)).await.unwrap()
    }

    pub(crate) async fn eks(&self, key: Key<'_>, region: &str, line: &str, body: Value) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Self::signed(key, "eks", region).method(method).uri(path);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(request, body).await.unwrap()
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

const TRUST: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}"#;

/// The fields of a CreateRole request.
pub(crate) fn role<'a>(name: &'a str, trust: &'a str) -> [(&'a str, &'a str); 3] {
    [("Action", "CreateRole"), ("RoleName", name), ("AssumeRolePolicyDocument", trust)]
}

#[tokio::test]
async fn the_key_chooses_the_account_and_the_scope_the_service() {
    let bench = Bench::new().await;
    for (key, account) in [("test", FIRST), (SECOND, SECOND), ("999988887777", "999988887777")] {
        let me = bench.query(Key(key, None), "sts", &[("Action", "GetCallerIdentity")]).await;
        assert_eq!(me.status, 200);
        assert_eq!((me.text("Account"), me.text("Arn")), (account, &*format!("arn:aws:iam::{account}:user/sandbox")));
        assert!(me.text("UserId").starts_with("AIDA") && me.text("UserId").len() == 21, "{}", me.body);
        let made = bench.query(Key(key, None), "iam", &role("same", TRUST)).await;
        assert_eq!(made.text("Arn"), format!("arn:aws:iam::{account}:role/same"));
    }
    let wrong = bench.query(TEST, "sts", &[("Action", "GetRole"), ("RoleName", "same")]).await;
    assert_eq!(wrong.error(), (400, "InvalidAction".to_owned()));
    let clusters = bench.eks(TEST, "eu-west-1", "GET /clusters", Value::Null).await;
    assert_eq!((clusters.status, clusters.json()["clusters"].clone()), (200, json!([])));
}

#[tokio::test]
async fn a_get_with_a_presigned_query_is_a_request_too() {
    let bench = Bench::new().await;
    let query = form(&[
        ("Action", "GetCallerIdentity"),
        ("Version", "2011-06-15"),
        ("X-Amz-Credential", "444455556666/20231114/eu-west-1/sts/aws4_request"),
        ("X-Amz-Signature", "0"),
    ]);
    let request = http::Request::builder().method("GET").uri(format!("/?{query}"));
    let me = bench.send(request, String::new()).await.unwrap();
    assert_eq!(me.text("Account"), SECOND);
    let call = &bench.aws.gate().log()[0].call;
    assert_eq!((call.region.as_str(), call.params()["Action"].as_str()), ("eu-west-1", "GetCallerIdentity"));
}

#[tokio::test]
async fn an_unknown_caller_gets_an_error_in_the_services_protocol() {
    let bench = Bench::new().await;
    let error = |status: u16, code: &str| (status, code.to_owned());
    let get = [("Action", "GetRole"), ("RoleName", "r"), ("Version", "2010-05-08")];
    assert_eq!(bench.unsigned(&get).await.error(), error(403, "MissingAuthenticationToken"));
    let me = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
    assert_eq!(bench.unsigned(&me).await.error(), error(403, "MissingAuthenticationToken"));
    for key in [Key("AKIAIOSFODNN7EXAMPLE", None), Key("11112222333", None), Key("ASIAUNKNOWN", Some("t"))] {
        assert_eq!(bench.query(key, "iam", &get).await.error(), error(403, "InvalidClientTokenId"), "{key:?}");
        let clusters = bench.eks(key, "eu-west-1", "GET /clusters", Value::Null).await;
        assert_eq!(clusters.error(), error(403, "UnrecognizedClientException"));
        assert_eq!(clusters.json()["message"], "The security token included in the request is invalid.");
    }
    let request = http::Request::builder().method("GET").uri("/clusters");
    let clusters = bench.send(request, String::new()).await.unwrap();
    assert_eq!(clusters.error(), error(403, "MissingAuthenticationTokenException"));
    let request = http::Request::builder().method("POST").uri("/").header("authorization", "Bearer x");
    assert_eq!(bench.send(request, form(&get)).await.unwrap().error(), error(400, "IncompleteSignature"));
    let unknown = bench.query(TEST, "iam", &[("Action", "NoSuchAction")]).await;
    assert_eq!(unknown.error(), error(400, "InvalidAction"));
    assert_eq!(bench.eks(TEST, "eu-west-1", "GET /nothing", Value::Null).await.status, 404);
    let accounts: Vec<_> = bench.aws.gate().log().iter().map(|record| record.call.account.clone()).collect();
    assert_eq!(accounts.iter().filter(|account| account.is_empty()).count(), 10, "{accounts:?}");
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_is_logged() {
    let bench = Bench::new().await;
    bench.query(TEST, "iam", &role("r", TRUST)).await;
    let get = bench.query(TEST, "iam", &[("Action", "GetRole"), ("RoleName", "r")]).await;
    assert_eq!(get.text("RequestId"), "00000000-0000-4000-8000-000000000002");
    assert_eq!(get.headers["x-amzn-requestid"], "00000000-0000-4000-8000-000000000002");
    assert!(get.body.starts_with("<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">"));
    let missing = bench.query(TEST, "iam", &[("Action", "GetRole"), ("RoleName", "none")]).await;
    assert_eq!((missing.error(), missing.text("Type")), ((404, "NoSuchEntity".to_owned()), "Sender"));
    assert_eq!(missing.text("RequestId"), missing.headers["x-amzn-requestid"]);
    bench.eks(TEST, "us-west-2", "GET /clusters/none/addons/vpc-cni", Value::Null).await;
    let log = bench.aws.gate().log();
    let told: Vec<_> = log
        .iter()
        .map(|record| {
            let call = &record.call;
            (call.number, &*call.account, &*call.region, &*call.service, &*call.action, &*call.object, record.answer)
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, FIRST, "us-east-1", "iam", "CreateRole", "r", Some(200)),
            (2, FIRST, "us-east-1", "iam", "GetRole", "r", Some(200)),
            (3, FIRST, "us-east-1", "iam", "GetRole", "none", Some(404)),
            (4, FIRST, "us-west-2", "eks", "DescribeAddon", "none/vpc-cni", Some(404)),
        ]
    );
    assert_eq!(bench.aws.gate().writes().len(), 1);
    assert_eq!(log[0].call.params()["AssumeRolePolicyDocument"], TRUST);
    assert_eq!(log[0].call.caller, format!("arn:aws:iam::{FIRST}:user/sandbox"));
}

#[tokio::test]
async fn faults_apply_before_or_after_execution() {
    let bench = Bench::new().await;
    let gate = bench.aws.gate();
    let tag =
        |value| [("Action", "TagRole"), ("RoleName", "r"), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", value)];
    let there = || bench.aws.iam_call(FIRST, "ListRoleTags", &[("RoleName", "r")]).unwrap();
    bench.query(TEST, "iam", &role("r", TRUST)).await;
    let tags = Match::on("iam", "TagRole").about("r").from_account(FIRST);
    gate.fault(Stage::Before, tags.clone(), Fault::Refuse(Refusal::throttled("iam")), Some(2));
    gate.fault(Stage::Before, tags.clone(), Fault::Deny, Some(1));
    gate.fault(Stage::Before, tags.clone(), Fault::Drop, Some(1));
    gate.fault(Stage::After, tags.clone(), Fault::Drop, Some(1));
    gate.fault(Stage::After, tags, Fault::Refuse(Refusal::unavailable()), Some(1));
    for _ in 0..2 {
        assert_eq!(bench.query(TEST, "iam", &tag("1")).await.error(), (400, "Throttling".to_owned()));
    }
    let denied = bench.query(TEST, "iam", &tag("2")).await;
    assert_eq!(denied.error(), (403, "AccessDenied".to_owned()));
    assert_eq!(
        denied.text("Message"),
        "User: arn:aws:iam::111122223333:user/sandbox is not authorized to perform: iam:TagRole on resource: role r \
         because no identity-based policy allows the iam:TagRole action"
    );
    assert_eq!(bench.try_query(TEST, "iam", &tag("3")).await, None);
    assert!(!there().contains("<Key>"), "{}", there());
    assert_eq!(bench.try_query(TEST, "iam", &tag("lost")).await, None);
    assert!(there().contains("<Value>lost</Value>"), "{}", there());
    let unavailable = bench.query(TEST, "iam", &tag("hidden")).await;
    assert_eq!((unavailable.error(), unavailable.text("Type")), ((503, "ServiceUnavailable".to_owned()), "Receiver"));
    assert!(there().contains("<Value>hidden</Value>"), "{}", there());
    assert_eq!(bench.query(TEST, "iam", &tag("5")).await.status, 200);
    let outcomes: Vec<_> = gate.writes().iter().skip(1).map(|record| (record.outcome, record.answer)).collect();
    let expected = [
        (None, Some(400)),
        (None, Some(400)),
        (None, Some(403)),
        (None, None),
        (Some(200), None),
        (Some(200), Some(503)),
        (Some(200), Some(200)),
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn faults_apply_only_to_their_account_region_and_service() {
    let bench = Bench::new().await;
    let gate = bench.aws.gate();
    let list = [("Action", "ListRoles")];
    gate.fault(Stage::Before, Match::service("iam").from_account(SECOND), Fault::Deny, None);
    gate.fault(
        Stage::Before,
        Match::on("eks", "ListClusters").in_region("us-east-1"),
        Fault::Refuse(Refusal::throttled("eks")),
        None,
    );
    gate.fault(Stage::Before, Match::on("eks", "DescribeCluster"), Fault::Deny, None);
    assert_eq!(bench.query(TEST, "iam", &list).await.status, 200);
    assert_eq!(bench.query(Key(SECOND, None), "iam", &list).await.status, 403);
    assert_eq!(bench.query(Key(SECOND, None), "sts", &[("Action", "GetCallerIdentity")]).await.status, 200);
    assert_eq!(bench.eks(TEST, "eu-west-1", "GET /clusters", Value::Null).await.status, 200);
    let throttled = bench.eks(TEST, "us-east-1", "GET /clusters", Value::Null).await;
    assert_eq!(throttled.error(), (429, "ThrottlingException".to_owned()));
    let denied = bench.eks(TEST, "eu-west-1", "GET /clusters/prod", Value::Null).await;
    assert_eq!(denied.error(), (403, "AccessDeniedException".to_owned()));
    let message = denied.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("resource: arn:aws:eks:eu-west-1:111122223333:cluster/prod"), "{message}");
    gate.fault(Stage::Before, Match::on("iam", "ListRoles"), Fault::Hang, None);
    let hung = tokio::time::timeout(Duration::from_millis(100), bench.query(TEST, "iam", &list)).await;
    assert!(hung.is_err());
    gate.heal();
    assert_eq!(bench.query(Key(SECOND, None), "iam", &list).await.status, 200);
}
