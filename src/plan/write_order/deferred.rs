//! Defers each change that must come after a change which this run does not make.

use super::NoSafeOrder;
use super::calls::Calls;
use super::effects::Factor;
use super::graph::{EdgeReason, Graph};
use super::mutant::{self, Mutant};
use super::notes;
use crate::model::address::Address;
use crate::model::note::Severity;
use crate::model::refusal::RefusalKind;
use crate::plan::change::{Change, ResourceChange};
use crate::plan::draft::{BlockedBy, Draft};
use crate::plan::types::{Part, Step};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Defers every step that needs an object whose own change is blocked.
pub(super) fn defer_dependents(draft: &mut Draft) {
    let mut dependents: HashMap<Address, Vec<Address>> = HashMap::new();
    for step in draft.steps.values() {
        for need in &step.needs {
            dependents.entry(need.clone()).or_default().push(step.address.clone());
        }
    }
    // an object outside `--only` does not defer its dependents here: they are planned against its live state
    let blocks =
        |draft: &Draft, need: &&Address| draft.blocked.get(need).is_some_and(|by| *by != BlockedBy::NotSelected);
    let is_blocked = |step: &&Step| step.needs.iter().any(|need| blocks(draft, &need));
    let mut next: BTreeSet<Address> =
        draft.steps.values().filter(is_blocked).map(|step| step.address.clone()).collect();
    while let Some(address) = next.pop_first() {
        let Some(step) = draft.steps.get(&address) else { continue };
        let Some(need) = step.needs.iter().find(|need| blocks(draft, need)).cloned() else { continue };
        defer(draft, &address, &need, "which it depends on");
        next.extend(dependents.remove(&address).into_iter().flatten());
    }
}

/// Defers a step for the reason that blocks `first`.
fn defer(draft: &mut Draft, address: &Address, first: &Address, relation: &str) {
    let is_shown = draft.refused_steps.contains(first);
    if draft.defer(address) && is_shown {
        draft.refused_steps.insert(address.clone());
    }
    match draft.blocked.get(first).cloned() {
        Some(BlockedBy::Refused) => {
            let why = format!("`{first}`, {relation}, is refused");
            draft.refuse(
                address,
                RefusalKind::DependsOnRefused.because(why, format!("resolve the refusal of `{first}` first")),
            );
        }
        Some(BlockedBy::Waits(why)) => draft.wait(address, None, format!("`{first}` comes first: {why}")),
        Some(BlockedBy::NotSelected) => {
            let why = format!("`{first}` must change before it, and is not selected: add `--only '{first}'`");
            draft.wait(address, None, why);
        }
        Some(BlockedBy::Unknown) | None => {
            draft.object_unknown(address, format!("`{first}`, {relation}, could not be read"));
        }
    }
}

/// Refuses steps that have no safe order, and defers their dependents.
pub(super) fn refuse(draft: &mut Draft, refused: NoSafeOrder) {
    for address in refused.objects {
        draft.refuse_step(&address, refused.refusal.clone());
    }
    defer_dependents(draft);
}

/// Defers the calls that must come after a deferred call. `true` if there are any.
pub(super) fn defer_followers(draft: &mut Draft, calls: &Calls, graph: &Graph) -> bool {
    let mut of_one_object: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut waiting: BTreeMap<usize, usize> = BTreeMap::new();
    for node in (0..calls.nodes.len()).filter(|node| calls.is_deferred(*node)) {
        for (next, reason) in graph.after(node) {
            if *reason == EdgeReason::Courtesy || calls.is_deferred(*next) || mutant::is_active(Mutant::NothingFollows)
            {
                continue;
            }
            let object = calls.nodes[*next].object;
            if calls.address_of(*next) == calls.address_of(node) {
                of_one_object.entry(object).or_default().insert(*next);
            } else {
                waiting.entry(object).or_insert(calls.nodes[node].object);
            }
        }
    }
    let any = !waiting.is_empty() || !of_one_object.is_empty();
    for (object, first) in &waiting {
        let (address, first) = (&calls.objects[*object].address, &calls.objects[*first].address);
        defer(draft, address, first, "which must come first");
    }
    for (object, calls_after) in of_one_object.into_iter().filter(|(object, _)| !waiting.contains_key(object)) {
        keep_removals(draft, calls, graph, object, calls_after);
    }
    if any {
        defer_dependents(draft);
    }
    any
}

/// For a role whose declared trust is unknown: keeps only the calls that add no access. Drops the calls in
/// `dropped`, the calls that must come after them, and each call that removes a permission which a dropped call would
/// add in another policy.
fn keep_removals(draft: &mut Draft, calls: &Calls, graph: &Graph, object: usize, mut dropped: BTreeSet<usize>) {
    let nodes = calls.by_object().swap_remove(object);
    loop {
        let is_moved = |node: usize| {
            let mut adding = dropped.iter().filter(|first| calls.effects(**first).gives_in(Factor::Allows));
            calls.effects(node).takes_in(Factor::Allows) && adding.any(|adds| notes::may_overlap(calls, *adds, node))
        };
        let follows =
            |node: usize| dropped.iter().any(|first| graph.after(*first).iter().any(|(next, _)| *next == node));
        let is_dropped = |node: &&usize| !dropped.contains(*node) && (is_moved(**node) || follows(**node));
        let more: Vec<usize> = nodes.iter().filter(is_dropped).copied().collect();
        if more.is_empty() {
            break;
        }
        dropped.extend(more);
    }
    let left_out = dropped.iter().filter_map(|node| calls.iam(*node));
    let operations: BTreeSet<String> = left_out.map(|call| format!("`{}`", call.operation())).collect();
    let operations: Vec<String> = operations.into_iter().collect();
    let address = calls.objects[object].address.clone();
    let text = format!(
        "irsa does not know whom this role should trust, so it makes no call that may add access, and leaves out these \
         calls: {}",
        operations.join(", ")
    );
    draft.note(&address, Severity::Medium, "held-back", None, text);
    let Some(mut step) = draft.steps.remove(&address) else { return };
    let kept: Vec<usize> =
        nodes.into_iter().filter(|node| !dropped.contains(node) && calls.iam(*node).is_some()).collect();
    if kept.is_empty() {
        draft.deferred.insert(address, step);
        return;
    }
    if let ResourceChange::Role(change) = &mut step.change {
        match &mut **change {
            Change::Update { before, after } | Change::Adopt { before, after } => {
                after.clone_from(before);
                kept.iter().filter_map(|node| calls.iam(*node)).for_each(|call| call.apply_to(after));
            }
            Change::Create { .. } | Change::Delete { .. } => {}
        }
    }
    step.fields = step.change.fields();
    step.parts = kept.into_iter().filter_map(|node| calls.nodes[node].call.clone()).map(Part::from).collect();
    draft.steps.insert(address, step);
}
