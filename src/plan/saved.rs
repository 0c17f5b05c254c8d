//! A saved plan held against a fresh one: only what both ask for is done, and nothing that has changed meanwhile.

use super::change::{Action, FieldChange};
use super::file::{ChangeV1, FieldV1, PlanV1};
use super::step::{Plan, Step};
use crate::model::address::Address;
use crate::policy::PolicyDocument;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A saved change that no longer holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stale {
    /// The object.
    pub address: String,
    /// What is different.
    pub why: String,
}

/// The steps of `fresh` that `saved` asks for. A field that is already as the saved plan wants it is left out; a field
/// that is neither as before nor as after, and a change that the configuration does not give, make it stale. What is
/// written comes from `fresh` alone: a forged file can ask for less, never for more.
///
/// # Errors
/// Everything that is stale, sorted by address.
pub fn recheck(saved: &PlanV1, fresh: Plan) -> Result<Plan, Vec<Stale>> {
    let mut stale = BTreeSet::new();
    let index = Index::of(&fresh);
    for change in &saved.changes {
        if let Err(why) = coherent(change).and_then(|()| check(change, saved, &index)) {
            stale.insert(Stale { address: change.address.clone(), why });
        }
    }
    let wanted: BTreeSet<&str> = saved.changes.iter().map(|change| change.address.as_str()).collect();
    let mut plan = fresh;
    let (kept, others): (Vec<Step>, Vec<Step>) = std::mem::take(&mut plan.steps)
        .into_iter()
        .partition(|step| wanted.contains(step.address.to_string().as_str()));
    let others: HashSet<&Address> = others.iter().map(|step| &step.address).collect();
    for step in &kept {
        if let Some(need) = step.needs.iter().find(|need| others.contains(need)) {
            let why = format!("it now depends on a change of `{need}` that the saved plan does not make");
            stale.insert(Stale { address: step.address.to_string(), why });
        }
    }
    plan.steps = kept;
    if stale.is_empty() { Ok(plan) } else { Err(stale.into_iter().collect()) }
}

/// What is looked up in the fresh plan, by printed address.
struct Index<'a> {
    plan: &'a Plan,
    steps: HashMap<String, &'a Step>,
    settled: HashSet<String>,
}

impl<'a> Index<'a> {
    fn of(plan: &'a Plan) -> Self {
        let steps = plan.steps.iter().map(|step| (step.address.to_string(), step)).collect();
        Self { plan, steps, settled: plan.settled.iter().map(ToString::to_string).collect() }
    }
}

fn check(change: &ChangeV1, saved: &PlanV1, fresh: &Index<'_>) -> Result<(), String> {
    let Some(step) = fresh.steps.get(&change.address) else {
        return gone(change, saved, fresh);
    };
    let action = step.change.action();
    let made_since = change.action == Action::Create.as_str() && action == Action::Update;
    let adopted_since = change.action == Action::Adopt.as_str() && action == Action::Update;
    if change.action != action.as_str() && !made_since && !adopted_since {
        return Err(format!("the saved plan says {}, now it would be {}", change.action, action.as_str()));
    }
    if action == Action::Delete {
        // the whole object must be the one that was shown, or less of it
        let known = |field: &FieldChange| empty(&field.before) || find(change, field).is_some();
        return if step.fields.iter().all(known) { Ok(()) } else { Err("it has changed since".to_owned()) };
    }
    for field in &step.fields {
        match find(change, field) {
            Some(_) => {}
            None => return Err(format!("field `{}` has changed since", field.path)),
        }
    }
    Ok(())
}

/// Whether the whole object, before and after, differs in the fields that are named and in no other: whoever reviews a
/// plan may look at either.
fn coherent(change: &ChangeV1) -> Result<(), String> {
    let (before, after) = (leaves(&change.before), leaves(&change.after));
    let named: BTreeMap<&str, &FieldV1> = change.fields.iter().map(|field| (field.path.as_str(), field)).collect();
    let paths: BTreeSet<&str> =
        before.keys().chain(after.keys()).map(String::as_str).chain(named.keys().copied()).collect();
    for path in paths {
        let side = |leaves: &BTreeMap<String, &Value>| leaves.get(path).copied().cloned().unwrap_or_default();
        let (before, after) = (side(&before), side(&after));
        let agrees = match named.get(path) {
            Some(field) => before == field.before && after == field.after,
            None => before == after || same_document(&before, &after),
        };
        if !agrees {
            return Err(format!("the saved plan contradicts itself about field `{path}`"));
        }
    }
    Ok(())
}

/// The fields that have a field for each of their keys.
const MAPS: [&str; 4] = ["tags", "inline", "labels", "annotations"];

/// An object by the paths of its fields.
fn leaves(object: &Value) -> BTreeMap<String, &Value> {
    let mut leaves = BTreeMap::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match value.as_object().filter(|_| MAPS.contains(&key.as_str())) {
            Some(map) => leaves.extend(map.iter().map(|(inner, value)| (format!("{key}.{inner}"), value))),
            None => drop(leaves.insert(key.clone(), value)),
        }
    }
    leaves
}

/// Whether both are policy documents of one meaning, which is no difference.
fn same_document(one: &Value, other: &Value) -> bool {
    let read = |value: &Value| PolicyDocument::live(&value.to_string());
    one.is_object() && other.is_object() && read(one) == read(other)
}

/// The saved form of a field that differs now as it did then; nothing counts as the empty value of a field.
fn find<'a>(change: &'a ChangeV1, field: &FieldChange) -> Option<&'a FieldV1> {
    change.fields.iter().find(|saved| {
        saved.path == field.path && same(&saved.before, &field.before) && same(&saved.after, &field.after)
    })
}

fn same(one: &Value, other: &Value) -> bool {
    one == other || (empty(one) && empty(other))
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A saved change that the fresh plan does not have: done already, or no longer possible.
fn gone(change: &ChangeV1, saved: &PlanV1, index: &Index<'_>) -> Result<(), String> {
    let fresh = index.plan;
    if let Some(refused) = fresh.refused.iter().find(|item| item.address == change.address) {
        return Err(refused.why.clone());
    }
    // nothing is planned in an account or cluster that turned out to be another one since
    let known = |address: &str| saved.refused.iter().any(|item| item.address == address);
    let is_place = |address: &str| ["account/", "cluster/"].iter().any(|prefix| address.starts_with(prefix));
    if let Some(place) = fresh.refused.iter().find(|item| is_place(&item.address) && !known(&item.address)) {
        return Err(format!("`{}` cannot be used: {}", place.address, place.why));
    }
    if let Some(unseen) = fresh.unknown.iter().find(|item| item.address == change.address) {
        return Err(format!("it could not be seen: {}", unseen.why));
    }
    if !fresh.complete() {
        return Err("it could not be seen".to_owned());
    }
    if fresh.waiting.iter().any(|address| address.to_string() == change.address) {
        return Err("it waits for others now".to_owned());
    }
    if index.settled.contains(&change.address) {
        // what is declared and as it should be is nothing that a plan deletes
        let deletes = change.action == Action::Delete.as_str();
        return if deletes { Err("the configuration declares it".to_owned()) } else { Ok(()) };
    }
    // an object that is neither there nor declared was deleted, or let go of, as the plan wanted
    let releases = change.action == Action::Delete.as_str()
        || change.fields.iter().all(|field| field.after.is_null() || field.path == "tags");
    if releases { Ok(()) } else { Err("the configuration no longer asks for it".to_owned()) }
}
