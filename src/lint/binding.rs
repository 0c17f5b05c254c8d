//! Rules on declared roles and the ServiceAccounts that they are bound to.

use super::claim::{self, Open};
use super::reach::{kind, patterns_reach_every};
use super::{Check, Found, Notes, Place, shortened};
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::desired::{Binding, ClusterState, Desired, Role, Subject};
use crate::model::note::Severity;
use crate::model::pattern::Pattern;
use crate::policy::pattern_cover::matches;
use std::collections::{BTreeMap, BTreeSet};

/// A declared role.
pub(super) struct RoleContext<'a> {
    pub desired: &'a Desired,
    pub role: &'a Role,
}

/// Runs the rules on roles.
pub(super) fn check(notes: &mut Notes, place: &Place, context: &RoleContext<'_>) {
    notes.run(place, |check| match check {
        Check::Role(rule) => rule(context),
        _ => Vec::new(),
    });
}

/// The bindings whose subject leaves so much open. Their findings are milder than those on the same subject in a trust
/// statement: somebody has written down why.
fn wild(context: &RoleContext<'_>, open: Open, severity: Severity, what: &str) -> Vec<Found> {
    let found = context.role.bindings.iter().filter_map(|binding| {
        let Subject::Wildcard { namespace, name, reason } = &binding.subject else { return None };
        (claim::open("", &binding.subject.claim()) == open).then(|| {
            let text = format!("`{namespace}/{name}` in cluster `{}` {what}, because: {reason}", binding.cluster);
            Found::new(text).but(severity).from(&binding.origin)
        })
    });
    found.collect()
}

/// IRSA004
pub(super) fn every_subject(context: &RoleContext<'_>) -> Vec<Found> {
    wild(context, Open::Everything, Severity::High, "is every ServiceAccount of the cluster")
}

/// IRSA005
pub(super) fn wild_namespace(context: &RoleContext<'_>) -> Vec<Found> {
    wild(context, Open::Namespace, Severity::Medium, "leaves the namespace open")
}

/// IRSA006
pub(super) fn wild_name(context: &RoleContext<'_>) -> Vec<Found> {
    wild(context, Open::Name, Severity::Low, "leaves the name open")
}

/// IRSA021
pub(super) fn several_accounts(context: &RoleContext<'_>) -> Vec<Found> {
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
    let places = accounts.iter().map(|(account, clusters)| {
        let clusters: Vec<String> = clusters.iter().map(|cluster| format!("`{cluster}`")).collect();
        format!("{} (account `{account}`)", clusters.join(", "))
    });
    let text =
        format!("whoever rules one of these clusters has the role in all: {}", places.collect::<Vec<_>>().join(", "));
    vec![Found::new(text)]
}

/// IRSA023
pub(super) fn default_subject(context: &RoleContext<'_>) -> Vec<Found> {
    let found = context.role.bindings.iter().filter_map(|binding: &Binding| {
        let Subject::Exact(namespace, name) = &binding.subject else { return None };
        let address = Address::ServiceAccount {
            cluster: binding.cluster.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
        };
        (name.as_str() == "default").then(|| {
            let text = format!("every pod in namespace `{namespace}` that names no ServiceAccount gets the role");
            Found::new(text).from(&binding.origin).on(&address)
        })
    });
    found.collect()
}

/// IRSA041
pub(super) fn long_sessions(context: &RoleContext<'_>) -> Vec<Found> {
    if context.role.max_session_duration <= 3600 {
        return Vec::new();
    }
    let text = "`max-session-duration` is above 1h: stolen credentials last as long, and pods renew theirs anyway";
    vec![Found::new(text)]
}

/// Policies whose holder may do anything: who may attach one unseen needs no other.
const STRONGEST: [&str; 4] = [
    "arn:aws:iam::aws:policy/AdministratorAccess",
    "arn:aws:iam::aws:policy/IAMFullAccess",
    "arn:aws:iam::aws:policy/PowerUserAccess",
    "arn:aws:iam::aws:policy/job-function/SystemAdministrator",
];

/// IRSA040
pub(super) fn ignores_attached(context: &RoleContext<'_>) -> Vec<Found> {
    let patterns: Vec<&str> = context.role.ignore_attached.iter().map(Pattern::as_str).collect();
    let list: Vec<String> = patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
    let list = shortened(list, ", ");
    let strongest = |arn: &&str| {
        patterns.iter().any(|pattern| matches(pattern, arn) || matches(pattern, &arn.replace("aws:iam", "aws-cn:iam")))
    };
    if let Some(arn) = STRONGEST.iter().find(|arn| strongest(arn)) {
        let name = arn.rsplit('/').next().unwrap_or(arn);
        let text = format!("`ignore-attached` has {list}: whoever attaches `{name}` to the role is not seen");
        return vec![Found::new(text)];
    }
    let own = kind("iam", "policy/?*");
    if !patterns.is_empty() && patterns_reach_every(&patterns, own) {
        let text =
            format!("`ignore-attached` has {list}: whoever attaches a policy of the account to the role is not seen");
        return vec![Found::new(text)];
    }
    Vec::new()
}
