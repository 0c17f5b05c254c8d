//! The AWS and Kubernetes that irsa is tested against: IAM, STS, EKS and Kubernetes API servers, in process on loopback
//! ports.
//!
//! [`Sandbox`] holds all of it: accounts, clusters and one AWS endpoint. Nothing is kept when it is dropped, and
//! nothing outside the machine is reached.

mod admin;
pub mod aws;
pub mod gate;
pub mod kubernetes;
pub mod program;
mod sandbox;
mod wire;

pub use aws::Snapshot;
pub use sandbox::{ClusterSpec, Sandbox, SandboxOptions};
