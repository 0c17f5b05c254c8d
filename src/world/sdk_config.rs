//! Builds the SDK configuration of each account: profile, credential chain, assumed role, region, endpoints and HTTP
//! client. Sends nothing itself: the first call or `sign_in` fetches credentials.
//!
//! The SDK reads the standard AWS settings. irsa adds `ca_bundle` and `mfa_serial`, treats empty settings as not set,
//! says which setting is wrong, and shares one HTTP client for each CA bundle. All accounts and clusters that use the
//! same credentials share them too, so irsa fetches them once. It asks instance metadata for credentials once, with a
//! short timeout, and never for the region.

pub(crate) mod ca_bundle;
mod cached;
mod diagnose;
mod mfa;
mod profile;
mod size_limit;

pub(crate) use diagnose::CredentialsProblem;

use crate::context::Context;
use crate::ids::{Key, Region};
use crate::model::desired::{Account, Cluster};
use crate::world::Transports;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_iam::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::tls::TlsContext;
use cached::CredentialCache;
use profile::{Endpoints, Profile};
use size_limit::SizeLimited;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The timeout of one attempt of an ordinary call.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The timeout of one attempt that reads a page of up to a thousand roles.
pub(crate) const LONG_ATTEMPT: Duration = Duration::from_secs(30);
/// The timeout of a sign-in: SSO, a credential process and an assumed role in a row.
const SIGN_IN: Duration = Duration::from_mins(1);
/// The name of assumed sessions, which CloudTrail shows.
const SESSION: &str = "irsa";

/// The current time: the context's time at the start, plus what the monotonic clock has measured since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall_start: SystemTime,
    started: Instant,
}

impl Clock {
    pub(crate) fn new(context: &Context) -> Self {
        let seconds = Duration::from_secs(u64::try_from(context.now()).unwrap_or(0));
        Self { wall_start: UNIX_EPOCH + seconds, started: Instant::now() }
    }

    pub(crate) fn now(self) -> SystemTime {
        self.wall_start + self.started.elapsed()
    }
}

/// How to reach one account.
#[derive(Debug, Clone)]
pub(crate) struct AwsConnection {
    /// Credentials, endpoints and timeouts. Its region is always set.
    pub(crate) sdk: SdkConfig,
    /// The region in the environment or the profile.
    pub(crate) region: Option<Region>,
    /// The endpoint of STS, if it is set.
    pub(crate) sts: Option<String>,
    /// A wrong setting that prevents all calls.
    pub(crate) fault: Option<String>,
}

impl AwsConnection {
    pub(crate) fn from_sdk(sdk: SdkConfig, region: Option<Region>) -> Self {
        let sts = sdk.endpoint_url().map(str::to_owned);
        Self { sdk, region, sts, fault: None }
    }
}

/// Makes connections that share clients and credentials.
pub(crate) struct AccountConnector<'a> {
    context: &'a Context,
    transports: &'a Transports,
    timeout: Duration,
    clock: Clock,
    /// HTTP clients by the CA bundle that they trust. Each has its own connection pool.
    http: BTreeMap<Option<PathBuf>, SharedHttpClient>,
    /// Connections without an assumed role, by profile.
    bases: BTreeMap<Option<String>, AwsConnection>,
}

impl<'a> AccountConnector<'a> {
    pub(crate) fn new(context: &'a Context, transports: &'a Transports, timeout: Duration, clock: Clock) -> Self {
        Self { context, transports, timeout, clock, http: BTreeMap::new(), bases: BTreeMap::new() }
    }

    pub(crate) async fn connect(
        &mut self,
        key: &Key,
        account: &Account,
        clusters: &BTreeMap<Key, Cluster>,
    ) -> AwsConnection {
        let AwsConnection { sdk, region, sts, fault } = self.base(account.profile.as_deref()).await;
        let used = region.as_ref().map_or_else(|| fallback_region(key, account, clusters), Region::to_string);
        let mut sdk = in_region(&sdk, &used);
        if let Some(role) = &account.assume_role {
            let mut assumed = AssumeRoleProvider::builder(role).session_name(SESSION).configure(&sdk);
            if let Some(external_id) = &account.external_id {
                assumed = assumed.external_id(external_id);
            }
            let credentials = CredentialCache::new(assumed.build().await, self.clock, None);
            sdk = with_credentials(&sdk, credentials);
        }
        AwsConnection { sdk, region, sts, fault }
    }

    /// The region in `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile that `AWS_PROFILE` names (or else `default`).
    ///
    /// # Errors
    /// Says which setting has no valid region.
    pub(crate) async fn default_region(&self) -> Result<Option<Region>, String> {
        Profile::load(self.context, None).await.region(self.context)
    }

    /// The connection of a declared profile, or of the default one, without an assumed role.
    async fn base(&mut self, declared: Option<&str>) -> AwsConnection {
        let key = declared.map(str::to_owned);
        if let Some(known) = self.bases.get(&key) {
            return known.clone();
        }
        let profile = Profile::load(self.context, declared).await;
        // a wrong region is reported where a region is needed
        let region = profile.region(self.context).ok().flatten();
        let used = aws_config::Region::new(region.as_ref().map_or("us-east-1", Region::as_str).to_owned());
        let made = match &self.transports.aws {
            Some(given) => {
                let given = given.clone().into_builder().region(used).http_client(self.http_client(None));
                let sdk = given.retry_config(self.retries()).timeout_config(self.timeouts()).build();
                AwsConnection::from_sdk(sdk, region)
            }
            None => self.of_profile(&profile, declared, region, used).await,
        };
        self.bases.insert(key, made.clone());
        made
    }

