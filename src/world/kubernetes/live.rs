//! From an object's metadata to what the plan compares. Pure.

use super::failure::Failure;
use crate::ids::{Namespace, ServiceAccountName};
use crate::model::live::{FieldManager, LiveServiceAccount, Observed};
use crate::model::marks::CREATED;
use crate::model::resource::Pairs;
use crate::world::OddServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, Time};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Stands in the list of managers for whoever made an object without setting a field of it.
const UNRECORDED: &str = "an unrecorded maker";

/// The entries of managedFields that objects before had: of tens of thousands of objects there are a few.
#[derive(Default)]
pub(crate) struct Managers(HashSet<Arc<FieldManager>>);

impl Managers {
    fn shared(&mut self, manager: FieldManager) -> Arc<FieldManager> {
        if let Some(known) = self.0.get(&manager) {
            return Arc::clone(known);
        }
        let manager = Arc::new(manager);
        self.0.insert(Arc::clone(&manager));
        manager
    }
}

/// A ServiceAccount; `us` is our field manager, `seen` is kept for the next one.
pub(crate) fn service_account(
    metadata: ObjectMeta,
    us: &str,
    seen: &mut Managers,
) -> Result<LiveServiceAccount, Failure> {
    let made_by_another = made_by_another(&metadata, us);
    let missing = |field: &str| Failure::other(format!("the API gave an object without `{field}`"));
    let namespace = metadata.namespace.ok_or_else(|| missing("namespace"))?;
    let name = metadata.name.ok_or_else(|| missing("name"))?;
    let wrong = |text: &str| Failure::other(format!("the API gave an object called `{}`", super::failure::clean(text)));
    let unrecorded = made_by_another.then(|| FieldManager {
        name: UNRECORDED.to_owned(),
        operation: "Update".to_owned(),
        labels: Vec::new(),
        annotations: Vec::new(),
        others: true,
    });
    let entries = metadata.managed_fields.iter().flatten().map(field_manager);
    let mut managers: Vec<Arc<FieldManager>> = entries.chain(unrecorded).map(|manager| seen.shared(manager)).collect();
    // there may be tens of thousands of them, with one item in most lists
    managers.shrink_to_fit();
    let owners = metadata.owner_references.into_iter().flatten();
    Ok(LiveServiceAccount {
        namespace: Namespace::parse(&namespace).map_err(|_| wrong(&namespace))?,
        name: ServiceAccountName::parse(&name).map_err(|_| wrong(&name))?,
        uid: metadata.uid.ok_or_else(|| missing("uid"))?,
        resource_version: metadata.resource_version.ok_or_else(|| missing("resourceVersion"))?,
        labels: pairs(metadata.labels),
        annotations: pairs(metadata.annotations),
        owner_references: owners.map(|owner| format!("{}/{}", owner.kind, owner.name)).collect(),
        managers,
        pods: Observed::Unknown("they were not asked for".to_owned()),
    })
}

/// A ServiceAccount of which no more is known than what can be read by itself.
pub(crate) fn odd(object: &RawValue, why: String) -> OddServiceAccount {
    type Fields<'a> = HashMap<String, &'a RawValue>;
    let whole = serde_json::from_str::<Fields<'_>>(object.get()).ok();
    let metadata = whole.and_then(|whole| serde_json::from_str::<Fields<'_>>(whole.get("metadata")?.get()).ok());
    let text = |field: &str| serde_json::from_str::<String>(metadata.as_ref()?.get(field)?.get()).ok();
    let map = |field: &str| match metadata.as_ref()?.get(field) {
        Some(value) => serde_json::from_str::<Option<BTreeMap<String, String>>>(value.get()).ok().map(pairs),
        None => Some(Pairs::new()),
    };
    let namespace = text("namespace").and_then(|text| Namespace::parse(text).ok());
    let name = text("name").and_then(|text| ServiceAccountName::parse(text).ok());
    OddServiceAccount { spot: namespace.zip(name), labels: map("labels"), annotations: map("annotations"), why }
}

/// In no more room than they need.
fn pairs(map: Option<BTreeMap<String, String>>) -> Pairs {
    let map = map.unwrap_or_default();
    let mut pairs = Pairs::with_capacity(map.len());
    pairs.extend(map);
    pairs
}

/// Whether someone made the object before us and left no trace in managedFields: `kubectl create serviceaccount` sets
/// no field, and who holds none has no entry. To hold everything then does not mean to have made it. An object that we
/// made and had no time to mark has our entry from the moment of its creation on.
fn made_by_another(metadata: &ObjectMeta, us: &str) -> bool {
    let marked = metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(CREATED));
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let ours = !entries.is_empty() && entries.iter().all(|entry| entry.manager.as_deref() == Some(us));
    ours && !marked && !fresh(metadata, us)
}

/// Whether our fields are exactly as old as the object, which nobody else holds anything of: then our apply made it.
/// Both times are of one clock and in whole seconds.
pub(crate) fn fresh(metadata: &ObjectMeta, us: &str) -> bool {
    let (Some(created), Some([entry])) = (&metadata.creation_timestamp, metadata.managed_fields.as_deref()) else {
        return false;
    };
    let second = |time: &Time| time.0.as_second();
    let applied = entry.manager.as_deref() == Some(us) && entry.operation.as_deref() == Some("Apply");
    applied && entry.time.as_ref().is_some_and(|time| (second(time) - second(created)).abs() <= 1)
}

