//! Reads of customer managed policies.

use super::shape::{self, Page, Size, judged, pages, parsed};
use crate::ids::{IamPath, PolicyArn, PolicyName};
use crate::model::address::OrphanKind;
use crate::model::live::LivePolicy;
use crate::model::resource::{ManagedPolicy, StringMap};
use crate::policy::PolicyDocument;
use crate::world::account::{AccountClient, Action, odd, optional};
use crate::world::retry::Facts;
use crate::world::{Answer, Listed, PolicySummary};
use aws_sdk_iam::types;
use aws_sdk_iam::types::PolicyScopeType;

const LIST: Action = Action::iam("ListPolicies");
const GET: Action = Action::iam("GetPolicy");
const GET_VERSION: Action = Action::iam("GetPolicyVersion");
const LIST_VERSIONS: Action = Action::iam("ListPolicyVersions");
const LIST_TAGS: Action = Action::iam("ListPolicyTags");

/// Every customer managed policy of the account.
pub(crate) async fn list(account: &AccountClient) -> Answer<Listed<PolicySummary>> {
    let entries = pages(account, LIST, |marker| async move {
        let request =
            account.iam.list_policies().scope(PolicyScopeType::Local).max_items(super::roles::PAGE).set_marker(marker);
        let page = account.caller.call(LIST, Facts::default(), || request.clone().send()).await?;
        let entry =
            |policy: &types::Policy| judged(OrphanKind::Policy, policy.policy_name().or(policy.arn()), summary(policy));
        let items = page.policies().iter().map(entry).collect();
        Ok(Page { items, truncated: page.is_truncated(), marker: page.marker().map(str::to_owned) })
    });
    entries.await.map(shape::listed)
}

impl Size for PolicySummary {
    fn size(&self) -> usize {
        let Self { arn, name, path } = self;
        arn.as_str().len() + name.as_str().len() + path.len()
    }
}

fn summary(policy: &types::Policy) -> Answer<PolicySummary> {
    Ok(PolicySummary {
        arn: parsed(LIST, policy.arn(), PolicyArn::parse)?,
        name: parsed(LIST, policy.policy_name(), PolicyName::parse)?,
        path: policy.path().unwrap_or("/").to_owned(),
    })
}

/// A policy in full.
pub(crate) async fn whole(account: &AccountClient, arn: &PolicyArn) -> Answer<Option<LivePolicy>> {
    whole_knowing(account, arn, account.memory.of_policy(arn)).await
}

/// The same, with what the caller knows of it.
pub(crate) async fn whole_knowing(
    account: &AccountClient,
    arn: &PolicyArn,
    facts: Facts,
) -> Answer<Option<LivePolicy>> {
    // a version may be replaced while it is read: then once more
    for _ in 0..2 {
        let (policy, versions) = futures::try_join!(get(account, arn, facts), versions(account, arn, facts))?;
        let Some(policy) = policy else { return Ok(None) };
        let default = policy.default_version_id().ok_or_else(|| odd(GET, "the answer has no default version"))?;
        let document = version(account, arn, default, facts).await?;
        if let (Some(document), Some(versions)) = (document, versions) {
            return shaped(&policy, default, document, versions).map(Some);
        }
    }
    Err(odd(GET_VERSION, format!("policy `{arn}` changes while it is read")))
}

/// The document of a policy that need not be ours, where it is asked for; `None` if there is no such policy.
pub(crate) async fn foreign(
    account: &AccountClient,
    arn: &PolicyArn,
    document: bool,
) -> Answer<Option<Option<PolicyDocument>>> {
    let facts = Facts::default();
    let Some(policy) = get(account, arn, facts).await? else { return Ok(None) };
    if !document {
        return Ok(Some(None));
    }
    let default = policy.default_version_id().ok_or_else(|| odd(GET, "the answer has no default version"))?;
    // one that goes while it is read is gone
    version(account, arn, default, facts).await.map(|document| document.map(Some))
}

async fn get(account: &AccountClient, arn: &PolicyArn, facts: Facts) -> Answer<Option<types::Policy>> {
    let request = account.iam.get_policy().policy_arn(arn.as_str());
    let answer = optional(account.caller.call(GET, facts, || request.clone().send()).await)?;
    answer.map(|answer| answer.policy.ok_or_else(|| odd(GET, "the answer has no policy"))).transpose()
}

async fn version(account: &AccountClient, arn: &PolicyArn, id: &str, facts: Facts) -> Answer<Option<PolicyDocument>> {
    let request = account.iam.get_policy_version().policy_arn(arn.as_str()).version_id(id);
    let answer = optional(account.caller.call(GET_VERSION, facts, || request.clone().send()).await)?;
    let Some(answer) = answer else { return Ok(None) };
    let document = answer.policy_version().and_then(types::PolicyVersion::document);
    document
        .map(|document| Some(PolicyDocument::live(document)))
        .ok_or_else(|| odd(GET_VERSION, "the answer has no document"))
}

async fn versions(account: &AccountClient, arn: &PolicyArn, facts: Facts) -> Answer<Option<Vec<String>>> {
    let versions = pages(account, LIST_VERSIONS, |marker| async move {
        let request = account.iam.list_policy_versions().policy_arn(arn.as_str()).set_marker(marker);
        let page = account.caller.call(LIST_VERSIONS, facts, || request.clone().send()).await?;
        let ids = page.versions().iter().filter_map(types::PolicyVersion::version_id);
        let items = ids.map(str::to_owned).collect();
        Ok(Page { items, truncated: page.is_truncated(), marker: page.marker().map(str::to_owned) })
    });
    optional(versions.await)
}

fn shaped(
    policy: &types::Policy,
    default: &str,
    document: PolicyDocument,
    versions: Vec<String>,
) -> Answer<LivePolicy> {
    let mut other_versions: Vec<String> = versions.into_iter().filter(|id| id != default).collect();
    // `v9` is older than `v10`
    other_versions.sort_by_key(|id| (id.trim_start_matches('v').parse::<u64>().unwrap_or(u64::MAX), id.clone()));
    let count = |count: Option<i32>| u32::try_from(count.unwrap_or(0)).unwrap_or(0);
    Ok(LivePolicy {
        policy: ManagedPolicy {
            name: parsed(GET, policy.policy_name(), PolicyName::parse)?,
            path: parsed(GET, Some(policy.path().unwrap_or("/")), IamPath::parse)?,
            description: policy.description().unwrap_or_default().to_owned(),
            document,
            tags: shape::pairs(policy.tags()),
        },
        default_version: default.to_owned(),
        other_versions,
        attachments: count(policy.attachment_count()),
        boundaries: count(policy.permissions_boundary_usage_count()),
    })
}

/// The tags of a policy.
pub(crate) async fn tags(account: &AccountClient, arn: &PolicyArn) -> Answer<Option<StringMap>> {
    let facts = account.memory.of_policy(arn);
    let tags = pages(account, LIST_TAGS, |marker| async move {
        let request = account.iam.list_policy_tags().policy_arn(arn.as_str()).set_marker(marker);
        let page = account.caller.call(LIST_TAGS, facts, || request.clone().send()).await?;
        let items = shape::pairs(page.tags()).into_iter().collect();
        Ok(Page { items, truncated: page.is_truncated(), marker: page.marker().map(str::to_owned) })
    });
    Ok(optional(tags.await)?.map(|tags| tags.into_iter().collect()))
}
