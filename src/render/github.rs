//! Workflow commands of GitHub Actions: annotations on the run and on the lines of the configuration
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).
//!
//! A step shows ten errors, ten warnings and ten notices and drops the rest: errors come first, and where there are more
//! than ten of a kind, the tenth says how many there are.

use super::deliver;
use crate::view::{NoteView, PlanView, ReportView, Tick, Verb};
use std::io::{self, Write};

/// How many of a kind a step shows.
const MOST: usize = 10;

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
    let (deletes, others): (Vec<_>, Vec<_>) = view.changes.iter().partition(|change| change.verb == Verb::Delete);
    for change in deletes {
        list.push(Level::Warning, None, "delete", &format!("{} {}", change.address, change.verb.will()));
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
        view.guards.iter().map(|guard| format!("guard: {}: {}", guard.address, guard.text)).collect();
    let words: Vec<&str> =
        std::iter::once(&view.summary).chain(&view.remarks).chain(&guards).map(String::as_str).collect();
    list.first(Level::Notice, "irsa plan", &words.join("\n"));
    for change in others {
        list.push(Level::Notice, None, change.verb.word(), &format!("{} {}", change.address, change.verb.will()));
    }
    for note in &view.waiting {
        list.note(Level::Notice, note);
    }
    deliver(&list.text(), out)
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
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
    list: Vec<(Level, String)>,
}

impl Annotations {
    fn push(&mut self, level: Level, place: Option<(&str, &str)>, title: &str, text: &str) {
        self.list.push((level, command(level, place, title, text)));
    }

    fn first(&mut self, level: Level, title: &str, text: &str) {
        self.list.insert(0, (level, command(level, None, title, text)));
    }

    fn note(&mut self, level: Level, note: &NoteView) {
        // Windows paths have colons too
        let place = note.origin.rsplit_once(':').filter(|(_, line)| line.parse::<u32>().is_ok());
        self.push(level, place, &note.rule, &format!("{}: {}", note.address, note.text));
    }

    /// All of it, errors first, at most ten of a kind.
    fn text(self) -> String {
        let mut text = String::new();
        for level in Level::ALL {
            let lines: Vec<&String> = self.list.iter().filter(|(of, _)| *of == level).map(|(_, line)| line).collect();
            let shown = if lines.len() > MOST { MOST - 1 } else { lines.len() };
            for line in &lines[..shown] {
                text.push_str(line);
                text.push('\n');
            }
            if lines.len() > shown {
                let words = format!("{} more, not shown as annotations", lines.len() - shown);
                text.push_str(&command(level, None, "irsa", &words));
                text.push('\n');
            }
        }
        text
    }
}

fn command(level: Level, place: Option<(&str, &str)>, title: &str, text: &str) -> String {
    let place = place.map(|(file, line)| format!("file={},line={},", property(file), property(line)));
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
