//! What a role holds while its calls are made, against the quotas of its account. What IAM would refuse half way is
//! refused before the first call.

use super::calls::Calls;
use super::graph::{Graph, Why};
use crate::model::call::{Call, IamCall};
use crate::model::live::Quotas;
use crate::model::resource::Role;
use crate::plan::roles::calls::role_after;
use crate::policy::PolicyDocument;

/// Why a role cannot go through these calls in this order.
pub(super) fn exceeded<'c>(before: &Role, calls: impl Iterator<Item = &'c IamCall>, quotas: &Quotas) -> Option<String> {
    let mut role = before.clone();
    for call in calls {
        role = role_after(&role, [call]);
        match call {
            IamCall::UpdateTrust { to, .. } if to.size() > quotas.trust_size => {
                return Some(format!(
                    "on the way its trust policy would have {} characters, the quota is {}",
                    to.size(),
                    quotas.trust_size
                ));
            }
            IamCall::Attach { .. } if role.attached.len() > quotas.attached_per_role => {
                return Some(format!(
                    "on the way it would have {} attached policies, the quota is {}",
                    role.attached.len(),
                    quotas.attached_per_role
                ));
            }
            IamCall::PutInline { .. } => {
                let size: usize = role.inline.values().map(PolicyDocument::size).sum();
                if size > quotas.inline_size {
                    return Some(format!(
                        "on the way its inline policies would have {size} characters, the quota is {}",
                        quotas.inline_size
                    ));
                }
            }
            _ => {}
        }
    }
    None
}

/// Has the calls of an object that make room come before those that take it, except where the rules want the opposite.
pub(super) fn room_first(calls: &Calls, nodes: &[usize], graph: &mut Graph) {
    let grows = |node: &usize| match &calls.nodes[*node].call {
        Some(Call::Iam(_, IamCall::Attach { .. })) => Some((true, true)),
        Some(Call::Iam(_, IamCall::Detach { .. })) => Some((true, false)),
        Some(Call::Iam(_, IamCall::PutInline { from, to, .. })) => {
            let old = from.as_ref().map_or(0, PolicyDocument::size);
            Some((false, to.size() >= old))
        }
        Some(Call::Iam(_, IamCall::DeleteInline { .. })) => Some((false, false)),
        _ => None,
    };
    let sized: Vec<(usize, (bool, bool))> = nodes.iter().filter_map(|node| Some((*node, grows(node)?))).collect();
    let takes = |attached: bool| sized.iter().filter(move |(_, (kind, grows))| *kind == attached && *grows);
    let makes = sized.iter().filter(|(_, (_, grows))| !grows);
    let free: Vec<(usize, bool)> = makes
        .map(|(node, (attached, _))| (*node, *attached))
        .filter(|(node, attached)| !takes(*attached).any(|(taker, _)| graph.reaches(*taker, *node)))
        .collect();
    for (node, attached) in free {
        takes(attached).for_each(|(taker, _)| graph.edge(node, *taker, Why::Existence));
    }
}
