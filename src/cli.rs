//! The program: parses arguments, runs one command, and turns errors into exit codes. One file for each command.
//!
//! The only module that uses every other module. It decides nothing about AWS or Kubernetes: it loads, reads, plans,
//! shows, asks and applies, in this order.

mod access;
mod annotations;
mod apply;
mod arguments;
mod broken_arguments;
mod drift;
mod environment;
mod explain;
mod files;
mod generate;
mod import;
mod init;
mod lock;
mod log;
mod metrics;
mod output;
mod panics;
mod plan;
mod repository;
mod sarif;
mod saved_plan;
mod session;
mod show;
mod signals;
mod validate;
mod verify;

pub use arguments::Cli;

use crate::config;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::refusal::{RefusalKind, with_word};
use crate::model::sanitize::{inert, scrub};
use crate::render::{self, Format, github};
use crate::ui::{ColorChoice, Ui};
use crate::world::Transports;
use arguments::{Command, Global};
use broken_arguments::BrokenArguments;
use clap::Parser;
use clap::error::ErrorKind;
use futures::FutureExt;
use repository::Repository;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;

/// What a run takes from the machine that it runs on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Clock, randomness and environment.
    pub context: Context,
    /// What requests are sent over.
    pub transports: Transports,
}

/// One run of the program: what every command needs.
#[derive(Clone, Copy)]
struct Run<'a> {
    context: &'a Context,
    transports: &'a Transports,
    ui: &'a Ui,
    global: &'a Global,
}

/// Runs the program with the arguments and the environment of the process.
pub fn main() -> ExitCode {
    environment::restart_without_blank_variables();
    panics::report_in_one_line();
    let machine = Machine { context: Context::of_process(), transports: Transports::default() };
    match Cli::try_parse() {
        Ok(cli) => run(&machine, cli).into(),
        Err(error) => {
            let status = print_usage(&error);
            if status != ExitStatus::Success {
                report_usage_error(&machine, &error, status);
            }
            status.into()
        }
    }
}

/// Prints help, a version or a usage error. Help and version go to stdout and exit 0; an error exits 64, never 2.
fn print_usage(error: &clap::Error) -> ExitStatus {
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    // the text repeats the arguments, which a CI job may take from a branch name
    let plain = error.render().to_string();
    let lines: Vec<_> = plain.split('\n').map(scrub).collect();
    let safe = inert(&lines.join("\n")).into_owned();
    // a closed pipe is no failure
    let _ = if safe == plain { error.print() } else { anstream::stderr().write_all(safe.as_bytes()) };
    if is_help { ExitStatus::Success } else { ExitStatus::Usage }
}

/// Writes the annotations and the metrics that the wrong command line asks for.
fn report_usage_error(machine: &Machine, error: &clap::Error, status: ExitStatus) {
    let arguments = BrokenArguments::of_process();
    if arguments.wants_annotations() {
        let text = error.render().to_string();
        let line = text.lines().next().unwrap_or_default();
        let error = Error::usage(line.strip_prefix("error: ").unwrap_or(line));
        let repository = Repository::of(&machine.context, Path::new(config::DEFAULT));
        // if stdout is closed, stderr has the error
        let _ = github::annotations(&annotations::of_error(&error, &repository), &mut std::io::stdout());
    }
    if let Some(path) = arguments.metrics_file() {
        write_failure_metrics(machine, &path, status);
    }
}

/// Writes the metrics of a run that has no runtime.
fn write_failure_metrics(machine: &Machine, path: &Path, status: ExitStatus) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
    let ui = Ui::new(ColorChoice::Never, true, false, &machine.context);
    runtime.block_on(drift::write_failure_metrics((path, None, None), &ui, machine.context.now(), status));
    runtime.shutdown_background();
}

fn run(machine: &Machine, cli: Cli) -> ExitStatus {
    let metrics = match &cli.command {
        Command::Drift(arguments) => arguments.metrics_file.clone(),
        _ => None,
    };
    panics::caught(|| run_on_new_runtime(machine, cli)).unwrap_or_else(|| {
        if let Some(path) = metrics {
            write_failure_metrics(machine, &path, ExitStatus::Failure);
        }
        ExitStatus::Failure
    })
}

fn run_on_new_runtime(machine: &Machine, cli: Cli) -> ExitStatus {
    let global = &cli.global;
    log::start(global);
    let ui = Ui::new(global.color, global.quiet, !global.no_progress, &machine.context);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build() {
        Ok(runtime) => runtime,
        Err(error) => return print_error(&ui, &Error::failure(format!("cannot start: {error}"))),
    };
    let ended = runtime.block_on(AssertUnwindSafe(run_on(machine, &ui, cli)).catch_unwind());
    // a read that hangs must not delay the exit
    runtime.shutdown_background();
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs one command line on the current runtime, and writes only to the streams of `ui`.
pub async fn run_on(machine: &Machine, ui: &Ui, cli: Cli) -> ExitStatus {
    let Machine { context, transports } = machine;
    let run = Run { context, transports, ui, global: &cli.global };
    match dispatch(run, &cli.command).await {
        Ok(status) => status,
        Err(error) => {
            if run.global.format == Format::Github {
                let repository = Repository::of(context, run.global.config());
                // if stdout is closed, stderr has the error
                let _ = github::annotations(&annotations::of_error(&error, &repository), &mut ui.stdout());
            }
            if run.global.format == Format::Sarif && error.status != ExitStatus::Usage {
                let repository = Repository::of(context, run.global.config());
                let (results, failure) = sarif::of_error(&error, &repository);
                let _ = render::sarif::document(&results, &repository.top_file(), failure.as_ref(), &mut ui.stdout());
            }
            print_error(ui, &error)
        }
    }
}

async fn dispatch(run: Run<'_>, command: &Command) -> Result<ExitStatus, Error> {
    match command {
        Command::Init(_) => init::run(run),
        Command::Import(arguments) => import::run(run, arguments).await,
        Command::Validate(_) => validate::run(run).await,
        Command::Plan(arguments) => plan::run(run, arguments).await,
        Command::Apply(arguments) => apply::run(run, arguments).await,
        Command::Drift(arguments) => drift::run(run, arguments).await,
        Command::Show(arguments) => show::run(run, arguments).await,
        Command::Access(arguments) => access::run(run, arguments).await,
        Command::Verify(arguments) => verify::run(run, arguments).await,
        Command::Explain(arguments) => explain::run(run, arguments).await,
        Command::Schema(arguments) => generate::schema(run, arguments),
        Command::Completions(arguments) => generate::completions(run, arguments),
        Command::Man(arguments) => generate::man(run, arguments),
    }
}

fn print_error(ui: &Ui, error: &Error) -> ExitStatus {
    if let Some(diagnostics) = &error.diagnostics {
        // if stderr is closed, nobody reads it
        let _ = diagnostics.render(&mut ui.stderr(), ui.stderr_style().has_color());
    }
    if !error.message.is_empty() {
        let word = error.refusal.map(RefusalKind::word);
        ui.error(&with_word(&error.message, word), &error.details, &error.hints);
    }
    error.status
}

#[cfg(test)]
mod tests;
