//! The IAM of one account, as near to AWS's as its pages and its users tell: names, documents, quotas, conflicts and
//! the ways in which things read back otherwise than they were written.
//!
//! It is plain state behind one call; who may call, over which wire and with which faults is not its business. Reads
//! are consistent at once, unless a test asks for AWS's delays. Every id follows from the account and the order of
//! creation.

mod account;
mod attach;
mod check;
mod document;
mod facts;
mod inline;
mod item;
mod json;
mod linked;
mod managed;
mod page;
mod policy;
mod principals;
mod profile;
mod provider;
mod quota;
mod role;
mod tags;
#[cfg(test)]
mod tests;
mod trust;
mod user;
mod version;

pub(crate) use check::Checks;
pub use facts::{ProviderFacts, RoleFacts};
pub use item::Item;
pub(crate) use item::Kept;
pub(crate) use principals::{Principals, State as PrincipalsState};
pub(crate) use trust::glob;

use crate::aws::query::{AwsError, Params, Xml};
use jiff::Timestamp;
use quota::Quotas;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The result of a call: None where the operation has none.
pub(crate) type Answer = Result<Option<Xml>, AwsError>;

/// Objects by their folded name: IAM's names are unique whatever their case.
type Table<T> = BTreeMap<String, T>;

/// The IAM of one account.
#[derive(Clone)]
pub struct Iam {
    partition: String,
    account: String,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    made: u64,
    quotas: Quotas,
    roles: Table<role::Role>,
    policies: Table<policy::Policy>,
    users: Table<user::User>,
    profiles: Table<profile::Profile>,
    /// By host and path.
    providers: BTreeMap<String, provider::Provider>,
    /// Which roles have a policy attached, by its ARN.
    attachments: BTreeMap<String, BTreeSet<String>>,
    /// Which roles have a policy as boundary, by its ARN.
    boundaries: BTreeMap<String, BTreeSet<String>>,
    /// The deletions of service-linked roles that were asked for.
    deletions: BTreeSet<String>,
    /// How long a new role takes to be known everywhere.
    unsettled: u32,
}

impl fmt::Debug for Iam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iam")
            .field("account", &self.account)
            .field("roles", &self.roles.len())
            .field("policies", &self.policies.len())
            .field("providers", &self.providers.len())
            .finish_non_exhaustive()
    }
}