    async fn of_profile(
        &mut self,
        profile: &Profile,
        declared: Option<&str>,
        region: Option<Region>,
        used: aws_config::Region,
    ) -> AwsConnection {
        let (http, wrong_bundle) = self.http_of_profile(profile).await;
        let (endpoints, wrong_endpoint) = match profile.endpoints(self.context) {
            Ok(endpoints) => (endpoints, None),
            Err(fault) => (Endpoints::default(), Some(fault)),
        };
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http.clone())
            .region(used.clone())
            .retry_config(self.retries())
            .timeout_config(self.timeouts())
            .no_credentials();
        if let Some(profile) = declared {
            loader = loader.profile_name(profile);
        }
        let sts = endpoints.sts();
        let mut sdk = loader.load().await.into_builder();
        // the SDK would take an empty setting as the URL, so irsa gives it the endpoints itself
        sdk.set_endpoint_url(None).set_service_config(Some(endpoints));
        let sdk = sdk.build();
        let config = ProviderConfig::without_region()
            .with_region(Some(used))
            .with_http_client(http)
            .with_use_fips(sdk.use_fips())
            .with_use_dual_stack(sdk.use_dual_stack())
            .with_behavior_version(sdk.behavior_version())
            .with_retry_config(self.retries())
            .with_timeout_config(self.timeouts());
        let inner = self.credentials(profile, declared, config, &sdk).await;
        let sources = Some((profile.clone(), self.context.clone()));
        let sdk = with_credentials(&sdk, CredentialCache::new(inner, self.clock, sources));
        // the SDK would ignore the variable and might use another account
        let not_utf8 = self.context.not_text().find(|name| name.starts_with("AWS_"));
        let not_utf8 = not_utf8.map(|name| format!("`{name}` is not UTF-8: set it again"));
        AwsConnection { sdk, region, sts, fault: not_utf8.or(wrong_bundle).or(wrong_endpoint) }
    }

    /// The HTTP client with the profile's CA bundle, and why the bundle cannot be used.
    async fn http_of_profile(&mut self, profile: &Profile) -> (SharedHttpClient, Option<String>) {
        let Some((what, file)) = profile.ca_bundle(self.context) else { return (self.http_client(None), None) };
        if let Some(known) = self.http.get(&Some(file.clone())) {
            return (known.clone(), None);
        }
        match ca_bundle::trust_only(&what, &file).await {
            Ok(trust) => (self.http_client(Some((file, trust))), None),
            Err(fault) => (self.http_client(None), Some(fault)),
        }
    }

    fn http_client(&mut self, trust: Option<(PathBuf, TlsContext)>) -> SharedHttpClient {
        let (file, trust) = trust.unzip();
        let given = self.transports.aws.as_ref().and_then(SdkConfig::http_client);
        let made =
            || SharedHttpClient::new(SizeLimited(given.unwrap_or_else(|| new_http_client(trust.unwrap_or_default()))));
        self.http.entry(file).or_insert_with(made).clone()
    }

    /// Where the profile's credentials come from. Unlike in the SDK's chain, a profile that the configuration declares
    /// takes precedence over keys in the environment.
    async fn credentials(
        &self,
        profile: &Profile,
        declared: Option<&str>,
        config: ProviderConfig,
        sdk: &SdkConfig,
    ) -> SharedCredentialsProvider {
        let of = |name: &str| ProfileFileCredentialsProvider::builder().profile_name(name).configure(&config).build();
        let keys = || self.context.variable("AWS_ACCESS_KEY_ID").is_some();
        if let Some(wanted) = mfa::role_and_device(profile).filter(|_| declared.is_some() || !keys()) {
            let source = match profile.get("source_profile") {
                Some(source) if source != profile.name => Some(SharedCredentialsProvider::new(of(source))),
                Some(_) => mfa::own_keys(profile).map(SharedCredentialsProvider::new),
                None => None,
            };
            if let Some(source) = source {
                let ask = self.transports.ask.clone();
                return mfa::provider(profile, wanted, sdk, source, ask);
            }
        }
        if let Some(name) = declared {
            return SharedCredentialsProvider::new(of(name));
        }
        let metadata = aws_config::imds::Client::builder()
            .configure(&config)
            .max_attempts(1)
            .connect_timeout(self.context.scaled(Duration::from_secs(1)))
            .read_timeout(self.context.scaled(Duration::from_secs(2)))
            .operation_timeout(self.context.scaled(Duration::from_secs(4)))
            .build();
        let mut chain = DefaultCredentialsChain::builder().imds_client(metadata).configure(config);
        // or else the chain asks instance metadata for the region, and waits for it
        chain.set_region(sdk.region().cloned());
        SharedCredentialsProvider::new(chain.build().await)
    }

    fn retries(&self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(self.context.scaled(Duration::from_millis(500)))
            .with_max_backoff(self.context.scaled(Duration::from_secs(5)))
    }

    /// The timeouts of a call. By default, the SDK waits without limit for a server that accepts a request and never
    /// answers.
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

/// The same connection with other credentials. They get an identity cache of their own.
pub(crate) fn with_credentials(sdk: &SdkConfig, credentials: impl ProvideCredentials + 'static) -> SdkConfig {
    sdk.clone()
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .identity_cache(IdentityCache::lazy().load_timeout(SIGN_IN).build())
        .build()
}

/// The region for the global services of an account without a region: the region of a cluster, or one in the partition
/// of the assumed role.
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

/// Makes an HTTP client that trusts `trust` and uses the proxy that the environment names.
fn new_http_client(trust: TlsContext) -> SharedHttpClient {
    use aws_smithy_http_client::proxy::ProxyConfig;
    use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
    aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = aws_smithy_http_client::Connector::builder()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .tls_context(trust.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

#[cfg(test)]
mod tests;
