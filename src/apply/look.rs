//! The last look at an object before it is written: as the plan found it, done already, or stale.

use crate::model::address::Address;
use crate::model::call::Call;
use crate::plan::saved::Stale;
use crate::plan::{Plan, Step};
use crate::world::{CallError, ReadAws, ReadKubernetes};
use std::collections::BTreeSet;

/// What a look says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is as the plan found it: write.
    Write,
    /// It may be deleted, at this version of it.
    Delete(String),
    /// It is as the plan would leave it: there is nothing to write.
    Done,
    /// It is neither, for these reasons.
    Stale(BTreeSet<String>),
}

impl Verdict {
    pub(super) fn stale(why: impl Into<String>) -> Self {
        Self::Stale(BTreeSet::from([why.into()]))
    }

    /// The verdict on a field.
    pub(super) fn of<T: PartialEq>(field: &str, live: &T, from: &T, to: &T) -> Self {
        if live == to {
            Self::Done
        } else if live == from {
            Self::Write
        } else {
            Self::stale(format!("field `{field}` is neither as planned before nor after"))
        }
    }

    /// `other`, unless this one is stale.
    pub(super) fn unless_stale(self, other: Self) -> Self {
        if matches!(self, Self::Stale(_)) { self } else { other }
    }

    /// The verdict on a call that touches several fields; one of none has nothing to write.
    pub(super) fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().fold(Self::Done, |all, next| match (all, next) {
            (Self::Stale(mut all), Self::Stale(next)) => {
                all.extend(next);
                Self::Stale(all)
            }
            (Self::Stale(why), _) | (_, Self::Stale(why)) => Self::Stale(why),
            (Self::Delete(version), _) | (_, Self::Delete(version)) => Self::Delete(version),
            (Self::Write, _) | (_, Self::Write) => Self::Write,
            (Self::Done, Self::Done) => Self::Done,
        })
    }
}

/// At which moment a look is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Before the first write: what the plan itself will still change is not held against it.
    BeforeAll,
    /// Right before the write, after all that it needs.
    BeforeWrite,
}

/// What looking takes.
pub(super) struct Look<'a, A, K> {
    pub plan: &'a Plan,
    pub aws: &'a A,
    pub kubernetes: &'a K,
    pub when: When,
}

impl<A: ReadAws, K: ReadKubernetes> Look<'_, A, K> {
    /// Looks at the field that a call touches.
    pub(super) async fn call(&self, step: &Step, call: &Call) -> Result<Verdict, CallError> {
        match call {
            Call::Iam(account, call) => self.iam(step, account, call).await,
            Call::Kubernetes(cluster, call) => self.service_account(cluster, call).await,
        }
    }

    /// Looks at everything that a step touches.
    pub(super) async fn step(&self, step: &Step) -> Vec<Stale> {
        let mut reasons = BTreeSet::new();
        let mut note = |verdict: Result<Verdict, CallError>| match verdict {
            Ok(Verdict::Stale(why)) => reasons.extend(why),
            Ok(Verdict::Write | Verdict::Delete(_) | Verdict::Done) => {}
            Err(error) => {
                reasons.insert(format!("it could not be read: {error}"));
            }
        };
        note(self.before_step(step).await);
        for part in &step.parts {
            note(self.call(step, &part.call).await);
        }
        reasons.into_iter().map(|why| Stale { address: step.address.to_string(), why }).collect()
    }

    /// The step of an object in this plan.
    pub(super) fn step_of(&self, address: &Address) -> Option<&Step> {
        self.plan.steps.iter().find(|step| step.address == *address)
    }
}