/// One entry of managedFields.
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
        // a form that we cannot read holds we know not what
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
    // `.` is the map itself, which holds nothing
    for key in below.as_object().into_iter().flat_map(|map| map.keys()).filter(|key| *key != ".") {
        match key.strip_prefix("f:") {
            Some(key) => keys.push(key.to_owned()),
            None => manager.others = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(fields: &Value) -> FieldManager {
        let entry = json!({"manager": "m", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields});
        field_manager(&serde_json::from_value(entry).unwrap())
    }

    fn keys(list: &[&str]) -> Vec<String> {
        list.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn labels_and_annotations_are_told_from_everything_else() {
        let both = entry(&json!({"f:metadata": {
            "f:annotations": {".": {}, "f:eks.amazonaws.com/role-arn": {}, "f:f:odd": {}},
            "f:labels": {"f:irsa/owner": {}},
        }}));
        assert_eq!(both.annotations, keys(&["eks.amazonaws.com/role-arn", "f:odd"]));
        assert_eq!(both.labels, keys(&["irsa/owner"]));
        assert!(!both.others);
        for (fields, others) in [
            (json!({}), false),
            (json!({"f:metadata": {}}), false),
            (json!({"f:metadata": {".": {}, "f:annotations": {".": {}}, "f:labels": {}}}), false),
            (json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"x\"": {}}}}), true),
            (json!({"f:metadata": {"f:ownerReferences": {"k:{\"uid\":\"1\"}": {}}}}), true),
            (json!({"f:secrets": {".": {}, "k:{\"name\":\"s\"}": {"f:name": {}}}}), true),
            (json!({"f:imagePullSecrets": {}}), true),
            (json!({"f:automountServiceAccountToken": {}}), true),
            (json!("text"), true),
        ] {
            let manager = entry(&fields);
            assert_eq!(manager.others, others, "{fields}");
            assert!(manager.labels.is_empty() && manager.annotations.is_empty(), "{fields}");
        }
        let unknown = json!({"manager": "m", "operation": "Update", "fieldsType": "FieldsV2", "fieldsV1": {}});
        assert!(field_manager(&serde_json::from_value(unknown).unwrap()).others);
        let bare = field_manager(&serde_json::from_value(json!({"manager": "m", "operation": "Update"})).unwrap());
        assert!(!bare.others);
    }

    fn object(created: &str, entries: &[(&str, &str, &str)], annotations: &Value) -> ObjectMeta {
        let entries: Vec<Value> = entries
            .iter()
            .map(|(manager, operation, time)| {
                json!({"manager": manager, "operation": operation, "time": time, "fieldsType": "FieldsV1",
                       "fieldsV1": {"f:metadata": {"f:labels": {"f:irsa/owner": {}}}}})
            })
            .collect();
        serde_json::from_value(json!({
            "namespace": "a", "name": "b", "uid": "u", "resourceVersion": "1", "creationTimestamp": created,
            "managedFields": entries, "annotations": annotations,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Thing", "name": "t", "uid": "1"}],
        }))
        .unwrap()
    }

    #[test]
    fn who_made_an_object_without_a_trace_counts_as_a_manager() {
        const MADE: &str = "2026-01-01T00:00:00Z";
        const LATER: &str = "2026-01-01T00:00:09Z";
        let none = json!({});
        let marked = json!({"irsa/created": "true"});
        for (entries, annotations, another) in [
            (vec![], &none, false),
            (vec![("irsa-me", "Apply", MADE)], &none, false),
            (vec![("irsa-me", "Apply", LATER)], &none, true),
            (vec![("irsa-me", "Apply", LATER)], &marked, false),
            (vec![("irsa-me", "Apply", LATER), ("helm", "Update", MADE)], &none, false),
        ] {
            let mut seen = Managers::default();
            let live = service_account(object(MADE, &entries, annotations), "irsa-me", &mut seen).unwrap();
            let again = service_account(object(MADE, &entries, annotations), "irsa-me", &mut seen).unwrap();
            assert!(live.managers.iter().zip(&again.managers).all(|(one, other)| Arc::ptr_eq(one, other)));
            let found = live.managers.iter().any(|manager| manager.name == UNRECORDED && manager.others);
            assert_eq!(found, another, "{entries:?} {annotations}");
            assert_eq!(live.managers.len(), entries.len() + usize::from(another));
            assert_eq!(live.owner_references, ["Thing/t"]);
        }
        assert!(fresh(&object(MADE, &[("irsa-me", "Apply", MADE)], &none), "irsa-me"));
        assert!(!fresh(&object(MADE, &[("irsa-me", "Update", MADE)], &none), "irsa-me"));
        assert!(!fresh(&object(MADE, &[("irsa-me", "Apply", MADE), ("x", "Update", MADE)], &none), "irsa-me"));
    }
}
