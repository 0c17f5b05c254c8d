//! The Kubernetes Lease that serves as the lock of `apply` (<https://kubernetes.io/docs/concepts/architecture/leases/>).
//! Times are microseconds since 1970.

#![expect(missing_docs, reason = "fields without a comment have the names of the API")]

use crate::ids::{Key, LeaseName, Namespace};
use serde_json::Value;

/// The cluster, namespace and name of a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRef {
    pub cluster: Key,
    pub namespace: Namespace,
    pub name: LeaseName,
}

/// The content of a Lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseRecord {
    /// Who holds it; empty if nobody does.
    pub holder: String,
    /// Seconds after which it expires unless renewed; None for a Lease that never expires.
    pub seconds: Option<u32>,
    /// When its holder acquired it.
    pub acquired: Option<i64>,
    /// When its holder last renewed it.
    pub renewed: Option<i64>,
    /// How often the holder changed.
    pub transitions: u32,
}

/// A Lease that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    pub hold: LeaseRecord,
    /// The whole object. Its uid and version guard the next write, which keeps all other fields.
    pub object: Value,
}
