//! Writes plans and reports as workflow commands of GitHub Actions: annotations of the run and of lines of files
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).
//!
//! GitHub shows ten errors, ten warnings and ten notices of a step and drops the rest. So the riskiest changes come first,
//! and of more than ten annotations of a level the tenth lists the rest.

use super::write_text;
use crate::model::origin::file_and_line;
use crate::plan::change::Action;
use crate::view::{ChangeView, NoteView, OutcomeKind, PlanView, ReportView};
use std::fmt::Write as _;
use std::io::{self, Write};

/// The number of annotations of a level that GitHub shows.
const MAX_SHOWN: usize = 10;
/// The size of the list of the rest, in bytes.
const MAX_LIST: usize = 16_000;
/// The size of each entry of that list, in bytes.
const MAX_ENTRY: usize = 400;

/// Writes a plan.
pub fn plan(view: &PlanView, out: &mut dyn Write) -> io::Result<()> {
    let mut list = Annotations::default();
    for item in &view.refused {
        let hint = if item.hint.is_empty() { String::new() } else { format!("\nhint: {}", item.hint) };
        list.push(Level::Error, None, "refused", &format!("{}: {}{hint}", item.address, item.why));
    }
    for item in &view.unknown {
        list.push(Level::Error, None, "not read", &format!("{}: {}", item.address, item.why));
    }
    let mut changes: Vec<&ChangeView> = view.changes.iter().collect();
    // stable: of equal risk, the order of the plan
    changes.sort_by_key(|change| change.risk.level);
    let (deletes, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.action == Action::Delete);
    for change in deletes {
        list.push(Level::Warning, None, "delete", &change_text(change));
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
        list.push(Level::Notice, None, change.action.as_str(), &change_text(change));
    }
    for note in &view.waiting {
        list.note(Level::Notice, note);
    }
    write_text(&list.text(), out)
}

/// A change with the permissions and the access that it gives.
fn change_text(change: &ChangeView) -> String {
    let mut text = format!("{} {}", change.address, change.will());
    for words in &change.risk.words {
        text.push('\n');
        text.push_str(words);
    }
    for heading in &change.access {
        for who in &heading.children {
            // writing to a String cannot fail
            let _ = write!(text, "\n{} {}: {}", heading.sign.character(), heading.words(), who.words());
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
        let level = match step.outcome {
            OutcomeKind::Failed => Level::Error,
            OutcomeKind::Skipped => Level::Warning,
            OutcomeKind::Applied | OutcomeKind::AlreadyDone => Level::Notice,
        };
        let mut text = format!("{} {}", step.address, step.words);
        for (label, detail) in &step.details {
            let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
            text.push('\n');
            text.push_str(&label);
            text.push_str(detail);
        }
        list.push(level, None, step.action.as_str(), &text);
    }
    write_text(&list.text(), out)
}

/// An annotation that belongs to no plan or report, for example a mistake in the configuration. Its texts are scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The level of the annotation.
    pub level: Level,
    /// The line that it belongs to.
    pub place: Option<FileLine>,
    /// The title of the annotation.
    pub title: String,
    /// The text, which may have several lines.
    pub text: String,
}

/// A line of a file, as annotations name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// The file, from the root of the repository.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, if known.
    pub column: Option<usize>,
}

/// Writes remarks.
///
/// # Errors
/// If `out` does not take all bytes.
pub fn remarks(remarks: &[Remark], out: &mut dyn Write) -> io::Result<()> {
    let mut list = Annotations::default();
    for Remark { level, place, title, text } in remarks {
        list.push(*level, place.as_ref(), title, text);
    }
    write_text(&list.text(), out)
}

/// The level of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// An error, a refusal, or a severe finding.
    Error,
    /// A delete, a skipped step, or a medium finding.
    Warning,
    /// Everything else.
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

#[derive(Default)]
struct Annotations {
    list: Vec<Annotation>,
}

struct Annotation {
    level: Level,
    line: String,
    /// Its entry in the list of the rest.
    short: String,
}

impl Annotation {
    fn new(level: Level, place: Option<&FileLine>, title: &str, text: &str) -> Self {
        let mut short = format!("{title}: {}", text.replace('\n', "; "));
        if short.len() > MAX_ENTRY {
            short.truncate(short.floor_char_boundary(MAX_ENTRY));
            short.push('…');
        }
        Self { level, line: command(level, place, title, text), short }
    }
}

impl Annotations {
    fn push(&mut self, level: Level, place: Option<&FileLine>, title: &str, text: &str) {
        self.list.push(Annotation::new(level, place, title, text));
    }

    fn first(&mut self, level: Level, title: &str, text: &str) {
        self.list.insert(0, Annotation::new(level, None, title, text));
    }

    fn note(&mut self, level: Level, note: &NoteView) {
        let place = file_and_line(&note.origin);
        let place = place.map(|(file, line)| FileLine { file: file.to_owned(), line, column: None });
        self.push(level, place.as_ref(), &note.rule, &format!("{}: {}", note.address, note.text));
    }

    /// The commands, errors first, at most ten of a level.
    fn text(self) -> String {
        let mut text = String::new();
        for level in Level::ALL {
            let all: Vec<&Annotation> = self.list.iter().filter(|annotation| annotation.level == level).collect();
            let (shown, rest) = all.split_at(if all.len() > MAX_SHOWN { MAX_SHOWN - 1 } else { all.len() });
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

/// The entries that fit, and the number of the others.
fn list_of(rest: &[&Annotation]) -> String {
    let mut words = format!("{} more, not shown as annotations:", rest.len());
    for (index, annotation) in rest.iter().enumerate() {
        if words.len() + annotation.short.len() > MAX_LIST {
            // writing to a String cannot fail
            let _ = write!(words, "\nand {} more, which `irsa show` and the other formats have", rest.len() - index);
            break;
        }
        words.push('\n');
        words.push_str(&annotation.short);
    }
    words
}

fn command(level: Level, place: Option<&FileLine>, title: &str, text: &str) -> String {
    let place = place.map(|FileLine { file, line, column }| {
        let column = column.map(|column| format!("col={column},")).unwrap_or_default();
        format!("file={},line={line},{column}", property(file))
    });
    format!("::{} {}title={}::{}", level.command(), place.unwrap_or_default(), property(title), data(text))
}

/// Escapes a message, which `%`, `\r` and `\n` would end or alter.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property, which `:` and `,` would end too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
