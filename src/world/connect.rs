//! From an account of the configuration to a signed connection: profile, ambient chain, assumed role, region.
//!
//! All standard AWS settings work untouched, since the SDK reads them. Beyond it: no hang on a machine without
//! credentials (instance metadata is asked once and briefly), no region from instance metadata, one HTTP client for
//! all, and credentials that are fetched once for all accounts and clusters that share them. Sends nothing itself.

mod bounded;
mod remember;

use crate::context::Context;
use crate::ids::{Key, Region};
use crate::model::desired::{Account, Cluster};
use crate::world::Wires;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_iam::config::{RuntimeComponents, SharedHttpClient};
use bounded::Bounded;
use remember::Remembered;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// How long one attempt of an ordinary call may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long one attempt may take that reads a page of up to a thousand roles.
pub(crate) const LONG_ATTEMPT: Duration = Duration::from_secs(30);
/// How long signing in may take: SSO, a credential process and an assumed role in a row.
const SIGN_IN: Duration = Duration::from_mins(1);
/// The name of assumed sessions, as CloudTrail shows it.
const SESSION: &str = "irsa";

/// The time of day, from the context and the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    began: SystemTime,
    started: Instant,
}

impl Clock {
    pub(crate) fn new(context: &Context) -> Self {
        let seconds = Duration::from_secs(u64::try_from(context.now()).unwrap_or(0));
        Self { began: UNIX_EPOCH + seconds, started: Instant::now() }
    }

    pub(crate) fn now(self) -> SystemTime {
        self.began + self.started.elapsed()
    }
}

/// How to reach one account.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Credentials, endpoints, timeouts; its region is never empty.
    pub(crate) sdk: SdkConfig,
    /// The region that the environment or the profile names, if any.
    pub(crate) region: Option<Region>,
}

/// Makes connections, sharing what can be shared.
pub(crate) struct Connector<'a> {
    context: &'a Context,
    wires: &'a Wires,
    timeout: Duration,
    clock: Clock,
    http: SharedHttpClient,
    /// What is below an assumed role, by profile.
    bases: BTreeMap<Option<String>, (SdkConfig, Option<Region>)>,
}

impl<'a> Connector<'a> {
    pub(crate) fn new(context: &'a Context, wires: &'a Wires, timeout: Duration, clock: Clock) -> Self {
        let given = wires.aws.as_ref().and_then(SdkConfig::http_client);
        let http = SharedHttpClient::new(Bounded(given.unwrap_or_else(http_client)));
        Self { context, wires, timeout, clock, http, bases: BTreeMap::new() }
    }

    /// The connection of one account.
    pub(crate) async fn connect(
        &mut self,
        key: &Key,
        account: &Account,
        clusters: &BTreeMap<Key, Cluster>,
    ) -> Connection {
        let (base, region) = self.base(account.profile.as_deref()).await;
        let used = region.as_ref().map_or_else(|| fallback_region(key, account, clusters), Region::to_string);
        let mut sdk = in_region(&base, &used);
        if let Some(role) = &account.assume_role {
            let mut assumed = AssumeRoleProvider::builder(role).session_name(SESSION).configure(&sdk);
            if let Some(external_id) = &account.external_id {
                assumed = assumed.external_id(external_id);
            }
            let credentials = Remembered::new(assumed.build().await, self.clock);
            sdk = with_credentials(&sdk, credentials);
        }
        Connection { sdk, region }
    }

    /// The region of the ambient settings: `AWS_REGION`, `AWS_DEFAULT_REGION`, or the ambient profile's.
    pub(crate) async fn default_region(&self) -> Option<Region> {
        self.region(None).await
    }

    async fn region(&self, profile: Option<&str>) -> Option<Region> {
        let named = self.context.variable("AWS_REGION").or_else(|| self.context.variable("AWS_DEFAULT_REGION"));
        if let Some(named) = named {
            return Region::parse(named).ok();
        }
        let mut provider = ProfileFileRegionProvider::builder();
        if let Some(profile) = profile {
            provider = provider.profile_name(profile);
        }
        let region = provider.build().region().await?;
        Region::parse(region.as_ref()).ok()
    }

