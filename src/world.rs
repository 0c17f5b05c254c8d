//! The ports to AWS and Kubernetes, and the only files that name `aws_sdk_*` or `kube`.
//!
//! Reading and writing are two capabilities: `plan`, `drift` and `validate` never build a writer. The ports speak model
//! types only. A read answers `Ok(None)` when the service says that there is no such thing; every other failure is a
//! `CallError`, which is never taken for absence.

mod account;
pub mod answer;
pub mod aws;
pub(crate) mod bounds;
mod certificate;
mod connect;
mod eks;
mod iam;
pub mod kubernetes;
mod pace;
mod retry;
mod scrub;
mod sts;
mod transports;

pub(crate) use scrub::clean;
pub use transports::{AskUser, KubernetesClients, Transports};

use crate::ids::{IssuerUrl, Key, Namespace, PolicyArn, PolicyName, ProviderArn, RoleName, ServiceAccountName};
use crate::model::call::{IamCall, KubernetesCall};
use crate::model::lease::{Lease, LeaseRecord, LeaseRef};
use crate::model::live::{
    Access, Identity, LivePolicy, LiveProvider, LiveRole, LiveServiceAccount, Malformed, NamespacePhase, Quotas,
    RoleSummary,
};
use crate::model::resource::StringMap;
use crate::policy::PolicyDocument;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::time::Duration;

/// A call that did not give what it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// `iam:GetRole`, `eks:DescribeCluster`, `list ServiceAccounts`, …
    pub operation: String,
    /// What to make of it.
    pub kind: CallErrorKind,
    /// The service's own code, for example `AccessDenied`.
    pub code: Option<String>,
    /// The service's own words, freed of secrets and control characters.
    pub message: String,
    /// The request id, to give to AWS support.
    pub request_id: Option<String>,
}

/// What to make of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// The credentials may not do this.
    Denied,
    /// The credentials may, and a rule of the cluster forbids it: an admission policy, a namespace that is being deleted.
    Rejected,
    /// The credentials are expired or unknown.
    Credentials,
    /// There is no such object.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// Someone else changed or holds it (IAM's ConcurrentModification, Kubernetes' 409).
    Conflict,
    /// Too fast, and the budget for waiting is spent.
    Throttled,
    /// The service or the way to it failed, and the budget for waiting is spent.
    Unavailable,
    /// A quota.
    Limit,
    /// The request itself is wrong.
    Invalid,
    /// It was written, and something on the way to the store changed it.
    Altered,
    /// It was never sent: its writer was told to stop before that.
    Stopped,
    /// Anything else.
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

/// The answer of a read.
pub type Answer<T> = Result<T, CallError>;

/// A list, each entry judged by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// What was understood.
    pub items: Vec<T>,
    /// What was not.
    pub odd: Vec<Malformed>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), odd: Vec::new() }
    }
}

impl<T> From<Vec<T>> for Listed<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, odd: Vec::new() }
    }
}

/// A ServiceAccount that the API gave in a form that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedServiceAccount {
    /// Where it is; nothing if not even that can be told.
    pub spot: Option<(Namespace, ServiceAccountName)>,
    /// Its labels, if they can be told.
    pub labels: Option<StringMap>,
    /// Its annotations, if they can be told.
    pub annotations: Option<StringMap>,
    /// What is not understood.
    pub why: String,
}

/// The ServiceAccounts of a list, each judged by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceAccountList {
    /// What was understood.
    pub items: Vec<LiveServiceAccount>,
    /// What was not.
    pub odd: Vec<MalformedServiceAccount>,
}

/// What identifies a cluster, as DescribeCluster tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// `identity.oidc.issuer`, verbatim.
    pub issuer: Option<IssuerUrl>,
    /// The API server.
    pub endpoint: Option<String>,
    /// The certificate authority, base64 of PEM.
    pub certificate_authority: Option<String>,
    /// `ACTIVE`, `CREATING`, `DELETING`, …
    pub status: String,
}

/// A policy as ListPolicies shows it: no tags, no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySummary {
    /// The ARN.
    pub arn: PolicyArn,
    /// The name.
    pub name: PolicyName,
    /// The path.
    pub path: String,
}

/// A role as GetRole shows it: no policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleAttributes {
    /// What ListRoles has too.
    pub summary: RoleSummary,
    /// Tags.
    pub tags: StringMap,
    /// The permissions boundary.
    pub permissions_boundary: Option<PolicyArn>,
    /// When it was last used, in seconds since 1970.
    pub last_used: Option<i64>,
}

