//! What the configuration asks for, resolved: required keys there, references followed, templates rendered.
//!
//! Made by `config` alone, twice in a run: once offline to find every mistake, and again when the account ids are known.
//! Issuers are not known here; `plan` joins them from the live clusters.

use super::address::Address;
use super::origin::Origin;
use super::pattern::Pattern;
use super::resource::{InlinePolicies, StringMap};
use crate::ids::{
    AccountId, ClusterName, IamPath, IssuerUrl, Key, LeaseName, Namespace, Partition, PolicyArn, PolicyName, Region,
    RoleName, ServiceAccountName,
};
use crate::policy::{PolicyDocument, Statement};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The whole of one configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The configuration's name on everything that it manages.
    pub owner: Key,
    /// `sha256:…` over every file that was read, in a stable order.
    pub config_digest: String,
    /// The accounts by key; `default` stands for the ambient credentials' own.
    pub accounts: BTreeMap<Key, Account>,
    /// The clusters by key.
    pub clusters: BTreeMap<Key, Cluster>,
    /// The customer managed policies by (account, key): one object for each account that attaches it.
    pub policies: BTreeMap<(Key, Key), Policy>,
    /// The roles by key.
    pub roles: BTreeMap<Key, Role>,
    /// The objects to let go of without deleting them.
    pub forget: Vec<(Address, Origin)>,
    /// Tags that are left alone.
    pub ignore_tags: Vec<Pattern>,
    /// When to refuse a plan.
    pub guard: Guard,
    /// Further role paths under which owned, undeclared roles are searched.
    pub prune_paths: BTreeSet<IamPath>,
    /// The lock that `apply` takes, if one is declared.
    pub lock: Option<Lock>,
}

/// A Lease that lets one run at a time apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The key of the cluster that holds it.
    pub cluster: Key,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: LeaseName,
    /// How long it holds without being renewed, in seconds.
    pub duration: u32,
    /// Where it was declared.
    pub origin: Origin,
}

/// The limits past which a plan is too big to be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Updates, deletes and releases together, in percent of our live objects.
    pub max_change_percent: u32,
    /// The percentage counts only when we have at least so many live objects.
    pub min_existing: usize,
    /// Deletes, at any size.
    pub max_delete: usize,
    /// A role used since is not deleted.
    pub recent_use: Duration,
    /// Limits from the command line.
    pub at_most: GuardLimits,
}

/// Limits from the command line. They can only tighten the file's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuardLimits {
    /// `--guard-max-delete`
    pub max_delete: Option<usize>,
    /// `--guard-max-change-percent`
    pub max_change_percent: Option<u32>,
}

/// A limit and the setting that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<T> {
    /// The number.
    pub value: T,
    /// `guard.max-delete` or `--guard-max-delete`.
    pub name: &'static str,
}

impl<T: PartialOrd> Limit<T> {
    fn stricter((value, name): (T, &'static str), flag: (Option<T>, &'static str)) -> Self {
        match flag {
            (Some(less), name) if less < value => Self { value: less, name },
            _ => Self { value, name },
        }
    }
}

impl Guard {
    /// The most deletes in a plan.
    pub fn deletes(&self) -> Limit<usize> {
        Limit::stricter((self.max_delete, "guard.max-delete"), (self.at_most.max_delete, "--guard-max-delete"))
    }

    /// The largest part of our live objects that may change, in percent.
    pub fn change_percent(&self) -> Limit<u32> {
        Limit::stricter(
            (self.max_change_percent, "guard.max-change-percent"),
            (self.at_most.max_change_percent, "--guard-max-change-percent"),
        )
    }

    /// The number of live objects from which the percentage counts. If the command line sets the percentage, the file cannot
    /// raise this number above the default: that would switch the percentage off.
    pub fn counts_from(&self) -> usize {
        match self.at_most.max_change_percent {
            Some(_) => self.min_existing.min(Self::default().min_existing),
            None => self.min_existing,
        }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            max_change_percent: 30,
            min_existing: 10,
            max_delete: 5,
            recent_use: Duration::from_hours(24),
            at_most: GuardLimits::default(),
        }
    }
}

/// An AWS account and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The id that the file declares: checked before anything else.
    pub declared_id: Option<AccountId>,
    /// The id: declared, told by STS, or twelve placeholder digits while offline.
    pub id: AccountId,
    /// The partition, `aws` while offline.
    pub partition: Partition,
    /// A profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// A role to assume for everything in this account.
    pub assume_role: Option<String>,
    /// The external id to assume it with.
    pub external_id: Option<String>,
    /// Where it was declared; nothing for the ambient account.
    pub origin: Option<Origin>,
}

/// The account id while it is unknown.
pub const PLACEHOLDER_ID: &str = "000000000000";

impl Account {
    /// Whether the id is real and not the placeholder.
    pub fn is_known(&self) -> bool {
        self.declared_id.is_some() || self.id.as_str() != PLACEHOLDER_ID
    }
}

/// A cluster and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The account that holds the cluster.
    pub account: Key,
    /// The region, if one is declared or known; EKS needs one.
    pub region: Option<Region>,
    /// The EKS name; nothing for a cluster that has only an issuer.
    pub name: Option<ClusterName>,
    /// The issuer, where it is declared.
    pub issuer: Option<IssuerUrl>,
    /// Whether it still exists.
    pub state: ClusterState,
    /// How to reach its API.
    pub kubernetes: KubernetesAccess,
    /// `kubernetes = "none"`: nothing in it is managed or looked at.
    pub unmanaged: bool,
    /// Where it was declared.
    pub origin: Origin,
}

