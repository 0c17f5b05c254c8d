//! Read-only planner context: desired and live state, with the lookups that several kinds of object share.

use super::draft::BlockedBy;
use super::types::Options;
use crate::ids::{IamPath, IssuerUrl, Key, Namespace, PolicyArn, ProviderArn, RoleArn, ServiceAccountName};
use crate::model::address::{Address, OrphanKind};
use crate::model::desired::{Attachment, Binding, ClusterState, Desired, Role, Subject};
use crate::model::live::{Access, Live, LiveAccount, LiveCluster, LivePolicy, Observed, RoleSummary};
use crate::model::marks::{ADDRESS, OWNER, field_manager};
use crate::model::resource::StringMap;
use crate::model::shard::Scope;
use crate::policy::trust::Grant;
use std::collections::{BTreeMap, HashMap};

/// The OIDC issuer of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// The cluster exists and has this issuer.
    Known(IssuerUrl),
    /// EKS has no such cluster.
    Missing,
    /// The cluster could not be read, for this reason.
    Unknown(String),
    /// The cluster is declared `gone`. The value is the host and path of its issuer, if the configuration declares the
    /// issuer, or if the tags of a provider name this cluster.
    Gone(Option<String>),
}

impl Issuer {
    pub(crate) fn host_path(&self) -> Option<&str> {
        match self {
            Self::Known(url) => Some(url.host_path()),
            Self::Gone(host_path) => host_path.as_deref(),
            Self::Missing | Self::Unknown(_) => None,
        }
    }
}

/// Refers to a ServiceAccount by borrowed names. `Desired` has at most one managed binding for each.
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

