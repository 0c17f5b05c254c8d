//! Both sides of the comparison at one table, and the questions that every kind of object asks of them: which account
//! may be used, which issuer a cluster has, whose an object is.

use super::step::Options;
use crate::ids::{IamPath, IssuerUrl, Key, Namespace, PolicyArn, ProviderArn, RoleArn, ServiceAccountName};
use crate::model::address::{Address, OrphanKind};
use crate::model::desired::{Adopt, Attachment, Binding, ClusterState, Desired, Role, Subject};
use crate::model::live::{
    Access, Live, LiveAccount, LiveCluster, LivePolicy, LiveProvider, LiveServiceAccount, Observed, RoleSummary,
};
use crate::model::marks::{ADDRESS, OWNER, ROLE_ARN, field_manager};
use crate::model::resource::StringMap;
use crate::model::shard::Scope;
use crate::policy::trust::Grant;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

/// What is known of a cluster's issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// The cluster is there and this is its issuer.
    Known(IssuerUrl),
    /// EKS has no such cluster.
    Missing,
    /// It could not be told.
    Unknown(String),
    /// The cluster is declared gone; host and path of its issuer, where that can still be told.
    Gone(Option<String>),
}

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This configuration's.
    Ours,
    /// Nobody's.
    Nobody,
    /// Another configuration's.
    Other(String),
}

/// Why a role's trust cannot be told in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// The cluster could not be read.
    Unknown(String),
    /// The cluster does not exist.
    Missing(String),
}

/// The place of a ServiceAccount. `Desired` has one binding at most to each that irsa looks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ServiceAccountRef<'a> {
    pub cluster: &'a Key,
    pub namespace: &'a Namespace,
    pub name: &'a ServiceAccountName,
}

