//! Reads from and writes to AWS and Kubernetes. Only this module names `aws_sdk_*` or `kube`.
//!
//! Reading and writing are separate traits: `plan`, `drift` and `validate` never build a writer. The traits name no
//! type of an SDK. A read returns `Ok(None)` if the service says that the object does not exist. Any other failure is a
//! `CallError`, and never counts as absence.

mod account;
pub mod aws;
pub(crate) mod bounds;
mod certificate;
mod eks;
mod iam;
pub mod kubernetes;
mod pages;
mod rate_limit;
mod redact;
mod retry;
mod sdk_config;
mod signature;
mod sts;
mod transports;
mod web_identity;

pub(crate) use redact::clean;
pub use transports::{AskUser, MakeKubernetesClient, Transports};

use crate::ids::{
    ClusterName, IssuerUrl, Key, Namespace, PolicyArn, PolicyName, ProviderArn, Region, RoleArn, RoleName,
    ServiceAccountName,
};
use crate::model::call::{IamCall, KubernetesCall};
use crate::model::evidence::{Owner, Pod, Published, PublishedKey, StsLag, TokenClaims, WebhookList};
use crate::model::lease::{Lease, LeaseRecord, LeaseRef};
use crate::model::live::{
    Access, Identity, LivePolicy, LiveProvider, LiveRole, LiveServiceAccount, Malformed, NamespacePhase, Quotas,
    RoleSummary,
};
use crate::model::resource::StringMap;
use crate::policy::PolicyDocument;
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::time::Duration;

/// The largest page that IAM returns, in objects
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html>).
pub(crate) const IAM_PAGE_SIZE: u16 = 1_000;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// `iam:GetRole`, `eks:DescribeCluster`, `list ServiceAccounts`, …
    pub operation: String,
    /// What kind of error it is.
    pub kind: CallErrorKind,
    /// The service's error code, for example `AccessDenied`.
    pub code: Option<String>,
    /// The service's message, without secrets and control characters.
    pub message: String,
    /// The request id, for AWS support.
    pub request_id: Option<String>,
}

/// The kind of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// The credentials lack the permission.
    Denied,
    /// A rule of the cluster forbids it although the credentials have the permission: an admission policy, or a
    /// namespace that is being deleted.
    Rejected,
    /// The credentials are expired or unknown.
    Credentials,
    /// The object does not exist.
    NotFound,
    /// The object already exists.
    AlreadyExists,
    /// The object is not in the state that the call needs: somebody else changes or owns it, it has changed, or
    /// something still uses it (IAM's ConcurrentModification and DeleteConflict, Kubernetes' 409).
    Conflict,
    /// Throttled until the retry budget was spent.
    Throttled,
    /// The service or the network failed until the retry budget was spent.
    Unavailable,
    /// A quota is reached.
    Limit,
    /// The request is invalid.
    Invalid,
    /// The API server stored other values than irsa sent, because an admission webhook or policy changed them.
    Altered,
    /// Not sent, because the run was stopped.
    Stopped,
    /// Any other error.
    Other,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation)?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for CallError {}

/// The result of a call.
pub type Answer<T> = Result<T, CallError>;

/// The future of a call.
pub trait CallFuture<T>: Future<Output = Answer<T>> + Send {}

impl<T, F: Future<Output = Answer<T>> + Send> CallFuture<T> for F {}

/// The entries of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The entries that irsa could parse.
    pub items: Vec<T>,
    /// The other entries.
    pub malformed: Vec<Malformed>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), malformed: Vec::new() }
    }
}

impl<T> From<Vec<T>> for Listed<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, malformed: Vec::new() }
    }
}

/// A ServiceAccount that irsa cannot parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedServiceAccount {
    /// Its namespace and name. None if they cannot be parsed.
    pub object: Option<(Namespace, ServiceAccountName)>,
    /// Its labels. None if they cannot be parsed.
    pub labels: Option<StringMap>,
    /// Its annotations. None if they cannot be parsed.
    pub annotations: Option<StringMap>,
    /// What cannot be parsed.
    pub why: String,
}

/// The ServiceAccounts of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceAccountList {
    /// Those that irsa could parse.
    pub items: Vec<LiveServiceAccount>,
    /// The others.
    pub malformed: Vec<MalformedServiceAccount>,
}

/// The issuer, endpoint and certificate authority of a cluster, from DescribeCluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// `identity.oidc.issuer`, verbatim.
    pub issuer: Option<IssuerUrl>,
    /// The URL of the API server.
    pub endpoint: Option<String>,
    /// The certificate authority, base64 of PEM.
    pub certificate_authority: Option<String>,
    /// `ACTIVE`, `CREATING`, `DELETING`, …
    pub status: String,
}

