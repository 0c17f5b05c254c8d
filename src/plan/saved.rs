//! Compares a saved plan with a fresh plan, and keeps only the steps that both contain.

use super::change::Action;
use super::file::leaves::{alike, empty, leaf, leaves};
use super::file::{ChangeV2, PlanV2};
use super::live_object::{self, LiveObject};
use super::types::{Plan, Step};
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::live::Live;
use crate::model::pattern::any_matches;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A saved change that can no longer be applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stale {
    /// The object.
    pub address: String,
    /// What differs from the saved plan.
    pub why: String,
}

/// Removes from `fresh` every step that `saved` does not contain, and returns the rest. `fresh` must be the plan of
/// `desired` and `live`. irsa writes only values of `fresh`, so a forged file can ask for fewer changes, but not for
/// different ones.
///
/// # Errors
///
/// All stale changes, sorted by address. A change is stale if a field has neither its old nor its new value, or if the
/// configuration no longer asks for the change. A change that is done already is not stale.
pub fn recheck(saved: &PlanV2, fresh: Plan, desired: &Desired, live: &Live) -> Result<Plan, Vec<Stale>> {
    let mut stale = BTreeSet::new();
    let comparison = SavedPlanCheck::new(saved, &fresh, desired, live);
    // the file has the refused changes only for display
    let refused = saved.refused_addresses();
    let asked = || saved.changes.iter().filter(|change| !refused.contains(change.address.as_str()));
    for change in asked() {
        if let Err(why) = comparison.check(change) {
            stale.insert(Stale { address: change.address.clone(), why });
        }
    }
    let wanted: BTreeSet<&str> = asked().map(|change| change.address.as_str()).collect();
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

/// The saved plan, with the fresh plan and the states to compare it with. Maps have printed addresses as keys.
struct SavedPlanCheck<'a> {
    saved: &'a PlanV2,
    fresh: &'a Plan,
    desired: &'a Desired,
    live: &'a Live,
    steps: HashMap<String, &'a Step>,
    unchanged: HashSet<String>,
}

impl<'a> SavedPlanCheck<'a> {
    fn new(saved: &'a PlanV2, fresh: &'a Plan, desired: &'a Desired, live: &'a Live) -> Self {
        let steps = fresh.steps.iter().map(|step| (step.address.to_string(), step)).collect();
        let unchanged = fresh.unchanged.iter().map(ToString::to_string).collect();
        Self { saved, fresh, desired, live, steps, unchanged }
    }

    fn check(&self, change: &ChangeV2) -> Result<(), String> {
        let Some(step) = self.steps.get(&change.address) else {
            return self.check_missing(change);
        };
        let action = step.change.action();
        let made_since = change.action == Action::Create.as_str() && action == Action::Update;
        let adopted_since = change.action == Action::Adopt.as_str() && action == Action::Update;
        if change.action != action.as_str() && !made_since && !adopted_since {
            return Err(format!(
                "the saved plan has action `{}`, but a new plan has `{}`",
                change.action,
                action.as_str()
            ));
        }
        if action == Action::Delete {
            // fields may be missing now, but none may be new or changed
            let shown = leaves(&change.before);
            let known =
                step.fields.iter().all(|field| empty(&field.before) || alike(leaf(&shown, &field.path), &field.before));
            return if known { Ok(()) } else { Err("it has changed since the plan was saved".to_owned()) };
        }
        self.same_change(change, step)
    }

    /// Both plans must lead to the same object, and each field that changes must have its old or its new value.
    fn same_change(&self, change: &ChangeV2, step: &Step) -> Result<(), String> {
        let sides = step.change.sides();
        let [saved_before, saved_after, live, fresh_after] =
            [&change.before, &change.after, &sides.0, &sides.1].map(leaves);
        let named = change.fields.iter().map(|field| &field.path).chain(step.fields.iter().map(|field| &field.path));
        let named: BTreeSet<&str> = named.map(String::as_str).collect();
        for path in
            [&saved_before, &saved_after, &live, &fresh_after].into_iter().flat_map(BTreeMap::keys).map(String::as_str)
        {
            let [saved_before, saved_after, live, fresh_after] =
                [&saved_before, &saved_after, &live, &fresh_after].map(|side| leaf(side, path));
            let holds = if named.contains(path) {
                alike(saved_after, fresh_after) && (alike(live, saved_before) || alike(live, saved_after))
            } else {
                alike(saved_after, fresh_after) || self.others_may_change(&step.address, path, saved_after, fresh_after)
            };
            if !holds {
                return Err(format!("field `{path}` has changed since the plan was saved"));
            }
        }
        Ok(())
    }

