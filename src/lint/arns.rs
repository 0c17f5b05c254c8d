//! The ARNs of the roles that have a policy, and of all roles and policies that irsa manages in an account.
//!
//! They begin after `arn:PARTITION:`. The account is a pattern while it is not known.

use crate::ids::{Key, PolicyArn};
use crate::model::desired::{Account, Attachment, Boundary, Desired, PLACEHOLDER_ID, Policy, Role};
use crate::model::marks::default_path;
use crate::policy::pattern::covers;
use std::collections::BTreeMap;

/// The roles that a policy is attached to.
#[derive(Default)]
pub(super) struct AttachedRoles<'a> {
    pub roles: Vec<String>,
    /// The managed policies and boundaries of these roles.
    pub policies: Vec<String>,
    pub managed: Option<&'a ManagedArns>,
}

/// All roles and policies that irsa manages in one account.
#[derive(Default)]
pub(super) struct ManagedArns {
    pub roles: Vec<String>,
    pub policies: Vec<String>,
}

pub(super) type ManagedByAccount<'a> = BTreeMap<&'a Key, ManagedArns>;

/// The roles and policies that irsa manages in each account: those that are declared, and all under the default path.
pub(super) fn managed_by_account(desired: &Desired) -> ManagedByAccount<'_> {
    let mut by_account = ManagedByAccount::new();
    let path = default_path(desired.owner.as_str());
    for (key, account) in &desired.accounts {
        let under_path = |kind: &str| vec![arn(account, kind, &path, "*")];
        by_account.insert(key, ManagedArns { roles: under_path("role"), policies: under_path("policy") });
    }
    for role in desired.roles.values() {
        if let (Some(account), Some(managed)) = (desired.accounts.get(&role.account), by_account.get_mut(&role.account))
        {
            add(&mut managed.roles, role_arn(account, role));
        }
    }
    for ((key, _), policy) in &desired.policies {
        if let (Some(account), Some(managed)) = (desired.accounts.get(key), by_account.get_mut(key)) {
            add(&mut managed.policies, policy_arn(account, policy));
        }
    }
    by_account
}

/// Adds an ARN unless the default path, which is first, covers it.
fn add(list: &mut Vec<String>, arn: String) {
    if !covers(&list[0], &arn) {
        list.push(arn);
    }
}

fn arn(account: &Account, kind: &str, path: &str, name: &str) -> String {
    let id = if account.id.as_str() == PLACEHOLDER_ID { "????????????" } else { account.id.as_str() };
    format!("iam::{id}:{kind}{path}{name}")
}

fn role_arn(account: &Account, role: &Role) -> String {
    arn(account, "role", role.path.as_str(), role.name.as_str())
}

fn policy_arn(account: &Account, policy: &Policy) -> String {
    arn(account, "policy", policy.path.as_str(), policy.name.as_str())
}

impl<'a> AttachedRoles<'a> {
    /// Declared roles of an account.
    pub(super) fn of<'r>(
        desired: &Desired,
        managed: &'a ManagedByAccount<'_>,
        key: &Key,
        roles: impl Iterator<Item = &'r Role>,
    ) -> Self {
        let Some(account) = desired.accounts.get(key) else { return Self::default() };
        let mut attached = Self { managed: managed.get(key), ..Self::default() };
        for role in roles {
            attached.roles.push(role_arn(account, role));
            if let Boundary::Policy(boundary) = &role.permissions_boundary {
                attached.policies.extend(changeable(boundary));
            }
            attached.policies.extend(role.attach.iter().filter_map(|attachment| match attachment {
                Attachment::Arn(arn) => changeable(arn),
                Attachment::Declared(name) => {
                    desired.policies.get(&(key.clone(), name.clone())).map(|policy| policy_arn(account, policy))
                }
            }));
        }
        attached
    }

    /// The same roles and a live one.
    pub(super) fn and_role(mut self, arn: &str) -> Self {
        self.roles.extend(without_partition(arn));
        self
    }
}

/// The ARN of a policy, unless it is an AWS managed policy, which cannot be changed.
fn changeable(arn: &PolicyArn) -> Option<String> {
    without_partition(arn.as_str()).filter(|_| arn.account() != "aws")
}

fn without_partition(arn: &str) -> Option<String> {
    arn.splitn(3, ':').nth(2).map(str::to_owned)
}
