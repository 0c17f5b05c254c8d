//! Describes clusters that this run need not read in full: those of other shards, and the one with the lock of `apply`,
//! a Lease. Connects only to the API of the latter.

use super::clusters::Described;
use super::{clusters, identify};
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::desired::{ClusterState, Desired};
use crate::model::live::{Access, Identity, Live, LiveAccount, LiveCluster, Observed};
use crate::model::marks::ADDRESS;
use crate::world::{ReadAws, ReadKubernetes};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// A cluster of another shard.
pub(super) fn of_other_shard(described: &Described) -> LiveCluster {
    LiveCluster { api: Access::Unknown("it belongs to another shard".to_owned()), ..clusters::unread(described) }
}

/// A declared role may still trust the provider of a cluster in which it has no binding any more. The address tag of
/// the provider names the cluster. The plan removes the trust only if it knows the cluster's issuer, so irsa describes
/// the cluster.
pub(super) async fn describe_trusted(
    desired: &Desired,
    identities: &BTreeMap<Key, Access<Identity>>,
    aws: &impl ReadAws,
    live: &mut Live,
) {
    let trusted: BTreeSet<Key> =
        live.accounts.iter().flat_map(|(key, account)| trusted_clusters(desired, key, account)).collect();
    let described = trusted.into_iter().filter(|key| !live.clusters.contains_key(key)).filter_map(|key| {
        let cluster = desired.clusters.get(&key).filter(|cluster| cluster.state == ClusterState::Active)?;
        Some(async move {
            let identity = identity(desired, identities, aws, &cluster.account).await;
            let described = clusters::describe(cluster, identity.as_ref(), aws.cluster(&key)).await;
            (key, of_other_shard(&described))
        })
    });
    let described = join_all(described.collect::<Vec<_>>()).await;
    live.clusters.extend(described);
}

/// The clusters whose providers the account's declared roles trust. A provider's address tag names its cluster.
fn trusted_clusters(desired: &Desired, key: &Key, account: &LiveAccount) -> BTreeSet<Key> {
    let roles = desired.roles.values().filter(|role| &role.account == key);
    let live = roles.filter_map(|role| account.roles.get(&role.name.lower_case())?.present());
    let issuers: BTreeSet<String> = live.flat_map(|role| role.role.trust.federated_issuers()).collect();
    let providers = account.providers.iter().filter(|(arn, _)| issuers.contains(arn.host_path()));
    let addresses = providers.filter_map(|(_, provider)| {
        let address = provider.present()?.provider.tags.get(ADDRESS)?;
        address.parse::<Address>().ok()
    });
    addresses
        .filter_map(|address| if let Address::OidcProvider { cluster, .. } = address { Some(cluster) } else { None })
        .collect()
}

/// The identity of the credentials of an account. Asks STS if `identities` does not have it.
async fn identity(
    desired: &Desired,
    identities: &BTreeMap<Key, Access<Identity>>,
    aws: &impl ReadAws,
    account: &Key,
) -> Option<Access<Identity>> {
    if let Some(known) = identities.get(account) {
        return Some(known.clone());
    }
    let declared = desired.accounts.get(account)?.clone();
    identify(&BTreeMap::from([(account.clone(), declared)]), aws).await.remove(account)
}

/// Connects to the API of cluster `key`, which has the Lease that is the lock.
pub async fn connect_for_lock(
    desired: &Desired,
    identities: &BTreeMap<Key, Access<Identity>>,
    aws: &impl ReadAws,
    kubernetes: &impl ReadKubernetes,
    key: &Key,
) -> Access<()> {
    let Some(cluster) = desired.clusters.get(key) else {
        return Access::Unknown(format!("cluster `{key}` is not declared"));
    };
    let identity = identity(desired, identities, aws, &cluster.account).await;
    match clusters::describe(cluster, identity.as_ref(), aws.cluster(key)).await.facts {
        Observed::Present(facts) => kubernetes.connect(key, &facts).await,
        Observed::Absent => Access::Unknown("EKS has no such cluster".to_owned()),
        Observed::Unknown(why) => Access::Unknown(why),
    }
}
