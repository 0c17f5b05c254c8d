//! Walks objects by their schema: lists a value's fields, compares, merges and removes fields.
//!
//! The rules are those of structured-merge-diff, the library behind server-side apply. Does no I/O and holds no state.

use crate::kubernetes::fields::{Element, FieldSet};
use crate::kubernetes::resource::{Schema, Shape};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The differences of two objects. No path is in two of the sets.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) removed: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) added: FieldSet,
}

/// The path element that identifies a list item.
fn element(schema: &Schema, item: &Value) -> Element {
    match schema {
        Schema::Keyed(names, _) => {
            let mut keys: BTreeMap<&str, Value> = BTreeMap::new();
            for name in *names {
                // Among the served kinds, the only list key with a default is the protocol of a container port.
                let default = if *name == "protocol" { Value::from("TCP") } else { Value::Null };
                keys.insert(name, item.get(name).cloned().unwrap_or(default));
            }
            Element::Key(serde_json::to_string(&keys).unwrap_or_default())
        }
        _ => Element::Value(item.to_string()),
    }
}

fn entries(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object).filter(|map| !map.is_empty())
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// All fields of a value, which an apply of the value claims.
pub(crate) fn field_set(schema: &Schema, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(schema, value, &mut Vec::new(), &mut set);
    set
}

fn collect(schema: &Schema, value: &Value, path: &mut Vec<Element>, set: &mut FieldSet) {
    match schema.shape(value) {
        Shape::Leaf => set.insert(path),
        Shape::Map => {
            for (name, below) in value.as_object().into_iter().flatten() {
                path.push(Element::Field(name.clone()));
                collect(schema.child(name).unwrap_or(&Schema::Open), below, path, set);
                let empty = below.is_null() || below.as_object().is_some_and(Map::is_empty);
                if empty || !schema.names(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Shape::List => {
            for item in items(Some(value)) {
                path.push(element(schema, item));
                collect(schema.item(), item, path, set);
                set.insert(path);
                path.pop();
            }
        }
    }
}

/// Compares two objects.
pub(crate) fn compare(schema: &Schema, before: &Value, after: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.visit(schema, Some(before), Some(after), &mut Vec::new());
    comparison
}

impl Comparison {
    fn visit(&mut self, schema: &Schema, before: Option<&Value>, after: Option<&Value>, path: &mut Vec<Element>) {
        let Some(value) = after.or(before) else { return };
        let mut shape = schema.shape(value);
        if let (Some(before), Some(after)) = (before, after)
            && schema.shape(before) != schema.shape(after)
        {
            shape = Shape::Leaf;
        }
        let leaf = match shape {
            Shape::Leaf => true,
            Shape::Map => entries(before).is_none() && entries(after).is_none(),
            Shape::List => items(before).is_empty() && items(after).is_empty(),
        };
        if leaf {
            match (before, after) {
                (None, _) => self.added.insert(path),
                (_, None) => self.removed.insert(path),
                (before, after) if before != after => self.modified.insert(path),
                _ => {}
            }
            return;
        }
        if shape == Shape::Map {
            let names: BTreeSet<&String> =
                entries(before).into_iter().chain(entries(after)).flat_map(Map::keys).collect();
            for name in names {
                path.push(Element::Field(name.clone()));
                let below = schema.child(name).unwrap_or(&Schema::Open);
                self.visit(
                    below,
                    entries(before).and_then(|map| map.get(name)),
                    entries(after).and_then(|map| map.get(name)),
                    path,
                );
                path.pop();
            }
        } else {
            let first: BTreeMap<Element, &Value> =
                items(before).iter().map(|item| (element(schema, item), item)).collect();
            let second: BTreeMap<Element, &Value> =
                items(after).iter().map(|item| (element(schema, item), item)).collect();
            let all: BTreeSet<&Element> = first.keys().chain(second.keys()).collect();
            for known_by in all {
                path.push(known_by.clone());
                self.visit(schema.item(), first.get(known_by).copied(), second.get(known_by).copied(), path);
                path.pop();
            }
        }
        match (before, after) {
            (None, _) => self.added.insert(path),
            (_, None) => self.removed.insert(path),
            _ => {}
        }
    }
}

/// Merges the second object over the first.
pub(crate) fn merge(schema: &Schema, under: &Value, over: &Value) -> Value {
    let shape = schema.shape(over);
    if shape == Shape::Leaf || (schema.shape(under) != shape) {
        return over.clone();
    }
    if shape == Shape::Map {
        let (Some(below), Some(above)) = (entries(Some(under)), entries(Some(over))) else {
            return if entries(Some(under)).is_some() { under.clone() } else { over.clone() };
        };
        let mut map = below.clone();
        for (name, value) in above {
            let merged = match below.get(name) {
                Some(old) => merge(schema.child(name).unwrap_or(&Schema::Open), old, value),
                None => value.clone(),
            };
            map.insert(name.clone(), merged);
        }
        return Value::Object(map);
    }
    if items(Some(over)).is_empty() {
        return if items(Some(under)).is_empty() { over.clone() } else { under.clone() };
    }
    let mut list: Vec<(Element, Value)> =
        items(Some(under)).iter().map(|item| (element(schema, item), item.clone())).collect();
    for item in items(Some(over)) {
        let known_by = element(schema, item);
        match list.iter_mut().find(|(other, _)| *other == known_by) {
            Some((_, old)) => *old = merge(schema.item(), old, item),
            None => list.push((known_by, item.clone())),
        }
    }
    Value::Array(list.into_iter().map(|(_, item)| item).collect())
}

/// Removes the fields of a set from a value. Null if nothing is left.
pub(crate) fn remove(schema: &Schema, value: &Value, set: &FieldSet) -> Value {
    match (schema.shape(value), value) {
        (Shape::Map, Value::Object(map)) => {
            let mut left = Map::new();
            for (name, below) in map {
                let known_by = Element::Field(name.clone());
                if set.has(&known_by) {
                    continue;
                }
                let kept = match set.below(&known_by) {
                    Some(rest) => remove(schema.child(name).unwrap_or(&Schema::Open), below, rest),
                    None => below.clone(),
                };
                left.insert(name.clone(), kept);
            }
            if left.is_empty() { Value::Null } else { Value::Object(left) }
        }
        (Shape::List, Value::Array(list)) => {
            let mut left = Vec::new();
            for item in list {
                let known_by = element(schema, item);
                if set.has(&known_by) {
                    continue;
                }
                left.push(match set.below(&known_by) {
                    Some(rest) => remove(schema.item(), item, rest),
                    None => item.clone(),
                });
            }
            if left.is_empty() { Value::Null } else { Value::Array(left) }
        }
        // A null granular list or map is removed with its fields, and so is an atomic one if the set names parts of it.
        (Shape::Map | Shape::List, _) => Value::Null,
        (Shape::Leaf, _) => value.clone(),
    }
}
