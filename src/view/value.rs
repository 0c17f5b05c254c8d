//! Two JSON values as the lines in which they differ: sets by item, maps by key, the rest before and after.

use super::entry::{Entry, Mark};
use super::words::count;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Below this depth a value is shown as JSON on one line: no policy nests as deep.
const DEPTH: usize = 12;

/// The elements of a statement in the order in which one reads them; others follow by name.
const ORDER: [&str; 7] = ["Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource"];

/// The lines of a field that has these two values; nothing if there is nothing to tell.
pub(crate) fn compare(name: &str, before: &Value, after: &Value) -> Option<Entry> {
    below(name, before, after, DEPTH)
}

/// The lines of a value that comes or goes as a whole.
pub(crate) fn whole(mark: Mark, name: &str, value: &Value) -> Entry {
    entire(mark, name, value, DEPTH)
}

/// A value on one line. Quoted where it would be mistaken for nothing or for two.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let plain = !text.is_empty() && text.trim() == text && !text.contains(" -> ");
            if plain { text.clone() } else { value.to_string() }
        }
        other => other.to_string(),
    }
}

/// The keys of both maps in reading order.
pub(crate) fn keys(maps: [Option<&Map<String, Value>>; 2]) -> Vec<&str> {
    let all: BTreeSet<&str> = maps.into_iter().flatten().flat_map(|map| map.keys().map(String::as_str)).collect();
    let mut all: Vec<&str> = all.into_iter().collect();
    all.sort_by_key(|key| ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len()));
    all
}

fn below(name: &str, before: &Value, after: &Value, depth: usize) -> Option<Entry> {
    if before == after {
        return None;
    }
    if before.is_null() {
        return Some(entire(Mark::Added, name, after, depth));
    }
    if after.is_null() {
        return Some(entire(Mark::Removed, name, before, depth));
    }
    if let (Some(old), Some(new)) = (items(before), items(after))
        && (before.is_array() || after.is_array())
    {
        return sets(name, &old, &new);
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) if depth > 0 => maps(name, old, new, depth),
        // a boolean or number stands for its text
        _ => (shown(before) != shown(after)).then(|| Entry::change(name, &shown(before), &shown(after))),
    }
}

/// A string or a list of them as a list: policies write one like the other.
fn items(value: &Value) -> Option<Vec<String>> {
    let scalar = |value: &Value| !value.is_array() && !value.is_object() && !value.is_null();
    match value {
        Value::Array(list) => list.iter().all(scalar).then(|| list.iter().map(shown).collect()),
        single if scalar(single) => Some(vec![shown(single)]),
        _ => None,
    }
}

/// The items that come and go; nothing if it is the same set, written otherwise.
fn sets(name: &str, old: &[String], new: &[String]) -> Option<Entry> {
    let (before, after): (BTreeSet<&String>, BTreeSet<&String>) = (old.iter().collect(), new.iter().collect());
    let mut children: Vec<Entry> = after.difference(&before).map(|item| Entry::item(Mark::Added, item)).collect();
    children.extend(before.difference(&after).map(|item| Entry::item(Mark::Removed, item)));
    if children.is_empty() {
        return None;
    }
    let kept = before.intersection(&after).count();
    if kept > 0 {
        children.push(Entry::folded(format!("{kept} unchanged")));
    }
    Some(Entry::name(Mark::Changed, name, children))
}

fn maps(name: &str, old: &Map<String, Value>, new: &Map<String, Value>, depth: usize) -> Option<Entry> {
    let mut children = Vec::new();
    for key in keys([Some(old), Some(new)]) {
        let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
        children.extend(below(key, &side(old), &side(new), depth - 1));
    }
    (!children.is_empty()).then(|| one_or_all(Mark::Changed, name, children))
}

fn entire(mark: Mark, name: &str, value: &Value, depth: usize) -> Entry {
    match value {
        Value::Array(list) if depth > 0 && !list.is_empty() => match items(value) {
            Some(items) if items.len() == 1 => Entry::pair(mark, name, &items[0]),
            Some(items) => {
                Entry::name(mark, name, items.iter().map(|item| Entry::item(mark, item)).collect::<Vec<_>>())
            }
            None => {
                let numbered = list.iter().enumerate();
                let lines = numbered.map(|(index, item)| entire(mark, &(index + 1).to_string(), item, depth - 1));
                Entry::name(mark, name, lines.collect())
            }
        },
        Value::Object(map) if depth > 0 && !map.is_empty() => {
            let lines = keys([Some(map), None]).into_iter().map(|key| entire(mark, key, &map[key], depth - 1));
            one_or_all(mark, name, lines.collect())
        }
        other => Entry::pair(mark, name, &shown(other)),
    }
}

/// A map of which one key matters needs no line of its own.
fn one_or_all(mark: Mark, name: &str, mut children: Vec<Entry>) -> Entry {
    match children.len() {
        1 => children.remove(0).under(name),
        _ => Entry::name(mark, name, children),
    }
}

/// `3 statements unchanged`
pub(crate) fn unchanged(number: usize, one: &str, many: &str) -> Option<Entry> {
    (number > 0).then(|| Entry::folded(format!("{} unchanged", count(number, one, many))))
}
