//! The `irsa` program: see `irsa::cli`.

use std::process::ExitCode;

/// Offline work is mostly small allocations: glibc's allocator takes a third of its time, musl's more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    irsa::cli::main()
}
