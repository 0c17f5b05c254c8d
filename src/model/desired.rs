//! The resolved configuration: defaults filled in, references followed, templates rendered.
//!
//! Only `config` creates it, twice in a run: once offline to find all mistakes, and again when the account ids are known.
//! It has no issuers of EKS clusters: `plan` takes them from the live clusters.

#![expect(missing_docs, reason = "fields without a comment have the names of the API or of the configuration")]

use super::address::Address;
use super::marks::is_mark;
use super::origin::Origin;
use super::pattern::Pattern;
use super::resource::{InlinePolicies, StringMap};
use crate::ids::{
    AccountId, ClusterName, IamPath, IssuerUrl, Key, LeaseName, Namespace, Partition, PolicyArn, PolicyName, Region,
    RoleName, ServiceAccountName,
};
use crate::policy::trust::SUBJECT_PREFIX;
use crate::policy::{PolicyDocument, Statement};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The value of the owner tag and label on every managed object.
    pub owner: Key,
    /// `sha256:…` of all configuration files, in a stable order.
    pub config_digest: String,
    /// By key; `default` is the account of the ambient credentials.
    pub accounts: BTreeMap<Key, Account>,
    pub clusters: BTreeMap<Key, Cluster>,
    /// The customer managed policies by (account, key): one for each account that attaches it.
    pub policies: BTreeMap<(Key, Key), Policy>,
    pub roles: BTreeMap<Key, Role>,
    /// The objects to forget: irsa removes its tags and labels and keeps the objects.
    pub forget: Vec<(Address, Origin)>,
    /// Patterns of tags that other people and programs may set on managed objects.
    pub ignore_tags: Vec<Pattern>,
    /// The limits on the size of a plan.
    pub guard: Guard,
    /// Further paths where roles with the owner tag that are not declared are found and deleted.
    pub prune_paths: BTreeSet<IamPath>,
    /// The lock that `apply` takes, if one is declared.
    pub lock: Option<Lock>,
    /// The lint findings that do not count.
    pub ignores: Vec<Ignore>,
}

impl Desired {
    /// Where the object is declared. Providers have no declaration: they follow from the bindings.
    pub fn origin(&self, address: &Address) -> Option<&Origin> {
        match address {
            Address::Role { key } => self.roles.get(key).map(|role| &role.origin),
            Address::Policy { account, key } => {
                self.policies.get(&(account.clone(), key.clone())).map(|policy| &policy.origin)
            }
            Address::ServiceAccount { .. } => {
                let mut bindings = self.roles.values().flat_map(|role| &role.bindings);
                bindings.find(|binding| binding.address().as_ref() == Some(address)).map(|binding| &binding.origin)
            }
            Address::OidcProvider { .. } | Address::Orphan { .. } => None,
        }
    }

    /// Whether irsa leaves a tag alone, because it is AWS's own or `ignore-tags` matches it. IAM ignores the case of tag
    /// keys (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>).
    pub fn ignores_tag(&self, key: &str) -> bool {
        let lower_case = key.to_lowercase();
        let listed = || self.ignore_tags.iter().any(|pattern| pattern.lower_case().matches(&lower_case));
        !is_mark(key) && (lower_case.starts_with("aws:") || listed())
    }
}

/// The findings of one rule that do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    /// The id of the rule.
    pub rule: String,
    /// Why, in the user's words.
    pub reason: String,
    /// What the findings are about.
    pub scope: IgnoreScope,
    pub origin: Origin,
}

/// Where findings are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IgnoreScope {
    /// In a role and all that is in it.
    Role(Key),
    /// In an inline policy of a role.
    Inline(Key, PolicyName),
    /// In a policy of `[policies]`, in every account.
    Policy(Key),
    /// In the entry of `[[service-accounts]]` at this position, which binds this role.
    Entry(Key, Origin),
}

/// The Kubernetes Lease that `apply` holds, so that only one run applies at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    pub cluster: Key,
    pub namespace: Namespace,
    pub name: LeaseName,
    /// Seconds after which it expires unless renewed.
    pub duration: u32,
    pub origin: Origin,
}

/// The limits beyond which a plan is refused as unexpectedly large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Updates, deletes and releases together, in percent of the managed live objects.
    pub max_change_percent: u32,
    /// The percentage counts only if at least this many managed objects are live.
    pub min_existing: usize,
    /// Deletes, whatever the number of live objects.
    pub max_delete: usize,
    /// A role that was used within this time is not deleted.
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

