//! The Kubernetes half of the ports: ServiceAccounts, namespaces, pods and Leases of every declared cluster.
//!
//! A cluster is connected once, by `verify`, and nothing is read or written before that has shown that its API is the
//! declared cluster's. Exec plugins, retries and timeouts are our own: kube's would print what a plugin printed, run
//! it three times, and wait for it for ever. Nothing here decides what is to be written.

mod certificate;
mod connect;
mod credentials;
mod failure;
mod files;
mod identity;
mod kubeconfig;
mod lease;
mod live;
mod named;
mod plugin;
mod proxy;
mod read;
mod session;
mod socks;
#[cfg(test)]
mod tests;
mod warnings;
mod wire;
mod write;

use super::{
    Answer, CallError, ClusterFacts, ReadKubernetes, ServiceAccountList, ServiceAccountScope, Transports,
    WriteKubernetes, Written,
};
use crate::context::Context;
use crate::ids::{Key, Namespace, ServiceAccountName};
use crate::model::call::KubernetesCall;
use crate::model::desired::Cluster;
use crate::model::live::{Access, LiveServiceAccount, NamespacePhase};
use crate::model::marks::field_manager;
use connect::Connection;
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

/// How the Kubernetes APIs are talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KubernetesSettings {
    /// The budget of one operation, retries included.
    pub timeout: Duration,
    /// Requests at once to one cluster.
    pub parallelism: usize,
    /// Whether stdin is a terminal, so that an exec plugin may ask something.
    pub interactive: bool,
}

/// Makes bearer tokens for EKS clusters, each with the time at which it expires, in seconds since 1970.
pub type TokenSource = Arc<dyn Fn(Key) -> BoxFuture<'static, Result<(SecretString, i64), CallError>> + Send + Sync>;

/// Reads from the Kubernetes APIs of all declared clusters.
#[derive(Clone)]
pub struct KubernetesReader {
    shared: Arc<Shared>,
}

/// Writes to the Kubernetes APIs that its reader has verified.
#[derive(Clone)]
pub struct KubernetesWriter {
    shared: Arc<Shared>,
    halt: CancellationToken,
}

struct Shared {
    run: Arc<Run>,
    manager: String,
    places: BTreeMap<Key, ClusterEntry>,
}

/// A declared cluster and, once it was verified, the way to it.
struct ClusterEntry {
    cluster: Cluster,
    connection: Mutex<Option<Arc<Connection>>>,
}

/// What all connections of a run share.
struct Run {
    context: Context,
    wires: Transports,
    started: Instant,
    settings: KubernetesSettings,
    tokens: TokenSource,
    requests: AtomicU64,
    /// What the API servers warn of, to be told once.
    warnings: Warnings,
    /// Kubeconfigs by their files: each is read once, since it may be a pipe.
    kubeconfigs: Mutex<BTreeMap<Vec<PathBuf>, Arc<Kubeconfig>>>,
    /// Held while a plugin may ask something on the terminal: one question at a time.
    terminal: Mutex<()>,
}

impl Run {
    /// The time of day in seconds since 1970, from the context and the monotonic clock.
    fn now(&self) -> i64 {
        self.context.now().saturating_add(i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX))
    }

    /// The budget of one operation.
    fn budget(&self) -> Duration {
        self.context.scaled(self.settings.timeout)
    }
}

/// The error that an answer of an API becomes.
pub fn refusal(status: u16, body: &[u8]) -> CallError {
    ApiFailure::of_answer(status, body, None, 0).at("list ServiceAccounts")
}

impl CallError {
    /// Whether a policy of a cluster says that it refused.
    pub(crate) fn names_a_policy(&self) -> bool {
        failure::is_policys(&self.message)
    }
}

