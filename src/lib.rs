//! irsa: a declarative reconciler for IAM roles for Kubernetes ServiceAccounts.
//!
//! The library exists for the program and its tests. Its API is not stable.

pub mod access;
pub mod apply;
pub mod cli;
pub mod config;
pub mod context;
pub mod error;
pub mod event;
pub mod explain;
mod folder;
pub mod ids;
pub mod import;
pub mod lint;
pub mod model;
pub mod observe;
pub mod plan;
pub mod policy;
pub mod render;
pub mod ui;
pub mod verify;
pub mod view;
pub mod world;
