//! Reads live state: chooses the cheapest calls, and gathers the answers into `Live`.
//!
//! It checks only that credentials and clusters are the declared ones; `plan` judges everything else. What cannot be
//! read is `Unknown` with a reason, never absent. An account is not read if its credentials belong to another account.
//! Accounts and clusters are read in parallel. If one read fails, the others still count. The result does not depend on
//! the order of the answers.

mod access_documents;
mod account;
mod bulk;
mod clusters;
mod first_calls;
mod foreign_policies;
mod near_quota;
mod other_shards;
mod policies;
mod providers;
mod reader;
mod role_selection;
mod roles;
mod verify_evidence;

pub use access_documents::read_documents;
pub use first_calls::EarlyCalls;
pub use other_shards::connect_for_lock;
pub use verify_evidence::read_evidence;

use crate::event::{Event, Listen};
use crate::ids::{IssuerUrl, Key};
use crate::model::desired::{Account, ClusterState, Desired};
use crate::model::live::{Access, Extent, Identity, Live, LiveAccount, Observed};
use crate::model::marks::OWNER;
use crate::model::refusal::RefusalKind;
use crate::model::resource::StringMap;
use crate::model::shard::{Scope, Shard};
use crate::world::{Answer, ReadAws, ReadKubernetes};
use first_calls::Pending;
use futures::FutureExt;
use futures::future::{join, join_all};
use reader::AccountReader;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Semaphore;

/// How a run reads: how much at the same time, and which objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// How many objects of an account are read at the same time.
    pub parallelism: usize,
    /// Whether this run deletes everything (`--destroy`). If so, irsa reads what may prevent a delete (the instance
    /// profiles of roles, the pods of ServiceAccounts) of declared objects too. Otherwise it reads that only of
    /// undeclared ones.
    pub destroy: bool,
    /// The shard of this run (`--shard`). If it is set, irsa reads only what the shard needs, and does not search IAM
    /// for undeclared objects.
    pub shard: Option<Shard>,
}

/// Asks STS for the identity of every account. Before the answer, only the calls of [`EarlyCalls`] are sent.
pub async fn identify(accounts: &BTreeMap<Key, Account>, aws: &impl ReadAws) -> BTreeMap<Key, Access<Identity>> {
    let identities = accounts.iter().map(|(key, account)| async move {
        let access = match aws.identity(key).await {
            Ok(identity) => checked(account, identity),
            Err(error) => Access::Unknown(error.with_hint()),
        };
        (key.clone(), access)
    });
    join_all(identities).await.into_iter().collect()
}

fn checked(account: &Account, identity: Identity) -> Access<Identity> {
    match &account.declared_id {
        Some(declared) if *declared != identity.account => Access::Wrong(RefusalKind::WrongAccount.because(
            format!("its credentials are those of account {}, but the declared `id` is {declared}", identity.account),
            format!("they belong to `{}`: use another `profile` or `assume-role`, or correct `id`", identity.caller),
        )),
        _ => Access::Granted(identity),
    }
}

