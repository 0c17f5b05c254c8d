//! Tests of the admin API over HTTP: it controls gates and snapshots, and it explains invalid requests.

use crate::aws::server::tests::{Bench, FIRST, Key, SECOND, TEST};
use crate::aws::{AccountRegion, NewCluster, Refusal};
use crate::kubernetes::Cluster;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const ME: [(&str, &str); 2] = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
const LIST: [(&str, &str); 1] = [("Action", "ListUsers")];

impl Bench {
    async fn cluster(&self) -> Arc<Cluster> {
        let place = AccountRegion::new(FIRST, "eu-west-1");
        self.aws.add_cluster(&place, NewCluster::named("shop", &place, None)).await.unwrap()
    }

    async fn admin(&self, line: &str, body: Value) -> (u16, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let request = http::Request::builder().method(method).uri(format!("/_sandbox/{path}"));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.send(request, body).await.unwrap();
        (reply.status, reply.json())
    }

    async fn told(&self, line: &str, body: Value) -> String {
        let (status, answer) = self.admin(line, body.clone()).await;
        assert_eq!(status, 400, "{line} {body}: {answer}");
        answer["error"].as_str().unwrap().to_owned()
    }

    async fn fault(&self, body: Value) {
        assert_eq!(self.admin("POST faults", body).await, (200, json!({})));
    }
}

async fn get(cluster: &Cluster, path: &str) -> Option<(u16, Value)> {
    crate::kubernetes::tests::http::send(cluster, "GET", path, "admin-token", "application/json", "").await
}

#[tokio::test]
async fn the_log_is_shown_and_cleared_without_admin_requests() {
    let bench = Bench::new().await;
    let cluster = bench.cluster().await;
    bench.query(TEST, "sts", &ME).await;
    get(&cluster, "/api/v1/namespaces/default/serviceaccounts/x").await.unwrap();
    let (status, log) = bench.admin("GET requests", Value::Null).await;
    let expected = json!({"requests": [{
        "number": 1, "account": FIRST, "region": "us-east-1", "service": "sts", "action": "GetCallerIdentity",
        "object": "", "caller": "arn:aws:iam::111122223333:user/sandbox", "user-agent": "",
        "body": "Action=GetCallerIdentity&Version=2011-06-15", "answer": 200, "outcome": 200, "fault": null,
    }]});
    assert_eq!((status, log), (200, expected));
    let (_, log) = bench.admin("GET requests?cluster=shop", Value::Null).await;
    let shown = &log["requests"][0];
    assert_eq!((&shown["verb"], &shown["name"], &shown["answer"]), (&json!("get"), &json!("x"), &json!(404)));
    assert_eq!(shown["user-agent"], "irsa/0.1.0 (linux)");
    bench.admin("DELETE requests?cluster=shop", Value::Null).await;
    assert_eq!((cluster.gate().log().len(), bench.aws.gate().log().len()), (0, 1));
    bench.admin("DELETE requests", Value::Null).await;
    assert_eq!(bench.admin("GET requests", Value::Null).await.1, json!({"requests": []}));
}

#[tokio::test]
async fn aws_faults_are_set_and_removed() {
    let bench = Bench::new().await;
    let cases = [
        (json!("throttle"), (400, "Throttling")),
        (json!("too-many"), (429, "TooManyRequestsException")),
        (json!("deny"), (403, "AccessDenied")),
        (json!("expired"), (403, "ExpiredToken")),
        (json!("internal"), (500, "ServiceFailure")),
        (json!("unavailable"), (503, "ServiceUnavailable")),
        (json!("concurrent-modification"), (409, "ConcurrentModification")),
        (json!("unmodifiable"), (409, "EntityTemporarilyUnmodifiable")),
        (json!({"refuse": {"status": 418, "code": "Teapot", "message": "short and stout"}}), (418, "Teapot")),
    ];
    for (fault, (status, code)) in cases {
        let body = json!({
            "service": "iam", "action": "ListUsers", "account": SECOND, "stage": "before", "fault": fault, "times": 1,
        });
        bench.fault(body).await;
        assert_eq!(bench.query(TEST, "iam", &LIST).await.status, 200, "the fault is for another account");
        assert_eq!(bench.query(Key(SECOND, None), "iam", &LIST).await.error(), (status, code.to_owned()));
        assert_eq!(bench.query(Key(SECOND, None), "iam", &LIST).await.status, 200, "once only");
    }
    for (fault, status) in [(json!("bad-gateway"), 502), (json!("gateway-timeout"), 504), (json!({"status": 503}), 503)]
    {
        bench.fault(json!({"fault": fault, "times": 1})).await;
        let page = bench.query(TEST, "iam", &LIST).await;
        assert_eq!((page.status, page.headers["content-type"].to_str().unwrap()), (status, "text/html"));
    }
    for fault in ["drop", "truncate"] {
        bench.fault(json!({"stage": "after", "fault": fault, "times": 1})).await;
        assert_eq!(bench.try_query(TEST, "iam", &LIST).await, None, "{fault}");
    }
    bench.fault(json!({"fault": {"delay-ms": 1}, "times": 1})).await;
    assert_eq!(bench.query(TEST, "iam", &LIST).await.status, 200);
    assert_eq!(bench.aws.gate().log().pop().unwrap().fault, Some("delay"));
    bench.fault(json!({"fault": "hang"})).await;
    assert_eq!(bench.admin("DELETE faults", Value::Null).await, (200, json!({})));
    assert_eq!(bench.query(TEST, "iam", &LIST).await.status, 200);
}

