//! Where an API is, and what one signs in to it with.

use super::failure::ApiFailure;
use http::header::HeaderValue;
use kube::Config;
use kube::config::{AuthInfo, ExecConfig};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// Where an API is and how one signs in.
pub(crate) struct ApiTarget {
    /// All but what changes in the course of a run.
    pub(crate) config: Config,
    pub(crate) credentials: Credentials,
}

/// Where credentials come from.
pub(crate) enum Credentials {
    /// They are in `config`, or there are none.
    Fixed,
    /// A token stands in a file, which may change.
    File(PathBuf),
    /// A program prints them.
    Plugin(Box<ExecConfig>),
    /// They are made in process.
    Tokens,
}

/// Whether what is sent stands in the kubeconfig or in a file that it names.
pub(crate) fn is_fixed(user: &AuthInfo) -> bool {
    user.token.is_some()
        || user.token_file.is_some()
        || user.auth_provider.is_some()
        || (user.username.is_some() && user.password.is_some())
}

/// The header of a token.
pub(crate) fn bearer(token: &SecretString) -> Result<HeaderValue, ApiFailure> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
    let mut value = value.map_err(|_| ApiFailure::credentials("the token has characters that no header takes"))?;
    value.set_sensitive(true);
    Ok(value)
}
