//! Markdown for a comment on a pull request.
//!
//! Begins with a marker, by which the next run finds the comment that it replaces. GitHub takes 65,536 characters: what
//! does not fit in 60,000 bytes is counted, refusals and the unseen come before changes.

use super::deliver;
use super::prose::{code, escape_html, html, markdown};
use crate::view::{ChangeView, Entry, Mark, NoteView, PlanView, ReportView, StepView, Text, Tick};
use std::fmt::Write as _;
use std::io::{self, Write};

/// The size of a comment, in bytes.
const LIMIT: usize = 60_000;
/// What the sentence about what is left out may take of it.
const RESERVE: usize = 400;

/// Writes a plan.
pub fn plan(view: &PlanView, out: &mut dyn Write) -> io::Result<()> {
    let mut head = format!("<!-- irsa:{} -->\n", marker(&view.owner));
    let _ = writeln!(head, "### irsa: {}\n", markdown(&view.summary));
    for remark in &view.remarks {
        let _ = writeln!(head, "{}\n", markdown(remark));
    }
    // in the head, from which nothing is left out
    for guard in &view.guards {
        let _ = writeln!(head, "- guard: {}", note_text(guard));
    }
    if !view.guards.is_empty() {
        head.push('\n');
    }
    let mut comment = Comment::new(head);
    for change in &view.changes {
        comment.push(Kind::Change, change_block(change));
    }
    for item in &view.refused {
        let hint = if item.hint.is_empty() { String::new() } else { format!("<br>hint: {}", markdown(&item.hint)) };
        let text = format!("- **x** {} is refused: {}{hint}\n", code(&item.address), markdown(&item.why));
        comment.push(Kind::Refused, text);
    }
    for item in &view.unknown {
        let text = format!("- **?** {} could not be seen: {}\n", code(&item.address), markdown(&item.why));
        comment.push(Kind::Unknown, text);
    }
    for note in &view.notes {
        comment.push(Kind::Note, format!("- {}: {}\n", note.severity, note_text(note)));
    }
    for note in &view.waiting {
        comment.push(Kind::Waiting, format!("- {}\n", note_text(note)));
    }
    deliver(&comment.finish(), out)
}

/// Writes a report.
pub fn report(view: &ReportView, out: &mut dyn Write) -> io::Result<()> {
    let mut head = format!("<!-- irsa -->\n### irsa: {}\n\n", markdown(&view.summary));
    if let Some(words) = &view.stopped {
        let _ = writeln!(head, "{}\n", markdown(words));
    }
    let mut comment = Comment::new(head);
    for step in &view.steps {
        let kind = if step.tick == Tick::Failed { Kind::Failure } else { Kind::Step };
        comment.push(kind, step_block(step));
    }
    deliver(&comment.finish(), out)
}

/// The owner as it may stand in a comment: nothing in it ends the comment.
fn marker(owner: &str) -> String {
    owner
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .collect::<String>()
        .replace("--", "-_")
}

/// What a block tells of, and so where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Change,
    Failure,
    Step,
    Refused,
    Unknown,
    Note,
    Waiting,
}

impl Kind {
    /// Which are kept when not all fit: the lower, the sooner.
    fn weight(self) -> u8 {
        match self {
            Self::Refused | Self::Failure => 0,
            Self::Unknown => 1,
            Self::Change | Self::Step => 2,
            Self::Note | Self::Waiting => 3,
        }
    }

    fn title(self) -> Option<&'static str> {
        match self {
            Self::Change | Self::Failure | Self::Step => None,
            Self::Refused => Some("Refused"),
            Self::Unknown => Some("Not seen"),
            Self::Note => Some("Notes"),
            Self::Waiting => Some("Waiting"),
        }
    }

    fn counted(self, number: usize) -> String {
        let one = number == 1;
        let word = match self {
            Self::Change => {
                if one {
                    "change"
                } else {
                    "changes"
                }
            }
            Self::Failure => {
                if one {
                    "failure"
                } else {
                    "failures"
                }
            }
            Self::Step => {
                if one {
                    "step"
                } else {
                    "steps"
                }
            }
            Self::Refused => {
                if one {
                    "refusal"
                } else {
                    "refusals"
                }
            }
            Self::Unknown => {
                if one {
                    "unseen object"
                } else {
                    "unseen objects"
                }
            }
            Self::Note => {
                if one {
                    "note"
                } else {
                    "notes"
                }
            }
            Self::Waiting => {
                if one {
                    "waiting object"
                } else {
                    "waiting objects"
                }
            }
        };
        format!("{number} {word}")
    }
}

