//! Reads of roles.

use super::shape::{self, Page, Size, judged, pages, parsed};
use crate::ids::{PolicyArn, PolicyName, RoleName};
use crate::model::address::OrphanKind;
use crate::model::live::{LiveRole, RoleSummary};
use crate::model::resource::{InlinePolicies, StringMap};
use crate::policy::PolicyDocument;
use crate::world::account::{AccountClient, Action, odd, optional};
use crate::world::retry::Facts;
use crate::world::{Answer, Listed, RoleAttributes};
use aws_sdk_iam::types;
use futures::future::try_join_all;
use std::collections::BTreeSet;

const GET: Action = Action::iam("GetRole");
const LIST: Action = Action::iam("ListRoles");
const LIST_ATTACHED: Action = Action::iam("ListAttachedRolePolicies");
const LIST_INLINE: Action = Action::iam("ListRolePolicies");
const GET_INLINE: Action = Action::iam("GetRolePolicy");
const LIST_TAGS: Action = Action::iam("ListRoleTags");
const LIST_PROFILES: Action = Action::iam("ListInstanceProfilesForRole");
/// What reading roles one by one calls for each: the slowest of them tells how long that takes.
pub(crate) const ONE_BY_ONE: [Action; 5] = [GET, LIST_ATTACHED, LIST_INLINE, GET_INLINE, LIST_TAGS];
/// The most that IAM takes.
pub(crate) const PAGE: i32 = 1_000;

/// Every role of the account.
pub(crate) async fn list(account: &AccountClient) -> Answer<Listed<RoleSummary>> {
    let entries = pages(account, LIST, |marker| async move {
        let request = account.iam.list_roles().max_items(PAGE).set_marker(marker);
        let send = || request.clone().customize().config_override(shape::patient(account)).send();
        let page = account.caller.call(LIST, Facts::default(), send).await?;
        let entry = |role| judged(OrphanKind::Role, Some(types::Role::role_name(role)), shape::summary(LIST, role));
        let items = page.roles().iter().map(entry).collect();
        Ok(Page { items, truncated: page.is_truncated(), marker: page.marker().map(str::to_owned) })
    });
    entries.await.map(shape::listed)
}

impl Size for RoleSummary {
    fn size(&self) -> usize {
        let Self { name, path, trust, description, max_session_duration: _ } = self;
        name.as_str().len() + path.len() + trust.text().len() + description.len()
    }
}

async fn get(account: &AccountClient, name: &RoleName, facts: Facts) -> Answer<Option<types::Role>> {
    let request = account.iam.get_role().role_name(name.as_str());
    let answer = optional(account.caller.call(GET, facts, || request.clone().send()).await)?;
    answer.map(|answer| answer.role.ok_or_else(|| odd(GET, "the answer has no role"))).transpose()
}

/// A role without its policies.
pub(crate) async fn head(account: &AccountClient, name: &RoleName) -> Answer<Option<RoleAttributes>> {
    head_knowing(account, name, account.memory.of_role(name)).await
}

/// The same, with what the caller knows of it.
pub(crate) async fn head_knowing(
    account: &AccountClient,
    name: &RoleName,
    facts: Facts,
) -> Answer<Option<RoleAttributes>> {
    get(account, name, facts).await?.map(|role| shape::head(GET, &role)).transpose()
}

/// A role in full, in one round trip if `guessed` names all of its inline policies, else in two.
pub(crate) async fn whole(
    account: &AccountClient,
    name: &RoleName,
    guessed: &BTreeSet<PolicyName>,
) -> Answer<Option<LiveRole>> {
    // a role that goes while it is read is read once more, and then is absent or whole
    // boxed: four calls at once make a large future
    match Box::pin(attempt(account, name, guessed)).await? {
        Read::Whole(role) => Ok(Some(*role)),
        Read::Absent => Ok(None),
        Read::Torn => match Box::pin(attempt(account, name, guessed)).await? {
            Read::Whole(role) => Ok(Some(*role)),
            Read::Absent => Ok(None),
            Read::Torn => Err(odd(GET, format!("role `{name}` is there, but its policies cannot be listed"))),
        },
    }
}

enum Read {
    Whole(Box<LiveRole>),
    Absent,
    /// The role was there, its lists were not.
    Torn,
}

