//! What the configuration calls the issuers and roles that live objects name by URL and ARN.

use super::site::{Issuer, Site};
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
    pub(crate) fn of(site: &Site<'_>) -> Self {
        let clusters = site.desired.clusters.keys().filter_map(|key| match site.issuer(key) {
            Issuer::Known(issuer) => Some((issuer.host_path().to_owned(), key.clone())),
            Issuer::Gone(issuer) => Some((issuer.clone()?, key.clone())),
            Issuer::Missing | Issuer::Unknown(_) => None,
        });
        let roles = site.desired.roles.iter();
        let roles = roles.filter_map(|(key, role)| Some((site.role_arn(role)?.to_string(), key.clone())));
        Self { clusters: clusters.collect(), roles: roles.collect() }
    }
}
