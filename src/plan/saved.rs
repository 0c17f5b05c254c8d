//! A saved plan held against a fresh one: only what both ask for is done, and nothing that has changed meanwhile.

mod live;

use super::change::Action;
use super::fields;
use super::file::check::{alike, empty, leaf, leaves};
use super::file::{ChangeV2, PlanV2};
use super::step::{Plan, Step};
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::live::Live;
use crate::model::pattern::any_matches;
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

/// The steps of `fresh`, made from `desired` and `live`, that `saved` asks for. A field that is already as the saved plan
/// wants it is left out; a field that is neither as before nor as after, and a change that the configuration does not
/// give, make it stale. What is written comes from `fresh` alone: a forged file can ask for less, never for more.
///
/// # Errors
/// Everything that is stale, sorted by address.
pub fn recheck(saved: &PlanV2, fresh: Plan, desired: &Desired, live: &Live) -> Result<Plan, Vec<Stale>> {
    let mut stale = BTreeSet::new();
    let against = Against::new(saved, &fresh, desired, live);
    // what the saved plan refuses it only shows
    let refused = saved.refused_addresses();
    let asked = || saved.changes.iter().filter(|change| !refused.contains(change.address.as_str()));
    for change in asked() {
        if let Err(why) = against.check(change) {
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

/// What a saved change is held against: the fresh plan, by printed address, and what it was made from.
struct Against<'a> {
    saved: &'a PlanV2,
    fresh: &'a Plan,
    desired: &'a Desired,
    live: &'a Live,
    steps: HashMap<String, &'a Step>,
    settled: HashSet<String>,
}

impl<'a> Against<'a> {
    fn new(saved: &'a PlanV2, fresh: &'a Plan, desired: &'a Desired, live: &'a Live) -> Self {
        let steps = fresh.steps.iter().map(|step| (step.address.to_string(), step)).collect();
        let settled = fresh.settled.iter().map(ToString::to_string).collect();
        Self { saved, fresh, desired, live, steps, settled }
    }

    fn check(&self, change: &ChangeV2) -> Result<(), String> {
        let Some(step) = self.steps.get(&change.address) else {
            return self.gone(change);
        };
        let action = step.change.action();
        let made_since = change.action == Action::Create.as_str() && action == Action::Update;
        let adopted_since = change.action == Action::Adopt.as_str() && action == Action::Update;
        if change.action != action.as_str() && !made_since && !adopted_since {
            return Err(format!("the saved plan says {}, now it would be {}", change.action, action.as_str()));
        }
        if action == Action::Delete {
            // the whole object must be the one that was shown, or less of it
            let shown = leaves(&change.before);
            let known =
                step.fields.iter().all(|field| empty(&field.before) || alike(leaf(&shown, &field.path), &field.before));
            return if known { Ok(()) } else { Err("it has changed since".to_owned()) };
        }
        self.same_change(change, step)
    }

    /// Every field of the object: what is asked for is what the configuration asks for, and what is there is as it was
    /// before, or as asked for already.
    fn same_change(&self, change: &ChangeV2, step: &Step) -> Result<(), String> {
        let sides = fields::sides(&step.change);
        let [was, then, is, wanted] = [&change.before, &change.after, &sides.0, &sides.1].map(leaves);
        let named = change.fields.iter().map(|field| &field.path).chain(step.fields.iter().map(|field| &field.path));
        let named: BTreeSet<&str> = named.map(String::as_str).collect();
        for path in [&was, &then, &is, &wanted].into_iter().flat_map(BTreeMap::keys).map(String::as_str) {
            let [was, then, is, wanted] = [&was, &then, &is, &wanted].map(|side| leaf(side, path));
            let holds = if named.contains(path) {
                alike(then, wanted) && (alike(is, was) || alike(is, then))
            } else {
                alike(then, wanted) || self.of_others(&step.address, path, then, wanted)
            };
            if !holds {
                return Err(format!("field `{path}` has changed since"));
            }
        }
        Ok(())
    }

    /// Whether a field that this plan leaves alone differs only in what others may put there.
    fn of_others(&self, address: &Address, path: &str, then: &Value, now: &Value) -> bool {
        if let Some(tag) = path.strip_prefix("tags.") {
            return then.is_null() || tag.starts_with("aws:") || any_matches(&self.desired.ignore_tags, tag);
        }
        let Address::Role { key } = address else { return false };
        let Some(role) = self.desired.roles.get(key).filter(|_| path == "attached") else { return false };
        let ours = |list: &Value| -> Vec<String> {
            let arns = list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
            arns.filter(|arn| !any_matches(&role.ignore_attached, arn)).collect()
        };
        ours(then) == ours(now)
    }

    /// A saved change that the fresh plan does not have: done already, or no longer possible.
    fn gone(&self, change: &ChangeV2) -> Result<(), String> {
        let fresh = self.fresh;
        if let Some(refused) = fresh.refused.iter().find(|item| item.address == change.address) {
            return Err(refused.why.clone());
        }
        // nothing is planned in an account or cluster that turned out to be another one since
        let known = |address: &str| self.saved.refused.iter().any(|item| item.address == address);
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
        if self.settled.contains(&change.address) && change.action == Action::Delete.as_str() {
            // what is declared and as it should be is nothing that a plan deletes
            return Err("the configuration declares it".to_owned());
        }
        if self.done(change) { Ok(()) } else { Err("the configuration no longer asks for it".to_owned()) }
    }

    /// Whether what a change asks for is so already: by this plan, which another run carried out, or by someone else.
    fn done(&self, change: &ChangeV2) -> bool {
        let Ok(address) = change.address.parse::<Address>() else { return false };
        if !live::is_known(&address, self.desired) {
            return false;
        }
        let settled = self.settled.contains(&change.address);
        let object = match live::object(&address, self.desired, self.live) {
            live::Seen::Object(object) => object,
            // what is named only is neither known to be ours nor known to have a field
            live::Seen::Named => return change.action != Action::Delete.as_str() && lets_go(change),
            live::Seen::Nothing => return !settled && lets_go(change),
        };
        let (is, then) = (leaves(&object), leaves(&change.after));
        let has = |path: &str| alike(leaf(&is, path), leaf(&then, path));
        if settled {
            // a field that this plan leaves alone may have been changed by those who may
            let theirs = |path: &str| self.of_others(&address, path, leaf(&then, path), leaf(&is, path));
            let named = |path: &str| change.fields.iter().any(|field| field.path == path);
            // another manager may go on holding what we gave up of a ServiceAccount
            let given_up = |value: &Value| value.is_null() && matches!(address, Address::ServiceAccount { .. });
            return change.fields.iter().all(|field| has(&field.path) || given_up(&field.after))
                && then.keys().all(|path| has(path) || !named(path) && theirs(path));
        }
        change.action != Action::Delete.as_str()
            && lets_go(change)
            && change.fields.iter().all(|field| has(&field.path))
    }
}

/// Whether a change only takes away: then it is done where the object is neither there nor declared.
fn lets_go(change: &ChangeV2) -> bool {
    change.action == Action::Delete.as_str() || change.fields.iter().all(|field| field.after.is_null())
}
