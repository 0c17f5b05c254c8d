//! Saves and restores EKS state: what belongs to clusters and the objects in them. The clusters keep running.

use super::cluster::EksCluster;
use super::{AccountRegion, Eks, Region};
use crate::gate::Stale;
use crate::kubernetes::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

/// The saved state of a cluster.
#[derive(Debug, Clone)]
struct SavedCluster {
    cluster: EksCluster,
    guests: BTreeSet<String>,
    store: Store,
}

/// The saved state of all clusters.
#[derive(Debug, Clone)]
pub(crate) struct SavedClusters {
    clusters: BTreeMap<(AccountRegion, String), SavedCluster>,
}

impl Eks {
    pub(super) fn stale(&self) -> MutexGuard<'_, BTreeMap<AccountRegion, Stale<Region>>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget_stale(&self) {
        self.stale().clear();
    }

    pub(crate) fn save(&self) -> SavedClusters {
        let mut clusters = BTreeMap::new();
        for (place, region) in self.regions().iter() {
            for (name, cluster) in &region.clusters {
                let saved = SavedCluster {
                    cluster: cluster.clone(),
                    guests: cluster.guests(),
                    store: cluster.kubernetes.with(|store| store.clone()),
                };
                clusters.insert((place.clone(), name.clone()), saved);
            }
        }
        SavedClusters { clusters }
    }

    /// Restores the state of clusters that are still running. Skips clusters that were replaced or deleted.
    pub(crate) fn restore(&self, saved: &SavedClusters) {
        let mut regions = self.regions();
        for ((place, name), saved) in &saved.clusters {
            let now = regions.get_mut(place).and_then(|region| region.clusters.get_mut(name));
            let Some(now) = now.filter(|now| Arc::ptr_eq(&now.kubernetes, &saved.cluster.kubernetes)) else { continue };
            now.clone_from(&saved.cluster);
            now.set_guests(saved.guests.clone());
            now.kubernetes.restore(&saved.store);
        }
    }
}
