//! The `irsa` program: see `irsa::cli`.

use std::process::ExitCode;

/// What needs no network is mostly small allocations: with glibc's allocator they are a third of its time, with musl's
/// more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    irsa::cli::main()
}
