//! Resolves `[lock]`: the cluster and the Lease, and how long it is held.

use super::{Diagnostic, KeyedTable, Resolver};
use crate::config::schema::{KubernetesSetting, RawCluster, RawLock};
use crate::ids::{LeaseName, Namespace};
use crate::model::desired::Lock;

/// The default namespace: it exists in every cluster, and Kubernetes keeps Leases of its own components there
/// (<https://kubernetes.io/docs/concepts/architecture/leases/>).
const NAMESPACE: &str = "kube-system";
/// The default duration in seconds.
const SECONDS: u32 = 60;
/// With less, one slow response would lose the lock. With more, a killed run would block other runs for too long.
const BOUNDS: (u32, u32) = (15, 3600);

impl<'a> Resolver<'a> {
    pub(super) fn lock(&mut self) -> Option<Lock> {
        let raw = self.raw.lock.as_ref()?;
        let RawLock { origin, flawed, cluster, namespace, name, duration } = raw;
        let duration = duration.as_ref().and_then(|text| self.seconds(text, "duration", BOUNDS)).unwrap_or(SECONDS);
        let name = match name {
            Some(name) => Some(name.value.clone()),
            None => self.default_lease_name(raw),
        };
        let namespace = match namespace {
            Some(namespace) => namespace.value.clone(),
            None => Namespace::parse(NAMESPACE).unwrap_or_else(|error| unreachable!("{error}")),
        };
        let Some(cluster) = cluster else {
            if !flawed {
                self.refuse(origin, "`[lock]` has no `cluster`").hint =
                    Some("add `cluster`: the key of the cluster that holds the Lease".to_owned());
            }
            return None;
        };
        let (key, declared) = self.lookup(KeyedTable::Cluster, cluster, &self.raw.clusters)?;
        if let Some((why, hint)) = unreachable_api(declared) {
            let diagnostic = Diagnostic::at(&cluster.origin, format!("cluster `{key}` cannot hold the lock: {why}"));
            self.errors.push(diagnostic.and(&declared.origin, "it is declared here").hint(hint));
        }
        Some(Lock { cluster: key.clone(), namespace, name: name?, duration, origin: origin.clone() })
    }

    /// `irsa-<owner>`. An owner may have characters that are invalid in the name of a Lease.
    fn default_lease_name(&mut self, raw: &'a RawLock) -> Option<LeaseName> {
        let text = format!("irsa-{}", self.owner);
        match LeaseName::parse(text.as_str()) {
            Ok(name) => Some(name),
            Err(_) if raw.flawed => None,
            Err(why) => {
                let message = format!("the lock would be called `{text}`, but the name of a Lease {why}");
                self.refuse(&raw.origin, message).hint = Some("add `name`".to_owned());
                None
            }
        }
    }
}

/// Why irsa cannot reach the API of a cluster, and a hint.
fn unreachable_api(cluster: &RawCluster) -> Option<(&'static str, &'static str)> {
    if cluster.state.as_ref().is_some_and(|state| state.value == "gone") {
        return Some(("its state is `gone`", "name an active cluster"));
    }
    let context = match &cluster.kubernetes {
        Some(KubernetesSetting::Word(_)) => {
            return Some(("its `kubernetes` is `\"none\"`", "name a cluster that irsa may access"));
        }
        Some(KubernetesSetting::Table(table)) => table.context.as_ref(),
        None => None,
    };
    if cluster.flawed || cluster.name.is_some() || cluster.issuer.is_none() || context.is_some() {
        return None;
    }
    Some((
        "it has only an issuer, and nothing says how to reach its API",
        "add `kubernetes = { context = \"…\" }` to it, or name another cluster",
    ))
}
