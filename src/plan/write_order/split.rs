//! Takes a call apart that takes and gives at once: first to what both ends have in common, then to the end.

use super::calls::{Calls, Half};
use crate::model::call::{Call, IamCall};
use crate::model::live::Quotas;
use crate::plan::context::PlanContext;
use crate::policy::{permission_effects, trust_effects};

/// The halves of a call, and what must be done between them.
struct Halves {
    calls: [IamCall; 2],
    between: Vec<IamCall>,
    /// What costs least is split first: trust costs nobody anything, a managed policy is had by many.
    cost: u8,
}

/// Splits the one call of a circle that costs least. `false` where none can be split.
pub(super) fn split(context: &PlanContext<'_>, calls: &mut Calls, circle: &[usize]) -> bool {
    let halves = circle.iter().filter_map(|node| Some((*node, halves(context, calls, *node)?)));
    let Some((node, halves)) = halves.min_by_key(|(node, halves)| (halves.cost, calls.rank(*node))) else {
        return false;
    };
    calls.split(node, halves.calls, halves.between);
    true
}

fn halves(context: &PlanContext<'_>, calls: &Calls, node: usize) -> Option<Halves> {
    if calls.nodes[node].half != Half::Whole || !calls.effects(node).takes_and_gives() {
        return None;
    }
    let Some(Call::Iam(account, call)) = &calls.nodes[node].call else { return None };
    let account = context.account(account)?;
    let quotas = &account.quotas;
    let simple = |cost, calls| Some(Halves { calls, between: Vec::new(), cost });
    match call {
        IamCall::UpdateTrust { name, from, to } => {
            let nobody = || is_denied(calls, node).then(|| trust_effects::deny_everyone(from, to));
            let meet =
                trust_effects::intersect(from, to).or_else(nobody).filter(|meet| meet.size() <= quotas.trust_size)?;
            let half = |from, to| IamCall::UpdateTrust { name: name.clone(), from, to };
            simple(0, [half(from.clone(), meet.clone()), half(meet, to.clone())])
        }
        IamCall::PutInline { name, policy, from, to } => {
            let meet = permission_effects::intersect(from.as_ref(), Some(to))?;
            let half = |from, to| IamCall::PutInline { name: name.clone(), policy: policy.clone(), from, to };
            simple(1, [half(from.clone(), meet.clone()), half(Some(meet), to.clone())])
        }
        IamCall::DeleteInline { name, policy, from } => {
            let meet = permission_effects::intersect(Some(from), None)?;
            let (name, policy) = (name.clone(), policy.clone());
            let put = IamCall::PutInline {
                name: name.clone(),
                policy: policy.clone(),
                from: Some(from.clone()),
                to: meet.clone(),
            };
            simple(1, [put, IamCall::DeleteInline { name, policy, from: meet }])
        }
        IamCall::CreatePolicyVersion { arn, from, to } => {
            let meet = permission_effects::intersect(Some(from), Some(to))
                .filter(|meet| meet.size() <= quotas.managed_size)?;
            let live = account.policies.get(arn)?.present()?;
            let half = |from, to| IamCall::CreatePolicyVersion { arn: arn.clone(), from, to };
            let between = room_for_one_more(calls, node, live, quotas)
                .map(|version| IamCall::DeletePolicyVersion { arn: arn.clone(), version });
            Some(Halves {
                calls: [half(from.clone(), meet.clone()), half(meet, to.clone())],
                between: between.into_iter().collect(),
                cost: 2,
            })
        }
        _ => None,
    }
}

/// Whether the role is denied everything meanwhile, so that nobody misses it.
fn is_denied(calls: &Calls, node: usize) -> bool {
    calls.viewer_of(calls.nodes[node].object).is_some_and(|viewer| calls.viewers[viewer].denied.is_some())
}

/// The version that must go before a second new one is made, if one must.
fn room_for_one_more(
    calls: &Calls,
    node: usize,
    live: &crate::model::live::LivePolicy,
    quotas: &Quotas,
) -> Option<String> {
    let object = calls.nodes[node].object;
    let goes = |version: &String| {
        calls.nodes.iter().filter(|node| node.object == object).any(|node| {
            matches!(&node.call, Some(Call::Iam(_, IamCall::DeletePolicyVersion { version: gone, .. })) if gone == version)
        })
    };
    // those that are kept, the one that was the default, and the first new one
    let mut kept = live.other_versions.iter().filter(|version| !goes(version)).chain([&live.default_version]);
    let count = live.other_versions.iter().filter(|version| !goes(version)).count() + 2;
    if count < quotas.versions_per_policy { None } else { kept.next().cloned() }
}
