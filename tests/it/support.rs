//! Shared test support: the real binary, the sandbox, AWS stand-ins by other authors, a real API server.

pub(crate) mod apiserver;
pub(crate) mod clusters;
pub(crate) mod fleet;
pub(crate) mod given;
pub(crate) mod hostile;
pub(crate) mod inside;
pub(crate) mod judge;
pub(crate) mod many;
pub(crate) mod moments;
pub(crate) mod program;
pub(crate) mod proxies;
pub(crate) mod python;
pub(crate) mod someone;
pub(crate) mod standin;
pub(crate) mod verification;
pub(crate) mod world;

use std::path::PathBuf;

/// The folder `target`, which cargo may place anywhere.
pub(crate) fn target() -> PathBuf {
    let binary = program::irsa();
    binary.ancestors().nth(2).expect("target/debug/irsa").to_owned()
}
