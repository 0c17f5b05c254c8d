//! Caches credentials for all accounts and clusters that share them, so that ten clusters do not run a credential
//! process ten times. If there are no credentials, explains why.

use super::Clock;
use super::diagnose::{CredentialsProblem, diagnose};
use super::profile::Profile;
use crate::context::Context;
use crate::world::redact;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError, future};
use std::time::Duration;
use tokio::sync::Mutex;

/// Credentials with less time left than this are fetched again. Must be longer than the margin of the SDK's own cache.
/// Otherwise the SDK would ask for new credentials, and this cache would return the old ones.
const MARGIN: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub(super) struct CredentialCache<P> {
    inner: P,
    clock: Clock,
    /// Where `inner` finds credentials, to explain why it finds none.
    sources: Option<(Profile, Context)>,
    cached: Mutex<Option<Credentials>>,
}

impl<P: ProvideCredentials> CredentialCache<P> {
    pub(super) fn new(inner: P, clock: Clock, sources: Option<(Profile, Context)>) -> Self {
        Self { inner, clock, sources, cached: Mutex::new(None) }
    }

    async fn credentials(&self) -> provider::Result {
        let mut cached = self.cached.lock().await;
        if let Some(credentials) = cached.as_ref()
            && credentials.expiry().is_none_or(|end| end > self.clock.now() + MARGIN)
        {
            return Ok(credentials.clone());
        }
        let fresh = match (self.inner.provide_credentials().await, &self.sources) {
            (Err(error), Some((profile, context))) => {
                let why = diagnose(profile, context).await;
                return Err(why.map_or(error, |why| CredentialsError::invalid_configuration(CredentialsProblem(why))));
            }
            (fresh, _) => fresh?,
        };
        hide(&fresh);
        if let Some(why) = unusable(&fresh) {
            return Err(CredentialsError::invalid_configuration(CredentialsProblem(why)));
        }
        *cached = Some(fresh.clone());
        Ok(fresh)
    }
}

/// Why a credential cannot be a header value: usually white space or a line break around it. The SDK would panic.
fn unusable(credentials: &Credentials) -> Option<String> {
    let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
    let from_variables = features.is_some_and(|features| features.contains(&AwsCredentialFeature::CredentialsEnvVars));
    let parts = [
        ("AWS_ACCESS_KEY_ID", "access key id", credentials.access_key_id()),
        ("AWS_SECRET_ACCESS_KEY", "secret access key", credentials.secret_access_key()),
        ("AWS_SESSION_TOKEN", "session token", credentials.session_token().unwrap_or("-")),
    ];
    parts.into_iter().find_map(|(variable, what, value)| {
        let name = if from_variables { format!("`{variable}`") } else { format!("the {what} of the credentials") };
        if value.trim() != value {
            return Some(format!("{name} has white space or a line break around its value: remove it"));
        }
        let is_odd = value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic());
        is_odd.then(|| format!("{name} has characters that are not allowed in it"))
    })
}

/// Hides the credentials in all messages.
fn hide(credentials: &Credentials) {
    // an emulator of AWS may use the account id as access key id, and every ARN contains the account id
    if credentials.access_key_id().bytes().any(|byte| byte.is_ascii_alphabetic()) {
        redact::hide(credentials.access_key_id());
    }
    redact::hide(credentials.secret_access_key());
    if let Some(token) = credentials.session_token() {
        redact::hide(token);
    }
}

impl<P: ProvideCredentials> ProvideCredentials for CredentialCache<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
