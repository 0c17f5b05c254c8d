//! The types `ApiTarget` (the address of an API) and `CredentialSource` (where its credentials come from).

use super::failure::ApiFailure;
use http::header::HeaderValue;
use kube::Config;
use kube::config::{AuthInfo, ExecConfig};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// The address of an API and the source of its credentials.
pub(crate) struct ApiTarget {
    /// All settings that do not change during a run.
    pub(crate) config: Config,
    pub(crate) credentials: CredentialSource,
}

pub(crate) enum CredentialSource {
    /// The credentials are in `ApiTarget::config`, or there are none.
    Static,
    /// A file with a token. The file may change.
    TokenFile(PathBuf),
    ExecPlugin(Box<ExecConfig>),
    /// irsa makes EKS tokens itself.
    EksToken,
}

/// Whether the kubeconfig has credentials that take precedence over an exec plugin.
pub(crate) fn overrides_plugin(user: &AuthInfo) -> bool {
    user.token.is_some()
        || user.token_file.is_some()
        || user.auth_provider.is_some()
        || (user.username.is_some() && user.password.is_some())
}

/// The `Authorization` header of a token.
pub(crate) fn bearer(token: &SecretString) -> Result<HeaderValue, ApiFailure> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
    let mut value =
        value.map_err(|_| ApiFailure::credentials("the token has characters that are not allowed in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}