/// A limit and the setting that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<T> {
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

    /// The largest part of the managed live objects that may change, in percent.
    pub fn change_percent(&self) -> Limit<u32> {
        Limit::stricter(
            (self.max_change_percent, "guard.max-change-percent"),
            (self.at_most.max_change_percent, "--guard-max-change-percent"),
        )
    }

    /// The number of managed live objects from which the percentage counts. If the command line sets the percentage, the
    /// file cannot raise this number above the default, because that would disable the percentage.
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
    /// The declared id, which is checked before any other request.
    pub declared_id: Option<AccountId>,
    /// The id: declared, from STS, or [`PLACEHOLDER_ID`] while offline.
    pub id: AccountId,
    /// `aws` while offline.
    pub partition: Partition,
    /// A profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// The ARN of a role to assume for all requests in this account.
    pub assume_role: Option<String>,
    /// The external id for that.
    pub external_id: Option<String>,
    /// Where it was declared; None for the ambient account.
    pub origin: Option<Origin>,
}

/// The account id while it is unknown.
pub const PLACEHOLDER_ID: &str = "000000000000";

/// The region of an EKS cluster while it is unknown. It is about as long as any region, so sizes are about right.
pub const PLACEHOLDER_REGION: &str = "us-east-1";

impl Account {
    /// Whether the id is not a placeholder.
    pub fn is_known(&self) -> bool {
        self.declared_id.is_some() || self.id.as_str() != PLACEHOLDER_ID
    }
}

/// A cluster and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    pub account: Key,
    /// The region, if one is declared or known. EKS needs one.
    pub region: Option<Region>,
    /// The EKS name; None for a cluster that has only an issuer.
    pub name: Option<ClusterName>,
    /// The issuer, if it is declared.
    pub issuer: Option<IssuerUrl>,
    pub state: ClusterState,
    pub kubernetes: KubernetesAccess,
    /// `kubernetes = "none"`: irsa reads and manages nothing in it.
    pub unmanaged: bool,
    pub origin: Origin,
}

impl Cluster {
    /// Whether irsa can reach its API: through EKS, or through a kubeconfig.
    pub fn has_api(&self) -> bool {
        let KubernetesAccess { kubeconfig, context, unverified: _ } = &self.kubernetes;
        !self.unmanaged && (self.name.is_some() || context.is_some() || kubeconfig.is_some())
    }
}

/// Whether a cluster still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    Active,
    /// It was deleted: irsa deletes its IAM objects and sends no request to it.
    Gone,
}

/// How to reach a cluster's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesAccess {
    /// The declared kubeconfig; None for that of the user.
    pub kubeconfig: Option<NamedKubeconfig>,
    /// The context in it; None for the EKS endpoint with a token that irsa makes.
    pub context: Option<String>,
    /// Whether irsa skips the check that the API belongs to the declared cluster.
    pub unverified: bool,
}

/// A declared kubeconfig. It is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKubeconfig {
    /// The path, relative to the working directory.
    pub path: PathBuf,
    /// The folder of the configuration. The kubeconfig must lie in it.
    pub folder: PathBuf,
}

/// A customer managed policy in one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub name: PolicyName,
    /// The path, which is set only at creation.
    pub path: IamPath,
    /// The description, which is set only at creation.
    pub description: String,
    pub document: PolicyDocument,
    /// The declared tags, without those of irsa.
    pub tags: StringMap,
    /// Whether irsa may adopt an existing policy.
    pub adopt: Adopt,
    /// Whether irsa refuses to delete it.
    pub prevent_destroy: bool,
    pub origin: Origin,
}

/// Whether irsa may adopt an existing object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopt {
    No,
    /// If the object has no owner tag.
    Unowned,
    /// If the object has no owner tag, or one with this value.
    From(Key),
}

/// The declared permissions boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boundary {
    /// No declaration: irsa leaves the live boundary alone.
    Undeclared,
    /// `"none"`: irsa removes a live boundary.
    None,
    /// The policy of this ARN.
    Policy(PolicyArn),
}

