//! Permissions that lead to their own holder: a role that may change its own policies or trust, or those of another role
//! of this configuration. irsa knows the names.

use super::holder::{Family, Holder};
use super::permissions::{Allowing, PermissionsContext};
use super::reach::reaches_every;
use super::{Found, actions, shortened};
use crate::model::note::Severity::{self, Critical, High, Medium};
use crate::policy::canonical::{CanonicalStatement, Choice, arn_parts};
use crate::policy::pattern_cover::{covers, is_wild, meets};

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
pub(super) fn own_permissions(context: &PermissionsContext<'_>) -> Vec<Found> {
    let Holder { roles, policies, family } = context.holder;
    let empty = Family::default();
    let family = family.unwrap_or(&empty);
    let mut found = Vec::new();
    for allowing in context.narrower().filter(|allowing| !allowing.limited && !allowing.actions.is_empty()) {
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
