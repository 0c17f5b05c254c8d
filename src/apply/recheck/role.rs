//! Re-reads a role: each call reads the field that it replaces, and the owner tag.

use super::document::{Write, document, writes_of};
use super::{Finding, Recheck, When};
use crate::ids::{Key, PolicyArn, PolicyName, RoleName};
use crate::model::address::Address;
use crate::model::call::{Call, Field, IamCall, RoleSettings};
use crate::model::marks::ROLE_ARN;
use crate::model::resource::{Role, StringMap};
use crate::plan::Step;
use crate::plan::change::ResourceChange;
use crate::policy::PolicyDocument;
use crate::world::{CallError, ReadAws, ReadKubernetes, RoleAttributes};
use futures::future::join;
use std::collections::BTreeSet;

impl<A: ReadAws, K: ReadKubernetes> Recheck<'_, A, K> {
    /// For the fields that GetRole returns.
    pub(super) async fn role_attributes(
        &self,
        step: &Step,
        account: &Key,
        name: &RoleName,
        compare: impl FnOnce(&RoleAttributes) -> Finding,
    ) -> Result<Finding, CallError> {
        let live = self.aws.role_head(account, name).await?;
        Ok(live.map_or_else(Finding::gone, |live| owner(step, &live.tags).unless_stale(|| compare(&live))))
    }

    pub(super) async fn role_tags(
        &self,
        step: &Step,
        account: &Key,
        name: &RoleName,
        from: &StringMap,
        to: &StringMap,
    ) -> Result<Finding, CallError> {
        let live = self.aws.role_tags(account, name).await?;
        Ok(live.map_or_else(Finding::gone, |live| {
            owner(step, &live).unless_stale(|| Finding::map("tags", &live, from, to))
        }))
    }

    pub(super) async fn inline(
        &self,
        step: &Step,
        account: &Key,
        (name, policy): (&RoleName, &PolicyName),
        write: Write<'_>,
    ) -> Result<Finding, CallError> {
        let finding = async {
            let live = self.aws.inline(account, name, policy).await?;
            Ok(document(&format!("inline.{policy}"), step, Field::Inline(policy), live.as_ref(), write))
        };
        self.with_owner(step, account, name, finding).await
    }

    pub(super) async fn attachment(
        &self,
        step: &Step,
        account: &Key,
        (name, arn): (&RoleName, &PolicyArn),
        attached: bool,
    ) -> Result<Finding, CallError> {
        let finding = async {
            Ok(match self.aws.attached(account, name).await? {
                None if attached => Finding::gone(),
                None => Finding::Done,
                Some(live) if live.contains(arn) == attached => Finding::Done,
                Some(_) => Finding::Write,
            })
        };
        self.with_owner(step, account, name, finding).await
    }

    /// Reads the owner tag beside a field that GetRole does not return.
    async fn with_owner(
        &self,
        step: &Step,
        account: &Key,
        name: &RoleName,
        finding: impl Future<Output = Result<Finding, CallError>>,
    ) -> Result<Finding, CallError> {
        let (finding, tags) = join(finding, self.aws.role_tags(account, name)).await;
        let finding = finding?;
        Ok(match tags? {
            Some(tags) => owner(step, &tags).unless_stale(|| finding),
            // the deleted role took its policies along
            None if finding == Finding::Done => Finding::Done,
            None => Finding::gone(),
        })
    }

    /// Checks, before a role loses its first permission, that it may be deleted at all.
    pub(super) async fn before_role_delete(&self, step: &Step, before: &Role) -> Result<Finding, CallError> {
        let account = step.parts.iter().find_map(|part| match &part.call {
            Call::Iam(account, IamCall::DeleteRole { .. }) => Some(account),
            Call::Iam(..) | Call::Kubernetes(..) => None,
        });
        let Some(account) = account else { return Ok(Finding::Write) };
        let Some(live) = self.aws.role_head(account, &before.name).await? else { return Ok(Finding::Write) };
        let mut findings = vec![unchanged(step, before, &live)];
        let attached = self.aws.attached(account, &before.name).await?.unwrap_or_default();
        let new = attached.difference(&before.attached);
        findings.extend(new.map(|arn| Finding::stale(format!("policy `{arn}` has been attached to it"))));
        let inline = self.aws.inline_names(account, &before.name).await?.unwrap_or_default();
        let new = inline.iter().filter(|name| !before.inline.contains_key(*name));
        findings.extend(new.map(|name| Finding::stale(format!("inline policy `{name}` has been put into it"))));
        if self.when == When::BeforeEachWrite {
            findings.extend(self.still_annotated(before, &dependencies(step, 0)).await?);
        }
        Ok(Finding::all(findings))
    }

    /// For DeleteRole itself. IAM refuses it with DeleteConflict if a policy has been attached meanwhile.
    pub(super) async fn role_delete(&self, step: &Step, account: &Key, name: &RoleName) -> Result<Finding, CallError> {
        let Some(live) = self.aws.role_head(account, name).await? else { return Ok(Finding::Done) };
        let ResourceChange::Role(change) = &step.change else { return Ok(Finding::Write) };
        let Some(before) = change.before() else { return Ok(Finding::Write) };
        let mut findings = vec![unchanged(step, before, &live)];
        if self.when == When::BeforeEachWrite {
            // `before_role_delete` has checked the dependencies of the first call
            let last = dependencies(step, step.parts.len().saturating_sub(1));
            let unchecked = last.difference(&dependencies(step, 0)).copied().collect();
            findings.extend(self.still_annotated(before, &unchecked).await?);
        }
        Ok(Finding::all(findings).for_delete())
    }

    /// Finds ServiceAccounts that should no longer name the role, but do: another field manager holds the annotation.
    async fn still_annotated(&self, role: &Role, objects: &BTreeSet<&Address>) -> Result<Vec<Finding>, CallError> {
        let mut findings = Vec::new();
        for address in objects {
            let Address::ServiceAccount { cluster, namespace, name } = *address else { continue };
            let Some(live) = self.kubernetes.service_account(cluster, namespace, name).await? else { continue };
            let Some(arn) = live.annotations.get(ROLE_ARN).filter(|_| live.deleting.is_none()) else { continue };
            let planned = self.step_of(address).and_then(|step| match &step.change {
                ResourceChange::ServiceAccount(change) => change.after()?.annotations.get(ROLE_ARN),
                ResourceChange::Role(_) | ResourceChange::Policy(_) | ResourceChange::Provider(_) => None,
            });
            if planned != Some(arn) && arn.ends_with(&format!(":role{}{}", role.path, role.name)) {
                findings.push(Finding::stale(format!("`{address}` still points at it, through another manager")));
            }
        }
        Ok(findings)
    }
}

