//! All roles of an account, a page at a time: a thousand in place of four calls a role.
//!
//! The operation knows neither description nor session length
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_RoleDetail.html>), so it is joined with ListRoles. What is
//! not asked for is not looked into: a page has all roles of the account.

use super::roles::{self, PAGE};
use super::shape::{self, parsed};
use crate::ids::{PolicyName, RoleArn};
use crate::model::live::{Identity, LiveRole, RoleSummary};
use crate::policy::PolicyDocument;
use crate::world::account::{AccountClient, Action, odd};
use crate::world::bounds::{Endless, Listing};
use crate::world::retry::Facts;
use crate::world::{Answer, BulkPage, RoleAttributes, RoleDetail, sts};
use aws_sdk_iam::types::{self, EntityType, PolicyDetail};
use std::sync::PoisonError;
use tokio::time::Instant;

const ACTION: Action = Action::iam("GetAccountAuthorizationDetails");

/// One page: the first, or the one that begins at `marker`.
pub(crate) async fn page(account: &AccountClient, marker: Option<&str>) -> Answer<BulkPage> {
    let request = account.iam.get_account_authorization_details().filter(EntityType::Role).max_items(PAGE);
    let request = request.set_marker(marker.map(str::to_owned));
    let send = || request.clone().customize().config_override(shape::patient(account)).send();
    let page = account.caller.call(ACTION, Facts::default(), send).await?;
    let next = page.is_truncated().then(|| page.marker().map(str::to_owned));
    if next == Some(None) {
        return Err(odd(ACTION, "a page of the list is missing"));
    }
    let next = next.flatten();
    let details = page.role_detail_list.unwrap_or_default();
    count(account, marker, &details, next.as_deref()).map_err(|endless| odd(ACTION, endless.to_string()))?;
    let young = details.iter().any(|detail| detail.arn().is_none_or(|arn| RoleArn::parse(arn).is_err()));
    let identity = if young { Some(sts::identity(account).await?) } else { None };
    // one whose name is not understood is told by ListRoles
    let roles = details.into_iter().filter_map(|detail| {
        let name = roles::name(ACTION, detail.role_name()).ok()?;
        let identity = identity.clone();
        Some(RoleDetail::new(name, move |summary| joined(identity.as_ref(), summary, &detail)))
    });
    Ok(BulkPage { roles: roles.collect(), next })
}

/// Counts a page of the list that began with the last first page.
fn count(
    account: &AccountClient,
    marker: Option<&str>,
    details: &[types::RoleDetail],
    next: Option<&str>,
) -> Result<(), Endless> {
    let mut listing = account.bulk.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Listing::new(account.caller.budget());
    let listing = match marker {
        None => listing.insert(new()),
        Some(_) => listing.get_or_insert_with(new),
    };
    listing.page(Instant::now(), details.len(), details.iter().map(size).sum(), next)
}

/// How much room a role takes, more or less.
fn size(detail: &types::RoleDetail) -> usize {
    let length = |text: Option<&str>| text.map_or(0, str::len);
    let policies = detail.role_policy_list().iter();
    let attached = detail.attached_managed_policies().iter();
    let tags = detail.tags().iter();
    length(detail.role_name())
        + length(detail.assume_role_policy_document())
        + policies.map(|policy| length(policy.policy_name()) + length(policy.policy_document())).sum::<usize>()
        + attached.map(|policy| length(policy.policy_name()) + length(policy.policy_arn())).sum::<usize>()
        + tags.map(|tag| tag.key().len() + tag.value().len()).sum::<usize>()
}

fn joined(identity: Option<&Identity>, summary: &RoleSummary, detail: &types::RoleDetail) -> Answer<LiveRole> {
    let trust = summary.trust.live_again(detail.assume_role_policy_document().unwrap_or_default());
    let last_used = shape::last_used(detail.role_last_used());
    let head = RoleAttributes {
        summary: RoleSummary { trust, ..summary.clone() },
        tags: shape::pairs(detail.tags()),
        permissions_boundary: shape::boundary(ACTION, detail.permissions_boundary())?,
        last_used,
    };
    let mut role = shape::bare(ACTION, head)?;
    role.attached = shape::attached(ACTION, detail.attached_managed_policies())?.into_iter().collect();
    role.inline = detail.role_policy_list().iter().map(inline).collect::<Answer<_>>()?;
    let arn = shape::arn(detail.arn(), identity, &role).ok_or_else(|| odd(ACTION, "a role without an ARN"))?;
    Ok(LiveRole { role, arn, last_used, instance_profiles: Vec::new() })
}

fn inline(policy: &PolicyDetail) -> Answer<(PolicyName, PolicyDocument)> {
    let name = parsed(ACTION, policy.policy_name(), PolicyName::parse)?;
    Ok((name, PolicyDocument::live(policy.policy_document().unwrap_or_default())))
}
