//! Arguments, dispatch, and the way from an error to an exit status; one file per command.
//!
//! The only room that knows all others. It decides nothing about AWS or Kubernetes: it loads, looks, plans, shows, asks
//! and applies, in that order, and ends the run with one of the documented codes.

mod annotations;
mod apply;
mod arguments;
mod drift;
mod environment;
mod files;
mod generate;
mod init;
mod lock;
mod log;
mod metrics;
mod output;
mod panics;
mod plan;
mod repository;
mod saved_plan;
mod session;
mod show;
mod signals;
mod typed;
mod validate;

pub use arguments::Cli;

use crate::config;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::sanitize::{inert, scrub};
use crate::render::github;
use crate::ui::{ColorChoice, Ui};
use crate::world::Transports;
use arguments::{Command, FormatName, Global};
use clap::Parser;
use clap::error::ErrorKind;
use futures::FutureExt;
use repository::Repository;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use typed::Typed;

/// What a run has of the machine that it is on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Clock, randomness and environment.
    pub context: Context,
    /// What requests travel on.
    pub wires: Transports,
}

/// Runs the program with the arguments and environment of the process.
pub fn main() -> ExitCode {
    environment::without_blank_variables();
    panics::tell_in_one_line();
    let machine = Machine { context: Context::of_process(), wires: Transports::default() };
    match Cli::try_parse() {
        Ok(cli) => run(&machine, cli).into(),
        Err(error) => {
            let status = usage(&error);
            if status != ExitStatus::Success {
                tell_programs(&machine, &error, &Typed::of_process(), status);
            }
            status.into()
        }
    }
}

/// Says to programs too that the command line is wrong, where it can be read who they are.
fn tell_programs(machine: &Machine, error: &clap::Error, typed: &Typed, status: ExitStatus) {
    if typed.annotated() {
        let text = error.render().to_string();
        let line = text.lines().next().unwrap_or_default();
        let told = Error::usage(line.strip_prefix("error: ").unwrap_or(line));
        let repository = Repository::of(&machine.context, Path::new(config::DEFAULT));
        // where stdout is closed the text on stderr is left
        let _ = github::annotations(&annotations::of_error(&told, &repository), &mut std::io::stdout());
    }
    if let Some(path) = typed.metrics_file() {
        note_failure(machine, &path, status);
    }
}

/// Writes the metrics of a run whose own runtime is not there.
fn note_failure(machine: &Machine, path: &Path, status: ExitStatus) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
    let ui = Ui::new(ColorChoice::Never, true, false, &machine.context);
    runtime.block_on(drift::note_failure((path, None, None), &ui, machine.context.now(), status));
    runtime.shutdown_background();
}

/// Help and version go to stdout and are no error; everything else is wrong usage, which is 64 and never 2.
fn usage(error: &clap::Error) -> ExitStatus {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    // what was typed is repeated: in a CI job it may come from a branch's name
    let plain = error.render().to_string();
    let lines: Vec<_> = plain.split('\n').map(scrub).collect();
    let safe = inert(&lines.join("\n")).into_owned();
    // a closed pipe behind help is no failure
    let _ = if safe == plain { error.print() } else { anstream::stderr().write_all(safe.as_bytes()) };
    if asked { ExitStatus::Success } else { ExitStatus::Usage }
}

fn run(machine: &Machine, cli: Cli) -> ExitStatus {
    let metrics = match &cli.command {
        Command::Drift(arguments) => arguments.metrics_file.clone(),
        _ => None,
    };
    panics::caught(|| started(machine, cli)).unwrap_or_else(|| {
        if let Some(path) = metrics {
            note_failure(machine, &path, ExitStatus::Failure);
        }
        ExitStatus::Failure
    })
}

fn started(machine: &Machine, cli: Cli) -> ExitStatus {
    let Cli { global, command } = cli;
    log::start(&global);
    let ui = Ui::new(global.color(), global.quiet, !global.no_progress, &machine.context);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&ui, &Error::failure(format!("cannot start: {error}"))),
    };
    let ended = runtime.block_on(AssertUnwindSafe(carry_out(machine, &ui, &global, command)).catch_unwind());
    // a read that hangs must not hold the process back after everything is said
    runtime.shutdown_background();
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs one command line on a runtime that is there already, and writes to the streams of `ui` alone.
pub async fn run_on(machine: &Machine, ui: &Ui, cli: Cli) -> ExitStatus {
    carry_out(machine, ui, &cli.global, cli.command).await
}

async fn carry_out(machine: &Machine, ui: &Ui, global: &Global, command: Command) -> ExitStatus {
    match dispatch(machine, ui, global, command).await {
        Ok(status) => status,
        Err(error) => {
            if global.format == FormatName::Github {
                let repository = Repository::of(&machine.context, global.config());
                // where stdout is closed the text on stderr is left
                let _ = github::annotations(&annotations::of_error(&error, &repository), &mut ui.stdout());
            }
            fail(ui, &error)
        }
    }
}

async fn dispatch(machine: &Machine, ui: &Ui, global: &Global, command: Command) -> Result<ExitStatus, Error> {
    match command {
        Command::Init(arguments) => init::run(ui, global, &arguments),
        Command::Validate(arguments) => validate::run(&machine.context, ui, global, &arguments).await,
        Command::Plan(arguments) => plan::run(machine, ui, global, &arguments).await,
        Command::Apply(arguments) => apply::run(machine, ui, global, &arguments).await,
        Command::Drift(arguments) => drift::run(machine, ui, global, &arguments).await,
        Command::Show(arguments) => show::run(&machine.context, ui, global, &arguments).await,
        Command::Schema(arguments) => output::no_json(global, "schema").and_then(|()| generate::schema(ui, &arguments)),
        Command::Completions(arguments) => {
            output::no_json(global, "completions").and_then(|()| generate::completions(ui, &arguments))
        }
        Command::Man(arguments) => output::no_json(global, "man").and_then(|()| generate::man(ui, &arguments)),
    }
}

/// Says what went wrong and what to do next.
fn fail(ui: &Ui, error: &Error) -> ExitStatus {
    if let Some(diagnostics) = &error.diagnostics {
        let mut out = ui.stderr();
        // where stderr is closed there is nobody to tell
        let _ = diagnostics.render(&mut out, ui.stderr_color());
    }
    if !error.message.is_empty() {
        ui.error(&error.message, &error.details, &error.hints);
    }
    error.status
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_64_and_help_is_0() {
        let status = |line: &[&str]| Cli::try_parse_from(line).map(|_| ()).map_err(|error| usage(&error).code());
        assert_eq!(status(&["irsa", "--help"]), Err(0));
        assert_eq!(status(&["irsa", "--version"]), Err(0));
        assert_eq!(status(&["irsa"]), Err(64));
        assert_eq!(status(&["irsa", "plan", "--no-such"]), Err(64));
        assert_eq!(status(&["irsa", "plan", "--parallelism", "0"]), Err(64));
        assert_eq!(status(&["irsa", "plan", "--timeout", "soon"]), Err(64));
        assert_eq!(status(&["irsa", "verify"]), Err(64), "what does not work yet is not a command");
        assert_eq!(status(&["irsa", "plan"]), Ok(()));
    }
}
