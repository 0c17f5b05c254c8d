//! The fields of each kind of object that irsa manages and compares.
//!
//! Desired and live objects both have these types. `live` adds what AWS assigns: ARNs, ids, dates.

#![expect(missing_docs, reason = "fields without a comment have the names of the API")]

use crate::ids::{IamPath, Namespace, PolicyArn, PolicyName, RoleName, ServiceAccountName};
use crate::policy::PolicyDocument;
use std::collections::BTreeSet;

/// Tags, labels or annotations by key: a sorted list, which is small for the few entries that an object has.
pub type StringMap = litemap::LiteMap<String, String>;

/// Inline policies by name.
pub type InlinePolicies = litemap::LiteMap<PolicyName, PolicyDocument>;

/// Tags, labels or annotations as a JSON object, also if there are none.
pub(crate) fn object(pairs: &StringMap) -> serde_json::Value {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// An IAM OIDC provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// The issuer with its scheme. It need not be a valid `IssuerUrl`: a provider that irsa does not manage may have a
    /// port or a slash at the end.
    pub url: String,
    pub audiences: BTreeSet<String>,
    pub tags: StringMap,
}

/// A customer managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedPolicy {
    pub name: PolicyName,
    /// The path: never changed after creation.
    pub path: IamPath,
    /// The description: never changed after creation.
    pub description: String,
    /// The default version.
    pub document: PolicyDocument,
    pub tags: StringMap,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: RoleName,
    /// The path: never changed after creation.
    pub path: IamPath,
    /// The description; empty for a role without one.
    pub description: String,
    /// The longest session in seconds: 3,600-43,200.
    pub max_session_duration: u32,
    /// The managed policy that is its permissions boundary.
    pub permissions_boundary: Option<PolicyArn>,
    pub tags: StringMap,
    pub trust: PolicyDocument,
    pub attached: BTreeSet<PolicyArn>,
    pub inline: InlinePolicies,
}

/// The part of a `ServiceAccount` that irsa manages: some of its labels and annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    pub namespace: Namespace,
    pub name: ServiceAccountName,
    /// The managed labels: `irsa/owner` and the declared ones.
    pub labels: StringMap,
    /// The managed annotations: `eks.amazonaws.com/*`, `irsa/address`, `irsa/created` and the declared ones.
    pub annotations: StringMap,
}
