//! The `irsa` program: see `irsa::cli`.

fn main() {}