    /// Whether somebody else may have changed this field since the plan was saved. True for a new tag, an ignored tag,
    /// and an ignored attached policy. Call it only for a field that neither plan changes.
    fn others_may_change(&self, address: &Address, path: &str, then: &Value, now: &Value) -> bool {
        if let Some(tag) = path.strip_prefix("tags.") {
            return then.is_null() || self.desired.ignores_tag(tag);
        }
        let Address::Role { key } = address else { return false };
        let Some(role) = self.desired.roles.get(key).filter(|_| path == "attached") else { return false };
        let ours = |list: &Value| -> Vec<String> {
            let arns = list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
            arns.filter(|arn| !any_matches(&role.ignore_attached, arn)).collect()
        };
        ours(then) == ours(now)
    }

    /// Checks a saved change that the fresh plan does not contain. It is done already, or stale.
    fn check_missing(&self, change: &ChangeV2) -> Result<(), String> {
        let fresh = self.fresh;
        if let Some(refused) = fresh.refused.iter().find(|item| item.address == change.address) {
            return Err(refused.reason());
        }
        // a refused account or cluster has no steps
        let known = |address: &str| self.saved.refused.iter().any(|item| item.address == address);
        let is_place = |address: &str| ["account/", "cluster/"].iter().any(|prefix| address.starts_with(prefix));
        if let Some(place) = fresh.refused.iter().find(|item| is_place(&item.address) && !known(&item.address)) {
            return Err(format!("`{}` cannot be used: {}", place.address, place.reason()));
        }
        if let Some(unknown) = fresh.unknown.iter().find(|item| item.address == change.address) {
            return Err(format!("it could not be read: {}", unknown.why));
        }
        if !fresh.complete() {
            return Err("it could not be read".to_owned());
        }
        if fresh.waiting.iter().any(|address| address.to_string() == change.address) {
            return Err("it now waits for another object".to_owned());
        }
        if self.unchanged.contains(&change.address) && change.action == Action::Delete.as_str() {
            return Err("the configuration declares it".to_owned());
        }
        if self.done(change) { Ok(()) } else { Err("the configuration no longer asks for it".to_owned()) }
    }

    /// Whether a change is done already: another run applied this plan, or somebody made the change by hand.
    fn done(&self, change: &ChangeV2) -> bool {
        let Ok(address) = change.address.parse::<Address>() else { return false };
        if !live_object::is_in_configuration(&address, self.desired) {
            return false;
        }
        let unchanged = self.unchanged.contains(&change.address);
        let object = match live_object::object(&address, self.desired, self.live) {
            LiveObject::Read(object) => object.sides().1,
            // the role list does not show its owner and its fields
            LiveObject::Listed => return change.action != Action::Delete.as_str() && only_removes(change),
            LiveObject::NotFound | LiveObject::Unread(_) => return !unchanged && only_removes(change),
        };
        let (live, planned) = (leaves(&object), leaves(&change.after));
        let has = |path: &str| alike(leaf(&live, path), leaf(&planned, path));
        if unchanged {
            let theirs = |path: &str| self.others_may_change(&address, path, leaf(&planned, path), leaf(&live, path));
            let named = |path: &str| change.fields.iter().any(|field| field.path == path);
            // another field manager may still own a field of a ServiceAccount that irsa has released
            let released = |value: &Value| value.is_null() && address.is_in_cluster();
            return change.fields.iter().all(|field| has(&field.path) || released(&field.after))
                && planned.keys().all(|path| has(path) || !named(path) && theirs(path));
        }
        change.action != Action::Delete.as_str()
            && only_removes(change)
            && change.fields.iter().all(|field| has(&field.path))
    }
}

/// Whether a change only removes values. Such a change is done if the object is neither live nor declared.
fn only_removes(change: &ChangeV2) -> bool {
    change.action == Action::Delete.as_str() || change.fields.iter().all(|field| field.after.is_null())
}
