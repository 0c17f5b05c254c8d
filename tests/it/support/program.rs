//! The real `irsa` binary, in a folder and an environment of its own.

use super::moments::{PATIENCE, pause};
use super::python;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

/// A folder with a configuration, and the environment in which `irsa` runs.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

/// The result of a run.
#[derive(Clone)]
pub(crate) struct Run {
    line: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running `irsa`.
pub(crate) struct Running {
    line: String,
    pub(crate) child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    heard: mpsc::Receiver<String>,
}

impl Bench {
    /// An empty folder. irsa does not inherit the environment of the test process.
    pub(crate) fn new(environment: BTreeMap<String, String>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut all = BTreeMap::from([
            ("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()),
            ("HOME".to_owned(), folder.path().display().to_string()),
            ("NO_COLOR".to_owned(), "1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
        ]);
        all.extend(environment);
        Self { folder, environment: all }
    }

    /// Like `new`, with this configuration as `irsa.toml`.
    pub(crate) fn with(environment: BTreeMap<String, String>, configuration: &str) -> Self {
        let bench = Self::new(environment);
        bench.write("irsa.toml", configuration);
        bench
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is writable");
        fs::write(path, text).expect("it is writable");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names in a folder, hidden ones too.
    pub(crate) fn entries(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("a folder").map(|entry| entry.expect("an entry"));
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A command that runs `irsa` with these arguments. Does not start it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(irsa());
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `irsa` to its end.
    pub(crate) fn irsa(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().expect("irsa runs");
        let run = Run {
            line: format!("irsa {}", arguments.join(" ")),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!run.stdout.contains("(exit-4)"), "a refusal has no word of its own: {run}");
        if arguments.contains(&"sarif") && !run.stdout.is_empty() {
            assert_eq!(python::sarif_errors(&run.stdout), [""; 0], "the schema of SARIF does not allow {run}");
        }
        run
    }

    /// Starts `irsa`, and reads its output while it runs.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).spawn().expect("irsa starts");
        let stdout = child.stdout.take().expect("a pipe");
        let stdout = std::thread::spawn(move || read_all(stdout));
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (told, heard) = mpsc::channel();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            for line in stderr.lines().map_while(Result::ok) {
                text = text + &line + "\n";
                // the receiver may be gone
                let _ = told.send(line);
            }
            text
        });
        Running { line: format!("irsa {}", arguments.join(" ")), child, stdout, stderr, heard }
    }

    /// Runs `irsa`, which must end with `code`.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, arguments: &[&str]) -> Run {
        let run = self.irsa(arguments);
        assert_eq!(run.code, code, "{run}");
        run
    }

    /// Applies without confirmation, and then plans: nothing must be left to do.
    #[track_caller]
    pub(crate) fn converges(&self) {
        self.ends(0, &["apply", "--auto-approve"]);
        let plan = self.ends(0, &["plan", "--detailed-exitcode"]);
        assert!(plan.stdout.contains("No changes."), "{plan}");
    }

    /// The plan as JSON, whatever the exit code of `irsa plan`.
    #[track_caller]
    pub(crate) fn plan(&self, arguments: &[&str]) -> Value {
        let mut line = vec!["plan", "--format", "json"];
        line.extend(arguments);
        self.irsa(&line).json()
    }
}

fn read_all(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    // a broken stream ends there
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Running {
    /// Sends `INT`, `TERM` or another signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "{} is gone already", self.line);
    }

    /// Waits until a line of stderr contains this text.
    pub(crate) fn says(&self, text: &str) {
        let begin = Instant::now();
        loop {
            match self.heard.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(error) => panic!("{} does not say `{text}`: {error}", self.line),
            }
        }
    }

    /// Kills the process without a clean shutdown.
    pub(crate) fn kill(mut self) -> Run {
        // it may have ended already
        let _ = self.child.kill();
        self.ends()
    }

    /// Waits for its end. The code of a killed process is -1.
    pub(crate) fn ends(mut self) -> Run {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            if begin.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            pause();
        };
        let join = |thread: JoinHandle<String>| thread.join().expect("a reader does not panic");
        let (stdout, stderr) = (join(self.stdout), join(self.stderr));
        Run { line: self.line, code: status.code().unwrap_or(-1), stdout, stderr }
    }
}

/// Prints a line on stderr directly, so that the test runner does not capture it.
pub(crate) fn tell(line: &str) {
    // a closed stderr does not matter
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

impl Run {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "`{text}` is not in {self}");
        self
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {} (exit {})", self.line, self.code)?;
        writeln!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// The path of the binary.
pub(crate) fn irsa() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_irsa"))
}

/// `action address` of every change in a plan, in the order of the plan.
pub(crate) fn changes(plan: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = plan["changes"].as_array().cloned().unwrap_or_default();
    list.iter().map(|change| format!("{} {}", text(&change["action"]), text(&change["address"]))).collect()
}

/// `address: why` of every refusal in a plan.
pub(crate) fn refusals(plan: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = plan["refused"].as_array().cloned().unwrap_or_default();
    list.iter().map(|item| format!("{}: {}", text(&item["address"]), text(&item["why"]))).collect()
}

/// Removes irsa's tags, labels and annotations.
pub(crate) fn without_marks(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let is_mark = |item: &Value| item["Key"].as_str().is_some_and(|key| key.starts_with("irsa/"));
            items.iter().filter(|item| !is_mark(item)).map(without_marks).collect()
        }
        Value::Object(entries) => {
            let kept = entries.iter().filter(|(key, _)| !key.starts_with("irsa/"));
            kept.map(|(key, value)| (key.clone(), without_marks(value))).collect()
        }
        other => other.clone(),
    }
}

/// Checks that the changes of a plan have no field but irsa's marks. Two spellings of one document are no change.
#[track_caller]
pub(crate) fn only_marks(plan: &Value) {
    for change in plan["changes"].as_array().expect("changes") {
        let fields = change["fields"].as_array().expect("fields");
        assert!(!fields.is_empty(), "{change:#}");
        for field in fields {
            let is_mark = field["path"].as_str().is_some_and(|path| path.contains("irsa/"));
            let (before, after) = (without_marks(&field["before"]), without_marks(&field["after"]));
            assert!(is_mark || before == after, "{field:#} in {change:#}");
        }
    }
}
