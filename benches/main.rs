//! What a run of irsa costs: calls, time and memory of the real program against the embedded sandbox, beside readers
//! that ask for one thing at a time, and beside terraform and boto3 where they are.
//!
//! ```text
//! cargo run --release -p bench                            prints the tables
//! cargo run --release -p bench -- --write                 and writes docs/benchmarks.md and its plot
//! cargo run --release -p bench -- --terraform --boto3     with terraform (in PATH) and boto3 (python3's)
//! cargo run --release -p bench -- --table bucket          prints one of them
//! ```
//!
//! What is needed for that is looked for first, and each table is printed as soon as it is measured.
//!
//! Counts of calls are held to their budgets; times are only told.

#![expect(clippy::disallowed_methods, reason = "a benchmark has no context::Context and writes its own files")]

mod figures;
mod fleet;
mod inside;
mod live;
mod naive;
mod needed;
mod peers;
mod plot;
mod report;
mod runs;

use clap::{Parser, ValueEnum};
use peers::Peers;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The most roles of the tables.
pub(crate) const ALL_ROLES: usize = 5000;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a run of irsa costs, against the embedded sandbox.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Arguments {
    /// Beside terraform with its AWS provider, for 100 roles
    #[arg(long)]
    terraform: bool,
    /// Beside two boto3 scripts, for the same; with this Python
    #[arg(long, value_name = "PYTHON", num_args = 0..=1, default_missing_value = "python3")]
    boto3: Option<PathBuf>,
    /// Measure this table alone; repeatable
    #[arg(long = "table", value_name = "NAME", conflicts_with = "write")]
    tables: Vec<Table>,
    /// Write docs/benchmarks.md and docs/benchmarks.svg
    #[arg(long)]
    write: bool,
    /// Runs of each, of which the middle one is told
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// The most roles
    #[arg(long, value_name = "N", default_value_t = ALL_ROLES)]
    roles: usize,
}

/// The tables, in the order of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// How a plan without changes grows
    Growth,
    /// Beside terraform and boto3, which `--terraform` and `--boto3` ask for
    Peers,
    /// Behind a token bucket for each action
    Bucket,
    /// Making roles
    Apply,
    /// What needs no network
    Local,
}

impl Arguments {
    /// What is measured. Nothing is compared where nobody is there to compare with.
    fn tables(&self) -> io::Result<Vec<Table>> {
        let others = self.terraform || self.boto3.is_some();
        if self.tables.contains(&Table::Peers) && !others {
            return Err(io::Error::other("`--table peers` compares with others: add `--terraform`, `--boto3` or both"));
        }
        let all = Table::value_variants().iter().copied();
        let wanted = |table: &Table| {
            if self.tables.is_empty() { others || *table != Table::Peers } else { self.tables.contains(table) }
        };
        Ok(all.filter(wanted).collect())
    }

    /// Of what takes some milliseconds, and where each run counts for more: so many runs.
    fn local_runs(&self) -> usize {
        self.runs * 4
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = measure(&Arguments::parse()).await;
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // where stderr is closed there is nobody to tell
            let _ = writeln!(io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> io::Result<()> {
    let tables = arguments.tables()?;
    let peers = if tables.contains(&Table::Peers) { Peers::find(arguments).await? } else { Peers::default() };
    let program = irsa_sandbox::program::build("bench")?;
    let mut figures = figures::Figures::default();
    let mut text = String::new();
    let mut tell = |part: String| {
        text.push_str(&part);
        let mut stdout = io::stdout().lock();
        stdout.write_all(part.as_bytes()).and_then(|()| stdout.flush())
    };
    tell(report::head(arguments))?;
    for table in tables {
        runs::measure(table, (arguments, &program), &peers, &mut figures).await?;
        tell(report::table(table, &figures, arguments))?;
    }
    if arguments.write {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        plot::growth(&figures, &docs.join("benchmarks.svg"))?;
        std::fs::write(docs.join("benchmarks.md"), text)?;
    }
    runs::budgets(&figures)
}

/// Says what is being measured.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "bench: {text}");
}
