//! Re-reads an object before a call, and finds that the call must be made, is already done, or is stale. One file for
//! each kind of object.
//!
//! Each re-read of a field also reads the owner tag, because a step can take minutes while IAM is slow.

mod document;
mod policy;
mod provider;
mod role;
mod service_account;

use super::outage;
use crate::ids::Key;
use crate::model::call::{Call, IamCall};
use crate::model::marks::{OWNER, PREVENT_DESTROY};
use crate::model::resource::StringMap;
use crate::plan::change::{Change, ResourceChange};
use crate::plan::saved::Stale;
use crate::plan::{Plan, Step};
use crate::world::{Answer, ReadAws, ReadKubernetes};
use futures::{StreamExt, stream};
use std::collections::BTreeSet;

/// How many steps of an account or cluster are re-read concurrently. `world` limits the requests themselves.
const CONCURRENT_STEPS: usize = 64;

/// The result of a re-read for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// The field is as the plan found it, so write it.
    Write,
    /// The ServiceAccount may be deleted, at this `resourceVersion`.
    Delete(String),
    /// The field is already as planned, so do not write it.
    Done,
    /// The object has changed since the plan, for these reasons.
    Stale(BTreeSet<String>),
}

/// When a re-read happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Before the first write. irsa has written nothing yet, so a difference that a later call of the plan removes does
    /// not count as stale.
    BeforeFirstWrite,
    /// Right before the write, after everything that it depends on.
    BeforeEachWrite,
}

/// The plan to compare with, and the clients to read with.
pub(super) struct Recheck<'a, A, K> {
    pub plan: &'a Plan,
    pub aws: &'a A,
    pub kubernetes: &'a K,
    pub when: When,
}

/// The re-reads for the calls of one step to IAM.
struct IamRecheck<'a, A, K> {
    run: &'a Recheck<'a, A, K>,
    step: &'a Step,
    account: &'a Key,
}

impl Finding {
    fn stale(why: impl Into<String>) -> Self {
        Self::Stale(BTreeSet::from([why.into()]))
    }

    fn gone() -> Self {
        Self::stale("it is gone")
    }

    /// Compares one field with its planned values.
    fn field<T: PartialEq>(name: &str, live: &T, from: &T, to: &T) -> Self {
        if live == to {
            Self::Done
        } else if live == from {
            Self::Write
        } else {
            Self::stale(format!("field `{name}` has neither the old nor the planned value"))
        }
    }

    /// Compares tags, labels or annotations: each key in `from` or `to`.
    fn map(name: &str, live: &StringMap, from: &StringMap, to: &StringMap) -> Self {
        let keys = from.keys().chain(to.keys());
        Self::all(keys.map(|key| Self::field(&format!("{name}.{key}"), &live.get(key), &from.get(key), &to.get(key))))
    }

    /// Stale unless the live owner tag equals the owner tag before or after the change.
    fn owner<T>(change: &Change<T>, tags: impl Fn(&T) -> &StringMap, live: &StringMap) -> Self {
        let planned = [change.before(), change.after()];
        if planned.into_iter().flatten().any(|object| tags(object).get(OWNER) == live.get(OWNER)) {
            return Self::Write;
        }
        let now = live.get(OWNER).map_or_else(|| "nobody".to_owned(), |owner| format!("`{owner}`"));
        Self::stale(format!("it belongs to {now} now (`tags.{OWNER}`)"))
    }

    /// Stale if the owner tag or `irsa/prevent-destroy` has changed.
    fn delete_tags(before: &StringMap, live: &StringMap) -> Self {
        let unchanged = |key| Self::field(&format!("tags.{key}"), &live.get(key), &before.get(key), &before.get(key));
        Self::all([OWNER, PREVENT_DESTROY].map(unchanged))
    }