fn owner(step: &Step, live: &StringMap) -> Finding {
    let ResourceChange::Role(change) = &step.change else { return Finding::Write };
    Finding::owner(change, |role| &role.tags, live)
}

pub(super) fn settings(live: &RoleAttributes, from: &RoleSettings, to: &RoleSettings) -> Finding {
    let live = &live.summary;
    let duration = (&live.max_session_duration, &from.max_session_duration, &to.max_session_duration);
    Finding::all([
        Finding::field("description", &live.description, &from.description, &to.description),
        Finding::field("max-session-duration", duration.0, duration.1, duration.2),
    ])
}

pub(super) fn trust(step: &Step, live: &RoleAttributes, from: &PolicyDocument, to: &PolicyDocument) -> Finding {
    document("trust", step, Field::Trust, Some(&live.summary.trust), (Some(from), Some(to)))
}

pub(super) fn boundary(live: &RoleAttributes, from: Option<&PolicyArn>, to: Option<&PolicyArn>) -> Finding {
    Finding::field("permissions-boundary", &live.permissions_boundary.as_ref(), &from, &to)
}

/// Whether a role that is to be deleted is as planned: its tags, and its trust up to what this step itself writes.
fn unchanged(step: &Step, before: &Role, live: &RoleAttributes) -> Finding {
    let trust = &live.summary.trust;
    let written = writes_of(step, Field::Trust).iter().any(|(_, to)| *to == Some(trust));
    let trust = match *trust == before.trust || written {
        true => Finding::Write,
        false => Finding::stale("field `trust` is not as planned"),
    };
    Finding::all([Finding::delete_tags(&before.tags, &live.tags), trust])
}

/// The objects that a call of a step depends on.
fn dependencies(step: &Step, call: usize) -> BTreeSet<&Address> {
    step.parts.get(call).into_iter().flat_map(|part| &part.after).map(|id| &id.address).collect()
}
