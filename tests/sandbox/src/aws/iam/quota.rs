//! The quotas of an account, with their names in GetAccountSummary
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).

use std::collections::BTreeMap;

pub(super) const TRUST_SIZE: &str = "AssumeRolePolicySizeQuota";
pub(super) const INLINE_SIZE: &str = "RolePolicySizeQuota";
pub(super) const MANAGED_SIZE: &str = "PolicySizeQuota";
pub(super) const ATTACHED: &str = "AttachedPoliciesPerRoleQuota";
pub(super) const VERSIONS: &str = "VersionsPerPolicyQuota";
pub(super) const ROLES: &str = "RolesQuota";
pub(super) const POLICIES: &str = "PoliciesQuota";
pub(super) const USERS: &str = "UsersQuota";
pub(super) const PROFILES: &str = "InstanceProfilesQuota";
/// GetAccountSummary does not return this quota.
pub(super) const PROVIDERS: &str = "OpenIDConnectProvidersQuota";

/// All quotas that GetAccountSummary returns, with AWS's defaults.
const DEFAULTS: &[(&str, u32)] = &[
    ("AccessKeysPerUserQuota", 2),
    (TRUST_SIZE, 2048),
    ("AttachedPoliciesPerGroupQuota", 10),
    (ATTACHED, 10),
    ("AttachedPoliciesPerUserQuota", 10),
    ("GroupPolicySizeQuota", 5120),
    ("GroupsPerUserQuota", 10),
    ("GroupsQuota", 300),
    (PROFILES, 1000),
    (POLICIES, 1500),
    (MANAGED_SIZE, 6144),
    ("PolicyVersionsInUseQuota", 10_000),
    (INLINE_SIZE, 10_240),
    (ROLES, 1000),
    ("ServerCertificatesQuota", 20),
    ("SigningCertificatesPerUserQuota", 2),
    ("UserPolicySizeQuota", 2048),
    (USERS, 5000),
    (VERSIONS, 5),
];

/// The quotas of one account.
#[derive(Debug, Clone)]
pub(super) struct Quotas {
    told: BTreeMap<&'static str, u32>,
    providers: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { told: DEFAULTS.iter().copied().collect(), providers: 100 }
    }
}

impl Quotas {
    pub(super) fn set(&mut self, name: &str, value: u32) -> bool {
        let quota = if name == PROVIDERS { Some(&mut self.providers) } else { self.told.get_mut(name) };
        quota.map(|quota| *quota = value).is_some()
    }

    pub(super) fn of(&self, name: &str) -> usize {
        let value = if name == PROVIDERS { Some(&self.providers) } else { self.told.get(name) };
        value.and_then(|value| usize::try_from(*value).ok()).unwrap_or(usize::MAX)
    }

    pub(super) fn told(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.told.iter().map(|(name, value)| (*name, *value))
    }
}
