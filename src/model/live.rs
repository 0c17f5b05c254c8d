//! What was seen in IAM, EKS and Kubernetes, and what could not be seen.

use super::address::OrphanKind;
use super::resource::{ManagedPolicy, Provider, Role, StringMap};
use crate::ids::{
    AccountId, IssuerUrl, Key, Namespace, Partition, PolicyArn, ProviderArn, RoleArn, RoleName, ServiceAccountName,
};
use crate::policy::PolicyDocument;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One look at an object. What cannot be read is never taken for absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    /// It is there.
    Present(T),
    /// It is certainly not there.
    Absent,
    /// It could not be read, for this reason.
    Unknown(String),
}

impl<T> Observed<T> {
    /// The object, if it was seen.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// The same look at something made from the object.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Present(value) => Observed::Present(f(value)),
            Self::Absent => Observed::Absent,
            Self::Unknown(why) => Observed::Unknown(why),
        }
    }
}

/// Everything that was seen in one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Live {
    /// One for each declared account.
    pub accounts: BTreeMap<Key, LiveAccount>,
    /// One for each declared cluster that is not gone.
    pub clusters: BTreeMap<Key, LiveCluster>,
}

/// Who the credentials of an account turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account id.
    pub account: AccountId,
    /// The partition.
    pub partition: Partition,
    /// The ARN of the caller, for display.
    pub caller: String,
}

/// Whether an account or cluster may be used at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access<T> {
    /// Yes, and this is it.
    Granted(T),
    /// It is not the declared one: nothing in it is planned. The texts are (why, hint).
    Wrong(String, String),
    /// It could not be asked.
    Unknown(String),
}

/// One account as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveAccount {
    /// The credentials' own identity.
    pub identity: Access<Identity>,
    /// The account's quotas, where they were asked for; AWS's defaults else.
    pub quotas: Quotas,
    /// Every role of the account as ListRoles has it, or why the list could not be read. Orphans cannot be searched
    /// and roles and providers cannot be deleted without it.
    pub role_list: Observed<Vec<RoleSummary>>,
    /// Whether the roster is unknown because the credentials may not list roles.
    pub role_list_denied: bool,
    /// The declared roles and the candidates for deletion, by folded name: read in full. A name that is not here was
    /// neither declared nor a candidate.
    pub roles: BTreeMap<String, Observed<LiveRole>>,
    /// The declared policies (by ARN or by name under any path) and those under a path of ours.
    pub policies: BTreeMap<PolicyArn, Observed<LivePolicy>>,
    /// Whether the list of policies was read: without it an undeclared policy may be missing from `policies`.
    pub policies_listed: Observed<()>,
    /// Policies that are not ours and that roles of this configuration come to have or are to lose: the document, where it
    /// could be read.
    pub foreign_policies: BTreeMap<PolicyArn, Observed<Option<PolicyDocument>>>,
    /// All OIDC providers, by ARN.
    pub providers: BTreeMap<ProviderArn, Observed<LiveProvider>>,
    /// Whether the list of providers was read.
    pub providers_listed: Observed<()>,
    /// The entries of its lists that were not understood.
    pub odd: Vec<Malformed>,
}

/// An entry of a list that was not understood: it is unknown by itself, and the rest of the list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// What it is.
    pub kind: OrphanKind,
    /// Its name or ARN as far as it has one, for display.
    pub name: String,
    /// What is not understood.
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
    /// The name.
    pub name: RoleName,
    /// The path.
    pub path: String,
    /// The trust policy.
    pub trust: PolicyDocument,
    /// The description, empty when there is none.
    pub description: String,
    /// The longest session, in seconds.
    pub max_session_duration: u32,
}

/// A role, read in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRole {
    /// What is compared.
    pub role: Role,
    /// Its ARN: computed, or read where it is one.
    pub arn: RoleArn,
    /// When it was last used, in seconds since 1970, if AWS told.
    pub last_used: Option<i64>,
    /// The instance profiles that it is in; asked only for roles that may be deleted.
    pub instance_profiles: Vec<String>,
}

/// A customer managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePolicy {
    /// What is compared.
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
    /// How often it is attached or a boundary.
    pub fn uses(&self) -> usize {
        [self.attachments, self.boundaries].iter().map(|count| usize::try_from(*count).unwrap_or(usize::MAX)).sum()
    }
}

/// An IAM OIDC provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveProvider {
    /// What is compared.
    pub provider: Provider,
    /// The thumbprints, for display.
    pub thumbprints: Vec<String>,
}

/// How far the ServiceAccounts of a cluster were read. A role that trusts a cluster is deleted only if all of them were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every one.
    Whole,
    /// Every one that was understood: one that was not may name any role. As far as they have a name of their own, they
    /// are here as `Unknown`.
    Understood,
    /// The declared ones and all that carry our label, of too many to read for nothing.
    Ours,
    /// The declared ones, and those of the namespaces that could be listed: what is no longer declared is found only
    /// there.
    Named,
}

/// One cluster as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCluster {
    /// What identifies it: from DescribeCluster, or from the file where the cluster has only an issuer. `Absent` when
    /// EKS says that there is no such cluster.
    pub issuer: Observed<IssuerUrl>,
    /// Whether its Kubernetes API could be used, and is the declared cluster's.
    pub api: Access<()>,
    /// How far its ServiceAccounts were read.
    pub extent: Extent,
    /// The namespaces that are there, as far as they were asked for.
    pub namespaces: BTreeMap<Namespace, Observed<NamespacePhase>>,
    /// The ServiceAccounts that were read. One that is not here and whose namespace is Absent or in the list is absent
    /// only if all were read, or if it is here as `Absent`.
    pub service_accounts: BTreeMap<(Namespace, ServiceAccountName), Observed<LiveServiceAccount>>,
}

/// Whether a namespace takes new objects
/// (<https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespacePhase {
    /// It does.
    Active,
    /// It is being deleted with all that is in it.
    Terminating,
}

/// A `ServiceAccount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveServiceAccount {
    /// The namespace.
    pub namespace: Namespace,
    /// The name.
    pub name: ServiceAccountName,
    /// The uid: a new one for every object of this name.
    pub uid: String,
    /// The version for optimistic locking.
    pub resource_version: String,
    /// All labels.
    pub labels: StringMap,
    /// All annotations.
    pub annotations: StringMap,
    /// `kind/name` of each owner reference.
    pub owner_references: Vec<String>,
    /// Who holds which field. Most objects have the same few entries, which are shared.
    pub managers: Vec<Arc<FieldManager>>,
    /// The finalizers that it waits for, if it is being deleted.
    pub deleting: Option<Vec<String>>,
    /// Pods that run under it; asked only for ServiceAccounts that may be deleted. Where they were not asked for, or are
    /// unknown, it is not deleted.
    pub pods: Option<Observed<Vec<String>>>,
}

/// An entry of `metadata.managedFields`, as far as irsa needs it
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldManager {
    /// The manager's name.
    pub name: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The labels that it holds, in order.
    pub labels: Vec<String>,
    /// The annotations that it holds, in order.
    pub annotations: Vec<String>,
    /// Whether it holds anything else (`secrets`, `imagePullSecrets`, finalizers, …).
    pub others: bool,
}
