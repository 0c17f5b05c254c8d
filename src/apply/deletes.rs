//! What must still hold right before something is deleted: it is ours, it is what the plan showed, and nobody has come
//! to depend on it.

use super::chain::Chain;
use super::recheck::{Finding, Recheck, When};
use crate::ids::{Key, ProviderArn, RoleName};
use crate::model::address::Address;
use crate::model::call::{Call, Field, IamCall};
use crate::model::live::Malformed;
use crate::model::marks::{OWNER, PREVENT_DESTROY, ROLE_ARN};
use crate::model::resource::{ManagedPolicy, Provider, Role, StringMap};
use crate::plan::change::{Change, ResourceChange};
use crate::plan::{Plan, Step};
use crate::world::{CallError, ReadAws, ReadKubernetes, RoleAttributes};
use std::collections::BTreeSet;

impl<A: ReadAws, K: ReadKubernetes> Recheck<'_, A, K> {
    /// Before the first call of a step: a role that goes loses its permissions first, so all that speaks against its
    /// end must be known before them.
    pub(super) async fn before_step(&self, step: &Step) -> Result<Finding, CallError> {
        let ResourceChange::Role(change) = &step.change else { return Ok(Finding::Write) };
        let Change::Delete { before } = &**change else { return Ok(Finding::Write) };
        let Some(account) = account_of(step) else { return Ok(Finding::Write) };
        let Some(head) = self.aws.role_attributes(account, &before.name).await? else { return Ok(Finding::Write) };
        let mut verdicts = vec![unchanged(step, before, &head)];
        for arn in self.aws.attached(account, &before.name).await?.unwrap_or_default().difference(&before.attached) {
            verdicts.push(Finding::stale(format!("policy `{arn}` has been attached to it")));
        }
        for name in self.aws.inline_names(account, &before.name).await?.unwrap_or_default() {
            if !before.inline.contains_key(&name) {
                verdicts.push(Finding::stale(format!("inline policy `{name}` has been put into it")));
            }
        }
        if self.when == When::BeforeWrite {
            verdicts.extend(self.still_pointing(before, &awaited(step, 0)).await?);
        }
        Ok(Finding::all(verdicts))
    }

    /// The ServiceAccounts that were to let go of the role, and have not: someone else holds the annotation too.
    async fn still_pointing(&self, role: &Role, accounts: &BTreeSet<&Address>) -> Result<Vec<Finding>, CallError> {
        let mut verdicts = Vec::new();
        for need in accounts {
            let Address::ServiceAccount { cluster, namespace, name } = *need else { continue };
            let Some(live) = self.kubernetes.service_account(cluster, namespace, name).await? else { continue };
            let Some(arn) = live.annotations.get(ROLE_ARN).filter(|_| live.deleting.is_none()) else { continue };
            let wanted = self.step_of(need).and_then(|step| match &step.change {
                ResourceChange::ServiceAccount(change) => change.after()?.annotations.get(ROLE_ARN),
                _ => None,
            });
            if wanted != Some(arn) && arn.ends_with(&format!(":role{}{}", role.path, role.name)) {
                verdicts.push(Finding::stale(format!("`{need}` still points at it, through another manager")));
            }
        }
        Ok(verdicts)
    }

    /// Right before DeleteRole: the role is still ours. What was attached meanwhile IAM tells by DeleteConflict.
    pub(super) async fn role_that_goes(
        &self,
        step: &Step,
        account: &Key,
        name: &RoleName,
    ) -> Result<Finding, CallError> {
        let Some(head) = self.aws.role_attributes(account, name).await? else { return Ok(Finding::Done) };
        let Some(before) = role_before(step) else { return Ok(Finding::Write) };
        let mut verdicts = vec![unchanged(step, before, &head)];
        if self.when == When::BeforeWrite {
            // those that the first call waited for were looked at then
            let last = awaited(step, step.parts.len().saturating_sub(1));
            let left: BTreeSet<&Address> = last.difference(&awaited(step, 0)).copied().collect();
            verdicts.extend(self.still_pointing(before, &left).await?);
        }
        Ok(Finding::all(verdicts).or_write())
    }

    /// Right before DeleteOpenIDConnectProvider: it is still ours and no role of the account trusts it.
    pub(super) async fn provider_that_goes(
        &self,
        step: &Step,
        account: &Key,
        arn: &ProviderArn,
        live: &Provider,
    ) -> Result<Finding, CallError> {
        let mut verdicts = Vec::new();
        if let ResourceChange::Provider(change) = &step.change
            && let Some(before) = change.before()
        {
            verdicts.push(marks(&before.tags, &live.tags));
        }
        let listed = self.aws.roles(account).await?;
        let unclear =
            |odd: &Malformed| Finding::stale(format!("role `{}`, which is not understood, may trust it", odd.name));
        verdicts.extend(listed.malformed.iter().map(unclear));
        for summary in listed.items {
            if !summary.trust.federated_issuers().contains(arn.host_path()) {
                continue;
            }
            if lets_go(self.plan, account, &summary.name, arn) {
                // the list may be some seconds old, and this run has just changed the role: ask for the role itself
                let asked = self.when == When::BeforeWrite;
                let head = if asked { self.aws.role_attributes(account, &summary.name).await? } else { None };
                if !head.is_some_and(|head| head.summary.trust.federated_issuers().contains(arn.host_path())) {
                    continue;
                }
            }
            verdicts.push(Finding::stale(format!("role `{}` trusts it", summary.name)));
        }
        Ok(Finding::all(verdicts).or_write())
    }

    /// Right before DeletePolicy: it is still ours and says what it said. Whether it is attached IAM tells by
    /// DeleteConflict.
    pub(super) fn policy_that_goes(step: &Step, live: &ManagedPolicy) -> Finding {
        let ResourceChange::Policy(change) = &step.change else { return Finding::Write };
        let Some(before) = change.before() else { return Finding::Write };
        let document = Finding::of("document", &live.document, &before.document, &before.document);
        Finding::all([marks(&before.tags, &live.tags), document]).or_write()
    }
}

