//! Finds the live object of an address.

use super::change::{Change, ResourceChange};
use super::providers::of_issuer;
use crate::ids::Key;
use crate::model::address::{Address, OrphanKind};
use crate::model::desired::{ClusterState, Desired};
use crate::model::live::{Access, Live, LiveAccount, Observed, listed};
use crate::model::refusal::Refusal;
use crate::model::resource::ServiceAccount;

/// How much of an object was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveObject {
    /// The whole live object. It is wrapped in `Change::Create`, because a `Create` lists all fields. A ServiceAccount
    /// has the labels and annotations of every field manager.
    Read(ResourceChange),
    /// The role exists, but irsa read only its entry in the role list.
    Listed,
    /// It does not exist.
    NotFound,
    /// It could not be read; the text says why.
    Unread(String),
}

impl LiveObject {
    fn of<T: Clone>(live: Observed<&T>, kind: impl FnOnce(Change<T>) -> ResourceChange) -> Self {
        match live {
            Observed::Present(live) => Self::Read(kind(Change::Create { after: live.clone() })),
            Observed::Absent => Self::NotFound,
            Observed::Unknown(why) => Self::Unread(why),
        }
    }
}

/// Whether the configuration declares this role or policy. For other addresses: whether it declares the account and
/// cluster that they name.
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
    match find(address, desired, live) {
        Ok(found) => found,
        Err(why) => LiveObject::Unread(why),
    }
}

/// # Errors
/// Why irsa cannot tell whether the object exists, or could not parse it.
fn find(address: &Address, desired: &Desired, live: &Live) -> Result<LiveObject, String> {
    Ok(match address {
        Address::OidcProvider { account, cluster } => {
            let is_gone = desired.clusters.get(cluster).is_none_or(|cluster| cluster.state == ClusterState::Gone);
            if is_gone {
                // its provider has the address of an orphan
                return Ok(LiveObject::NotFound);
            }
            let account = read_account(live, account)?;
            match live.clusters.get(cluster).map(|cluster| &cluster.issuer) {
                Some(Observed::Present(issuer)) => provider(account, issuer.host_path()),
                Some(Observed::Absent) => {
                    return Err(format!("EKS has no cluster `{cluster}`, so its issuer is not known"));
                }
                Some(Observed::Unknown(why)) => return Err(format!("the issuer of cluster `{cluster}`: {why}")),
                None => return Err(format!("cluster `{cluster}` was not read")),
            }
        }
        Address::Policy { account, key } => {
            let Some(declared) = desired.policies.get(&(account.clone(), key.clone())) else {
                return Err(format!("no role of account `{account}` attaches it, so irsa does not look for it"));
            };
            policy(read_account(live, account)?, &declared.name.lower_case())
        }
        Address::Role { key } => {
            let Some(declared) = desired.roles.get(key) else { return Ok(LiveObject::NotFound) };
            match role(read_account(live, &declared.account)?, &declared.name.lower_case()) {
                LiveObject::NotFound => {
                    LiveObject::of(live.role(&declared.account, &declared.name).map(|live| &live.role), |change| {
                        ResourceChange::Role(Box::new(change))
                    })
                }
                found => found,
            }
        }
        Address::ServiceAccount { cluster, namespace, name } => {
            let is_gone = desired.clusters.get(cluster).is_some_and(|cluster| cluster.state == ClusterState::Gone);
            let Some(cluster) = live.clusters.get(cluster).filter(|_| !is_gone) else {
                return Err(format!("irsa does not read cluster `{cluster}`"));
            };
            let (namespace, name) = (namespace.clone(), name.clone());
            let found = cluster.service_account(&namespace, &name).map(|live| {
                let (labels, annotations) = (live.labels.clone(), live.annotations.clone());
                ServiceAccount { namespace, name, labels, annotations }
            });
            LiveObject::of(as_ref(&found), ResourceChange::ServiceAccount)
        }
        Address::Orphan { account, kind, name } => {
            let key = account;
            let account = read_account(live, account)?;
            let malformed = account.malformed.iter().find(|item| item.kind == *kind && item.name == *name);
            if let Some(malformed) = malformed {
                return Err(malformed.why.clone());
            }
            match kind {
                OrphanKind::OidcProvider => provider(account, name),
                OrphanKind::Policy => policy(account, &name.to_lowercase()),
                OrphanKind::Role => match (role(account, &name.to_lowercase()), &account.role_list) {
                    (LiveObject::NotFound, Observed::Unknown(why)) => {
                        return Err(format!("the roles of account `{key}` were not listed: {why}"));
                    }
                    (found, _) => found,
                },
            }
        }
    })
}

/// # Errors
/// Why the account could not be used.
fn read_account<'l>(live: &'l Live, key: &Key) -> Result<&'l LiveAccount, String> {
    let unread = |why: &str| Err(format!("account `{key}` was not read: {why}"));
    match live.accounts.get(key).map(|account| (account, &account.identity)) {
        None => unread("it is not declared"),
        Some((_, Access::Wrong(Refusal { why, .. }) | Access::Unknown(why))) => unread(why),
        Some((account, Access::Granted(_))) => Ok(account),
    }
}

fn as_ref<T>(live: &Observed<T>) -> Observed<&T> {
    match live {
        Observed::Present(live) => Observed::Present(live),
        Observed::Absent => Observed::Absent,
        Observed::Unknown(why) => Observed::Unknown(why.clone()),
    }
}

fn provider(account: &LiveAccount, host_path: &str) -> LiveObject {
    let found = listed(of_issuer(account, host_path), &account.providers_listed);
    LiveObject::of(found.map(|live| &live.provider), ResourceChange::Provider)
}

fn policy(account: &LiveAccount, lower_case: &str) -> LiveObject {
    let found = account.policies.iter().find(|(arn, _)| arn.name().to_lowercase() == lower_case);
    let found = listed(found.map(|(_, live)| live), &account.policies_listed);
    LiveObject::of(found.map(|live| &live.policy), ResourceChange::Policy)
}

fn role(account: &LiveAccount, lower_case: &str) -> LiveObject {
    let found = account.roles.get(lower_case).map_or(Observed::Absent, as_ref);
    let found = LiveObject::of(found.map(|live| &live.role), |change| ResourceChange::Role(Box::new(change)));
    let mut list = account.role_list.present().into_iter().flatten();
    if found == LiveObject::NotFound && list.any(|summary| summary.name.lower_case() == lower_case) {
        return LiveObject::Listed;
    }
    found
}