/// How names are told apart.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// As IAM writes times: to the second.
pub(crate) fn date(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

fn no_such_entity(message: impl Into<String>) -> AwsError {
    AwsError::new(404, "NoSuchEntity", message)
}

fn exists(message: impl Into<String>) -> AwsError {
    AwsError::new(409, "EntityAlreadyExists", message)
}

fn in_use(message: impl Into<String>) -> AwsError {
    AwsError::new(409, "DeleteConflict", message)
}

fn limit(message: impl Into<String>) -> AwsError {
    AwsError::new(409, "LimitExceeded", message)
}

fn invalid_input(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidInput", message)
}

impl Iam {
    /// An empty account.
    pub(crate) fn new(partition: &str, account: &str, now: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        Self {
            partition: partition.to_owned(),
            account: account.to_owned(),
            now,
            made: 0,
            quotas: Quotas::default(),
            roles: Table::new(),
            policies: Table::new(),
            users: Table::new(),
            profiles: Table::new(),
            providers: BTreeMap::new(),
            attachments: BTreeMap::new(),
            boundaries: BTreeMap::new(),
            deletions: BTreeSet::new(),
            unsettled: 0,
        }
    }

    /// Carries out one operation. `directory` knows the roles and users of all accounts, and is kept up to date.
    pub(crate) fn call(&mut self, action: &str, params: &Params, directory: &Principals) -> Answer {
        directory.add_account(&self.account);
        match action {
            "CreateRole" => self.create_role(params, directory),
            "GetRole" => self.get_role(params, directory),
            "ListRoles" => self.list_roles(params, directory),
            "UpdateRole" => self.update_role(params),
            "UpdateRoleDescription" => self.update_role_description(params, directory),
            "UpdateAssumeRolePolicy" => self.update_trust(params, directory),
            "PutRolePermissionsBoundary" => self.put_boundary(params),
            "DeleteRolePermissionsBoundary" => self.delete_boundary(params),
            "TagRole" => self.tag_role(params),
            "UntagRole" => self.untag_role(params),
            "ListRoleTags" => self.list_role_tags(params),
            "DeleteRole" => self.delete_role(params, directory),
            "CreateServiceLinkedRole" => self.create_linked(params, directory),
            "DeleteServiceLinkedRole" => self.delete_linked(params, directory),
            "GetServiceLinkedRoleDeletionStatus" => self.linked_deletion(params),
            "PutRolePolicy" => self.put_inline(params),
            "GetRolePolicy" => self.get_inline(params),
            "ListRolePolicies" => self.list_inline(params),
            "DeleteRolePolicy" => self.delete_inline(params),
            "AttachRolePolicy" => self.attach(params),
            "DetachRolePolicy" => self.detach(params),
            "ListAttachedRolePolicies" => self.list_attached(params),
            "ListEntitiesForPolicy" => self.list_entities(params),
            "GetAccountSummary" => Ok(Some(self.account_summary())),
            "GetAccountAuthorizationDetails" => self.authorization_details(params, directory),
            _ => self.call_others(action, params, directory),
        }
    }

    fn call_others(&mut self, action: &str, params: &Params, directory: &Principals) -> Answer {
        match action {
            "CreatePolicy" => self.create_policy(params),
            "GetPolicy" => self.get_policy(params),
            "ListPolicies" => self.list_policies(params),
            "DeletePolicy" => self.delete_policy(params),
            "CreatePolicyVersion" => self.create_version(params),
            "GetPolicyVersion" => self.get_version(params),
            "ListPolicyVersions" => self.list_versions(params),
            "SetDefaultPolicyVersion" => self.set_default_version(params),
            "DeletePolicyVersion" => self.delete_version(params),
            "TagPolicy" => self.tag_policy(params),
            "UntagPolicy" => self.untag_policy(params),
            "ListPolicyTags" => self.list_policy_tags(params),
            "CreateOpenIDConnectProvider" => self.create_provider(params),
            "GetOpenIDConnectProvider" => self.get_provider(params),
            "ListOpenIDConnectProviders" => Ok(Some(self.list_providers())),
            "DeleteOpenIDConnectProvider" => self.delete_provider(params),
            "AddClientIDToOpenIDConnectProvider" => self.add_client(params),
            "RemoveClientIDFromOpenIDConnectProvider" => self.remove_client(params),
            "UpdateOpenIDConnectProviderThumbprint" => self.update_thumbprints(params),
            "TagOpenIDConnectProvider" => self.tag_provider(params),
            "UntagOpenIDConnectProvider" => self.untag_provider(params),
            "ListOpenIDConnectProviderTags" => self.list_provider_tags(params),
            "CreateInstanceProfile" => self.create_profile(params, directory),
            "GetInstanceProfile" => self.get_profile(params, directory),
            "ListInstanceProfiles" => self.list_profiles(params, directory),
            "ListInstanceProfilesForRole" => self.list_profiles_for_role(params, directory),
            "AddRoleToInstanceProfile" => self.add_to_profile(params),
            "RemoveRoleFromInstanceProfile" => self.remove_from_profile(params),
            "DeleteInstanceProfile" => self.delete_profile(params),
            "CreateUser" => self.create_user(params, directory),
            "GetUser" => self.get_user(params),
            "ListUsers" => self.list_users(params),
            "DeleteUser" => self.delete_user(params, directory),
            _ => Err(AwsError::new(
                400,
                "InvalidAction",
                format!("Could not find operation {action} for version 2010-05-08"),
            )),
        }
    }

    /// The object that a call is about: a name, an ARN or a provider's URL; empty where there is none.
    pub(crate) fn object_of(action: &str, params: &Params) -> String {
        let fields: &[&str] = match action {
            "ListEntitiesForPolicy" => &["PolicyArn"],
            "CreateInstanceProfile" | "AddRoleToInstanceProfile" | "RemoveRoleFromInstanceProfile" => {
                &["InstanceProfileName"]
            }
            _ => &[
                "RoleName",
                "PolicyArn",
                "OpenIDConnectProviderArn",
                "Url",
                "PolicyName",
                "InstanceProfileName",
                "UserName",
                "AWSServiceName",
                "DeletionTaskId",
            ],
        };
        fields.iter().find_map(|field| params.text(field)).unwrap_or_default().to_owned()
    }

    /// Sets a quota by its name in GetAccountSummary, or `OpenIDConnectProvidersQuota`; false if there is none.
    pub fn set_quota(&mut self, name: &str, value: u32) -> bool {
        self.quotas.set(name, value)
    }

    /// Roles that are made from now on take their time to be known everywhere, as AWS's do
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html>, "not always immediately visible").
    /// Of each, the first `count` GetRole show the unique id in place of the ARN, and the first `count` requests that
    /// name it, in a trust policy of any account or to EKS, are refused as if there were no such role.
    pub fn unsettled(&mut self, count: u32) {
        self.unsettled = count;
    }

    fn arn(&self, kind: &str, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:{kind}{path}{name}", self.partition, self.account)
    }

    fn time(&self) -> Timestamp {
        (self.now)()
    }

    /// A unique id of IAM's form: four letters that tell the kind and seventeen of base 32.
    fn unique_id(&mut self, kind: &str) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        self.made += 1;
        let digest = Sha256::digest(format!("{}/{kind}/{}", self.account, self.made));
        kind.chars().chain(digest.iter().take(17).map(|byte| char::from(LETTERS[usize::from(byte % 32)]))).collect()
    }
}
