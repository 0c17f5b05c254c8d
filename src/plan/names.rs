//! What the configuration calls the issuers and roles that live objects name by URL and ARN.

use crate::ids::Key;
use std::collections::BTreeMap;

/// The keys of clusters and roles, by which people know them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// The declared clusters, by host and path of their issuer.
    pub clusters: BTreeMap<String, Key>,
    /// The declared roles, by ARN.
    pub roles: BTreeMap<String, Key>,
}

impl Names {
    /// The id of the account that holds a declared role.
    pub fn account_of(&self, address: &str) -> Option<&str> {
        let key = address.strip_prefix("role/")?;
        let (arn, _) = self.roles.iter().find(|(_, role)| role.as_str() == key)?;
        arn.split(':').nth(4)
    }
}
