//! The connections of a run to AWS and Kubernetes, which tests replace by connections in memory, and the question for
//! an MFA code.
//!
//! A test that replaces only the connections still runs irsa's own signing, rate limits, retries and parsing.

use aws_config::SdkConfig;
use std::fmt;
use std::sync::Arc;

/// Makes the client of a Kubernetes API.
pub type MakeKubernetesClient = Arc<dyn Fn(kube::Config) -> Result<kube::Client, kube::Error> + Send + Sync>;

/// Asks a person a question. None if nobody can answer.
pub type AskUser = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The connections of a run. The default is the network, with the settings of the environment.
#[derive(Clone, Default)]
pub struct Transports {
    /// Replaces the AWS endpoint, credentials and HTTP client of the environment. irsa still sets retries, timeouts and
    /// assumed roles itself.
    pub aws: Option<SdkConfig>,
    /// Replaces connections over TCP and TLS.
    pub kubernetes: Option<MakeKubernetesClient>,
    /// Asks for MFA codes.
    pub ask: Option<AskUser>,
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transports").finish_non_exhaustive()
    }
}

impl Transports {
    pub(crate) fn kubernetes(&self, config: kube::Config) -> Result<kube::Client, kube::Error> {
        match &self.kubernetes {
            Some(clients) => clients(config),
            None => kube::Client::try_from(config),
        }
    }
}
