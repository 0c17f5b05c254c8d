//! IAM: the API call for each read and each write, and the conversion of responses into model types.

mod already_exists;
pub(crate) mod bulk_page;
pub(crate) mod policies;
pub(crate) mod providers;
pub(crate) mod roles;
pub(crate) mod write;

use super::account::{AccountClient, Action};
use super::retry::RetryFacts;
use super::{AccountSummary, Answer};
use crate::model::live::Quotas;

/// iam:GetAccountSummary. A quota that the response lacks keeps AWS's default.
pub(crate) async fn summary(account: &AccountClient) -> Answer<AccountSummary> {
    let request = account.iam.get_account_summary();
    let action = Action::iam("GetAccountSummary");
    let answer = account.sender.call(action, RetryFacts::default(), || request.clone().send()).await?;
    let mut quotas = Quotas::default();
    let mut roles = None;
    for (key, value) in answer.summary_map().into_iter().flatten() {
        let Ok(value) = usize::try_from(*value) else { continue };
        match key.as_str() {
            "AssumeRolePolicySizeQuota" => quotas.trust_size = value,
            "RolePolicySizeQuota" => quotas.inline_size = value,
            "PolicySizeQuota" => quotas.managed_size = value,
            "AttachedPoliciesPerRoleQuota" => quotas.attached_per_role = value,
            "VersionsPerPolicyQuota" => quotas.versions_per_policy = value,
            "Roles" => roles = Some(value),
            _ => {}
        }
    }
    Ok(AccountSummary { quotas, roles })
}

#[cfg(test)]
mod tests;