impl Cluster {
    /// Whether there is a way to its API. A cluster that EKS does not know is reached through a kubeconfig, or not at
    /// all.
    pub fn has_api(&self) -> bool {
        let KubernetesAccess { kubeconfig, context, unverified: _ } = &self.kubernetes;
        !self.unmanaged && (self.name.is_some() || context.is_some() || kubeconfig.is_some())
    }
}

/// Whether a cluster still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// It is there.
    Active,
    /// It is no more: what is in IAM for it is taken away without talking to it.
    Gone,
}

/// How to reach a cluster's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesAccess {
    /// The kubeconfig that the configuration names; nothing for the user's own.
    pub kubeconfig: Option<NamedKubeconfig>,
    /// The context in it; nothing for the EKS endpoint with a token made in process.
    pub context: Option<String>,
    /// Whether the check that the API is the declared cluster's is waived.
    pub unverified: bool,
}

/// A kubeconfig that the configuration names. It is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKubeconfig {
    /// Its path, relative to the working directory.
    pub path: PathBuf,
    /// The configuration's folder, in which it must lie.
    pub folder: PathBuf,
}

/// A customer managed policy in one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The name.
    pub name: PolicyName,
    /// The path, for creation only.
    pub path: IamPath,
    /// The description, for creation only.
    pub description: String,
    /// What it allows.
    pub document: PolicyDocument,
    /// The declared tags, without marks.
    pub tags: StringMap,
    /// Whether an existing, unmarked policy is taken over.
    pub adopt: Adopt,
    /// Whether the live object is guarded against deletion.
    pub prevent_destroy: bool,
    /// Where it was declared.
    pub origin: Origin,
}

/// Whether an object that is there already is taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopt {
    /// No.
    No,
    /// If it carries no owner.
    Unowned,
    /// If it carries no owner or this one.
    From(Key),
}

/// What is said of the permissions boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boundary {
    /// Nothing: a live one stays.
    Undeclared,
    /// `"none"`: a live one is removed.
    None,
    /// This one.
    Policy(PolicyArn),
}

/// A role.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// The IAM name.
    pub name: RoleName,
    /// The account that holds it.
    pub account: Key,
    /// The path.
    pub path: IamPath,
    /// Whether the path was declared for this very role, and so must be the live one's.
    pub path_declared: bool,
    /// The description, empty when there is none.
    pub description: String,
    /// The longest session, in seconds.
    pub max_session_duration: u32,
    /// The permissions boundary.
    pub permissions_boundary: Boundary,
    /// The declared tags, without marks.
    pub tags: StringMap,
    /// The managed policies to attach.
    pub attach: BTreeSet<Attachment>,
    /// Where the policies that are named by their ARN stand, the boundary among them.
    pub policy_origins: BTreeMap<PolicyArn, Origin>,
    /// Attachments by others that are left alone.
    pub ignore_attached: Vec<Pattern>,
    /// The inline policies by name.
    pub inline: InlinePolicies,
    /// Trust statements beside the generated ones.
    pub extra_trust: Vec<Statement>,
    /// The `ServiceAccount`s that may assume it.
    pub bindings: Vec<Binding>,
    /// Whether an existing role is taken over.
    pub adopt: Adopt,
    /// Whether the live role is guarded against deletion.
    pub prevent_destroy: bool,
    /// Where it was declared.
    pub origin: Origin,
}

/// A managed policy to attach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attachment {
    /// A policy that is there already.
    Arn(PolicyArn),
    /// A policy of this configuration, by key, in the role's account.
    Declared(Key),
}

/// Who looks after the `ServiceAccount` object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manage {
    /// irsa makes it if it is missing.
    Create,
    /// irsa annotates it if it is there.
    Annotate,
    /// irsa leaves it alone: trust only.
    None,
}

/// One (cluster, namespace, name) that may assume a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The key of the cluster.
    pub cluster: Key,
    /// The subject.
    pub subject: Subject,
    /// Who looks after the object; always `None` for a wildcard.
    pub manage: Manage,
    /// The declared audience.
    pub audience: Option<String>,
    /// The declared token lifetime, in seconds: 600-86,400.
    pub token_expiration: Option<u32>,
    /// The declared `sts-regional-endpoints`.
    pub sts_regional_endpoints: Option<bool>,
    /// Further labels and annotations, if any are declared.
    pub metadata: Option<Arc<Metadata>>,
    /// Where it was declared.
    pub origin: Origin,
}

/// Labels and annotations that mean nothing to irsa. All ServiceAccounts of an entry share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Beside the label of the owner.
    pub labels: StringMap,
    /// Beside those for the webhook, and the marks.
    pub annotations: StringMap,
}

impl Binding {
    /// The audience that the token has and that trust and provider must name.
    pub fn effective_audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(super::marks::DEFAULT_AUDIENCE)
    }
}

/// Which `ServiceAccount`s a binding means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// This one.
    Exact(Namespace, ServiceAccountName),
    /// All that match a pattern with `*` in it, for the reason given.
    Wildcard {
        /// The namespace, perhaps with `*`.
        namespace: String,
        /// The name, perhaps with `*`.
        name: String,
        /// Why it is meant: `allow-wildcard`.
        reason: String,
    },
}

impl Subject {
    /// The value of the token's `sub` claim: `system:serviceaccount:NAMESPACE:NAME`.
    pub fn claim(&self) -> String {
        match self {
            Self::Exact(namespace, name) => format!("system:serviceaccount:{namespace}:{name}"),
            Self::Wildcard { namespace, name, .. } => format!("system:serviceaccount:{namespace}:{name}"),
        }
    }
}
