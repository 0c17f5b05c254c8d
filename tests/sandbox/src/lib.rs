//! sandbox

pub mod kubernetes;
