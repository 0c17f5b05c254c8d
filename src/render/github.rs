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
    let guards = view.guards.iter().map(|guard| format!("guards: {}: {}", guard.address, guard.text));
    let summary: Vec<String> = std::iter::once(&view.summary).chain(&view.remarks).cloned().chain(guards).collect();
    let mut list = vec![Annotation::new(Level::Notice, "irsa plan", summary.join("\n"))];
    for item in &view.refused {
        let hint = if item.hint.is_empty() { String::new() } else { format!("\nhint: {}", item.hint) };
        list.push(Annotation::new(Level::Error, "refused", format!("{}: {}{hint}", item.address, item.why)));
    }
    for item in &view.unknown {
        list.push(Annotation::new(Level::Error, "not read", format!("{}: {}", item.address, item.why)));
    }
    let mut changes: Vec<&ChangeView> = view.changes.iter().collect();
    // stable: of equal risk, the order of the plan
    changes.sort_by_key(|change| change.risk.level);
    let (deletes, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.action == Action::Delete);
    list.extend(deletes.into_iter().map(|change| Annotation::new(Level::Warning, "delete", change_text(change))));
    list.extend(view.notes.iter().map(|note| {
        let level = match note.severity.as_str() {
            "critical" | "high" => Level::Error,
            "medium" => Level::Warning,
            _ => Level::Notice,
        };
        Annotation::of_note(level, note)
    }));
    let change = |change: &ChangeView| Annotation::new(Level::Notice, change.action.as_str(), change_text(change));
    list.extend(others.into_iter().map(change));
    list.extend(view.waiting.iter().map(|note| Annotation::of_note(Level::Notice, note)));
    annotations(&list, out)
}

/// A change with the permissions and the access that it gives.
fn change_text(change: &ChangeView) -> String {
    let mut text = format!("{} {}", change.address, change.will());
    for words in &change.risk.words {
        text.push('\n');
        text.push_str(words);
    }
    for line in change.summary.iter().filter(|line| line.label == "actions") {
        let _ = write!(text, "\n{} {}", line.sign.character(), line.text);
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
    let level = if view.succeeded { Level::Notice } else { Level::Error };
    let stopped = view.stopped.as_ref().map(|words| format!("\n{words}")).unwrap_or_default();
    let mut list = vec![Annotation::new(level, "irsa apply", format!("{}{stopped}", view.summary))];
    for step in &view.steps {
        let level = match step.outcome {
            OutcomeKind::Failed => Level::Error,
            OutcomeKind::Skipped => Level::Warning,
            OutcomeKind::Applied | OutcomeKind::AlreadyDone => Level::Notice,
        };
        let mut text = format!("{} {}", step.address, step.words);
        for (label, detail) in &step.details {
            let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
            let _ = write!(text, "\n{label}{detail}");
        }
        list.push(Annotation::new(level, step.action.as_str(), text));
    }
    annotations(&list, out)
}

/// An annotation. Its texts are scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How GitHub shows it.
    pub level: Level,
    /// The line that it belongs to.
    pub place: Option<FileLine>,
    /// The title above the text.
    pub title: String,
    /// The text, which may have several lines.
    pub text: String,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// The file, from the root of the repository.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, if known.
    pub column: Option<usize>,
}

/// The level of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// An error, a failed step, an object that is refused or could not be read, or a high or critical finding.
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

impl Annotation {
    fn new(level: Level, title: &str, text: String) -> Self {
        Self { level, place: None, title: title.to_owned(), text }
    }

    fn of_note(level: Level, note: &NoteView) -> Self {
        let place = file_and_line(&note.origin);
        let place = place.map(|(file, line)| FileLine { file: file.to_owned(), line, column: None });
        Self { place, ..Self::new(level, &note.rule, format!("{}: {}", note.address, note.text)) }
    }

    /// The workflow command.
    fn command(&self) -> String {
        let place = self.place.as_ref().map(|FileLine { file, line, column }| {
            let column = column.map(|column| format!("col={column},")).unwrap_or_default();
            format!("file={},line={line},{column}", property(file))
        });
        let (level, place) = (self.level.command(), place.unwrap_or_default());
        format!("::{level} {place}title={}::{}\n", property(&self.title), data(&self.text))
    }

    /// Its entry in the list of the rest.
    fn entry(&self) -> String {
        let mut entry = format!("{}: {}", self.title, self.text.replace('\n', "; "));
        if entry.len() > MAX_ENTRY {
            entry.truncate(entry.floor_char_boundary(MAX_ENTRY));
            entry.push('…');
        }
        entry
    }
}

/// Writes annotations: errors first, at most ten of a level.
///
/// # Errors
/// If `out` does not take all bytes.
pub fn annotations(list: &[Annotation], out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    for level in Level::ALL {
        let all: Vec<&Annotation> = list.iter().filter(|annotation| annotation.level == level).collect();
        let (shown, rest) = all.split_at(if all.len() > MAX_SHOWN { MAX_SHOWN - 1 } else { all.len() });
        text.extend(shown.iter().map(|annotation| annotation.command()));
        if !rest.is_empty() {
            text.push_str(&Annotation::new(level, "irsa", list_of(rest)).command());
        }
    }
    write_text(&text, out)
}

/// The entries that fit, and how many entries are left out.
fn list_of(rest: &[&Annotation]) -> String {
    let mut words = format!("{} more, not shown as annotations:", rest.len());
    for (index, annotation) in rest.iter().enumerate() {
        let entry = annotation.entry();
        if words.len() + entry.len() > MAX_LIST {
            // writing to a String cannot fail
            let _ = write!(words, "\nand {} more, which `irsa show` and the other formats have", rest.len() - index);
            break;
        }
        words.push('\n');
        words.push_str(&entry);
    }
    words
}

/// Escapes a message, which `%`, `\r` and `\n` would end or alter.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property, which `:` and `,` would end too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