impl ServiceAccountRef<'_> {
    pub(crate) fn address(self) -> Address {
        Address::ServiceAccount {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// The two sides, and what was asked.
pub(crate) struct PlanContext<'a> {
    pub desired: &'a Desired,
    pub live: &'a Live,
    pub options: &'a Options,
    /// Our field manager.
    pub field_manager: String,
    /// What belongs to the shard that is planned; nothing if all is.
    pub scope: Option<Scope>,
    issuers: BTreeMap<Key, Issuer>,
    /// Clusters that turned out to have the issuer of another one.
    pub doubles: BTreeMap<Key, Key>,
    /// The declared roles by account and folded name.
    roles: HashMap<(&'a Key, String), (&'a Key, &'a Role)>,
    /// The keys of the declared policies by account and folded name.
    policies: HashMap<(&'a Key, String), &'a Key>,
    /// The live policies by account and folded name.
    live_policies: HashMap<(&'a Key, String), (&'a PolicyArn, &'a Observed<LivePolicy>)>,
    /// Clusters by host and path of their issuer.
    by_issuer: HashMap<String, Key>,
    /// Every ServiceAccount that names a role, by its ARN.
    pointing: OnceLock<HashMap<&'a str, Vec<(&'a Key, &'a LiveServiceAccount)>>>,
}

impl<'a> PlanContext<'a> {
    pub(crate) fn new(desired: &'a Desired, live: &'a Live, options: &'a Options) -> Self {
        let scope = options.shard.map(|shard| Scope::of(shard, desired));
        let mut context = Self {
            desired,
            live,
            options,
            field_manager: field_manager(&desired.owner),
            scope,
            issuers: BTreeMap::new(),
            doubles: BTreeMap::new(),
            roles: HashMap::new(),
            policies: HashMap::new(),
            live_policies: HashMap::new(),
            by_issuer: HashMap::new(),
            pointing: OnceLock::new(),
        };
        for (key, cluster) in &desired.clusters {
            let issuer = match cluster.state {
                ClusterState::Gone => Issuer::Gone(
                    cluster
                        .issuer
                        .as_ref()
                        .map(|issuer| issuer.host_path().to_owned())
                        .or_else(|| context.issuer_by_mark(key)),
                ),
                ClusterState::Active => match live.clusters.get(key).map(|cluster| &cluster.issuer) {
                    Some(Observed::Present(issuer)) => Issuer::Known(issuer.clone()),
                    Some(Observed::Absent) => Issuer::Missing,
                    Some(Observed::Unknown(why)) => Issuer::Unknown(why.clone()),
                    None => Issuer::Unknown("it was not read".to_owned()),
                },
            };
            context.issuers.insert(key.clone(), issuer);
        }
        context.find_doubles();
        context.index();
        context
    }

    /// Notes what is looked for by name; the first one counts, as in a search from the beginning.
    fn index(&mut self) {
        for (key, role) in &self.desired.roles {
            self.roles.entry((&role.account, role.name.case_insensitive())).or_insert((key, role));
        }
        for ((account, key), policy) in &self.desired.policies {
            self.policies.entry((account, policy.name.case_insensitive())).or_insert(key);
        }
        for (key, account) in &self.live.accounts {
            for (arn, policy) in &account.policies {
                self.live_policies.entry((key, arn.name().to_lowercase())).or_insert((arn, policy));
            }
        }
        for (key, issuer) in &self.issuers {
            let host_path = match issuer {
                Issuer::Known(url) => url.host_path(),
                Issuer::Gone(Some(gone)) => gone,
                Issuer::Gone(None) | Issuer::Missing | Issuer::Unknown(_) => continue,
            };
            self.by_issuer.entry(host_path.to_owned()).or_insert_with(|| key.clone());
        }
    }

    /// Two keys of one cluster would fight over its provider and its ServiceAccounts.
    fn find_doubles(&mut self) {
        let mut first: BTreeMap<String, Key> = BTreeMap::new();
        let mut doubles = BTreeMap::new();
        for (key, issuer) in &self.issuers {
            let Issuer::Known(url) = issuer else { continue };
            if let Some(other) = first.get(url.host_path()) {
                doubles.insert(key.clone(), other.clone());
                doubles.insert(other.clone(), key.clone());
            } else {
                first.insert(url.host_path().to_owned(), key.clone());
            }
        }
        for (key, other) in &doubles {
            let why = format!("it has the issuer of `{other}`");
            self.issuers.insert(key.clone(), Issuer::Unknown(why));
        }
        self.doubles = doubles;
    }

    /// Host and path of the issuer of the provider of ours that is marked as this cluster's.
    fn issuer_by_mark(&self, cluster: &Key) -> Option<String> {
        self.live.accounts.values().flat_map(|account| &account.providers).find_map(|(arn, provider)| {
            let provider = provider.present()?;
            (self.owner(&provider.provider.tags) == Owner::Ours
                && marked_cluster(&provider.provider.tags).as_ref() == Some(cluster))
            .then(|| arn.host_path().to_owned())
        })
    }

    /// Whether an object is this run's to plan.
    pub(crate) fn has(&self, address: &Address) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.has(address))
    }

    pub(crate) fn issuer(&self, cluster: &Key) -> &Issuer {
        static UNDECLARED: Issuer = Issuer::Missing;
        self.issuers.get(cluster).unwrap_or(&UNDECLARED)
    }

    /// The declared cluster, active or gone, that has this issuer.
    pub(crate) fn cluster_of(&self, host_path: &str) -> Option<(&Key, &Issuer)> {
        self.issuers.get_key_value(self.by_issuer.get(host_path)?)
    }

    /// A cluster whose issuer could not be told.
    pub(crate) fn unseen_cluster(&self) -> Option<&Key> {
        self.issuers
            .iter()
            .find(|(_, issuer)| matches!(issuer, Issuer::Missing | Issuer::Unknown(_)))
            .map(|(key, _)| key)
    }

    /// The account, if its credentials are the right ones.
    pub(crate) fn account(&self, key: &Key) -> Option<&'a LiveAccount> {
        self.live.accounts.get(key).filter(|account| matches!(account.identity, Access::Granted(_)))
    }

    /// The cluster, if its API may be used.
    pub(crate) fn cluster(&self, key: &Key) -> Option<&'a LiveCluster> {
        let usable = |cluster: &&LiveCluster| matches!(cluster.api, Access::Granted(()));
        self.live.clusters.get(key).filter(usable).filter(|_| matches!(self.issuer(key), Issuer::Known(_)))
    }

    pub(crate) fn owner(&self, tags: &StringMap) -> Owner {
        match tags.get(OWNER) {
            None => Owner::Nobody,
            Some(owner) if owner == self.desired.owner.as_str() => Owner::Ours,
            Some(owner) => Owner::Other(owner.clone()),
        }
    }

    /// Whether an object of `owner` may be taken over.
    pub(crate) fn may_adopt(&self, owner: &Owner, adopt: &Adopt) -> bool {
        match (owner, adopt) {
            (Owner::Nobody, Adopt::No) => self.options.adopt,
            (Owner::Nobody, Adopt::Unowned | Adopt::From(_)) => true,
            (Owner::Other(owner), Adopt::From(named)) => owner == named.as_str(),
            (Owner::Ours, _) | (Owner::Other(_), Adopt::No | Adopt::Unowned) => false,
        }
    }

    pub(crate) fn provider_arn(&self, account: &Key, issuer: &IssuerUrl) -> Option<ProviderArn> {
        let account = self.desired.accounts.get(account)?;
        Some(ProviderArn::of(&account.partition, &account.id, issuer))
    }

    /// A role's ARN: with the path that it has, or else the one that it will be made with.
    pub(crate) fn role_arn(&self, role: &Role) -> Option<RoleArn> {
        let account = self.desired.accounts.get(&role.account)?;
        let live = self.account(&role.account).and_then(|live| live.roles.get(&role.name.case_insensitive()));
        if let Some(live) = live.and_then(Observed::present) {
            return Some(RoleArn::of(&account.partition, &account.id, &live.role.path, &live.role.name));
        }
        // of other shards' roles there is only what the list shows
        let listed = self.scope.as_ref().and_then(|_| self.listed(role));
        let path = listed.and_then(|summary| IamPath::parse(&summary.path).ok());
        Some(RoleArn::of(&account.partition, &account.id, path.as_ref().unwrap_or(&role.path), &role.name))
    }

    /// A role as the list of its account shows it.
    pub(crate) fn listed(&self, role: &Role) -> Option<&'a RoleSummary> {
        let role_list = self.account(&role.account)?.role_list.present()?;
        let folded = role.name.case_insensitive();
        role_list.iter().find(|summary| summary.name.case_insensitive() == folded)
    }

    /// The live policy of this name, under whatever path: names are unique in an account.
    pub(crate) fn policy_by_name(
        &self,
        account: &Key,
        folded: &str,
    ) -> Option<(&'a PolicyArn, &'a Observed<LivePolicy>)> {
        self.account(account)?;
        self.live_policies.get(&(account, folded.to_owned())).copied()
    }

    /// Every ServiceAccount whose annotation names the role, and that is not going anyway.
    pub(crate) fn pointing_at(&self, role: &RoleArn) -> &[(&'a Key, &'a LiveServiceAccount)] {
        let all = self.pointing.get_or_init(|| {
            let mut all: HashMap<&'a str, Vec<_>> = HashMap::new();
            for (key, cluster) in &self.live.clusters {
                let items = cluster.service_accounts.values().filter_map(Observed::present);
                for item in items.filter(|item| item.deleting.is_none()) {
                    if let Some(arn) = item.annotations.get(ROLE_ARN) {
                        all.entry(arn).or_default().push((key, item));
                    }
                }
            }
            all
        });
        all.get(role.as_str()).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn attachment_arn(&self, account: &Key, attachment: &Attachment) -> Option<PolicyArn> {
        match attachment {
            Attachment::Arn(arn) => Some(arn.clone()),
            Attachment::Declared(key) => {
                let policy = self.desired.policies.get(&(account.clone(), key.clone()))?;
                let place = self.desired.accounts.get(account)?;
                Some(match self.policy_by_name(account, &policy.name.case_insensitive()) {
                    Some((arn, _)) => arn.clone(),
                    None => PolicyArn::of(&place.partition, &place.id, &policy.path, &policy.name),
                })
            }
        }
    }

    /// Whether a policy is one of this configuration, there already or to be made.
    pub(crate) fn is_declared(&self, account: &Key, arn: &PolicyArn) -> bool {
        let keys = self.desired.policies.keys().filter(|(owner, _)| owner == account);
        keys.map(|(_, key)| Attachment::Declared(key.clone()))
            .any(|declared| self.attachment_arn(account, &declared).as_ref() == Some(arn))
    }

    /// The bindings of a role in clusters that are there.
    pub(crate) fn bindings<'r>(&self, role: &'r Role) -> impl Iterator<Item = &'r Binding> {
        role.bindings.iter().filter(|binding| !matches!(self.issuer(&binding.cluster), Issuer::Gone(_)))
    }

    /// Who may assume the role, by its bindings.
    pub(crate) fn grants(&self, role: &Role) -> Result<BTreeSet<Grant>, Blocked> {
        let mut grants = BTreeSet::new();
        for binding in self.bindings(role) {
            let issuer = match self.issuer(&binding.cluster) {
                Issuer::Known(issuer) => issuer,
                Issuer::Unknown(why) => {
                    return Err(Blocked::Unknown(format!(
                        "the issuer of cluster `{}` is unknown: {why}",
                        binding.cluster
                    )));
                }
                Issuer::Missing | Issuer::Gone(_) => {
                    return Err(Blocked::Missing(format!("cluster `{}` does not exist", binding.cluster)));
                }
            };
            let Some(provider) = self.provider_arn(&role.account, issuer) else { continue };
            let audience = binding.effective_audience().to_owned();
            grants.insert(Grant { provider, audience, subject: binding.subject.claim() });
        }
        Ok(grants)
    }

    /// The provider of this issuer in the account, if it is there.
    pub(crate) fn provider(&self, account: &Key, host_path: &str) -> Option<&'a LiveProvider> {
        let providers = &self.account(account)?.providers;
        providers.iter().find(|(arn, _)| arn.host_path() == host_path)?.1.present()
    }

    /// Why trust in this issuer must not be taken away: it is ours, and no declared cluster has it.
    pub(crate) fn stray(&self, account: &Key, host_path: &str) -> Option<(String, String)> {
        if self.cluster_of(host_path).is_some() {
            return None;
        }
        let live = self.account(account)?;
        let unread = |why: &str| {
            Some((
                format!("trust in issuer `{host_path}` would go while it is unknown whose its provider is: {why}"),
                "allow `iam:ListOpenIDConnectProviders` and `iam:GetOpenIDConnectProvider`, then plan again".to_owned(),
            ))
        };
        let provider = match live.providers.iter().find(|(arn, _)| arn.host_path() == host_path) {
            Some((_, Observed::Present(provider))) => provider,
            Some((_, Observed::Unknown(why))) => return unread(why),
            Some((_, Observed::Absent)) => return None,
            None => match &live.providers_listed {
                Observed::Unknown(why) => return unread(why),
                Observed::Present(()) | Observed::Absent => return None,
            },
        };
        if self.owner(&provider.provider.tags) != Owner::Ours {
            return None;
        }
        let cluster = marked_cluster(&provider.provider.tags);
        match cluster.as_ref().and_then(|cluster| self.issuers.get(cluster).map(|issuer| (cluster, issuer))) {
            Some((_, Issuer::Known(_) | Issuer::Gone(_))) => None,
            Some((cluster, Issuer::Missing | Issuer::Unknown(_))) => Some((
                format!("trust in issuer `{host_path}` would go while its cluster `{cluster}` cannot be seen"),
                format!("make `{cluster}` readable, or declare it `state = \"gone\"` if it is no more"),
            )),
            None => {
                let cluster = cluster.map_or_else(|| "NAME".to_owned(), |cluster| cluster.to_string());
                Some((
                    format!("trust in issuer `{host_path}`, which no declared cluster has, would go"),
                    format!(
                        "declare `[clusters.{cluster}]` with `state = \"gone\"` and `issuer = \"https://{host_path}\"` first"
                    ),
                ))
            }
        }
    }

    /// The declared role of this IAM name in the account.
    pub(crate) fn declared_role(&self, account: &Key, folded: &str) -> Option<(&'a Key, &'a Role)> {
        self.roles.get(&(account, folded.to_owned())).copied()
    }

    /// The printed name of a live role: its declared address, or that of an orphan.
    pub(crate) fn role_address(&self, account: &Key, folded: &str, name: &str) -> Address {
        match self.declared_role(account, folded) {
            Some((key, _)) => Address::role(key),
            None => Address::Orphan { account: account.clone(), kind: OrphanKind::Role, name: name.to_owned() },
        }
    }

    /// The printed name of a live policy.
    pub(crate) fn policy_address(&self, account: &Key, arn: &PolicyArn) -> Address {
        let folded = arn.name().to_lowercase();
        match self.policies.get(&(account, folded)) {
            Some(key) => Address::Policy { account: account.clone(), key: (*key).clone() },
            None => Address::Orphan { account: account.clone(), kind: OrphanKind::Policy, name: arn.name().to_owned() },
        }
    }

    /// The printed name of a live provider: the declared, active cluster's, or that of an orphan.
    pub(crate) fn provider_address(&self, account: &Key, host_path: &str) -> Address {
        match self.cluster_of(host_path) {
            Some((cluster, Issuer::Known(_))) => {
                Address::OidcProvider { account: account.clone(), cluster: cluster.clone() }
            }
            _ => {
                Address::Orphan { account: account.clone(), kind: OrphanKind::OidcProvider, name: host_path.to_owned() }
            }
        }
    }

    /// The bindings to one ServiceAccount object, whoever looks after it.
    pub(crate) fn exact_bindings(&self) -> impl Iterator<Item = (&'a Binding, ServiceAccountRef<'a>)> {
        self.desired.roles.values().flat_map(exact)
    }
}

/// The bindings of a role that mean one ServiceAccount each.
pub(crate) fn exact(role: &Role) -> impl Iterator<Item = (&Binding, ServiceAccountRef<'_>)> {
    role.bindings.iter().filter_map(|binding| match &binding.subject {
        Subject::Exact(namespace, name) => {
            Some((binding, ServiceAccountRef { cluster: &binding.cluster, namespace, name }))
        }
        Subject::Wildcard { .. } => None,
    })
}

/// The cluster of the provider address that an object is marked with.
fn marked_cluster(tags: &StringMap) -> Option<Key> {
    match tags.get(ADDRESS)?.parse::<Address>().ok()? {
        Address::OidcProvider { cluster, .. } => Some(cluster),
        _ => None,
    }
}
