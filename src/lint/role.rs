//! Rules on declared roles and their bindings to ServiceAccounts.

use super::claims::{self, SubjectScope};
use super::resources::{ResourceType, patterns_cover_every};
use super::{Finding, Findings, Location, quoted, shortened};
use crate::ids::Key;
use crate::model::desired::{Binding, ClusterState, Desired, Role, Subject};
use crate::model::note::Severity;
use crate::model::pattern::Pattern;
use crate::policy::pattern::matches;
use std::collections::{BTreeMap, BTreeSet};

/// A declared role.
struct RoleContext<'a> {
    desired: &'a Desired,
    role: &'a Role,
}

type RoleCheck = fn(&RoleContext<'_>) -> Vec<Finding>;

const CHECKS: &[(&str, RoleCheck)] = &[
    ("IRSA004", every_subject),
    ("IRSA005", wildcard_namespace),
    ("IRSA006", wildcard_name),
    ("IRSA021", several_accounts),
    ("IRSA023", default_service_account),
    ("IRSA040", ignored_attachments),
    ("IRSA041", long_sessions),
];

pub(super) fn check(findings: &mut Findings, location: &Location, desired: &Desired, role: &Role) {
    findings.run(location, CHECKS, &RoleContext { desired, role });
}

/// The bindings with a wildcard of this scope. They are less severe than the same subject in a trust statement, because
/// a binding with a wildcard needs a reason.
fn wildcards(context: &RoleContext<'_>, scope: SubjectScope, severity: Severity, what: &str) -> Vec<Finding> {
    let finding = |binding: &Binding| {
        let Subject::Wildcard { namespace, name, reason } = &binding.subject else { return None };
        (claims::subject_scope("", &binding.subject.claim()) == scope).then(|| {
            let text = format!("`{namespace}/{name}` in cluster `{}` {what}, because: {reason}", binding.cluster);
            Finding::new(text).with_severity(severity).declared_at(&binding.origin)
        })
    };
    context.role.bindings.iter().filter_map(finding).collect()
}

fn every_subject(context: &RoleContext<'_>) -> Vec<Finding> {
    wildcards(context, SubjectScope::Any, Severity::High, "is every ServiceAccount of the cluster")
}

fn wildcard_namespace(context: &RoleContext<'_>) -> Vec<Finding> {
    wildcards(context, SubjectScope::AnyNamespace, Severity::Medium, "leaves the namespace open")
}

fn wildcard_name(context: &RoleContext<'_>) -> Vec<Finding> {
    wildcards(context, SubjectScope::AnyName, Severity::Low, "leaves the name open")
}

fn several_accounts(context: &RoleContext<'_>) -> Vec<Finding> {
    let mut accounts: BTreeMap<&Key, BTreeSet<&Key>> = BTreeMap::new();
    for binding in &context.role.bindings {
        let Some(cluster) = context.desired.clusters.get(&binding.cluster) else { continue };
        if cluster.state == ClusterState::Active {
            accounts.entry(&cluster.account).or_default().insert(&binding.cluster);
        }
    }
    if accounts.len() < 2 {
        return Vec::new();
    }
    let list =
        accounts.iter().map(|(account, clusters)| format!("{} (account `{account}`)", quoted(clusters).join(", ")));
    let list = list.collect::<Vec<_>>().join(", ");
    vec![Finding::new(format!("administrators of one of these clusters have the role in all accounts: {list}"))]
}

fn default_service_account(context: &RoleContext<'_>) -> Vec<Finding> {
    let finding = |binding: &Binding| {
        let Subject::Exact(namespace, name) = &binding.subject else { return None };
        let address = binding.address().filter(|_| name.as_str() == "default")?;
        let text = format!("every pod in namespace `{namespace}` that names no ServiceAccount gets the role");
        Some(Finding::new(text).declared_at(&binding.origin).on(&address))
    };
    context.role.bindings.iter().filter_map(finding).collect()
}

fn long_sessions(context: &RoleContext<'_>) -> Vec<Finding> {
    let text = "`max-session-duration` is above 1h: stolen credentials last as long, and pods renew theirs anyway";
    (context.role.max_session_duration > 3600).then(|| Finding::new(text)).into_iter().collect()
}

/// The strongest AWS managed policies.
const STRONGEST: [&str; 4] = [
    "arn:aws:iam::aws:policy/AdministratorAccess",
    "arn:aws:iam::aws:policy/IAMFullAccess",
    "arn:aws:iam::aws:policy/PowerUserAccess",
    "arn:aws:iam::aws:policy/job-function/SystemAdministrator",
];

fn ignored_attachments(context: &RoleContext<'_>) -> Vec<Finding> {
    let patterns: Vec<&str> = context.role.ignore_attached.iter().map(Pattern::as_str).collect();
    let is_ignored = |arn: &&&str| {
        patterns.iter().any(|pattern| matches(pattern, arn) || matches(pattern, &arn.replace("aws:iam", "aws-cn:iam")))
    };
    let own_policy = ResourceType { service: "iam", resource: "policy/?*" };
    let ignored = if let Some(arn) = STRONGEST.iter().find(is_ignored) {
        format!("`{}`", arn.rsplit('/').next().unwrap_or(arn))
    } else if patterns_cover_every(&patterns, own_policy) {
        "a policy of the account".to_owned()
    } else {
        return Vec::new();
    };
    let list = shortened(quoted(patterns), ", ");
    vec![Finding::new(format!(
        "`ignore-attached` has {list}: if somebody attaches {ignored} to the role, irsa does not report it"
    ))]
}
