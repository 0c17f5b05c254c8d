//! The patch types other than server-side apply.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply>: JSON merge patch (RFC 7386), JSON
//! patch (RFC 6902) and strategic merge patch. Strategic merge differs here from a merge patch only for lists with a
//! merge key. Does no I/O and holds no state.

use crate::kubernetes::resource::Schema;
use crate::kubernetes::status::Refusal;
use serde_json::{Map, Value};

/// JSON merge patch, RFC 7386.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return };
    for (name, change) in changes {
        if change.is_null() {
            map.remove(name);
        } else {
            merge(map.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

/// Strips the directives of strategic merge, and the nulls, which would remove fields that do not exist.
fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(name, value)| !name.starts_with('$') && !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_directives(value))).collect())
        }
        other => other.clone(),
    }
}

fn directive(value: &Value) -> Option<&str> {
    value.get("$patch").and_then(Value::as_str)
}

/// Strategic merge patch: a merge patch that also merges lists with a merge key by that key. It supports `$patch:
/// delete` and `replace`, `$retainKeys` and `$deleteFromPrimitiveList/…`, and ignores `$setElementOrder/…`.
pub(crate) fn strategic(schema: &Schema, target: &mut Value, patch: &Value) {
    match (patch, schema) {
        (Value::Object(_), _) if directive(patch) == Some("replace") => *target = without_directives(patch),
        (Value::Object(_), _) if directive(patch) == Some("delete") => *target = Value::Object(Map::new()),
        (Value::Object(changes), _) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let Some(map) = target.as_object_mut() else { return };
            if let Some(retained) = changes.get("$retainKeys").and_then(Value::as_array) {
                map.retain(|name, _| retained.iter().any(|one| one == name));
            }
            for (name, change) in changes {
                if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
                    let gone = change.as_array().map_or(&[][..], Vec::as_slice);
                    if let Some(old) = map.get_mut(list).and_then(Value::as_array_mut) {
                        old.retain(|one| !gone.contains(one));
                    }
                } else if change.is_null() {
                    map.remove(name);
                } else if !name.starts_with('$') {
                    let below = schema.child(name).unwrap_or(&Schema::Open);
                    strategic(below, map.entry(name.clone()).or_insert(Value::Null), change);
                }
            }
        }
        (Value::Array(changes), Schema::Keyed(keys, item)) => {
            let key = keys.first().copied().unwrap_or_default();
            // An item with only this directive makes the other items replace the list.
            let (replace, changes): (Vec<&Value>, Vec<&Value>) =
                changes.iter().partition(|change| directive(change) == Some("replace") && change.get(key).is_none());
            let mut list = target.as_array().filter(|_| replace.is_empty()).cloned().unwrap_or_default();
            for change in changes {
                let place = list.iter().position(|old| old.get(key) == change.get(key));
                let delete = directive(change) == Some("delete");
                match (place, delete) {
                    (Some(place), true) => {
                        list.remove(place);
                    }
                    (Some(place), false) => strategic(item, &mut list[place], change),
                    (None, true) => {}
                    (None, false) => list.push(without_directives(change)),
                }
            }
            *target = Value::Array(list);
        }
        (Value::Array(changes), Schema::Set) => {
            let mut list = target.as_array().cloned().unwrap_or_default();
            list.extend(changes.iter().filter(|one| !target.as_array().is_some_and(|old| old.contains(one))).cloned());
            *target = Value::Array(list);
        }
        _ => *target = patch.clone(),
    }
}

