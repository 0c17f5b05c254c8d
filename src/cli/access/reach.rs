//! Which role the pods of a ServiceAccount get, and whether they get it.

use super::World;
use crate::access::assumes;
use crate::ids::{Key, Namespace, ProviderArn, RoleArn, ServiceAccountName};
use crate::model::desired::{Binding, ClusterState, Manage, Role, Subject};
use crate::model::live::{Access, Extent, Live, LiveCluster, LiveServiceAccount, Observed};
use crate::model::marks::{AUDIENCE, DEFAULT_AUDIENCE, ROLE_ARN};
use crate::policy::evaluate::Truth;
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// The live ServiceAccount of a binding. Absent also if its namespace is absent. None for a pattern.
    fn service_account<'a>(cluster: &'a LiveCluster, binding: &Binding) -> Option<Observed<&'a LiveServiceAccount>> {
        let Subject::Exact(namespace, name) = &binding.subject else { return None };
        Some(cluster.service_account(namespace, name))
    }

    /// The role that the annotation of the binding's ServiceAccount names. `key` is the role that the binding declares.
    pub(super) fn annotated<'a>(&'a self, key: &'a Key, binding: &Binding) -> Annotated<'a> {
        let Some(read) = &self.live else { return Annotated::Role(key) };
        let Some(cluster) = read.clusters.get(&binding.cluster) else { return Annotated::Role(key) };
        let live = match Self::service_account(cluster, binding) {
            Some(Observed::Present(live)) => live,
            // of the ServiceAccounts that a pattern matches, those that have the annotation
            None => return Annotated::Role(key),
            Some(Observed::Absent) if binding.manage == Manage::None => {
                let why = "it does not exist, and irsa does not create it: whoever creates it sets its annotation";
                return Annotated::Unknown(why.to_owned());
            }
            Some(Observed::Absent) => return Annotated::None("it does not exist".to_owned()),
            Some(Observed::Unknown(why)) => return Annotated::Unknown(why),
        };
        let Some(found) = live.annotations.get(ROLE_ARN) else {
            return Annotated::None("it has no annotation with a role".to_owned());
        };
        let Ok(arn) = RoleArn::parse(found) else {
            return Annotated::None(format!("its annotation is `{found}`, which is not a role ARN"));
        };
        let is_named = |key: &&Key| {
            let role = &self.desired.roles[*key];
            self.desired.accounts.get(&role.account).is_some_and(|account| read.role_arn(account, role) == arn)
        };
        let Some(named) = [key].into_iter().chain(self.desired.roles.keys()).find(is_named) else {
            let why = format!("its annotation names `{arn}`, whose permissions irsa did not read");
            return Annotated::Other(why);
        };
        let is_same = |one: &Binding| (&one.cluster, &one.subject) == (&binding.cluster, &binding.subject);
        if named != key && self.desired.roles[named].bindings.iter().any(is_same) {
            // it has a row with that role
            return Annotated::None(format!("its annotation names another role, role/{named}"));
        }
        Annotated::Role(named)
    }

    /// The live ServiceAccounts of active clusters that are not declared by name and have the annotation of a declared
    /// role, each with that role.
    pub(super) fn undeclared(&self) -> Vec<(&Key, Binding)> {
        let Some(read) = &self.live else { return Vec::new() };
        let mut declared = BTreeSet::new();
        for role in self.desired.roles.values() {
            declared.extend(role.bindings.iter().filter_map(Binding::address));
        }
        let mut roles: BTreeMap<RoleArn, &Key> = BTreeMap::new();
        for (key, role) in &self.desired.roles {
            if let Some(account) = self.desired.accounts.get(&role.account) {
                roles.entry(read.role_arn(account, role)).or_insert(key);
            }
        }
        let mut found = Vec::new();
        for (cluster, live) in self.active_clusters() {
            for live in live.service_accounts.values().filter_map(Observed::present) {
                let named = live.annotations.get(ROLE_ARN).and_then(|arn| RoleArn::parse(arn).ok());
                let Some(role) = named.and_then(|arn| roles.get(&arn)) else { continue };
                let binding = self.unmanaged(role, cluster, &live.namespace, &live.name);
                let audience = Some(live.annotations.get(AUDIENCE).map_or(DEFAULT_AUDIENCE, String::as_str).to_owned());
                let binding = Binding { audience, ..binding };
                if !binding.address().is_some_and(|address| declared.contains(&address)) {
                    found.push((*role, binding));
                }
            }
        }
        found
    }

    /// A binding of a ServiceAccount that the configuration does not name.
    pub(super) fn unmanaged(
        &self,
        role: &Key,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
    ) -> Binding {
        Binding {
            cluster: cluster.clone(),
            subject: Subject::Exact(namespace.clone(), name.clone()),
            manage: Manage::None,
            audience: None,
            token_expiration: None,
            sts_regional_endpoints: None,
            metadata: None,
            origin: self.desired.roles[role].origin.clone(),
        }
    }

    fn active_clusters(&self) -> impl Iterator<Item = (&Key, &LiveCluster)> {
        let is_active =
            |key: &Key| self.desired.clusters.get(key).is_some_and(|cluster| cluster.state == ClusterState::Active);
        self.live.iter().flat_map(|live| &live.clusters).filter(move |(key, _)| is_active(key))
    }

    /// The clusters whose ServiceAccounts were not all read. Others than the declared ones may have the annotation.
    pub(super) fn not_all_read(&self) -> Vec<&Key> {
        let is_whole = |live: &LiveCluster| {
            live.api == Access::Granted(())
                && live.extent == Extent::Whole
                && !live.service_accounts.values().any(|seen| matches!(seen, Observed::Unknown(_)))
        };
        self.active_clusters().filter(|(_, live)| !is_whole(live)).map(|(key, _)| key).collect()
    }

    /// Whether the OIDC provider and the trust policy of a role let the tokens of a ServiceAccount in. With `--declared`
    /// they always do.
    pub(super) fn trusts(&self, key: &Key, binding: &Binding) -> Reach {
        let (Some(live), role) = (&self.live, &self.desired.roles[key]) else { return Reach::Yes };
        let found = match live.role(&role.account, &role.name) {
            Observed::Present(found) => found,
            Observed::Absent => return Reach::No(format!("role/{key} does not exist")),
            Observed::Unknown(why) => return Reach::Unknown(format!("role/{key} could not be read: {why}")),
        };
        let cluster = live.clusters.get(&binding.cluster);
        let Some((cluster, issuer)) = cluster.and_then(|cluster| Some((cluster, cluster.issuer.present()?))) else {
            return Reach::Unknown(format!("the issuer of cluster `{}` is not known", binding.cluster));
        };
        let Some(account) = self.desired.accounts.get(&role.account) else { return Reach::Yes };
        let provider = ProviderArn::of(&account.partition, &account.id, issuer);
        let claim = binding.subject.claim();
        let read = Self::service_account(cluster, binding);
        let audience = binding.audience(read.as_ref().and_then(Observed::present).copied());
        match accepts(live, role, &provider, audience) {
            Reach::Yes => {}
            // its annotation may name another audience
            Reach::No(_) if matches!(read, Some(Observed::Unknown(_))) && has_provider(live, role, &provider) => {
                return Reach::Unknown("the audience of its tokens is not known".to_owned());
            }
            other => return other,
        }
        match assumes(&found.role.trust, provider.as_str(), issuer.host_path(), audience, &claim) {
            Truth::False => Reach::No(format!("the trust policy of role/{key} does not let it in")),
            Truth::Unknown => Reach::Unknown(format!("whether the trust policy of role/{key} lets it in")),
            Truth::True => Reach::Yes,
        }
    }
}

