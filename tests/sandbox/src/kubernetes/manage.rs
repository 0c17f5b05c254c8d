//! Field management: who owns which field, what an apply may change and what it removes.
//!
//! Follows <https://kubernetes.io/docs/reference/using-api/server-side-apply/>. Details that the page does not cover
//! (times, `before-first-apply`, the limit on updaters) follow kube-apiserver's `managedfields` package. Does no I/O
//! and holds no state.

use crate::kubernetes::fields::{FieldSet, print_path};
use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::Refusal;
use crate::kubernetes::walk;
use serde_json::{Value, json};

/// How a manager wrote its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Apply,
    Update,
}

/// One entry of managedFields.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    manager: String,
    operation: Operation,
    version: String,
    subresource: String,
    time: Option<String>,
    fields: FieldSet,
}

const UPDATERS: usize = 10;

impl Entry {
    fn is(&self, manager: &str, operation: Operation) -> bool {
        self.manager == manager && self.operation == operation && self.subresource.is_empty()
    }

    fn print(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {:?}", self.subresource);
        }
        match (self.operation, &self.time) {
            (Operation::Apply, _) => text,
            (Operation::Update, None) => format!("{text} using {}", self.version),
            (Operation::Update, Some(time)) => format!("{text} using {} at {time}", self.version),
        }
    }

    fn encode(&self) -> Value {
        let operation = match self.operation {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        };
        let mut entry = json!({
            "manager": self.manager, "operation": operation, "apiVersion": self.version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.to_json(),
        });
        if let Some(time) = &self.time {
            entry["time"] = json!(time);
        }
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }

    fn decode(value: &Value) -> Option<Self> {
        let operation = match value.get("operation")?.as_str()? {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("apiVersion").is_empty() || text("fieldsType") != "FieldsV1" {
            return None;
        }
        let fields = value.get("fieldsV1").map_or_else(|| Some(FieldSet::default()), FieldSet::from_json)?;
        let time = value.get("time").and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            manager: text("manager"),
            operation,
            version: text("apiVersion"),
            subresource: text("subresource"),
            time,
            fields,
        })
    }
}

