//! All roles of an account at once: a thousand a page in place of four calls a role.
//!
//! The operation knows neither description nor session length
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_RoleDetail.html>), so it is joined with ListRoles.

use super::roles::{self, PAGE};
use super::shape::{self, Page, pages, parsed};
use crate::ids::PolicyName;
use crate::model::live::{LiveRole, RoleSummary};
use crate::policy::PolicyDocument;
use crate::world::aws::{AccountClient, Action};
use crate::world::retry::Facts;
use crate::world::{Answer, RoleHead};
use aws_sdk_iam::types::{EntityType, PolicyDetail, RoleDetail};
use std::collections::BTreeMap;

const ACTION: Action = Action::iam("GetAccountAuthorizationDetails");

/// The roles of `roster`, in full but for their instance profiles.
pub(crate) async fn roles(account: &AccountClient, roster: &[RoleSummary]) -> Answer<Vec<LiveRole>> {
    let roster: BTreeMap<&str, &RoleSummary> = roster.iter().map(|role| (role.name.as_str(), role)).collect();
    let details = pages(ACTION, |marker| async move {
        let request =
            account.iam.get_account_authorization_details().filter(EntityType::Role).max_items(PAGE).set_marker(marker);
        let send = || request.clone().customize().config_override(shape::patient(account)).send();
        let page = account.caller.call(ACTION, Facts::default(), send).await?;
        let (truncated, marker) = (page.is_truncated(), page.marker().map(str::to_owned));
        Ok(Page { items: page.role_detail_list.unwrap_or_default(), truncated, marker })
    })
    .await?;
    let mut roles = Vec::new();
    for detail in details {
        let name = roles::name(ACTION, detail.role_name())?;
        if let Some(summary) = roster.get(name.as_str()) {
            roles.push(joined(account, summary, &detail).await?);
        }
    }
    Ok(roles)
}

async fn joined(account: &AccountClient, summary: &RoleSummary, detail: &RoleDetail) -> Answer<LiveRole> {
    let trust = PolicyDocument::live(detail.assume_role_policy_document().unwrap_or_default());
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
    let arn = shape::role_arn(account, detail.arn(), &role).await?;
    Ok(LiveRole { role, arn, last_used, instance_profiles: Vec::new() })
}

fn inline(policy: &PolicyDetail) -> Answer<(PolicyName, PolicyDocument)> {
    let name = parsed(ACTION, policy.policy_name(), PolicyName::parse)?;
    Ok((name, PolicyDocument::live(policy.policy_document().unwrap_or_default())))
}