#[tokio::test]
async fn a_cluster_fault_affects_only_that_cluster() {
    let bench = Bench::new().await;
    let cluster = bench.cluster().await;
    let list = "/api/v1/namespaces/default/serviceaccounts";
    for (fault, status) in [
        (json!("throttle"), 429),
        (json!("expired"), 401),
        (json!("internal"), 500),
        (json!("deny"), 403),
        (json!({"refuse": {"status": 410, "reason": "Expired", "message": "too old", "retry-after": 2}}), 410),
        (json!("bad-gateway"), 502),
    ] {
        let body = json!({
            "cluster": "shop", "verb": "list", "resource": "serviceaccounts", "namespace": "default", "user": "admin",
            "fault": fault, "times": 1,
        });
        bench.fault(body).await;
        assert_eq!(get(&cluster, "/api/v1/namespaces").await.unwrap().0, 200);
        assert_eq!(get(&cluster, list).await.unwrap().0, status);
        assert_eq!(get(&cluster, list).await.unwrap().0, 200);
    }
    bench.fault(json!({"cluster": "shop", "fault": "drop"})).await;
    assert_eq!(get(&cluster, list).await, None);
    assert_eq!(bench.query(TEST, "iam", &LIST).await.status, 200, "AWS has none");
    bench.admin("DELETE faults?cluster=shop", Value::Null).await;
    assert_eq!(get(&cluster, list).await.unwrap().0, 200);
}

