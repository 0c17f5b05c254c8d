//! What a shard looks at in the clusters of other shards: their issuers, and never their APIs.

use super::{clusters, identify};
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::desired::{ClusterState, Desired};
use crate::model::live::{Access, Extent, Identity, Live, LiveAccount, LiveCluster, Observed};
use crate::model::marks::ADDRESS;
use crate::world::{ClusterFacts, ReadAws, ReadKubernetes};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// A cluster of which only the issuer was asked for.
pub(super) fn described(facts: Observed<ClusterFacts>) -> LiveCluster {
    let issuer = match facts {
        Observed::Present(facts) => match facts.issuer {
            Some(issuer) => Observed::Present(issuer),
            None => Observed::Absent,
        },
        Observed::Absent => Observed::Absent,
        Observed::Unknown(why) => Observed::Unknown(why),
    };
    LiveCluster {
        issuer,
        api: Access::Unknown("it belongs to another shard".to_owned()),
        extent: Extent::Named,
        namespaces: BTreeMap::new(),
        service_accounts: BTreeMap::new(),
    }
}

/// Describes the clusters whose providers our roles still trust although they are bound there no more: whether that
/// trust may go depends on whose issuer it is.
pub(super) async fn describe_marked(
    wanted: &Desired,
    identities: &BTreeMap<Key, Access<Identity>>,
    aws: &impl ReadAws,
    live: &mut Live,
) {
    let marked: BTreeSet<Key> =
        live.accounts.iter().flat_map(|(key, account)| trusted_marks(wanted, key, account)).collect();
    let asked = marked.into_iter().filter(|key| !live.clusters.contains_key(key)).filter_map(|key| {
        let cluster = wanted.clusters.get(&key).filter(|cluster| cluster.state == ClusterState::Active)?;
        Some(async move {
            let identity = identity(wanted, identities, aws, &cluster.account).await;
            let facts = clusters::facts(cluster, identity.as_ref(), aws.cluster(&key)).await;
            (key, described(facts))
        })
    });
    let asked: Vec<_> = asked.collect();
    live.clusters.extend(join_all(asked).await);
}

/// The clusters that are marked on the providers that our roles of an account trust.
fn trusted_marks(wanted: &Desired, key: &Key, account: &LiveAccount) -> BTreeSet<Key> {
    let roles = wanted.roles.values().filter(|role| &role.account == key);
    let live = roles.filter_map(|role| account.roles.get(&role.name.case_insensitive())?.present());
    let issuers: BTreeSet<String> = live.flat_map(|role| role.role.trust.federated_issuers()).collect();
    let providers = account.providers.iter().filter(|(arn, _)| issuers.contains(arn.host_path()));
    providers
        .filter_map(|(_, provider)| match provider.present()?.provider.tags.get(ADDRESS)?.parse::<Address>().ok()? {
            Address::OidcProvider { cluster, .. } => Some(cluster),
            _ => None,
        })
        .collect()
}

/// Who the credentials of an account are, asked now if they were not.
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

/// Makes the way to one cluster's API ready, for the lock that lies there.
pub async fn reach(
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
    match clusters::facts(cluster, identity.as_ref(), aws.cluster(key)).await {
        Observed::Present(facts) => kubernetes.verify(key, &facts).await,
        Observed::Absent => Access::Unknown("EKS has no such cluster".to_owned()),
        Observed::Unknown(why) => Access::Unknown(why),
    }
}
