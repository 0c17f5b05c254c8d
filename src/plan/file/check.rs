//! Checks that the parts of a plan file agree with each other and have the form in which irsa writes them. A change has
//! the whole objects and its fields. Readers use either, so both must say the same.

use super::{ChangeV2, FieldV2, PlanV2};
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::refusal::RefusalKind;
use crate::model::shard::Shard;
use crate::plan::change::{Action, forms, is_map};
use crate::plan::fields::Form;
use crate::policy::PolicyDocument;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Compares the parts of the file with each other.
///
/// # Errors
/// The first contradiction.
pub(super) fn check(file: &PlanV2) -> Result<(), String> {
    if Key::parse(&file.owner).is_err() {
        return Err(format!("`{}` is no owner", file.owner));
    }
    let shard = &file.options.shard;
    if shard.as_ref().is_some_and(|text| text.parse::<Shard>().is_err() || file.options.destroy) {
        return Err("its `shard` is not of the form `I/N`, or it also has `destroy`".to_owned());
    }
    let is_known = |word: &String| RefusalKind::ALL.iter().any(|kind| kind.word() == word);
    if let Some(word) = file.refused.iter().filter_map(|item| item.word.as_ref()).find(|word| !is_known(word)) {
        return Err(format!("`{word}` is no refusal"));
    }
    let mut seen = BTreeSet::new();
    for change in &file.changes {
        if !seen.insert(&change.address) {
            return Err(format!("it lists `{}` twice", change.address));
        }
        check_change(change).map_err(|why| format!("`{}` {why}", change.address))?;
    }
    Ok(())
}

fn check_change(change: &ChangeV2) -> Result<(), String> {
    let address: Address = change.address.parse().map_err(|_| "is no address".to_owned())?;
    let ascii = change.address.bytes().all(|byte| byte.is_ascii_graphic());
    if address.to_string() != change.address || !ascii {
        return Err("is no address".to_owned());
    }
    let sides = match (
        Action::parse(&change.action).ok_or("has no action")?,
        change.before.as_object(),
        change.after.as_object(),
    ) {
        (Action::Create, None, Some(after)) if change.before.is_null() => vec![after],
        (Action::Delete, Some(before), None) if change.after.is_null() => vec![before],
        (Action::Update | Action::Adopt, Some(before), Some(after)) => vec![before, after],
        _ => return Err(format!("has action `{}`, which contradicts its `before` and `after`", change.action)),
    };
    for side in sides {
        if !has_forms(side, forms(&address)) {
            return Err("has an object of another kind".to_owned());
        }
        if address.fields().into_iter().any(|(key, value)| side.get(key).and_then(Value::as_str) != Some(&value)) {
            return Err("has the name of another object".to_owned());
        }
    }
    check_fields(change)
}

fn has_forms(object: &Map<String, Value>, forms: &[(&str, Form)]) -> bool {
    object.len() == forms.len()
        && forms.iter().all(|(key, form)| object.get(*key).is_some_and(|value| form.holds(value)))
}

/// `before` and `after` must differ in exactly the listed fields, and have the listed values.
fn check_fields(change: &ChangeV2) -> Result<(), String> {
    if !change.fields.is_sorted_by(|one, next| one.path < next.path) {
        return Err("has fields that are out of order".to_owned());
    }
    let (before, after) = (leaves(&change.before), leaves(&change.after));
    let named: BTreeMap<&str, &FieldV2> = change.fields.iter().map(|field| (field.path.as_str(), field)).collect();
    let paths: BTreeSet<&str> =
        before.keys().chain(after.keys()).map(String::as_str).chain(named.keys().copied()).collect();
    for path in paths {
        let (before, after) = (leaf(&before, path), leaf(&after, path));
        let agrees = match named.get(path) {
            // a created or deleted object lists every field, empty ones too
            Some(field) => *before == field.before && *after == field.after && (before != after || before.is_null()),
            None => alike(before, after) && before.is_null() == after.is_null(),
        };
        if !agrees {
            return Err(format!("contradicts itself about field `{path}`"));
        }
    }
    Ok(())
}

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

pub(crate) fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
