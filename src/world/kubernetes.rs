//! Kubernetes APIs through `kube`'s client: one connection a cluster, requests and answers as JSON.
//!
//! Reading and writing are two types. No error text of `kube` is passed on: those of credentials hold what exec plugins
//! printed and the environment that they were given, so every failure is told in words of our own.

mod connect;
mod fields;
mod reach;
mod read;
mod request;
#[cfg(test)]
mod tests;
mod write;

use super::{CallError, CallErrorKind};
use crate::context::Context;
use crate::ids::Key;
use crate::model::desired::Cluster;
use crate::model::marks::field_manager;
use futures::future::BoxFuture;
use reach::Link;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{RwLock, Semaphore};
use tokio::time::Instant;

/// How to talk to clusters.
#[derive(Debug, Clone, Copy)]
pub struct KubernetesSettings {
    /// The longest that one operation may take, retries included.
    pub timeout: Duration,
    /// Requests at a time for each cluster.
    pub parallelism: usize,
    /// Whether stdin is a terminal, so that an exec plugin may ask.
    pub interactive: bool,
}

/// Makes bearer tokens for EKS clusters: a token and when it expires, in seconds since 1970.
pub type TokenSource =
    Arc<dyn Fn(Key) -> BoxFuture<'static, Result<(SecretString, i64), CallError>> + Send + Sync>;

/// Reads.
#[derive(Clone)]
pub struct KubernetesReader {
    inner: Arc<Inner>,
}

/// Writes: made from a reader, and the only way to a write.
#[derive(Clone)]
pub struct KubernetesWriter {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    /// `irsa-<owner>`
    manager: String,
    places: BTreeMap<Key, Place>,
    tokens: TokenSource,
    settings: KubernetesSettings,
    requests: AtomicU64,
    began: Instant,
}

/// One cluster, and the way to it once it is verified.
struct Place {
    cluster: Cluster,
    permits: Semaphore,
    link: RwLock<Option<Arc<Link>>>,
}

impl fmt::Debug for KubernetesReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesReader").field("manager", &self.inner.manager).finish_non_exhaustive()
    }
}

impl fmt::Debug for KubernetesWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesWriter").field("manager", &self.inner.manager).finish_non_exhaustive()
    }
}

impl KubernetesReader {
    /// For these clusters; nothing is connected before `verify`.
    pub fn new(
        context: &Context,
        owner: &Key,
        clusters: &BTreeMap<Key, Cluster>,
        tokens: TokenSource,
        settings: KubernetesSettings,
    ) -> Self {
        let place = |cluster: &Cluster| Place {
            cluster: cluster.clone(),
            permits: Semaphore::new(settings.parallelism.max(1)),
            link: RwLock::new(None),
        };
        let inner = Inner {
            context: context.clone(),
            manager: field_manager(owner),
            places: clusters.iter().map(|(key, cluster)| (key.clone(), place(cluster))).collect(),
            tokens,
            settings,
            requests: AtomicU64::new(0),
            began: Instant::now(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The writer that shares the connections.
    pub fn writer(&self) -> KubernetesWriter {
        KubernetesWriter { inner: Arc::clone(&self.inner) }
    }

    /// How many requests were sent so far.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn place(&self, cluster: &Key) -> Result<&Place, CallError> {
        self.places.get(cluster).ok_or_else(|| {
            error("reach the cluster", CallErrorKind::Invalid, format!("cluster `{cluster}` is not declared"))
        })
    }

    /// The time, in seconds since 1970.
    fn now(&self) -> i64 {
        let elapsed = i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX);
        self.context.now().saturating_add(elapsed)
    }
}

/// An error without the service's own code.
fn error(operation: &str, kind: CallErrorKind, message: impl Into<String>) -> CallError {
    CallError { operation: operation.to_owned(), kind, code: None, message: message.into(), request_id: None }
}
