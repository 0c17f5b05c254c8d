//! Gathers World into Live, and chooses the cheapest way to read it.
//!
//! Only chooses and gathers: what a look means is for `plan` to say. What could not be read is `Unknown` with its
//! reason, never absent. An account whose credentials are not the declared account's is not read at all. Accounts and
//! clusters are read side by side; one that fails does not hide the others, and the result is the same in whichever
//! order the answers come.

mod account;
mod bulk;
mod clusters;
mod early;
mod foreign;
mod limiter;
mod other_shards;
mod policies;
mod providers;
mod reader;
mod role_list;
mod roles;
mod sizes;

pub use early::Early;
pub use other_shards::reach;

use crate::event::{Event, Listen};
use crate::ids::{IssuerUrl, Key};
use crate::model::desired::{Account, ClusterState, Desired};
use crate::model::live::{Access, Extent, Identity, Live, LiveAccount, Observed};
use crate::model::marks::OWNER;
use crate::model::resource::StringMap;
use crate::model::shard::{Scope, Shard};
use crate::world::{Answer, ReadAws, ReadKubernetes};
use early::Pending;
use futures::FutureExt;
use futures::future::{join, join_all};
use limiter::Limiter;
use reader::AccountReader;
use std::collections::{BTreeMap, BTreeSet};

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// How many calls may be under way at once, for each account and each cluster.
    pub parallelism: usize,
    /// Whether everything is to go: what speaks against a delete is then asked of all that is ours, not only of what is
    /// no longer declared.
    pub destroy: bool,
    /// Only what this shard needs is read, and nothing is searched that is no longer declared in IAM.
    pub shard: Option<Shard>,
}

/// Asks every account who its credentials are. Before that, nothing is asked of an account but what [`Early`] asks.
pub async fn identify(accounts: &BTreeMap<Key, Account>, aws: &impl ReadAws) -> BTreeMap<Key, Access<Identity>> {
    let asked = accounts.iter().map(|(key, account)| async move {
        let access = match aws.identity(key).await {
            Ok(identity) => checked(account, identity),
            Err(error) => {
                let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                Access::Unknown(format!("{error}{hint}"))
            }
        };
        (key.clone(), access)
    });
    join_all(asked).await.into_iter().collect()
}

fn checked(account: &Account, identity: Identity) -> Access<Identity> {
    match &account.declared_id {
        Some(declared) if *declared != identity.account => Access::Wrong(
            format!("its credentials are those of account {}, declared is {declared}", identity.account),
            format!("they belong to `{}`: use another `profile` or `assume-role`, or correct `id`", identity.caller),
        ),
        _ => Access::Granted(identity),
    }
}

/// Reads everything that a plan of `desired` needs to know; `early` is what of it was asked for already.
pub async fn observe(
    desired: &Desired,
    identities: &BTreeMap<Key, Access<Identity>>,
    early: Early<'_>,
    aws: &impl ReadAws,
    kubernetes: &impl ReadKubernetes,
    looks: &ReadOptions,
    listen: &dyn Listen,
) -> Live {
    let scope = looks.shard.map(|shard| Scope::of(shard, desired));
    let scope = scope.as_ref();
    let narrowed = scope.map(|scope| scope.narrowed(desired));
    // whose roles and policies are read in full
    let wanted = narrowed.as_ref().unwrap_or(desired);
    let active = || {
        let active = desired.clusters.iter().filter(|(_, cluster)| cluster.state == ClusterState::Active);
        active.filter(|(key, _)| scope.is_none_or(|scope| scope.described.contains(*key)))
    };
    let accounts =
        || desired.accounts.iter().filter(|(key, _)| scope.is_none_or(|scope| scope.accounts.contains(*key)));
    listen.on(&Event::ReadStarted { places: accounts().count() + active().count() });
    let Early { account: mut lists, clusters: mut described, .. } = early;
    // each cluster is described once, for its own sake and for the accounts, whose roles may trust it
    let facts: BTreeMap<&Key, _> = active()
        .map(|(key, cluster)| {
            let described = described.remove(key).unwrap_or_else(|| Pending::new(aws.cluster(key)));
            (key, clusters::facts(cluster, identities.get(&cluster.account), described.answer()).shared())
        })
        .collect();
    // what nobody goes on with would keep others waiting
    drop(described);
    let issuers = async {
        let known = facts.iter().map(|(key, facts)| async move {
            let issuer = facts.clone().await.present().and_then(|facts| facts.issuer.clone())?;
            Some(((*key).clone(), issuer))
        });
        let known: BTreeMap<Key, IssuerUrl> = join_all(known).await.into_iter().flatten().collect();
        known
    }
    .shared();
    let accounts = accounts().map(|(key, account)| {
        let limiter = Limiter::new(looks.parallelism);
        let reader = AccountReader {
            key,
            account,
            desired: wanted,
            aws,
            destroy: looks.destroy,
            search: scope.is_none(),
            limiter,
        };
        let lists = lists.take_if(|(account, _)| account == key).map(|(_, lists)| lists);
        let issuers = issuers.clone();
        async move {
            let live = account::read(&reader, identities.get(key), lists, issuers).await;
            listen.on(&Event::PlaceRead { place: format!("account/{key}"), objects: account::ours(&reader, &live) });
            (key.clone(), live)
        }
    });
    let accounts: Vec<_> = accounts.collect();
    drop(lists);
    let clusters = facts.iter().map(|(key, facts)| async move {
        let facts = facts.clone().await;
        let live = if scope.is_none_or(|scope| scope.has_cluster(key)) {
            clusters::read(key, desired, facts, kubernetes, looks).await
        } else {
            other_shards::described(facts)
        };
        listen.on(&Event::PlaceRead { place: format!("cluster/{key}"), objects: clusters::ours(desired, &live) });
        ((*key).clone(), live)
    });
    let (accounts, clusters) = join(join_all(accounts), join_all(clusters)).await;
    let mut live = Live { accounts: accounts.into_iter().collect(), clusters: clusters.into_iter().collect() };
    if live.accounts.iter().any(|(key, account)| loses_roles(key, account, desired)) {
        let narrow = live.clusters.iter_mut().filter(|(_, cluster)| cluster.extent == Extent::Ours);
        join_all(narrow.map(|(key, cluster)| clusters::widen(key, kubernetes, cluster))).await;
    }
    if scope.is_some() {
        other_shards::describe_marked(wanted, identities, aws, &mut live).await;
    }
    listen.on(&Event::ReadFinished);
    live
}

/// Whether a role of ours may be deleted, which must not be while a ServiceAccount of anyone points at it.
fn loses_roles(key: &Key, account: &LiveAccount, desired: &Desired) -> bool {
    let declared: BTreeSet<String> =
        desired.roles.values().filter(|role| role.account == *key).map(|role| role.name.case_insensitive()).collect();
    account.roles.iter().any(|(name, role)| {
        !declared.contains(name) && role.present().is_some_and(|live| is_ours(desired, &live.role.tags))
    })
}

/// What an answer says of an object.
fn observed<T>(answer: Answer<Option<T>>) -> Observed<T> {
    match answer {
        Ok(Some(value)) => Observed::Present(value),
        Ok(None) => Observed::Absent,
        Err(error) => Observed::Unknown(error.to_string()),
    }
}

/// Whether tags or labels carry our owner.
fn is_ours(desired: &Desired, marks: &StringMap) -> bool {
    marks.get(OWNER).map(String::as_str) == Some(desired.owner.as_str())
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
