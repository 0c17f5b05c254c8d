//! Credentials that are fetched once and shared, so that ten clusters do not run a credential process ten times.

use super::{Clock, Explanation};
use crate::world::scrub;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError, future};
use std::time::Duration;
use tokio::sync::Mutex;

/// Fetched anew when they have less than this left. More than the SDK's own cache allows, so that it never asks for
/// credentials that are about to end and gets the same again.
const MARGIN: Duration = Duration::from_mins(5);

/// A provider that asks another one when it must.
#[derive(Debug)]
pub(crate) struct Remembered<P> {
    inner: P,
    clock: Clock,
    kept: Mutex<Option<Credentials>>,
}

impl<P: ProvideCredentials> Remembered<P> {
    pub(crate) fn new(inner: P, clock: Clock) -> Self {
        Self { inner, clock, kept: Mutex::new(None) }
    }

    async fn credentials(&self) -> provider::Result {
        let mut kept = self.kept.lock().await;
        if let Some(credentials) = kept.as_ref()
            && credentials.expiry().is_none_or(|end| end > self.clock.now() + MARGIN)
        {
            return Ok(credentials.clone());
        }
        let fresh = self.inner.provide_credentials().await?;
        hide(&fresh);
        if let Some(why) = unusable(&fresh) {
            return Err(CredentialsError::invalid_configuration(Explanation(why)));
        }
        *kept = Some(fresh.clone());
        Ok(fresh)
    }
}

/// What of them no header takes: white space around them, mostly a line break behind. The SDK would panic.
fn unusable(credentials: &Credentials) -> Option<String> {
    let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
    let of_variables = features.is_some_and(|features| features.contains(&AwsCredentialFeature::CredentialsEnvVars));
    let parts = [
        ("AWS_ACCESS_KEY_ID", "access key id", credentials.access_key_id()),
        ("AWS_SECRET_ACCESS_KEY", "secret access key", credentials.secret_access_key()),
        ("AWS_SESSION_TOKEN", "session token", credentials.session_token().unwrap_or("-")),
    ];
    parts.into_iter().find_map(|(variable, what, value)| {
        let named = if of_variables { format!("`{variable}`") } else { format!("the {what} of the credentials") };
        if value.trim() != value {
            return Some(format!("{named} has white space or a line break around its value: take it away"));
        }
        let odd = value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic());
        odd.then(|| format!("{named} has characters that no such value has"))
    })
}

/// Nothing that a service says may repeat them.
fn hide(credentials: &Credentials) {
    // an id made of digits is that of an account, as stand-ins for AWS have it, and stands in every ARN
    if credentials.access_key_id().bytes().any(|byte| byte.is_ascii_alphabetic()) {
        scrub::hide(credentials.access_key_id());
    }
    scrub::hide(credentials.secret_access_key());
    if let Some(token) = credentials.session_token() {
        scrub::hide(token);
    }
}

impl<P: ProvideCredentials> ProvideCredentials for Remembered<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