/// A patch as Go prints a map. The server prints a patch like this if the result is not an object of the kind.
pub(crate) fn printed(patch: &Value) -> String {
    match patch {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(name, value)| format!("{name}:{}", printed(value))).collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

fn invalid(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(422, "Invalid", format!("the server rejected our request due to an error in our request: {why}"))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), Refusal> {
    let Some((parent, last)) = path.rsplit_once('/') else {
        *target = value;
        return Ok(());
    };
    let missing = || invalid(format!("add operation does not apply: doc is missing path: {path:?}: missing value"));
    match target.pointer_mut(parent).ok_or_else(missing)? {
        Value::Object(map) => {
            map.insert(unescape(last), value);
        }
        Value::Array(items) => {
            let place = if last == "-" { items.len() } else { last.parse().map_err(|_| missing())? };
            if place > items.len() {
                return Err(missing());
            }
            items.insert(place, value);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, Refusal> {
    let missing = || invalid(format!("remove operation does not apply: doc is missing path: {path:?}: missing value"));
    let (parent, last) = path.rsplit_once('/').ok_or_else(missing)?;
    match target.pointer_mut(parent).ok_or_else(missing)? {
        Value::Object(map) => map.remove(&unescape(last)).ok_or_else(missing),
        Value::Array(items) => {
            let place: usize = last.parse().map_err(|_| missing())?;
            if place < items.len() { Ok(items.remove(place)) } else { Err(missing()) }
        }
        _ => Err(missing()),
    }
}

/// JSON patch, RFC 6902.
pub(crate) fn json_patch(target: &mut Value, operations: &Value) -> Result<(), Refusal> {
    let operations =
        operations.as_array().ok_or_else(|| Refusal::bad_request("error decoding patch: it is no array"))?;
    for operation in operations {
        let text = |name: &str| operation.get(name).and_then(Value::as_str);
        let path = text("path").ok_or_else(|| invalid("missing path"))?;
        let value = || operation.get("value").cloned().unwrap_or(Value::Null);
        match text("op").unwrap_or_default() {
            "add" => add(target, path, value())?,
            "remove" => {
                remove(target, path)?;
            }
            "replace" => {
                let missing = || format!("replace operation does not apply: doc is missing key: {path}: missing value");
                *target.pointer_mut(path).ok_or_else(|| invalid(missing()))? = value();
            }
            "test" => {
                if target.pointer(path) != Some(&value()) {
                    return Err(invalid(format!("testing value {path} failed: test failed")));
                }
            }
            "move" => {
                let moved = remove(target, text("from").unwrap_or_default())?;
                add(target, path, moved)?;
            }
            "copy" => {
                let copied = target.pointer(text("from").unwrap_or_default()).cloned();
                add(target, path, copied.ok_or_else(|| invalid("copy operation does not apply: missing value"))?)?;
            }
            other => return Err(invalid(format!("unexpected kind: {other}"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::resource::Resource;
    use serde_json::json;

    #[test]
    fn a_null_in_a_merge_patch_removes_the_field() {
        let mut target = json!({"a": {"b": 1, "c": 2}});
        merge(&mut target, &json!({"a": {"b": null, "d": {"e": null, "f": 3}}}));
        assert_eq!(target, json!({"a": {"c": 2, "d": {"f": 3}}}));
    }

    #[test]
    fn a_json_patch_tests_and_escapes() {
        let mut target = json!({"metadata": {"annotations": {"a/b": "1"}}});
        let patch = json!([
            {"op": "test", "path": "/metadata/annotations/a~1b", "value": "1"},
            {"op": "replace", "path": "/metadata/annotations/a~1b", "value": "2"},
            {"op": "add", "path": "/metadata/finalizers", "value": ["x"]},
            {"op": "add", "path": "/metadata/finalizers/-", "value": "y"},
        ]);
        json_patch(&mut target, &patch).unwrap();
        assert_eq!(target, json!({"metadata": {"annotations": {"a/b": "2"}, "finalizers": ["x", "y"]}}));
        let failed = json_patch(&mut target, &json!([{"op": "remove", "path": "/metadata/labels"}])).unwrap_err();
        assert_eq!(failed.code, 422);
    }

    #[test]
    fn a_strategic_patch_merges_secrets_by_name() {
        let mut target = json!({"secrets": [{"name": "a"}, {"name": "b"}], "imagePullSecrets": [{"name": "p"}]});
        let patch = json!({
            "secrets": [{"name": "c"}, {"name": "a", "$patch": "delete"}], "imagePullSecrets": [{"name": "q"}],
        });
        strategic(Resource::ServiceAccounts.schema(), &mut target, &patch);
        assert_eq!(target, json!({"secrets": [{"name": "b"}, {"name": "c"}], "imagePullSecrets": [{"name": "q"}]}));
    }
}