/// A policy as ListPolicies returns it: without tags and document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySummary {
    /// The ARN.
    pub arn: PolicyArn,
    /// The name.
    pub name: PolicyName,
    /// The path.
    pub path: String,
}

/// A role as GetRole returns it: without its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleAttributes {
    /// What ListRoles returns too.
    pub summary: RoleSummary,
    /// Tags.
    pub tags: StringMap,
    /// The permissions boundary.
    pub permissions_boundary: Option<PolicyArn>,
    /// When it was last used, in seconds since 1970.
    pub last_used: Option<i64>,
}

/// The answer of GetAccountSummary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountSummary {
    /// The quotas. AWS's defaults where the answer has none.
    pub quotas: Quotas,
    /// The number of roles in the account.
    pub roles: Option<usize>,
}

/// Joins a role with its entry in ListRoles.
type Join = Box<dyn FnOnce(&RoleSummary) -> Answer<LiveRole> + Send + Sync>;

/// A role as GetAccountAuthorizationDetails returns it. irsa parses the role only when it joins it with its entry in
/// ListRoles.
pub struct RoleDetail {
    /// The name.
    pub name: RoleName,
    join: Join,
}

impl RoleDetail {
    pub(crate) fn new(
        name: RoleName,
        join: impl FnOnce(&RoleSummary) -> Answer<LiveRole> + Send + Sync + 'static,
    ) -> Self {
        Self { name, join: Box::new(join) }
    }

    /// The role without its instance profiles. Description and session duration come from `summary`.
    pub(crate) fn joined(self, summary: &RoleSummary) -> Answer<LiveRole> {
        (self.join)(summary)
    }
}

/// One page of GetAccountAuthorizationDetails.
pub struct BulkPage {
    /// The roles.
    pub roles: Vec<RoleDetail>,
    /// The marker of the next page. None on the last page.
    pub next: Option<String>,
}

/// Reads from STS, IAM and EKS. `account` and `cluster` are keys of the configuration.
pub trait ReadAws: Send + Sync {
    /// Fetches the credentials of an account, which may take long (SSO, a credential process, an assumed role). If
    /// there are no credentials, this still returns, and the later calls fail.
    fn sign_in(&self, account: &Key) -> impl Future<Output = ()> + Send;
    /// sts:GetCallerIdentity
    fn identity(&self, account: &Key) -> impl CallFuture<Identity>;
    /// iam:GetAccountSummary
    fn summary(&self, account: &Key) -> impl CallFuture<AccountSummary>;
    /// iam:ListRoles, all pages.
    fn roles(&self, account: &Key) -> impl CallFuture<Listed<RoleSummary>>;
    /// iam:GetAccountAuthorizationDetails(Filter=Role), one page: the first one, or the one at the marker `page`.
    fn bulk_page(&self, account: &Key, page: Option<&str>) -> impl CallFuture<BulkPage>;
    /// Estimates how long the rate limits delay `calls` calls of each action that reads a role. Sends nothing.
    fn estimate_one_by_one(&self, account: &Key, calls: usize) -> Duration;
    /// iam:GetRole
    fn role_attributes(&self, account: &Key, name: &RoleName) -> impl CallFuture<Option<RoleAttributes>>;
    /// iam:GetRole, ListAttachedRolePolicies, ListRolePolicies, and GetRolePolicy of each inline policy. irsa sends all
    /// calls at once; it needs a second round only for inline policies that `inline` does not name.
    fn role(&self, account: &Key, name: &RoleName, inline: &BTreeSet<PolicyName>) -> impl CallFuture<Option<LiveRole>>;
    /// iam:ListRoleTags
    fn role_tags(&self, account: &Key, name: &RoleName) -> impl CallFuture<Option<StringMap>>;
    /// iam:ListAttachedRolePolicies
    fn attached(&self, account: &Key, name: &RoleName) -> impl CallFuture<Option<BTreeSet<PolicyArn>>>;
    /// iam:ListRolePolicies
    fn inline_names(&self, account: &Key, name: &RoleName) -> impl CallFuture<Option<BTreeSet<PolicyName>>>;
    /// iam:GetRolePolicy
    fn inline(&self, account: &Key, name: &RoleName, policy: &PolicyName) -> impl CallFuture<Option<PolicyDocument>>;
    /// iam:ListInstanceProfilesForRole: the names of the profiles.
    fn instance_profiles(&self, account: &Key, name: &RoleName) -> impl CallFuture<Vec<String>>;
    /// iam:ListPolicies(Scope=Local), all pages.
    fn policies(&self, account: &Key) -> impl CallFuture<Listed<PolicySummary>>;
    /// iam:GetPolicy, GetPolicyVersion and ListPolicyVersions.
    fn policy(&self, account: &Key, arn: &PolicyArn) -> impl CallFuture<Option<LivePolicy>>;
    /// iam:GetPolicy of any policy, also one that irsa does not manage, and GetPolicyVersion if `document`. The outer
    /// `None` means that no such policy exists.
    fn any_policy(
        &self,
        account: &Key,
        arn: &PolicyArn,
        document: bool,
    ) -> impl CallFuture<Option<Option<PolicyDocument>>>;
    /// iam:ListPolicyTags
    fn policy_tags(&self, account: &Key, arn: &PolicyArn) -> impl CallFuture<Option<StringMap>>;
    /// iam:ListOpenIDConnectProviders. Leaves out ARNs that cannot belong to the issuer of a cluster.
    fn providers(&self, account: &Key) -> impl CallFuture<Listed<ProviderArn>>;
    /// iam:GetOpenIDConnectProvider
    fn provider(&self, account: &Key, arn: &ProviderArn) -> impl CallFuture<Option<LiveProvider>>;
    /// eks:DescribeCluster
    fn cluster(&self, cluster: &Key) -> impl CallFuture<Option<ClusterFacts>>;
}

