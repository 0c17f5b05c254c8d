//! What requests travel on: the network in life, memory in tests.
//!
//! Only clients are given from outside, never answers: what is signed, sent, paced, retried and understood is the same
//! on every wire.

use aws_config::SdkConfig;
use std::fmt;
use std::sync::Arc;

/// Makes the client of a Kubernetes API.
pub type KubernetesClients = Arc<dyn Fn(kube::Config) -> Result<kube::Client, kube::Error> + Send + Sync>;

/// Asks a person for a line; nothing where nobody can be asked.
pub type Ask = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What requests travel on; the default is the network with the settings of the environment.
#[derive(Clone, Default)]
pub struct Transports {
    /// In place of the ambient AWS settings: endpoint, credentials and HTTP client. Retries, timeouts and assumed roles
    /// stay irsa's own.
    pub aws: Option<SdkConfig>,
    /// In place of connections over TCP and TLS.
    pub kubernetes: Option<KubernetesClients>,
    /// Who can be asked for what a sign-in needs.
    pub ask: Option<Ask>,
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { aws, kubernetes, ask } = self;
        f.debug_struct("Wires")
            .field("aws", &aws.is_some())
            .field("kubernetes", &kubernetes.is_some())
            .field("ask", &ask.is_some())
            .finish()
    }
}

impl Transports {
    /// A client of the API that `config` leads to.
    pub(crate) fn kubernetes(&self, config: kube::Config) -> Result<kube::Client, kube::Error> {
        match &self.kubernetes {
            Some(clients) => clients(config),
            None => kube::Client::try_from(config),
        }
    }
}
