//! What the configuration calls clusters and roles, as far as a plan file tells: a file has no such table.

use crate::model::marks::ROLE_ARN;
use crate::plan::ConfigKeys;
use crate::plan::file::{ChangeV2, PlanV2};
use serde_json::Value;
use std::collections::BTreeMap;

/// The clusters whose providers the plan makes, changes or deletes, and the roles that it changes.
pub fn names(plan: &PlanV2) -> ConfigKeys {
    let object = |change: &ChangeV2| if change.after.is_null() { change.before.clone() } else { change.after.clone() };
    let text = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let mut names = ConfigKeys::default();
    let mut paths: BTreeMap<String, &str> = BTreeMap::new();
    for change in &plan.changes {
        let parts: Vec<&str> = change.address.split('/').collect();
        match parts[..] {
            ["oidc-provider", _, cluster] => {
                let url = text(&object(change), "url");
                if let (Some(host), Ok(key)) = (url.strip_prefix("https://"), cluster.parse()) {
                    names.clusters.insert(host.to_owned(), key);
                }
            }
            ["role", key] => {
                let role = object(change);
                paths.insert(format!("{}{}", text(&role, "path"), text(&role, "name")), key);
            }
            _ => {}
        }
    }
    let annotations = plan.changes.iter().flat_map(|change| &change.fields);
    let annotations = annotations.filter(|field| field.path.strip_prefix("annotations.") == Some(ROLE_ARN));
    for arn in annotations.flat_map(|field| [&field.before, &field.after]).filter_map(Value::as_str) {
        let role = arn.split_once(":role").and_then(|(_, path)| paths.get(path));
        if let Some(Ok(key)) = role.map(|key| key.parse()) {
            names.roles.insert(arn.to_owned(), key);
        }
    }
    names
}
