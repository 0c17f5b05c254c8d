//! Re-reads an OIDC provider: its audiences, its tags, and before its delete the roles that trust it.

use super::{Finding, Recheck, When};
use crate::ids::{Key, ProviderArn, RoleName};
use crate::model::call::Call;
use crate::model::resource::{Provider, StringMap};
use crate::plan::change::ResourceChange;
use crate::plan::{Plan, Step};
use crate::policy::PolicyDocument;
use crate::world::{CallError, ReadAws, ReadKubernetes};

impl<A: ReadAws, K: ReadKubernetes> Recheck<'_, A, K> {
    pub(super) async fn audience(
        &self,
        step: &Step,
        account: &Key,
        arn: &ProviderArn,
        audience: &String,
    ) -> Result<Finding, CallError> {
        let Some(live) = self.aws.provider(account, arn).await? else { return Ok(Finding::gone()) };
        let has = live.provider.audiences.contains(audience);
        Ok(owner(step, &live.provider).unless_stale(|| if has { Finding::Done } else { Finding::Write }))
    }

    pub(super) async fn provider_tags(
        &self,
        step: &Step,
        account: &Key,
        arn: &ProviderArn,
        from: &StringMap,
        to: &StringMap,
    ) -> Result<Finding, CallError> {
        let Some(live) = self.aws.provider(account, arn).await? else { return Ok(Finding::gone()) };
        Ok(owner(step, &live.provider).unless_stale(|| Finding::map("tags", &live.provider.tags, from, to)))
    }

    /// The provider may be deleted if it is still ours and no role of the account trusts it.
    pub(super) async fn provider_delete(
        &self,
        step: &Step,
        account: &Key,
        arn: &ProviderArn,
    ) -> Result<Finding, CallError> {
        let Some(live) = self.aws.provider(account, arn).await? else { return Ok(Finding::Done) };
        let owner = owner(step, &live.provider);
        if matches!(owner, Finding::Stale(_)) {
            return Ok(owner);
        }
        let mut findings = Vec::new();
        if let ResourceChange::Provider(change) = &step.change
            && let Some(before) = change.before()
        {
            findings.push(Finding::delete_tags(&before.tags, &live.provider.tags));
        }
        let roles = self.aws.roles(account).await?;
        findings.extend(
            roles
                .odd
                .iter()
                .map(|role| Finding::stale(format!("role `{}`, which is not understood, may trust it", role.name))),
        );
        for role in roles.items.iter().filter(|role| trusts(&role.trust, arn)) {
            if removes_trust(self.plan, account, &role.name, arn) {
                // the list may be some seconds older than this run's change of the role: read the role itself
                let read = self.when == When::BeforeEachWrite;
                let live = if read { self.aws.role_head(account, &role.name).await? } else { None };
                if !live.is_some_and(|live| trusts(&live.summary.trust, arn)) {
                    continue;
                }
            }
            findings.push(Finding::stale(format!("role `{}` trusts it", role.name)));
        }
        Ok(Finding::all(findings).for_delete())
    }
}

fn owner(step: &Step, live: &Provider) -> Finding {
    let ResourceChange::Provider(change) = &step.change else { return Finding::Write };
    Finding::owner(change, |provider| &provider.tags, &live.tags)
}

fn trusts(trust: &PolicyDocument, arn: &ProviderArn) -> bool {
    trust.federated_issuers().contains(arn.host_path())
}

/// Whether the plan removes the role's trust in the provider.
fn removes_trust(plan: &Plan, account: &Key, name: &RoleName, arn: &ProviderArn) -> bool {
    plan.steps.iter().any(|step| {
        let ResourceChange::Role(change) = &step.change else { return false };
        let in_account = step.parts.iter().any(|part| matches!(&part.call, Call::Iam(key, _) if key == account));
        in_account
            && change.before().is_some_and(|role| role.name == *name)
            && !change.after().is_some_and(|role| trusts(&role.trust, arn))
    })
}
