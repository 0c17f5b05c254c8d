//! Splits a call that takes and gives at once. The first call writes what both values have in common, and the second
//! call writes the new value.

use super::calls::{Calls, SplitCall};
use crate::model::call::IamCall;
use crate::model::live::{LivePolicy, Quotas};
use crate::plan::context::PlanContext;
use crate::policy::{permission_effects, trust_effects};

struct Split {
    parts: [IamCall; 2],
    /// A call that must be made between the parts.
    between: Option<IamCall>,
    /// The call of the lowest cost is split first. Trust costs 0, because nobody who stays loses access. An inline
    /// policy costs 1, because one role may lack permissions for a moment. A managed policy costs 2, because many roles
    /// may.
    cost: u8,
}

/// Splits the call of a cycle that costs least. `false` if none can be split.
pub(super) fn split(context: &PlanContext<'_>, calls: &mut Calls, cycle: &[usize]) -> bool {
    let splits = cycle.iter().filter_map(|node| Some((*node, parts(context, calls, *node)?)));
    let Some((node, split)) = splits.min_by_key(|(node, split)| (split.cost, calls.rank(*node))) else {
        return false;
    };
    calls.split(node, split.parts, split.between);
    true
}

fn parts(context: &PlanContext<'_>, calls: &Calls, node: usize) -> Option<Split> {
    if calls.nodes[node].split != SplitCall::Unsplit || !calls.effects(node).takes_and_gives() {
        return None;
    }
    let (account, call) = calls.nodes[node].call.as_ref()?.iam()?;
    let account = context.account(account)?;
    let quotas = &account.quotas;
    let (parts, between, cost) = match call {
        IamCall::UpdateTrust { name, from, to } => {
            // while the role denies everything, nobody needs to be able to assume it
            let denied = calls.own_role(node).is_some_and(|role| role.deny.is_some());
            let nobody = || denied.then(|| trust_effects::deny_everyone(from, to));
            let middle = trust_effects::intersect(from, to)
                .or_else(nobody)
                .filter(|middle| middle.size() <= quotas.trust_size)?;
            let part = |from, to| IamCall::UpdateTrust { name: name.clone(), from, to };
            ([part(from.clone(), middle.clone()), part(middle, to.clone())], None, 0)
        }
        IamCall::PutInline { name, policy, from, to } => {
            let middle = permission_effects::intersect(from.as_ref(), Some(to))?;
            let part = |from, to| IamCall::PutInline { name: name.clone(), policy: policy.clone(), from, to };
            ([part(from.clone(), middle.clone()), part(Some(middle), to.clone())], None, 1)
        }
        IamCall::DeleteInline { name, policy, from } => {
            let middle = permission_effects::intersect(Some(from), None)?;
            let (name, policy, from) = (name.clone(), policy.clone(), Some(from.clone()));
            let put = IamCall::PutInline { name: name.clone(), policy: policy.clone(), from, to: middle.clone() };
            ([put, IamCall::DeleteInline { name, policy, from: middle }], None, 1)
        }
        IamCall::CreatePolicyVersion { arn, from, to } => {
            let middle = permission_effects::intersect(Some(from), Some(to))
                .filter(|middle| middle.size() <= quotas.managed_size)?;
            let live = account.policies.get(arn)?.present()?;
            let part = |from, to| IamCall::CreatePolicyVersion { arn: arn.clone(), from, to };
            let version = version_to_delete(calls, node, live, quotas);
            let between = version.map(|version| IamCall::DeletePolicyVersion { arn: arn.clone(), version });
            ([part(from.clone(), middle.clone()), part(middle, to.clone())], between, 2)
        }
        _ => return None,
    };
    Some(Split { parts, between, cost })
}

/// The version that must be deleted before the second new version can be created, if the quota requires that.
fn version_to_delete(calls: &Calls, node: usize, live: &LivePolicy, quotas: &Quotas) -> Option<String> {
    let object = calls.nodes[node].object;
    let is_deleted = |version: &&String| {
        let mut own = calls.nodes.iter().filter(|node| node.object == object);
        own.any(|node| matches!(node.iam(), Some(IamCall::DeletePolicyVersion { version: old, .. }) if old == *version))
    };
    let mut kept = live.other_versions.iter().filter(|version| !is_deleted(version)).chain([&live.default_version]);
    // the versions that stay, with the present default version, and the first new version
    let count = kept.clone().count() + 1;
    if count < quotas.versions_per_policy { None } else { kept.next().cloned() }
}