/// What GetAccountSummary tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountSummary {
    /// The quotas; what is not told is AWS's default.
    pub quotas: Quotas,
    /// How many roles the account has.
    pub roles: Option<usize>,
}

/// Makes a role of what ListRoles says of it.
type Join = Box<dyn FnOnce(&RoleSummary) -> Answer<LiveRole> + Send + Sync>;

/// A role as GetAccountAuthorizationDetails shows it: understood once ListRoles has told what it lacks.
pub struct RoleDetail {
    /// The name.
    pub name: RoleName,
    join: Join,
}

impl RoleDetail {
    /// A role that `join` makes of what ListRoles says of it.
    pub(crate) fn new(
        name: RoleName,
        join: impl FnOnce(&RoleSummary) -> Answer<LiveRole> + Send + Sync + 'static,
    ) -> Self {
        Self { name, join: Box::new(join) }
    }

    /// The role in full but for its instance profiles, with description and session of `summary`.
    pub(crate) fn joined(self, summary: &RoleSummary) -> Answer<LiveRole> {
        (self.join)(summary)
    }
}

impl fmt::Debug for RoleDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleDetail").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One page of GetAccountAuthorizationDetails.
#[derive(Debug)]
pub struct BulkPage {
    /// The roles.
    pub roles: Vec<RoleDetail>,
    /// Where the next page begins; nothing after the last one.
    pub next: Option<String>,
}

/// Reads from STS, IAM and EKS. `account` and `cluster` are keys of the configuration.
pub trait ReadAws: Send + Sync {
    /// Finds the credentials of an account, which may take long: a login, a process, a role to assume. Whether there are
    /// any, the calls say.
    fn sign_in(&self, account: &Key) -> impl Future<Output = ()> + Send;
    /// sts:GetCallerIdentity
    fn identity(&self, account: &Key) -> impl Future<Output = Answer<Identity>> + Send;
    /// iam:GetAccountSummary
    fn summary(&self, account: &Key) -> impl Future<Output = Answer<AccountSummary>> + Send;
    /// iam:ListRoles, all pages.
    fn roles(&self, account: &Key) -> impl Future<Output = Answer<Listed<RoleSummary>>> + Send;
    /// iam:GetAccountAuthorizationDetails(Filter=Role), one page: the first, or that which a page before named.
    fn bulk_page(&self, account: &Key, page: Option<&str>) -> impl Future<Output = Answer<BulkPage>> + Send;
    /// How long it takes to read so many roles one by one, at the pace that IAM bears right now.
    fn one_by_one(&self, account: &Key, roles: usize) -> Duration;
    /// iam:GetRole
    fn role_head(&self, account: &Key, name: &RoleName) -> impl Future<Output = Answer<Option<RoleAttributes>>> + Send;
    /// iam:GetRole, ListAttachedRolePolicies, ListRolePolicies and GetRolePolicy in as few round trips as can be:
    /// `inline` are the names to ask for beside the list.
    fn role(
        &self,
        account: &Key,
        name: &RoleName,
        inline: &BTreeSet<PolicyName>,
    ) -> impl Future<Output = Answer<Option<LiveRole>>> + Send;
    /// iam:ListRoleTags
    fn role_tags(&self, account: &Key, name: &RoleName) -> impl Future<Output = Answer<Option<StringMap>>> + Send;
    /// iam:ListAttachedRolePolicies
    fn attached(
        &self,
        account: &Key,
        name: &RoleName,
    ) -> impl Future<Output = Answer<Option<BTreeSet<PolicyArn>>>> + Send;
    /// iam:ListRolePolicies
    fn inline_names(
        &self,
        account: &Key,
        name: &RoleName,
    ) -> impl Future<Output = Answer<Option<BTreeSet<PolicyName>>>> + Send;
    /// iam:GetRolePolicy
    fn inline(
        &self,
        account: &Key,
        name: &RoleName,
        policy: &PolicyName,
    ) -> impl Future<Output = Answer<Option<PolicyDocument>>> + Send;
    /// iam:ListInstanceProfilesForRole: the names.
    fn instance_profiles(&self, account: &Key, name: &RoleName) -> impl Future<Output = Answer<Vec<String>>> + Send;
    /// iam:ListPolicies(Scope=Local), all pages.
    fn policies(&self, account: &Key) -> impl Future<Output = Answer<Listed<PolicySummary>>> + Send;
    /// iam:GetPolicy, GetPolicyVersion and ListPolicyVersions.
    fn policy(&self, account: &Key, arn: &PolicyArn) -> impl Future<Output = Answer<Option<LivePolicy>>> + Send;
    /// iam:GetPolicy of a policy that need not be ours, and GetPolicyVersion where `document` is asked for: `None` if there
    /// is no such policy.
    fn foreign_policy(
        &self,
        account: &Key,
        arn: &PolicyArn,
        document: bool,
    ) -> impl Future<Output = Answer<Option<Option<PolicyDocument>>>> + Send;
    /// iam:ListPolicyTags
    fn policy_tags(&self, account: &Key, arn: &PolicyArn) -> impl Future<Output = Answer<Option<StringMap>>> + Send;
    /// iam:ListOpenIDConnectProviders: those that may be ours. What is no ARN that an issuer of ours could have is
    /// somebody else's.
    fn providers(&self, account: &Key) -> impl Future<Output = Answer<Listed<ProviderArn>>> + Send;
    /// iam:GetOpenIDConnectProvider
    fn provider(&self, account: &Key, arn: &ProviderArn) -> impl Future<Output = Answer<Option<LiveProvider>>> + Send;
    /// eks:DescribeCluster
    fn cluster(&self, cluster: &Key) -> impl Future<Output = Answer<Option<ClusterFacts>>> + Send;
}