pub(crate) struct PlanContext<'a> {
    pub desired: &'a Desired,
    pub live: &'a Live,
    pub options: &'a Options,
    /// The name of irsa's field manager.
    pub field_manager: String,
    /// The objects of the shard that is planned. None without `--shard`.
    pub scope: Option<Scope>,
    /// Clusters that have the same issuer as another cluster. Maps each to that other cluster.
    pub duplicates: BTreeMap<Key, Key>,
    issuers: BTreeMap<Key, Issuer>,
    clusters_by_issuer: HashMap<String, Key>,
    /// Declared roles by account and lower-case name.
    roles: HashMap<(&'a Key, String), (&'a Key, &'a Role)>,
    /// The keys of declared policies by account and lower-case name.
    policies: HashMap<(&'a Key, String), &'a Key>,
    /// With `--shard`, the roles in the lists of the accounts, by account and lower-case name.
    listed_roles: HashMap<(&'a Key, String), &'a RoleSummary>,
    /// Live policies by account and lower-case name.
    live_policies: HashMap<(&'a Key, String), (&'a PolicyArn, &'a Observed<LivePolicy>)>,
}

impl<'a> PlanContext<'a> {
    pub(crate) fn new(desired: &'a Desired, live: &'a Live, options: &'a Options) -> Self {
        let mut context = Self {
            desired,
            live,
            options,
            field_manager: field_manager(&desired.owner),
            scope: options.shard.map(|shard| Scope::of(shard, desired)),
            duplicates: BTreeMap::new(),
            issuers: BTreeMap::new(),
            clusters_by_issuer: HashMap::new(),
            roles: HashMap::new(),
            policies: HashMap::new(),
            listed_roles: HashMap::new(),
            live_policies: HashMap::new(),
        };
        for (key, cluster) in &desired.clusters {
            let declared = || cluster.issuer.as_ref().map(|issuer| issuer.host_path().to_owned());
            let issuer = match cluster.state {
                ClusterState::Gone => Issuer::Gone(declared().or_else(|| context.tagged_issuer(key))),
                ClusterState::Active => match live.clusters.get(key).map(|cluster| &cluster.issuer) {
                    Some(Observed::Present(issuer)) => Issuer::Known(issuer.clone()),
                    Some(Observed::Absent) => Issuer::Missing,
                    Some(Observed::Unknown(why)) => Issuer::Unknown(why.clone()),
                    None => Issuer::Unknown("it was not read".to_owned()),
                },
            };
            context.issuers.insert(key.clone(), issuer);
        }
        context.find_duplicates();
        context.index();
        context
    }

    /// Fills the lookups by name. The first entry of a name wins.
    fn index(&mut self) {
        for (key, role) in &self.desired.roles {
            self.roles.entry((&role.account, role.name.lower_case())).or_insert((key, role));
        }
        for ((account, key), policy) in &self.desired.policies {
            self.policies.entry((account, policy.name.lower_case())).or_insert(key);
        }
        for (key, account) in &self.live.accounts {
            for (arn, policy) in &account.policies {
                self.live_policies.entry((key, arn.name().to_lowercase())).or_insert((arn, policy));
            }
            let listed = account.role_list.present().filter(|_| self.scope.is_some());
            for role in listed.into_iter().flatten() {
                self.listed_roles.entry((key, role.name.lower_case())).or_insert(role);
            }
        }
        for (key, issuer) in &self.issuers {
            if let Some(host_path) = issuer.host_path() {
                self.clusters_by_issuer.entry(host_path.to_owned()).or_insert_with(|| key.clone());
            }
        }
    }

    /// Makes the issuers of duplicate clusters unknown, because two keys of one cluster would fight over its provider
    /// and its ServiceAccounts.
    fn find_duplicates(&mut self) {
        let mut first: HashMap<&str, &Key> = HashMap::new();
        for (key, issuer) in &self.issuers {
            let Issuer::Known(url) = issuer else { continue };
            if let Some(other) = first.get(url.host_path()) {
                self.duplicates.insert(key.clone(), (*other).clone());
                self.duplicates.insert((*other).clone(), key.clone());
            } else {
                first.insert(url.host_path(), key);
            }
        }
        for (key, other) in &self.duplicates {
            self.issuers.insert(key.clone(), Issuer::Unknown(format!("cluster `{other}` has the same issuer")));
        }
    }

    /// Host and path of the issuer whose provider has the owner tag and the address tag of this cluster.
    fn tagged_issuer(&self, cluster: &Key) -> Option<String> {
        self.live.accounts.values().flat_map(|account| &account.providers).find_map(|(arn, provider)| {
            let tags = &provider.present()?.provider.tags;
            (self.is_ours(tags) && tagged_cluster(tags).as_ref() == Some(cluster)).then(|| arn.host_path().to_owned())
        })
    }

    /// Whether this run plans the object. Without `--shard`, it plans every object.
    pub(crate) fn plans(&self, address: &Address) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.has(address))
    }

    /// Why objects of this shard wait for an object of another shard.
    pub(crate) fn waits_for_shard(&self, address: &Address) -> String {
        match self.scope.as_ref().and_then(|scope| scope.owner(address)) {
            Some(shard) => format!("it belongs to shard {shard}, so run that shard first"),
            None => "it belongs to no shard, so run irsa without `--shard` first".to_owned(),
        }
    }

    /// Whether the owner tag or label names this configuration.
    pub(crate) fn is_ours(&self, tags: &StringMap) -> bool {
        tags.get(OWNER).is_some_and(|owner| owner == self.desired.owner.as_str())
    }

    pub(crate) fn issuer(&self, cluster: &Key) -> &Issuer {
        self.issuers.get(cluster).unwrap_or(&Issuer::Missing)
    }

    /// Whether the cluster is declared `gone`.
    pub(crate) fn is_gone(&self, cluster: &Key) -> bool {
        matches!(self.issuer(cluster), Issuer::Gone(_))
    }

    /// The declared cluster, active or gone, that has this issuer.
    pub(crate) fn cluster_of(&self, host_path: &str) -> Option<(&Key, &Issuer)> {
        self.issuers.get_key_value(self.clusters_by_issuer.get(host_path)?)
    }

    /// A cluster whose issuer is missing or unknown.
    pub(crate) fn any_unresolved_cluster(&self) -> Option<&Key> {
        let mut issuers = self.issuers.iter();
        issuers.find(|(_, issuer)| matches!(issuer, Issuer::Missing | Issuer::Unknown(_))).map(|(key, _)| key)
    }

    /// The account, if the credentials for it are usable.
    pub(crate) fn account(&self, key: &Key) -> Option<&'a LiveAccount> {
        self.live.accounts.get(key).filter(|account| matches!(account.identity, Access::Granted(_)))
    }

    /// The declared accounts with usable credentials.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (&'a Key, &'a LiveAccount)> {
        self.desired.accounts.keys().filter_map(|key| Some((key, self.account(key)?)))
    }

    /// The cluster, if its issuer is known and its API is usable.
    pub(crate) fn cluster(&self, key: &Key) -> Option<&'a LiveCluster> {
        let usable = |cluster: &&LiveCluster| matches!(cluster.api, Access::Granted(()));
        self.live.clusters.get(key).filter(usable).filter(|_| matches!(self.issuer(key), Issuer::Known(_)))
    }

    pub(crate) fn provider_arn(&self, account: &Key, issuer: &IssuerUrl) -> Option<ProviderArn> {
        let account = self.desired.accounts.get(account)?;
        Some(ProviderArn::of(&account.partition, &account.id, issuer))
    }

    /// The ARN of a declared role, with the live path if the role exists.
    pub(crate) fn role_arn(&self, role: &Role) -> Option<RoleArn> {
        let account = self.desired.accounts.get(&role.account)?;
        let live = self.account(&role.account).and_then(|live| live.roles.get(&role.name.lower_case()));
        if let Some(live) = live.and_then(Observed::present) {
            return Some(RoleArn::of(&account.partition, &account.id, &live.role.path, &live.role.name));
        }
        // only the role list has the roles of other shards
        let path = self.listed_role(role).and_then(|summary| IamPath::parse(&summary.path).ok());
        Some(RoleArn::of(&account.partition, &account.id, path.as_ref().unwrap_or(&role.path), &role.name))
    }

    /// The declared role, as the role list of its account shows it. None without `--shard`.
    pub(crate) fn listed_role(&self, role: &Role) -> Option<&'a RoleSummary> {
        self.account(&role.account)?;
        self.listed_roles.get(&(&role.account, role.name.lower_case())).copied()
    }

    /// The live policy with this lower-case name, under any path, because names are unique in an account.
    pub(crate) fn policy_by_name(
        &self,
        account: &Key,
        lower_case: &str,
    ) -> Option<(&'a PolicyArn, &'a Observed<LivePolicy>)> {
        self.account(account)?;
        self.live_policies.get(&(account, lower_case.to_owned())).copied()
    }

    /// The ARN of the policy: its live ARN if it exists, otherwise the ARN that it will have.
    pub(crate) fn attachment_arn(&self, account: &Key, attachment: &Attachment) -> Option<PolicyArn> {
        let key = match attachment {
            Attachment::Arn(arn) => return Some(arn.clone()),
            Attachment::Declared(key) => key,
        };
        let policy = self.desired.policies.get(&(account.clone(), key.clone()))?;
        let place = self.desired.accounts.get(account)?;
        Some(match self.policy_by_name(account, &policy.name.lower_case()) {
            Some((arn, _)) => arn.clone(),
            None => PolicyArn::of(&place.partition, &place.id, &policy.path, &policy.name),
        })
    }

    /// The declared policies of an account, each with its ARN.
    pub(crate) fn declared_policies(&self, account: &Key) -> impl Iterator<Item = (Address, PolicyArn)> {
        self.desired.policies.keys().filter(move |(other, _)| other == account).filter_map(|(account, key)| {
            let arn = self.attachment_arn(account, &Attachment::Declared(key.clone()))?;
            Some((Address::Policy { account: account.clone(), key: key.clone() }, arn))
        })
    }

    /// The bindings of a role, except those in clusters that are declared `gone`.
    pub(crate) fn bindings<'r>(&self, role: &'r Role) -> impl Iterator<Item = &'r Binding> {
        role.bindings.iter().filter(|binding| !self.is_gone(&binding.cluster))
    }

    /// The trust that a role needs for a binding. Fails, and says why, if the cluster does not exist, if its issuer is
    /// not known, or if the account is not declared.
    pub(crate) fn grant(&self, role: &Role, binding: &Binding) -> Result<Grant, (BlockedBy, String)> {
        let cluster = &binding.cluster;
        let unknown = |why: String| Err((BlockedBy::Unknown, why));
        let issuer = match self.issuer(cluster) {
            Issuer::Known(issuer) => issuer,
            Issuer::Unknown(why) => return unknown(format!("the issuer of cluster `{cluster}` is unknown: {why}")),
            Issuer::Missing | Issuer::Gone(_) => {
                return Err((BlockedBy::Refused, format!("cluster `{cluster}` does not exist")));
            }
        };
        let Some(provider) = self.provider_arn(&role.account, issuer) else {
            return unknown(format!("account `{}` is not declared", role.account));
        };
        Ok(Grant { provider, audience: binding.effective_audience().to_owned(), subject: binding.subject.claim() })
    }

    /// The providers and declared policies that a role needs.
    pub(crate) fn dependencies(&self, role: &Role) -> impl Iterator<Item = Address> {
        let account = &role.account;
        let providers = self.bindings(role);
        let providers = providers.map(|binding| provider_address(account, &binding.cluster));
        providers.chain(role.attach.iter().filter_map(|attachment| policy_address(account, attachment)))
    }

    /// The declared role with this lower-case name in the account.
    pub(crate) fn declared_role(&self, account: &Key, lower_case: &str) -> Option<(&'a Key, &'a Role)> {
        self.roles.get(&(account, lower_case.to_owned())).copied()
    }

    /// The address of a live role.
    pub(crate) fn role_address(&self, account: &Key, lower_case: &str, name: &str) -> Address {
        match self.declared_role(account, lower_case) {
            Some((key, _)) => Address::role(key),
            None => orphan(account, OrphanKind::Role, name),
        }
    }

    /// The address of a live policy.
    pub(crate) fn address_of_live_policy(&self, account: &Key, arn: &PolicyArn) -> Address {
        match self.policies.get(&(account, arn.name().to_lowercase())) {
            Some(key) => Address::Policy { account: account.clone(), key: (*key).clone() },
            None => orphan(account, OrphanKind::Policy, arn.name()),
        }
    }

    /// The address of a live provider. If no active cluster has its issuer, the provider is an orphan.
    pub(crate) fn address_of_live_provider(&self, account: &Key, host_path: &str) -> Address {
        match self.cluster_of(host_path) {
            Some((cluster, Issuer::Known(_))) => provider_address(account, cluster),
            Some((_, Issuer::Missing | Issuer::Unknown(_) | Issuer::Gone(_))) | None => {
                orphan(account, OrphanKind::OidcProvider, host_path)
            }
        }
    }

    /// The bindings that each name one ServiceAccount (no wildcard), managed or not.
    pub(crate) fn exact_bindings(&self) -> impl Iterator<Item = (&'a Binding, ServiceAccountRef<'a>)> {
        self.desired.roles.values().flat_map(exact_bindings)
    }
}

