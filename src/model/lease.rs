//! A Lease as a lock sees it: who holds it, since when, and for how long without renewing it
//! (<https://kubernetes.io/docs/concepts/architecture/leases/>). Times are microseconds since 1970.

use crate::ids::{Key, LeaseName, Namespace};
use serde_json::Value;

/// Where a Lease is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRef {
    /// The key of the cluster.
    pub cluster: Key,
    /// The namespace.
    pub namespace: Namespace,
    /// The name.
    pub name: LeaseName,
}

/// What a Lease says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseRecord {
    /// Who holds it; empty when nobody does.
    pub holder: String,
    /// For how many seconds it holds without being renewed; nothing for one that somebody wrote without an end.
    pub seconds: Option<u32>,
    /// When its holder took it.
    pub acquired: Option<i64>,
    /// When its holder last renewed it.
    pub renewed: Option<i64>,
    /// How often it went from one holder to another.
    pub transitions: u32,
}

/// A Lease that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// What it says.
    pub hold: LeaseRecord,
    /// The whole object, with the uid and the version that guard the next write. What is not ours goes back unchanged.
    pub object: Value,
}