    /// The combined result of several fields; Done for none.
    fn all(findings: impl IntoIterator<Item = Self>) -> Self {
        findings.into_iter().fold(Self::Done, |all, next| match (all, next) {
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

    /// The other finding, unless this one is stale.
    fn unless_stale(self, other: impl FnOnce() -> Self) -> Self {
        if matches!(self, Self::Stale(_)) { self } else { other() }
    }

    /// Turns `Done` into `Write`. A delete compares each field with its old value only, so `Done` means that nothing
    /// has changed.
    fn for_delete(self) -> Self {
        self.unless_stale(|| Self::Write)
    }
}

impl<A: ReadAws, K: ReadKubernetes> Recheck<'_, A, K> {
    /// Checks the whole object before the first call of a step. Only the deletion of a role needs this, because its
    /// first calls already remove permissions.
    pub(super) async fn check_before_step(&self, step: &Step) -> Answer<Finding> {
        let ResourceChange::Role(change) = &step.change else { return Ok(Finding::Write) };
        let Change::Delete { before } = &**change else { return Ok(Finding::Write) };
        let deletion = step.parts.iter().filter_map(|part| part.call.iam()).find(|(_, call)| call.deletes());
        let Some((account, _)) = deletion else { return Ok(Finding::Write) };
        IamRecheck { run: self, step, account }.before_role_delete(before).await
    }

    /// Reads the field that a call writes.
    pub(super) async fn check_call(&self, step: &Step, call: &Call) -> Answer<Finding> {
        let (account, call) = match call {
            Call::Iam(account, call) => (account, call),
            Call::Kubernetes(cluster, call) => return self.service_account(cluster, call).await,
        };
        let check = IamRecheck { run: self, step, account };
        let none = StringMap::new();
        match call {
            IamCall::CreateProvider { .. } | IamCall::CreatePolicy { .. } | IamCall::CreateRole { .. } => {
                Ok(Finding::Write)
            }
            IamCall::AddAudience { arn, audience } => check.audience(arn, audience).await,
            IamCall::TagProvider { arn, from, to } => check.provider_tags(arn, from, to).await,
            IamCall::UntagProvider { arn, from } => check.provider_tags(arn, from, &none).await,
            IamCall::DeleteProvider { arn } => check.provider_delete(arn).await,
            IamCall::CreatePolicyVersion { arn, from, to } => check.policy_document(arn, from, to).await,
            IamCall::DeletePolicyVersion { arn, version } => check.policy_version(arn, version).await,
            IamCall::TagPolicy { arn, from, to } => check.policy_tags(arn, from, to).await,
            IamCall::UntagPolicy { arn, from } => check.policy_tags(arn, from, &none).await,
            IamCall::DeletePolicy { arn } => check.policy_delete(arn).await,
            IamCall::UpdateRole { name, from, to } => check.role_settings(name, from, to).await,
            IamCall::UpdateTrust { name, from, to } => check.trust(name, from, to).await,
            IamCall::PutBoundary { name, from, to } => check.boundary(name, from.as_ref(), Some(to)).await,
            IamCall::DeleteBoundary { name, from } => check.boundary(name, Some(from), None).await,
            IamCall::PutInline { name, policy, from, to } => {
                check.inline(name, policy, (from.as_ref(), Some(to))).await
            }
            IamCall::DeleteInline { name, policy, from } => check.inline(name, policy, (Some(from), None)).await,
            IamCall::Attach { name, arn } => check.attachment(name, arn, true).await,
            IamCall::Detach { name, arn } => check.attachment(name, arn, false).await,
            IamCall::TagRole { name, from, to } => check.role_tags(name, from, to).await,
            IamCall::UntagRole { name, from } => check.role_tags(name, from, &none).await,
            IamCall::DeleteRole { name } => check.role_delete(name).await,
        }
    }

    /// Reads everything that the steps of one account or cluster write to, and stops after a few outages in a row.
    pub(super) async fn check_steps(&self, steps: &[&Step]) -> Vec<Stale> {
        let mut checks = stream::iter(0..steps.len()).map(|at| self.check_step(steps[at])).buffered(CONCURRENT_STEPS);
        let (mut stale, mut checked, mut outages) = (Vec::new(), 0, 0);
        while let Some((reasons, outage)) = checks.next().await {
            let address = &steps[checked].address;
            stale.extend(reasons.into_iter().map(|why| Stale { address: address.to_string(), why }));
            checked += 1;
            outages = if outage.is_some() { outages + 1 } else { 0 };
            if let Some(why) = outage.filter(|_| outages == outage::LIMIT) {
                let why = format!("{why} ({})", outage::NOT_SENT);
                let unchecked = steps[checked..].iter();
                stale.extend(unchecked.map(|step| Stale { address: step.address.to_string(), why: why.clone() }));
                break;
            }
        }
        stale
    }

    /// Reads everything that a step writes to, up to an outage. Returns why the step is stale, and the outage.
    async fn check_step(&self, step: &Step) -> (BTreeSet<String>, Option<String>) {
        let mut reasons = BTreeSet::new();
        let mut parts = step.parts.iter();
        let mut finding = self.check_before_step(step).await;
        loop {
            match finding {
                Ok(Finding::Stale(why)) => reasons.extend(why),
                Ok(Finding::Write | Finding::Delete(_) | Finding::Done) => {}
                Err(error) => {
                    let why = format!("it could not be read: {error}");
                    reasons.insert(why.clone());
                    if outage::is_outage(error.kind) {
                        return (reasons, Some(why));
                    }
                }
            }
            let Some(part) = parts.next() else { return (reasons, None) };
            finding = self.check_call(step, &part.call).await;
        }
    }
}
