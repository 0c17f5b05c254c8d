//! Permissions that lead to their own holder: a role that may change its own policies or trust, or those of another role
//! of this configuration. irsa knows the names.

use super::permissions::{Allowing, Site};
use super::reach::reaches_every;
use super::{Found, actions, shortened};
use crate::ids::{Key, PolicyArn};
use crate::model::desired::{Account, Attachment, Boundary, Desired, Role};
use crate::model::note::Severity::{self, Critical, High, Medium};
use crate::policy::canonical::{CanonicalStatement, Choice, arn_parts};
use crate::policy::pattern_cover::{covers, is_wild, meets};
use std::collections::BTreeMap;

/// Who has a policy, by ARNs without `arn:PARTITION:`, of which the account is a pattern while it is not known.
#[derive(Default)]
pub(super) struct Holder<'a> {
    roles: Vec<String>,
    /// The managed policies of these roles, and their boundaries.
    policies: Vec<String>,
    family: Option<&'a Family>,
}

/// All roles and policies of this configuration in one account.
#[derive(Default)]
pub(super) struct Family {
    roles: Vec<String>,
    policies: Vec<String>,
}

/// By account.
pub(super) type Families<'a> = BTreeMap<&'a Key, Family>;

/// The roles and policies of each account. Under the usual path is what was declared and what will be.
pub(super) fn families(desired: &Desired) -> Families<'_> {
    let mut families = Families::new();
    for (key, account) in &desired.accounts {
        let path = format!("/irsa/{}/", desired.owner);
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
    // zeros stand for an id that is not known
    let known = account.id.as_str().bytes().any(|b| b != b'0');
    let id = if known { account.id.as_str() } else { "????????????" };
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
                        let named = |policy: &crate::model::desired::Policy| {
                            arn(account, "policy", policy.path.as_str(), policy.name.as_str())
                        };
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

/// What changes what a role may do or who may assume it.
const ON_ROLES: [(&str, Severity); 9] = [
    ("iam:AttachRolePolicy", Critical),
    ("iam:DeleteRolePermissionsBoundary", Critical),
    ("iam:PutRolePermissionsBoundary", Critical),
    ("iam:PutRolePolicy", Critical),
    ("iam:UpdateAssumeRolePolicy", Critical),
    ("iam:DeleteRolePolicy", High),
    ("iam:DetachRolePolicy", High),
    ("iam:TagRole", Medium),
    ("iam:UntagRole", Medium),
];

const ON_POLICIES: [(&str, Severity); 2] =
    [("iam:CreatePolicyVersion", Critical), ("iam:SetDefaultPolicyVersion", Critical)];

/// IRSA038. What reaches every role is a finding of another rule.
pub(super) fn own_permissions(site: &Site<'_>) -> Vec<Found> {
    let Holder { roles, policies, family } = site.holder;
    let empty = Family::default();
    let family = family.unwrap_or(&empty);
    let mut found = Vec::new();
    for allowing in site.narrower().filter(|allowing| !allowing.limited && !allowing.actions.is_empty()) {
        let own = reached(allowing, &ON_ROLES, roles).into_iter().chain(reached(allowing, &ON_POLICIES, policies));
        let own: Vec<_> = own.collect();
        let others = reached(allowing, &ON_ROLES, &family.roles);
        let others = others.into_iter().chain(reached(allowing, &ON_POLICIES, &family.policies));
        let others: Vec<_> = others.filter(|item| !own.contains(item)).collect();
        found.extend(told(allowing, &own, "on the role itself or its policies", Critical));
        found.extend(told(allowing, &others, "on roles or policies of this configuration", High));
    }
    found
}

/// The actions that the statement allows on one of these, but not on all there are.
fn reached(
    allowing: &Allowing<'_>,
    actions: &[(&'static str, Severity)],
    arns: &[String],
) -> Vec<(&'static str, Severity)> {
    let allowed = actions.iter().filter(|(action, _)| allowing.actions.contains(action));
    let narrow = allowed.filter(|(action, _)| !reaches_every(allowing.body, actions::kind_of(action)));
    narrow.filter(|_| arns.iter().any(|arn| touches(allowing.body, arn))).copied().collect()
}

/// The partition counts for nothing: a role can name no other. Part is held against part, since no name in IAM has a
/// colon.
fn touches(body: &CanonicalStatement, arn: &str) -> bool {
    let whole = |pattern: &str| {
        let partition = arn_parts(pattern).get(1).copied().unwrap_or_default();
        let partition = if partition.starts_with("aws") && !is_wild(partition) { partition } else { "aws" };
        format!("arn:{partition}:{arn}")
    };
    let meet = |pattern: &str| {
        let (whole, parts) = (whole(pattern), arn_parts(pattern));
        match parts.len() {
            6 => parts.iter().zip(arn_parts(&whole)).all(|(part, own)| meets(part, own)),
            _ => meets(pattern, &whole),
        }
    };
    match &body.resources {
        Some(Choice::Only(set)) => set.iter().any(|pattern| meet(pattern)),
        Some(Choice::AllBut(set)) => !set.iter().any(|pattern| covers(pattern, &whole(pattern))),
        None => false,
    }
}

fn told(allowing: &Allowing<'_>, actions: &[(&str, Severity)], whose: &str, worst: Severity) -> Option<Found> {
    let severity = actions.iter().map(|(_, severity)| *severity).max()?.min(worst);
    let list = actions.iter().map(|(action, _)| format!("`{action}`")).collect();
    Some(Found::new(format!("{} allows {} {whose}", allowing.name, shortened(list, ", "))).but(severity))
}
