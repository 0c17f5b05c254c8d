//! Extends an existing configuration: what new files must fit, and what in it must change first.

use super::Seen;
use crate::config::{Configuration, Surroundings};
use crate::ids::{ClusterName, IssuerUrl, Key};
use crate::model::desired::{Cluster, ClusterState, Desired};
use crate::model::pattern::Pattern;
use std::collections::{BTreeMap, BTreeSet};

/// A configuration to which the result is added.
#[derive(Debug, Clone, PartialEq)]
pub struct Existing {
    /// It, resolved for the accounts that STS named.
    pub desired: Desired,
    /// Its keys and defaults.
    pub surroundings: Surroundings,
}

/// The EKS names of the active clusters.
pub fn active_names(declared: &BTreeMap<Key, Cluster>) -> impl Iterator<Item = &ClusterName> {
    let active = declared.values().filter(|cluster| cluster.state == ClusterState::Active);
    active.filter_map(|cluster| cluster.name.as_ref())
}

/// The lines of a configuration whose entries would also hold for a new cluster, each with what to change: entries that
/// name no cluster, because there is only one, and globs that match the key of a new one.
pub fn lines_to_change(file: &Configuration, declared: &BTreeMap<Key, Cluster>, new: &[&Key]) -> Vec<String> {
    if new.is_empty() {
        return Vec::new();
    }
    let mut active = declared.iter().filter(|(_, cluster)| cluster.state == ClusterState::Active);
    let only = active.next().or_else(|| declared.iter().next()).map(|(key, _)| key);
    let mut lines = BTreeSet::new();
    for (named, origin) in file.cluster_references() {
        let change = match (named, only) {
            (None, Some(only)) => format!("add `cluster = \"{only}\"`"),
            (Some(glob), _) if new.iter().any(|key| Pattern::new(glob).matches(key.as_str())) => {
                format!("name the clusters that `{glob}` stands for today")
            }
            _ => continue,
        };
        lines.insert((origin.file.clone(), origin.line, change));
    }
    lines.into_iter().map(|(file, line, change)| format!("{file}:{line}: {change}")).collect()
}

/// Drops the clusters that EKS lists and that the configuration declares by their issuer.
pub fn leave_out_declared(seen: &mut Seen, existing: &Existing) {
    let declared = &existing.desired.clusters;
    let is_declared = |key: &Key| declared.contains_key(key);
    // one that was not read has its issuer in the configuration
    let read = seen.clusters.iter().filter(|(key, _)| is_declared(key)).map(|(_, cluster)| cluster.issuer.clone());
    let issuers: BTreeSet<IssuerUrl> =
        declared.values().filter_map(|cluster| cluster.issuer.clone()).chain(read).collect();
    seen.clusters.retain(|key, cluster| is_declared(key) || !issuers.contains(&cluster.issuer));
}

/// What to say about the declared clusters that EKS does not have.
pub fn missing(existing: &Existing, missing: &[Key]) -> Vec<String> {
    let declared = missing.iter().filter_map(|key| existing.desired.clusters.get_key_value(key));
    let text = |(key, cluster): (&Key, &Cluster)| {
        let name = cluster.name.as_ref().map_or(key.as_str(), ClusterName::as_str);
        let region = cluster.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
        format!(
            "cluster `{key}`: EKS has no cluster `{name}`{region}; correct it at {}, or declare `state = \"gone\"`",
            cluster.origin
        )
    };
    declared.map(text).collect()
}
