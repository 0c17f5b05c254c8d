//! The sandbox, for tests: started in process, seen from outside by the binary and from inside by the test.

use super::someone::Someone;
use irsa_sandbox::kubernetes::{Access, Cluster, Resource, Store, WriteOptions};
use irsa_sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::mpsc;
use tokio::runtime::Runtime;

/// The first account: that of the access key `test`.
pub(crate) const FIRST: &str = "111122223333";
/// The second.
pub(crate) const SECOND: &str = "444455556666";

/// A running sandbox.
pub(crate) struct World {
    runtime: Runtime,
    sandbox: Sandbox,
}
