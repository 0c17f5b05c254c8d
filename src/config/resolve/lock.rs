//! The lock: which Lease of which cluster, and for how long it is held.

use super::{Diagnostic, Named, Resolver};
use crate::config::schema::{RawCluster, RawLock};
use crate::ids::{LeaseName, Namespace};
use crate::model::desired::Lock;

/// Where the Leases of a cluster's own components are
/// (<https://kubernetes.io/docs/concepts/architecture/leases/>): there in every cluster, and nobody deletes it.
const NAMESPACE: &str = "kube-system";
/// How long the lock holds without being renewed.
const SECONDS: u32 = 60;
/// Below, one slow answer would lose it; above, a run that was killed would hold up others for longer than it is worth.
const BOUNDS: (u32, u32) = (15, 3600);

impl<'a> Resolver<'a> {
    /// The declared lock.
    pub(super) fn lock(&mut self) -> Option<Lock> {
        let raw = self.raw.lock.as_ref()?;
        let RawLock { origin, flawed, cluster, namespace, name, duration } = raw;
        let duration = match duration {
            Some(spot) => self.seconds(spot, "duration", BOUNDS).unwrap_or(SECONDS),
            None => SECONDS,
        };
        let name = match name {
            Some(spot) => Some(spot.value.clone()),
            None => self.lease_name(raw),
        };
        let namespace = match namespace {
            Some(spot) => spot.value.clone(),
            None => Namespace::parse(NAMESPACE).unwrap_or_else(|error| unreachable!("{error}")),
        };
        let Some(spot) = cluster else {
            if !flawed {
                let hint = "add `cluster`: the key of the cluster that holds the Lease";
                self.push(Diagnostic::at(origin, "`[lock]` has no `cluster`").hint(hint));
            }
            return None;
        };
        let (key, declared) = self.named(Named::Cluster, spot, &self.raw.clusters)?;
        if let Some((why, hint)) = unreachable_api(declared) {
            let diagnostic = Diagnostic::at(&spot.origin, format!("cluster `{key}` cannot hold the lock: {why}"));
            self.push(diagnostic.and(&declared.origin, "it is declared here").hint(hint));
        }
        Some(Lock { cluster: key.clone(), namespace, name: name?, duration, origin: origin.clone() })
    }

    /// `irsa-<owner>`; an owner may have characters that no Lease may have.
    fn lease_name(&mut self, raw: &'a RawLock) -> Option<LeaseName> {
        let text = format!("irsa-{}", self.owner);
        match LeaseName::parse(text.as_str()) {
            Ok(name) => Some(name),
            Err(_) if raw.flawed => None,
            Err(why) => {
                let message = format!("the lock would be called `{text}`, but the name of a Lease {why}");
                self.push(Diagnostic::at(&raw.origin, message).hint("add `name`"));
                None
            }
        }
    }
}

/// Why nothing can be asked of a cluster's API, and what would help.
fn unreachable_api(cluster: &RawCluster) -> Option<(&'static str, &'static str)> {
    if cluster.state.as_ref().is_some_and(|state| state.value == "gone") {
        return Some(("its state is `gone`", "name a cluster that is there"));
    }
    if cluster.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.word.is_some()) {
        return Some(("its `kubernetes` is `\"none\"`", "name a cluster that is looked at"));
    }
    let context = cluster.kubernetes.as_ref().and_then(|kubernetes| kubernetes.context.as_ref());
    if cluster.flawed || cluster.name.is_some() || cluster.issuer.is_none() || context.is_some() {
        return None;
    }
    Some((
        "it is declared by its issuer alone, without a way to its API",
        "add `kubernetes = { context = \"…\" }` to it, or name another cluster",
    ))
}
