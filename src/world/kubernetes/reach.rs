//! The way to one cluster: a client, and for an EKS endpoint the token that goes with every request.

use super::Inner;
use crate::ids::Key;
use crate::world::CallError;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

/// How long before its end a token is replaced, in seconds.
const MARGIN: i64 = 60;

/// A client, and who it is.
pub(super) struct Link {
    pub(super) client: kube::Client,
    /// For an EKS endpoint: made in process, kept until it nears its end.
    pub(super) token: Option<Mutex<Option<(SecretString, i64)>>>,
}

impl Link {
    /// Puts the token on a request; a client of a kubeconfig has its own credentials.
    pub(super) async fn authorize(
        &self,
        inner: &Inner,
        cluster: &Key,
        headers: &mut http::HeaderMap,
    ) -> Result<(), CallError> {
        let Some(slot) = &self.token else { return Ok(()) };
        let mut slot = slot.lock().await;
        let fresh = matches!(&*slot, Some((_, expires)) if *expires - MARGIN > inner.now());
        if !fresh {
            *slot = Some((inner.tokens)(cluster.clone()).await?);
        }
        let value = slot.as_ref().map(|(token, _)| format!("Bearer {}", token.expose_secret())).unwrap_or_default();
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(())
    }
}
