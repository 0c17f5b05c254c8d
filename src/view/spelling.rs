//! Rewrites two statements in one spelling, so that their diff shows only differences in meaning.
//!
//! IAM has many spellings of one meaning: the case of actions, operators and condition keys, `true` and `"true"`, an
//! account's id and its root ARN, an item and a list of it, the order of a list. This file puts each part into a
//! statement of its own and lets `policy` compare the two.

use super::statement::RawStatement;
use crate::policy::Statement;
use crate::policy::canonical::CanonicalStatement;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Both statements, where the older one uses the spelling of the newer one for equal parts. Removes duplicates.
pub(crate) fn in_one_spelling(old: &RawStatement, new: &RawStatement) -> (RawStatement, RawStatement) {
    let (mut before, mut after) = (old.clone(), new.clone());
    for (key, old) in old {
        let Some(new) = new.get(key).filter(|new| *new != old) else { continue };
        let (old, new) = match key.as_str() {
            "Action" | "NotAction" | "Resource" | "NotResource" => respell(old, new, |item| parse(key, item)),
            "Principal" | "NotPrincipal" => {
                respell_values(&by_type(old), &by_type(new), |kind, item| parse(key, &json!({ kind: item })))
            }
            "Condition" => respell_conditions(old, new),
            _ => continue,
        };
        before.insert(key.to_owned(), old);
        after.insert(key.to_owned(), new);
    }
    let is_empty = |condition: Option<&Value>| condition.and_then(Value::as_object).is_none_or(Map::is_empty);
    if is_empty(before.get("Condition")) && is_empty(after.get("Condition")) {
        before.remove("Condition");
        after.remove("Condition");
    }
    (before, after)
}

/// A statement with this one element. None if `policy` cannot parse it; such a value equals no other.
fn parse(key: &str, value: &Value) -> Option<Statement> {
    let mut body = json!({ "Effect": "Allow" });
    if !key.ends_with("Action") {
        body["Action"] = json!("sts:AssumeRole");
    }
    body[key] = value.clone();
    Statement::parse(&body, None).ok()
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        single => std::slice::from_ref(single),
    }
}

/// Two sets in one spelling. If they mean the same, both are returned as the new one is written.
fn respell(old: &Value, new: &Value, parse: impl Fn(&Value) -> Option<Statement>) -> (Value, Value) {
    let parsed: Vec<Option<Statement>> = list(new).iter().map(&parse).collect();
    let mut known: BTreeMap<&CanonicalStatement, &Value> = BTreeMap::new();
    for (statement, item) in parsed.iter().zip(list(new)) {
        if let Some(statement) = statement {
            known.entry(statement.canonical()).or_insert(item);
        }
    }
    let respelled = |values: &Value| -> Vec<Value> {
        let mut seen = BTreeSet::new();
        let items = list(values).iter().map(|item| {
            let statement = parse(item);
            statement.and_then(|statement| known.get(statement.canonical()).copied()).unwrap_or(item).clone()
        });
        items.filter(|item| seen.insert(item.to_string())).collect()
    };
    let (before, after) = (respelled(old), respelled(new));
    if before.len() == after.len() && before.iter().all(|item| after.contains(item)) {
        return (new.clone(), new.clone());
    }
    (Value::Array(before), Value::Array(after))
}

/// Respells the sets of two maps, key by key.
fn respell_values(old: &Value, new: &Value, parse: impl Fn(&str, &Value) -> Option<Statement>) -> (Value, Value) {
    let (Value::Object(before), Value::Object(after)) = (old, new) else { return (old.clone(), new.clone()) };
    let (mut before, mut after) = (before.clone(), after.clone());
    for (key, old) in &mut before {
        if let Some(new) = after.get_mut(key) {
            (*old, *new) = respell(old, new, |item| parse(key, item));
        }
    }
    (before.into(), after.into())
}

/// Principals by type: `"*"` means `{"AWS": "*"}`.
fn by_type(principals: &Value) -> Value {
    if principals.is_string() { json!({ "AWS": principals }) } else { principals.clone() }
}

fn respell_conditions(old: &Value, new: &Value) -> (Value, Value) {
    let (Value::Object(old_map), Value::Object(new_map)) = (old, new) else { return (old.clone(), new.clone()) };
    let condition = |operator: &str, key: &str, value: &Value| parse("Condition", &json!({ operator: { key: value } }));
    let text = json!("x");
    let mut before = respell_keys(old_map, new_map, |operator| condition(operator, "aws:x", &text));
    let mut after = new_map.clone();
    for (operator, old) in &mut before {
        let Some(new) = after.get_mut(operator) else { continue };
        if let (Value::Object(old_keys), Value::Object(new_keys)) = (&*old, &*new) {
            let keys = respell_keys(old_keys, new_keys, |key| condition(operator, key, &text));
            (*old, *new) = respell_values(&keys.into(), new, |key, item| condition(operator, key, item));
        }
    }
    (before.into(), after.into())
}

/// A map whose keys use the spelling of the equal keys of `known`.
fn respell_keys(
    map: &Map<String, Value>,
    known: &Map<String, Value>,
    parse: impl Fn(&str) -> Option<Statement>,
) -> Map<String, Value> {
    let respelled = |name: &String| {
        let parsed = parse(name).filter(|_| !known.contains_key(name));
        let equal = parsed.and_then(|parsed| known.keys().find(|other| parse(other).as_ref() == Some(&parsed)));
        equal.unwrap_or(name).clone()
    };
    map.iter().map(|(name, value)| (respelled(name), value.clone())).collect()
}
