//! Runs AWS and three Kubernetes clusters on this machine, for trying irsa. Sends nothing to the network.
//!
//! ```text
//! cargo run -p sandbox                                   the life of a role, and ends
//! cargo run -p sandbox -- serve [--port N] [--empty]     keeps running, for irsa, aws, kubectl and boto3
//! ```

mod life;
mod run_irsa;
mod serve;

use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;

/// AWS and three Kubernetes clusters on this machine, for trying irsa.
///
/// Without a command it plays the life of a role and ends.
#[derive(Debug, Parser)]
#[command(name = "sandbox")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep running; print the environment to use it in, then `# ready`
    Serve {
        /// The port of AWS on 127.0.0.1; 0 takes a free one
        #[arg(long, value_name = "N", default_value_t = 0)]
        port: u16,
        /// One account with nothing in it, and no clusters
        #[arg(long)]
        empty: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        None => life::play().await,
        Some(Command::Serve { port, empty }) => serve::run(port, empty).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // ignores a closed stderr
            let _ = writeln!(std::io::stderr(), "sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}
