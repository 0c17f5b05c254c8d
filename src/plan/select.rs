//! `--only`: the selected objects with their dependencies, and what is not let go of alone since others of ours use it.

use super::change::Action;
use super::context::PlanContext;
use super::draft::{BlockedBy, Draft};
use super::other_shards;
use super::step::Step;
use crate::model::address::{Address, Place};
use crate::model::marks::OWNER;
use crate::model::pattern::Pattern;
use std::collections::BTreeSet;

/// Leaves only what the globs select, and names the globs that select nothing.
pub(crate) fn select(context: &PlanContext<'_>, draft: &mut Draft) -> Vec<String> {
    if context.options.only.is_empty() {
        return Vec::new();
    }
    let patterns: Vec<Pattern> = context.options.only.iter().map(Pattern::new).collect();
    let unmatched = patterns
        .iter()
        .filter(|pattern| !draft.known.iter().any(|address| pattern.matches(&address.to_string())))
        .filter(|pattern| !other_shards::declares(context, pattern))
        .map(|pattern| pattern.as_str().to_owned())
        .collect();
    let direct: Vec<Address> = draft
        .known
        .iter()
        .filter(|address| patterns.iter().any(|pattern| pattern.matches(&address.to_string())))
        .cloned()
        .collect();
    let selected = closure(draft, direct);
    refuse_dangling(draft, &selected);
    let others: Vec<Address> = draft.steps.keys().filter(|address| !selected.contains(address)).cloned().collect();
    for address in others {
        draft.hold_back(&address);
        draft.held.entry(address).or_insert(BlockedBy::NotSelected);
    }
    draft.shown.retain(|address| selected.contains(address));
    draft.matching.retain(|address| selected.contains(address));
    draft.waiting.retain(|address| selected.contains(address));
    let places = places(context, &selected);
    let names: BTreeSet<String> = selected.iter().map(ToString::to_string).collect();
    let kept = |address: &str| names.contains(address) || places.contains(address);
    draft.refused.retain(|item| kept(&item.address));
    draft.unknown.retain(|item| kept(&item.address));
    draft.notes.retain(|note| kept(&note.address));
    unmatched
}

/// What is selected, and all that it depends on. What is let go of depends on nothing.
fn closure(draft: &Draft, direct: Vec<Address>) -> BTreeSet<Address> {
    let mut selected = BTreeSet::new();
    let mut open = direct;
    while let Some(address) = open.pop() {
        if !draft.steps.get(&address).is_some_and(lets_go) {
            open.extend(draft.dependencies.get(&address).into_iter().flatten().cloned());
        }
        selected.insert(address);
    }
    selected
}

/// Whether a step deletes its object, or takes our marks off it: no later run finds it then.
fn lets_go(step: &Step) -> bool {
    let owner = format!("tags.{OWNER}");
    step.change.action() == Action::Delete
        || step.fields.iter().any(|field| field.path == owner && field.after.is_null())
}

/// What is selected and let go of, while a step that must come first is not selected: refused, since that one would be left
/// dangling, or the object would never be found again.
fn refuse_dangling(draft: &mut Draft, selected: &BTreeSet<Address>) {
    let dangling: Vec<(Address, Address)> = draft
        .steps
        .values()
        .filter(|step| selected.contains(&step.address) && lets_go(step))
        .filter_map(|step| {
            let need = step.needs.iter().find(|need| draft.steps.contains_key(*need) && !selected.contains(*need))?;
            Some((step.address.clone(), need.clone()))
        })
        .collect();
    for (address, need) in dangling {
        draft.refuse_step(
            &address,
            format!("`{need}` depends on it and is not selected"),
            format!("add `--only '{need}'`"),
        );
    }
}

/// The accounts and clusters that the selected objects lie in.
fn places(context: &PlanContext<'_>, selected: &BTreeSet<Address>) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for address in selected {
        places.extend(address.place().map(|place| place.to_string()));
        match address {
            Address::OidcProvider { cluster, .. } => {
                places.insert(Place::Cluster(cluster).to_string());
            }
            Address::Role { key } => {
                let Some(role) = context.desired.roles.get(key) else { continue };
                places.insert(Place::Account(&role.account).to_string());
                places.extend(role.bindings.iter().map(|binding| Place::Cluster(&binding.cluster).to_string()));
            }
            _ => {}
        }
    }
    places
}
