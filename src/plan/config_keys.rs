//! What the configuration calls the issuers and roles that live objects name by URL and ARN.

use crate::ids::Key;
use std::collections::BTreeMap;

/// The keys of clusters and roles, by which people know them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigKeys {
    /// The declared clusters, by host and path of their issuer.
    pub clusters: BTreeMap<String, Key>,
    /// The declared roles, by ARN.
    pub roles: BTreeMap<String, Key>,
}
