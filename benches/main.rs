//! Measures runs of irsa: calls, time and memory of the real program against the embedded sandbox, beside loops that send
//! one request at a time, and beside terraform and boto3 if they are installed.
//!
//! ```text
//! cargo run --release -p bench                            prints the tables
//! cargo run --release -p bench -- --write                 and writes docs/benchmarks.md and its plot
//! cargo run --release -p bench -- --terraform --boto3     with terraform (in PATH) and boto3 (python3's)
//! cargo run --release -p bench -- --table bucket          prints one of them
//! ```
//!
//! It first checks that terraform and boto3 are installed, and prints each table as soon as it is measured.
//!
//! It fails if a count of calls exceeds its budget. No time can make it fail.

#![expect(clippy::disallowed_methods, reason = "a benchmark has no context::Context and writes its own files")]

mod figures;
mod fleet;
mod live;
mod naive;
mod needed;
mod peers;
mod plot;
mod report;
mod runs;
mod world;

use clap::{Parser, ValueEnum};
use peers::Peers;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The largest number of roles in a table.
pub(crate) const ALL_ROLES: usize = 5000;

/// The allocator that the program uses too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure runs of irsa against the embedded sandbox.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Arguments {
    /// Also run terraform with its AWS provider, for 100 roles
    #[arg(long)]
    terraform: bool,
    /// Also run two boto3 scripts for the same roles, with this Python
    #[arg(long, value_name = "PYTHON", num_args = 0..=1, default_missing_value = "python3")]
    boto3: Option<PathBuf>,
    /// Measure only this table; repeatable
    #[arg(long = "table", value_name = "NAME", conflicts_with = "write")]
    tables: Vec<Table>,
    /// Write docs/benchmarks.md and docs/benchmarks.svg
    #[arg(long)]
    write: bool,
    /// How often to run each measurement; the tables have the median
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// The largest number of roles
    #[arg(long, value_name = "N", default_value_t = ALL_ROLES)]
    roles: usize,
}

/// The tables, in the order of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// How the cost of a plan without changes grows with the roles
    Growth,
    /// irsa beside terraform and boto3; needs `--terraform`, `--boto3` or both
    Peers,
    /// Reading roles behind a token bucket for each action
    Bucket,
    /// Creating roles
    Apply,
    /// The parts of a run that need no network
    Local,
}

impl Arguments {
    /// The tables to measure. Without terraform and boto3 there is no comparison.
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

    /// The number of runs for measurements of some milliseconds, which vary more.
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
            // ignores a closed stderr
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

/// Prints what is being measured.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "bench: {text}");
}
