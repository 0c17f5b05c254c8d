//! Workflow commands of GitHub Actions: annotations on the run and on the lines of the configuration
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).
//!
//! A step shows ten errors, ten warnings and ten notices and drops the rest: errors come first, the riskiest changes
//! before the others, and where there are more than ten of a kind, the tenth lists the rest.

use super::deliver;
use crate::view::{ChangeView, NoteView, PlanView, ReportView, Tick, Verb};
use std::fmt::Write as _;
use std::io::{self, Write};

/// How many of a kind a step shows.
const MOST: usize = 10;
/// How much the list of the rest may take, and how much each entry of it, in bytes.
const LIST: usize = 16_000;
const ENTRY: usize = 400;

/// Writes a plan.
pub fn plan(view: &PlanView, out: &mut dyn Write) -> io::Result<()> {
    let mut list = Annotations::default();
    for item in &view.refused {
        let hint = if item.hint.is_empty() { String::new() } else { format!("\nhint: {}", item.hint) };
        list.push(Level::Error, None, "refused", &format!("{}: {}{hint}", item.address, item.why));
    }
    for item in &view.unknown {
        list.push(Level::Error, None, "not seen", &format!("{}: {}", item.address, item.why));
    }
    let mut changes: Vec<&ChangeView> = view.changes.iter().collect();
    // stable: among equals, the order of the plan
    changes.sort_by_key(|change| change.risk.weight);
    let (deletes, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.verb == Verb::Delete);
    for change in deletes {
        list.push(Level::Warning, None, "delete", &told(change));
    }
    for note in &view.notes {
        let level = match note.severity.as_str() {
            "critical" | "high" => Level::Error,
            "medium" => Level::Warning,
            _ => Level::Notice,
        };
        list.note(level, note);
    }
    let guards: Vec<String> =
        view.guards.iter().map(|guard| format!("guards: {}: {}", guard.address, guard.text)).collect();
    let words: Vec<&str> =
        std::iter::once(&view.summary).chain(&view.remarks).chain(&guards).map(String::as_str).collect();
    list.first(Level::Notice, "irsa plan", &words.join("\n"));
    for change in others {
        list.push(Level::Notice, None, change.verb.word(), &told(change));
    }
    for note in &view.waiting {
        list.note(Level::Notice, note);
    }
    deliver(&list.text(), out)
}

/// A change with what it hands out.
fn told(change: &ChangeView) -> String {
    let mut text = format!("{} {}", change.address, change.will());
    for words in &change.risk.words {
        text.push('\n');
        text.push_str(words);
    }
    for heading in &change.access {
        for who in &heading.children {
            // writing to a String cannot fail
            let _ = write!(text, "\n{} {}: {}", heading.mark.sign(), heading.words(), who.words());
        }
    }
    text
}

/// Writes a report.
pub fn report(view: &ReportView, out: &mut dyn Write) -> io::Result<()> {
    let mut list = Annotations::default();
    let level = if view.succeeded { Level::Notice } else { Level::Error };
    let stopped = view.stopped.as_ref().map(|words| format!("\n{words}")).unwrap_or_default();
    list.first(level, "irsa apply", &format!("{}{stopped}", view.summary));
    for step in &view.steps {
        let level = match step.tick {
            Tick::Failed => Level::Error,
            Tick::Skipped => Level::Warning,
            Tick::Done | Tick::Same => Level::Notice,
        };
        let mut text = format!("{} {}", step.address, step.words);
        for (label, detail) in &step.details {
            let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
            text.push('\n');
            text.push_str(&label);
            text.push_str(detail);
        }
        list.push(level, None, step.verb.word(), &text);
    }
    deliver(&list.text(), out)
}

/// Something to be said that is no part of a plan or report; its texts are scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub level: Level,
    /// Where.
    pub spot: Option<Spot>,
    /// What kind of remark it is.
    pub title: String,
    /// What; it may have lines.
    pub text: String,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The file, from the root of the repository.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, where it is known.
    pub column: Option<usize>,
}

/// Writes remarks.
pub fn remarks(remarks: &[Remark], out: &mut dyn Write) -> io::Result<()> {
    let mut list = Annotations::default();
    for Remark { level, spot, title, text } in remarks {
        list.push(*level, spot.as_ref(), title, text);
    }
    deliver(&list.text(), out)
}

/// The kind of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// It fails the run.
    Error,
    /// It is worth mending.
    Warning,
    /// It is good to know.
    Notice,
}

impl Level {
    const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Notice];

    fn command(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// Annotations in the making, by level.
#[derive(Default)]
struct Annotations {
    list: Vec<Annotation>,
}

struct Annotation {
    level: Level,
    line: String,
    /// What stands for it where there are too many.
    short: String,
}

impl Annotation {
    fn new(level: Level, spot: Option<&Spot>, title: &str, text: &str) -> Self {
        let mut short = format!("{title}: {}", text.replace('\n', "; "));
        if short.len() > ENTRY {
            short.truncate(short.floor_char_boundary(ENTRY));
            short.push('…');
        }
        Self { level, line: command(level, spot, title, text), short }
    }
}

impl Annotations {
    fn push(&mut self, level: Level, spot: Option<&Spot>, title: &str, text: &str) {
        self.list.push(Annotation::new(level, spot, title, text));
    }

    fn first(&mut self, level: Level, title: &str, text: &str) {
        self.list.insert(0, Annotation::new(level, None, title, text));
    }

    fn note(&mut self, level: Level, note: &NoteView) {
        // Windows paths have colons too
        let spot = note
            .origin
            .rsplit_once(':')
            .and_then(|(file, line)| Some(Spot { file: file.to_owned(), line: line.parse().ok()?, column: None }));
        self.push(level, spot.as_ref(), &note.rule, &format!("{}: {}", note.address, note.text));
    }

    /// All of it, errors first, at most ten of a kind.
    fn text(self) -> String {
        let mut text = String::new();
        for level in Level::ALL {
            let all: Vec<&Annotation> = self.list.iter().filter(|annotation| annotation.level == level).collect();
            let (shown, rest) = all.split_at(if all.len() > MOST { MOST - 1 } else { all.len() });
            for annotation in shown {
                text.push_str(&annotation.line);
                text.push('\n');
            }
            if !rest.is_empty() {
                text.push_str(&command(level, None, "irsa", &list_of(rest)));
                text.push('\n');
            }
        }
        text
    }
}

/// As many of them as there is room for.
fn list_of(rest: &[&Annotation]) -> String {
    let mut words = format!("{} more, not shown as annotations:", rest.len());
    for (index, annotation) in rest.iter().enumerate() {
        if words.len() + annotation.short.len() > LIST {
            // writing to a String cannot fail
            let _ = write!(words, "\nand {} more, which `irsa show` and the other formats have", rest.len() - index);
            break;
        }
        words.push('\n');
        words.push_str(&annotation.short);
    }
    words
}

fn command(level: Level, spot: Option<&Spot>, title: &str, text: &str) -> String {
    let place = spot.map(|Spot { file, line, column }| {
        let column = column.map(|column| format!("col={column},")).unwrap_or_default();
        format!("file={},line={line},{column}", property(file))
    });
    format!("::{} {}title={}::{}", level.command(), place.unwrap_or_default(), property(title), data(text))
}

/// A message: `%`, `\r` and `\n` would end or alter it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property: `:` and `,` would end it too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
