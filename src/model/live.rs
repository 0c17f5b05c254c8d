//! The live objects in IAM, EKS and Kubernetes, as one run read them.

#![expect(missing_docs, reason = "fields without a comment have the names of the API")]

use super::address::OrphanKind;
use super::desired::{self, Account};
use super::refusal::Refusal;
use super::resource::{ManagedPolicy, Provider, Role, StringMap};
use crate::ids::{
    AccountId, IssuerUrl, Key, Namespace, Partition, PolicyArn, ProviderArn, RoleArn, RoleName, ServiceAccountName,
};
use crate::policy::PolicyDocument;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The result of reading an object. An object that cannot be read is never treated as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    Present(T),
    Absent,
    /// It could not be read; the text says why.
    Unknown(String),
}

impl<T> Observed<T> {
    /// The object, if it was read.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// Converts the object, if it was read.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Present(value) => Observed::Present(f(value)),
            Self::Absent => Observed::Absent,
            Self::Unknown(why) => Observed::Unknown(why),
        }
    }
}

/// All that one run read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Live {
    /// One entry for each declared account.
    pub accounts: BTreeMap<Key, LiveAccount>,
    /// One entry for each declared cluster that is not `gone`.
    pub clusters: BTreeMap<Key, LiveCluster>,
}

impl Live {
    /// A declared role. Unknown, with the reason, if its account could not be used.
    pub fn role(&self, account: &Key, name: &RoleName) -> Observed<&LiveRole> {
        let unread = |why: &str| Observed::Unknown(format!("account `{account}` was not read: {why}"));
        let Some(live) = self.accounts.get(account) else { return unread("it is not declared") };
        if let Access::Wrong(Refusal { why, .. }) | Access::Unknown(why) = &live.identity {
            return unread(why);
        }
        match live.roles.get(&name.lower_case()) {
            Some(Observed::Present(role)) => Observed::Present(role),
            Some(Observed::Absent) => Observed::Absent,
            Some(Observed::Unknown(why)) => Observed::Unknown(why.clone()),
            None => Observed::Unknown(format!("role `{name}` was not read")),
        }
    }

    /// The ARN of a declared role: the live one, or the one that it would get in its account.
    pub fn role_arn(&self, account: &Account, role: &desired::Role) -> RoleArn {
        match self.role(&role.account, &role.name) {
            Observed::Present(live) => live.arn.clone(),
            Observed::Absent | Observed::Unknown(_) => {
                RoleArn::of(&account.partition, &account.id, &role.path, &role.name)
            }
        }
    }
}

/// The identity of the credentials of an account, from STS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub account: AccountId,
    pub partition: Partition,
    /// The ARN of the caller, for display.
    pub caller: String,
}

/// Whether an account or cluster may be used at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access<T> {
    Granted(T),
    /// It is not the declared one, so irsa plans nothing in it.
    Wrong(Refusal),
    /// It could not be reached; the text says why.
    Unknown(String),
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveAccount {
    pub identity: Access<Identity>,
    /// The quotas, if they were read; else the defaults of AWS.
    pub quotas: Quotas,
    /// All roles of the account from ListRoles. Without this list irsa finds no orphans, and deletes no roles or providers.
    pub role_list: Observed<Vec<RoleSummary>>,
    /// Whether `role_list` is unknown because the credentials may not list roles.
    pub role_list_denied: bool,
    /// The declared roles and the candidates for deletion, by lower-case name. No other roles were read in full.
    pub roles: BTreeMap<String, Observed<LiveRole>>,
    /// The declared policies (by ARN, or by name under any path), and those under the paths of this owner.
    pub policies: BTreeMap<PolicyArn, Observed<LivePolicy>>,
    /// Whether the list of policies was read. If not, `policies` may lack undeclared policies.
    pub policies_listed: Observed<()>,
    /// Policies that irsa does not manage, also those of AWS, that this configuration attaches, detaches or replaces as
    /// a boundary. None for a document that could not be read.
    pub foreign_policies: BTreeMap<PolicyArn, Observed<Option<PolicyDocument>>>,
    pub providers: BTreeMap<ProviderArn, Observed<LiveProvider>>,
    pub providers_listed: Observed<()>,
    /// The list entries that could not be parsed.
    pub malformed: Vec<Malformed>,
}

