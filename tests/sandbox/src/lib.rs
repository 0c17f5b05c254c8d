//! The AWS and Kubernetes stand-in that irsa is tested against: IAM, STS, EKS and Kubernetes API servers, in process on
//! loopback ports.
//!
//! [`Sandbox`] holds everything: accounts, clusters and one AWS endpoint. Dropping it deletes everything. It never
//! connects to other machines.

mod admin;
pub mod aws;
pub mod gate;
pub mod kubernetes;
pub mod program;
mod sandbox;
mod wire;

pub use aws::Snapshot;
pub use sandbox::{ClusterSpec, Sandbox, SandboxOptions};
