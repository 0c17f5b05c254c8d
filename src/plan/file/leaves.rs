//! The fields of a JSON object by path, and when two values of a field count as equal.

use crate::plan::change::is_map;
use crate::policy::PolicyDocument;
use serde_json::Value;
use std::collections::BTreeMap;

/// The values of an object by field path.
pub(crate) fn leaves(object: &Value) -> BTreeMap<String, &Value> {
    let mut leaves = BTreeMap::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match value.as_object().filter(|_| is_map(key)) {
            Some(map) => leaves.extend(map.iter().map(|(inner, value)| (format!("{key}.{inner}"), value))),
            None => drop(leaves.insert(key.clone(), value)),
        }
    }
    leaves
}

/// The value of a field. Null if the object does not have it.
pub(crate) fn leaf<'a>(leaves: &BTreeMap<String, &'a Value>, path: &str) -> &'a Value {
    leaves.get(path).copied().unwrap_or(&Value::Null)
}

/// Whether two values of a field are equal. Null equals an empty value, and documents are equal if they mean the same.
pub(crate) fn alike(one: &Value, other: &Value) -> bool {
    one == other || (empty(one) && empty(other)) || same_document(one, other)
}

fn same_document(one: &Value, other: &Value) -> bool {
    let read = |value: &Value| PolicyDocument::live(&value.to_string());
    one.is_object() && other.is_object() && read(one) == read(other)
}

/// Whether a value is null, or an empty string, list or object.
pub(crate) fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
