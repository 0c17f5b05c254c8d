//! Re-reads an OIDC provider: its audiences, its tags, and before its deletion the roles that trust it.

use super::{Finding, IamRecheck, When};
use crate::ids::{ProviderArn, RoleName};
use crate::model::call::Call;
use crate::model::resource::StringMap;
use crate::plan::change::ResourceChange;
use crate::policy::PolicyDocument;
use crate::world::{Answer, ReadAws};

impl<A: ReadAws, K> IamRecheck<'_, A, K> {
    pub(super) async fn audience(&self, arn: &ProviderArn, audience: &String) -> Answer<Finding> {
        let Some(live) = self.run.aws.provider(self.account, arn).await? else { return Ok(Finding::gone()) };
        let live = live.provider;
        let found = if live.audiences.contains(audience) { Finding::Done } else { Finding::Write };
        Ok(self.provider_owner(&live.tags).unless_stale(|| found))
    }

    pub(super) async fn provider_tags(&self, arn: &ProviderArn, from: &StringMap, to: &StringMap) -> Answer<Finding> {
        let Some(live) = self.run.aws.provider(self.account, arn).await? else { return Ok(Finding::gone()) };
        let live = live.provider.tags;
        Ok(self.provider_owner(&live).unless_stale(|| Finding::map("tags", &live, from, to)))
    }

    /// The provider may be deleted if its owner tag is unchanged and no role of the account trusts it.
    pub(super) async fn provider_delete(&self, arn: &ProviderArn) -> Answer<Finding> {
        let Some(live) = self.run.aws.provider(self.account, arn).await? else { return Ok(Finding::Done) };
        let live = live.provider.tags;
        let owner = self.provider_owner(&live);
        if matches!(owner, Finding::Stale(_)) {
            return Ok(owner);
        }
        let mut findings = Vec::new();
        if let ResourceChange::Provider(change) = &self.step.change
            && let Some(before) = change.before()
        {
            findings.push(Finding::delete_tags(&before.tags, &live));
        }
        let roles = self.run.aws.roles(self.account).await?;
        for role in roles.malformed {
            let why = format!("role `{}` could not be parsed, and may trust it", role.name);
            findings.push(Finding::stale(why));
        }
        for role in roles.items.iter().filter(|role| trusts(&role.trust, arn)) {
            if self.removes_trust(&role.name, arn) {
                // reads the role itself, because the list may be some seconds older than this run's change of the role
                let read = self.run.when == When::BeforeEachWrite;
                let live = if read { self.run.aws.role_attributes(self.account, &role.name).await? } else { None };
                if !live.is_some_and(|live| trusts(&live.summary.trust, arn)) {
                    continue;
                }
            }
            findings.push(Finding::stale(format!("role `{}` trusts it", role.name)));
        }
        Ok(Finding::all(findings).for_delete())
    }

    fn provider_owner(&self, live: &StringMap) -> Finding {
        let ResourceChange::Provider(change) = &self.step.change else { return Finding::Write };
        Finding::owner(change, |provider| &provider.tags, live)
    }

    /// Whether the plan removes the role's trust in the provider.
    fn removes_trust(&self, name: &RoleName, arn: &ProviderArn) -> bool {
        self.run.plan.steps.iter().any(|step| {
            let ResourceChange::Role(change) = &step.change else { return false };
            let to_account = |call: &Call| matches!(call, Call::Iam(account, _) if account == self.account);
            step.parts.iter().any(|part| to_account(&part.call))
                && change.before().is_some_and(|role| role.name == *name)
                && !change.after().is_some_and(|role| trusts(&role.trust, arn))
        })
    }
}

fn trusts(trust: &PolicyDocument, arn: &ProviderArn) -> bool {
    trust.federated_issuers().contains(arn.host_path())
}