#[tokio::test]
async fn buckets_stale_reads_and_snapshots_work_over_http() {
    let bench = Bench::new().await;
    let cluster = bench.cluster().await;
    assert_eq!(bench.admin("PUT bucket", json!({"rate": 0, "burst": 1})).await, (200, json!({})));
    assert_eq!(bench.query(TEST, "iam", &LIST).await.status, 200);
    assert_eq!(bench.query(TEST, "iam", &LIST).await.error(), (400, "Throttling".to_owned()));
    assert_eq!(bench.admin("GET bucket", Value::Null).await, (200, json!({"throttled": 1})));
    assert_eq!(bench.admin("GET bucket?cluster=shop", Value::Null).await, (200, json!({"throttled": 0})));
    bench.admin("DELETE bucket", Value::Null).await;
    assert_eq!(bench.admin("POST snapshots", Value::Null).await, (200, json!({"id": 1})));
    assert_eq!(bench.admin("PUT stale-reads", json!({"reads": 1})).await, (200, json!({})));
    let ada = [("Action", "CreateUser"), ("UserName", "ada")];
    let look = [("Action", "GetUser"), ("UserName", "ada")];
    assert_eq!(bench.query(TEST, "iam", &ada).await.status, 200);
    assert_eq!(bench.query(TEST, "iam", &look).await.status, 404);
    assert_eq!(bench.query(TEST, "iam", &look).await.status, 200);
    cluster.with(|store| store.ensure_namespace("late")).unwrap();
    assert_eq!(bench.admin("POST snapshots/1/restore", Value::Null).await, (200, json!({})));
    let gone = bench.aws.iam_call(FIRST, "GetUser", &[("UserName", "ada")]).unwrap_err();
    assert_eq!(gone.code, Refusal::new(404, "NoSuchEntity", "").code);
    assert_eq!(get(&cluster, "/api/v1/namespaces/late").await.unwrap().0, 404);
    assert_eq!(bench.admin("POST snapshots/2/restore", Value::Null).await.0, 404);
    assert_eq!(bench.admin("POST snapshots/0/restore", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_stale_item_is_read_late() {
    let bench = Bench::new().await;
    let item = json!({"reads": 1, "account": SECOND, "role": "r", "tag": "team"});
    assert_eq!(bench.admin("PUT stale-reads", item).await, (200, json!({})));
    let key = Key(SECOND, None);
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "pods.eks.amazonaws.com"}}]})
    .to_string();
    assert_eq!(bench.query(key, "iam", &crate::aws::bench::role("r", &trust)).await.status, 200);
    let tag = [
        ("Action", "TagRole"),
        ("RoleName", "r"),
        ("Tags.member.1.Key", "Team"),
        ("Tags.member.1.Value", "a"),
        ("Tags.member.2.Key", "stage"),
        ("Tags.member.2.Value", "b"),
    ];
    assert_eq!(bench.query(key, "iam", &tag).await.status, 200);
    let list = async || bench.query(key, "iam", &[("Action", "ListRoleTags"), ("RoleName", "r")]).await.body;
    let first = list().await;
    assert!(!first.contains("Team") && first.contains("stage"), "{first}");
    assert!(list().await.contains("Team"));
    for item in [
        json!({"reads": 1, "role": "r"}),
        json!({"reads": 1, "role": "r", "part": "trust"}),
        json!({"reads": 1, "role": "r", "part": "boundary"}),
        json!({"reads": 1, "role": "r", "part": "details"}),
        json!({"reads": 1, "role": "r", "inline": "own"}),
        json!({"reads": 1, "role": "r", "attached": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
        json!({"reads": 1, "policy": "arn:aws:iam::111122223333:policy/p"}),
        json!({"reads": 1, "policy": "arn:aws:iam::111122223333:policy/p", "part": "document"}),
        json!({"reads": 1, "policy": "arn:aws:iam::111122223333:policy/p", "tag": "team"}),
        json!({"reads": 1, "provider": "arn:aws:iam::111122223333:oidc-provider/x"}),
        json!({"reads": 1, "provider": "arn:aws:iam::111122223333:oidc-provider/x", "audience": "y"}),
        json!({"reads": 0, "provider": "arn:aws:iam::111122223333:oidc-provider/x", "tag": "team"}),
    ] {
        assert_eq!(bench.admin("PUT stale-reads", item.clone()).await, (200, json!({})), "{item}");
    }
}

#[tokio::test]
async fn cluster_latency_and_connections_can_be_set() {
    let bench = Bench::new().await;
    let cluster = bench.cluster().await;
    let day = json!({"ms": 86_400_000});
    assert_eq!(bench.admin("PUT latency", day.clone()).await, (200, json!({})));
    let waits = tokio::time::timeout(std::time::Duration::from_millis(100), bench.query(TEST, "iam", &LIST)).await;
    assert!(waits.is_err());
    assert_eq!(get(&cluster, "/api/v1/namespaces").await.unwrap().0, 200, "each cluster has its own latency");
    assert_eq!(bench.admin("PUT latency", json!({"ms": 0})).await, (200, json!({})));
    assert_eq!(bench.query(TEST, "iam", &LIST).await.status, 200);
    let address = cluster.endpoint().trim_start_matches("https://").to_owned();
    let refuse = |refuse: bool| json!({"cluster": "shop", "refuse": refuse});
    assert_eq!(bench.admin("PUT connections", refuse(true)).await, (200, json!({})));
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
    assert_eq!(bench.admin("PUT connections", refuse(false)).await, (200, json!({})));
    assert_eq!(get(&cluster, "/api/v1/namespaces").await.unwrap().0, 200);
}

#[tokio::test]
async fn the_aws_port_closes_for_the_requested_time() {
    let bench = Bench::new().await;
    let address = bench.server.endpoint().trim_start_matches("http://").to_owned();
    let is_open = || async { tokio::net::TcpStream::connect(&address).await.is_ok() };
    let becomes = async |open: bool| {
        while is_open().await != open {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let soon = |wait| tokio::time::timeout(Duration::from_secs(20), wait);
    for _ in 0..2 {
        assert_eq!(bench.admin("PUT connections", json!({"refuse-for-ms": 300})).await, (200, json!({})));
        soon(becomes(false)).await.expect("the port is closed");
        soon(becomes(true)).await.expect("the port is open again");
        assert_eq!(bench.query(TEST, "iam", &LIST).await.status, 200);
    }
}

#[tokio::test]
async fn an_unknown_value_is_refused_with_the_known_ones() {
    let bench = Bench::new().await;
    bench.cluster().await;
    let cases = [
        ("POST faults", json!({"fault": "drop", "verb": "get"}), "`verb` is not known; there are `stage`, `fault`"),
        ("POST faults", json!({"fault": "drop", "cluster": "shop", "action": "x"}), "`action` is not known"),
        ("POST faults", json!({"fault": "explode"}), "`fault` is `explode`; it can be `deny`, `drop`"),
        ("POST faults", json!({"fault": "unmodifiable", "cluster": "shop"}), "`fault` is `unmodifiable`; it can be"),
        ("POST faults", json!({}), "`fault` is missing; it can be `deny`"),
        ("POST faults", json!({"fault": "throttle"}), "`throttle` needs a `service`"),
        (
            "POST faults",
            json!({"fault": "drop", "service": "s3"}),
            "`service` is `s3`; it can be `iam`, `sts` and `eks`",
        ),
        ("POST faults", json!({"fault": "drop", "stage": "between"}), "it can be `before` and `after`"),
        ("POST faults", json!({"fault": "drop", "times": 0}), "`times` is 0"),
        ("POST faults", json!({"fault": "drop", "times": -1}), "`times` is `-1`; it must be a whole number"),
        ("POST faults", json!({"fault": "drop", "object": 1}), "`object` is `1`; it must be a text"),
        ("POST faults", json!({"fault": "drop", "cluster": "none"}), "no cluster is called `none`; there are `shop`"),
        ("POST faults", json!({"fault": {"delay": 1}}), "or an object with one of `delay-ms`, `status` and `refuse`"),
        ("POST faults", json!({"fault": {"status": 200, "delay-ms": 1}}), "or an object with one of"),
        ("POST faults", json!({"fault": {"status": 100}}), "`status` is `100`; it must be a status from 200 to 599"),
        ("POST faults", json!({"fault": {"refuse": {"status": 400}}}), "`code` is missing"),
        ("POST faults", json!([]), "it must be a JSON object"),
        ("PUT latency", json!({"seconds": 1}), "`seconds` is not known; there are `ms`"),
        ("PUT latency", json!({}), "`ms` is missing"),
        ("PUT bucket", json!({"rate": -1, "burst": 1}), "`rate` is `-1`; it must be a number that is not negative"),
        ("PUT stale-reads", json!({"reads": true}), "`reads` is `true`"),
        (
            "PUT stale-reads",
            json!({"reads": 1, "inline": "x"}),
            "`inline` needs one of `role`, `policy` and `provider`",
        ),
        (
            "PUT stale-reads",
            json!({"reads": 1, "role": "x", "audience": "y"}),
            "beside `role` there may be one of `part`",
        ),
        ("PUT stale-reads", json!({"reads": 1, "role": "x", "policy": "y"}), "beside `role` there may be one of"),
        ("PUT stale-reads", json!({"reads": 1, "role": "x", "tag": "y", "inline": "z"}), "beside `role` there may be"),
        (
            "PUT stale-reads",
            json!({"reads": 1, "policy": "x", "part": "trust"}),
            "`part` is `trust`; it can be `document`",
        ),
        (
            "PUT stale-reads",
            json!({"reads": 1, "role": "x", "part": "y"}),
            "it can be `trust`, `boundary` and `details`",
        ),
        ("PUT stale-reads", json!({"reads": 1, "role": "x", "cluster": "shop"}), "an item of IAM is in no `cluster`"),
        ("PUT connections", json!({"refuse": true}), "`refuse-for-ms` is missing"),
        ("PUT connections", json!({"cluster": "shop", "refuse-for-ms": 1}), "`refuse` is missing"),
        ("GET requests?account", Value::Null, ""),
        ("GET requests?bucket=1", Value::Null, "`bucket` is not known; there are `cluster`, `account` and `region`"),
    ];
    for (line, body, text) in cases {
        if text.is_empty() {
            assert_eq!(bench.admin(line, body).await.0, 200, "{line}");
            continue;
        }
        let told = bench.told(line, body.clone()).await;
        assert!(told.contains(text), "{line} {body}: {told}");
    }
    let request = http::Request::builder().method("POST").uri("/_sandbox/faults");
    let reply = bench.send(request, "{".to_owned()).await.unwrap();
    assert!(reply.status == 400 && reply.body.contains("the body is no JSON"), "{}", reply.body);
    let (status, told) = bench.admin("GET nothing", Value::Null).await;
    assert!(status == 404 && told.to_string().contains("`GET|DELETE /_sandbox/requests`"), "{told}");
    let (status, told) = bench.admin("POST requests", Value::Null).await;
    assert_eq!((status, &told["error"]), (405, &json!("`/_sandbox/requests` takes `GET` and `DELETE`")));
}

#[tokio::test]
async fn web_pages_and_other_machines_are_refused() {
    let bench = Bench::new().await;
    let request = || http::Request::builder().method("GET").uri("/_sandbox/requests");
    let page = bench.send(request().header("origin", "http://127.0.0.1"), String::new()).await.unwrap();
    assert_eq!(page.status, 403);
    let stream = tokio::net::TcpStream::connect(bench.server.endpoint().trim_start_matches("http://")).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let rebound = request().header("host", "attacker.example:80").body(String::new()).unwrap();
    assert_eq!(sender.send_request(rebound).await.unwrap().status(), 403);
}