/// Reads everything that a plan of `desired` needs. `early` has the calls that were already sent.
pub async fn observe(
    desired: &Desired,
    identities: &BTreeMap<Key, Access<Identity>>,
    early: EarlyCalls<'_>,
    aws: &impl ReadAws,
    kubernetes: &impl ReadKubernetes,
    options: &ReadOptions,
    listen: &dyn Listen,
) -> Live {
    let scope = options.shard.map(|shard| Scope::of(shard, desired));
    let scope = scope.as_ref();
    let narrowed = scope.map(|scope| scope.narrowed(desired));
    // with `--shard`, the configuration with only the roles and policies that this run reads in full
    let in_scope = narrowed.as_ref().unwrap_or(desired);
    let active = || {
        let active = desired.clusters.iter().filter(|(_, cluster)| cluster.state == ClusterState::Active);
        active.filter(|(key, _)| scope.is_none_or(|scope| scope.described.contains(*key)))
    };
    let accounts = || desired.accounts.iter().filter(|(key, _)| scope.is_none_or(|scope| scope.accounts.contains(key)));
    listen.on(&Event::ReadStarted { places: accounts().count() + active().count() });
    let EarlyCalls { account: mut early_account, clusters: mut describe_calls, .. } = early;
    // describes each cluster once, because two reads need the answer: the read of the cluster, and the reads of the
    // accounts whose roles may trust it
    let described: BTreeMap<&Key, _> = active()
        .map(|(key, cluster)| {
            let describe_call = describe_calls.remove(key).unwrap_or_else(|| Pending::new(aws.cluster(key)));
            (key, clusters::describe(cluster, identities.get(&cluster.account), describe_call.answer()).shared())
        })
        .collect();
    // a started call that nobody polls any more would keep one of the few slots for calls of its account
    drop(describe_calls);
    let issuers = async {
        let known = described.iter().map(|(key, described)| async move {
            let issuer = described.clone().await.facts.present().and_then(|facts| facts.issuer.clone())?;
            Some(((*key).clone(), issuer))
        });
        let known: BTreeMap<Key, IssuerUrl> = join_all(known).await.into_iter().flatten().collect();
        known
    }
    .shared();
    let accounts = accounts().map(|(key, account)| {
        let (destroy, search_undeclared) = (options.destroy, scope.is_none());
        let slots = Semaphore::new(options.parallelism.max(1));
        let reader = AccountReader { key, account, desired: in_scope, aws, destroy, search_undeclared, slots };
        let calls = early_account.take_if(|(account, _)| account == key).map(|(_, calls)| calls);
        let issuers = issuers.clone();
        async move {
            let live = account::read(&reader, identities.get(key), calls, issuers).await;
            let objects = account::count_ours(&reader, &live);
            listen.on(&Event::PlaceRead { place: format!("account/{key}"), objects });
            (key.clone(), live)
        }
    });
    let accounts: Vec<_> = accounts.collect();
    drop(early_account);
    let clusters = described.iter().map(|(key, described)| async move {
        let described = described.clone().await;
        let live = if scope.is_none_or(|scope| scope.has_cluster(key)) {
            clusters::read(key, desired, described, kubernetes, options).await
        } else {
            other_shards::of_other_shard(&described)
        };
        listen.on(&Event::PlaceRead { place: format!("cluster/{key}"), objects: clusters::count_ours(desired, &live) });
        ((*key).clone(), live)
    });
    let (accounts, clusters) = join(join_all(accounts), join_all(clusters)).await;
    let mut live = Live { accounts: accounts.into_iter().collect(), clusters: clusters.into_iter().collect() };
    if live.accounts.iter().any(|(key, account)| may_delete_roles(key, account, desired)) {
        let partial = live.clusters.iter_mut().filter(|(_, cluster)| cluster.extent == Extent::Ours);
        join_all(partial.map(|(key, cluster)| clusters::read_rest(key, kubernetes, cluster))).await;
    }
    if scope.is_some() {
        other_shards::describe_trusted(in_scope, identities, aws, &mut live).await;
    }
    listen.on(&Event::ReadFinished);
    live
}

/// Whether the account has a managed role that is not declared. The plan deletes the role only if no ServiceAccount
/// names it, so irsa must then read all ServiceAccounts.
fn may_delete_roles(key: &Key, account: &LiveAccount, desired: &Desired) -> bool {
    let declared: BTreeSet<String> =
        desired.roles.values().filter(|role| role.account == *key).map(|role| role.name.lower_case()).collect();
    account.roles.iter().any(|(name, role)| {
        !declared.contains(name) && role.present().is_some_and(|live| is_ours(desired, &live.role.tags))
    })
}

fn observed<T>(answer: Answer<Option<T>>) -> Observed<T> {
    match answer {
        Ok(Some(value)) => Observed::Present(value),
        Ok(None) => Observed::Absent,
        Err(error) => Observed::Unknown(error.to_string()),
    }
}

/// Whether tags or labels have this owner.
fn is_ours(desired: &Desired, marks: &StringMap) -> bool {
    marks.get(OWNER).map(String::as_str) == Some(desired.owner.as_str())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::fake;
