//! The resolved accounts and clusters, and the template values that follow from them.

use super::{Account, Cluster, Resolver};
use crate::config::templates::{SharedValue, Variables};
use crate::ids::{AccountId, Key};
use crate::model::desired::{ClusterState, PLACEHOLDER_ID, PLACEHOLDER_REGION};
use std::collections::{BTreeMap, BTreeSet};

/// The accounts and clusters that could be resolved.
pub(super) struct Infrastructure {
    pub accounts: BTreeMap<Key, Account>,
    pub clusters: BTreeMap<Key, Cluster>,
    /// The keys of the clusters that are not gone.
    pub active: Vec<Key>,
    pub online: bool,
}

impl Resolver<'_> {
    pub(super) fn infrastructure(&mut self) -> Infrastructure {
        let accounts = self.accounts();
        let clusters = self.clusters(&accounts);
        let active = clusters.iter().filter(|(_, cluster)| cluster.state == ClusterState::Active);
        let active = active.map(|(key, _)| key.clone()).collect();
        Infrastructure { accounts, clusters, active, online: self.identities.online }
    }
}

impl Infrastructure {
    /// The id of an account, if it is not the placeholder.
    pub(super) fn known_id(&self, account: &Key) -> Option<&AccountId> {
        self.accounts.get(account).filter(|account| account.is_known()).map(|account| &account.id)
    }

    /// The values for a document in this account that is used in these clusters.
    pub(super) fn variables<'k>(
        &self,
        owner: &Key,
        account: Option<&Key>,
        clusters: impl Iterator<Item = &'k Key>,
    ) -> Variables {
        let account = account.and_then(|key| self.accounts.get(key));
        let clusters: Vec<(&Key, &Cluster)> = clusters
            .filter_map(|key| self.clusters.get_key_value(key))
            .filter(|(_, cluster)| cluster.state == ClusterState::Active)
            .collect();
        let mut regions: BTreeSet<String> =
            clusters.iter().filter_map(|(_, cluster)| cluster.region.as_ref()).map(ToString::to_string).collect();
        // an EKS cluster without a region gets one online, from the environment
        if regions.is_empty() && !self.online && clusters.iter().any(|(_, cluster)| cluster.name.is_some()) {
            regions.insert(PLACEHOLDER_REGION.to_owned());
        }
        let name = |(key, cluster): &(&Key, &Cluster)| {
            cluster.name.as_ref().map_or_else(|| key.to_string(), ToString::to_string)
        };
        Variables {
            partition: account.map_or("aws", |account| account.partition.as_str()).to_owned(),
            account_id: account.map_or(PLACEHOLDER_ID, |account| account.id.as_str()).to_owned(),
            owner: owner.to_string(),
            region: SharedValue(regions),
            cluster: SharedValue(clusters.iter().map(name).collect()),
        }
    }

    /// Values for a document that nothing uses.
    pub(super) fn placeholder_variables(&self, owner: &Key) -> Variables {
        Variables {
            region: SharedValue::one(PLACEHOLDER_REGION),
            cluster: SharedValue::one("cluster"),
            ..self.variables(owner, None, std::iter::empty())
        }
    }
}