/// An EKS Pod Identity association as ListPodIdentityAssociations returns it: without its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationSummary {
    /// `a-…`
    pub id: String,
    /// The namespace of the ServiceAccount, as EKS returns it.
    pub namespace: String,
    /// The name of the ServiceAccount, as EKS returns it.
    pub service_account: String,
}

/// The lists of EKS that a plan does not need.
pub trait ListEks: Send + Sync {
    /// eks:ListClusters, all pages: the clusters of the account in the region.
    fn cluster_names(&self, account: &Key, region: &Region) -> impl CallFuture<Vec<ClusterName>>;
    /// eks:ListPodIdentityAssociations, all pages.
    fn associations(&self, cluster: &Key) -> impl CallFuture<Vec<AssociationSummary>>;
}

/// Which ServiceAccounts of a cluster to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceAccountScope<'a> {
    /// All.
    Cluster,
    /// Those of one namespace.
    Namespace(&'a Namespace),
    /// Those with the label of this owner.
    Owner(&'a Key),
}

/// Reads from the Kubernetes APIs.
pub trait ReadKubernetes: Send + Sync {
    /// Connects, and checks that the API server belongs to the declared cluster. `facts` come from DescribeCluster, or
    /// have only the declared issuer. Until this has succeeded, every other call for this cluster fails.
    fn connect(&self, cluster: &Key, facts: &ClusterFacts) -> impl Future<Output = Access<()>> + Send;
    /// All ServiceAccounts in this scope, all pages.
    fn service_accounts(&self, cluster: &Key, within: ServiceAccountScope<'_>) -> impl CallFuture<ServiceAccountList>;
    /// All ServiceAccounts of the cluster. None if more than `max_remaining` of them remain after the first page.
    fn service_accounts_unless_long(
        &self,
        cluster: &Key,
        max_remaining: i64,
    ) -> impl CallFuture<Option<ServiceAccountList>>;
    /// One ServiceAccount.
    fn service_account(
        &self,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
    ) -> impl CallFuture<Option<LiveServiceAccount>>;
    /// All namespaces.
    fn namespaces(&self, cluster: &Key) -> impl CallFuture<BTreeMap<Namespace, NamespacePhase>>;
    /// One namespace.
    fn namespace(&self, cluster: &Key, namespace: &Namespace) -> impl CallFuture<Option<NamespacePhase>>;
    /// The names of the pods that run under a ServiceAccount.
    fn pods(&self, cluster: &Key, namespace: &Namespace, name: &ServiceAccountName) -> impl CallFuture<Vec<String>>;
}

/// A ServiceAccount token. irsa sends the token itself only to STS.
#[derive(Debug)]
pub struct IdentityToken {
    /// What it says.
    pub claims: TokenClaims,
    pub(crate) secret: SecretString,
}

impl IdentityToken {
    /// Whether a key with the token's key id verifies its signature. None if no key has that id. Also None if no key
    /// verifies the signature, but irsa cannot check all keys with that id.
    pub(crate) fn is_verified_by(&self, keys: &[PublishedKey]) -> Option<bool> {
        let of_its_id = keys.iter().filter(|key| key.id == self.claims.key_id);
        let verdicts: Vec<_> =
            of_its_id.map(|key| signature::verifies(self.secret.expose_secret(), &key.numbers)).collect();
        if verdicts.contains(&Some(true)) {
            return Some(true);
        }
        let is_refuted = !verdicts.is_empty() && !verdicts.contains(&None);
        is_refuted.then_some(false)
    }
}

/// Reads from a cluster what only the command `verify` needs. Changes nothing in it: even a TokenRequest, which is a
/// POST, creates no object.
pub trait ReadKubernetesEvidence: Send + Sync {
    /// A token of the ServiceAccount for this audience, valid for ten minutes
    /// (<https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>).
    fn token(
        &self,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
        audience: &str,
    ) -> impl CallFuture<IdentityToken>;
    /// The webhooks of all MutatingWebhookConfigurations.
    fn webhooks(&self, cluster: &Key) -> impl CallFuture<WebhookList>;
    /// The labels of all namespaces.
    fn namespace_labels(&self, cluster: &Key) -> impl CallFuture<BTreeMap<Namespace, StringMap>>;
    /// The pods of the cluster or of one namespace, by namespace. Leaves out pods that have ended or are being deleted.
    /// Includes pods that irsa cannot parse.
    fn running_pods(&self, cluster: &Key, within: Option<&Namespace>)
    -> impl CallFuture<BTreeMap<Namespace, Vec<Pod>>>;
    /// The controller of a ReplicaSet, or else its first owner. None if it has no owner or does not exist.
    fn replica_set_owner(&self, cluster: &Key, namespace: &Namespace, name: &str) -> impl CallFuture<Option<Owner>>;
    /// The authorities that irsa checks the API's certificate with, as certificates in DER. They come from
    /// DescribeCluster or the kubeconfig. Sends nothing.
    fn authority(&self, cluster: &Key) -> impl CallFuture<Vec<Vec<u8>>>;
    /// What the issuer's own host publishes. TLS trusts the system's authorities; on a second attempt, it trusts only
    /// those in `AWS_CA_BUNDLE`.
    fn published(&self, issuer: &IssuerUrl) -> impl Future<Output = Published> + Send;
}

/// Reads from AWS what only the command `verify` needs.
pub trait ReadAwsEvidence: Send + Sync {
    /// sts:AssumeRoleWithWebIdentity in the region of the cluster, then sts:GetCallerIdentity with the credentials that
    /// it returns. Returns the ARN of the session. The first call is not signed, so it needs no credentials. irsa
    /// retries the refusals that `lag` names until the time for one operation is spent.
    fn assume(&self, cluster: &Key, role: &RoleArn, token: &IdentityToken, lag: StsLag) -> impl CallFuture<String>;
    /// eks:DescribePodIdentityAssociation: the ARN of its role.
    fn association_role(&self, cluster: &Key, id: &str) -> impl CallFuture<Option<String>>;
}

/// Reads a Lease.
pub trait ReadLease: Send + Sync {
    /// The Lease. None if it does not exist.
    fn lease(&self, reference: &LeaseRef) -> impl CallFuture<Option<Lease>>;
}

/// The outcome of a write that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// The request id.
    pub request_id: Option<String>,
    /// Nothing was written, because the object was already as the call leaves it. An earlier attempt whose reply was
    /// lost, an earlier run or somebody else did that.
    pub already_done: bool,
}

/// Writes to IAM.
pub trait WriteAws: Send + Sync {
    /// Makes one call.
    fn write(&self, account: &Key, call: &IamCall) -> impl CallFuture<Written>;
}

/// Writes to the Kubernetes APIs.
pub trait WriteKubernetes: Send + Sync {
    /// Makes one change. A delete fails with `Conflict` if the object no longer has the resource version `version`.
    /// Every other change has the planned fields in `call`, and the writer compares the live object with them.
    fn write(&self, cluster: &Key, call: &KubernetesCall, version: Option<&str>) -> impl CallFuture<Written>;
}

/// Writes a Lease.
pub trait WriteLease: Send + Sync {
    /// Creates a Lease. Fails if it exists.
    fn create_lease(&self, reference: &LeaseRef, record: &LeaseRecord) -> impl CallFuture<Lease>;
    /// Updates the Lease that was read. Fails if it was changed or replaced since.
    fn update_lease(&self, reference: &LeaseRef, lease: &Lease, record: &LeaseRecord) -> impl CallFuture<Lease>;
}
