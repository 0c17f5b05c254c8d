//! The reader against a stub server, and the stub server, which the tests of `iam` use too.

pub(crate) mod stub;

use super::*;
use crate::event::Silence;
use crate::ids::AccountId;
use crate::model::desired::{ClusterState, KubernetesAccess};
use crate::model::origin::Origin;
use crate::world::CallErrorKind;
use crate::world::sdk_config::AwsConnection;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use stub::{Reply, Stub};

/// A second lasts fifty milliseconds in these tests.
const SPEED: u32 = 20;

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(crate) fn sdk(url: &str, context: &Context) -> SdkConfig {
    let scaled = |seconds| context.scaled(Duration::from_secs(seconds));
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::from_static("eu-west-1"))
        .endpoint_url(url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIDTEST", "secret", None, None, "test",
        )))
        .retry_config(RetryConfig::standard().with_initial_backoff(scaled(1)).with_max_backoff(scaled(2)))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(scaled(60)).build())
        .build()
}

/// A reader of one account, `prod`, in eu-west-1, with the cluster `c`, against the stub.
pub(crate) fn reader(stub: &Stub) -> AwsReader {
    reader_in(stub, Some("eu-west-1"))
}

fn reader_in(stub: &Stub, region: Option<&str>) -> AwsReader {
    let context = Context::fixed(BTreeMap::new(), 1_700_000_000, SPEED);
    let region = region.map(|region| Region::parse(region).unwrap());
    let connection = AwsConnection::from_sdk(sdk(&stub.url, &context), region);
    let requests = Arc::new(AtomicU64::new(0));
    let listen: Arc<dyn Listen> = Arc::new(Silence);
    let settings = AwsSettings { timeout: Duration::from_mins(2), parallelism: 10 };
    let clock = Clock::new(&context);
    let options = ClientOptions { context: &context, settings, listen: &listen, requests: &requests, clock };
    let account = AccountClient::new(&key("prod"), connection, &options);
    let clusters = [("c", Some("prod-1")), ("metal", None)].map(|(name, eks)| {
        let cluster = Cluster {
            account: key("prod"),
            region: None,
            name: eks.map(|name| ClusterName::parse(name).unwrap()),
            issuer: None,
            state: ClusterState::Active,
            kubernetes: KubernetesAccess { kubeconfig: None, context: None, unverified: false },
            unmanaged: false,
            origin: Origin { file: "irsa.toml".into(), line: 1, column: 1, span: 0..0 },
        };
        (key(name), cluster)
    });
    AwsReader::from_clients([(key("prod"), account)].into(), &clusters.into(), Ok(None), requests)
}

#[tokio::test]
async fn identity_has_account_and_partition_and_is_read_once() {
    let stub = Stub::serve(|_| {
        Reply::result(
            "GetCallerIdentity",
            "<Arn>arn:aws-cn:sts::111122223333:assumed-role/a/irsa</Arn><UserId>x</UserId><Account>111122223333</Account>",
        )
    })
    .await;
    let reader = reader(&stub);
    for _ in 0..2 {
        let identity = reader.identity(&key("prod")).await.unwrap();
        assert_eq!(identity.account, AccountId::parse("111122223333").unwrap());
        assert_eq!(identity.partition.as_str(), "aws-cn");
        assert_eq!(identity.caller, "arn:aws-cn:sts::111122223333:assumed-role/a/irsa");
    }
    assert_eq!((stub.seen().len(), reader.requests()), (1, 1));
}

#[tokio::test]
async fn described_cluster_has_its_issuer_verbatim() {
    let stub = Stub::serve(|seen| {
        assert_eq!(seen.path, "/clusters/prod-1");
        Reply::json(
            200,
            r#"{"cluster":{"name":"prod-1","status":"ACTIVE","endpoint":"https://api.example.com",
                "certificateAuthority":{"data":"Q0E="},
                "identity":{"oidc":{"issuer":"https://oidc-eks.eu-west-1.api.aws/id/ABC"}}}}"#,
        )
    })
    .await;
    let facts = reader(&stub).cluster(&key("c")).await.unwrap().unwrap();
    assert_eq!(facts.issuer.unwrap().as_str(), "https://oidc-eks.eu-west-1.api.aws/id/ABC");
    assert_eq!(facts.endpoint.as_deref(), Some("https://api.example.com"));
    assert_eq!(facts.certificate_authority.as_deref(), Some("Q0E="));
    assert_eq!(facts.status, "ACTIVE");
}

