//! Reads roles.

use crate::ids::{IamPath, PolicyArn, PolicyName, RoleArn, RoleName};
use crate::model::address::OrphanKind;
use crate::model::call::Target;
use crate::model::live::{Identity, LiveRole, RoleSummary};
use crate::model::resource::{InlinePolicies, Role, StringMap};
use crate::policy::PolicyDocument;
use crate::world::account::{AccountClient, Action, optional, other};
use crate::world::pages::{entry, entry_size, list, listed, long_attempt, next_page, pages, parsed, tag_map, tag_size};
use crate::world::retry::RetryFacts;
use crate::world::{Answer, IAM_PAGE_SIZE, Listed, RoleAttributes, sts};
use aws_sdk_iam::types::{self, AttachedPermissionsBoundary, AttachedPolicy};
use futures::future::try_join_all;
use std::collections::BTreeSet;

const GET: Action = Action::iam("GetRole");
const LIST: Action = Action::iam("ListRoles");
const LIST_ATTACHED: Action = Action::iam("ListAttachedRolePolicies");
const LIST_INLINE: Action = Action::iam("ListRolePolicies");
const GET_INLINE: Action = Action::iam("GetRolePolicy");
const LIST_TAGS: Action = Action::iam("ListRoleTags");
const LIST_PROFILES: Action = Action::iam("ListInstanceProfilesForRole");
/// The actions that irsa calls to read roles one by one. The action with the lowest rate limit decides how long that
/// takes.
pub(crate) const ONE_BY_ONE: [Action; 5] = [GET, LIST_ATTACHED, LIST_INLINE, GET_INLINE, LIST_TAGS];
/// The session duration if IAM returns none, in seconds.
const DEFAULT_SESSION: i32 = 3_600;

/// iam:ListRoles
pub(crate) async fn list(account: &AccountClient) -> Answer<Listed<RoleSummary>> {
    let size = |role: &RoleSummary| {
        role.name.as_str().len() + role.path.len() + role.trust.text().len() + role.description.len()
    };
    let roles = pages(
        account,
        LIST,
        |role| entry_size(role, size),
        |marker| async move {
            let request = account.iam.list_roles().max_items(IAM_PAGE_SIZE.into()).set_marker(marker);
            let send = || request.clone().customize().config_override(long_attempt(account)).send();
            let page = account.sender.call(LIST, RetryFacts::default(), send).await?;
            let roles =
                page.roles().iter().map(|role| entry(OrphanKind::Role, Some(role.role_name()), summary(LIST, role)));
            Ok((roles.collect(), next_page(LIST, page.is_truncated(), page.marker())?))
        },
    );
    roles.await.map(listed)
}

/// iam:GetRole
async fn get_role(account: &AccountClient, name: &RoleName, facts: RetryFacts) -> Answer<Option<types::Role>> {
    let request = account.iam.get_role().role_name(name.as_str());
    let answer = optional(account.sender.call(GET, facts, || request.clone().send()).await)?;
    answer.map(|answer| answer.role.ok_or_else(|| other(GET, "the answer has no role"))).transpose()
}

/// iam:GetRole: the role without its policies.
pub(crate) async fn attributes(
    account: &AccountClient,
    name: &RoleName,
    facts: RetryFacts,
) -> Answer<Option<RoleAttributes>> {
    get_role(account, name, facts).await?.map(|role| attributes_of(&role)).transpose()
}

/// iam:GetRole, ListAttachedRolePolicies, ListRolePolicies, and GetRolePolicy of each inline policy. Takes one round
/// trip if `expected` names all inline policies, otherwise two.
pub(crate) async fn with_policies(
    account: &AccountClient,
    name: &RoleName,
    expected: &BTreeSet<PolicyName>,
) -> Answer<Option<LiveRole>> {
    // a role may be deleted while irsa reads it, so a second attempt follows
    for _ in 0..2 {
        // boxed, because the future of four parallel calls is large
        match Box::pin(attempt(account, name, expected)).await? {
            Attempt::Read(role) => return Ok(Some(*role)),
            Attempt::Absent => return Ok(None),
            Attempt::ListsMissing => {}
        }
    }
    Err(other(GET, format!("role `{name}` exists, but its policies cannot be listed")))
}