/// A comment in the making.
struct Comment {
    head: String,
    blocks: Vec<(Kind, String)>,
}

impl Comment {
    fn new(head: String) -> Self {
        Self { head, blocks: Vec::new() }
    }

    fn push(&mut self, kind: Kind, text: String) {
        self.blocks.push((kind, text));
    }

    /// The head and as many blocks as fit, the weighty first chosen, all in their own order.
    fn finish(self) -> String {
        let Self { head, blocks } = self;
        // room for every title is set aside, used or not
        let mut room = LIMIT.saturating_sub(head.len() + RESERVE);
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|index| blocks[*index].0.weight());
        let mut kept = vec![false; blocks.len()];
        for index in order {
            let length = blocks[index].1.len();
            if length <= room {
                room -= length;
                kept[index] = true;
            }
        }
        let mut text = head;
        let mut last = None;
        let mut left: std::collections::BTreeMap<Kind, usize> = std::collections::BTreeMap::new();
        for ((kind, block), kept) in blocks.iter().zip(kept) {
            if !kept {
                *left.entry(*kind).or_default() += 1;
                continue;
            }
            if last != Some(*kind)
                && let Some(title) = kind.title()
            {
                let _ = writeln!(text, "\n**{title}**\n");
            }
            last = Some(*kind);
            text.push_str(block);
        }
        if !left.is_empty() {
            let left: Vec<String> = left.into_iter().map(|(kind, number)| kind.counted(number)).collect();
            let _ = writeln!(text, "\n_Left out, for a comment may be only so long: {}._", left.join(", "));
        }
        text
    }
}

fn change_block(change: &ChangeView) -> String {
    let mut body = String::new();
    for entry in &change.entries {
        draw(entry, 0, &mut body);
    }
    let head = format!(
        "<b>{}</b> <code>{}</code> {}",
        change.verb.sign(),
        escape_html(&change.address),
        html(&change.verb.will())
    );
    let reasons: Vec<String> = change.reasons.iter().map(|reason| markdown(reason)).collect();
    let reasons = reasons.join("<br>\n");
    let fence = "`".repeat(longest_run(&body).max(2) + 1);
    let body = if body.is_empty() { String::new() } else { format!("{fence}diff\n{body}{fence}\n") };
    format!("<details><summary>{head}</summary>\n\n{reasons}\n\n{body}</details>\n")
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// The tree with the signs in the first column, where a `diff` block has its colours; `!` is what changes.
fn draw(entry: &Entry, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let sign = if entry.mark == Mark::Changed { '!' } else { entry.mark.sign() };
    let line = match &entry.text {
        Text::Heading(words) | Text::Folded(words) => words.clone(),
        Text::Name(name) => name.clone(),
        Text::Item(item) => item.clone(),
        Text::Pair(name, value) => format!("{name}: {value}"),
        Text::Change(name, before, after) => format!("{name}: {before} -> {after}"),
    };
    let _ = writeln!(text, "{}", format!("{sign} {indent}{line}").trim_end());
    for child in &entry.children {
        draw(child, depth + 1, text);
    }
}

fn note_text(note: &NoteView) -> String {
    let source = note.source();
    let behind = if source.is_empty() { String::new() } else { format!(" ({})", markdown(&source)) };
    format!("{}: {}{behind}", code(&note.address), markdown(&note.text))
}

fn step_block(step: &StepView) -> String {
    let mut text = format!("- **{}** {} {}\n", step_sign(step), code(&step.address), markdown(&step.words));
    for (label, detail) in &step.details {
        let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
        let _ = writeln!(text, "  <br>{label}{}", markdown(detail));
    }
    text
}

/// The sign, where Markdown does not take it for something else.
fn step_sign(step: &StepView) -> String {
    match step.sign() {
        sign @ ('+' | '-' | '~' | '!' | '=' | '>') => format!("\\{sign}"),
        sign => sign.to_string(),
    }
}
