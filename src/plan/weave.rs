//! Changes of a policy and of the trust of roles that have it attached, so that at no moment someone has a permission
//! that he has neither before nor after: those who go leave before the policy changes, those who come arrive after.

use super::change::ResourceChange;
use super::draft::Draft;
use super::order::reaches;
use super::step::Part;
use crate::ids::PolicyArn;
use crate::model::address::Address;
use crate::model::call::{Call, IamCall};
use crate::model::resource::Role;
use crate::policy::PolicyDocument;
use crate::policy::narrow::{self, Way};

/// Orders policy changes among role changes, moving calls from role to policy steps where order alone is not enough.
pub(crate) fn weave(draft: &mut Draft) {
    let policies: Vec<(Address, PolicyArn)> = draft
        .steps
        .values()
        .filter_map(|step| {
            step.parts.iter().find_map(|part| match &part.call {
                Call::Iam(_, IamCall::CreatePolicyVersion { arn, .. }) => Some((step.address.clone(), arn.clone())),
                _ => None,
            })
        })
        .collect();
    for (policy, arn) in policies {
        let roles: Vec<Address> = draft
            .steps
            .values()
            .filter(|step| matches!(&step.change, ResourceChange::Role(change) if change.before().is_some_and(|role| role.attached.contains(&arn))))
            .map(|step| step.address.clone())
            .collect();
        for role in roles {
            weave_one(draft, &policy, &arn, &role);
        }
    }
}

fn weave_one(draft: &mut Draft, policy: &Address, arn: &PolicyArn, role: &Address) {
    let Some(ResourceChange::Role(change)) = draft.steps.get(role).map(|step| step.change.clone()) else { return };
    let keeps = |role: &Role| role.attached.contains(arn);
    let (Some(before), after) = (change.before(), change.after()) else { return };
    match after {
        Some(after) if keeps(after) => match narrow::way(&before.trust, &after.trust) {
            _ if before.trust == after.trust => {}
            Way::Narrows => need(draft, policy, role),
            Way::Widens => need(draft, role, policy),
            Way::Through(common) => {
                let leading = narrowing(before, &common);
                move_ahead(draft, policy, role, leading, &common);
            }
            Way::Apart => detach_around(draft, policy, role, before, arn),
        },
        // it lets go of the policy: before the policy can give more
        Some(_) | None => need(draft, policy, role),
    }
}

/// `later` waits for `earlier`, unless `earlier` already waits for `later`.
fn need(draft: &mut Draft, later: &Address, earlier: &Address) {
    if !reaches(&draft.steps, earlier, later)
        && let Some(step) = draft.steps.get_mut(later)
        && !step.needs.contains(earlier)
    {
        step.needs.push(earlier.clone());
    }
}

fn narrowing(before: &Role, common: &PolicyDocument) -> IamCall {
    IamCall::UpdateTrust { name: before.name.clone(), from: before.trust.clone(), to: common.clone() }
}

/// The role's trust narrows as the first call of the policy's step, and widens in its own.
fn move_ahead(draft: &mut Draft, policy: &Address, role: &Address, leading: IamCall, common: &PolicyDocument) {
    if reaches(&draft.steps, policy, role) {
        return;
    }
    let Some(step) = draft.steps.get_mut(role) else { return };
    let mut account = None;
    let mut moved = false;
    step.parts.retain_mut(|part| {
        let Call::Iam(key, IamCall::UpdateTrust { from, to, .. }) = &mut part.call else { return true };
        account = Some(key.clone());
        if to == common {
            moved = true;
            return false;
        }
        if !moved {
            *from = common.clone();
            moved = true;
        }
        true
    });
    let Some(account) = account else { return };
    if let Some(step) = draft.steps.get_mut(policy) {
        step.parts.insert(0, Part { call: Call::Iam(account, leading) });
        step.reasons.push(format!("`{role}` first trusts only those who keep it"));
    }
    need(draft, role, policy);
}

/// Nobody keeps the role: it does without the policy while both change.
fn detach_around(draft: &mut Draft, policy: &Address, role: &Address, before: &Role, arn: &PolicyArn) {
    if reaches(&draft.steps, policy, role) {
        return;
    }
    let Some(step) = draft.steps.get_mut(role) else { return };
    let Some(account) = step.parts.iter().find_map(|part| match &part.call {
        Call::Iam(account, _) => Some(account.clone()),
        Call::Kubernetes(..) => None,
    }) else {
        return;
    };
    let attach = IamCall::Attach { name: before.name.clone(), arn: arn.clone() };
    step.parts.push(Part { call: Call::Iam(account.clone(), attach) });
    let detach = IamCall::Detach { name: before.name.clone(), arn: arn.clone() };
    if let Some(step) = draft.steps.get_mut(policy) {
        step.parts.insert(0, Part { call: Call::Iam(account, detach) });
        step.reasons.push(format!("`{role}` changes hands: it does without the policy meanwhile"));
    }
    need(draft, role, policy);
}
