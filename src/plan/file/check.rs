//! Checks that the parts of a plan file agree with each other, and that each field has the JSON type in which irsa
//! writes it. Each change lists the whole object before and after, and again the fields that differ. A program may read
//! either, so both must say the same.

use super::leaves::{alike, leaf, leaves};
use super::{ChangeV2, FieldV2, PlanV2};
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::refusal::RefusalKind;
use crate::model::shard::Shard;
use crate::plan::change::{Action, field_types};
use crate::plan::field_diff::FieldType;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Compares the parts of the file with each other.
///
/// # Errors
/// The first contradiction.
pub(super) fn check(file: &PlanV2) -> Result<(), String> {
    if Key::parse(&file.owner).is_err() {
        return Err(format!("`{}` is not a valid owner", file.owner));
    }
    let shard = &file.options.shard;
    if shard.as_ref().is_some_and(|text| text.parse::<Shard>().is_err() || file.options.destroy) {
        return Err("its `shard` is not of the form `I/N`, or it also has `destroy`".to_owned());
    }
    let is_known = |word: &String| RefusalKind::ALL.iter().any(|kind| kind.word() == word);
    if let Some(word) = file.refused.iter().filter_map(|item| item.word.as_ref()).find(|word| !is_known(word)) {
        return Err(format!("`{word}` is not a word for a refusal"));
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
    let address: Address = change.address.parse().map_err(|_| "is not an address".to_owned())?;
    let ascii = change.address.bytes().all(|byte| byte.is_ascii_graphic());
    if address.to_string() != change.address || !ascii {
        return Err("is not an address".to_owned());
    }
    let sides = match (
        Action::parse(&change.action).ok_or("has an unknown action")?,
        change.before.as_object(),
        change.after.as_object(),
    ) {
        (Action::Create, None, Some(after)) if change.before.is_null() => vec![after],
        (Action::Delete, Some(before), None) if change.after.is_null() => vec![before],
        (Action::Update | Action::Adopt, Some(before), Some(after)) => vec![before, after],
        _ => return Err(format!("has action `{}`, which contradicts its `before` and `after`", change.action)),
    };
    for side in sides {
        if !has_field_types(side, field_types(&address)) {
            return Err("has an object of another kind".to_owned());
        }
        if address.fields().into_iter().any(|(key, value)| side.get(key).and_then(Value::as_str) != Some(&value)) {
            return Err("has the name of another object".to_owned());
        }
    }
    check_fields(change)
}

fn has_field_types(object: &Map<String, Value>, types: &[(&str, FieldType)]) -> bool {
    object.len() == types.len()
        && types.iter().all(|(key, kind)| object.get(*key).is_some_and(|value| kind.accepts(value)))
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
            // a created or deleted object also lists a field that is null on both sides
            Some(field) => *before == field.before && *after == field.after && (before != after || before.is_null()),
            None => alike(before, after) && before.is_null() == after.is_null(),
        };
        if !agrees {
            return Err(format!("contradicts itself about field `{path}`"));
        }
    }
    Ok(())
}
