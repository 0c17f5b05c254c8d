//! Credentials that are fetched once and shared, so that ten clusters do not run a credential process ten times.

use super::Clock;
use crate::world::scrub;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials, future};
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
        *kept = Some(fresh.clone());
        Ok(fresh)
    }
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
