//! What is made of an answer, whatever it says: the way from its bytes to a model type or a `CallError`, without a
//! network. A program that runs has no use for it; it is where tests and fuzzers come in. Sends nothing.

use super::account::{AccountClient, Action, Asked, AwsSettings, odd};
use super::connect::{AwsConnection, Clock};
use super::kubernetes::refusal;
use super::{Answer, CallError, RoleAttributes, iam};
use crate::context::Context;
use crate::event::{Listen, Silence};
use crate::ids::{Key, RoleName};
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Makes the answer of a service again and again.
#[derive(Debug, Clone)]
struct Canned {
    status: StatusCode,
    request_id: String,
    body: Vec<u8>,
}

impl HttpConnector for Canned {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        let mut response = HttpResponse::new(self.status, SdkBody::from(self.body.clone()));
        // what is no header value never comes out of an HTTP client
        let _ = response.headers_mut().try_insert("x-amzn-requestid", self.request_id.clone());
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// What is made of an answer to iam:GetRole. It is asked again for a second where that may help.
///
/// # Errors
/// As a read gives them.
pub async fn of_get_role(
    key: &Key,
    name: &RoleName,
    status: u16,
    request_id: &str,
    body: &[u8],
) -> Answer<Option<RoleAttributes>> {
    let status = StatusCode::try_from(status).map_err(|_| odd(Action::iam("GetRole"), "no HTTP status"))?;
    let canned = Canned { status, request_id: request_id.to_owned(), body: body.to_vec() };
    let client = http_client_fn(move |_, _| SharedHttpConnector::new(canned.clone()));
    let credentials = Credentials::new("AKIDNOBODY", "nothing", None, None, "answer");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .http_client(client)
        .build();
    let context = Context::fixed(BTreeMap::new(), 0, 1);
    let listen: Arc<dyn Listen> = Arc::new(Silence);
    let asked = Asked {
        context: &context,
        settings: AwsSettings { timeout: Duration::from_secs(1), parallelism: 1 },
        listen: &listen,
        requests: &Arc::new(AtomicU64::new(0)),
        clock: Clock::new(&context),
    };
    let account = AccountClient::new(key, AwsConnection::from_sdk(sdk, None), &asked);
    iam::roles::head(&account, name).await
}

/// What is made of an answer of a Kubernetes API that is no success.
pub fn of_kubernetes(status: u16, body: &[u8]) -> CallError {
    refusal(status, body)
}
