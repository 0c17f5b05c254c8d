//! Changes of a document that change its meaning.

use super::dice::Dice;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A suffix that makes a text unique.
const FRESH: &str = "Q9";

/// The document with one change of its meaning. Its statements, and the values of each list, must be distinct.
pub(super) fn changed(document: &Value, dice: &mut Dice) -> Value {
    match dice.below(5) {
        0 => renamed(document, dice),
        1 => enlarged(document, dice),
        2 => recased(document, dice).unwrap_or_else(|| mutated(document, dice)),
        3 => bared(document, dice).unwrap_or_else(|| mutated(document, dice)),
        _ => mutated(document, dice),
    }
}

/// The document without repeated values in lists.
pub(super) fn without_doubles(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), without_doubles(value))).collect(),
        Value::Array(list) => {
            let mut seen = BTreeSet::new();
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            list.iter().filter(|value| seen.insert(text(value))).map(without_doubles).collect()
        }
        other => other.clone(),
    }
}

/// The paths to all leaves.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                places(value, &format!("{path}/{index}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

fn leaves(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    places(document, "", &mut found);
    found
}

/// The document with one other value.
fn mutated(document: &Value, dice: &mut Dice) -> Value {
    let mut other = document.clone();
    let found = leaves(document);
    let path = dice.pick(&found);
    let leaf = other.pointer_mut(path).unwrap();
    *leaf = match (&*leaf, path.rsplit('/').next().unwrap()) {
        (Value::String(text), "Effect") => json!(if text == "Allow" { "Deny" } else { "Allow" }),
        (Value::String(text), "Version") => json!(if text == "2008-10-17" { "2012-10-17" } else { "2008-10-17" }),
        (Value::String(text), "Principal" | "NotPrincipal") => json!({"AWS": format!("{text}{FRESH}")}),
        (Value::String(text), _) => json!(format!("{text}{FRESH}")),
        // appended, so that it is not one of the other values
        (other, _) => json!(format!("{other}{FRESH}")),
    };
    other
}

/// The document with one more value in a list, or one more statement.
fn enlarged(document: &Value, dice: &mut Dice) -> Value {
    let mut other = document.clone();
    let list = other["Statement"].as_array_mut().unwrap();
    if dice.below(4) == 0 {
        let statement = json!({"Effect": "Allow", "Action": format!("s3:{FRESH}"), "Resource": "*"});
        list.insert(dice.below(list.len() + 1), statement);
        return other;
    }
    let index = dice.below(list.len());
    let statement = list[index].as_object_mut().unwrap();
    let names = ["Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"];
    let sets: Vec<&str> = names.into_iter().filter(|name| statement.contains_key(*name)).collect();
    let name = *dice.pick(&sets);
    match (name, statement.get_mut(name).unwrap()) {
        ("Principal" | "NotPrincipal", Value::Object(kinds)) => {
            let kinds = kinds.values_mut();
            enlarge(kinds.last().unwrap());
        }
        ("Principal" | "NotPrincipal", everyone) => *everyone = json!({"AWS": ["*", FRESH]}),
        ("Condition", Value::Object(blocks)) if blocks.is_empty() => {
            blocks.insert("StringEquals".into(), json!({format!("aws:{FRESH}"): "x"}));
        }
        ("Condition", Value::Object(blocks)) => {
            let block = blocks.values_mut().last().unwrap().as_object_mut().unwrap();
            if dice.coin() {
                enlarge(block.values_mut().last().unwrap());
            } else {
                block.insert(format!("aws:{FRESH}"), json!("x"));
            }
        }
        (_, value) => enlarge(value),
    }
    other
}

fn enlarge(value: &mut Value) {
    match value {
        Value::Array(list) => list.push(json!(FRESH)),
        single => *single = json!([single.clone(), FRESH]),
    }
}

/// The document with one letter in another case, where case matters.
fn recased(document: &Value, dice: &mut Dice) -> Option<Value> {
    let counts = |path: &String| {
        let folds = ["/Action", "/NotAction", "/Effect", "/Version", "/Condition/Bool", "/Condition/bool"];
        !folds.iter().any(|part| path.contains(part))
    };
    let mut other = document.clone();
    let found: Vec<String> = leaves(document).into_iter().filter(counts).collect();
    let leaf = other.pointer_mut(found.get(dice.below(found.len().max(1)))?)?;
    let text = leaf.as_str()?;
    let letters: Vec<usize> =
        text.bytes().enumerate().filter(|(_, b)| b.is_ascii_alphabetic()).map(|(i, _)| i).collect();
    let letter = *letters.get(dice.below(letters.len().max(1)))?;
    let mut bytes = text.as_bytes().to_vec();
    bytes[letter] ^= 0x20;
    *leaf = json!(String::from_utf8(bytes).unwrap());
    Some(other)
}

/// The document without one of its elements.
fn bared(document: &Value, dice: &mut Dice) -> Option<Value> {
    let mut other = document.clone();
    let list = other["Statement"].as_array_mut().unwrap();
    if list.len() > 1 && dice.coin() {
        list.remove(dice.below(list.len()));
        return Some(other);
    }
    let statement = dice_statement(list, dice);
    let names = ["Resource", "NotResource", "Principal", "NotPrincipal", "Condition"];
    let there = |name: &&str| statement.get(*name).is_some_and(|value| *value != json!({}));
    let there: Vec<&str> = names.into_iter().filter(there).collect();
    statement.remove(*there.get(dice.below(there.len().max(1)))?);
    Some(other)
}

fn dice_statement<'a>(list: &'a mut [Value], dice: &mut Dice) -> &'a mut Map<String, Value> {
    let index = dice.below(list.len());
    list[index].as_object_mut().unwrap()
}

/// The document with one other element name, operator or key.
fn renamed(document: &Value, dice: &mut Dice) -> Value {
    let mut other = document.clone();
    let statement = dice_statement(other["Statement"].as_array_mut().unwrap(), dice);
    let counterparts = [("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")];
    let names = counterparts.iter().flat_map(|(plain, not)| [(*plain, *not), (*not, *plain)]);
    let there: Vec<(&str, &str)> = names.filter(|(name, _)| statement.contains_key(*name)).collect();
    let conditions = statement.get("Condition").and_then(Value::as_object).filter(|map| !map.is_empty()).cloned();
    match conditions {
        Some(mut conditions) if dice.coin() => {
            let operators: Vec<String> = conditions.keys().cloned().collect();
            let operator = dice.pick(&operators);
            let block = conditions.remove(operator).unwrap();
            if dice.coin() {
                conditions.insert("ForAnyValue:DateEqualsIfExists".into(), block);
            } else {
                let block = block.as_object().unwrap().iter();
                let block: Map<String, Value> =
                    block.map(|(key, value)| (format!("{key}{FRESH}"), value.clone())).collect();
                conditions.insert(operator.clone(), Value::Object(block));
            }
            statement.insert("Condition".into(), Value::Object(conditions));
        }
        _ => {
            let (name, counterpart) = *dice.pick(&there);
            let value = statement.remove(name).unwrap();
            statement.insert(counterpart.into(), value);
        }
    }
    other
}
