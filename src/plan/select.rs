//! `--only`: keeps the selected objects with their dependencies, and refuses to delete an object that an unselected
//! object still uses.

use super::change::Action;
use super::context::{PlanContext, exact_bindings};
use super::draft::{BlockedBy, Draft};
use super::other_shards;
use super::types::Step;
use crate::model::address::{Address, Place};
use crate::model::desired::Manage;
use crate::model::marks::OWNER;
use crate::model::pattern::Pattern;
use crate::model::refusal::RefusalKind;
use std::collections::{BTreeSet, HashMap};

/// Drops everything that the globs do not select. Returns the globs that select nothing.
pub(crate) fn select(context: &PlanContext<'_>, draft: &mut Draft) -> Vec<String> {
    if context.options.only.is_empty() {
        return Vec::new();
    }
    let patterns: Vec<Pattern> = context.options.only.iter().map(Pattern::new).collect();
    let known: BTreeSet<&Address> =
        draft.steps.keys().chain(draft.blocked.keys()).chain(&draft.unchanged).chain(&draft.noted).collect();
    // `blocked` also has objects of other shards, which this run must not select
    let known = known.into_iter().filter(|address| context.plans(address));
    let known: Vec<(&Address, String)> = known.map(|address| (address, address.to_string())).collect();
    let selects_known = |pattern: &Pattern| known.iter().any(|(_, text)| pattern.matches(text));
    let unmatched = patterns
        .iter()
        .filter(|pattern| !selects_known(pattern) && !other_shards::selects_declared(context, pattern))
        .map(|pattern| pattern.as_str().to_owned())
        .collect();
    let direct = known.iter().filter(|(_, text)| patterns.iter().any(|pattern| pattern.matches(text)));
    let selected = with_dependencies(context, draft, direct.map(|(address, _)| (*address).clone()).collect());
    refuse_dangling(draft, &selected);
    let others: Vec<Address> = draft.steps.keys().filter(|address| !selected.contains(address)).cloned().collect();
    for address in others {
        draft.defer(&address);
        draft.blocked.entry(address).or_insert(BlockedBy::NotSelected);
    }
    draft.refused_steps.retain(|address| selected.contains(address));
    draft.unchanged.retain(|address| selected.contains(address));
    draft.waiting.retain(|address| selected.contains(address));
    let mut kept = places(context, &selected);
    kept.extend(selected.iter().map(ToString::to_string));
    draft.refused.retain(|item| kept.contains(&item.address));
    draft.unknown.retain(|item| kept.contains(&item.address));
    draft.notes.retain(|note| kept.contains(&note.address));
    unmatched
}

/// The directly selected objects and all their dependencies. An object that the plan deletes or releases needs none.
fn with_dependencies(context: &PlanContext<'_>, draft: &Draft, direct: Vec<Address>) -> BTreeSet<Address> {
    let mut roles: HashMap<Address, Vec<Address>> = HashMap::new();
    for (key, role) in &context.desired.roles {
        for (binding, reference) in exact_bindings(role).filter(|(binding, _)| binding.manage != Manage::None) {
            if !context.is_gone(&binding.cluster) {
                roles.entry(reference.address()).or_default().push(Address::role(key));
            }
        }
    }
    let mut selected = BTreeSet::new();
    let mut open = direct;
    while let Some(address) = open.pop() {
        let planned = context.plans(&address) && !context.options.destroy;
        if planned && !draft.steps.get(&address).is_some_and(deletes_or_untags) {
            match &address {
                Address::Role { key } => {
                    open.extend(context.desired.roles.get(key).into_iter().flat_map(|role| context.dependencies(role)));
                }
                other => open.extend(roles.remove(other).into_iter().flatten()),
            }
        }
        selected.insert(address);
    }
    selected
}

/// Whether a step deletes its object, of any kind, or removes irsa's tags from an IAM object. Then no later run finds
/// the object.
fn deletes_or_untags(step: &Step) -> bool {
    let owner = format!("tags.{OWNER}");
    step.change.action() == Action::Delete
        || step.fields.iter().any(|field| field.path == owner && field.after.is_null())
}

/// Refuses to delete or release an object if a step that must come first is not selected.
fn refuse_dangling(draft: &mut Draft, selected: &BTreeSet<Address>) {
    let leaving = draft.steps.values().filter(|step| selected.contains(&step.address) && deletes_or_untags(step));
    let dangling: Vec<(Address, Address)> = leaving
        .filter_map(|step| {
            let need = step.needs.iter().find(|need| draft.steps.contains_key(*need) && !selected.contains(*need))?;
            Some((step.address.clone(), need.clone()))
        })
        .collect();
    for (address, need) in dangling {
        let why = format!("`{need}` depends on it and is not selected");
        draft.refuse_step(&address, RefusalKind::NotSelected.because(why, format!("add `--only '{need}'`")));
    }
}

/// The accounts and clusters of the selected objects, as `account/KEY` and `cluster/KEY`.
fn places(context: &PlanContext<'_>, selected: &BTreeSet<Address>) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for address in selected {
        places.extend(address.place().map(|place| place.to_string()));
        places.extend(address.cluster().map(|cluster| Place::Cluster(cluster).to_string()));
        if let Address::Role { key } = address
            && let Some(role) = context.desired.roles.get(key)
        {
            places.insert(Place::Account(&role.account).to_string());
            places.extend(role.bindings.iter().map(|binding| Place::Cluster(&binding.cluster).to_string()));
        }
    }
    places
}
