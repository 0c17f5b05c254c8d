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
use crate::world::aws::{AccountClient, Action, odd};
use crate::world::retry::Facts;
use crate::world::{Answer, BulkPage, RoleDetail, RoleHead};
use aws_sdk_iam::types::{self, EntityType, PolicyDetail};

const ACTION: Action = Action::iam("GetAccountAuthorizationDetails");

/// One page: the first, or the one that begins at `marker`.
pub(crate) async fn page(account: &AccountClient, marker: Option<&str>) -> Answer<BulkPage> {
    let request = account.iam.get_account_authorization_details().filter(EntityType::Role).max_items(PAGE);
    let request = request.set_marker(marker.map(str::to_owned));
    let send = || request.clone().customize().config_override(shape::patient(account)).send();
    let page = account.caller.call(ACTION, Facts::default(), send).await?;
    let next = page.is_truncated().then(|| page.marker().map(str::to_owned));
    if next.as_ref().is_some_and(|next| next.is_none() || next.as_deref() == marker) {
        return Err(odd(ACTION, "a page of the list is missing"));
    }
    let details = page.role_detail_list.unwrap_or_default();
    let young = details.iter().any(|detail| detail.arn().is_none_or(|arn| RoleArn::parse(arn).is_err()));
    let identity = if young { Some(account.identity().await?) } else { None };
    let roles = details.into_iter().map(|detail| {
        let name = roles::name(ACTION, detail.role_name())?;
        let identity = identity.clone();
        Ok(RoleDetail::new(name, move |summary| joined(identity.as_ref(), summary, &detail)))
    });
    Ok(BulkPage { roles: roles.collect::<Answer<_>>()?, next: next.flatten() })
}

fn joined(identity: Option<&Identity>, summary: &RoleSummary, detail: &types::RoleDetail) -> Answer<LiveRole> {
    let trust = summary.trust.live_again(detail.assume_role_policy_document().unwrap_or_default());
    let last_used = shape::last_used(detail.role_last_used());
    let head = RoleHead {
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
