//! A field that a plan writes more than once: trust that is narrowed first and widened last, an inline policy that is
//! removed and put back. Each value on the way is one that the plan knows.

use crate::ids::{Key, PolicyName, RoleName};
use crate::model::call::{Call, IamCall};
use crate::plan::Plan;
use crate::policy::PolicyDocument;

/// The values of one field on its way through a plan, in order: from where, to where.
pub(super) type Chain<'p> = Vec<(Option<&'p PolicyDocument>, Option<&'p PolicyDocument>)>;

fn calls<'p>(plan: &'p Plan, account: &'p Key) -> impl Iterator<Item = &'p IamCall> {
    plan.steps.iter().flat_map(|step| &step.parts).filter_map(move |part| match &part.call {
        Call::Iam(key, call) if key == account => Some(call),
        _ => None,
    })
}

/// The writes to a role's trust.
pub(super) fn trust<'p>(plan: &'p Plan, account: &'p Key, role: &'p RoleName) -> Chain<'p> {
    calls(plan, account)
        .filter_map(|call| match call {
            IamCall::UpdateTrust { name, from, to } if name == role => Some((Some(from), Some(to))),
            _ => None,
        })
        .collect()
}

/// The writes to an inline policy of a role.
pub(super) fn inline<'p>(plan: &'p Plan, account: &'p Key, role: &'p RoleName, inline: &'p PolicyName) -> Chain<'p> {
    calls(plan, account)
        .filter_map(|call| match call {
            IamCall::PutInline { name, policy, from, to } if name == role && policy == inline => {
                Some((from.as_ref(), Some(to)))
            }
            IamCall::DeleteInline { name, policy, from } if name == role && policy == inline => {
                Some((Some(from), None))
            }
            _ => None,
        })
        .collect()
}

/// Whether a value is one that the field has before the write `from` → `to`: an answer of IAM may be some seconds old
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>).
pub(super) fn is_earlier(
    chain: &Chain<'_>,
    link: (Option<&PolicyDocument>, Option<&PolicyDocument>),
    live: Option<&PolicyDocument>,
) -> bool {
    let at = chain.iter().position(|other| *other == link).unwrap_or(0);
    chain[..at].iter().any(|(from, _)| *from == live)
}

/// Whether a value is one that the field has after the write `from` → `to`: what follows is done already.
pub(super) fn is_later(
    chain: &Chain<'_>,
    link: (Option<&PolicyDocument>, Option<&PolicyDocument>),
    live: Option<&PolicyDocument>,
) -> bool {
    let at = chain.iter().position(|other| *other == link).unwrap_or(chain.len());
    chain.iter().skip(at + 1).any(|(_, to)| *to == live)
}