enum Attempt {
    Read(Box<LiveRole>),
    Absent,
    /// GetRole found the role, but a list of its policies answered NoSuchEntity.
    ListsMissing,
}

async fn attempt(account: &AccountClient, name: &RoleName, expected: &BTreeSet<PolicyName>) -> Answer<Attempt> {
    let speculative = try_join_all(expected.iter().map(|policy| inline_entry(account, name, policy)));
    let (role, attached, listed, found) = futures::try_join!(
        get_role(account, name, account.recent_writes.facts_for_read(Target::Role(name))),
        attached(account, name),
        inline_names(account, name),
        speculative
    )?;
    let Some(read) = role else { return Ok(Attempt::Absent) };
    let (Some(attached), Some(listed)) = (attached, listed) else { return Ok(Attempt::ListsMissing) };
    let mut inline: InlinePolicies = found.into_iter().flatten().collect();
    let missing: Vec<&PolicyName> = listed.iter().filter(|policy| !inline.contains_key(*policy)).collect();
    let more = try_join_all(missing.into_iter().map(|policy| inline_entry(account, name, policy))).await?;
    inline.extend(more.into_iter().flatten());
    let identity = identity_for_arns(account, &[Some(read.arn())]).await?;
    live_role(GET, attributes_of(&read)?, attached, inline, Some(read.arn()), identity.as_ref())
        .map(|role| Attempt::Read(Box::new(role)))
}

async fn inline_entry(
    account: &AccountClient,
    name: &RoleName,
    policy: &PolicyName,
) -> Answer<Option<(PolicyName, PolicyDocument)>> {
    Ok(inline(account, name, policy).await?.map(|document| (policy.clone(), document)))
}

/// iam:ListRoleTags
pub(crate) async fn tags(account: &AccountClient, name: &RoleName) -> Answer<Option<StringMap>> {
    let facts = account.recent_writes.facts_for_read(Target::Role(name));
    let request = || account.iam.list_role_tags().role_name(name.as_str());
    let tags = list!(account, LIST_TAGS, facts, request(), tag_size, |page| tag_map(page.tags()).into_iter().collect());
    Ok(optional(tags.await)?.map(|tags| tags.into_iter().collect()))
}

/// iam:ListAttachedRolePolicies
pub(crate) async fn attached(account: &AccountClient, name: &RoleName) -> Answer<Option<BTreeSet<PolicyArn>>> {
    let attached = list!(
        account,
        LIST_ATTACHED,
        account.recent_writes.facts_for_read(Target::Role(name)),
        account.iam.list_attached_role_policies().role_name(name.as_str()),
        |arn: &PolicyArn| arn.as_str().len(),
        |page| attached_arns(LIST_ATTACHED, page.attached_policies())?
    );
    Ok(optional(attached.await)?.map(|attached| attached.into_iter().collect()))
}

/// iam:ListRolePolicies
pub(crate) async fn inline_names(account: &AccountClient, name: &RoleName) -> Answer<Option<BTreeSet<PolicyName>>> {
    let parse = |name: &String| parsed(LIST_INLINE, Some(name), PolicyName::parse);
    let names = list!(
        account,
        LIST_INLINE,
        account.recent_writes.facts_for_read(Target::Role(name)),
        account.iam.list_role_policies().role_name(name.as_str()),
        |name: &PolicyName| name.as_str().len(),
        |page| page.policy_names().iter().map(parse).collect::<Answer<_>>()?
    );
    Ok(optional(names.await)?.map(|names| names.into_iter().collect()))
}

/// iam:GetRolePolicy
pub(crate) async fn inline(
    account: &AccountClient,
    name: &RoleName,
    policy: &PolicyName,
) -> Answer<Option<PolicyDocument>> {
    let request = account.iam.get_role_policy().role_name(name.as_str()).policy_name(policy.as_str());
    let facts = account.recent_writes.facts_for_inline(name, policy);
    let answer = optional(account.sender.call(GET_INLINE, facts, || request.clone().send()).await)?;
    Ok(answer.map(|answer| PolicyDocument::live(answer.policy_document())))
}

