//! The meaning of IAM policies: parsing, equality by meaning, comparison of two versions, trust policies, size quotas.
//!
//! Pure: no IO and no clock.

pub mod budget;
pub(crate) mod canonical;
pub(crate) mod condition;
pub mod document;
pub mod evaluate;
pub mod parse;
pub(crate) mod pattern;
pub mod permission_effects;
pub mod trust;
pub mod trust_effects;

pub use document::{PolicyDocument, Statement};
pub use parse::ParseError;

#[cfg(test)]
mod tests;
