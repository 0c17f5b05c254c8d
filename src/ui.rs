//! Streams, colour, questions and progress: everything between the program and the person before it.
//!
//! Colour, terminals and width are looked at once, when a run begins. Data goes to stdout, everything else to stderr. Knows
//! neither plans nor reports.

mod choice;
mod kept;
mod message;
mod progress;
mod question;
mod stream;
mod tally;

pub use kept::Kept;

use crate::context::Context;
use crate::event::{Listen, Silence};
use crate::render::Style;
use anstream::AutoStream;
use choice::Looks;
use progress::{Bar, Lines};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// On a terminal that can, as `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM` say.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Exactly `yes`.
    Yes,
    /// Anything else, or nothing.
    No,
    /// Nobody can be asked: stdin is no terminal.
    NoTerminal,
}

/// Asks for a line; nothing where nobody can be asked.
pub type Ask = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How often a log hears that there is progress.
const EVERY: Duration = Duration::from_secs(10);

/// The streams of one run.
#[derive(Clone)]
pub struct Ui {
    stdout: Style,
    stderr: Style,
    quiet: bool,
    progress: Progress,
    /// In place of the streams of the process.
    kept: Option<Kept>,
}

/// How progress is told.
#[derive(Clone)]
enum Progress {
    None,
    Bar(Arc<Bar>),
    Lines(Arc<Lines>),
}

impl Ui {
    /// Looks at the streams and the environment.
    pub fn new(color: ColorChoice, quiet: bool, progress: bool, context: &Context) -> Self {
        let terminal = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let looks = Looks { color, columns: terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)) };
        let stderr = looks.style(terminal.1, context);
        let progress = match choice::progress(quiet, progress, terminal.1, context) {
            choice::Progress::None => Progress::None,
            choice::Progress::Bar => Progress::Bar(Arc::new(Bar::new(stderr.has_color()))),
            choice::Progress::Lines => {
                let began = Instant::now();
                let lines = Lines::new(context.scaled(EVERY), move || began.elapsed(), Box::new(io::stderr()));
                Progress::Lines(Arc::new(lines))
            }
        };
        Self { stdout: looks.style(terminal.0, context), stderr, quiet, progress, kept: None }
    }

    /// One without colours and progress that keeps what is written, for runs inside another program.
    pub fn keeping() -> (Self, Kept) {
        let kept = Kept::default();
        let style = Style::plain();
        let ui =
            Self { stdout: style, stderr: style, quiet: false, progress: Progress::None, kept: Some(kept.clone()) };
        (ui, kept)
    }

    /// The looks of stdout.
    pub fn style(&self) -> Style {
        self.stdout
    }

    /// Stdout, for data. If the reader has gone away, what is written is dropped and the run goes on to its exit status:
    /// a broken pipe is an end, not an error.
    pub fn stdout(&self) -> Box<dyn Write + '_> {
        if let Some(kept) = &self.kept {
            return Box::new(kept.stdout.clone());
        }
        self.clear();
        Box::new(stream::Quiet::new(adapted(io::stdout(), self.stdout)))
    }

    /// Stderr, for everything else.
    pub fn stderr(&self) -> Box<dyn Write + '_> {
        if let Some(kept) = &self.kept {
            return Box::new(kept.stderr.clone());
        }
        self.clear();
        Box::new(stream::Quiet::new(adapted(io::stderr(), self.stderr)))
    }

    /// The looks of stderr.
    pub fn stderr_style(&self) -> Style {
        self.stderr
    }

    /// Whether stderr has colours.
    pub fn stderr_color(&self) -> bool {
        self.stderr.has_color()
    }

    /// Says something, unless told to be quiet.
    pub fn message(&self, text: &str) {
        if !self.quiet {
            self.say(&message::plain(text));
        }
    }

    /// Says that something is amiss.
    pub fn warning(&self, text: &str) {
        self.say(&message::warning(&self.stderr, text));
    }

    /// Says what failed, in how far, and what to do next.
    pub fn error(&self, text: &str, details: &[String], hints: &[String]) {
        self.say(&message::error(&self.stderr, text, details, hints));
    }

    /// Someone who tells the user of progress: a bar on a terminal, a line now and then in the log of a CI job, nothing
    /// elsewhere.
    pub fn listener(&self) -> Arc<dyn Listen> {
        match &self.progress {
            Progress::None => Arc::new(Silence),
            Progress::Bar(bar) => Arc::clone(bar) as Arc<dyn Listen>,
            Progress::Lines(lines) => Arc::clone(lines) as Arc<dyn Listen>,
        }
    }

    /// Asks, on stderr, and waits for a line on stdin. Asks although told to be quiet: nothing goes on without an answer.
    pub fn confirm(&self, question: &str) -> Answer {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Answer::NoTerminal;
        }
        self.clear();
        // not through `stderr`: a question that nobody sees must not be answered
        question::ask(question, &self.stderr, &mut stdin.lock(), &mut adapted(io::stderr(), self.stderr))
    }

    /// Someone who asks for a line, on stderr, and gets none where stdin is no terminal.
    pub fn ask(&self) -> Ask {
        let ui = self.clone();
        Arc::new(move |question| {
            let stdin = io::stdin();
            if !stdin.is_terminal() {
                return None;
            }
            ui.clear();
            question::line(question, &ui.stderr, &mut stdin.lock(), &mut adapted(io::stderr(), ui.stderr))
        })
    }

    /// Writes a finished text to stderr. A closed stderr leaves nobody to tell.
    fn say(&self, text: &str) {
        let write = || {
            let _ = match &self.kept {
                Some(kept) => kept.stderr.clone().write_all(text.as_bytes()),
                None => adapted(io::stderr(), self.stderr).write_all(text.as_bytes()),
            };
        };
        match &self.progress {
            Progress::Bar(bar) => bar.suspend(write),
            Progress::None | Progress::Lines(_) => write(),
        }
    }

    /// Takes the bar away, so that nothing is written through it.
    fn clear(&self) {
        if let Progress::Bar(bar) = &self.progress {
            bar.clear();
        }
    }
}

/// The stream, without escape sequences where there are to be none: whoever wrote them.
fn adapted<S: anstream::stream::RawStream>(stream: S, style: Style) -> AutoStream<S> {
    let choice = if style.has_color() { anstream::ColorChoice::Always } else { anstream::ColorChoice::Never };
    AutoStream::new(stream, choice)
}
