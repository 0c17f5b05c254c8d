//! Rules on the OIDC providers of a live account.

use super::{Finding, Findings, Location};
use crate::ids::{IssuerUrl, Key};
use crate::model::address::Address;
use crate::model::desired::{ClusterState, Desired};
use crate::model::live::{Live, LiveAccount, Observed};
use crate::model::marks::{ADDRESS, DEFAULT_AUDIENCE, OWNER};
use crate::model::resource::StringMap;
use std::collections::{BTreeMap, BTreeSet};

/// The default quota of OIDC providers in an account
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const QUOTA: usize = 100;

/// A live account.
pub(super) struct ProviderContext<'a> {
    pub desired: &'a Desired,
    pub live: &'a Live,
    pub key: &'a Key,
    pub account: &'a LiveAccount,
    pub bindings: &'a BindingsByCluster<'a>,
}

/// The accounts and audiences of all bindings in a cluster.
#[derive(Default)]
pub(super) struct ClusterBindings<'a> {
    accounts: BTreeSet<&'a Key>,
    audiences: BTreeSet<&'a str>,
}

pub(super) type BindingsByCluster<'a> = BTreeMap<&'a Key, ClusterBindings<'a>>;

pub(super) fn bindings_by_cluster(desired: &Desired) -> BindingsByCluster<'_> {
    let mut by_cluster = BindingsByCluster::new();
    for role in desired.roles.values() {
        for binding in &role.bindings {
            let bindings = by_cluster.entry(&binding.cluster).or_default();
            bindings.accounts.insert(&role.account);
            bindings.audiences.insert(binding.effective_audience());
        }
    }
    by_cluster
}

type ProviderCheck = fn(&ProviderContext<'_>) -> Vec<Finding>;

const CHECKS: &[(&str, ProviderCheck)] =
    &[("IRSA017", without_cluster), ("IRSA019", near_quota), ("IRSA020", other_audiences)];

pub(super) fn check(findings: &mut Findings, location: &Location, context: &ProviderContext<'_>) {
    findings.run(location, CHECKS, context);
}

/// The issuer of a declared cluster.
enum Issuer<'a> {
    Known(&'a IssuerUrl),
    /// The cluster was deleted.
    Gone,
    Unknown,
}

impl<'a> ProviderContext<'a> {
    /// `None` if the cluster is not declared.
    fn issuer(&self, cluster: &Key) -> Option<Issuer<'a>> {
        let declared = self.desired.clusters.get(cluster)?;
        if declared.state == ClusterState::Gone {
            return Some(Issuer::Gone);
        }
        Some(match self.live.clusters.get(cluster).map(|cluster| &cluster.issuer) {
            Some(Observed::Present(issuer)) => Issuer::Known(issuer),
            Some(Observed::Absent) => Issuer::Gone,
            Some(Observed::Unknown(_)) | None => Issuer::Unknown,
        })
    }

    /// The declared cluster with this issuer.
    fn cluster_of(&self, host_path: &str) -> Option<&'a Key> {
        let has_issuer =
            |key: &&Key| matches!(self.issuer(key), Some(Issuer::Known(issuer)) if issuer.host_path() == host_path);
        self.desired.clusters.keys().find(has_issuer)
    }

    fn has_unknown_issuer(&self) -> bool {
        self.desired.clusters.keys().any(|key| matches!(self.issuer(key), Some(Issuer::Unknown)))
    }

    /// The issuers for which irsa creates providers in this account. `None` if one of them is unknown.
    pub(super) fn planned_issuers(&self) -> Option<Vec<&'a IssuerUrl>> {
        let mut issuers = Vec::new();
        for key in self.desired.clusters.keys() {
            if !self.bindings.get(key).is_some_and(|bindings| bindings.accounts.contains(self.key)) {
                continue;
            }
            match self.issuer(key) {
                Some(Issuer::Known(issuer)) => issuers.push(issuer),
                Some(Issuer::Gone) | None => {}
                Some(Issuer::Unknown) => return None,
            }
        }
        Some(issuers)
    }
}

/// Whether the tags say that this configuration owns an object.
pub(super) fn is_owned(desired: &Desired, tags: &StringMap) -> bool {
    tags.get(OWNER).is_some_and(|owner| owner == desired.owner.as_str())
}

/// Checks only providers that irsa created, because the purpose of other providers is unknown.
fn without_cluster(context: &ProviderContext<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (arn, provider) in &context.account.providers {
        let Some(provider) = provider.present() else { continue };
        let tags = &provider.provider.tags;
        if !is_owned(context.desired, tags) || context.cluster_of(arn.host_path()).is_some() {
            continue;
        }
        let cluster = match tags.get(ADDRESS).and_then(|address| address.parse().ok()) {
            Some(Address::OidcProvider { cluster, .. }) => Some(cluster),
            _ => None,
        };
        let why = match cluster.as_ref().map(|cluster| (cluster, context.issuer(cluster))) {
            Some((_, Some(Issuer::Unknown))) => continue,
            Some((cluster, Some(Issuer::Gone))) => format!("cluster `{cluster}` no longer exists"),
            Some((cluster, Some(Issuer::Known(_)))) => format!("cluster `{cluster}` has another issuer now"),
            Some((_, None)) | None if context.has_unknown_issuer() => continue,
            Some((_, None)) | None => "no declared cluster has its issuer".to_owned(),
        };
        found.push(Finding::new(format!("provider `{}` is not used: {why}", arn.host_path())));
    }
    found
}

fn near_quota(context: &ProviderContext<'_>) -> Vec<Finding> {
    let count = context.account.providers.values().filter(|provider| !matches!(provider, Observed::Absent)).count();
    let near = count * 5 > QUOTA * 4;
    near.then(|| Finding::new(format!("{count} OIDC providers, the default quota is {QUOTA}"))).into_iter().collect()
}

/// Checks only providers that roles of this account need.
fn other_audiences(context: &ProviderContext<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (arn, provider) in &context.account.providers {
        let (Some(provider), Some(cluster)) = (provider.present(), context.cluster_of(arn.host_path())) else {
            continue;
        };
        let Some(bindings) = context.bindings.get(cluster).filter(|bindings| bindings.accounts.contains(context.key))
        else {
            continue;
        };
        let is_other =
            |audience: &&String| !bindings.audiences.contains(audience.as_str()) && *audience != DEFAULT_AUDIENCE;
        let address = Address::OidcProvider { account: context.key.clone(), cluster: cluster.clone() };
        let text = |audience| format!("it also accepts tokens for audience `{audience}`, which no binding has");
        let others = provider.provider.audiences.iter().filter(is_other);
        found.extend(others.map(|audience| Finding::new(text(audience)).on(&address)));
    }
    found
}
