//! Selects the roles to import: those that a selected ServiceAccount names, and those that trust an issuer of the
//! clusters.

use super::{Scope, SeenCluster};
use crate::ids::{Key, RoleArn};
use crate::model::live::{Identity, LiveServiceAccount, RoleSummary};
use crate::model::marks::{ROLE_ARN, default_path};
use crate::policy::PolicyDocument;
use crate::policy::trust::SUBJECT_PREFIX;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The ARN of the role that a ServiceAccount names, as written.
pub(super) fn named_role(service_account: &LiveServiceAccount) -> Option<&str> {
    service_account.annotations.get(ROLE_ARN).map(String::as_str)
}

/// The lower-case names of the roles of this account that selected ServiceAccounts name.
fn named(identity: &Identity, clusters: &BTreeMap<Key, SeenCluster>, scope: &Scope) -> BTreeSet<String> {
    let all = clusters.values().filter_map(|cluster| cluster.service_accounts.as_ref()).flatten();
    let selected = all.filter(|item| scope.has_namespace(item.namespace.as_str()));
    let arns = selected.filter_map(named_role).filter_map(|arn| RoleArn::parse(arn).ok());
    arns.filter(|arn| arn.account() == identity.account.as_str()).map(|arn| arn.name().to_ascii_lowercase()).collect()
}

/// Whether the trust policy may let in a ServiceAccount of a selected namespace.
fn trusts_selected(trust: &PolicyDocument, scope: &Scope) -> bool {
    fn strings<'v>(value: &'v Value, all: &mut Vec<&'v str>) {
        match value {
            Value::String(text) => all.push(text),
            Value::Array(list) => list.iter().for_each(|item| strings(item, all)),
            Value::Object(object) => object.values().for_each(|item| strings(item, all)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    if scope.namespaces.is_empty() || !trust.is_parsed() {
        return true;
    }
    let value = trust.to_value();
    let mut all = Vec::new();
    strings(&value, &mut all);
    let namespaces = all.iter().filter_map(|text| text.strip_prefix(SUBJECT_PREFIX)?.split(':').next());
    namespaces.into_iter().any(|namespace| scope.has_namespace(namespace) || namespace.contains(['*', '?']))
}

/// The roles of one account to import.
pub(super) fn roles<'a>(
    all: &'a [RoleSummary],
    identity: &Identity,
    clusters: &BTreeMap<Key, SeenCluster>,
    scope: &Scope,
) -> Vec<&'a RoleSummary> {
    let named = named(identity, clusters, scope);
    let issuers: BTreeSet<&str> = clusters.values().map(|cluster| cluster.issuer.host_path()).collect();
    let trusts = |role: &RoleSummary| {
        role.trust.federated_issuers().iter().any(|issuer| issuers.contains(issuer.as_str()))
            && trusts_selected(&role.trust, scope)
    };
    let wanted = all.iter().filter(|role| scope.has_role(role.name.as_str()));
    wanted.filter(|role| named.contains(&role.name.lower_case()) || trusts(role)).collect()
}

/// The other roles at which a plan of the result would look: those that trust an issuer of the clusters, and those under
/// a path where the result has roles. It would delete the ones with the owner's tag.
pub(super) fn others<'a>(
    all: &'a [RoleSummary],
    selected: &[&RoleSummary],
    clusters: &BTreeMap<Key, SeenCluster>,
    scope: &Scope,
) -> Vec<&'a RoleSummary> {
    let issuers: BTreeSet<&str> = clusters.values().map(|cluster| cluster.issuer.host_path()).collect();
    let trusts =
        |role: &RoleSummary| role.trust.federated_issuers().iter().any(|issuer| issuers.contains(issuer.as_str()));
    let own = default_path(scope.owner.as_str());
    let selected: BTreeSet<String> = selected.iter().map(|role| role.name.lower_case()).collect();
    let mut paths: BTreeSet<&str> = [own.as_str()].into();
    // also those that trust, because they may be taken in for their tag
    let is_there = |role: &&RoleSummary| selected.contains(&role.name.lower_case()) || trusts(role);
    paths.extend(all.iter().filter(is_there).map(|role| role.path.as_str()));
    let is_candidate = |role: &&RoleSummary| {
        !selected.contains(&role.name.lower_case())
            && !role.path.starts_with("/aws-service-role/")
            && (paths.iter().any(|path| role.path.starts_with(path)) || trusts(role))
    };
    all.iter().filter(is_candidate).collect()
}
