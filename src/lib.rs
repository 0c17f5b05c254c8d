//! irsa gives pods AWS permissions: a declarative reconciler of IAM roles for service accounts.
//!
//! The library is the program; nothing here is a stable interface for others.

pub mod apply;
pub mod cli;
pub mod config;
pub mod context;
pub mod error;
pub mod event;
mod folder;
pub mod ids;
pub mod lint;
pub mod model;
pub mod observe;
pub mod plan;
pub mod policy;
pub mod render;
pub mod ui;
pub mod view;
pub mod world;
