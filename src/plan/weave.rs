//! Changes of a policy and of the trust of roles that have it attached, so that at no moment someone has a permission
//! that he has neither before nor after: those who go leave before the policy changes, those who come arrive after.

use super::change::ResourceChange;
use super::draft::Draft;
use super::order::reaches;
use super::step::{Part, Step};
use crate::ids::{Key, PolicyArn};
use crate::model::address::Address;
use crate::model::call::{Call, IamCall};
use crate::model::resource::Role;
use crate::policy::PolicyDocument;
use crate::policy::narrow::{self, Way};

/// Orders policy changes among role changes, moving calls from role to policy steps where order alone is not enough.
#[expect(clippy::collapsible_match, reason = "a guard that changes the draft would hide what it does")]
pub(crate) fn weave(draft: &mut Draft) {
    let pairs = pairs(draft);
    // first the orders that cannot be had otherwise: they only make roles wait for policies, so they close no circle
    for pair in &pairs {
        match pair.way() {
            Some(Way::Widens) => need(draft, &pair.role, &pair.policy),
            Some(Way::Through(common)) => {
                ahead(draft, pair, pair.narrow_to(&common));
                start_from(draft, &pair.role, &common);
                need(draft, &pair.role, &pair.policy);
            }
            Some(Way::Apart) => {
                ahead(draft, pair, pair.detach());
                attach_at_the_end(draft, pair);
                need(draft, &pair.role, &pair.policy);
            }
            Some(Way::Narrows) | None => {}
        }
    }
    for pair in &pairs {
        match (pair.way(), &pair.after) {
            (Some(Way::Narrows), Some(after)) => {
                if !need_if_open(draft, &pair.policy, &pair.role) {
                    ahead(draft, pair, pair.narrow_to(&after.trust));
                    forget_call(draft, &pair.role, |call| matches!(call, IamCall::UpdateTrust { .. }));
                }
            }
            // it lets go of the policy: before the policy can give more
            (None, Some(after)) if !after.attached.contains(&pair.arn) => {
                if !need_if_open(draft, &pair.policy, &pair.role) {
                    ahead(draft, pair, pair.detach());
                    forget_call(
                        draft,
                        &pair.role,
                        |call| matches!(call, IamCall::Detach { arn, .. } if *arn == pair.arn),
                    );
                }
            }
            (None, None) => {
                let alone = pairs.iter().filter(|other| other.role == pair.role).count() == 1;
                deleted(draft, pair, alone);
            }
            _ => {}
        }
    }
}

/// Has the policies of a role that waits wait for it, where someone is to leave them: they must not give more before.
/// Names them.
pub(crate) fn follow(draft: &mut Draft, waits: &Step) -> Vec<Address> {
    let ResourceChange::Role(change) = &waits.change else { return Vec::new() };
    let Some(before) = change.before() else { return Vec::new() };
    let leaves = |arn: &PolicyArn| {
        keeps(change.after(), arn).is_none_or(|after| way(before, after).is_some_and(|way| !matches!(way, Way::Widens)))
    };
    let left = |step: &&mut Step| changed(step).is_some_and(|(_, arn)| before.attached.contains(arn) && leaves(arn));
    let steps = draft.steps.values_mut().filter(left);
    steps
        .map(|step| {
            step.needs.push(waits.address.clone());
            step.address.clone()
        })
        .collect()
}

/// A policy that changes, and a role that changes and has it attached before.
struct Pair {
    policy: Address,
    arn: PolicyArn,
    account: Key,
    role: Address,
    before: Role,
    after: Option<Role>,
}

impl Pair {
    /// How trust changes while the policy stays attached; nothing if it does not.
    fn way(&self) -> Option<Way> {
        keeps(self.after.as_ref(), &self.arn).and_then(|after| way(&self.before, after))
    }

    fn narrow_to(&self, trust: &PolicyDocument) -> IamCall {
        IamCall::UpdateTrust { name: self.before.name.clone(), from: self.before.trust.clone(), to: trust.clone() }
    }

    fn detach(&self) -> IamCall {
        IamCall::Detach { name: self.before.name.clone(), arn: self.arn.clone() }
    }
}

/// The role as it will be, if it is still there and has the policy attached.
fn keeps<'r>(after: Option<&'r Role>, arn: &PolicyArn) -> Option<&'r Role> {
    after.filter(|after| after.attached.contains(arn))
}

/// How trust changes; nothing if it does not.
fn way(before: &Role, after: &Role) -> Option<Way> {
    (before.trust != after.trust).then(|| narrow::way(&before.trust, &after.trust))
}