impl KubernetesReader {
    /// A reader of these clusters; it connects to none yet.
    pub fn new(
        context: &Context,
        wires: &Transports,
        owner: &Key,
        clusters: &BTreeMap<Key, Cluster>,
        tokens: TokenSource,
        settings: KubernetesSettings,
    ) -> Self {
        let place = |cluster: &Cluster| ClusterEntry { cluster: cluster.clone(), connection: Mutex::new(None) };
        let places = clusters.iter().map(|(key, cluster)| (key.clone(), place(cluster))).collect();
        let run = Run {
            context: context.clone(),
            wires: wires.clone(),
            started: Instant::now(),
            settings,
            tokens,
            requests: AtomicU64::new(0),
            warnings: Warnings::default(),
            kubeconfigs: Mutex::default(),
            terminal: Mutex::default(),
        };
        Self { shared: Arc::new(Shared { run: Arc::new(run), manager: field_manager(owner), places }) }
    }

    /// A writer over the same connections.
    pub fn writer(&self) -> KubernetesWriter {
        KubernetesWriter { shared: Arc::clone(&self.shared), halt: CancellationToken::new() }
    }

    /// Whether a cluster was verified, so that its API may be asked.
    pub async fn is_ready(&self, cluster: &Key) -> bool {
        self.shared.connection(cluster, "verify").await.is_ok()
    }

    /// What the API servers have warned of since this was asked last, each once.
    pub fn take_warnings(&self) -> Vec<String> {
        self.shared.run.warnings.take()
    }

    /// How many requests were sent so far, to all clusters together.
    pub fn requests(&self) -> u64 {
        self.shared.run.requests.load(Ordering::Relaxed)
    }
}

impl KubernetesWriter {
    /// Begins nothing any more once `halt` is cancelled: what waits for its turn is given up, and what is under way ends.
    #[must_use]
    pub fn halted_by(self, halt: &CancellationToken) -> Self {
        Self { halt: halt.clone(), ..self }
    }
}

impl Shared {
    /// The way to a verified cluster.
    async fn connection(&self, cluster: &Key, operation: &str) -> Answer<Arc<Connection>> {
        let held = match self.places.get(cluster) {
            Some(place) => place.connection.lock().await.clone(),
            None => None,
        };
        held.ok_or_else(|| ApiFailure::other(format!("cluster `{cluster}` was not verified")).at(operation))
    }
}

impl ReadKubernetes for KubernetesReader {
    async fn verify(&self, cluster: &Key, facts: &ClusterFacts) -> Access<()> {
        match self.shared.places.get(cluster) {
            Some(place) => connect::verify(&self.shared.run, cluster, place, facts).await,
            None => Access::Unknown(format!("cluster `{cluster}` is not declared")),
        }
    }

    async fn service_accounts(&self, cluster: &Key, within: ServiceAccountScope<'_>) -> Answer<ServiceAccountList> {
        let connection = self.shared.connection(cluster, read::LIST).await?;
        read::service_accounts(&connection, within).await
    }

    async fn service_accounts_unless_long(&self, cluster: &Key, patience: i64) -> Answer<Option<ServiceAccountList>> {
        let connection = self.shared.connection(cluster, read::LIST).await?;
        read::service_accounts_unless_long(&connection, patience).await
    }

    async fn service_account(
        &self,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
    ) -> Answer<Option<LiveServiceAccount>> {
        let connection = self.shared.connection(cluster, read::GET).await?;
        read::service_account(&connection, namespace, name).await
    }

    async fn namespaces(&self, cluster: &Key) -> Answer<BTreeMap<Namespace, NamespacePhase>> {
        let connection = self.shared.connection(cluster, read::LIST_NAMESPACES).await?;
        read::namespaces(&connection).await
    }

    async fn namespace(&self, cluster: &Key, namespace: &Namespace) -> Answer<Option<NamespacePhase>> {
        let connection = self.shared.connection(cluster, read::GET_NAMESPACE).await?;
        read::namespace(&connection, namespace).await
    }

    async fn pods(&self, cluster: &Key, namespace: &Namespace, name: &ServiceAccountName) -> Answer<Vec<String>> {
        let connection = self.shared.connection(cluster, read::LIST_PODS).await?;
        read::pods(&connection, namespace, name).await
    }
}

impl WriteKubernetes for KubernetesWriter {
    async fn write(&self, cluster: &Key, call: &KubernetesCall, version: Option<&str>) -> Answer<Written> {
        let connection = self.shared.connection(cluster, call.operation()).await?;
        write::write(&connection, &self.shared.manager, call, version, &self.halt).await
    }
}
