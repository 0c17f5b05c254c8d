//! Tests against the Kubernetes API of the sandbox, over TLS in the same process.

mod conflicts;
pub(super) mod kit;
mod leases;

mod exec_plugins;
mod malformed;
mod reads;
mod retries;
mod server_identity;
mod untrusted_kubeconfig;
mod writes;
