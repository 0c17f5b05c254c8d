//! Builds the `irsa` binary for an example.

#![expect(clippy::disallowed_methods, reason = "an example has no context::Context")]

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds the program in the example's profile, which `cargo run --example` does not do, and returns its path. Also names
/// the example: otherwise cargo omits the features of the dev-dependencies and compiles nearly everything again.
pub(crate) fn build(example: &str) -> io::Result<PathBuf> {
    let own = env::current_exe()?;
    let lost = || io::Error::other("this example is not where cargo puts it");
    let profile_folder = own.parent().and_then(Path::parent).ok_or_else(lost)?;
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()).ok_or_else(lost)? {
        "debug" => "dev",
        other => other,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let _ = writeln!(io::stderr(), "building irsa ...");
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--bin",
        "irsa",
        "--example",
        example,
        "--profile",
        profile,
        "--manifest-path",
        manifest,
    ]);
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        io::stderr().write_all(&output.stderr)?;
        return Err(io::Error::other("irsa does not build"));
    }
    let program = profile_folder.join(format!("irsa{}", env::consts::EXE_SUFFIX));
    if program.is_file() { Ok(program) } else { Err(io::Error::other(format!("no {}", program.display()))) }
}
