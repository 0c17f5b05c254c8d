//! Two statements in one spelling, so that a diff of them has only what differs.
//!
//! IAM takes one meaning in many spellings: the case of actions, operators and condition keys, `true` and `"true"`, an
//! account's id and its root ARN, an item and a list of it, the order of a list. What means the same, `policy` says:
//! each part is put into a statement of its own, and the two are compared.

use crate::policy::Statement;
use crate::policy::canonical::CanonicalStatement;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The elements of a statement.
pub(crate) type Body = Map<String, Value>;

/// Both statements, with what the older one says in other words put in the words of the newer one, and nothing twice.
pub(crate) fn in_one(old: &Body, new: &Body) -> (Body, Body) {
    let (mut before, mut after) = (old.clone(), new.clone());
    let mut put = |key: &str, (old, new): Pair| {
        before.insert(key.to_owned(), old);
        after.insert(key.to_owned(), new);
    };
    for (key, old) in old {
        let Some(new) = new.get(key).filter(|new| *new != old) else { continue };
        match key.as_str() {
            "Action" | "NotAction" | "Resource" | "NotResource" => put(key, items(old, new, |item| alone(key, item))),
            "Principal" | "NotPrincipal" => {
                put(key, fields(&by_kind(old), &by_kind(new), |kind, item| alone(key, &json!({ kind: item }))));
            }
            "Condition" => put(key, conditions(old, new)),
            _ => {}
        }
    }
    let none = |condition: Option<&Value>| condition.and_then(Value::as_object).is_none_or(Map::is_empty);
    if none(before.get("Condition")) && none(after.get("Condition")) {
        before.remove("Condition");
        after.remove("Condition");
    }
    (before, after)
}

/// An element of the older statement and one of the newer.
type Pair = (Value, Value);

/// A statement of which one element matters; `None` where it is not understood, and then nothing is like it.
fn alone(key: &str, value: &Value) -> Option<Statement> {
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

/// Two sets, in which what means the same is spelled the same; a set that is the same stays as the new one is written.
fn items(old: &Value, new: &Value, alone: impl Fn(&Value) -> Option<Statement>) -> Pair {
    let meanings: Vec<Option<Statement>> = list(new).iter().map(&alone).collect();
    let mut known: BTreeMap<&CanonicalStatement, &Value> = BTreeMap::new();
    for (meaning, item) in meanings.iter().zip(list(new)) {
        if let Some(meaning) = meaning {
            known.entry(meaning.canonical()).or_insert(item);
        }
    }
    let respelled = |values: &Value| -> Vec<Value> {
        let mut seen = BTreeSet::new();
        let spelled = list(values).iter().map(|item| {
            let meaning = alone(item);
            meaning.and_then(|meaning| known.get(meaning.canonical()).copied()).unwrap_or(item).clone()
        });
        spelled.filter(|item| seen.insert(item.to_string())).collect()
    };
    let (before, after) = (respelled(old), respelled(new));
    if before.len() == after.len() && before.iter().all(|item| after.contains(item)) {
        return (new.clone(), new.clone());
    }
    (Value::Array(before), Value::Array(after))
}

/// Two maps of such sets.
fn fields(old: &Value, new: &Value, alone: impl Fn(&str, &Value) -> Option<Statement>) -> Pair {
    let (Value::Object(before), Value::Object(after)) = (old, new) else { return (old.clone(), new.clone()) };
    let (mut before, mut after) = (before.clone(), after.clone());
    for (key, old) in &mut before {
        if let Some(new) = after.get_mut(key) {
            (*old, *new) = items(old, new, |item| alone(key, item));
        }
    }
    (before.into(), after.into())
}

/// Everyone, `"*"`, is `{"AWS": "*"}`.
fn by_kind(principals: &Value) -> Value {
    if principals.is_string() { json!({ "AWS": principals }) } else { principals.clone() }
}

fn conditions(old: &Value, new: &Value) -> Pair {
    let (Value::Object(old_map), Value::Object(new_map)) = (old, new) else { return (old.clone(), new.clone()) };
    let condition = |operator: &str, key: &str, value: &Value| alone("Condition", &json!({ operator: { key: value } }));
    let text = json!("x");
    let mut before = renamed(old_map, new_map, |operator| condition(operator, "aws:x", &text));
    let mut after = new_map.clone();
    for (operator, old) in &mut before {
        let Some(new) = after.get_mut(operator) else { continue };
        if let (Value::Object(old_keys), Value::Object(new_keys)) = (&*old, &*new) {
            let keys = renamed(old_keys, new_keys, |key| condition(operator, key, &text));
            (*old, *new) = fields(&keys.into(), new, |key, item| condition(operator, key, item));
        }
    }
    (before.into(), after.into())
}

/// A map whose keys have the spelling of those of `known` that mean the same.
fn renamed(
    map: &Map<String, Value>,
    known: &Map<String, Value>,
    alone: impl Fn(&str) -> Option<Statement>,
) -> Map<String, Value> {
    let spelled = |name: &String| {
        let meaning = alone(name).filter(|_| !known.contains_key(name));
        let same = meaning.and_then(|meaning| known.keys().find(|other| alone(other).as_ref() == Some(&meaning)));
        same.unwrap_or(name).clone()
    };
    map.iter().map(|(name, value)| (spelled(name), value.clone())).collect()
}