/// Whether there is anything to order.
pub(crate) fn has_pairs(draft: &Draft) -> bool {
    !pairs(draft).is_empty()
}

fn pairs(draft: &Draft) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for step in draft.steps.values() {
        let Some((account, arn)) = changed(step) else { continue };
        for other in draft.steps.values() {
            let ResourceChange::Role(change) = &other.change else { continue };
            let Some(before) = change.before().filter(|before| before.attached.contains(arn)) else { continue };
            pairs.push(Pair {
                policy: step.address.clone(),
                arn: arn.clone(),
                account: account.clone(),
                role: other.address.clone(),
                before: before.clone(),
                after: change.after().cloned(),
            });
        }
    }
    pairs
}

/// The policy whose document a step changes.
fn changed(step: &Step) -> Option<(&Key, &PolicyArn)> {
    step.parts.iter().find_map(|part| match &part.call {
        Call::Iam(account, IamCall::CreatePolicyVersion { arn, .. }) => Some((account, arn)),
        _ => None,
    })
}

/// `later` waits for `earlier`.
pub(crate) fn need(draft: &mut Draft, later: &Address, earlier: &Address) {
    if let Some(step) = draft.steps.get_mut(later)
        && !step.needs.contains(earlier)
    {
        step.needs.push(earlier.clone());
    }
}

/// `later` waits for `earlier`, unless `earlier` already waits for `later`.
pub(crate) fn need_if_open(draft: &mut Draft, later: &Address, earlier: &Address) -> bool {
    let open = !reaches(&draft.steps, earlier, later);
    if open {
        need(draft, later, earlier);
    }
    open
}

/// Puts a call on the role before the policy's own; once, also when several policies of the role change.
fn ahead(draft: &mut Draft, pair: &Pair, call: IamCall) {
    let call = Call::Iam(pair.account.clone(), call);
    let earlier = draft
        .steps
        .values()
        .find(|step| {
            step.address != pair.policy && step.address != pair.role && step.parts.iter().any(|part| part.call == call)
        })
        .map(|step| step.address.clone());
    if let Some(earlier) = earlier {
        return need(draft, &pair.policy, &earlier);
    }
    if let Some(step) = draft.steps.get_mut(&pair.policy) {
        step.parts.insert(0, Part { call });
        step.reasons.push(format!("`{}` is narrowed first: not all who have it keep it", pair.role));
    }
}

/// The role's step begins where the calls ahead of it have left its trust.
fn start_from(draft: &mut Draft, role: &Address, common: &PolicyDocument) {
    let Some(step) = draft.steps.get_mut(role) else { return };
    step.parts.retain(|part| !matches!(&part.call, Call::Iam(_, IamCall::UpdateTrust { to, .. }) if to == common));
    for part in &mut step.parts {
        if let Call::Iam(_, IamCall::UpdateTrust { from, .. }) = &mut part.call {
            *from = common.clone();
        }
    }
}

fn attach_at_the_end(draft: &mut Draft, pair: &Pair) {
    if let Some(step) = draft.steps.get_mut(&pair.role) {
        let call = IamCall::Attach { name: pair.before.name.clone(), arn: pair.arn.clone() };
        step.parts.push(Part { call: Call::Iam(pair.account.clone(), call) });
    }
}

fn forget_call(draft: &mut Draft, role: &Address, which: impl Fn(&IamCall) -> bool) {
    if let Some(step) = draft.steps.get_mut(role) {
        step.parts.retain(|part| !matches!(&part.call, Call::Iam(_, call) if which(call)));
    }
}

/// The role goes. Where its ServiceAccounts move to a role that waits for the policy, the old one cannot go before
/// the policy changes: it keeps only those who have the policy afterwards too, or, where several of its policies
/// change, does without them.
fn deleted(draft: &mut Draft, pair: &Pair, alone: bool) {
    if need_if_open(draft, &pair.policy, &pair.role) {
        return;
    }
    let heirs: Vec<&PolicyDocument> = draft
        .steps
        .values()
        .filter_map(|step| match &step.change {
            ResourceChange::Role(change) => change.after(),
            _ => None,
        })
        .filter(|role| role.attached.contains(&pair.arn))
        .map(|role| &role.trust)
        .collect();
    match narrow::kept(&pair.before.trust, &heirs).filter(|_| alone) {
        None => {
            ahead(draft, pair, pair.detach());
            forget_call(draft, &pair.role, |call| matches!(call, IamCall::Detach { arn, .. } if *arn == pair.arn));
        }
        Some(kept) if kept != pair.before.trust => ahead(draft, pair, pair.narrow_to(&kept)),
        Some(_) => {}
    }
}
