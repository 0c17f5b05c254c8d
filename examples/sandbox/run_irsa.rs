//! Runs the real `irsa` in a folder with a configuration. Prints each command with its output and exit code, and fails if
//! the exit code is not the expected one.

#![expect(clippy::disallowed_methods, reason = "an example has no context::Context and writes its own files")]

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The folder, the program and its environment.
pub(crate) struct Runner {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    program: PathBuf,
}

/// Writes to stdout. A closed stdout ends the example.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a step of the demo.
pub(crate) fn heading(text: &str) -> io::Result<()> {
    say(&format!("\n\u{2500}\u{2500} {text}\n\n"))
}

impl Runner {
    /// Makes a new folder, which is also HOME. Of the process's environment, `irsa` gets only PATH and NO_COLOR.
    pub(crate) fn new(mut environment: BTreeMap<String, String>) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("irsa-life-").tempdir()?;
        environment.insert("HOME".to_owned(), folder.path().display().to_string());
        environment.extend(env::var("PATH").map(|path| ("PATH".to_owned(), path)));
        // irsa writes to a pipe, so it would use no colours. NO_COLOR overrides this variable.
        if io::stdout().is_terminal() {
            environment.insert("CLICOLOR_FORCE".to_owned(), "1".to_owned());
        }
        environment.extend(env::var("NO_COLOR").map(|value| ("NO_COLOR".to_owned(), value)));
        Ok(Self { folder, environment, program: irsa_sandbox::program::build("sandbox")? })
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(path, text)
    }

    /// Runs `irsa`, prints the run, and fails if it exits with another code. Returns its output.
    pub(crate) fn irsa(&self, arguments: &[&str], expected: i32) -> io::Result<String> {
        say(&format!("$ irsa {}\n", arguments.join(" ")))?;
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.folder.path());
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output()?;
        let printed = [stderr, stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let code = status.code().unwrap_or(-1);
        say(&format!("{printed}(exit code {code})\n"))?;
        if code == expected {
            return Ok(printed);
        }
        Err(io::Error::other(format!("`irsa {}` ended with {code} and not with {expected}", arguments.join(" "))))
    }
}
