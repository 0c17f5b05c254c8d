//! Builds the `irsa` program for a demo or a benchmark that runs it.

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Builds `irsa` in the profile of the running program and returns its path, which is next to the running program.
/// `package` is the package of the running program. Building it together with `irsa` gives both the same features, so
/// that cargo compiles no dependency twice.
///
/// # Errors
/// If the build fails, or if the running program is not in cargo's target folder.
pub fn build(package: &str) -> io::Result<PathBuf> {
    let own = env::current_exe()?;
    let lost = || io::Error::other("the running program is not in cargo's target folder");
    let profile_folder = own.parent().ok_or_else(lost)?;
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()).ok_or_else(lost)? {
        "debug" => "dev",
        other => other,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let _ = writeln!(io::stderr(), "building irsa ...");
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--bin",
        "irsa",
        "-p",
        "irsa",
        "-p",
        package,
        "--profile",
        profile,
        "--manifest-path",
        manifest,
    ]);
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        io::stderr().write_all(&output.stderr)?;
        return Err(io::Error::other("cargo could not build irsa"));
    }
    let program = profile_folder.join(format!("irsa{}", env::consts::EXE_SUFFIX));
    if program.is_file() {
        Ok(program)
    } else {
        Err(io::Error::other(format!("cargo did not create {}", program.display())))
    }
}
