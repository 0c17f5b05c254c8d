//! Whether the parts of a plan file agree with each other and have the form in which a plan is written. A reader may look
//! at the whole objects or at the fields: both must say the same.

use super::{ChangeV2, FieldV2, PlanV2};
use crate::ids::Key;
use crate::model::address::{Address, OrphanKind};
use crate::model::shard::Shard;
use crate::plan::change::Action;
use crate::policy::PolicyDocument;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What a key of an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    TextOrNull,
    Number,
    Texts,
    /// A text for each key.
    StringMap,
    /// A policy document; a live one that is not understood is a text.
    Document,
    /// A policy document for each key.
    Documents,
}

const PROVIDER: &[(&str, Form)] = &[("audiences", Form::Texts), ("tags", Form::StringMap), ("url", Form::Text)];
const POLICY: &[(&str, Form)] = &[
    ("description", Form::Text),
    ("document", Form::Document),
    ("name", Form::Text),
    ("path", Form::Text),
    ("tags", Form::StringMap),
];
const ROLE: &[(&str, Form)] = &[
    ("attached", Form::Texts),
    ("description", Form::Text),
    ("inline", Form::Documents),
    ("max-session-duration", Form::Number),
    ("name", Form::Text),
    ("path", Form::Text),
    ("permissions-boundary", Form::TextOrNull),
    ("tags", Form::StringMap),
    ("trust", Form::Document),
];
const SERVICE_ACCOUNT: &[(&str, Form)] =
    &[("annotations", Form::StringMap), ("labels", Form::StringMap), ("name", Form::Text), ("namespace", Form::Text)];

/// The keys of an object.
fn shape(address: &Address) -> &'static [(&'static str, Form)] {
    match address {
        Address::OidcProvider { .. } | Address::Orphan { kind: OrphanKind::OidcProvider, .. } => PROVIDER,
        Address::Policy { .. } | Address::Orphan { kind: OrphanKind::Policy, .. } => POLICY,
        Address::Role { .. } | Address::Orphan { kind: OrphanKind::Role, .. } => ROLE,
        Address::ServiceAccount { .. } => SERVICE_ACCOUNT,
    }
}

/// Holds every part of the file against the others.
///
/// # Errors
/// The first contradiction.
pub(super) fn check(file: &PlanV2) -> Result<(), String> {
    if Key::parse(&file.owner).is_err() {
        return Err(format!("`{}` is no owner", file.owner));
    }
    let shard = &file.options.shard;
    if shard.as_ref().is_some_and(|text| text.parse::<Shard>().is_err() || file.options.destroy) {
        return Err("its options do not go together".to_owned());
    }
    let mut seen = BTreeSet::new();
    for change in &file.changes {
        if !seen.insert(&change.address) {
            return Err(format!("`{}` stands in it twice", change.address));
        }
        checked(change).map_err(|why| format!("`{}` {why}", change.address))?;
    }
    Ok(())
}

fn checked(change: &ChangeV2) -> Result<(), String> {
    let address: Address = change.address.parse().map_err(|_| "is no address".to_owned())?;
    let ascii = change.address.bytes().all(|byte| byte.is_ascii_graphic());
    if address.to_string() != change.address || !ascii {
        return Err("is no address".to_owned());
    }
    let actions = [Action::Create, Action::Update, Action::Delete, Action::Adopt];
    let action = actions.into_iter().find(|action| action.as_str() == change.action);
    let sides = match (action.ok_or("has no action")?, change.before.as_object(), change.after.as_object()) {
        (Action::Create, None, Some(after)) if change.before.is_null() => vec![after],
        (Action::Delete, Some(before), None) if change.after.is_null() => vec![before],
        (Action::Update | Action::Adopt, Some(before), Some(after)) => vec![before, after],
        _ => return Err(format!("has a `{}` that does not fit what is before and after", change.action)),
    };
    for side in sides {
        if !fits(side, shape(&address)) {
            return Err("has an object of another kind".to_owned());
        }
        if !named(side, &address) {
            return Err("has the name of another object".to_owned());
        }
    }
    agrees(change)
}

fn fits(object: &Map<String, Value>, shape: &[(&str, Form)]) -> bool {
    object.len() == shape.len()
        && shape.iter().all(|(key, form)| object.get(*key).is_some_and(|value| form.holds(value)))
}

impl Form {
    fn holds(self, value: &Value) -> bool {
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

/// Whether the object is called as its address says, where the address says it.
fn named(object: &Map<String, Value>, address: &Address) -> bool {
    let is = |key: &str, wanted: &str| object.get(key).and_then(Value::as_str) == Some(wanted);
    match address {
        Address::ServiceAccount { namespace, name, .. } => {
            is("namespace", namespace.as_str()) && is("name", name.as_str())
        }
        Address::Orphan { kind: OrphanKind::Role | OrphanKind::Policy, name, .. } => is("name", name),
        Address::Orphan { kind: OrphanKind::OidcProvider, name, .. } => is("url", &format!("https://{name}")),
        Address::OidcProvider { .. } | Address::Policy { .. } | Address::Role { .. } => true,
    }
}

/// Whether the whole object, before and after, differs in the fields that are named and in no other.
fn agrees(change: &ChangeV2) -> Result<(), String> {
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
            // of a new object, and of one that goes, every field is named, empty ones too
            Some(field) => *before == field.before && *after == field.after && (before != after || before.is_null()),
            None => alike(before, after) && before.is_null() == after.is_null(),
        };
        if !agrees {
            return Err(format!("contradicts itself about field `{path}`"));
        }
    }
    Ok(())
}

/// The fields that have a field for each of their keys.
const MAPS: [&str; 4] = ["tags", "inline", "labels", "annotations"];

/// An object by the paths of its fields.
pub(crate) fn leaves(object: &Value) -> BTreeMap<String, &Value> {
    let mut leaves = BTreeMap::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match value.as_object().filter(|_| MAPS.contains(&key.as_str())) {
            Some(map) => leaves.extend(map.iter().map(|(inner, value)| (format!("{key}.{inner}"), value))),
            None => drop(leaves.insert(key.clone(), value)),
        }
    }
    leaves
}

/// The value of a field; null if it is not there.
pub(crate) fn leaf<'a>(leaves: &BTreeMap<String, &'a Value>, path: &str) -> &'a Value {
    leaves.get(path).copied().unwrap_or(&Value::Null)
}

/// Whether two values of a field are no difference: nothing is the empty value, and documents are compared by meaning.
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
