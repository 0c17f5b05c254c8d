//! The IAM of one account, as close to AWS as its documentation and known behaviour allow: names, documents, quotas,
//! conflicts, and the cases in which IAM returns something other than what was written.
//!
//! This module is plain state behind one call. It knows nothing about callers, HTTP or faults. Reads are consistent at
//! once, unless a test asks for AWS's delays. Ids are deterministic: they follow from the account and the order of
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
pub(crate) use item::SavedItem;
pub(crate) use principals::{Principals, State as PrincipalsState};
pub(crate) use trust::glob;

use crate::aws::query::{AwsError, Params, Xml};
use jiff::Timestamp;
use quota::Quotas;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The result of a call. None if the operation returns no result.
pub(crate) type Answer = Result<Option<Xml>, AwsError>;

/// Objects by case-folded name: IAM's names are unique regardless of case.
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
    /// By issuer host and path.
    providers: BTreeMap<String, provider::Provider>,
    /// The roles that have a policy attached, by the policy's ARN.
    attachments: BTreeMap<String, BTreeSet<String>>,
    /// The roles that have a policy as permissions boundary, by the policy's ARN.
    boundaries: BTreeMap<String, BTreeSet<String>>,
    /// The task ids of requested deletions of service-linked roles.
    deletions: BTreeSet<String>,
    /// How many reads and references of a new role behave as if it were not visible yet; see `Iam::unsettled`.
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

/// Folds the case of a name, because IAM compares names without case.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// A time as IAM writes it, to the second.
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

    /// Executes one operation. `directory` indexes the roles and users of all accounts; the call updates it.
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

    /// The object of a call: a name, an ARN or a provider's URL. Empty if the action has none.
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

    /// Sets a quota by its name in GetAccountSummary, or `OpenIDConnectProvidersQuota`. Returns false for an unknown
    /// name.
    pub fn set_quota(&mut self, name: &str, value: u32) -> bool {
        self.quotas.set(name, value)
    }

    /// Makes roles that are created from now on become visible late, as in AWS
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html>, "not always immediately
    /// visible"). For each new role, the first `count` GetRole calls show the unique id instead of the ARN. The first
    /// `count` requests that name it, in a trust policy of any account or to EKS, fail as if the role did not exist.
    pub fn unsettled(&mut self, count: u32) {
        self.unsettled = count;
    }

    fn arn(&self, kind: &str, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:{kind}{path}{name}", self.partition, self.account)
    }

    fn time(&self) -> Timestamp {
        (self.now)()
    }

    /// A unique id in IAM's format: a four-letter prefix for the kind and seventeen base 32 characters.
    fn unique_id(&mut self, kind: &str) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        self.made += 1;
        let digest = Sha256::digest(format!("{}/{kind}/{}", self.account, self.made));
        kind.chars().chain(digest.iter().take(17).map(|byte| char::from(LETTERS[usize::from(byte % 32)]))).collect()
    }
}
