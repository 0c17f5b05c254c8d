//! Simple readers with the SDK that irsa uses, for comparison.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_iam::Client;
use aws_sdk_iam::config::{Credentials, SharedCredentialsProvider};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A client with the SDK's defaults, or with its standard retry and this many attempts.
pub(crate) fn client(endpoint: &str, attempts: u32) -> Client {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "bench")))
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .build();
    Client::new(&config)
}

/// Reads one role, one call after the other. Returns whether all calls succeeded.
async fn role(client: &Client, name: &str) -> bool {
    if client.get_role().role_name(name).send().await.is_err() {
        return false;
    }
    let Ok(inline) = client.list_role_policies().role_name(name).send().await else { return false };
    for policy in inline.policy_names() {
        if client.get_role_policy().role_name(name).policy_name(policy).send().await.is_err() {
            return false;
        }
    }
    client.list_attached_role_policies().role_name(name).send().await.is_ok()
}

/// Reads the roles one after the other. Returns the time, and the number of roles that it could read.
pub(crate) async fn one_by_one(client: &Client, names: &[String]) -> (Duration, usize) {
    let started = Instant::now();
    let mut read = 0;
    for name in names {
        read += usize::from(role(client, name).await);
    }
    (started.elapsed(), read)
}

/// Reads this many roles at a time.
pub(crate) async fn at_once(client: &Client, names: &[String], width: usize) -> (Duration, usize) {
    let started = Instant::now();
    let mut running = JoinSet::new();
    let mut read = 0;
    for name in names {
        while running.len() >= width {
            read += usize::from(matches!(running.join_next().await, Some(Ok(true))));
        }
        let (client, name) = (client.clone(), name.clone());
        running.spawn(async move { role(&client, &name).await });
    }
    while let Some(ended) = running.join_next().await {
        read += usize::from(matches!(ended, Ok(true)));
    }
    (started.elapsed(), read)
}