/// The role that an annotation names.
pub(super) enum Annotated<'a> {
    /// A declared role.
    Role(&'a Key),
    /// A role that irsa did not read; the text names it.
    Other(String),
    /// No role; the text says why.
    None(String),
    /// Unknown; the text says why.
    Unknown(String),
}

/// Whether pods get a role.
pub(super) enum Reach {
    Yes,
    /// It is not known; the text says why.
    Unknown(String),
    No(String),
}

fn has_provider(live: &Live, role: &Role, provider: &ProviderArn) -> bool {
    live.accounts.get(&role.account).is_some_and(|account| account.provider(provider).present().is_some())
}

/// Whether the account of a role has the OIDC provider, and it accepts the audience.
fn accepts(live: &Live, role: &Role, provider: &ProviderArn, audience: &str) -> Reach {
    let Some(account) = live.accounts.get(&role.account) else {
        return Reach::Unknown(format!("account `{}` was not read", role.account));
    };
    match account.provider(provider) {
        Observed::Present(found) if found.provider.audiences.contains(audience) => Reach::Yes,
        Observed::Present(_) => {
            Reach::No(format!("the OIDC provider does not accept the audience `{audience}` of its tokens"))
        }
        Observed::Unknown(why) => Reach::Unknown(why),
        Observed::Absent => Reach::No(format!("account `{}` has no OIDC provider for its cluster", role.account)),
    }
}
