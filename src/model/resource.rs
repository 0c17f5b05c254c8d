//! The comparable fields of every kind of object: what irsa manages, and nothing else.
//!
//! Both sides of a comparison have these types, so that apply can compare like with like. Account ids, ARNs, dates and
//! other facts that AWS assigns stand beside them in `live`.

use crate::ids::{IamPath, Namespace, PolicyArn, PolicyName, RoleName, ServiceAccountName};
use crate::policy::PolicyDocument;
use std::collections::BTreeSet;

/// Tags, labels or annotations, by key: a sorted list, since there are a few for each of very many objects.
pub type StringMap = litemap::LiteMap<String, String>;

/// Inline policies by name, in the same way.
pub type InlinePolicies = litemap::LiteMap<PolicyName, PolicyDocument>;

/// Tags, labels or annotations as a JSON object, which they are also when there are none.
pub(crate) fn object(pairs: &StringMap) -> serde_json::Value {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// An IAM OIDC provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// The issuer, with its scheme. Ours is an `IssuerUrl`; that of others may have a port or end with a slash, and is
    /// kept as it is.
    pub url: String,
    /// The client ids.
    pub audiences: BTreeSet<String>,
    /// All tags.
    pub tags: StringMap,
}

/// A customer managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedPolicy {
    /// The name.
    pub name: PolicyName,
    /// The path: never changed after creation.
    pub path: IamPath,
    /// The description: never changed after creation.
    pub description: String,
    /// The default version.
    pub document: PolicyDocument,
    /// All tags.
    pub tags: StringMap,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The name.
    pub name: RoleName,
    /// The path: never changed after creation.
    pub path: IamPath,
    /// The description, empty when there is none.
    pub description: String,
    /// The longest session, in seconds: 3,600-43,200.
    pub max_session_duration: u32,
    /// The managed policy that bounds its permissions.
    pub permissions_boundary: Option<PolicyArn>,
    /// All tags.
    pub tags: StringMap,
    /// The trust policy.
    pub trust: PolicyDocument,
    /// The attached managed policies.
    pub attached: BTreeSet<PolicyArn>,
    /// The inline policies by name.
    pub inline: InlinePolicies,
}

/// The part of a `ServiceAccount` that irsa manages: some of its labels and annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The namespace.
    pub namespace: Namespace,
    /// The name.
    pub name: ServiceAccountName,
    /// The labels that are ours (`irsa/owner`, and those that are declared).
    pub labels: StringMap,
    /// The annotations that are ours (`eks.amazonaws.com/*`, `irsa/address`, `irsa/created`, and those that are declared).
    pub annotations: StringMap,
}
