//! A Python virtual environment under `target/` with the pinned stand-ins and clients. Created once. A missing package
//! fails the test, and the message has the command that installs it.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// The `bin` folder of the environment.
pub(crate) fn bin() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(install)
}

/// A program of the environment.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = bin().join(name);
    assert!(path.exists(), "`{}` is missing; remove its folder and run the tests again", path.display());
    path
}

fn install() -> PathBuf {
    let target = super::target();
    let digest = Sha256::digest(REQUIREMENTS.as_bytes());
    let folder = target.join(format!("python-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]));
    let done = folder.join(".installed");
    // parallel test processes may install at the same time
    let lock = File::create(target.join("python.lock")).expect("target/ is writable");
    lock.lock().expect("the lock on target/python.lock");
    if !done.exists() {
        // removes an incomplete installation
        let _ = fs::remove_dir_all(&folder);
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/requirements.txt");
        run(
            Command::new("python3").args(["-m", "venv"]).arg(&folder),
            "install Python 3 with venv (Debian: python3-venv)",
        );
        run(
            Command::new(folder.join("bin/python")).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements),
            "the package registry must be reachable",
        );
        fs::write(&done, "").expect("target/ is writable");
    }
    folder.join("bin")
}

fn run(command: &mut Command, hint: &str) {
    let shown = format!("{command:?}");
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{shown} failed ({hint}):\n{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("{shown} cannot be run ({hint}): {error}"),
    }
}