/// iam:ListInstanceProfilesForRole: the names of the profiles.
pub(crate) async fn instance_profiles(account: &AccountClient, name: &RoleName) -> Answer<Vec<String>> {
    let mut profiles = list!(
        account,
        LIST_PROFILES,
        RetryFacts::default(),
        account.iam.list_instance_profiles_for_role().role_name(name.as_str()),
        String::len,
        |page| page.instance_profiles().iter().map(|profile| profile.instance_profile_name().to_owned()).collect()
    )
    .await?;
    profiles.sort();
    Ok(profiles)
}

/// What ListRoles and GetRole have in common.
fn summary(action: Action, role: &types::Role) -> Answer<RoleSummary> {
    let session = role.max_session_duration().unwrap_or(DEFAULT_SESSION);
    Ok(RoleSummary {
        name: parsed(action, Some(role.role_name()), RoleName::parse)?,
        path: role.path().to_owned(),
        trust: PolicyDocument::live(role.assume_role_policy_document().unwrap_or_default()),
        description: role.description().unwrap_or_default().to_owned(),
        max_session_duration: u32::try_from(session).unwrap_or_default(),
    })
}

fn attributes_of(role: &types::Role) -> Answer<RoleAttributes> {
    Ok(RoleAttributes {
        summary: summary(GET, role)?,
        tags: tag_map(role.tags()),
        permissions_boundary: boundary(GET, role.permissions_boundary())?,
        last_used: last_used(role.role_last_used()),
    })
}

/// The ARN of the boundary. Ignores its type, because some operations return `Policy`, others
/// `PermissionsBoundaryPolicy`.
pub(crate) fn boundary(action: Action, boundary: Option<&AttachedPermissionsBoundary>) -> Answer<Option<PolicyArn>> {
    let arn = boundary.and_then(AttachedPermissionsBoundary::permissions_boundary_arn);
    arn.map(|arn| parsed(action, Some(arn), PolicyArn::parse)).transpose()
}

/// When the role was last used, in seconds since 1970.
pub(crate) fn last_used(used: Option<&types::RoleLastUsed>) -> Option<i64> {
    used.and_then(types::RoleLastUsed::last_used_date).map(aws_smithy_types::DateTime::secs)
}

pub(crate) fn attached_arns<C: FromIterator<PolicyArn>>(action: Action, policies: &[AttachedPolicy]) -> Answer<C> {
    policies.iter().map(|policy| parsed(action, policy.policy_arn(), PolicyArn::parse)).collect()
}

/// The identity, if one of `arns` is not a role ARN. A new role may read back with its unique id (`AROA…`) in place of
/// its ARN.
pub(crate) async fn identity_for_arns(account: &AccountClient, arns: &[Option<&str>]) -> Answer<Option<Identity>> {
    if arns.iter().all(|arn| arn.is_some_and(|arn| RoleArn::parse(arn).is_ok())) {
        Ok(None)
    } else {
        sts::identity(account).await.map(Some)
    }
}

/// A role with its policies. If `arn` is not a role ARN, composes it from `identity`.
pub(crate) fn live_role(
    action: Action,
    attributes: RoleAttributes,
    attached: BTreeSet<PolicyArn>,
    inline: InlinePolicies,
    arn: Option<&str>,
    identity: Option<&Identity>,
) -> Answer<LiveRole> {
    let RoleAttributes { summary, tags, permissions_boundary, last_used } = attributes;
    let RoleSummary { name, path, trust, description, max_session_duration } = summary;
    let path = parsed(action, Some(&path), IamPath::parse)?;
    let composed = |identity: &Identity| RoleArn::of(&identity.partition, &identity.account, &path, &name);
    let arn = arn.and_then(|arn| RoleArn::parse(arn).ok()).or_else(|| identity.map(composed));
    let arn = arn.ok_or_else(|| other(action, "a role without an ARN"))?;
    let role =
        Role { name, path, description, max_session_duration, permissions_boundary, tags, trust, attached, inline };
    Ok(LiveRole { role, arn, last_used, instance_profiles: Vec::new() })
}