#[tokio::test]
async fn eks_client_is_built_once_in_each_region() {
    let reader = reader(&Stub::serve(|_| Reply::gone()).await);
    let account = &reader.clients.accounts[&key("prod")];
    let clients = ["eu-west-1", "eu-west-1", "us-east-1"].map(|region| account.eks(&Region::parse(region).unwrap()));
    let regions = clients.each_ref().map(|client| client.config().region().unwrap().to_string());
    assert_eq!(regions, ["eu-west-1", "eu-west-1", "us-east-1"]);
    // clones of one client share its configuration
    assert!(std::ptr::eq(clients[0].config(), clients[1].config()));
    assert!(!std::ptr::eq(clients[0].config(), clients[2].config()));
}

#[tokio::test]
async fn missing_cluster_is_absent_and_denied_cluster_is_an_error() {
    let stub = Stub::serve(|_| Reply::json_error(404, "ResourceNotFoundException", "No cluster found")).await;
    assert_eq!(reader(&stub).cluster(&key("c")).await, Ok(None));
    let stub = Stub::serve(|_| Reply::json_error(403, "AccessDeniedException", "not authorized")).await;
    let error = reader(&stub).cluster(&key("c")).await.unwrap_err();
    assert_eq!((error.kind, error.operation.as_str()), (CallErrorKind::Denied, "eks:DescribeCluster"));
}

#[tokio::test]
async fn undeclared_cluster_name_or_region_is_invalid() {
    let stub = Stub::serve(|_| Reply::json(200, "{}")).await;
    for (reader, cluster, words) in [
        (reader(&stub), "nowhere", "there is no cluster `nowhere`"),
        (reader(&stub), "metal", "irsa does not know the EKS name of cluster `metal`"),
        (reader_in(&stub, None), "c", "irsa does not know the region of cluster `c`"),
    ] {
        let error = reader.cluster(&key(cluster)).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (CallErrorKind::Invalid, words));
        assert!(reader.eks_token(&key(cluster)).await.is_err());
    }
    assert_eq!(reader(&stub).roles(&key("other")).await.unwrap_err().kind, CallErrorKind::Invalid);
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn token_is_a_signed_url_and_needs_no_request() {
    let stub = Stub::serve(|_| Reply::json(200, "{}")).await;
    let token = reader(&stub).eks_token(&key("c")).await.unwrap();
    let text = token.token.expose_secret().strip_prefix("k8s-aws-v1.").unwrap();
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    assert!(url.starts_with(&format!("{}/?Action=GetCallerIdentity&", stub.url)), "{url}");
    assert!(url.contains("X-Amz-SignedHeaders=host%3Bx-k8s-aws-id"), "{url}");
    assert!(url.contains("%2Feu-west-1%2Fsts%2Faws4_request"), "{url}");
    let left = token.expires - 1_700_000_000;
    assert!((840..=850).contains(&left), "{left}");
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn throttled_call_is_retried_by_our_rate_limiter_and_not_by_the_sdk() {
    let stub = Stub::serve(|seen| match seen.number {
        0..3 => Reply::error(400, "Throttling", "Rate exceeded"),
        _ => Reply::result("ListOpenIDConnectProviders", "<OpenIDConnectProviderList/>"),
    })
    .await;
    let reader = reader(&stub);
    assert_eq!(reader.providers(&key("prod")).await, Ok(Listed::default()));
    assert_eq!((stub.seen().len(), reader.requests()), (4, 4));
}

#[tokio::test]
async fn transient_errors_of_the_service_are_retried() {
    let stub = Stub::serve(|seen| match seen.number {
        0 => Reply::Hangup,
        1 => Reply::error(503, "ServiceUnavailable", "later"),
        2 => Reply::text(502, "<html>bad gateway</html>"),
        3 => Reply::error(500, "ServiceFailure", "oops"),
        _ => Reply::result("ListOpenIDConnectProviders", "<OpenIDConnectProviderList/>"),
    })
    .await;
    assert_eq!(reader(&stub).providers(&key("prod")).await, Ok(Listed::default()));
    assert_eq!(stub.seen().len(), 5);
}

#[tokio::test]
async fn final_error_has_its_request_id_and_is_not_retried() {
    for (status, code, kind) in [
        (403, "AccessDenied", CallErrorKind::Denied),
        (403, "ExpiredToken", CallErrorKind::Credentials),
        (403, "InvalidClientTokenId", CallErrorKind::Credentials),
        (400, "ValidationError", CallErrorKind::Invalid),
        (409, "LimitExceeded", CallErrorKind::Limit),
    ] {
        let stub = Stub::serve(move |_| Reply::error(status, code, "no\u{1b}[2J")).await;
        let error = reader(&stub).roles(&key("prod")).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_deref()), (kind, Some(code)));
        assert_eq!((error.message.as_str(), error.request_id.as_deref()), ("no [2J", Some("r-0")));
        assert_eq!(stub.seen().len(), 1, "{code}");
    }
}
