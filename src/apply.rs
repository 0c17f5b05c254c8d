//! Carries a plan out: lanes that run side by side, each object re-read right before it is written.
//!
//! Makes no choices: what to write, and in which order, the plan has said. May not know how anything looks.

pub mod report;
