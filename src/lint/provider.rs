//! Rules on the OIDC providers of a live account.

use super::{Check, Found, Notes, Place};
use crate::ids::{IssuerUrl, Key};
use crate::model::address::Address;
use crate::model::desired::{ClusterState, Desired};
use crate::model::live::{Live, LiveAccount, Observed};
use crate::model::marks::{ADDRESS, DEFAULT_AUDIENCE, OWNER};
use crate::model::resource::StringMap;
use std::collections::{BTreeMap, BTreeSet};

/// An account may have 100 providers
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const PROVIDERS: usize = 100;

/// A live account.
pub(super) struct ProviderContext<'a> {
    pub desired: &'a Desired,
    pub live: &'a Live,
    pub key: &'a Key,
    pub account: &'a LiveAccount,
    pub asked: &'a Asked<'a>,
}

/// By cluster: the accounts of the roles that are bound there, and the audiences that the bindings ask for.
pub(super) type Asked<'a> = BTreeMap<&'a Key, (BTreeSet<&'a Key>, BTreeSet<&'a str>)>;

/// What all bindings ask of providers.
pub(super) fn asked(desired: &Desired) -> Asked<'_> {
    let mut asked = Asked::new();
    for role in desired.roles.values() {
        for binding in &role.bindings {
            let (accounts, audiences) = asked.entry(&binding.cluster).or_default();
            accounts.insert(&role.account);
            audiences.insert(binding.effective_audience());
        }
    }
    asked
}

/// Runs the rules on providers.
pub(super) fn check(notes: &mut Notes, place: &Place, context: &ProviderContext<'_>) {
    notes.run(place, |check| match check {
        Check::Providers(rule) => rule(context),
        _ => Vec::new(),
    });
}

/// What is known of a declared cluster's issuer.
enum Issuer<'a> {
    Is(&'a str),
    /// The cluster is no more.
    Gone,
    Unknown,
}

impl<'a> ProviderContext<'a> {
    fn issuer(&self, cluster: &Key) -> Option<Issuer<'a>> {
        let declared = self.desired.clusters.get(cluster)?;
        if declared.state == ClusterState::Gone {
            return Some(Issuer::Gone);
        }
        Some(match self.live.clusters.get(cluster).map(|cluster| &cluster.issuer) {
            Some(Observed::Present(issuer)) => Issuer::Is(issuer.host_path()),
            Some(Observed::Absent) => Issuer::Gone,
            Some(Observed::Unknown(_)) | None => Issuer::Unknown,
        })
    }

    /// The declared cluster that has this issuer.
    fn cluster_of(&self, host_path: &str) -> Option<&'a Key> {
        self.desired
            .clusters
            .keys()
            .find(|key| matches!(self.issuer(key), Some(Issuer::Is(issuer)) if issuer == host_path))
    }

    /// Whether any cluster's issuer could not be told.
    fn unsure(&self) -> bool {
        self.desired.clusters.keys().any(|key| matches!(self.issuer(key), Some(Issuer::Unknown)))
    }

    /// The issuers that roles of this account are bound in, for which irsa makes a provider; nothing if one is not known.
    pub(super) fn coming(&self) -> Option<Vec<&'a IssuerUrl>> {
        let mut issuers = Vec::new();
        for (key, cluster) in &self.desired.clusters {
            let bound = self.asked.get(key).is_some_and(|(accounts, _)| accounts.contains(self.key));
            if !bound || cluster.state == ClusterState::Gone {
                continue;
            }
            match self.live.clusters.get(key).map(|cluster| &cluster.issuer) {
                Some(Observed::Present(issuer)) => issuers.push(issuer),
                Some(Observed::Absent) => {}
                Some(Observed::Unknown(_)) | None => return None,
            }
        }
        Some(issuers)
    }

    fn ours(&self, tags: &StringMap) -> bool {
        tags.get(OWNER).is_some_and(|owner| owner == self.desired.owner.as_str())
    }
}

/// IRSA017: only of providers that irsa made; it knows nothing of what others are for.
pub(super) fn stale(context: &ProviderContext<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (arn, provider) in &context.account.providers {
        let Some(provider) = provider.present() else { continue };
        if !context.ours(&provider.provider.tags) || context.cluster_of(arn.host_path()).is_some() {
            continue;
        }
        let marked = match provider.provider.tags.get(ADDRESS).and_then(|mark| mark.parse().ok()) {
            Some(Address::OidcProvider { cluster, .. }) => Some(cluster),
            _ => None,
        };
        let why = match marked.as_ref().map(|cluster| (cluster, context.issuer(cluster))) {
            Some((_, Some(Issuer::Unknown))) => continue,
            Some((cluster, Some(Issuer::Gone))) => format!("cluster `{cluster}` is no more"),
            Some((cluster, Some(Issuer::Is(_)))) => format!("cluster `{cluster}` has another issuer now"),
            Some((_, None)) | None if context.unsure() => continue,
            Some((_, None)) | None => "no declared cluster has its issuer".to_owned(),
        };
        found.push(Found::new(format!("provider `{}` stands for nothing: {why}", arn.host_path())));
    }
    found
}

/// IRSA019
pub(super) fn crowded(context: &ProviderContext<'_>) -> Vec<Found> {
    let count = context.account.providers.values().filter(|provider| !matches!(provider, Observed::Absent)).count();
    let near = count * 5 > PROVIDERS * 4;
    near.then(|| Found::new(format!("{count} OIDC providers, the default quota is {PROVIDERS}"))).into_iter().collect()
}

/// IRSA020: of the providers that roles of this account need.
pub(super) fn audiences(context: &ProviderContext<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (arn, provider) in &context.account.providers {
        let (Some(provider), Some(cluster)) = (provider.present(), context.cluster_of(arn.host_path())) else {
            continue;
        };
        let Some((_, known)) = context.asked.get(cluster).filter(|(accounts, _)| accounts.contains(context.key)) else {
            continue;
        };
        let known = |audience: &str| known.contains(audience) || audience == DEFAULT_AUDIENCE;
        let address = Address::OidcProvider { account: context.key.clone(), cluster: cluster.clone() };
        let others = provider.provider.audiences.iter().filter(|audience| !known(audience));
        found.extend(others.map(|audience| {
            Found::new(format!("it also takes tokens for audience `{audience}`, which no binding asks for"))
                .on(&address)
        }));
    }
    found
}
