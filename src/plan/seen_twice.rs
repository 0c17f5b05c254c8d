//! For `drift`: keeps only the differences that two plans, made from two reads, both show. `drift` makes the second
//! plan only if the first shows a difference.

use super::change::Action;
use super::types::{Plan, Step};

/// The second plan, with only the differences that the first plan has too. IAM answers from replicas that lag by
/// seconds (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>), so a single read may be stale.
pub fn confirm(first: &Plan, second: Plan) -> Plan {
    let mut confirmed = second;
    let in_first = |step: &Step| first.changes().any(|other| same_difference(other, step));
    let (kept, stale): (Vec<Step>, Vec<Step>) = confirmed.steps.into_iter().partition(in_first);
    let exists = |step: &&Step| matches!(step.change.action(), Action::Update | Action::Adopt);
    confirmed.unchanged.extend(stale.iter().filter(exists).map(|step| step.address.clone()));
    confirmed.steps = kept;
    confirmed.refused_steps.retain(in_first);
    confirmed.refused.retain(|item| first.refused.iter().any(|other| other.address == item.address));
    confirmed.waiting.retain(|address| {
        address.is_in_cluster()
            || first.waiting.contains(address)
            || first.changes().any(|step| step.address == *address)
    });
    confirmed
}

/// Whether both steps have the same object and action, and agree on at least one field: its old value and its new
/// value. Steps without fields agree.
fn same_difference(first: &Step, second: &Step) -> bool {
    first.address == second.address
        && first.change.action() == second.change.action()
        && (first.fields.is_empty() || second.fields.iter().any(|field| first.fields.contains(field)))
}
