//! Remembers what this run wrote in one account, because IAM may not show it everywhere yet.
//!
//! It answers one question: can a "not found", an "invalid principal" or a conflict come from a recent write of this
//! run? Only the decision to retry depends on it.

use crate::ids::{PolicyName, RoleName};
use crate::model::call::{Field, FieldWrite, IamCall, Target};
use crate::policy::{PolicyDocument, Statement};
use crate::world::retry::RetryFacts;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The recent writes of one account.
#[derive(Debug, Default)]
pub(crate) struct RecentWrites(Mutex<Writes>);

/// Ids of objects, as [`Target::id`] or [`inline_id`] returns them.
#[derive(Debug, Default)]
struct Writes {
    created: BTreeSet<String>,
    /// The roles that something was detached from, and the policies that were detached or lost a version.
    detached: BTreeSet<String>,
}

/// What a write does to the field that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// Creates an object that must not exist.
    Create,
    /// Sets a field of an object that must exist.
    Set,
    /// Removes a field or the object. Nothing is left to do if it is already gone.
    Remove,
}

impl WriteKind {
    pub(crate) fn of(call: &IamCall) -> Self {
        match call.write() {
            FieldWrite::Create(_) => Self::Create,
            FieldWrite::Settings(..)
            | FieldWrite::Trust(..)
            | FieldWrite::Boundary(_, Some(_))
            | FieldWrite::Inline(_, _, Some(_))
            | FieldWrite::Attach(_)
            | FieldWrite::Document(..)
            | FieldWrite::AddAudience(_)
            | FieldWrite::SetTags(..) => Self::Set,
            FieldWrite::Delete
            | FieldWrite::Boundary(_, None)
            | FieldWrite::Inline(_, _, None)
            | FieldWrite::Detach(_)
            | FieldWrite::DeleteVersion(_)
            | FieldWrite::RemoveTags(_) => Self::Remove,
        }
    }
}

/// The id of an inline policy. `role` is the id of its role.
fn inline_id(role: &str, policy: &str) -> String {
    format!("{role} {policy}")
}

impl RecentWrites {
    fn lock(&self) -> MutexGuard<'_, Writes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn created(&self, id: &str) -> RetryFacts {
        RetryFacts { created: self.lock().created.contains(id), ..RetryFacts::default() }
    }

    /// Facts for a read of an object.
    pub(crate) fn facts_for_read(&self, target: Target<'_>) -> RetryFacts {
        self.created(&target.id())
    }

    /// Facts for a read of an inline policy. Only a recent write of this policy counts, because a new role need not
    /// have it.
    pub(crate) fn facts_for_inline(&self, role: &RoleName, policy: &PolicyName) -> RetryFacts {
        self.created(&inline_id(&role.lower_case(), policy.as_str()))
    }

    /// Facts for a write.
    pub(crate) fn facts_for_write(&self, call: &IamCall) -> RetryFacts {
        let writes = self.lock();
        let (kind, target) = (WriteKind::of(call), call.target().id());
        let (policy, trust) = match (call, call.write()) {
            (IamCall::CreateRole { role }, _) => (role.permissions_boundary.as_ref(), Some(&role.trust)),
            (_, FieldWrite::Trust(_, to)) => (None, Some(to)),
            (_, FieldWrite::Boundary(_, Some(arn)) | FieldWrite::Attach(arn)) => (Some(arn), None),
            _ => (None, None),
        };
        RetryFacts {
            created: kind == WriteKind::Set && writes.created.contains(&target),
            policy_created: policy.is_some_and(|arn| writes.created.contains(arn.as_str())),
            principal_created: trust.is_some_and(|trust| writes.created_principal(trust)),
            detached: kind == WriteKind::Remove && call.field() == Field::Object && writes.detached.contains(&target),
            // a blind retry could create a second version, and a policy has room for only five
            must_not_repeat: matches!(call, IamCall::CreatePolicyVersion { .. }),
            ..RetryFacts::default()
        }
    }

    /// Remembers a write that IAM acknowledged.
    pub(crate) fn remember(&self, call: &IamCall) {
        let Writes { created, detached } = &mut *self.lock();
        let target = call.target().id();
        let inline = |policy: &PolicyName| inline_id(&target, policy.as_str());
        match (WriteKind::of(call), call.field()) {
            (WriteKind::Set, Field::Inline(policy)) => {
                created.insert(inline(policy));
            }
            (WriteKind::Remove, Field::Inline(policy)) => {
                created.remove(&inline(policy));
                detached.insert(target);
            }
            (WriteKind::Remove, Field::Attached(arn)) => detached.extend([target, arn.to_string()]),
            (WriteKind::Remove, Field::Version(_)) => {
                detached.insert(target);
            }
            (WriteKind::Remove, Field::Object) => {
                let inline = inline_id(&target, "");
                created.retain(|id| *id != target && !id.starts_with(&inline));
            }
            (WriteKind::Create, _) => {
                created.insert(target);
            }
            (WriteKind::Set | WriteKind::Remove, _) => {}
        }
        if let FieldWrite::Boundary(Some(from), _) = call.write() {
            detached.insert(from.to_string());
        }
    }
}

impl Writes {
    /// Whether the trust policy names a role or provider that this run created.
    fn created_principal(&self, trust: &PolicyDocument) -> bool {
        trust.statements().iter().flat_map(Statement::principals).any(|principal| {
            let principal = principal.text();
            let role = principal.split_once(":role/").and_then(|(_, path)| path.rsplit('/').next());
            self.created.contains(principal)
                || role.is_some_and(|name| self.created.contains(&name.to_ascii_lowercase()))
        })
    }
}

#[cfg(test)]
mod tests;
