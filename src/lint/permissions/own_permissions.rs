//! Rule IRSA038: permissions by which a role can change its own policies or trust, or those of other roles that irsa
//! manages.

use super::{
    AllowStatement, CanonicalStatement, Choice, Finding, PermissionsContext, arn_parts, covers, covers_every, overlap,
    quoted, resource_type, shortened,
};
use crate::lint::arns::ManagedArns;
use crate::model::note::Severity::{self, Critical, High, Medium};
use crate::policy::pattern::is_wild;

type RatedAction = (&'static str, Severity);

/// Actions that change what a role may do, or who may assume it.
const ON_ROLES: [RatedAction; 9] = [
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

const ON_POLICIES: [RatedAction; 2] =
    [("iam:CreatePolicyVersion", Critical), ("iam:SetDefaultPolicyVersion", Critical)];

/// Actions on every role or policy are left to IRSA031.
pub(super) fn check(context: &PermissionsContext<'_>) -> Vec<Finding> {
    let none = ManagedArns::default();
    let (own, managed) = (context.attached_roles, context.attached_roles.managed.unwrap_or(&none));
    let mut found = Vec::new();
    for allow in context.unlimited().filter(|allow| !allow.actions.is_empty()) {
        let on = |roles: &[String], policies: &[String]| {
            let mut actions = allowed_on(allow, &ON_ROLES, roles);
            actions.extend(allowed_on(allow, &ON_POLICIES, policies));
            actions
        };
        let on_own = on(&own.roles, &own.policies);
        let mut on_others = on(&managed.roles, &managed.policies);
        on_others.retain(|action| !on_own.contains(action));
        found.extend(finding(allow, &on_own, "on the role itself or its policies", Critical));
        found.extend(finding(allow, &on_others, "on roles or policies of this configuration", High));
    }
    found
}

/// The actions that the statement allows on one of the ARNs, but not on all resources.
fn allowed_on(allow: &AllowStatement<'_>, actions: &[RatedAction], arns: &[String]) -> Vec<RatedAction> {
    let allowed = actions
        .iter()
        .filter(|(action, _)| allow.actions.contains(action) && !covers_every(allow.statement, resource_type(action)));
    allowed.filter(|_| arns.iter().any(|arn| may_apply_to(allow.statement, arn))).copied().collect()
}

/// Whether the statement may apply to an ARN without `arn:PARTITION:`. The partition is ignored, because a policy can
/// name no other.
fn may_apply_to(statement: &CanonicalStatement, arn: &str) -> bool {
    let with_partition_of = |pattern: &str| {
        let partition = arn_parts(pattern).get(1).copied().unwrap_or_default();
        let partition = if partition.starts_with("aws") && !is_wild(partition) { partition } else { "aws" };
        format!("arn:{partition}:{arn}")
    };
    let may_match = |pattern: &String| {
        let (arn, parts) = (with_partition_of(pattern), arn_parts(pattern));
        match parts.len() {
            6 => parts.iter().zip(arn_parts(&arn)).all(|(part, own)| overlap(part, own)),
            _ => overlap(pattern, &arn),
        }
    };
    match &statement.resources {
        Some(Choice::Only(set)) => set.iter().any(may_match),
        Some(Choice::AllBut(set)) => !set.iter().any(|pattern| covers(pattern, &with_partition_of(pattern))),
        None => false,
    }
}

fn finding(allow: &AllowStatement<'_>, actions: &[RatedAction], on: &str, worst: Severity) -> Option<Finding> {
    let severity = actions.iter().map(|(_, severity)| *severity).max()?.min(worst);
    let list = quoted(actions.iter().map(|(action, _)| action));
    let text = format!("{} allows {} {on}", allow.name, shortened(list, ", "));
    Some(Finding::new(text).with_severity(severity))
}