impl LiveAccount {
    /// An account without objects. `lists` says whether its lists were read.
    pub fn without_objects(identity: Access<Identity>, lists: Observed<()>) -> Self {
        Self {
            identity,
            quotas: Quotas::default(),
            role_list: lists.clone().map(|()| Vec::new()),
            role_list_denied: false,
            roles: BTreeMap::new(),
            policies: BTreeMap::new(),
            policies_listed: lists.clone(),
            foreign_policies: BTreeMap::new(),
            providers: BTreeMap::new(),
            providers_listed: lists,
            malformed: Vec::new(),
        }
    }

    /// The provider of this ARN.
    pub fn provider(&self, arn: &ProviderArn) -> Observed<&LiveProvider> {
        listed(self.providers.get(arn), &self.providers_listed)
    }
}

/// Looks up an entry of a list. A missing entry is unknown, not absent, if the list could not be read.
pub(crate) fn listed<'l, T>(entry: Option<&'l Observed<T>>, list: &Observed<()>) -> Observed<&'l T> {
    match (entry, list) {
        (Some(Observed::Present(item)), _) => Observed::Present(item),
        (Some(Observed::Unknown(why)), _) | (None, Observed::Unknown(why)) => Observed::Unknown(why.clone()),
        (Some(Observed::Absent), _) | (None, Observed::Present(()) | Observed::Absent) => Observed::Absent,
    }
}

/// A list entry that could not be parsed. Only this object is unknown; the rest of the list is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub kind: OrphanKind,
    /// Its name or ARN, if it has one, for display.
    pub name: String,
    pub why: String,
}

/// The quotas that irsa checks before it writes, in characters without white space, or in objects
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// `AssumeRolePolicySizeQuota`
    pub trust_size: usize,
    /// `RolePolicySizeQuota`: all inline policies of a role together.
    pub inline_size: usize,
    /// `PolicySizeQuota`
    pub managed_size: usize,
    /// `AttachedPoliciesPerRoleQuota`
    pub attached_per_role: usize,
    /// `VersionsPerPolicyQuota`
    pub versions_per_policy: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            trust_size: 2048,
            inline_size: 10_240,
            managed_size: 6144,
            attached_per_role: 10,
            versions_per_policy: 5,
        }
    }
}

/// A role as ListRoles shows it: no tags, no boundary, no policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSummary {
    pub name: RoleName,
    pub path: String,
    pub trust: PolicyDocument,
    /// The description; empty for a role without one.
    pub description: String,
    pub max_session_duration: u32,
}

/// A role, read in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRole {
    pub role: Role,
    /// The ARN: from AWS, or composed from the account.
    pub arn: RoleArn,
    /// When it was last used, in seconds since 1970, if AWS reports that.
    pub last_used: Option<i64>,
    /// The instance profiles that contain it; read only for roles that may be deleted.
    pub instance_profiles: Vec<String>,
}

/// A customer managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePolicy {
    pub policy: ManagedPolicy,
    /// The id of the default version, for example `v3`.
    pub default_version: String,
    /// The ids of the other versions, oldest first.
    pub other_versions: Vec<String>,
    /// How many roles, users and groups have it attached.
    pub attachments: u32,
    /// How many roles and users have it as permissions boundary.
    pub boundaries: u32,
}

impl LivePolicy {
    /// The number of attachments and uses as a boundary.
    pub fn uses(&self) -> usize {
        [self.attachments, self.boundaries].iter().map(|count| usize::try_from(*count).unwrap_or(usize::MAX)).sum()
    }
}

/// An IAM OIDC provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveProvider {
    pub provider: Provider,
    /// The thumbprints, for display.
    pub thumbprints: Vec<String>,
}

