//! Objects and their differences as JSON, in the form of the plan file.

use super::change::{FieldChange, ResourceChange};
use crate::ids::PolicyArn;
use crate::model::resource::{ManagedPolicy, Provider, Role, ServiceAccount, StringMap, object};
use crate::policy::PolicyDocument;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The whole object before and after; `null` where it is not there.
pub(crate) fn sides(change: &ResourceChange) -> (Value, Value) {
    fn both<T>(before: Option<&T>, after: Option<&T>, value: fn(&T) -> Value) -> (Value, Value) {
        (before.map_or(Value::Null, value), after.map_or(Value::Null, value))
    }
    match change {
        ResourceChange::Provider(change) => both(change.before(), change.after(), provider),
        ResourceChange::Policy(change) => both(change.before(), change.after(), policy),
        ResourceChange::Role(change) => both(change.before(), change.after(), role),
        ResourceChange::ServiceAccount(change) => both(change.before(), change.after(), service_account),
    }
}

/// The fields that differ, sorted by path.
pub(crate) fn changes(change: &ResourceChange) -> Vec<FieldChange> {
    let mut list = Vec::new();
    match change {
        ResourceChange::Provider(change) => provider_fields(&mut list, change.before(), change.after()),
        ResourceChange::Policy(change) => policy_fields(&mut list, change.before(), change.after()),
        ResourceChange::Role(change) => role_fields(&mut list, change.before(), change.after()),
        ResourceChange::ServiceAccount(change) => {
            service_account_fields(&mut list, change.before(), change.after());
        }
    }
    list.sort_by(|a, b| a.path.cmp(&b.path));
    list
}

pub(crate) fn provider(item: &Provider) -> Value {
    let Provider { url, audiences, tags } = item;
    json!({ "url": url.as_str(), "audiences": audiences, "tags": object(tags) })
}

pub(crate) fn policy(item: &ManagedPolicy) -> Value {
    let ManagedPolicy { name, path, description, document, tags } = item;
    json!({
        "name": name.as_str(), "path": path.as_str(), "description": description,
        "document": document.to_value(), "tags": object(tags),
    })
}

pub(crate) fn role(item: &Role) -> Value {
    let Role { name, path, description, max_session_duration, permissions_boundary, tags, trust, attached, inline } =
        item;
    let attached: Vec<&str> = attached.iter().map(PolicyArn::as_str).collect();
    let inline: Map<String, Value> =
        inline.iter().map(|(name, document)| (name.to_string(), document.to_value())).collect();
    json!({
        "name": name.as_str(), "path": path.as_str(), "description": description,
        "max-session-duration": max_session_duration,
        "permissions-boundary": permissions_boundary.as_ref().map(PolicyArn::as_str),
        "tags": object(tags), "trust": trust.to_value(), "attached": attached, "inline": inline,
    })
}

fn service_account(item: &ServiceAccount) -> Value {
    let ServiceAccount { namespace, name, labels, annotations } = item;
    json!({
        "namespace": namespace.as_str(), "name": name.as_str(),
        "labels": object(labels), "annotations": object(annotations),
    })
}

fn push(list: &mut Vec<FieldChange>, path: impl Into<String>, before: Value, after: Value) {
    list.push(FieldChange { path: path.into(), before, after });
}

/// A field of one value; compared by `T`'s own equality.
fn field<S, T: PartialEq>(
    list: &mut Vec<FieldChange>,
    path: &str,
    (before, after): (Option<&S>, Option<&S>),
    get: impl Fn(&S) -> &T,
    value: impl Fn(&T) -> Value,
) {
    let (old, new) = (before.map(&get), after.map(&get));
    if old != new {
        push(list, path, old.map_or(Value::Null, &value), new.map_or(Value::Null, &value));
    }
}

/// A field for each key of a map.
fn entries<'a, K: Ord + ToString + 'a, V: PartialEq + 'a, M: IntoIterator<Item = (&'a K, &'a V)>>(
    list: &mut Vec<FieldChange>,
    path: &str,
    before: Option<M>,
    after: Option<M>,
    value: impl Fn(&V) -> Value,
) {
    let mut sides: BTreeMap<&K, (Option<&V>, Option<&V>)> = BTreeMap::new();
    for (key, old) in before.into_iter().flatten() {
        sides.entry(key).or_default().0 = Some(old);
    }
    for (key, new) in after.into_iter().flatten() {
        sides.entry(key).or_default().1 = Some(new);
    }
    for (key, (old, new)) in sides {
        if old != new {
            let path = format!("{path}.{}", key.to_string());
            push(list, path, old.map_or(Value::Null, &value), new.map_or(Value::Null, &value));
        }
    }
}

fn pairs(list: &mut Vec<FieldChange>, path: &str, before: Option<&StringMap>, after: Option<&StringMap>) {
    entries(list, path, before, after, |text| json!(text));
}

fn document(document: &PolicyDocument) -> Value {
    document.to_value()
}

fn provider_fields(list: &mut Vec<FieldChange>, before: Option<&Provider>, after: Option<&Provider>) {
    let both = (before, after);
    field(list, "url", both, |item| &item.url, |url| json!(url.as_str()));
    field(list, "audiences", both, |item| &item.audiences, |set| json!(set));
    pairs(list, "tags", before.map(|item| &item.tags), after.map(|item| &item.tags));
}

fn policy_fields(list: &mut Vec<FieldChange>, before: Option<&ManagedPolicy>, after: Option<&ManagedPolicy>) {
    let both = (before, after);
    field(list, "name", both, |item| &item.name, |name| json!(name.as_str()));
    field(list, "path", both, |item| &item.path, |path| json!(path.as_str()));
    field(list, "description", both, |item| &item.description, |text| json!(text));
    field(list, "document", both, |item| &item.document, document);
    pairs(list, "tags", before.map(|item| &item.tags), after.map(|item| &item.tags));
}

fn role_fields(list: &mut Vec<FieldChange>, before: Option<&Role>, after: Option<&Role>) {
    let both = (before, after);
    field(list, "name", both, |item| &item.name, |name| json!(name.as_str()));
    field(list, "path", both, |item| &item.path, |path| json!(path.as_str()));
    field(list, "description", both, |item| &item.description, |text| json!(text));
    field(list, "max-session-duration", both, |item| &item.max_session_duration, |seconds| json!(seconds));
    field(
        list,
        "permissions-boundary",
        both,
        |item| &item.permissions_boundary,
        |arn| arn.as_ref().map_or(Value::Null, |arn| json!(arn.as_str())),
    );
    field(list, "trust", both, |item| &item.trust, document);
    field(
        list,
        "attached",
        both,
        |item| &item.attached,
        |set| json!(set.iter().map(PolicyArn::as_str).collect::<Vec<_>>()),
    );
    pairs(list, "tags", before.map(|item| &item.tags), after.map(|item| &item.tags));
    entries(list, "inline", before.map(|item| &item.inline), after.map(|item| &item.inline), document);
}

fn service_account_fields(
    list: &mut Vec<FieldChange>,
    before: Option<&ServiceAccount>,
    after: Option<&ServiceAccount>,
) {
    let both = (before, after);
    field(list, "namespace", both, |item| &item.namespace, |text| json!(text.as_str()));
    field(list, "name", both, |item| &item.name, |text| json!(text.as_str()));
    pairs(list, "labels", before.map(|item| &item.labels), after.map(|item| &item.labels));
    pairs(list, "annotations", before.map(|item| &item.annotations), after.map(|item| &item.annotations));
}
