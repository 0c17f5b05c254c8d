//! A Kubernetes API server stand-in, in process, over TLS on a loopback port.
//!
//! It implements what matters to a client that writes: server-side apply with field ownership, resourceVersions and
//! preconditions, paged lists, watches, RBAC, ServiceAccount tokens, and the error texts of the real server. It stores
//! namespaces, ServiceAccounts, pods, Leases, ReplicaSets and MutatingWebhookConfigurations, and has no kubelets. Every
//! request passes the [`Gate`], where tests read the log and set faults.

mod access;
mod admission;
mod delete;
mod discovery;
mod fields;
mod gate;
mod issuer;
mod lease;
mod list;
mod manage;
mod patch;
mod protobuf;
mod resource;
mod review;
mod route;
mod selector;
mod server;
mod status;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod token;
mod validate;
mod verbs;
mod walk;
mod watch;
mod webhook;
mod write;

pub use crate::gate::{Admission, Stage};
pub use access::{Access, Authenticate, Grant, User};
pub use admission::Policy;
pub use delete::Preconditions;
pub use gate::{Call, Decision, Fault, Gate, Match, Record};
pub use list::ListOptions;
pub use resource::Resource;
pub use server::{Cluster, ClusterOptions, KubeconfigEntry, kubeconfig};
pub use status::Refusal;
pub use store::{Clock, Store};
pub use validate::Strictness;
pub use webhook::WebhookServer;
pub use write::{PatchType, WriteOptions, Written};

pub(crate) use issuer::{IssuerKey, Token};
