//! Puts the steps in order, and holds back those that depend on something that is held back.

use super::change::{Action, ResourceChange};
use super::draft::{Draft, Hold};
use super::step::Step;
use crate::model::address::Address;
use std::collections::{BTreeMap, BTreeSet};

/// Holds back every step that needs an object that is not brought to its declared state, and tells which.
pub(crate) fn hold_dependents(draft: &mut Draft) -> BTreeSet<Address> {
    let mut held = BTreeSet::new();
    loop {
        let next = draft.steps.values().find_map(|step| {
            let need = step.needs.iter().find(|need| draft.held.contains_key(*need))?;
            Some((step.address.clone(), need.clone()))
        });
        let Some((address, need)) = next else { return held };
        draft.steps.remove(&address);
        held.insert(address.clone());
        match draft.held.get(&need).cloned() {
            Some(Hold::Refused) => {
                let why = format!("`{need}`, which it depends on, is refused");
                draft.refuse(&address, why, format!("mend `{need}` first"));
            }
            Some(Hold::Waits(why)) => draft.wait(&address, None, format!("`{need}` comes first: {why}")),
            Some(Hold::Unknown) | None => {
                draft.unseen(&address, format!("`{need}`, which it depends on, could not be seen"));
            }
        }
    }
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
    let present: BTreeSet<Address> = steps.keys().cloned().collect();
    for step in steps.values_mut() {
        step.needs.retain(|need| present.contains(need));
        step.needs.sort();
        step.needs.dedup();
    }
    let mut waiting: BTreeMap<Address, BTreeSet<Address>> =
        steps.values().map(|step| (step.address.clone(), step.needs.iter().cloned().collect())).collect();
    let mut dependents: BTreeMap<Address, Vec<Address>> = BTreeMap::new();
    for step in steps.values() {
        for need in &step.needs {
            dependents.entry(need.clone()).or_default().push(step.address.clone());
        }
    }
    let key = |step: &Step| (rank(step), step.address.to_string(), step.address.clone());
    let mut ready: BTreeSet<(u8, String, Address)> =
        steps.values().filter(|step| step.needs.is_empty()).map(key).collect();
    let mut order = Vec::with_capacity(steps.len());
    while let Some((_, _, address)) = ready.pop_first() {
        for dependent in dependents.get(&address).into_iter().flatten() {
            let Some(left) = waiting.get_mut(dependent) else { continue };
            left.remove(&address);
            if left.is_empty()
                && let Some(step) = steps.get(dependent)
            {
                ready.insert(key(step));
            }
        }
        waiting.remove(&address);
        order.extend(steps.remove(&address));
    }
    // no rule makes a circle; should one ever arise, its steps wait for nothing of each other
    for (_, mut step) in steps {
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
