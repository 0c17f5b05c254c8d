//! Puts the steps in order, and holds back those that depend on something that is held back.

use super::change::{Action, ResourceChange};
use super::draft::{Draft, Hold};
use super::step::Step;
use super::weave;
use crate::model::address::Address;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Holds back every step that needs an object that is not brought to its declared state, and tells which.
pub(crate) fn hold_dependents(draft: &mut Draft) -> BTreeSet<Address> {
    let mut held = BTreeSet::new();
    let mut dependents: HashMap<Address, Vec<Address>> = HashMap::new();
    for step in draft.steps.values() {
        for need in &step.needs {
            dependents.entry(need.clone()).or_default().push(step.address.clone());
        }
    }
    let is_held = |step: &&Step| step.needs.iter().any(|need| draft.held.contains_key(need));
    let mut next: BTreeSet<Address> = draft.steps.values().filter(is_held).map(|step| step.address.clone()).collect();
    while let Some(address) = next.pop_first() {
        let Some(step) = draft.steps.remove(&address) else { continue };
        let Some(need) = step.needs.iter().find(|need| draft.held.contains_key(need)).cloned() else { continue };
        held.insert(address.clone());
        next.extend(dependents.remove(&address).into_iter().flatten());
        match draft.held.get(&need).cloned() {
            Some(Hold::Refused) => {
                let why = format!("`{need}`, which it depends on, is refused");
                draft.refuse(&address, why, format!("mend `{need}` first"));
            }
            Some(Hold::Waits(why)) => {
                draft.wait(&address, None, format!("`{need}` comes first: {why}"));
                next.extend(weave::follow(draft, &step));
            }
            Some(Hold::Unknown) | None => {
                draft.unseen(&address, format!("`{need}`, which it depends on, could not be seen"));
            }
        }
    }
    held
}

/// The order of kinds among steps that do not depend on each other: makers first, deletes in reverse.
fn rank(step: &Step) -> u8 {
    let delete = step.change.action() == Action::Delete;
    match (&step.change, delete) {
        (ResourceChange::Provider(_), false) => 0,
        (ResourceChange::Policy(_), false) => 1,
        (ResourceChange::Role(_), false) => 2,
        (ResourceChange::ServiceAccount(_), _) => 3,
        (ResourceChange::Role(_), true) => 4,
        (ResourceChange::Policy(_), true) => 5,
        (ResourceChange::Provider(_), true) => 6,
    }
}

/// Steps such that each comes after all that it needs; otherwise by kind and address. Needs without a step fall away.
pub(crate) fn ordered(mut steps: BTreeMap<Address, Step>) -> Vec<Step> {
    let places: HashMap<Address, usize> = steps.keys().enumerate().map(|(place, key)| (key.clone(), place)).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (place, step) in steps.values_mut().enumerate() {
        step.needs.retain(|need| places.contains_key(need));
        step.needs.sort();
        step.needs.dedup();
        step.needs.iter().for_each(|need| dependents[places[need]].push(place));
    }
    let mut steps: Vec<Option<Step>> = steps.into_values().map(Some).collect();
    let mut waiting: Vec<usize> = steps.iter().flatten().map(|step| step.needs.len()).collect();
    // the places are in the order of the addresses
    let mut ready: BTreeSet<(u8, usize)> = BTreeSet::new();
    let free = |place: usize, steps: &[Option<Step>]| steps[place].as_ref().map(|step| (rank(step), place));
    ready.extend((0..steps.len()).filter(|place| waiting[*place] == 0).filter_map(|place| free(place, &steps)));
    let mut order = Vec::with_capacity(steps.len());
    while let Some((_, place)) = ready.pop_first() {
        for dependent in &dependents[place] {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                ready.extend(free(*dependent, &steps));
            }
        }
        order.extend(steps[place].take());
    }
    // no rule makes a circle; should one ever arise, its steps wait for nothing of each other
    for mut step in steps.into_iter().flatten() {
        step.needs.clear();
        order.push(step);
    }
    order
}

/// Whether `from` comes to need `to`, through others or at once.
pub(crate) fn reaches(steps: &BTreeMap<Address, Step>, from: &Address, to: &Address) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(address) = open.pop() {
        if address == to {
            return true;
        }
        if seen.insert(address) {
            open.extend(steps.get(address).into_iter().flat_map(|step| &step.needs));
        }
    }
    false
}
