//! The live object behind an address, in the form of the plan file.

use crate::ids::IssuerUrl;
use crate::model::address::{Address, OrphanKind};
use crate::model::desired::Desired;
use crate::model::live::{Live, LiveAccount, Observed};
use crate::model::resource::object as pairs;
use crate::plan::fields;
use serde_json::{Value, json};

/// What was seen of an object.
pub(super) enum Seen {
    /// All of it. A ServiceAccount has its labels and annotations of every manager.
    Object(Value),
    /// That it is there.
    Named,
    /// Nothing: it is not there.
    Nothing,
}

impl Seen {
    fn of<T>(found: Option<&T>, value: impl Fn(&T) -> Value) -> Self {
        found.map_or(Self::Nothing, |found| Self::Object(value(found)))
    }
}

/// Whether the configuration has an object of this address, or could have had one that is gone from it.
pub(super) fn is_known(address: &Address, desired: &Desired) -> bool {
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

/// The object of this address as it was seen.
pub(super) fn object(address: &Address, desired: &Desired, live: &Live) -> Seen {
    let account = |key| live.accounts.get(key);
    match address {
        Address::OidcProvider { account: key, cluster } => {
            let issuer = live.clusters.get(cluster).and_then(|cluster| cluster.issuer.present());
            let host_path = issuer.map(IssuerUrl::host_path).unwrap_or_default();
            account(key).map_or(Seen::Nothing, |account| provider(account, host_path))
        }
        Address::Policy { account: key, key: name } => {
            let declared = desired.policies.get(&(key.clone(), name.clone()));
            let folded = declared.map(|policy| policy.name.case_insensitive()).unwrap_or_default();
            account(key).map_or(Seen::Nothing, |account| policy(account, &folded))
        }
        Address::Role { key } => match desired.roles.get(key) {
            Some(declared) => account(&declared.account)
                .map_or(Seen::Nothing, |account| role(account, &declared.name.case_insensitive())),
            None => Seen::Nothing,
        },
        Address::ServiceAccount { cluster, namespace, name } => {
            let found = live.clusters.get(cluster).and_then(|cluster| {
                cluster.service_accounts.get(&(namespace.clone(), name.clone())).and_then(Observed::present)
            });
            Seen::of(found, |found| {
                let (labels, annotations) = (pairs(&found.labels), pairs(&found.annotations));
                json!({ "namespace": namespace.as_str(), "name": name.as_str(), "labels": labels, "annotations": annotations })
            })
        }
        Address::Orphan { account: key, kind, name } => {
            let Some(account) = account(key) else { return Seen::Nothing };
            match kind {
                OrphanKind::OidcProvider => provider(account, name),
                OrphanKind::Policy => policy(account, &name.to_lowercase()),
                OrphanKind::Role => role(account, &name.to_lowercase()),
            }
        }
    }
}

fn provider(account: &LiveAccount, host_path: &str) -> Seen {
    let mut all = account.providers.iter();
    let found = all.find(|(arn, _)| arn.host_path() == host_path).and_then(|(_, live)| live.present());
    Seen::of(found, |live| fields::provider(&live.provider))
}

fn policy(account: &LiveAccount, folded: &str) -> Seen {
    let mut all = account.policies.iter();
    let found = all.find(|(arn, _)| arn.name().to_lowercase() == folded).and_then(|(_, live)| live.present());
    Seen::of(found, |live| fields::policy(&live.policy))
}

fn role(account: &LiveAccount, folded: &str) -> Seen {
    if let Some(live) = account.roles.get(folded).and_then(Observed::present) {
        return Seen::Object(fields::role(&live.role));
    }
    let mut listed = account.role_list.present().into_iter().flatten();
    if listed.any(|summary| summary.name.case_insensitive() == folded) { Seen::Named } else { Seen::Nothing }
}
