//! The clients of one account, and what they share.
//!
//! The SDK retries what is transient, three attempts a call; throttles it hands up at once, so that the pace follows
//! the first refusal and not the third, and its client-wide retry quota is not drained by them.

mod caller;
mod failure;
mod memory;

pub(crate) use failure::{invalid, odd, unsigned};

use crate::context::Context;
use crate::event::Listen;
use crate::ids::{Key, Region};
use crate::model::live::Identity;
use crate::world::bounds::{Listing, is_too_large};
use crate::world::connect::{AwsConnection, Clock, in_region};
use crate::world::{Answer, CallError, CallErrorKind};
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_iam::config::Intercept;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{BeforeTransmitInterceptorContextRef, InterceptorContext};
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;
use caller::Caller;
use failure::hopeless;
use memory::Memory;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsSettings {
    /// How long one operation may take, retries included.
    pub timeout: Duration,
    /// How many calls may be under way at once, per account.
    pub parallelism: usize,
}

/// The name of an API operation, as IAM policies write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Action {
    /// The prefix.
    pub(crate) service: &'static str,
    /// The operation.
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

/// What an account's clients are made with, beside its connection.
pub(crate) struct Asked<'a> {
    pub(crate) context: &'a Context,
    pub(crate) settings: AwsSettings,
    pub(crate) listen: &'a Arc<dyn Listen>,
    pub(crate) requests: &'a Arc<AtomicU64>,
    pub(crate) clock: Clock,
}

/// One account, ready to be asked.
pub(crate) struct AccountClient {
    pub(crate) context: Context,
    pub(crate) sdk: SdkConfig,
    /// The region of its settings, for clusters that name none.
    pub(crate) region: Option<Region>,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) caller: Caller,
    pub(crate) memory: Memory,
    pub(crate) clock: Clock,
    /// The address of STS, where it is set.
    pub(crate) sts_address: Option<String>,
    /// The list that is read in bulk.
    pub(crate) bulk: Mutex<Option<Listing>>,
    counter: Counter,
    eks: Mutex<BTreeMap<Region, aws_sdk_eks::Client>>,
    /// Who the credentials are, once STS was asked.
    pub(crate) identity: OnceCell<Identity>,
}

impl AccountClient {
    pub(crate) fn new(key: &Key, connection: AwsConnection, asked: &Asked<'_>) -> Self {
        let Asked { context, settings, listen, requests, clock } = *asked;
        let counter = Counter { requests: Arc::clone(requests) };
        let sdk = connection.sdk;
        let iam = aws_sdk_iam::config::Builder::from(&sdk)
            .retry_classifier(ThrottlesAreOurs)
            .interceptor(counter.clone())
            .build();
        let sts = aws_sdk_sts::config::Builder::from(&sdk)
            .retry_classifier(ThrottlesAreOurs)
            .interceptor(counter.clone())
            .build();
        let AwsSettings { timeout, parallelism } = settings;
        Self {
            context: context.clone(),
            region: connection.region,
            iam: aws_sdk_iam::Client::from_conf(iam),
            sts: aws_sdk_sts::Client::from_conf(sts),
            caller: Caller::new(key.clone(), context.clone(), timeout, parallelism, Arc::clone(listen))
                .with_fault(connection.fault),
            memory: Memory::default(),
            clock,
            sts_address: connection.sts,
            bulk: Mutex::default(),
            counter,
            eks: Mutex::default(),
            identity: OnceCell::new(),
            sdk,
        }
    }

    /// Has the credentials fetched, which are remembered.
    pub(crate) async fn sign_in(&self) {
        if let Some(provider) = self.sdk.credentials_provider() {
            drop(provider.provide_credentials().await);
        }
    }

    /// The EKS client of a region.
    pub(crate) fn eks(&self, region: &Region) -> aws_sdk_eks::Client {
        let mut clients = self.eks.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let config = aws_sdk_eks::config::Builder::from(&in_region(&self.sdk, region.as_str()))
                .retry_classifier(ThrottlesAreOurs)
                .interceptor(self.counter.clone())
                .build();
            aws_sdk_eks::Client::from_conf(config)
        };
        clients.entry(region.clone()).or_insert_with(new).clone()
    }
}

/// `Ok(None)` for what the service says is not there.
pub(crate) fn optional<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(CallError { kind: CallErrorKind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Counts what is sent, the SDK's own retries included.
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

/// Keeps the SDK from retrying a throttle by itself, and what does not go better the next time.
#[derive(Debug)]
struct ThrottlesAreOurs;

impl ClassifyRetry for ThrottlesAreOurs {
    fn classify_retry(&self, _context: &InterceptorContext) -> RetryAction {
        RetryAction::NoActionIndicated
    }

    fn classify_retry_v2(&self, context: &InterceptorContext, previous: &RetryAction) -> RetryAction {
        if let Some(Err(error)) = context.output_or_error()
            && (is_too_large(error) || hopeless(error).is_some())
        {
            return RetryAction::RetryForbidden;
        }
        match previous {
            RetryAction::RetryIndicated(RetryReason::RetryableError { kind: ErrorKind::ThrottlingError, .. }) => {
                RetryAction::RetryForbidden
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "irsa throttles"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