/// The bindings of a role that each name one ServiceAccount (no wildcard).
pub(crate) fn exact_bindings(role: &Role) -> impl Iterator<Item = (&Binding, ServiceAccountRef<'_>)> {
    role.bindings.iter().filter_map(|binding| match &binding.subject {
        Subject::Exact(namespace, name) => {
            Some((binding, ServiceAccountRef { cluster: &binding.cluster, namespace, name }))
        }
        Subject::Wildcard { .. } => None,
    })
}

pub(crate) fn provider_address(account: &Key, cluster: &Key) -> Address {
    Address::OidcProvider { account: account.clone(), cluster: cluster.clone() }
}

/// The address of a declared policy. None for the ARN of an existing one.
pub(crate) fn policy_address(account: &Key, attachment: &Attachment) -> Option<Address> {
    match attachment {
        Attachment::Declared(key) => Some(Address::Policy { account: account.clone(), key: key.clone() }),
        Attachment::Arn(_) => None,
    }
}

fn orphan(account: &Key, kind: OrphanKind, name: &str) -> Address {
    Address::Orphan { account: account.clone(), kind, name: name.to_owned() }
}

/// The cluster in the address tag of a provider.
pub(crate) fn tagged_cluster(tags: &StringMap) -> Option<Key> {
    let address: Address = tags.get(ADDRESS)?.parse().ok()?;
    if let Address::OidcProvider { cluster, .. } = address { Some(cluster) } else { None }
}