async fn attempt(account: &AccountClient, name: &RoleName, guessed: &BTreeSet<PolicyName>) -> Answer<Read> {
    let speculative = try_join_all(guessed.iter().map(|policy| named(account, name, policy)));
    let (role, attached, listed, found) = futures::try_join!(
        get(account, name, account.memory.of_role(name)),
        attached(account, name),
        inline_names(account, name),
        speculative
    )?;
    let Some(read) = role else { return Ok(Read::Absent) };
    let (Some(attached), Some(listed)) = (attached, listed) else { return Ok(Read::Torn) };
    let mut inline: InlinePolicies = found.into_iter().flatten().collect();
    let missing: Vec<&PolicyName> = listed.iter().filter(|policy| !inline.contains_key(*policy)).collect();
    let more = try_join_all(missing.into_iter().map(|policy| named(account, name, policy))).await?;
    inline.extend(more.into_iter().flatten());
    let head = shape::head(GET, &read)?;
    let last_used = head.last_used;
    let mut role = shape::bare(GET, head)?;
    role.attached = attached;
    role.inline = inline;
    let arn = shape::role_arn(account, Some(read.arn()), &role).await?;
    Ok(Read::Whole(Box::new(LiveRole { role, arn, last_used, instance_profiles: Vec::new() })))
}

async fn named(
    account: &AccountClient,
    name: &RoleName,
    policy: &PolicyName,
) -> Answer<Option<(PolicyName, PolicyDocument)>> {
    Ok(inline(account, name, policy).await?.map(|document| (policy.clone(), document)))
}

/// The tags of a role.
pub(crate) async fn tags(account: &AccountClient, name: &RoleName) -> Answer<Option<StringMap>> {
    let facts = account.memory.of_role(name);
    let tags = pages(account, LIST_TAGS, |marker| async move {
        let request = account.iam.list_role_tags().role_name(name.as_str()).set_marker(marker);
        let page = account.caller.call(LIST_TAGS, facts, || request.clone().send()).await?;
        let items = shape::pairs(page.tags()).into_iter().collect();
        Ok(Page { items, truncated: page.is_truncated(), marker: page.marker().map(str::to_owned) })
    });
    Ok(optional(tags.await)?.map(|tags| tags.into_iter().collect()))
}

/// The attached policies of a role.
pub(crate) async fn attached(account: &AccountClient, name: &RoleName) -> Answer<Option<BTreeSet<PolicyArn>>> {
    let facts = account.memory.of_role(name);
    let attached = pages(account, LIST_ATTACHED, |marker| async move {
        let request = account.iam.list_attached_role_policies().role_name(name.as_str()).set_marker(marker);
        let page = account.caller.call(LIST_ATTACHED, facts, || request.clone().send()).await?;
        let items = shape::attached(LIST_ATTACHED, page.attached_policies())?;
        Ok(Page { items, truncated: page.is_truncated(), marker: page.marker().map(str::to_owned) })
    });
    Ok(optional(attached.await)?.map(|attached| attached.into_iter().collect()))
}

/// The names of the inline policies of a role.
pub(crate) async fn inline_names(account: &AccountClient, name: &RoleName) -> Answer<Option<BTreeSet<PolicyName>>> {
    let facts = account.memory.of_role(name);
    let names = pages(account, LIST_INLINE, |marker| async move {
        let request = account.iam.list_role_policies().role_name(name.as_str()).set_marker(marker);
        let page = account.caller.call(LIST_INLINE, facts, || request.clone().send()).await?;
        let items = shape::inline_names(LIST_INLINE, page.policy_names())?;
        Ok(Page { items, truncated: page.is_truncated(), marker: page.marker().map(str::to_owned) })
    });
    Ok(optional(names.await)?.map(|names| names.into_iter().collect()))
}

/// One inline policy of a role.
pub(crate) async fn inline(
    account: &AccountClient,
    name: &RoleName,
    policy: &PolicyName,
) -> Answer<Option<PolicyDocument>> {
    let request = account.iam.get_role_policy().role_name(name.as_str()).policy_name(policy.as_str());
    let facts = account.memory.of_inline(name, policy);
    let answer = optional(account.caller.call(GET_INLINE, facts, || request.clone().send()).await)?;
    Ok(answer.map(|answer| PolicyDocument::live(answer.policy_document())))
}

/// The names of the instance profiles that a role is in.
pub(crate) async fn instance_profiles(account: &AccountClient, name: &RoleName) -> Answer<Vec<String>> {
    let mut profiles = pages(account, LIST_PROFILES, |marker| async move {
        let request = account.iam.list_instance_profiles_for_role().role_name(name.as_str()).set_marker(marker);
        let page = account.caller.call(LIST_PROFILES, Facts::default(), || request.clone().send()).await?;
        let items = page.instance_profiles().iter().map(|profile| profile.instance_profile_name().to_owned());
        Ok(Page { items: items.collect(), truncated: page.is_truncated(), marker: page.marker().map(str::to_owned) })
    })
    .await?;
    profiles.sort();
    Ok(profiles)
}

/// The name of a role, as bulk reads have it.
pub(crate) fn name(action: Action, text: Option<&str>) -> Answer<RoleName> {
    parsed(action, text, RoleName::parse)
}
