//! The last look at IAM: one read for each call, of the field that the call replaces.

use super::chain::Chain;
use super::ownership;
use super::recheck::{Finding, Recheck};
use crate::ids::{Key, PolicyArn, ProviderArn, RoleName};
use crate::model::call::{IamCall, RoleSettings};
use crate::model::resource::StringMap;
use crate::plan::Step;
use crate::plan::change::ResourceChange;
use crate::policy::PolicyDocument;
use crate::world::{CallError, ReadAws, ReadKubernetes, RoleAttributes};
use futures::future::join;

const GONE: &str = "it is gone";

impl<A: ReadAws, K: ReadKubernetes> Recheck<'_, A, K> {
    pub(super) async fn iam(&self, step: &Step, account: &Key, call: &IamCall) -> Result<Finding, CallError> {
        match call {
            IamCall::CreateProvider { .. } | IamCall::CreatePolicy { .. } | IamCall::CreateRole { .. } => {
                Ok(Finding::Write)
            }
            IamCall::AddAudience { arn, .. }
            | IamCall::TagProvider { arn, .. }
            | IamCall::UntagProvider { arn, .. }
            | IamCall::DeleteProvider { arn } => self.provider(step, account, arn, call).await,
            IamCall::CreatePolicyVersion { arn, .. }
            | IamCall::DeletePolicyVersion { arn, .. }
            | IamCall::TagPolicy { arn, .. }
            | IamCall::UntagPolicy { arn, .. }
            | IamCall::DeletePolicy { arn } => self.policy(step, account, arn, call).await,
            IamCall::UpdateRole { name, .. }
            | IamCall::UpdateTrust { name, .. }
            | IamCall::PutBoundary { name, .. }
            | IamCall::DeleteBoundary { name, .. } => {
                let head = self.aws.role_attributes(account, name).await?;
                Ok(head.map_or_else(gone, |head| role_owner(step, &head.tags).unless_stale(fields(step, &head, call))))
            }
            IamCall::PutInline { name, .. } | IamCall::DeleteInline { name, .. } => {
                self.while_ours(step, account, name, self.inline(step, account, call)).await
            }
            IamCall::Attach { name, arn } => {
                self.while_ours(step, account, name, self.attached(account, name, arn, true)).await
            }
            IamCall::Detach { name, arn } => {
                self.while_ours(step, account, name, self.attached(account, name, arn, false)).await
            }
            IamCall::TagRole { name, from, to } => {
                let live = self.aws.role_tags(account, name).await?;
                Ok(live.map_or_else(gone, |live| role_owner(step, &live).unless_stale(tags(&live, from, to))))
            }
            IamCall::UntagRole { name, from } => {
                let live = self.aws.role_tags(account, name).await?;
                let none = StringMap::new();
                Ok(live.map_or_else(gone, |live| role_owner(step, &live).unless_stale(tags(&live, from, &none))))
            }
            IamCall::DeleteRole { name } => self.role_that_goes(step, account, name).await,
        }
    }

    async fn provider(
        &self,
        step: &Step,
        account: &Key,
        arn: &ProviderArn,
        call: &IamCall,
    ) -> Result<Finding, CallError> {
        let live = self.aws.provider(account, arn).await?;
        let Some(live) = live.map(|live| live.provider) else {
            return Ok(if matches!(call, IamCall::DeleteProvider { .. }) { Finding::Done } else { gone() });
        };
        let owner = match &step.change {
            ResourceChange::Provider(change) => ownership::owner(change, |provider| &provider.tags, &live.tags),
            _ => Finding::Write,
        };
        if matches!(owner, Finding::Stale(_)) {
            return Ok(owner);
        }
        match call {
            IamCall::AddAudience { audience, .. } if live.audiences.contains(audience) => Ok(Finding::Done),
            IamCall::TagProvider { from, to, .. } => Ok(tags(&live.tags, from, to)),
            IamCall::UntagProvider { from, .. } => Ok(tags(&live.tags, from, &StringMap::new())),
            IamCall::DeleteProvider { .. } => self.provider_that_goes(step, account, arn, &live).await,
            _ => Ok(Finding::Write),
        }
    }

    async fn policy(&self, step: &Step, account: &Key, arn: &PolicyArn, call: &IamCall) -> Result<Finding, CallError> {
        if let IamCall::TagPolicy { from, .. } | IamCall::UntagPolicy { from, .. } = call {
            let none = StringMap::new();
            let to = if let IamCall::TagPolicy { to, .. } = call { to } else { &none };
            let live = self.aws.policy_tags(account, arn).await?;
            return Ok(live.map_or_else(gone, |live| policy_owner(step, &live).unless_stale(tags(&live, from, to))));
        }
        let Some(live) = self.aws.policy(account, arn).await? else {
            let goes = matches!(call, IamCall::DeletePolicy { .. } | IamCall::DeletePolicyVersion { .. });
            return Ok(if goes { Finding::Done } else { gone() });
        };
        let owner = policy_owner(step, &live.policy.tags);
        Ok(owner.unless_stale(match call {
            IamCall::CreatePolicyVersion { from, to, .. } => {
                document("document", step, call, Some(&live.policy.document), (Some(from), Some(to)))
            }
            IamCall::DeletePolicyVersion { version, .. } if live.default_version == *version => {
                Finding::stale(format!("version `{version}` has become the default"))
            }
            IamCall::DeletePolicyVersion { version, .. } if !live.other_versions.contains(version) => Finding::Done,
            IamCall::DeletePolicy { .. } => Self::policy_that_goes(step, &live.policy),
            _ => Finding::Write,
        }))
    }

    /// A look at what GetRole does not show, with one at whose the role is beside it.
    async fn while_ours(
        &self,
        step: &Step,
        account: &Key,
        name: &RoleName,
        look: impl Future<Output = Result<Finding, CallError>>,
    ) -> Result<Finding, CallError> {
        let (verdict, tags) = join(look, self.aws.role_tags(account, name)).await;
        let verdict = verdict?;
        Ok(match tags? {
            Some(tags) => role_owner(step, &tags).unless_stale(verdict),
            // what goes with the role is done
            None if verdict == Finding::Done => Finding::Done,
            None => gone(),
        })
    }

    async fn inline(&self, step: &Step, account: &Key, call: &IamCall) -> Result<Finding, CallError> {
        let (name, policy, link) = match call {
            IamCall::PutInline { name, policy, from, to } => (name, policy, (from.as_ref(), Some(to))),
            IamCall::DeleteInline { name, policy, from } => (name, policy, (Some(from), None)),
            _ => return Ok(Finding::Write),
        };
        let live = self.aws.inline(account, name, policy).await?;
        Ok(document(&format!("inline.{policy}"), step, call, live.as_ref(), link))
    }

    async fn attached(
        &self,
        account: &Key,
        name: &RoleName,
        arn: &PolicyArn,
        wanted: bool,
    ) -> Result<Finding, CallError> {
        let live = self.aws.attached(account, name).await?;
        Ok(match live {
            None if wanted => gone(),
            None => Finding::Done,
            Some(live) if live.contains(arn) == wanted => Finding::Done,
            Some(_) => Finding::Write,
        })
    }
}

