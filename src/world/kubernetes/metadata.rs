//! Converts the metadata of a Kubernetes object to a `LiveServiceAccount`. Does no IO.

use super::failure::{ApiFailure, clean};
use crate::ids::{Namespace, ServiceAccountName};
use crate::model::live::{FieldManager, LiveServiceAccount};
use crate::model::resource::StringMap;
use crate::world::MalformedServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The distinct field managers of a list. Many objects share few of them, so each is kept once.
#[derive(Default)]
pub(crate) struct FieldManagers(HashSet<Arc<FieldManager>>);

impl FieldManagers {
    fn shared(&mut self, manager: FieldManager) -> Arc<FieldManager> {
        if let Some(known) = self.0.get(&manager) {
            return Arc::clone(known);
        }
        let manager = Arc::new(manager);
        self.0.insert(Arc::clone(&manager));
        manager
    }
}

/// Converts the metadata of a ServiceAccount. `known` has the field managers of the list so far.
pub(crate) fn service_account(
    metadata: ObjectMeta,
    known: &mut FieldManagers,
) -> Result<LiveServiceAccount, ApiFailure> {
    let missing = |field: &str| ApiFailure::other(format!("the API returned an object without `{field}`"));
    let namespace = metadata.namespace.ok_or_else(|| missing("namespace"))?;
    let name = metadata.name.ok_or_else(|| missing("name"))?;
    let wrong =
        |text: &str| ApiFailure::other(format!("the API returned an object with the invalid name `{}`", clean(text)));
    let entries = metadata.managed_fields.iter().flatten().map(field_manager);
    let mut managers: Vec<Arc<FieldManager>> = entries.map(|manager| known.shared(manager)).collect();
    // with tens of thousands of objects, spare capacity adds up
    managers.shrink_to_fit();
    let owners = metadata.owner_references.into_iter().flatten();
    Ok(LiveServiceAccount {
        namespace: Namespace::parse(&namespace).map_err(|_| wrong(&namespace))?,
        name: ServiceAccountName::parse(&name).map_err(|_| wrong(&name))?,
        uid: metadata.uid.ok_or_else(|| missing("uid"))?,
        resource_version: metadata.resource_version.ok_or_else(|| missing("resourceVersion"))?,
        labels: string_map(metadata.labels),
        annotations: string_map(metadata.annotations),
        owner_references: owners.map(|owner| format!("{}/{}", owner.kind, owner.name)).collect(),
        managers,
        deleting: metadata.deletion_timestamp.map(|_| metadata.finalizers.unwrap_or_default()),
        pods: None,
    })
}

/// A ServiceAccount that cannot be converted, with the fields that can be read one by one.
pub(crate) fn malformed(object: &RawValue, why: String) -> MalformedServiceAccount {
    type Fields<'a> = HashMap<String, &'a RawValue>;
    let whole = serde_json::from_str::<Fields<'_>>(object.get()).ok();
    let metadata = whole.and_then(|whole| serde_json::from_str::<Fields<'_>>(whole.get("metadata")?.get()).ok());
    let text = |field: &str| serde_json::from_str::<String>(metadata.as_ref()?.get(field)?.get()).ok();
    let map = |field: &str| match metadata.as_ref()?.get(field) {
        Some(value) => serde_json::from_str::<Option<BTreeMap<String, String>>>(value.get()).ok().map(string_map),
        None => Some(StringMap::new()),
    };
    let namespace = text("namespace").and_then(|text| Namespace::parse(text).ok());
    let name = text("name").and_then(|text| ServiceAccountName::parse(text).ok());
    MalformedServiceAccount { object: namespace.zip(name), labels: map("labels"), annotations: map("annotations"), why }
}

/// Converts a map of a Kubernetes object. Allocates no spare capacity, because irsa keeps very many maps.
pub(crate) fn string_map(map: Option<BTreeMap<String, String>>) -> StringMap {
    StringMap::from_sorted_store_unchecked(map.unwrap_or_default().into_iter().collect())
}

fn field_manager(entry: &ManagedFieldsEntry) -> FieldManager {
    let mut manager = FieldManager {
        name: entry.manager.clone().unwrap_or_default(),
        operation: entry.operation.clone().unwrap_or_default(),
        labels: Vec::new(),
        annotations: Vec::new(),
        others: false,
    };
    match (entry.fields_type.as_deref(), entry.fields_v1.as_ref().map(|fields| &fields.0)) {
        (_, None) => {}
        (None | Some("FieldsV1"), Some(Value::Object(fields))) => {
            for (path, below) in fields.iter().filter(|(path, _)| *path != ".") {
                match below.as_object().filter(|_| path == "f:metadata") {
                    Some(metadata) => metadata.iter().for_each(|(path, below)| in_metadata(&mut manager, path, below)),
                    None => manager.others = true,
                }
            }
        }
        // an unknown format may own any field
        _ => manager.others = true,
    }
    manager.labels.sort_unstable();
    manager.annotations.sort_unstable();
    manager
}

fn in_metadata(manager: &mut FieldManager, path: &str, below: &Value) {
    let keys = match path {
        "." => return,
        "f:labels" => &mut manager.labels,
        "f:annotations" => &mut manager.annotations,
        _ => {
            manager.others = true;
            return;
        }
    };
    // `.` stands for the map itself
    for key in below.as_object().into_iter().flat_map(|map| map.keys()).filter(|key| *key != ".") {
        match key.strip_prefix("f:") {
            Some(key) => keys.push(key.to_owned()),
            None => manager.others = true,
        }
    }
}

#[cfg(test)]
mod tests;
