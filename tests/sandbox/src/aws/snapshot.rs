//! Saves and restores the state of all accounts, of EKS and of the objects in all clusters.
//!
//! Faults, logs and STS sessions are not part of a snapshot. Restoring neither starts nor stops servers: it restores
//! only clusters that existed at the snapshot and still exist.

use crate::aws::iam::{Iam, PrincipalsState};
use crate::aws::{Aws, eks};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::PoisonError;

/// The state of all accounts, of EKS and of the objects in all clusters.
#[derive(Clone)]
pub struct Snapshot {
    accounts: BTreeMap<String, Iam>,
    principals: PrincipalsState,
    eks: eks::SavedClusters,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("accounts", &self.accounts.keys()).finish_non_exhaustive()
    }
}

impl Aws {
    /// Saves the current state.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            accounts: accounts.iter().map(|(id, account)| (id.clone(), account.iam().clone())).collect(),
            principals: self.principals.save(),
            eks: self.eks.save(),
        }
    }

    /// Restores a snapshot. Accounts that were created since are removed.
    pub(crate) fn restore(&self, snapshot: &Snapshot) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|id, _| snapshot.accounts.contains_key(id));
        for (id, iam) in &snapshot.accounts {
            if let Some(account) = accounts.get(id) {
                account.iam().clone_from(iam);
            }
        }
        drop(accounts);
        self.principals.restore(&snapshot.principals);
        self.eks.restore(&snapshot.eks);
        self.forget_stale();
    }

    /// Saves the state, keeps it and returns its number, counted from 1.
    pub(crate) fn keep_snapshot(&self) -> usize {
        let snapshot = self.snapshot();
        let mut kept = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(snapshot);
        kept.len()
    }

    /// A kept snapshot by its number.
    pub(crate) fn kept_snapshot(&self, number: usize) -> Option<Snapshot> {
        let kept = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(number.checked_sub(1)?).cloned()
    }
}