    /// The settings of a profile, or the ambient ones, with their credentials.
    async fn base(&mut self, profile: Option<&str>) -> (SdkConfig, Option<Region>) {
        let key = profile.map(str::to_owned);
        if let Some(known) = self.bases.get(&key) {
            return known.clone();
        }
        let region = self.region(profile).await;
        let used = aws_config::Region::new(region.as_ref().map_or("us-east-1", Region::as_str).to_owned());
        if let Some(given) = &self.wires.aws {
            let given = given.clone().into_builder();
            let given = given.region(used).http_client(self.http.clone());
            let sdk = given.retry_config(self.retries()).timeout_config(self.timeouts()).build();
            self.bases.insert(key, (sdk.clone(), region.clone()));
            return (sdk, region);
        }
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(self.http.clone())
            .region(used.clone())
            .retry_config(self.retries())
            .timeout_config(self.timeouts())
            .no_credentials();
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        let sdk = loader.load().await;
        let provider_config = ProviderConfig::without_region()
            .with_region(Some(used))
            .with_http_client(self.http.clone())
            .with_use_fips(sdk.use_fips())
            .with_use_dual_stack(sdk.use_dual_stack())
            .with_behavior_version(sdk.behavior_version())
            .with_retry_config(self.retries())
            .with_timeout_config(self.timeouts());
        let sdk = with_credentials(&sdk, Remembered::new(self.credentials(profile, provider_config).await, self.clock));
        self.bases.insert(key, (sdk.clone(), region.clone()));
        (sdk, region)
    }

    /// A declared profile is meant: unlike in the chain, keys in the environment do not go before it.
    async fn credentials(&self, profile: Option<&str>, config: ProviderConfig) -> SharedCredentialsProvider {
        if let Some(profile) = profile {
            let provider = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&config).build();
            return SharedCredentialsProvider::new(provider);
        }
        let metadata = aws_config::imds::Client::builder()
            .configure(&config)
            .max_attempts(1)
            .connect_timeout(self.context.scaled(Duration::from_secs(1)))
            .read_timeout(self.context.scaled(Duration::from_secs(2)))
            .operation_timeout(self.context.scaled(Duration::from_secs(4)))
            .build();
        SharedCredentialsProvider::new(
            DefaultCredentialsChain::builder().imds_client(metadata).configure(config).build().await,
        )
    }

    fn retries(&self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(self.context.scaled(Duration::from_millis(500)))
            .with_max_backoff(self.context.scaled(Duration::from_secs(5)))
    }

    /// Without these a server that takes the request and never answers is waited for without end.
    fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.context.scaled(Duration::from_millis(3_100)))
            .operation_attempt_timeout(self.context.scaled(ATTEMPT))
            .operation_timeout(self.context.scaled(self.timeout))
            .build()
    }
}

/// The same connection in another region.
pub(crate) fn in_region(sdk: &SdkConfig, region: &str) -> SdkConfig {
    sdk.clone().into_builder().region(aws_config::Region::new(region.to_owned())).build()
}

/// The same connection with other credentials, which have a cache of their own.
fn with_credentials(sdk: &SdkConfig, credentials: impl ProvideCredentials + 'static) -> SdkConfig {
    sdk.clone()
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .identity_cache(IdentityCache::lazy().load_timeout(SIGN_IN).build())
        .build()
}

/// Where to find the global services of an account that has no region: its clusters tell, or the role that is assumed.
fn fallback_region(key: &Key, account: &Account, clusters: &BTreeMap<Key, Cluster>) -> String {
    let of_cluster = clusters.values().filter(|cluster| &cluster.account == key).find_map(|c| c.region.as_ref());
    if let Some(region) = of_cluster {
        return region.to_string();
    }
    let partition = account.assume_role.as_deref().and_then(|arn| arn.split(':').nth(1)).unwrap_or_default();
    let region = match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-iso-e" => "eu-isoe-west-1",
        "aws-iso-f" => "us-isof-south-1",
        "aws-eusc" => "eusc-de-east-1",
        _ => "us-east-1",
    };
    region.to_owned()
}

/// One client for all services and accounts: one pool, one reading of the root certificates. Proxies come from the
/// usual variables.
fn http_client() -> SharedHttpClient {
    use aws_smithy_http_client::proxy::ProxyConfig;
    use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
    aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = aws_smithy_http_client::Connector::builder()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

#[cfg(test)]
mod tests;
