//! The last look at an object before it is written: as the plan found it, done already, or stale.

use super::outage;
use crate::model::address::Address;
use crate::model::call::Call;
use crate::plan::saved::Stale;
use crate::plan::{Plan, Step};
use crate::world::{CallError, ReadAws, ReadKubernetes};
use futures::{StreamExt, stream};
use std::collections::BTreeSet;

/// How many steps of an account or cluster are looked at side by side; the pace within is kept by `world`.
const STEPS_AT_ONCE: usize = 64;

/// What a look says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// It is as the plan found it: write.
    Write,
    /// It may be deleted, at this version of it.
    Delete(String),
    /// It is as the plan would leave it: there is nothing to write.
    Done,
    /// It is neither, for these reasons.
    Stale(BTreeSet<String>),
}

impl Finding {
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
pub(super) struct Recheck<'a, A, K> {
    pub plan: &'a Plan,
    pub aws: &'a A,
    pub kubernetes: &'a K,
    pub when: When,
}

impl<A: ReadAws, K: ReadKubernetes> Recheck<'_, A, K> {
    /// ReadOptions at the field that a call touches.
    pub(super) async fn call(&self, step: &Step, call: &Call) -> Result<Finding, CallError> {
        match call {
            Call::Iam(account, call) => self.iam(step, account, call).await,
            Call::Kubernetes(cluster, call) => self.service_account(cluster, call).await,
        }
    }

    /// ReadOptions at everything that the steps of one account or cluster touch. Once nothing can be read there, no more is
    /// asked.
    pub(super) async fn steps(&self, steps: &[&Step]) -> Vec<Stale> {
        let mut looks = stream::iter(0..steps.len()).map(|at| self.step(steps[at])).buffered(STEPS_AT_ONCE);
        let (mut stale, mut seen, mut in_a_row) = (Vec::new(), 0, 0);
        while let Some((reasons, outage)) = looks.next().await {
            let address = &steps[seen].address;
            stale.extend(reasons.into_iter().map(|why| Stale { address: address.to_string(), why }));
            seen += 1;
            in_a_row = if outage.is_some() { in_a_row + 1 } else { 0 };
            if let Some(why) = outage.filter(|_| in_a_row == outage::IN_A_ROW) {
                let why = format!("{why} ({})", outage::UNSENT);
                let unseen = steps[seen..].iter();
                stale.extend(unseen.map(|step| Stale { address: step.address.to_string(), why: why.clone() }));
                break;
            }
        }
        stale
    }

    /// ReadOptions at everything that a step touches, up to what says that no other can be read either. Returns the reasons
    /// against writing, and that one.
    async fn step(&self, step: &Step) -> (BTreeSet<String>, Option<String>) {
        let mut reasons = BTreeSet::new();
        let mut parts = step.parts.iter();
        let mut verdict = self.before_step(step).await;
        loop {
            match verdict {
                Ok(Finding::Stale(why)) => reasons.extend(why),
                Ok(Finding::Write | Finding::Delete(_) | Finding::Done) => {}
                Err(error) => {
                    let why = format!("it could not be read: {error}");
                    reasons.insert(why.clone());
                    if outage::is_one(error.kind) {
                        return (reasons, Some(why));
                    }
                }
            }
            let Some(part) = parts.next() else { return (reasons, None) };
            verdict = self.call(step, &part.call).await;
        }
    }

    /// The step of an object in this plan.
    pub(super) fn step_of(&self, address: &Address) -> Option<&Step> {
        self.plan.steps.iter().find(|step| step.address == *address)
    }
}
