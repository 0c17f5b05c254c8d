//! The fields of each kind of object, as the plan file writes and compares them.

use super::change::{FieldChange, ResourceChange};
use crate::ids::PolicyArn;
use crate::model::resource::{ManagedPolicy, Provider, Role, ServiceAccount, StringMap};
use crate::policy::PolicyDocument;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The JSON form of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    TextOrNull,
    Number,
    Texts,
    StringMap,
    /// An object; a text for a live document that could not be parsed.
    Document,
    /// Documents by name.
    Documents,
}

impl Form {
    pub(crate) fn holds(self, value: &Value) -> bool {
        let all = |form: Self| value.as_object().is_some_and(|map| map.values().all(|value| form.holds(value)));
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
    /// Compared key by key: each key is a field of its own.
    Map(BTreeMap<&'a str, Self>),
}

impl<'a> FieldValue<'a> {
    fn strings(map: &'a StringMap) -> Self {
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

/// A kind of object that the plan file writes.
pub(crate) trait PlanFields {
    const FORMS: &'static [(&'static str, Form)];

    /// The values, in the order of `FORMS`.
    fn values(&self) -> Vec<FieldValue<'_>>;
}

impl PlanFields for Provider {
    const FORMS: &'static [(&'static str, Form)] =
        &[("url", Form::Text), ("audiences", Form::Texts), ("tags", Form::StringMap)];

    fn values(&self) -> Vec<FieldValue<'_>> {
        let Self { url, audiences, tags } = self;
        let audiences = audiences.iter().map(String::as_str).collect();
        vec![FieldValue::Text(url), FieldValue::Texts(audiences), FieldValue::strings(tags)]
    }
}

impl PlanFields for ManagedPolicy {
    const FORMS: &'static [(&'static str, Form)] = &[
        ("name", Form::Text),
        ("path", Form::Text),
        ("description", Form::Text),
        ("document", Form::Document),
        ("tags", Form::StringMap),
    ];

    fn values(&self) -> Vec<FieldValue<'_>> {
        let Self { name, path, description, document, tags } = self;
        let [name, path, description] = [name.as_str(), path.as_str(), description].map(FieldValue::Text);
        vec![name, path, description, FieldValue::Document(document), FieldValue::strings(tags)]
    }
}

impl PlanFields for Role {
    const FORMS: &'static [(&'static str, Form)] = &[
        ("name", Form::Text),
        ("path", Form::Text),
        ("description", Form::Text),
        ("max-session-duration", Form::Number),
        ("permissions-boundary", Form::TextOrNull),
        ("tags", Form::StringMap),
        ("trust", Form::Document),
        ("attached", Form::Texts),
        ("inline", Form::Documents),
    ];

    fn values(&self) -> Vec<FieldValue<'_>> {
        let Self { name, path, description, max_session_duration, permissions_boundary, tags, trust, attached, inline } =
            self;
        let [name, path, description] = [name.as_str(), path.as_str(), description].map(FieldValue::Text);
        let inline = inline.iter().map(|(name, document)| (name.as_str(), FieldValue::Document(document)));
        vec![
            name,
            path,
            description,
            FieldValue::Number(*max_session_duration),
            permissions_boundary.as_ref().map_or(FieldValue::Null, |arn| FieldValue::Text(arn.as_str())),
            FieldValue::strings(tags),
            FieldValue::Document(trust),
            FieldValue::Texts(attached.iter().map(PolicyArn::as_str).collect()),
            FieldValue::Map(inline.collect()),
        ]
    }
}

impl PlanFields for ServiceAccount {
    const FORMS: &'static [(&'static str, Form)] = &[
        ("namespace", Form::Text),
        ("name", Form::Text),
        ("labels", Form::StringMap),
        ("annotations", Form::StringMap),
    ];

    fn values(&self) -> Vec<FieldValue<'_>> {
        let Self { namespace, name, labels, annotations } = self;
        let [namespace, name] = [namespace.as_str(), name.as_str()].map(FieldValue::Text);
        vec![namespace, name, FieldValue::strings(labels), FieldValue::strings(annotations)]
    }
}

/// Whether each key of the field of this name is a field of its own.
pub(crate) fn is_map(field: &str) -> bool {
    let all = [Provider::FORMS, ManagedPolicy::FORMS, Role::FORMS, ServiceAccount::FORMS].into_iter().flatten();
    all.into_iter().any(|(name, form)| *name == field && matches!(form, Form::StringMap | Form::Documents))
}

/// The whole object as JSON.
pub(crate) fn json<T: PlanFields>(item: &T) -> Value {
    T::FORMS.iter().zip(item.values()).map(|((name, _), value)| ((*name).to_owned(), value.to_json())).collect()
}

/// The whole object before and after; `null` where it does not exist.
pub(crate) fn sides(change: &ResourceChange) -> (Value, Value) {
    fn both<T: PlanFields>(before: Option<&T>, after: Option<&T>) -> (Value, Value) {
        (before.map_or(Value::Null, json), after.map_or(Value::Null, json))
    }
    match change {
        ResourceChange::Provider(change) => both(change.before(), change.after()),
        ResourceChange::Policy(change) => both(change.before(), change.after()),
        ResourceChange::Role(change) => both(change.before(), change.after()),
        ResourceChange::ServiceAccount(change) => both(change.before(), change.after()),
    }
}

/// The fields that differ, sorted by path. An object that is created or deleted differs in all fields.
pub(crate) fn changes(change: &ResourceChange) -> Vec<FieldChange> {
    match change {
        ResourceChange::Provider(change) => differences(change.before(), change.after()),
        ResourceChange::Policy(change) => differences(change.before(), change.after()),
        ResourceChange::Role(change) => differences(change.before(), change.after()),
        ResourceChange::ServiceAccount(change) => differences(change.before(), change.after()),
    }
}

fn differences<T: PlanFields>(before: Option<&T>, after: Option<&T>) -> Vec<FieldChange> {
    let [before, after] = [before, after].map(|side| side.map(T::values));
    let mut list = Vec::new();
    for (position, (name, _)) in T::FORMS.iter().enumerate() {
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
