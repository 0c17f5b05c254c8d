//! Re-reads a role: each call reads the field that it replaces, and the owner tag.

use super::document::{DocumentWrite, document, writes_of};
use super::{Finding, IamRecheck, When};
use crate::ids::{PolicyArn, PolicyName, RoleName};
use crate::model::address::Address;
use crate::model::call::{Field, RoleSettings};
use crate::model::marks::ROLE_ARN;
use crate::model::resource::{Role, StringMap};
use crate::plan::Step;
use crate::plan::change::ResourceChange;
use crate::policy::PolicyDocument;
use crate::world::{Answer, ReadAws, ReadKubernetes, RoleAttributes};
use futures::future::join;
use std::collections::BTreeSet;

impl<A: ReadAws, K: ReadKubernetes> IamRecheck<'_, A, K> {
    pub(super) async fn role_settings(
        &self,
        name: &RoleName,
        from: &RoleSettings,
        to: &RoleSettings,
    ) -> Answer<Finding> {
        let compare = |live: &RoleAttributes| {
            let live = &live.summary;
            let duration = (&live.max_session_duration, &from.max_session_duration, &to.max_session_duration);
            Finding::all([
                Finding::field("description", &live.description, &from.description, &to.description),
                Finding::field("max-session-duration", duration.0, duration.1, duration.2),
            ])
        };
        self.attribute(name, compare).await
    }

    pub(super) async fn trust(&self, name: &RoleName, from: &PolicyDocument, to: &PolicyDocument) -> Answer<Finding> {
        let write = (Some(from), Some(to));
        let compare =
            |live: &RoleAttributes| document("trust", self.step, Field::Trust, Some(&live.summary.trust), write);
        self.attribute(name, compare).await
    }

    pub(super) async fn boundary(
        &self,
        name: &RoleName,
        from: Option<&PolicyArn>,
        to: Option<&PolicyArn>,
    ) -> Answer<Finding> {
        let compare = |live: &RoleAttributes| {
            Finding::field("permissions-boundary", &live.permissions_boundary.as_ref(), &from, &to)
        };
        self.attribute(name, compare).await
    }

    /// Compares a field that GetRole returns.
    async fn attribute(&self, name: &RoleName, compare: impl FnOnce(&RoleAttributes) -> Finding) -> Answer<Finding> {
        let live = self.run.aws.role_attributes(self.account, name).await?;
        Ok(live.map_or_else(Finding::gone, |live| self.role_owner(&live.tags).unless_stale(|| compare(&live))))
    }

    pub(super) async fn role_tags(&self, name: &RoleName, from: &StringMap, to: &StringMap) -> Answer<Finding> {
        let live = self.run.aws.role_tags(self.account, name).await?;
        let compare = |live| self.role_owner(&live).unless_stale(|| Finding::map("tags", &live, from, to));
        Ok(live.map_or_else(Finding::gone, compare))
    }

    pub(super) async fn inline(
        &self,
        name: &RoleName,
        policy: &PolicyName,
        write: DocumentWrite<'_>,
    ) -> Answer<Finding> {
        let finding = async {
            let live = self.run.aws.inline(self.account, name, policy).await?;
            Ok(document(&format!("inline.{policy}"), self.step, Field::Inline(policy), live.as_ref(), write))
        };
        self.with_owner(name, finding).await
    }

    pub(super) async fn attachment(&self, name: &RoleName, arn: &PolicyArn, attached: bool) -> Answer<Finding> {
        let finding = async {
            Ok(match self.run.aws.attached(self.account, name).await? {
                None if attached => Finding::gone(),
                None => Finding::Done,
                Some(live) if live.contains(arn) == attached => Finding::Done,
                Some(_) => Finding::Write,
            })
        };
        self.with_owner(name, finding).await
    }

    /// Reads the owner tag for a field that GetRole does not return.
    async fn with_owner(&self, name: &RoleName, finding: impl Future<Output = Answer<Finding>>) -> Answer<Finding> {
        let (finding, tags) = join(finding, self.run.aws.role_tags(self.account, name)).await;
        let finding = finding?;
        Ok(match tags? {
            Some(tags) => self.role_owner(&tags).unless_stale(|| finding),
            // the role is gone, so what the call would remove is gone too
            None if finding == Finding::Done => Finding::Done,
            None => Finding::gone(),
        })
    }

    fn role_owner(&self, live: &StringMap) -> Finding {
        let ResourceChange::Role(change) = &self.step.change else { return Finding::Write };
        Finding::owner(change, |role| &role.tags, live)
    }

    /// Checks, before a role loses its first permission, that it may be deleted at all.
    pub(super) async fn before_role_delete(&self, before: &Role) -> Answer<Finding> {
        let Self { run, step, account } = self;
        let aws = run.aws;
        let Some(live) = aws.role_attributes(account, &before.name).await? else { return Ok(Finding::Write) };
        let mut findings = vec![unchanged(step, before, &live)];
        let attached = aws.attached(account, &before.name).await?.unwrap_or_default();
        let new = attached.difference(&before.attached);
        findings.extend(new.map(|arn| Finding::stale(format!("policy `{arn}` has been attached to it"))));
        let inline = aws.inline_names(account, &before.name).await?.unwrap_or_default();
        let new = inline.iter().filter(|name| !before.inline.contains_key(*name));
        findings.extend(new.map(|name| Finding::stale(format!("inline policy `{name}` has been put into it"))));
        if self.run.when == When::BeforeEachWrite {
            findings.extend(self.still_annotated(before, &dependencies(step, 0)).await?);
        }
        Ok(Finding::all(findings))
    }

    /// Whether irsa may call DeleteRole. Does not look for new policies, because IAM then refuses the call with
    /// DeleteConflict.
    pub(super) async fn role_delete(&self, name: &RoleName) -> Answer<Finding> {
        let Some(live) = self.run.aws.role_attributes(self.account, name).await? else { return Ok(Finding::Done) };
        let ResourceChange::Role(change) = &self.step.change else { return Ok(Finding::Write) };
        let Some(before) = change.before() else { return Ok(Finding::Write) };
        let mut findings = vec![unchanged(self.step, before, &live)];
        if self.run.when == When::BeforeEachWrite {
            // `before_role_delete` has checked the dependencies of the first call
            let last = dependencies(self.step, self.step.parts.len().saturating_sub(1));
            let unchecked = last.difference(&dependencies(self.step, 0)).copied().collect();
            findings.extend(self.still_annotated(before, &unchecked).await?);
        }
        Ok(Finding::all(findings).for_delete())
    }

    /// Finds ServiceAccounts that still name the role although they should not, because another field manager owns the
    /// annotation.
    async fn still_annotated(&self, role: &Role, objects: &BTreeSet<&Address>) -> Answer<Vec<Finding>> {
        let mut findings = Vec::new();
        for address in objects {
            let Address::ServiceAccount { cluster, namespace, name } = *address else { continue };
            let Some(live) = self.run.kubernetes.service_account(cluster, namespace, name).await? else { continue };
            let Some(arn) = live.annotations.get(ROLE_ARN).filter(|_| live.deleting.is_none()) else { continue };
            let step = self.run.plan.steps.iter().find(|step| step.address == **address);
            let planned = step.and_then(|step| step.change.pod_roles()[1]);
            if planned != Some(arn) && arn.ends_with(&format!(":role{}{}", role.path, role.name)) {
                let why = "another field manager owns the annotation";
                findings.push(Finding::stale(format!("`{address}` still points at it, because {why}")));
            }
        }
        Ok(findings)
    }
}

/// Whether the step may delete the role: its owner tag and `irsa/prevent-destroy` are unchanged, and its trust is the
/// old one or one that the step writes.
fn unchanged(step: &Step, before: &Role, live: &RoleAttributes) -> Finding {
    let trust = &live.summary.trust;
    let written = writes_of(step, Field::Trust).iter().any(|(_, to)| *to == Some(trust));
    let is_planned = *trust == before.trust || written;
    let trust = if is_planned { Finding::Write } else { Finding::stale("field `trust` has changed") };
    Finding::all([Finding::delete_tags(&before.tags, &live.tags), trust])
}

/// The objects that a call of a step depends on.
fn dependencies(step: &Step, call: usize) -> BTreeSet<&Address> {
    step.parts.get(call).into_iter().flat_map(|part| &part.after).map(|id| &id.address).collect()
}