impl Finding {
    /// For what is deleted as it is: nothing of it is done before it is gone.
    fn or_write(self) -> Self {
        match self {
            Self::Write | Self::Done => Self::Write,
            other @ (Self::Delete(_) | Self::Stale(_)) => other,
        }
    }
}

/// Whether the marks still say that the object is ours and may go.
fn marks(before: &StringMap, live: &StringMap) -> Finding {
    let [owner, guard] = [OWNER, PREVENT_DESTROY]
        .map(|key| Finding::of(&format!("tags.{key}"), &live.get(key), &before.get(key), &before.get(key)));
    Finding::all([owner, guard])
}

/// The objects that a call waits for.
fn awaited(step: &Step, part: usize) -> BTreeSet<&Address> {
    step.parts.get(part).into_iter().flat_map(|part| &part.after).map(|id| &id.address).collect()
}

fn unchanged(step: &Step, before: &Role, live: &RoleAttributes) -> Finding {
    let trust = &live.summary.trust;
    let mut verdicts = vec![marks(&before.tags, &live.tags)];
    if *trust != before.trust && !Chain::of(step, Field::Trust).writes(trust) {
        verdicts.push(Finding::stale("field `trust` is not as planned"));
    }
    Finding::all(verdicts)
}

fn account_of(step: &Step) -> Option<&Key> {
    step.parts.iter().find_map(|part| match &part.call {
        Call::Iam(account, IamCall::DeleteRole { .. }) => Some(account),
        _ => None,
    })
}

fn role_before(step: &Step) -> Option<&Role> {
    match &step.change {
        ResourceChange::Role(change) => change.before(),
        _ => None,
    }
}

/// Whether the plan takes the role's trust in the provider away.
fn lets_go(plan: &Plan, account: &Key, name: &RoleName, arn: &ProviderArn) -> bool {
    plan.steps.iter().any(|step| {
        let ResourceChange::Role(change) = &step.change else { return false };
        let here = step.parts.iter().any(|part| matches!(&part.call, Call::Iam(key, _) if key == account));
        here && change.before().is_some_and(|role| role.name == *name)
            && !change.after().is_some_and(|after| after.trust.federated_issuers().contains(arn.host_path()))
    })
}
