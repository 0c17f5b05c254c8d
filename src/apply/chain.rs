//! A field that a plan writes more than once: trust or a document that goes through what both ends have in common. Each
//! value on the way is one that the plan knows.

use crate::model::call::{Call, Field, IamCall};
use crate::plan::Step;
use crate::policy::PolicyDocument;

/// A write: from where, to where.
type Link<'p> = (Option<&'p PolicyDocument>, Option<&'p PolicyDocument>);

/// The values of one field on its way through a step, in order.
pub(super) struct Chain<'p>(Vec<Link<'p>>);

impl<'p> Chain<'p> {
    /// Of the documents that `field` has.
    pub(super) fn of(step: &'p Step, field: Field<'_>) -> Self {
        let links = step.parts.iter().filter_map(|part| match &part.call {
            Call::Iam(_, call) if call.field() == field => link(call),
            _ => None,
        });
        Self(links.collect())
    }

    /// Whether the plan writes this value at some time.
    pub(super) fn writes(&self, live: &PolicyDocument) -> bool {
        self.0.iter().any(|(_, to)| *to == Some(live))
    }

    /// Whether a value is one that the field has before the write `link`: an answer of IAM may be some seconds old
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>).
    pub(super) fn is_earlier(&self, link: Link<'_>, live: Option<&PolicyDocument>) -> bool {
        let at = self.0.iter().position(|other| *other == link).unwrap_or(0);
        self.0[..at].iter().any(|(from, _)| *from == live)
    }

    /// Whether a value is one that the field has after the write `link`: what follows is done already.
    pub(super) fn is_later(&self, link: Link<'_>, live: Option<&PolicyDocument>) -> bool {
        let at = self.0.iter().position(|other| *other == link).unwrap_or(self.0.len());
        self.0.iter().skip(at + 1).any(|(_, to)| *to == live)
    }
}

fn link(call: &IamCall) -> Option<Link<'_>> {
    match call {
        IamCall::UpdateTrust { from, to, .. } | IamCall::CreatePolicyVersion { from, to, .. } => {
            Some((Some(from), Some(to)))
        }
        IamCall::PutInline { from, to, .. } => Some((from.as_ref(), Some(to))),
        IamCall::DeleteInline { from, .. } => Some((Some(from), None)),
        _ => None,
    }
}
