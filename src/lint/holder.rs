//! The roles and policies that a policy's holders have, and all those of this configuration, by ARN.

use crate::ids::{Key, PolicyArn};
use crate::model::desired::{Account, Attachment, Boundary, Desired, PLACEHOLDER_ID, Policy, Role};
use crate::model::marks::default_path;
use crate::policy::pattern_cover::covers;
use std::collections::BTreeMap;

/// Who has a policy, by ARNs without `arn:PARTITION:`, of which the account is a pattern while it is not known.
#[derive(Default)]
pub(super) struct Holder<'a> {
    pub(super) roles: Vec<String>,
    /// The managed policies of these roles, and their boundaries.
    pub(super) policies: Vec<String>,
    pub(super) family: Option<&'a Family>,
}

/// All roles and policies of this configuration in one account.
#[derive(Default)]
pub(super) struct Family {
    pub(super) roles: Vec<String>,
    pub(super) policies: Vec<String>,
}

/// By account.
pub(super) type Families<'a> = BTreeMap<&'a Key, Family>;

/// The roles and policies of each account. Under the usual path is what was declared and what will be.
pub(super) fn families(desired: &Desired) -> Families<'_> {
    let mut families = Families::new();
    for (key, account) in &desired.accounts {
        let path = default_path(desired.owner.as_str());
        let usual = |kind: &str| vec![arn(account, kind, &path, "*")];
        families.insert(key, Family { roles: usual("role"), policies: usual("policy") });
    }
    for role in desired.roles.values() {
        if let (Some(account), Some(family)) = (desired.accounts.get(&role.account), families.get_mut(&role.account)) {
            add(&mut family.roles, own_arn(account, role));
        }
    }
    for ((key, _), policy) in &desired.policies {
        if let (Some(account), Some(family)) = (desired.accounts.get(key), families.get_mut(key)) {
            add(&mut family.policies, arn(account, "policy", policy.path.as_str(), policy.name.as_str()));
        }
    }
    families
}

/// What the usual path covers need not be there twice.
fn add(list: &mut Vec<String>, arn: String) {
    if !covers(&list[0], &arn) {
        list.push(arn);
    }
}

fn arn(account: &Account, kind: &str, path: &str, name: &str) -> String {
    let id = if account.id.as_str() == PLACEHOLDER_ID { "????????????" } else { account.id.as_str() };
    format!("iam::{id}:{kind}{path}{name}")
}

fn own_arn(account: &Account, role: &Role) -> String {
    arn(account, "role", role.path.as_str(), role.name.as_str())
}

impl<'a> Holder<'a> {
    /// The roles of an account that have a policy.
    pub(super) fn of<'r>(
        desired: &Desired,
        families: &'a Families<'_>,
        key: &Key,
        roles: impl Iterator<Item = &'r Role>,
    ) -> Self {
        let Some(account) = desired.accounts.get(key) else { return Self::default() };
        let mut holder = Self { family: families.get(key), ..Self::default() };
        for role in roles {
            holder.roles.push(own_arn(account, role));
            if let Boundary::Policy(boundary) = &role.permissions_boundary {
                holder.policies.extend(changeable(boundary));
            }
            for attachment in &role.attach {
                match attachment {
                    Attachment::Arn(arn) => holder.policies.extend(changeable(arn)),
                    Attachment::Declared(name) => {
                        let policy = desired.policies.get(&(key.clone(), name.clone()));
                        let named =
                            |policy: &Policy| arn(account, "policy", policy.path.as_str(), policy.name.as_str());
                        holder.policies.extend(policy.map(named));
                    }
                }
            }
        }
        holder
    }

    /// The same of a live role that has this ARN.
    pub(super) fn and_role(mut self, arn: &str) -> Self {
        self.roles.extend(behind_partition(arn));
        self
    }
}

/// Policies of AWS's own cannot be changed.
fn changeable(arn: &PolicyArn) -> Option<String> {
    behind_partition(arn.as_str()).filter(|_| arn.account() != "aws")
}

fn behind_partition(arn: &str) -> Option<String> {
    arn.splitn(3, ':').nth(2).map(str::to_owned)
}
