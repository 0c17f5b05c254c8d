//! The `irsa` program: see `irsa::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    irsa::cli::main()
}