/// The fields that GetRole shows.
fn fields(step: &Step, live: &RoleAttributes, call: &IamCall) -> Finding {
    match call {
        IamCall::UpdateRole { from, to, .. } => settings(live, from, to),
        IamCall::UpdateTrust { from, to, .. } => {
            document("trust", step, call, Some(&live.summary.trust), (Some(from), Some(to)))
        }
        IamCall::PutBoundary { from, to, .. } => {
            Finding::of("permissions-boundary", &live.permissions_boundary.as_ref(), &from.as_ref(), &Some(to))
        }
        IamCall::DeleteBoundary { from, .. } => {
            Finding::of("permissions-boundary", &live.permissions_boundary.as_ref(), &Some(from), &None)
        }
        _ => Finding::Write,
    }
}

fn role_owner(step: &Step, live: &StringMap) -> Finding {
    match &step.change {
        ResourceChange::Role(change) => ownership::owner(change, |role| &role.tags, live),
        _ => Finding::Write,
    }
}

fn policy_owner(step: &Step, live: &StringMap) -> Finding {
    match &step.change {
        ResourceChange::Policy(change) => ownership::owner(change, |policy| &policy.tags, live),
        _ => Finding::Write,
    }
}

fn gone() -> Finding {
    Finding::stale(GONE)
}

/// Tags, key by key: those in `from` had these values, those in `to` get them, those in `from` alone go.
fn tags(live: &StringMap, from: &StringMap, to: &StringMap) -> Finding {
    Finding::all(from.keys().chain(to.keys()).map(|key| {
        let field = format!("tags.{key}");
        Finding::of(&field, &live.get(key), &from.get(key), &to.get(key))
    }))
}

fn settings(live: &RoleAttributes, from: &RoleSettings, to: &RoleSettings) -> Finding {
    let RoleSettings { description, max_session_duration } = to;
    Finding::all([
        Finding::of("description", &live.summary.description, &from.description, description),
        Finding::of(
            "max-session-duration",
            &live.summary.max_session_duration,
            &from.max_session_duration,
            max_session_duration,
        ),
    ])
}

/// A document that the plan may write more than once.
fn document(
    field: &str,
    step: &Step,
    call: &IamCall,
    live: Option<&PolicyDocument>,
    (from, to): (Option<&PolicyDocument>, Option<&PolicyDocument>),
) -> Finding {
    let chain = Chain::of(step, call.field());
    match Finding::of(field, &live, &from, &to) {
        Finding::Stale(_) if chain.is_later((from, to), live) => Finding::Done,
        Finding::Stale(_) if chain.is_earlier((from, to), live) => Finding::Write,
        verdict => verdict,
    }
}
