//! Selects the roles to import: those that a selected ServiceAccount names, and those that trust an issuer of the
//! clusters.

use super::{Scope, SeenCluster};
use crate::ids::{Key, RoleArn};
use crate::model::live::{Identity, LiveServiceAccount, RoleSummary};
use crate::model::marks::ROLE_ARN;
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
