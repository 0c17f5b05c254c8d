//! Finds the live object of an address.

use super::change::{Change, ResourceChange};
use super::providers::of_issuer;
use crate::model::address::{Address, OrphanKind};
use crate::model::desired::Desired;
use crate::model::live::{Live, LiveAccount, Observed};
use crate::model::resource::ServiceAccount;

/// How much of an object was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveObject {
    /// The whole live object. It is wrapped in `Change::Create`, because a `Create` lists all fields. A ServiceAccount
    /// has the labels and annotations of every field manager.
    Read(ResourceChange),
    /// The role exists, but irsa read only its entry in the role list.
    Listed,
    /// It does not exist, or was not read.
    NotFound,
}

impl LiveObject {
    fn of<T: Clone>(live: Option<&T>, kind: impl FnOnce(Change<T>) -> ResourceChange) -> Self {
        live.map_or(Self::NotFound, |live| Self::Read(kind(Change::Create { after: live.clone() })))
    }
}

/// Whether the configuration declares the object or, for an undeclared object, its account or cluster.
pub(crate) fn is_in_configuration(address: &Address, desired: &Desired) -> bool {
    match address {
        Address::OidcProvider { account, cluster } => {
            desired.accounts.contains_key(account) && desired.clusters.contains_key(cluster)
        }
        Address::Policy { account, key } => desired.policies.contains_key(&(account.clone(), key.clone())),
        Address::Role { key } => desired.roles.contains_key(key),
        Address::ServiceAccount { cluster, .. } => desired.clusters.contains_key(cluster),
        Address::Orphan { account, .. } => desired.accounts.contains_key(account),
    }
}

/// The live object of this address.
pub fn object(address: &Address, desired: &Desired, live: &Live) -> LiveObject {
    find(address, desired, live).unwrap_or(LiveObject::NotFound)
}

fn find(address: &Address, desired: &Desired, live: &Live) -> Option<LiveObject> {
    Some(match address {
        Address::OidcProvider { account, cluster } => {
            let issuer = live.clusters.get(cluster)?.issuer.present()?;
            provider(live.accounts.get(account)?, issuer.host_path())
        }
        Address::Policy { account, key } => {
            let declared = desired.policies.get(&(account.clone(), key.clone()))?;
            policy(live.accounts.get(account)?, &declared.name.lower_case())
        }
        Address::Role { key } => {
            let declared = desired.roles.get(key)?;
            role(live.accounts.get(&declared.account)?, &declared.name.lower_case())
        }
        Address::ServiceAccount { cluster, namespace, name } => {
            let (namespace, name) = (namespace.clone(), name.clone());
            let cluster = live.clusters.get(cluster)?;
            let live = cluster.service_accounts.get(&(namespace.clone(), name.clone()))?.present()?;
            let (labels, annotations) = (live.labels.clone(), live.annotations.clone());
            LiveObject::of(
                Some(&ServiceAccount { namespace, name, labels, annotations }),
                ResourceChange::ServiceAccount,
            )
        }
        Address::Orphan { account, kind, name } => {
            let account = live.accounts.get(account)?;
            match kind {
                OrphanKind::OidcProvider => provider(account, name),
                OrphanKind::Policy => policy(account, &name.to_lowercase()),
                OrphanKind::Role => role(account, &name.to_lowercase()),
            }
        }
    })
}

fn provider(account: &LiveAccount, host_path: &str) -> LiveObject {
    let found = of_issuer(account, host_path).and_then(Observed::present);
    LiveObject::of(found.map(|live| &live.provider), ResourceChange::Provider)
}

fn policy(account: &LiveAccount, lower_case: &str) -> LiveObject {
    let found = account.policies.iter().find(|(arn, _)| arn.name().to_lowercase() == lower_case);
    LiveObject::of(found.and_then(|(_, live)| live.present()).map(|live| &live.policy), ResourceChange::Policy)
}

fn role(account: &LiveAccount, lower_case: &str) -> LiveObject {
    if let Some(live) = account.roles.get(lower_case).and_then(Observed::present) {
        return LiveObject::of(Some(&live.role), |change| ResourceChange::Role(Box::new(change)));
    }
    let mut listed = account.role_list.present().into_iter().flatten();
    if listed.any(|summary| summary.name.lower_case() == lower_case) {
        LiveObject::Listed
    } else {
        LiveObject::NotFound
    }
}
