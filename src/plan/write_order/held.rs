//! What is held back, and what must wait with it.

use super::Impossible;
use super::calls::Calls;
use super::effects::Factor;
use super::graph::{Graph, Why};
use super::mutant::{self, Mutant};
use super::notes;
use crate::model::address::Address;
use crate::model::call::{Call, IamCall};
use crate::model::note::Severity;
use crate::plan::change::{Change, ResourceChange};
use crate::plan::draft::{BlockedBy, Draft};
use crate::plan::fields;
use crate::plan::roles::calls::role_after;
use crate::plan::step::{Part, Step};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Holds back every step that needs an object that is not brought to its declared state.
pub(super) fn hold_dependents(draft: &mut Draft) {
    let mut dependents: HashMap<Address, Vec<Address>> = HashMap::new();
    for step in draft.steps.values() {
        for need in &step.needs {
            dependents.entry(need.clone()).or_default().push(step.address.clone());
        }
    }
    let is_held = |step: &&Step| step.needs.iter().any(|need| holds(draft, need));
    let mut next: BTreeSet<Address> = draft.steps.values().filter(is_held).map(|step| step.address.clone()).collect();
    while let Some(address) = next.pop_first() {
        let Some(step) = draft.steps.get(&address) else { continue };
        let Some(need) = step.needs.iter().find(|need| holds(draft, need)).cloned() else { continue };
        hold(draft, &address, &need, "which it depends on");
        next.extend(dependents.remove(&address).into_iter().flatten());
    }
}

/// What is not selected is not changed, and counts as it is.
fn holds(draft: &Draft, need: &Address) -> bool {
    draft.held.get(need).is_some_and(|hold| *hold != BlockedBy::NotSelected)
}

/// Holds a step back because of `first`, which is held back.
fn hold(draft: &mut Draft, address: &Address, first: &Address, relation: &str) {
    let shown = draft.shown.contains(first);
    if draft.hold_back(address) && shown {
        draft.shown.insert(address.clone());
    }
    match draft.held.get(first).cloned() {
        Some(BlockedBy::Refused) => {
            draft.refuse(address, format!("`{first}`, {relation}, is refused"), format!("mend `{first}` first"));
        }
        Some(BlockedBy::Waits(why)) => draft.wait(address, None, format!("`{first}` comes first: {why}")),
        Some(BlockedBy::NotSelected) => {
            let why = format!("`{first}` must change before it, and is not selected: add `--only '{first}'`");
            draft.wait(address, None, why);
        }
        Some(BlockedBy::Unknown) | None => {
            draft.object_unknown(address, format!("`{first}`, {relation}, could not be seen"));
        }
    }
}

/// Refuses steps that no order of calls makes safe.
pub(super) fn refuse(draft: &mut Draft, impossible: Impossible) {
    for address in impossible.objects {
        draft.refuse_step(&address, impossible.why.clone(), impossible.hint);
    }
    hold_dependents(draft);
}

/// Holds back what must come after a call that is held back; `true` if something is.
pub(super) fn follow(draft: &mut Draft, calls: &Calls, graph: &Graph) -> bool {
    let mut left_out: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut waiting: BTreeMap<usize, usize> = BTreeMap::new();
    for node in (0..calls.nodes.len()).filter(|node| calls.is_held(*node)) {
        let first = calls.nodes[node].object;
        for (next, why) in graph.after(node) {
            let object = calls.nodes[*next].object;
            if *why == Why::Courtesy || calls.objects[object].held || mutant::is(Mutant::NothingFollows) {
                continue;
            }
            if calls.objects[object].address == calls.objects[first].address {
                left_out.entry(object).or_default().insert(*next);
            } else {
                waiting.entry(object).or_insert(first);
            }
        }
    }
    for (object, first) in &waiting {
        let (address, first) = (&calls.objects[*object].address, &calls.objects[*first].address);
        hold(draft, address, first, "which must come first");
    }
    for (object, nodes) in left_out.iter().filter(|(object, _)| !waiting.contains_key(*object)) {
        leave_out(draft, calls, graph, *object, nodes.clone());
    }
    let any = !waiting.is_empty() || !left_out.is_empty();
    if any {
        hold_dependents(draft);
    }
    any
}

/// Leaves a role's trust and all that would give it something as they are: it may shrink and may not grow. What is to
/// come in place of what goes is left out, so what goes stays with it.
fn leave_out(draft: &mut Draft, calls: &Calls, graph: &Graph, object: usize, mut out: BTreeSet<usize>) {
    let nodes = calls.by_object().swap_remove(object);
    loop {
        // what may only move from one policy to another stays where it is
        let moves = |node: &usize| {
            let gives = out.iter().filter(|first| calls.effects(**first).gives_in(Factor::Allows));
            calls.effects(*node).takes_in(Factor::Allows)
                && gives.into_iter().any(|first| notes::overlap(calls, *first, *node))
        };
        let follows = |node: &usize| {
            moves(node) || out.iter().any(|first| graph.after(*first).iter().any(|(next, _)| next == node))
        };
        let more: Vec<usize> = nodes.iter().copied().filter(|node| !out.contains(node) && follows(node)).collect();
        if more.is_empty() {
            break;
        }
        out.extend(more);
    }
    let iam = |node: &usize| match &calls.nodes[*node].call {
        Some(Call::Iam(_, call)) => Some(call),
        _ => None,
    };
    let operations: BTreeSet<String> =
        out.iter().filter_map(iam).map(|call| format!("`{}`", call.operation())).collect();
    let operations: Vec<String> = operations.into_iter().collect();
    let address = calls.objects[object].address.clone();
    let text = format!(
        "whom it should trust could not be told, so it may lose permissions and may not get any: left out are {}",
        operations.join(", ")
    );
    draft.note(&address, Severity::Medium, "held-back", None, text);
    let kept: Vec<&IamCall> = nodes.iter().filter(|node| !out.contains(node)).filter_map(iam).collect();
    let Some(mut step) = draft.steps.remove(&address) else { return };
    if kept.is_empty() {
        draft.held_back.insert(address, step);
        return;
    }
    if let ResourceChange::Role(change) = &mut step.change {
        let to = |before: &crate::model::resource::Role| role_after(before, kept.iter().copied());
        match &mut **change {
            Change::Update { before, after } | Change::Adopt { before, after } => *after = to(before),
            Change::Create { .. } | Change::Delete { .. } => {}
        }
    }
    let kept: Vec<Call> =
        nodes.iter().filter(|node| !out.contains(node)).filter_map(|node| calls.nodes[*node].call.clone()).collect();
    step.fields = fields::changes(&step.change);
    step.parts = kept.into_iter().map(Part::from).collect();
    draft.steps.insert(address, step);
}
