//! The real `irsa` binary in a folder and an environment of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder with a configuration, and the environment to run `irsa` in.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

/// What a run ended with.
#[derive(Clone)]
pub(crate) struct Run {
    line: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    /// An empty folder; the process's own environment is not passed on.
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

    /// The same with a configuration as `irsa.toml`.
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

    /// A command that is `irsa` with these arguments, not yet run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(irsa());
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `irsa` to its end.
    pub(crate) fn irsa(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().expect("irsa runs");
        Run {
            line: format!("irsa {}", arguments.join(" ")),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs `irsa`, which must end with `code`.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, arguments: &[&str]) -> Run {
        let run = self.irsa(arguments);
        assert_eq!(run.code, code, "{run}");
        run
    }

    /// Applies without asking, and then plans: there must be nothing left.
    #[track_caller]
    pub(crate) fn converges(&self) {
        self.ends(0, &["apply", "--auto-approve"]);
        let plan = self.ends(0, &["plan", "--detailed-exitcode"]);
        assert!(plan.stdout.contains("No changes."), "{plan}");
    }

    /// The plan as JSON, however `irsa plan` ended.
    #[track_caller]
    pub(crate) fn plan(&self, arguments: &[&str]) -> serde_json::Value {
        let mut line = vec!["plan", "--format", "json"];
        line.extend(arguments);
        self.irsa(&line).json()
    }
}

impl Run {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
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

/// The binary.
pub(crate) fn irsa() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_irsa"))
}

/// `action address` of every change in a plan, in its order.
pub(crate) fn changes(plan: &serde_json::Value) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let list = plan["changes"].as_array().cloned().unwrap_or_default();
    list.iter().map(|change| format!("{} {}", text(&change["action"]), text(&change["address"]))).collect()
}

/// `address: why` of every refusal in a plan.
pub(crate) fn refusals(plan: &serde_json::Value) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let list = plan["refused"].as_array().cloned().unwrap_or_default();
    list.iter().map(|item| format!("{}: {}", text(&item["address"]), text(&item["why"]))).collect()
}
