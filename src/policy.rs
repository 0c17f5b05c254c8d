//! The meaning of IAM policies: parsing, equality by meaning, trust policies, size budgets.
//!
//! Pure: no IO, no clock. Everything here is what irsa exists for, so it is our own code.

pub mod budget;
pub(crate) mod canonical;
pub(crate) mod cover;
pub mod document;
pub mod effects;
pub mod narrow;
pub mod parse;
pub mod trust;

pub use document::{PolicyDocument, Statement};
pub use parse::ParseError;

#[cfg(test)]
mod tests;