/// A role.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    pub name: RoleName,
    pub account: Key,
    pub path: IamPath,
    /// Whether the role itself declares the path. Then the live role must have it.
    pub path_declared: bool,
    /// The description; empty for a role without one.
    pub description: String,
    pub max_session_duration: u32,
    pub permissions_boundary: Boundary,
    /// The declared tags, without those of irsa.
    pub tags: StringMap,
    pub attach: BTreeSet<Attachment>,
    /// Where each ARN was declared, also that of the boundary.
    pub policy_origins: BTreeMap<PolicyArn, Origin>,
    /// Policies that other people and programs may attach, as patterns over ARNs.
    pub ignore_attached: Vec<Pattern>,
    pub inline: InlinePolicies,
    /// Declared trust statements, beside the generated ones.
    pub extra_trust: Vec<Statement>,
    /// The `ServiceAccount`s that may assume it.
    pub bindings: Vec<Binding>,
    /// Whether irsa may adopt an existing role.
    pub adopt: Adopt,
    /// Whether irsa refuses to delete it.
    pub prevent_destroy: bool,
    pub origin: Origin,
}

/// A managed policy to attach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attachment {
    /// An existing policy.
    Arn(PolicyArn),
    /// A policy of this configuration, by key, in the role's account.
    Declared(Key),
}

/// How irsa manages a `ServiceAccount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manage {
    /// irsa creates it if it is missing.
    Create,
    /// irsa annotates it if it exists.
    Annotate,
    /// irsa does not touch it, and only writes the trust policy.
    None,
}

/// The `ServiceAccount`s of one cluster that may assume a role, by name or pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub cluster: Key,
    /// The `ServiceAccount`, or a pattern.
    pub subject: Subject,
    /// How irsa manages the object; always `None` for a pattern.
    pub manage: Manage,
    /// The declared audience.
    pub audience: Option<String>,
    /// The declared token lifetime in seconds: 600-86,400.
    pub token_expiration: Option<u32>,
    /// The declared `sts-regional-endpoints`.
    pub sts_regional_endpoints: Option<bool>,
    /// Declared labels and annotations.
    pub metadata: Option<Arc<Metadata>>,
    pub origin: Origin,
}

/// Declared labels and annotations, which all ServiceAccounts of an entry share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Beside the owner label.
    pub labels: StringMap,
    /// Beside those of irsa and of the pod identity webhook.
    pub annotations: StringMap,
}

impl Binding {
    /// The audience of the token, which the trust policy and the provider must accept.
    pub fn effective_audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(super::marks::DEFAULT_AUDIENCE)
    }

    /// `service-account/CLUSTER/NAMESPACE/NAME`, also of a pattern.
    pub fn address_text(&self) -> String {
        let (namespace, name) = self.subject.names();
        format!("service-account/{}/{namespace}/{name}", self.cluster)
    }

    /// The address of the `ServiceAccount`. None for a pattern.
    pub fn address(&self) -> Option<Address> {
        let Subject::Exact(namespace, name) = self.subject.clone() else { return None };
        Some(Address::ServiceAccount { cluster: self.cluster.clone(), namespace, name })
    }
}

/// The `ServiceAccount`s of a binding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// This one.
    Exact(Namespace, ServiceAccountName),
    /// All that match a pattern.
    Wildcard {
        /// A namespace, which may contain `*`.
        namespace: String,
        /// A name, which may contain `*`.
        name: String,
        /// The declared reason, `allow-wildcard`.
        reason: String,
    },
}

impl Subject {
    /// Namespace and name, which may be patterns.
    pub fn names(&self) -> (&str, &str) {
        match self {
            Self::Exact(namespace, name) => (namespace.as_str(), name.as_str()),
            Self::Wildcard { namespace, name, .. } => (namespace, name),
        }
    }

    /// Whether it is this ServiceAccount, or a pattern that matches it.
    pub fn matches(&self, namespace: &Namespace, name: &ServiceAccountName) -> bool {
        let (namespaces, names) = self.names();
        Pattern::new(namespaces).matches(namespace.as_str()) && Pattern::new(names).matches(name.as_str())
    }

    /// The value of the token's `sub` claim: `system:serviceaccount:NAMESPACE:NAME`.
    pub fn claim(&self) -> String {
        let (namespace, name) = self.names();
        format!("{SUBJECT_PREFIX}{namespace}:{name}")
    }
}
