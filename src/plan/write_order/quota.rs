//! Checks the quotas of an account for every state of a role between its calls, and puts the calls that free space
//! first. Otherwise, IAM would refuse a call in the middle of the run.

use super::calls::Calls;
use super::graph::{EdgeReason, Graph};
use crate::model::call::{FieldWrite, IamCall};
use crate::model::live::Quotas;
use crate::model::resource::Role;
use crate::plan::context::PlanContext;
use crate::plan::roles::calls::without_permissions;
use crate::policy::PolicyDocument;
use std::collections::BTreeMap;

/// For each object that would exceed a quota if irsa made the calls in this order: which quota.
pub(super) fn exceeded(context: &PlanContext<'_>, calls: &Calls, sorted: &[usize]) -> BTreeMap<usize, String> {
    let mut by_object: BTreeMap<usize, Vec<&IamCall>> = BTreeMap::new();
    for node in sorted {
        by_object.entry(calls.nodes[*node].object).or_default().extend(calls.iam(*node));
    }
    let over = |(object, made): (usize, Vec<&IamCall>)| {
        let planned = &calls.objects[object];
        let role = &calls.roles[planned.role?];
        let account = context.account(planned.account.as_ref()?)?;
        let start = role.before.clone().or_else(|| role.after.as_ref().map(without_permissions))?;
        Some((object, exceeded_by(start, &made, &account.quotas)?))
    };
    by_object.into_iter().filter_map(over).collect()
}

/// Which quota a role exceeds between these calls.
fn exceeded_by(mut role: Role, made: &[&IamCall], quotas: &Quotas) -> Option<String> {
    let over = |what: &str, count: usize, unit: &str, quota: usize| {
        (count > quota).then(|| format!("during the change {what} would have {count} {unit}, but the quota is {quota}"))
    };
    made.iter().find_map(|call| {
        call.apply_to(&mut role);
        match call.write() {
            FieldWrite::Trust(_, to) => over("its trust policy", to.size(), "characters", quotas.trust_size),
            FieldWrite::Attach(_) => over("it", role.attached.len(), "attached policies", quotas.attached_per_role),
            FieldWrite::Inline(_, _, Some(_)) => {
                let size = role.inline.values().map(PolicyDocument::size).sum();
                over("its inline policies", size, "characters", quotas.inline_size)
            }
            _ => None,
        }
    })
}

/// Makes the calls of an object that free space come before the calls that need it, unless an edge forbids that.
pub(super) fn free_space_first(calls: &Calls, nodes: &[usize], graph: &mut Graph) {
    let size = |document: Option<&PolicyDocument>| document.map_or(0, PolicyDocument::size);
    // for each call, whether it counts for the quota of attachments, and whether it needs space
    let space = |node: &usize| match calls.iam(*node)?.write() {
        FieldWrite::Attach(_) => Some((*node, true, true)),
        FieldWrite::Detach(_) => Some((*node, true, false)),
        FieldWrite::Inline(_, from, to) => Some((*node, false, to.is_some() && size(to) >= size(from))),
        _ => None,
    };
    let (needing, freeing): (Vec<_>, Vec<_>) = nodes.iter().filter_map(space).partition(|(.., needs)| *needs);
    let pairs = |freeing: &(usize, bool, bool)| {
        let (node, attachments, _) = *freeing;
        let same = needing.iter().filter(move |(_, other, _)| *other == attachments);
        same.map(move |(needing, ..)| (node, *needing))
    };
    let free = freeing.iter().filter(|freeing| !pairs(freeing).any(|(node, needing)| graph.reaches(needing, node)));
    let edges: Vec<(usize, usize)> = free.flat_map(pairs).collect();
    for (first, second) in edges {
        graph.edge(first, second, EdgeReason::Required);
    }
}
