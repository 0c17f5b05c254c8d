//! Runs the real `irsa` against a sandbox with many roles and clusters. Measures the time and the calls of every run.

use crate::fleet::{Fleet, account_id};
use irsa_sandbox::{ClusterSpec, Sandbox, SandboxOptions};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Divides irsa's waits while it creates the objects. No measured run uses this.
const FILLING: &str = "20";

/// The maximum number of runs to create the objects.
const FILLS: usize = 5;

/// The cost of a run.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    pub wall: Duration,
    /// Calls of AWS, by operation.
    pub aws: BTreeMap<String, usize>,
    /// Requests to Kubernetes, by verb and resource.
    pub kubernetes: BTreeMap<String, usize>,
    /// The peak memory of the process in bytes. None if the system does not report it.
    pub memory: Option<u64>,
    /// The stdout of the process.
    pub printed: String,
}

impl Cost {
    pub(crate) fn calls(&self) -> usize {
        self.aws.values().chain(self.kubernetes.values()).sum()
    }
}

/// The sandbox, and a folder with a configuration.
pub(crate) struct World {
    pub sandbox: Sandbox,
    folder: tempfile::TempDir,
    clusters: Vec<String>,
}

impl World {
    /// A sandbox with the accounts, clusters and namespaces of the configuration, without its objects.
    pub(crate) async fn of(fleet: &Fleet) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("irsa-bench-").tempdir()?;
        fleet.write(folder.path())?;
        let accounts: Vec<String> = (0..fleet.accounts).map(account_id).collect();
        let namespaces: Vec<String> = (0..fleet.files).map(|team| format!("team-{team:03}")).collect();
        let namespaces: Vec<&str> = namespaces.iter().map(String::as_str).collect();
        let clusters: Vec<String> = (0..fleet.clusters).map(|number| format!("cluster-{number:04}")).collect();
        let specs = clusters.iter().enumerate().map(|(number, name)| {
            ClusterSpec::new(name, &accounts[number % accounts.len()], "eu-west-1").with_namespaces(&namespaces)
        });
        let options = SandboxOptions {
            clusters: specs.collect(),
            accounts: accounts.clone(),
            access_roles: accounts.len() > 1,
            ..SandboxOptions::empty()
        };
        let sandbox = Sandbox::start(options).await?;
        for account in &accounts {
            // an account with this many roles has a higher quota
            sandbox.iam(account, |iam| iam.set_quota("RolesQuota", 10_000));
        }
        Ok(Self { sandbox, folder, clusters })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets the latency of every request to AWS and Kubernetes.
    pub(crate) fn latency(&self, time: Duration) {
        self.sandbox.gate().latency(time);
        for cluster in &self.clusters {
            self.sandbox.cluster(cluster).gate().latency(time);
        }
    }

    /// Empties the logs.
    pub(crate) fn forget(&self) {
        self.sandbox.gate().forget();
        for cluster in &self.clusters {
            self.sandbox.cluster(cluster).gate().forget();
        }
    }

    /// The calls since the logs were emptied.
    pub(crate) fn calls(&self) -> (BTreeMap<String, usize>, BTreeMap<String, usize>) {
        let mut aws = BTreeMap::new();
        for record in self.sandbox.log() {
            *aws.entry(record.call.action).or_default() += 1;
        }
        let mut kubernetes = BTreeMap::new();
        for cluster in &self.clusters {
            for record in self.sandbox.cluster(cluster).gate().log() {
                *kubernetes.entry(format!("{} {}", record.call.verb, record.call.resource)).or_default() += 1;
            }
        }
        (aws, kubernetes)
    }

    /// Creates everything that is declared. With shorter waits a request can time out; the next run does the rest.
    pub(crate) async fn fill(&self, program: &Path) -> io::Result<()> {
        for left in (0..FILLS).rev() {
            let mut command =
                self.command(program, &["apply", "--auto-approve", "--no-progress", "--parallelism", "64"]);
            let output = command.env("IRSA_TEST_SPEED", FILLING).output().await?;
            let partly = output.status.code() == Some(6) && left > 0;
            if !partly {
                ended(&output, 0)?;
                break;
            }
        }
        self.forget();
        Ok(())
    }

    /// Runs irsa, which must end with `code`.
    pub(crate) async fn irsa(&self, program: &Path, arguments: &[&str], code: i32) -> io::Result<Cost> {
        self.measured(self.command(program, arguments), code).await
    }

    /// Runs a command, which must end with `code`.
    pub(crate) async fn measured(&self, mut command: Command, code: i32) -> io::Result<Cost> {
        self.forget();
        let started = Instant::now();
        let child = command.spawn()?;
        let watch = tokio::spawn(memory(child.id()));
        let output = child.wait_with_output().await?;
        let wall = started.elapsed();
        let memory = watch.await.unwrap_or_default();
        ended(&output, code)?;
        let (aws, kubernetes) = self.calls();
        Ok(Cost { wall, aws, kubernetes, memory, printed: String::from_utf8_lossy(&output.stdout).into_owned() })
    }

    /// A program in the folder, with only the sandbox's environment.
    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.sandbox.environment()).current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).env("AWS_EC2_METADATA_DISABLED", "true").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// Fails with the output of a command that exited with another code.
pub(crate) fn ended(output: &Output, code: i32) -> io::Result<()> {
    if output.status.code() == Some(code) {
        return Ok(());
    }
    let printed =
        [&output.stdout[..], &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    let tail: Vec<&str> = printed.lines().rev().take(40).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(io::Error::other(format!("ended with {} and not with {code}:\n{}", output.status, tail.join("\n"))))
}

/// The high-water mark of a process's memory, as Linux's `/proc/PID/status` has it until it ends
/// (<https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>).
async fn memory(process: Option<u32>) -> Option<u64> {
    let path = format!("/proc/{}/status", process?);
    let mut most = None;
    while let Ok(status) = tokio::fs::read_to_string(&path).await {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let Some(kibibytes) = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()) else { break };
        most = Some(kibibytes * 1024);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    most
}
