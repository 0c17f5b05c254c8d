//! Finds the configuration's keys of clusters and roles in a plan file, for `irsa show`, which reads no configuration.

use crate::model::address::Address;
use crate::model::marks::ROLE_ARN;
use crate::plan::ConfigKeys;
use crate::plan::file::PlanV2;
use serde_json::Value;
use std::collections::BTreeMap;

/// The clusters whose OIDC providers the plan changes, and the roles that it changes and that a ServiceAccount names.
pub fn config_keys(plan: &PlanV2) -> ConfigKeys {
    let text = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let mut keys = ConfigKeys::default();
    let mut roles = BTreeMap::new();
    for change in &plan.changes {
        let object = if change.after.is_null() { &change.before } else { &change.after };
        match change.address.parse() {
            Ok(Address::OidcProvider { cluster, .. }) => {
                if let Some(host) = text(object, "url").strip_prefix("https://") {
                    keys.clusters.insert(host.to_owned(), cluster);
                }
            }
            Ok(Address::Role { key }) => {
                roles.insert(format!("{}{}", text(object, "path"), text(object, "name")), key);
            }
            Ok(Address::Policy { .. } | Address::ServiceAccount { .. } | Address::Orphan { .. }) | Err(_) => {}
        }
    }
    let annotations = plan.changes.iter().flat_map(|change| &change.fields);
    let annotations = annotations.filter(|field| field.path.strip_prefix("annotations.") == Some(ROLE_ARN));
    for arn in annotations.flat_map(|field| [&field.before, &field.after]).filter_map(Value::as_str) {
        if let Some(key) = arn.split_once(":role").and_then(|(_, path)| roles.get(path)) {
            keys.roles.insert(arn.to_owned(), key.clone());
        }
    }
    keys
}
