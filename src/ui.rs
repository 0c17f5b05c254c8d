//! The terminal: streams, colour, questions and progress.
//!
//! Terminal, width and colour are determined once, at the start. Results go to stdout, everything else to stderr. Knows
//! neither plans nor reports.

mod appearance;
mod capture;
mod message;
mod pipe;
mod progress;
mod question;
mod tally;

pub use capture::Captured;

use crate::context::Context;
use crate::event::{Listen, Silence};
use crate::render::Style;
use anstream::AutoStream;
use appearance::ProgressMode;
use progress::{Bar, Lines};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// On a terminal with colours, subject to `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The answer to a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Exactly `yes`.
    Yes,
    /// Anything else, or the end of the input.
    No,
    /// Stdin is not a terminal.
    NoTerminal,
}

/// Asks for a line. Returns None if stdin is not a terminal.
pub type Ask = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How often a log gets a line of progress.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The streams of a run.
#[derive(Clone)]
pub struct Ui {
    stdout: Style,
    stderr: Style,
    quiet: bool,
    /// Shows progress, or ignores it.
    listener: Arc<dyn Listen>,
    /// The listener, if it is a bar: other output must not mix with it.
    bar: Option<Arc<Bar>>,
    /// Replaces the streams of the process.
    captured: Option<Captured>,
}

impl Ui {
    /// Chooses the style from the streams and the environment of the process.
    pub fn new(color: ColorChoice, quiet: bool, progress: bool, context: &Context) -> Self {
        let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let is_terminal = io::stderr().is_terminal();
        let stdout = appearance::style(color, columns, io::stdout().is_terminal(), context);
        let stderr = appearance::style(color, columns, is_terminal, context);
        let (listener, bar): (Arc<dyn Listen>, _) = match appearance::progress(quiet || !progress, is_terminal, context)
        {
            ProgressMode::None => (Arc::new(Silence), None),
            ProgressMode::Lines => (Arc::new(Lines::new(context.scaled(LOG_INTERVAL))), None),
            ProgressMode::Bar => {
                let bar = Arc::new(Bar::new(stderr.has_color()));
                (Arc::clone(&bar) as Arc<dyn Listen>, Some(bar))
            }
        };
        Self { stdout, stderr, quiet, listener, bar, captured: None }
    }

    /// Captures all output, without colours and progress, for runs inside another program.
    pub fn capturing() -> (Self, Captured) {
        let captured = Captured::default();
        let ui = Self {
            stdout: Style::plain(),
            stderr: Style::plain(),
            quiet: false,
            listener: Arc::new(Silence),
            bar: None,
            captured: Some(captured.clone()),
        };
        (ui, captured)
    }

    /// The style of stdout.
    pub fn style(&self) -> Style {
        self.stdout
    }

    /// Stdout, for results. A broken pipe is not an error: further output is dropped, and the run goes on.
    pub fn stdout(&self) -> Box<dyn Write + '_> {
        if let Some(captured) = &self.captured {
            return Box::new(captured.stdout.clone());
        }
        self.clear();
        Box::new(pipe::IgnoreBrokenPipe::new(stripped(io::stdout(), self.stdout)))
    }

    /// Stderr, for everything else.
    pub fn stderr(&self) -> Box<dyn Write + '_> {
        if let Some(captured) = &self.captured {
            return Box::new(captured.stderr.clone());
        }
        self.clear();
        Box::new(pipe::IgnoreBrokenPipe::new(stripped(io::stderr(), self.stderr)))
    }

    /// The style of stderr.
    pub fn stderr_style(&self) -> Style {
        self.stderr
    }

    /// Prints a message, unless `-q` is set.
    pub fn message(&self, text: &str) {
        if !self.quiet {
            self.print(&message::plain(text));
        }
    }

    /// Prints a warning.
    pub fn warning(&self, text: &str) {
        self.print(&message::warning(&self.stderr, text));
    }

    /// Prints an error with its details and hints.
    pub fn error(&self, text: &str, details: &[String], hints: &[String]) {
        self.print(&message::error(&self.stderr, text, details, hints));
    }

    /// Shows progress: a bar on a terminal, lines in the log of a CI job, else nothing.
    pub fn listener(&self) -> Arc<dyn Listen> {
        Arc::clone(&self.listener)
    }

    /// Asks for a confirmation, also with `-q`. Blocks until a line comes.
    pub fn confirm(&self, question: &str) -> Confirmation {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Confirmation::NoTerminal;
        }
        self.clear();
        // not through `stderr()`, which hides a broken pipe
        question::ask(question, &self.stderr, &mut stdin.lock(), &mut stripped(io::stderr(), self.stderr))
    }

    /// A function that asks for a line.
    pub fn ask(&self) -> Ask {
        let ui = self.clone();
        Arc::new(move |question| {
            let stdin = io::stdin();
            if !stdin.is_terminal() {
                return None;
            }
            ui.clear();
            question::line(question, &ui.stderr, &mut stdin.lock(), &mut stripped(io::stderr(), ui.stderr))
        })
    }

    /// Prints to stderr. If it is closed, nobody reads it.
    fn print(&self, text: &str) {
        let write = || {
            let _ = match &self.captured {
                Some(captured) => captured.stderr.clone().write_all(text.as_bytes()),
                None => stripped(io::stderr(), self.stderr).write_all(text.as_bytes()),
            };
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Hides the bar before something else is written.
    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.clear();
        }
    }
}

/// A stream that removes all escape sequences if the style has no colours.
fn stripped<S: anstream::stream::RawStream>(stream: S, style: Style) -> AutoStream<S> {
    let choice = if style.has_color() { anstream::ColorChoice::Always } else { anstream::ColorChoice::Never };
    AutoStream::new(stream, choice)
}