fn managed(object: &Value) -> &[Value] {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Decodes managedFields. None if an entry cannot be decoded.
fn decode(object: &Value) -> Option<Vec<Entry>> {
    managed(object).iter().map(Entry::decode).collect()
}

fn encode(object: &mut Value, mut entries: Vec<Entry>) {
    strip_managed(object);
    if entries.is_empty() {
        return;
    }
    entries.sort_by(|a, b| {
        (a.operation, &a.time, &a.manager, &a.subresource).cmp(&(b.operation, &b.time, &b.manager, &b.subresource))
    });
    object["metadata"]["managedFields"] = entries.iter().map(Entry::encode).collect();
}

fn strip_managed(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

/// The fields that no manager owns.
fn never_owned_fields() -> FieldSet {
    let mut set = FieldSet::default();
    for path in ["apiVersion", "kind", "metadata"] {
        set = set.union(&FieldSet::from_json(&json!({format!("f:{path}"): {}})).unwrap_or_default());
    }
    for path in
        ["name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"]
    {
        let one = json!({"f:metadata": {format!("f:{path}"): {}}});
        set = set.union(&FieldSet::from_json(&one).unwrap_or_default());
    }
    set
}

/// Whether the client asks to clear managedFields, with `[]` or `[{}]`.
fn is_reset(object: &Value) -> bool {
    match object.pointer("/metadata/managedFields") {
        Some(Value::Array(list)) => match list.as_slice() {
            [] => true,
            [one] => one.as_object().is_some_and(serde_json::Map::is_empty),
            _ => false,
        },
        _ => false,
    }
}

/// Updates the owners after a create (`live` is None), a replace or a patch.
pub(crate) fn update(resource: Resource, live: Option<&Value>, new: &mut Value, manager: &str, now: &str) {
    let mut entries = if is_reset(new) {
        Vec::new()
    } else {
        match decode(new) {
            Some(entries) if !entries.is_empty() => entries,
            _ => live.and_then(decode).unwrap_or_default(),
        }
    };
    strip_managed(new);
    if entries.is_empty() && live.is_some() {
        return;
    }
    let mut before = live.cloned().unwrap_or_else(|| json!({}));
    strip_managed(&mut before);
    record(resource, &before, new, &mut entries, manager, now);
    encode(new, entries);
}

fn record(resource: Resource, before: &Value, new: &Value, entries: &mut Vec<Entry>, manager: &str, now: &str) {
    let mut comparison = walk::compare(resource.schema(), before, new);
    if let Some(field) = resource.reset() {
        comparison.added = comparison.added.without_field(field);
        comparison.modified = comparison.modified.without_field(field);
        comparison.removed = comparison.removed.without_field(field);
    }
    let changed = comparison.modified.union(&comparison.added);
    for entry in entries.iter_mut() {
        entry.fields = entry.fields.difference(&changed).difference(&comparison.removed);
    }
    let own = changed.difference(&never_owned_fields());
    if !own.is_empty() {
        if let Some(entry) = entries.iter_mut().find(|entry| entry.is(manager, Operation::Update)) {
            entry.fields = entry.fields.union(&own);
            entry.time = Some(now.to_owned());
        } else {
            entries.push(Entry {
                manager: manager.to_owned(),
                operation: Operation::Update,
                version: resource.api_version().to_owned(),
                subresource: String::new(),
                time: Some(now.to_owned()),
                fields: own,
            });
        }
    }
    entries.retain(|entry| !entry.fields.is_empty());
    merge_old_updaters(entries);
}

/// Merges the oldest updaters into `ancient-changes` until ten entries are left.
fn merge_old_updaters(entries: &mut Vec<Entry>) {
    let count = entries.iter().filter(|entry| entry.operation == Operation::Update).count();
    if count <= UPDATERS {
        return;
    }
    let (mut updaters, mut kept): (Vec<Entry>, Vec<Entry>) =
        std::mem::take(entries).into_iter().partition(|entry| entry.operation == Operation::Update);
    updaters.sort_by(|a, b| (&a.time, &a.manager).cmp(&(&b.time, &b.manager)));
    let rest = updaters.split_off(count - UPDATERS + 1);
    let mut bucket = Entry {
        manager: "ancient-changes".to_owned(),
        operation: Operation::Update,
        version: updaters.first().map(|entry| entry.version.clone()).unwrap_or_default(),
        subresource: String::new(),
        time: None,
        fields: FieldSet::default(),
    };
    for old in updaters {
        bucket.fields = bucket.fields.union(&old.fields);
        bucket.time = old.time;
    }
    kept.push(bucket);
    kept.extend(rest);
    *entries = kept;
}

/// The result of an apply, with its managedFields.
pub(crate) fn apply(
    resource: Resource,
    live: Option<&Value>,
    patch: &Value,
    manager: &str,
    force: bool,
    now: &str,
) -> Result<Value, Refusal> {
    if patch.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let schema = resource.schema();
    let empty = json!({"apiVersion": resource.api_version(), "kind": resource.kind(), "metadata": {}});
    let mut before = live.cloned().unwrap_or(empty);
    let mut entries =
        decode(&before).ok_or_else(|| Refusal::plain("failed to decode managed fields: an entry cannot be read"))?;
    strip_managed(&mut before);
    if entries.is_empty() && live.is_some() {
        record(resource, &json!({}), &before, &mut entries, "before-first-apply", now);
    }
    let mut claimed = walk::field_set(schema, patch);
    if let Some(field) = resource.reset() {
        claimed = claimed.without_field(field);
    }
    let place = entries.iter().position(|entry| entry.is(manager, Operation::Apply));
    let previous = place.map(|index| entries.remove(index));
    let mine = Entry {
        manager: manager.to_owned(),
        operation: Operation::Apply,
        version: resource.api_version().to_owned(),
        subresource: String::new(),
        time: previous.as_ref().and_then(|entry| entry.time.clone()),
        fields: claimed,
    };
    let merged = walk::merge(schema, &before, patch);
    let new = match &previous {
        Some(last) if !last.fields.is_empty() => prune(resource, &merged, &last.fields, &mine, &entries),
        _ => merged,
    };
    finish_apply(resource, &before, new, entries, mine, force, now)
}

/// Reports conflicts, removes lost or forced fields from the other owners, and writes the entries.
fn finish_apply(
    resource: Resource,
    before: &Value,
    mut new: Value,
    mut entries: Vec<Entry>,
    mut mine: Entry,
    force: bool,
    now: &str,
) -> Result<Value, Refusal> {
    let comparison = walk::compare(resource.schema(), before, &new);
    let changed = comparison.modified.union(&comparison.added);
    let mut conflicts = Vec::new();
    for entry in &entries {
        for path in entry.fields.intersection(&changed).paths() {
            conflicts.push((entry.print(), print_path(&path)));
        }
    }
    if !force && !conflicts.is_empty() {
        return Err(Refusal::apply_conflict(conflicts));
    }
    for entry in &mut entries {
        entry.fields = entry.fields.difference(&changed).difference(&comparison.removed);
    }
    // The time changes only if a value changes. Sharing a field without changing its value keeps the old time.
    if *before != new {
        mine.time = Some(now.to_owned());
    }
    mine.fields = mine.fields.difference(&never_owned_fields());
    entries.push(mine);
    entries.retain(|entry| !entry.fields.is_empty());
    encode(&mut new, entries);
    Ok(new)
}

/// Removes the fields that this manager applied last time, does not apply now, and nobody else owns.
fn prune(resource: Resource, merged: &Value, last: &FieldSet, mine: &Entry, others: &[Entry]) -> Value {
    let schema = resource.schema();
    let last = last.with_named(schema);
    let pruned = walk::remove(schema, merged, &last);
    let all = walk::field_set(schema, merged).with_named(schema);
    let owned = others.iter().fold(mine.fields.clone(), |set, entry| set.union(&entry.fields)).with_named(schema);
    let left = walk::field_set(schema, &pruned).with_named(schema);
    let with_owned = walk::remove(schema, merged, &all.difference(&left.union(&owned)));
    let left = walk::field_set(schema, &with_owned).with_named(schema);
    walk::remove(schema, merged, &all.difference(&left).intersection(&last))
}
