//! The SDK clients of one account, and what they share.
//!
//! The SDK retries transient errors, with three attempts a call. It does not retry throttles, for two reasons: the rate
//! limiter must see the first throttle and not only the third, and throttles must not use up the retry quota of the SDK
//! client.

mod call_sender;
mod failure;
mod recent_writes;

pub(crate) use call_sender::{SdkFailure, SdkFuture};
pub(crate) use failure::{invalid, other, unsigned};
pub(crate) use recent_writes::WriteKind;

use crate::context::Context;
use crate::event::Listen;
use crate::ids::{Key, Region};
use crate::model::live::Identity;
use crate::world::bounds::{Listing, is_too_large};
use crate::world::sdk_config::{AwsConnection, Clock, in_region, with_credentials};
use crate::world::{Answer, CallError, CallErrorKind};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_iam::config::Intercept;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{BeforeTransmitInterceptorContextRef, InterceptorContext};
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason as SdkRetryReason,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;
use call_sender::CallSender;
use failure::permanent;
use recent_writes::RecentWrites;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Limits on the calls to AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsSettings {
    /// How long one operation may take, retries included.
    pub timeout: Duration,
    /// How many calls may be in flight at once, for each account.
    pub parallelism: usize,
}

/// The name of an API operation, as IAM policies write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Action {
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
}

impl Action {
    pub(crate) const fn iam(name: &'static str) -> Self {
        Self { service: "iam", name }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.name)
    }
}

/// What all accounts have in common.
pub(crate) struct ClientOptions<'a> {
    pub(crate) context: &'a Context,
    pub(crate) settings: AwsSettings,
    pub(crate) listen: &'a Arc<dyn Listen>,
    pub(crate) requests: &'a Arc<AtomicU64>,
    pub(crate) clock: Clock,
}

/// The clients of one account.
pub(crate) struct AccountClient {
    pub(crate) context: Context,
    pub(crate) sdk: SdkConfig,
    /// The region of the account's settings, for clusters that declare none.
    pub(crate) region: Option<Region>,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) sender: CallSender,
    pub(crate) recent_writes: RecentWrites,
    pub(crate) clock: Clock,
    /// A configured endpoint of STS.
    pub(crate) sts_endpoint: Option<String>,
    /// Bounds the pages of GetAccountAuthorizationDetails.
    pub(crate) bulk_listing: Mutex<Option<Listing>>,
    counter: Counter,
    /// The EKS clients that were built, by region.
    eks: Mutex<BTreeMap<Region, aws_sdk_eks::Client>>,
    /// The answer of sts:GetCallerIdentity.
    pub(crate) identity: OnceCell<Identity>,
}

/// Makes a client with the retry classifier and the request counter.
macro_rules! client {
    ($sdk:ident, $config:expr, $counter:expr) => {
        $sdk::Client::from_conf(
            $sdk::config::Builder::from($config).retry_classifier(RetryRules).interceptor($counter.clone()).build(),
        )
    };
}

impl AccountClient {
    pub(crate) fn new(key: &Key, connection: AwsConnection, options: &ClientOptions<'_>) -> Self {
        let ClientOptions { context, settings, listen, requests, clock } = *options;
        let counter = Counter { requests: Arc::clone(requests) };
        let sdk = connection.sdk;
        let AwsSettings { timeout, parallelism } = settings;
        Self {
            context: context.clone(),
            region: connection.region,
            iam: client!(aws_sdk_iam, &sdk, counter),
            sts: client!(aws_sdk_sts, &sdk, counter),
            sender: CallSender::new(
                key.clone(),
                context.clone(),
                timeout,
                parallelism,
                Arc::clone(listen),
                connection.fault,
            ),
            recent_writes: RecentWrites::default(),
            clock,
            sts_endpoint: connection.sts,
            bulk_listing: Mutex::default(),
            counter,
            eks: Mutex::default(),
            identity: OnceCell::new(),
            sdk,
        }
    }

    /// Fetches the credentials, which the connection caches.
    pub(crate) async fn sign_in(&self) {
        if let Some(provider) = self.sdk.credentials_provider() {
            drop(provider.provide_credentials().await);
        }
    }

    /// The EKS client of a region. Builds it once, so that the clusters of a region share its connections.
    pub(crate) fn eks(&self, region: &Region) -> aws_sdk_eks::Client {
        let mut clients = self.eks.lock().unwrap_or_else(PoisonError::into_inner);
        let build = || client!(aws_sdk_eks, &in_region(&self.sdk, region.as_str()), self.counter);
        clients.entry(region.clone()).or_insert_with(build).clone()
    }

    /// The STS client of a region, with the credentials of a session if there are any.
    pub(crate) fn sts_in(&self, region: Option<&Region>, session: Option<Credentials>) -> aws_sdk_sts::Client {
        let sdk = region.map_or_else(|| self.sdk.clone(), |region| in_region(&self.sdk, region.as_str()));
        match session {
            Some(session) => client!(aws_sdk_sts, &with_credentials(&sdk, session), self.counter),
            None => client!(aws_sdk_sts, &sdk, self.counter),
        }
    }
}

/// `Ok(None)` if the service says that the object does not exist.
pub(crate) fn optional<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(CallError { kind: CallErrorKind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Counts requests, including the SDK's own retries.
#[derive(Debug, Clone)]
struct Counter {
    requests: Arc<AtomicU64>,
}

impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "irsa request counter"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Forbids the SDK to retry throttles, permanent failures and answers that are too large.
#[derive(Debug)]
struct RetryRules;

impl ClassifyRetry for RetryRules {
    fn classify_retry(&self, _context: &InterceptorContext) -> RetryAction {
        RetryAction::NoActionIndicated
    }

    fn classify_retry_v2(&self, context: &InterceptorContext, previous: &RetryAction) -> RetryAction {
        if let Some(Err(error)) = context.output_or_error()
            && (is_too_large(error) || permanent(error).is_some())
        {
            return RetryAction::RetryForbidden;
        }
        match previous {
            RetryAction::RetryIndicated(SdkRetryReason::RetryableError {
                kind: ErrorKind::ThrottlingError, ..
            }) => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "irsa retry rules"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
