//! Defines how each kind of object lists its fields (`PlanFields`), and finds the fields that differ between two states
//! of an object.

use crate::model::resource::StringMap;
use crate::policy::PolicyDocument;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The JSON type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldType {
    Text,
    TextOrNull,
    Number,
    Texts,
    StringMap,
    /// A JSON object, or a string if the live document could not be parsed.
    Document,
    /// Documents by name.
    Documents,
}

impl FieldType {
    pub(crate) fn accepts(self, value: &Value) -> bool {
        let all = |kind: Self| value.as_object().is_some_and(|map| map.values().all(|value| kind.accepts(value)));
        match self {
            Self::Text => value.is_string(),
            Self::TextOrNull => value.is_string() || value.is_null(),
            Self::Number => value.is_u64(),
            Self::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            Self::StringMap => all(Self::Text),
            Self::Document => value.is_object() || value.is_string(),
            Self::Documents => all(Self::Document),
        }
    }
}

/// The value of a field. Documents are equal if they mean the same.
#[derive(PartialEq)]
pub(crate) enum FieldValue<'a> {
    Null,
    Text(&'a str),
    Number(u32),
    Texts(Vec<&'a str>),
    Document(&'a PolicyDocument),
    /// Compared key by key, because each key counts as a field.
    Map(BTreeMap<&'a str, Self>),
}

impl<'a> FieldValue<'a> {
    pub(crate) fn strings(map: &'a StringMap) -> Self {
        Self::Map(map.iter().map(|(key, value)| (key.as_str(), Self::Text(value))).collect())
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::Texts(list) => json!(list),
            Self::Document(document) => document.to_value(),
            Self::Map(map) => map.iter().map(|(key, value)| ((*key).to_owned(), value.to_json())).collect(),
        }
    }
}

/// One field that differs, in the form of the plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The path of the field: `trust`, `tags.team`, `inline.queue`, `attached`, …
    pub path: String,
    /// Its value before. `null` if it has none.
    pub before: Value,
    /// Its value after. `null` if it has none.
    pub after: Value,
}

/// The names of the fields of a kind, and their types.
pub(crate) type FieldTypes = &'static [(&'static str, FieldType)];

/// A kind of object that the plan file writes. Each module that plans a kind implements this for it.
pub(crate) trait PlanFields {
    const FIELD_TYPES: FieldTypes;

    /// The values, in the order of `FIELD_TYPES`.
    fn values(&self) -> Vec<FieldValue<'_>>;
}

/// The whole object as JSON.
pub(crate) fn json<T: PlanFields>(item: &T) -> Value {
    T::FIELD_TYPES.iter().zip(item.values()).map(|((name, _), value)| ((*name).to_owned(), value.to_json())).collect()
}

/// The fields that differ, sorted by path. An object that is created or deleted differs in all fields.
pub(crate) fn differences<T: PlanFields>(before: Option<&T>, after: Option<&T>) -> Vec<FieldChange> {
    let [before, after] = [before, after].map(|side| side.map(T::values));
    let mut list = Vec::new();
    for (position, (name, _)) in T::FIELD_TYPES.iter().enumerate() {
        let [before, after] = [&before, &after].map(|side| side.as_ref().map(|values| &values[position]));
        compare(&mut list, (*name).to_owned(), before, after);
    }
    list.sort_by(|a, b| a.path.cmp(&b.path));
    list
}

fn compare(list: &mut Vec<FieldChange>, path: String, before: Option<&FieldValue<'_>>, after: Option<&FieldValue<'_>>) {
    if let Some(FieldValue::Map(_)) = before.or(after) {
        let maps = [before, after].map(|side| match side {
            Some(FieldValue::Map(map)) => Some(map),
            _ => None,
        });
        let keys: BTreeSet<&str> = maps.into_iter().flatten().flat_map(BTreeMap::keys).copied().collect();
        for key in keys {
            let [before, after] = maps.map(|map| map?.get(key));
            compare(list, format!("{path}.{key}"), before, after);
        }
    } else if before != after {
        let [before, after] = [before, after].map(|side| side.map_or(Value::Null, FieldValue::to_json));
        list.push(FieldChange { path, before, after });
    }
}
