//! The difference of two JSON values: sets by item, maps by key, everything else as `before -> after`.

use super::diff_node::{DiffNode, Sign};
use super::words::count;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Values nested deeper than this are shown as JSON on one line. Policies do not nest as deep.
const MAX_DEPTH: usize = 12;

/// The elements of a policy statement in reading order; other keys follow by name.
const KEY_ORDER: [&str; 7] = ["Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource"];

/// The difference of a field. None if both values mean the same.
pub(crate) fn compare(name: &str, before: &Value, after: &Value) -> Option<DiffNode> {
    compare_to_depth(name, before, after, MAX_DEPTH)
}

/// A value that is added or removed as a whole.
pub(crate) fn whole(sign: Sign, name: &str, value: &Value) -> DiffNode {
    whole_to_depth(sign, name, value, MAX_DEPTH)
}

/// A value on one line. Quotes text that is empty, has spaces at its ends, or contains ` -> `.
pub(crate) fn display(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && text.trim() == text && !text.contains(" -> ") => text.clone(),
        other => other.to_string(),
    }
}

/// The keys of both maps in reading order.
pub(crate) fn keys<'a>(maps: impl IntoIterator<Item = &'a Map<String, Value>>) -> Vec<&'a str> {
    let all: BTreeSet<&str> = maps.into_iter().flat_map(|map| map.keys().map(String::as_str)).collect();
    let mut all: Vec<&str> = all.into_iter().collect();
    all.sort_by_key(|key| KEY_ORDER.iter().position(|known| known == key).unwrap_or(KEY_ORDER.len()));
    all
}

/// The differences of two maps, key by key.
pub(crate) fn compare_maps(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<DiffNode> {
    compare_maps_to_depth(old, new, MAX_DEPTH)
}

/// `3 statements unchanged`. None for 0.
pub(crate) fn unchanged(number: usize, one: &str, many: &str) -> Option<DiffNode> {
    (number > 0).then(|| DiffNode::folded(format!("{} unchanged", count(number, one, many))))
}

fn compare_to_depth(name: &str, before: &Value, after: &Value, depth: usize) -> Option<DiffNode> {
    if before == after {
        return None;
    }
    match Sign::of(before, after) {
        Sign::Added => return Some(whole_to_depth(Sign::Added, name, after, depth)),
        Sign::Removed => return Some(whole_to_depth(Sign::Removed, name, before, depth)),
        Sign::Changed | Sign::Same => {}
    }
    if let (Some(old), Some(new)) = (items(before), items(after))
        && (before.is_array() || after.is_array())
    {
        return compare_sets(name, &old, &new);
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) if depth > 0 => {
            let children = compare_maps_to_depth(old, new, depth - 1);
            (!children.is_empty()).then(|| one_or_all(Sign::Changed, name, children))
        }
        // IAM takes `true` and `"true"` alike
        _ => (display(before) != display(after)).then(|| DiffNode::change(name, &display(before), &display(after))),
    }
}

fn compare_maps_to_depth(old: &Map<String, Value>, new: &Map<String, Value>, depth: usize) -> Vec<DiffNode> {
    let side = |map: &Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or(Value::Null);
    let keys = keys([old, new]).into_iter();
    keys.filter_map(|key| compare_to_depth(key, &side(old, key), &side(new, key), depth)).collect()
}

/// A string or a list of strings as a list: in a policy both mean the same.
fn items(value: &Value) -> Option<Vec<String>> {
    let is_scalar = |value: &Value| !value.is_array() && !value.is_object() && !value.is_null();
    match value {
        Value::Array(list) => list.iter().all(is_scalar).then(|| list.iter().map(display).collect()),
        single => is_scalar(single).then(|| vec![display(single)]),
    }
}

/// The added and removed items. None if both are the same set.
fn compare_sets(name: &str, old: &[String], new: &[String]) -> Option<DiffNode> {
    let (before, after): (BTreeSet<&String>, BTreeSet<&String>) = (old.iter().collect(), new.iter().collect());
    let mut children: Vec<DiffNode> = after.difference(&before).map(|item| DiffNode::item(Sign::Added, item)).collect();
    children.extend(before.difference(&after).map(|item| DiffNode::item(Sign::Removed, item)));
    if children.is_empty() {
        return None;
    }
    let kept = before.intersection(&after).count();
    if kept > 0 {
        children.push(DiffNode::folded(format!("{kept} unchanged")));
    }
    Some(DiffNode::name(Sign::Changed, name, children))
}

fn whole_to_depth(sign: Sign, name: &str, value: &Value, depth: usize) -> DiffNode {
    match value {
        Value::Array(list) if depth > 0 && !list.is_empty() => match items(value) {
            Some(items) if items.len() == 1 => DiffNode::pair(sign, name, &items[0]),
            Some(items) => DiffNode::name(sign, name, items.iter().map(|item| DiffNode::item(sign, item)).collect()),
            None => {
                let numbered = list.iter().enumerate();
                let lines =
                    numbered.map(|(index, item)| whole_to_depth(sign, &(index + 1).to_string(), item, depth - 1));
                DiffNode::name(sign, name, lines.collect())
            }
        },
        Value::Object(map) if depth > 0 && !map.is_empty() => {
            let lines = keys([map]).into_iter().map(|key| whole_to_depth(sign, key, &map[key], depth - 1));
            one_or_all(sign, name, lines.collect())
        }
        other => DiffNode::pair(sign, name, &display(other)),
    }
}

/// A single child is shown as `name.child` on one line.
fn one_or_all(sign: Sign, name: &str, mut children: Vec<DiffNode>) -> DiffNode {
    match children.len() {
        1 => children.remove(0).under(name),
        _ => DiffNode::name(sign, name, children),
    }
}
