//! Runs irsa inside the test: the whole program except its process, in memory, with a clock that stands still.
//!
//! One single-threaded runtime holds the sandbox and every run of irsa. Its clock advances only if all of them wait. So
//! two minutes of hanging cost no time, and the same seed gives the same order of everything.

mod wires;

pub(crate) use wires::{Dials, Time};

use clap::Parser;
use irsa::cli::{Cli, Machine, run_on};
use irsa::context::Context;
use irsa::ui::Ui;
use irsa_sandbox::{Sandbox, SandboxOptions};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// A runtime whose clock stands still.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// A sandbox in memory, a folder for configurations, and machines that are connected to both.
pub(crate) struct Inside {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) dials: Arc<Dials>,
    folder: tempfile::TempDir,
    began: i64,
    started: Instant,
}

/// The result of a run.
#[derive(Clone)]
pub(crate) struct Ended {
    line: String,
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// How long the run took on its own clock.
    pub(crate) took: Duration,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ irsa {} (exit {} after {:?})", self.line, self.code, self.took)?;
        write!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

impl Ended {
    /// Everything that the run printed.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl Inside {
    /// Starts the sandbox on the current runtime.
    pub(crate) async fn start(options: SandboxOptions) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let began = i64::try_from(now).expect("it is before the year 292,277,026,596");
        let started = Instant::now();
        let clock = move || {
            let second = began + i64::try_from(started.elapsed().as_secs()).unwrap_or(0);
            jiff::Timestamp::from_second(second).unwrap_or_default()
        };
        let options = SandboxOptions { clock: Arc::new(clock), ..options };
        let sandbox = Arc::new(Sandbox::start(options).await.expect("a sandbox"));
        let dials =
            Arc::new(Dials::new(Arc::clone(&sandbox), Time { began: UNIX_EPOCH + Duration::from_secs(now), started }));
        Self { sandbox, dials, folder: tempfile::tempdir().expect("a folder"), began, started }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("it is writable");
    }

    /// A machine with credentials of the first account. Its user agent contains the actor.
    pub(crate) fn machine(&self, actor: &str, seed: u64) -> Machine {
        let environment: BTreeMap<String, String> = self.sandbox.environment();
        let now = self.began + i64::try_from(self.started.elapsed().as_secs()).unwrap_or(0);
        let context = Context::fixed(environment, now, 1).with_seed(seed);
        Machine { context, transports: self.dials.wires(actor) }
    }

    /// Runs irsa with the configuration `file` of the folder.
    pub(crate) async fn irsa(&self, seed: u64, file: &str, arguments: &[&str]) -> Ended {
        self.irsa_as("irsa", seed, file, arguments).await
    }

    /// Runs irsa without a configuration.
    pub(crate) async fn irsa_alone(&self, seed: u64, arguments: &[&str]) -> Ended {
        let line: Vec<&str> = std::iter::once("irsa").chain(arguments.iter().copied()).collect();
        self.run("irsa", seed, &line, arguments).await
    }

    /// Like `irsa`, with an actor of its own.
    pub(crate) async fn irsa_as(&self, actor: &str, seed: u64, file: &str, arguments: &[&str]) -> Ended {
        let path = self.path(file).display().to_string();
        let mut line = vec!["irsa", "--config", &path];
        line.extend(arguments);
        self.run(actor, seed, &line, arguments).await
    }

    async fn run(&self, actor: &str, seed: u64, line: &[&str], arguments: &[&str]) -> Ended {
        let (ui, kept) = Ui::capturing();
        let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
        let machine = self.machine(actor, seed);
        let started = Instant::now();
        // on the heap, because the futures of the SDKs are large
        let status = Box::pin(run_on(&machine, &ui, cli)).await;
        Ended {
            line: arguments.join(" "),
            code: status.code(),
            stdout: kept.stdout(),
            stderr: kept.stderr(),
            took: started.elapsed(),
        }
    }
}