/// Which ServiceAccounts of a cluster were read. A role that trusts the cluster is deleted only if all of them were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All.
    Whole,
    /// All that could be parsed. An object that could not be parsed may name any role. It is `Unknown` if at least its
    /// name could be parsed.
    Understood,
    /// The declared ones and all with the owner label, because the cluster has too many to read all.
    Ours,
    /// The declared ones, and all in the namespaces that could be listed. ServiceAccounts that are no longer declared are
    /// found only there.
    Named,
}

impl Extent {
    /// Whether a declared ServiceAccount that is missing among those that were read does not exist.
    pub fn shows_missing(self) -> bool {
        matches!(self, Self::Whole | Self::Understood)
    }
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCluster {
    /// The issuer: from DescribeCluster, or from the configuration. `Absent` if EKS has no such cluster.
    pub issuer: Observed<IssuerUrl>,
    /// The issuer that EKS shows, if it is not the declared one. `issuer` is then unknown.
    pub other_issuer: Option<IssuerUrl>,
    /// Whether its Kubernetes API can be used and belongs to the declared cluster.
    pub api: Access<()>,
    /// Which of its ServiceAccounts were read.
    pub extent: Extent,
    /// The namespaces that were read.
    pub namespaces: BTreeMap<Namespace, Observed<NamespacePhase>>,
    /// The ServiceAccounts that were read. A missing one is absent if `extent` is `Whole` or `Understood`, or if its
    /// namespace is absent. Otherwise it is unknown.
    pub service_accounts: BTreeMap<(Namespace, ServiceAccountName), Observed<LiveServiceAccount>>,
}

impl LiveCluster {
    /// A declared ServiceAccount. Unknown, with the reason, if the API of the cluster could not be used.
    pub fn service_account(&self, namespace: &Namespace, name: &ServiceAccountName) -> Observed<&LiveServiceAccount> {
        if let Access::Wrong(Refusal { why, .. }) | Access::Unknown(why) = &self.api {
            return Observed::Unknown(why.clone());
        }
        let is_absent = self.extent.shows_missing() || self.namespaces.get(namespace) == Some(&Observed::Absent);
        match self.service_accounts.get(&(namespace.clone(), name.clone())) {
            Some(Observed::Present(live)) => Observed::Present(live),
            Some(Observed::Unknown(why)) => Observed::Unknown(why.clone()),
            None if !is_absent => Observed::Unknown("the ServiceAccount was not read".to_owned()),
            Some(Observed::Absent) | None => Observed::Absent,
        }
    }
}

/// Whether a namespace accepts new objects
/// (<https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespacePhase {
    /// It accepts them.
    Active,
    /// It is being deleted with all its objects.
    Terminating,
}

/// A `ServiceAccount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveServiceAccount {
    pub namespace: Namespace,
    pub name: ServiceAccountName,
    /// The uid, which differs after the object was deleted and created again.
    pub uid: String,
    /// The `resourceVersion`, for optimistic locking.
    pub resource_version: String,
    pub labels: StringMap,
    pub annotations: StringMap,
    /// `kind/name` of each owner reference.
    pub owner_references: Vec<String>,
    /// The field managers with their fields. Objects share equal entries.
    pub managers: Vec<Arc<FieldManager>>,
    /// The finalizers that it waits for, if it is being deleted.
    pub deleting: Option<Vec<String>>,
    /// The pods that use it; read only for ServiceAccounts that may be deleted. Unless they were read, it is not deleted.
    pub pods: Option<Observed<Vec<String>>>,
}

/// The part of an entry of `metadata.managedFields` that irsa needs
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldManager {
    pub name: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The labels that it owns, sorted.
    pub labels: Vec<String>,
    /// The annotations that it owns, sorted.
    pub annotations: Vec<String>,
    /// Whether it owns other fields (`secrets`, `imagePullSecrets`, finalizers, …).
    pub others: bool,
}
