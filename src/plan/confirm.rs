//! Two looks at the same world: a difference counts only if the second shows it too.

use super::step::{Plan, Step};
use crate::model::address::Address;

/// The second plan without what the first did not show. IAM answers from replicas that lag behind by seconds
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>), so a single look may show the past.
pub fn confirm(first: &Plan, second: Plan) -> Plan {
    let mut confirmed = second;
    let steps = std::mem::take(&mut confirmed.steps);
    let (kept, passing): (Vec<Step>, Vec<Step>) =
        steps.into_iter().partition(|step| first.changes().any(|seen| same_difference(seen, step)));
    confirmed.withheld.retain(|step| first.changes().any(|seen| same_difference(seen, step)));
    confirmed.unchanged += passing.iter().filter(|step| step.change.stays()).count();
    confirmed.steps = kept;
    confirmed.refused.retain(|item| first.refused.iter().any(|seen| seen.address == item.address));
    confirmed.waiting.retain(|address| {
        matches!(address, Address::ServiceAccount { .. })
            || first.waiting.contains(address)
            || first.changes().any(|step| step.address == *address)
    });
    confirmed
}

/// Whether both show the object, and at least one field of it, to differ in the same way.
fn same_difference(first: &Step, second: &Step) -> bool {
    first.address == second.address
        && first.change.action() == second.change.action()
        && (first.fields.is_empty() || second.fields.iter().any(|field| first.fields.iter().any(|seen| seen == field)))
}
