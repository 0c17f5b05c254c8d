//! Re-reads a customer managed policy: its document, its versions, its tags.

use super::document::document;
use super::{Finding, Recheck};
use crate::ids::{Key, PolicyArn};
use crate::model::call::Field;
use crate::model::resource::StringMap;
use crate::plan::Step;
use crate::plan::change::ResourceChange;
use crate::policy::PolicyDocument;
use crate::world::{CallError, ReadAws, ReadKubernetes};

impl<A: ReadAws, K: ReadKubernetes> Recheck<'_, A, K> {
    pub(super) async fn policy_document(
        &self,
        step: &Step,
        account: &Key,
        arn: &PolicyArn,
        (from, to): (&PolicyDocument, &PolicyDocument),
    ) -> Result<Finding, CallError> {
        let Some(live) = self.aws.policy(account, arn).await? else { return Ok(Finding::gone()) };
        let live = live.policy;
        Ok(owner(step, &live.tags)
            .unless_stale(|| document("document", step, Field::Document, Some(&live.document), (Some(from), Some(to)))))
    }

    /// For the delete of a version.
    pub(super) async fn policy_version(
        &self,
        step: &Step,
        account: &Key,
        arn: &PolicyArn,
        version: &String,
    ) -> Result<Finding, CallError> {
        let Some(live) = self.aws.policy(account, arn).await? else { return Ok(Finding::Done) };
        Ok(owner(step, &live.policy.tags).unless_stale(|| {
            if live.default_version == *version {
                Finding::stale(format!("version `{version}` has become the default"))
            } else if live.other_versions.contains(version) {
                Finding::Write
            } else {
                Finding::Done
            }
        }))
    }

    pub(super) async fn policy_tags(
        &self,
        step: &Step,
        account: &Key,
        arn: &PolicyArn,
        from: &StringMap,
        to: &StringMap,
    ) -> Result<Finding, CallError> {
        let live = self.aws.policy_tags(account, arn).await?;
        Ok(live.map_or_else(Finding::gone, |live| {
            owner(step, &live).unless_stale(|| Finding::map("tags", &live, from, to))
        }))
    }

    /// IAM refuses the delete with DeleteConflict if the policy has been attached meanwhile.
    pub(super) async fn policy_delete(
        &self,
        step: &Step,
        account: &Key,
        arn: &PolicyArn,
    ) -> Result<Finding, CallError> {
        let Some(live) = self.aws.policy(account, arn).await? else { return Ok(Finding::Done) };
        let live = live.policy;
        Ok(owner(step, &live.tags).unless_stale(|| {
            let ResourceChange::Policy(change) = &step.change else { return Finding::Write };
            let Some(before) = change.before() else { return Finding::Write };
            let document = Finding::field("document", &live.document, &before.document, &before.document);
            Finding::all([Finding::delete_tags(&before.tags, &live.tags), document]).for_delete()
        }))
    }
}

fn owner(step: &Step, live: &StringMap) -> Finding {
    let ResourceChange::Policy(change) = &step.change else { return Finding::Write };
    Finding::owner(change, |policy| &policy.tags, live)
}
