//! ServiceAccounts as the API shows them, taken apart: metadata, and who holds which of it.

use crate::ids::{Namespace, ServiceAccountName};
use crate::model::live::{FieldManager, LiveServiceAccount, Observed};
use crate::model::resource::Pairs;
use serde_json::Value;
use std::collections::BTreeSet;

/// A ServiceAccount, or what of it cannot be understood.
pub(super) fn service_account(object: &Value) -> Result<LiveServiceAccount, String> {
    let metadata = object.get("metadata").ok_or("it has no metadata")?;
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let namespace = Namespace::parse(text("namespace")).map_err(|why| format!("its namespace {why}"))?;
    let name = ServiceAccountName::parse(text("name")).map_err(|why| format!("its name {why}"))?;
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    let owner_references = owners.into_iter().flatten().map(|owner| {
        let part = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("{}/{}", part("kind"), part("name"))
    });
    let managers = metadata.get("managedFields").and_then(Value::as_array);
    Ok(LiveServiceAccount {
        namespace,
        name,
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        labels: pairs(metadata.get("labels")),
        annotations: pairs(metadata.get("annotations")),
        owner_references: owner_references.collect(),
        managers: managers.into_iter().flatten().map(manager).collect(),
        pods: Observed::Unknown("they were not asked for".to_owned()),
    })
}

/// Whether the manager's apply is what made the object: its entry is as old as the object. An object that someone made
/// bare has no entry of its maker, so that being alone in `managedFields` says too little.
pub(super) fn made_by(object: &Value, name: &str) -> bool {
    let Some(metadata) = object.get("metadata") else { return false };
    let Some(created) = metadata.get("creationTimestamp").and_then(Value::as_str) else { return false };
    let entries = metadata.get("managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        text("manager") == Some(name) && text("operation") == Some("Apply") && text("time") == Some(created)
    })
}

fn pairs(map: Option<&Value>) -> Pairs {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// One entry of `managedFields`: `fieldsV1` is a tree of `f:NAME`, with `.` for the map itself
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>).
fn manager(entry: &Value) -> FieldManager {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fields = entry.get("fieldsV1").and_then(Value::as_object);
    let metadata = fields.and_then(|fields| fields.get("f:metadata")).and_then(Value::as_object);
    let keys = |name: &str| -> BTreeSet<String> {
        let map = metadata.and_then(|metadata| metadata.get(name)).and_then(Value::as_object);
        map.into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("f:").map(str::to_owned)).collect()
    };
    let outside = fields.into_iter().flatten().any(|(key, _)| key != "f:metadata");
    let beside = metadata
        .into_iter()
        .flatten()
        .any(|(key, _)| !["f:labels", "f:annotations", "."].contains(&key.as_str()));
    FieldManager {
        name: text("manager"),
        operation: text("operation"),
        labels: keys("f:labels"),
        annotations: keys("f:annotations"),
        others: outside || beside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn managers_are_told_apart_by_what_they_hold() {
        let object = json!({"metadata": {"name": "cart", "namespace": "shop", "uid": "u", "resourceVersion": "7",
            "labels": {"irsa/owner": "me"}, "annotations": {"a/b": "c"},
            "ownerReferences": [{"kind": "Deployment", "name": "cart"}],
            "managedFields": [
                {"manager": "irsa-me", "operation": "Apply", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:metadata": {"f:labels": {"f:irsa/owner": {}}, "f:annotations": {".": {}, "f:a/b": {}}}}},
                {"manager": "controller", "operation": "Update",
                 "fieldsV1": {"f:secrets": {"k:{\"name\":\"x\"}": {}}}},
                {"manager": "gc", "operation": "Update", "fieldsV1": {"f:metadata": {"f:finalizers": {}}}},
            ]}});
        let read = service_account(&object).unwrap();
        assert_eq!(read.owner_references, ["Deployment/cart"]);
        assert_eq!(read.resource_version, "7");
        let [us, controller, gc] = &read.managers[..] else { panic!("{:?}", read.managers) };
        assert_eq!(us.labels, BTreeSet::from(["irsa/owner".to_owned()]));
        assert_eq!(us.annotations, BTreeSet::from(["a/b".to_owned()]));
        assert!(!us.others && controller.others && gc.others);
        assert!(service_account(&json!({"metadata": {"name": "A B", "namespace": "x"}})).is_err());
    }
}
