//! Re-reads a customer managed policy: its document, its versions, its tags.

use super::document::document;
use super::{Finding, IamRecheck};
use crate::ids::PolicyArn;
use crate::model::call::Field;
use crate::model::resource::StringMap;
use crate::plan::change::ResourceChange;
use crate::policy::PolicyDocument;
use crate::world::{Answer, ReadAws};

impl<A: ReadAws, K> IamRecheck<'_, A, K> {
    pub(super) async fn policy_document(
        &self,
        arn: &PolicyArn,
        from: &PolicyDocument,
        to: &PolicyDocument,
    ) -> Answer<Finding> {
        let Some(live) = self.run.aws.policy(self.account, arn).await? else { return Ok(Finding::gone()) };
        let (live, write) = (live.policy, (Some(from), Some(to)));
        let compare = || document("document", self.step, Field::Document, Some(&live.document), write);
        Ok(self.policy_owner(&live.tags).unless_stale(compare))
    }

    /// Whether irsa may delete a version: it must not be the default version.
    pub(super) async fn policy_version(&self, arn: &PolicyArn, version: &String) -> Answer<Finding> {
        let Some(live) = self.run.aws.policy(self.account, arn).await? else { return Ok(Finding::Done) };
        Ok(self.policy_owner(&live.policy.tags).unless_stale(|| {
            if live.default_version == *version {
                Finding::stale(format!("version `{version}` has become the default"))
            } else if live.other_versions.contains(version) {
                Finding::Write
            } else {
                Finding::Done
            }
        }))
    }

    pub(super) async fn policy_tags(&self, arn: &PolicyArn, from: &StringMap, to: &StringMap) -> Answer<Finding> {
        let live = self.run.aws.policy_tags(self.account, arn).await?;
        let compare = |live| self.policy_owner(&live).unless_stale(|| Finding::map("tags", &live, from, to));
        Ok(live.map_or_else(Finding::gone, compare))
    }

    /// Whether irsa may delete the policy. Does not look for new attachments, because IAM then refuses the call with
    /// DeleteConflict.
    pub(super) async fn policy_delete(&self, arn: &PolicyArn) -> Answer<Finding> {
        let Some(live) = self.run.aws.policy(self.account, arn).await? else { return Ok(Finding::Done) };
        let live = live.policy;
        Ok(self.policy_owner(&live.tags).unless_stale(|| {
            let ResourceChange::Policy(change) = &self.step.change else { return Finding::Write };
            let Some(before) = change.before() else { return Finding::Write };
            let document = Finding::field("document", &live.document, &before.document, &before.document);
            Finding::all([Finding::delete_tags(&before.tags, &live.tags), document]).for_delete()
        }))
    }

    fn policy_owner(&self, live: &StringMap) -> Finding {
        let ResourceChange::Policy(change) = &self.step.change else { return Finding::Write };
        Finding::owner(change, |policy| &policy.tags, live)
    }
}
