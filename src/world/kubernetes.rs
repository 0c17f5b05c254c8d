//! Reads and writes ServiceAccounts and Leases, and reads what else `plan` and `verify` need, through the Kubernetes
//! API of each declared cluster.
//!
//! `server_identity` connects to a cluster and checks that the API server belongs to it. Until then, irsa writes
//! nothing and reads nothing but the issuer of the API. irsa itself runs exec plugins, because kube would print their
//! output, run them three times and wait without limit. It also retries requests and limits their time itself. Nothing
//! here decides what to write.

mod api_target;
mod client;
mod client_certificate;
mod connection;
mod exec_plugin;
mod failure;
mod internal;
mod kubeconfig;
mod kubeconfig_context;
mod lease;
mod metadata;
mod proxy;
mod public_client;
mod published;
mod read;
mod send;
mod server_identity;
#[cfg(test)]
mod tests;
mod untrusted_kubeconfig;
mod verify_evidence;
mod warnings;
mod write;

use super::{Answer, CallError, Transports};
use crate::context::Context;
use crate::ids::Key;
use crate::model::desired::Cluster;
use crate::model::marks::field_manager;
use connection::ClusterConnection;
use failure::ApiFailure;
use futures::future::BoxFuture;
use kube::config::Kubeconfig;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use warnings::Warnings;

/// Settings for all clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KubernetesSettings {
    /// The time for one operation, with all its retries.
    pub timeout: Duration,
    /// How many requests to one cluster may run at the same time.
    pub parallelism: usize,
    /// Whether stdin is a terminal, so that an exec plugin may ask the user.
    pub interactive: bool,
}

/// Makes a bearer token for an EKS cluster. The second value is its expiry, in seconds since 1970.
pub type TokenSource = Arc<dyn Fn(Key) -> BoxFuture<'static, Result<(SecretString, i64), CallError>> + Send + Sync>;

/// Reads from the Kubernetes APIs of all declared clusters.
#[derive(Clone)]
pub struct KubernetesReader {
    clusters: Arc<Clusters>,
}

/// Writes to the Kubernetes APIs that its reader has verified.
#[derive(Clone)]
pub struct KubernetesWriter {
    clusters: Arc<Clusters>,
    halt: CancellationToken,
}

/// The declared clusters, shared by readers and writers.
struct Clusters {
    run: Arc<RunState>,
    /// irsa's field manager: the name under which it owns fields.
    manager: String,
    by_key: BTreeMap<Key, ClusterEntry>,
}

/// A declared cluster and, once verified, its connection.
struct ClusterEntry {
    cluster: Cluster,
    connection: Mutex<Option<Arc<ClusterConnection>>>,
}

/// What all connections of a run share.
struct RunState {
    context: Context,
    transports: Transports,
    started: Instant,
    settings: KubernetesSettings,
    tokens: TokenSource,
    requests: AtomicU64,
    warnings: Warnings,
    /// Kubeconfigs by their list of files. Each is read once, since it may be a pipe.
    kubeconfigs: Mutex<BTreeMap<Vec<PathBuf>, Arc<Kubeconfig>>>,
    /// Held while an exec plugin may ask the user, so that only one asks at a time.
    terminal: Mutex<()>,
}

impl RunState {
    /// The current time in seconds since 1970.
    fn now(&self) -> i64 {
        self.context.now().saturating_add(i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX))
    }

    /// The time for one operation.
    fn budget(&self) -> Duration {
        self.context.scaled(self.settings.timeout)
    }
}

/// Converts an error response of a Kubernetes API. For the fuzz target; the program does not call it.
pub fn parse_error_response(status: u16, body: &[u8]) -> CallError {
    ApiFailure::of_answer(status, body, None, 0).at("list ServiceAccounts")
}

impl CallError {
    /// Whether the message names the admission webhook or policy that refused the call.
    pub(crate) fn names_a_policy(&self) -> bool {
        failure::is_admission_denial(&self.message)
    }
}

impl KubernetesReader {
    /// Connects to no cluster yet.
    pub fn new(
        context: &Context,
        transports: &Transports,
        owner: &Key,
        clusters: &BTreeMap<Key, Cluster>,
        tokens: TokenSource,
        settings: KubernetesSettings,
    ) -> Self {
        let entry = |cluster: &Cluster| ClusterEntry { cluster: cluster.clone(), connection: Mutex::new(None) };
        let by_key = clusters.iter().map(|(key, cluster)| (key.clone(), entry(cluster))).collect();
        let run = RunState {
            context: context.clone(),
            transports: transports.clone(),
            started: Instant::now(),
            settings,
            tokens,
            requests: AtomicU64::new(0),
            warnings: Warnings::default(),
            kubeconfigs: Mutex::default(),
            terminal: Mutex::default(),
        };
        Self { clusters: Arc::new(Clusters { run: Arc::new(run), manager: field_manager(owner), by_key }) }
    }

    /// A writer over the same connections.
    pub fn writer(&self) -> KubernetesWriter {
        KubernetesWriter { clusters: Arc::clone(&self.clusters), halt: CancellationToken::new() }
    }

    /// Whether the cluster was verified.
    pub async fn is_verified(&self, cluster: &Key) -> bool {
        self.clusters.connection(cluster, "verify").await.is_ok()
    }

    /// The warnings of the API servers since the last call, each once.
    pub fn take_warnings(&self) -> Vec<String> {
        self.clusters.run.warnings.take()
    }

    /// The number of requests sent so far, to all clusters together.
    pub fn requests(&self) -> u64 {
        self.clusters.run.requests.load(Ordering::Relaxed)
    }
}

impl KubernetesWriter {
    /// Once `halt` is cancelled, no further request starts. A request in flight is finished.
    #[must_use]
    pub fn halted_by(self, halt: &CancellationToken) -> Self {
        Self { halt: halt.clone(), ..self }
    }
}

impl Clusters {
    /// The connection to a verified cluster.
    async fn connection(&self, cluster: &Key, operation: &str) -> Answer<Arc<ClusterConnection>> {
        let connection = match self.by_key.get(cluster) {
            Some(entry) => entry.connection.lock().await.clone(),
            None => None,
        };
        connection.ok_or_else(|| ApiFailure::other(format!("cluster `{cluster}` was not verified")).at(operation))
    }
}
