//! Reads one page of GetAccountAuthorizationDetails: up to a thousand roles in one call, instead of four calls for each
//! role.
//!
//! These roles have neither description nor session duration
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_RoleDetail.html>), so irsa joins them with those of
//! ListRoles. A page also has roles that irsa does not need, so irsa parses a role only when it joins it.

use super::roles;
use crate::ids::{PolicyName, RoleName};
use crate::model::live::{Identity, LiveRole, RoleSummary};
use crate::policy::PolicyDocument;
use crate::world::account::{AccountClient, Action, other};
use crate::world::bounds::{Listing, ListingError};
use crate::world::pages::{long_attempt, next_page, parsed, tag_map};
use crate::world::retry::RetryFacts;
use crate::world::{Answer, BulkPage, IAM_PAGE_SIZE, RoleAttributes, RoleDetail};
use aws_sdk_iam::types::{self, EntityType, PolicyDetail};
use std::sync::PoisonError;
use tokio::time::Instant;

const ACTION: Action = Action::iam("GetAccountAuthorizationDetails");

/// One page: the first one, or the one at `marker`.
pub(crate) async fn read(account: &AccountClient, marker: Option<&str>) -> Answer<BulkPage> {
    let request =
        account.iam.get_account_authorization_details().filter(EntityType::Role).max_items(IAM_PAGE_SIZE.into());
    let request = request.set_marker(marker.map(str::to_owned));
    let send = || request.clone().customize().config_override(long_attempt(account)).send();
    let page = account.sender.call(ACTION, RetryFacts::default(), send).await?;
    let next = next_page(ACTION, page.is_truncated(), page.marker())?;
    let details = page.role_detail_list.unwrap_or_default();
    count(account, marker, &details, next.as_deref()).map_err(|endless| other(ACTION, endless.to_string()))?;
    let arns: Vec<_> = details.iter().map(types::RoleDetail::arn).collect();
    let identity = roles::identity_for_arns(account, &arns).await?;
    // leaves out a role whose name cannot be parsed, because ListRoles returns it too, and irsa reports it there
    let roles = details.into_iter().filter_map(|detail| {
        let name = parsed(ACTION, detail.role_name(), RoleName::parse).ok()?;
        let identity = identity.clone();
        Some(RoleDetail::new(name, move |summary| joined(identity.as_ref(), summary, &detail)))
    });
    Ok(BulkPage { roles: roles.collect(), next })
}

/// Counts a page against the bounds of the list. The first page starts a new list.
fn count(
    account: &AccountClient,
    marker: Option<&str>,
    details: &[types::RoleDetail],
    next: Option<&str>,
) -> Result<(), ListingError> {
    let mut listing = account.bulk_listing.lock().unwrap_or_else(PoisonError::into_inner);
    if marker.is_none() {
        *listing = None;
    }
    let listing = listing.get_or_insert_with(|| Listing::new(account.sender.budget()));
    listing.page(Instant::now(), details.len(), details.iter().map(size).sum(), next)
}

/// About how many bytes a role takes.
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
    let attributes = RoleAttributes {
        summary: RoleSummary { trust, ..summary.clone() },
        tags: tag_map(detail.tags()),
        permissions_boundary: roles::boundary(ACTION, detail.permissions_boundary())?,
        last_used: roles::last_used(detail.role_last_used()),
    };
    let attached = roles::attached_arns(ACTION, detail.attached_managed_policies())?;
    let inline = detail.role_policy_list().iter().map(inline).collect::<Answer<_>>()?;
    roles::live_role(ACTION, attributes, attached, inline, detail.arn(), identity)
}

fn inline(policy: &PolicyDetail) -> Answer<(PolicyName, PolicyDocument)> {
    let name = parsed(ACTION, policy.policy_name(), PolicyName::parse)?;
    Ok((name, PolicyDocument::live(policy.policy_document().unwrap_or_default())))
}
