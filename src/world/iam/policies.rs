//! Reads managed policies: the account's own in full, and any policy by its ARN.

use crate::ids::{IamPath, PolicyArn, PolicyName};
use crate::model::address::OrphanKind;
use crate::model::call::Target;
use crate::model::live::{LivePolicy, Malformed};
use crate::model::resource::{ManagedPolicy, StringMap};
use crate::policy::PolicyDocument;
use crate::world::account::{AccountClient, Action, optional, other};
use crate::world::pages::{entry, entry_size, list, listed, parsed, tag_map, tag_size};
use crate::world::retry::RetryFacts;
use crate::world::{Answer, IAM_PAGE_SIZE, Listed, PolicySummary};
use aws_sdk_iam::types::{Policy, PolicyScopeType, PolicyVersion};

const LIST: Action = Action::iam("ListPolicies");
const GET: Action = Action::iam("GetPolicy");
const GET_VERSION: Action = Action::iam("GetPolicyVersion");
const LIST_VERSIONS: Action = Action::iam("ListPolicyVersions");
const LIST_TAGS: Action = Action::iam("ListPolicyTags");

/// iam:ListPolicies(Scope=Local): the customer managed policies.
pub(crate) async fn list(account: &AccountClient) -> Answer<Listed<PolicySummary>> {
    let size = |policy: &PolicySummary| policy.arn.as_str().len() + policy.name.as_str().len() + policy.path.len();
    let policies = list!(
        account,
        LIST,
        RetryFacts::default(),
        account.iam.list_policies().scope(PolicyScopeType::Local).max_items(IAM_PAGE_SIZE.into()),
        |policy| entry_size(policy, size),
        |page| page.policies().iter().map(summary).collect()
    );
    policies.await.map(listed)
}

fn summary(policy: &Policy) -> Result<PolicySummary, Malformed> {
    let parse = || {
        Ok(PolicySummary {
            arn: parsed(LIST, policy.arn(), PolicyArn::parse)?,
            name: parsed(LIST, policy.policy_name(), PolicyName::parse)?,
            path: policy.path().unwrap_or("/").to_owned(),
        })
    };
    entry(OrphanKind::Policy, policy.policy_name().or(policy.arn()), parse())
}

/// iam:GetPolicy, GetPolicyVersion of the default version, and ListPolicyVersions.
pub(crate) async fn with_versions(
    account: &AccountClient,
    arn: &PolicyArn,
    facts: RetryFacts,
) -> Answer<Option<LivePolicy>> {
    // the default version may be replaced between two calls, so a second attempt follows
    for _ in 0..2 {
        let (policy, versions) =
            futures::try_join!(get_policy(account, arn, facts), list_policy_versions(account, arn, facts))?;
        let Some(policy) = policy else { return Ok(None) };
        let default = default_version(&policy)?;
        let document = get_policy_version(account, arn, default, facts).await?;
        if let (Some(document), Some(versions)) = (document, versions) {
            return live_policy(&policy, default, document, versions).map(Some);
        }
    }
    Err(other(GET_VERSION, format!("policy `{arn}` changes while it is read")))
}

/// iam:GetPolicy of any policy, also one that irsa does not manage, and GetPolicyVersion if `document`. None if no such
/// policy exists.
pub(crate) async fn foreign(
    account: &AccountClient,
    arn: &PolicyArn,
    document: bool,
) -> Answer<Option<Option<PolicyDocument>>> {
    let facts = RetryFacts::default();
    let Some(policy) = get_policy(account, arn, facts).await? else { return Ok(None) };
    if !document {
        return Ok(Some(None));
    }
    // a missing version means that the policy was deleted between the two calls (or, very rarely, that it got another
    // default version and lost this one)
    get_policy_version(account, arn, default_version(&policy)?, facts).await.map(|document| document.map(Some))
}

fn default_version(policy: &Policy) -> Answer<&str> {
    policy.default_version_id().ok_or_else(|| other(GET, "the answer has no default version"))
}

/// iam:GetPolicy
async fn get_policy(account: &AccountClient, arn: &PolicyArn, facts: RetryFacts) -> Answer<Option<Policy>> {
    let request = account.iam.get_policy().policy_arn(arn.as_str());
    let answer = optional(account.sender.call(GET, facts, || request.clone().send()).await)?;
    answer.map(|answer| answer.policy.ok_or_else(|| other(GET, "the answer has no policy"))).transpose()
}

/// iam:GetPolicyVersion
async fn get_policy_version(
    account: &AccountClient,
    arn: &PolicyArn,
    id: &str,
    facts: RetryFacts,
) -> Answer<Option<PolicyDocument>> {
    let request = account.iam.get_policy_version().policy_arn(arn.as_str()).version_id(id);
    let answer = optional(account.sender.call(GET_VERSION, facts, || request.clone().send()).await)?;
    let Some(answer) = answer else { return Ok(None) };
    let document = answer.policy_version().and_then(PolicyVersion::document);
    let document = document.ok_or_else(|| other(GET_VERSION, "the answer has no document"))?;
    Ok(Some(PolicyDocument::live(document)))
}

/// iam:ListPolicyVersions
async fn list_policy_versions(
    account: &AccountClient,
    arn: &PolicyArn,
    facts: RetryFacts,
) -> Answer<Option<Vec<String>>> {
    let versions = list!(
        account,
        LIST_VERSIONS,
        facts,
        account.iam.list_policy_versions().policy_arn(arn.as_str()),
        String::len,
        |page| page.versions().iter().filter_map(PolicyVersion::version_id).map(str::to_owned).collect()
    );
    optional(versions.await)
}

fn live_policy(policy: &Policy, default: &str, document: PolicyDocument, versions: Vec<String>) -> Answer<LivePolicy> {
    let mut other_versions: Vec<String> = versions.into_iter().filter(|id| id != default).collect();
    // by number: `v9` is older than `v10`
    other_versions.sort_by_key(|id| (id.trim_start_matches('v').parse::<u64>().unwrap_or(u64::MAX), id.clone()));
    let count = |count: Option<i32>| u32::try_from(count.unwrap_or(0)).unwrap_or(0);
    Ok(LivePolicy {
        policy: ManagedPolicy {
            name: parsed(GET, policy.policy_name(), PolicyName::parse)?,
            path: parsed(GET, Some(policy.path().unwrap_or("/")), IamPath::parse)?,
            description: policy.description().unwrap_or_default().to_owned(),
            document,
            tags: tag_map(policy.tags()),
        },
        default_version: default.to_owned(),
        other_versions,
        attachments: count(policy.attachment_count()),
        boundaries: count(policy.permissions_boundary_usage_count()),
    })
}

/// iam:ListPolicyTags
pub(crate) async fn tags(account: &AccountClient, arn: &PolicyArn) -> Answer<Option<StringMap>> {
    let facts = account.recent_writes.facts_for_read(Target::Policy(arn));
    let request = || account.iam.list_policy_tags().policy_arn(arn.as_str());
    let tags = list!(account, LIST_TAGS, facts, request(), tag_size, |page| tag_map(page.tags()).into_iter().collect());
    Ok(optional(tags.await)?.map(|tags| tags.into_iter().collect()))
}
