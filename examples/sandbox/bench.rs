//! A folder with a configuration, and the real `irsa` to run in it: each run is shown as it was typed, with what it
//! printed and its exit code, and held to the code that it must have.

#![expect(clippy::disallowed_methods, reason = "an example has no context::Context and writes its own files")]

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where the life is played.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    program: PathBuf,
}

/// Writes to stdout; a reader that has left ends the example.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A step of the life.
pub(crate) fn heading(text: &str) -> io::Result<()> {
    say(&format!("\n\u{2500}\u{2500} {text}\n\n"))
}

impl Bench {
    /// In a folder of its own, and with no more of the process's environment than its PATH.
    pub(crate) fn new(mut environment: BTreeMap<String, String>) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("irsa-life-").tempdir()?;
        environment.insert("HOME".to_owned(), folder.path().display().to_string());
        environment.extend(env::var("PATH").map(|path| ("PATH".to_owned(), path)));
        // What irsa prints goes through a pipe, which would have no colours; NO_COLOR overrules this.
        if io::stdout().is_terminal() {
            environment.insert("CLICOLOR_FORCE".to_owned(), "1".to_owned());
        }
        environment.extend(env::var("NO_COLOR").map(|value| ("NO_COLOR".to_owned(), value)));
        Ok(Self { folder, environment, program: irsa_sandbox::program::build("sandbox")? })
    }

    /// Writes a file of the configuration.
    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(path, text)
    }

    /// Runs `irsa`, shows the run, and ends the life if the exit code is another. Gives what was printed.
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