/// Which ServiceAccounts of a cluster are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceAccountScope<'a> {
    /// All.
    Cluster,
    /// Those of a namespace.
    Namespace(&'a Namespace),
    /// Those that carry the label of an owner.
    Owner(&'a Key),
}

/// Reads from the Kubernetes APIs.
pub trait ReadKubernetes: Send + Sync {
    /// Connects and checks that the API is the declared cluster's. `facts` are DescribeCluster's, or hold only the
    /// declared issuer.
    fn verify(&self, cluster: &Key, facts: &ClusterFacts) -> impl Future<Output = Access<()>> + Send;
    /// Every ServiceAccount of so much; all pages.
    fn service_accounts(
        &self,
        cluster: &Key,
        within: ServiceAccountScope<'_>,
    ) -> impl Future<Output = Answer<ServiceAccountList>> + Send;
    /// Every ServiceAccount of the cluster; nothing if more than `patience` would be left after the first page.
    fn service_accounts_unless_long(
        &self,
        cluster: &Key,
        patience: i64,
    ) -> impl Future<Output = Answer<Option<ServiceAccountList>>> + Send;
    /// One ServiceAccount.
    fn service_account(
        &self,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
    ) -> impl Future<Output = Answer<Option<LiveServiceAccount>>> + Send;
    /// All namespaces.
    fn namespaces(&self, cluster: &Key) -> impl Future<Output = Answer<BTreeMap<Namespace, NamespacePhase>>> + Send;
    /// One namespace.
    fn namespace(
        &self,
        cluster: &Key,
        namespace: &Namespace,
    ) -> impl Future<Output = Answer<Option<NamespacePhase>>> + Send;
    /// The names of the pods that run under a ServiceAccount.
    fn pods(
        &self,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
    ) -> impl Future<Output = Answer<Vec<String>>> + Send;
}

/// Reads a Lease.
pub trait ReadLease: Send + Sync {
    /// The Lease, if it is there.
    fn lease(&self, place: &LeaseRef) -> impl Future<Output = Answer<Option<Lease>>> + Send;
}

/// A write that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// The request id.
    pub request_id: Option<String>,
    /// The object was there already, just as it should be: our own lost reply, or an earlier run.
    pub already_done: bool,
}

/// Writes to IAM.
pub trait WriteAws: Send + Sync {
    /// Makes one call.
    fn write(&self, account: &Key, call: &IamCall) -> impl Future<Output = Answer<Written>> + Send;
}

/// Writes to the Kubernetes APIs.
pub trait WriteKubernetes: Send + Sync {
    /// Makes one change. A delete is refused (`Conflict`) if the object is no longer of the `version` that was looked at;
    /// the other changes look at the object themselves.
    fn write(
        &self,
        cluster: &Key,
        call: &KubernetesCall,
        version: Option<&str>,
    ) -> impl Future<Output = Answer<Written>> + Send;
}

/// Writes a Lease.
pub trait WriteLease: Send + Sync {
    /// Makes one; refused if there is one.
    fn create_lease(&self, place: &LeaseRef, hold: &LeaseRecord) -> impl Future<Output = Answer<Lease>> + Send;
    /// Writes over the one that was read; refused if it is another one by now, or was changed.
    fn update_lease(
        &self,
        place: &LeaseRef,
        lease: &Lease,
        hold: &LeaseRecord,
    ) -> impl Future<Output = Answer<Lease>> + Send;
}
