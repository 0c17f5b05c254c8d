//! Markdown for a comment on a pull request.
//!
//! Begins with a marker, by which the next run finds the comment that it replaces. What a change is, and who gains or
//! loses access by it, stands where nothing folds it away; its fields are folded. Where not all of it fits, fields are
//! left out first, then the ends of long lines about access; what still does not fit is listed by address and risk.

mod comment;

use super::deliver_lines;
use super::prose::{code, escape_html, markdown, quiet_html};
use crate::view::{ChangeView, Entry, Mark, NoteView, PlanView, ReportView, StepView, Text, Tick, Weight};
use comment::{Block, Comment, Kind};
use std::fmt::Write as _;
use std::io::{self, Write};

/// How much of a line about access is shown where there is little room, in characters.
const SHORT: usize = 240;
/// How many lines about access.
const FEW: usize = 8;

/// Writes a plan.
pub fn plan(view: &PlanView, out: &mut dyn Write) -> io::Result<()> {
    let mut head = format!("<!-- irsa:{} -->\n", marker(&view.owner));
    let _ = writeln!(head, "### irsa: {}\n", markdown(&view.summary));
    for remark in &view.remarks {
        let _ = writeln!(head, "{}\n", markdown(&cut(remark, 4 * SHORT)));
    }
    // in the head, of which nothing is left out
    if !view.guards.is_empty() {
        let list: Vec<String> = view.guards.iter().map(|guard| format!("- {}\n", note_text(guard))).collect();
        let _ = writeln!(head, "**Guards**\n\n{}", list.concat());
    }
    let mut comment = Comment::new(head);
    for change in &view.changes {
        comment.push(change_block(change));
    }
    for item in &view.refused {
        let start = format!("- **x** {} is refused", code(&item.address));
        let hint = if item.hint.is_empty() { String::new() } else { format!("<br>hint: {}", markdown(&item.hint)) };
        let forms = vec![format!("{start}\n"), format!("{start}: {}{hint}\n", markdown(&item.why))];
        comment.push(Block { kind: Kind::Refused, weight: 0, forms, listed: false });
    }
    for item in &view.unknown {
        let start = format!("- **?** {} could not be seen", code(&item.address));
        let forms = vec![format!("{start}\n"), format!("{start}: {}\n", markdown(&item.why))];
        comment.push(Block { kind: Kind::Unknown, weight: 1, forms, listed: false });
    }
    for note in &view.notes {
        let start = format!("- {}: ", markdown(&note.severity));
        let short = format!("{start}{}: {}\n", code(&note.address), markdown(&note.rule));
        let forms = vec![short, format!("{start}{}\n", note_text(note))];
        let weight = if note.is_grave() { 2 } else { LEAST };
        comment.push(Block { kind: Kind::Note, weight, forms, listed: false });
    }
    for note in &view.waiting {
        let forms = vec![format!("- {}\n", note_text(note))];
        comment.push(Block { kind: Kind::Waiting, weight: LEAST, forms, listed: false });
    }
    deliver_lines(&comment.finish(), out)
}

/// The weight of what may be left out first.
const LEAST: usize = 100;

/// Writes a report.
pub fn report(view: &ReportView, out: &mut dyn Write) -> io::Result<()> {
    let mut head = format!("<!-- irsa -->\n### irsa: {}\n\n", markdown(&view.summary));
    if let Some(words) = &view.stopped {
        let _ = writeln!(head, "{}\n", markdown(&cut(words, 4 * SHORT)));
    }
    let mut comment = Comment::new(head);
    for step in &view.steps {
        let (kind, weight) = if step.tick == Tick::Failed { (Kind::Failure, 0) } else { (Kind::Step, 1) };
        comment.push(Block { kind, weight, forms: step_forms(step), listed: false });
    }
    deliver_lines(&comment.finish(), out)
}

/// The owner as it may stand in a comment: nothing in it ends the comment.
fn marker(owner: &str) -> String {
    owner
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .collect::<String>()
        .replace("--", "-_")
}

/// A change: in the list of what is left out, then with its access in short, then with all of its access, then with its
/// fields.
fn change_block(change: &ChangeView) -> Block {
    let sign = format!("<b>{}</b>", change.verb.sign());
    let will = change.will();
    let title = format!("{sign} <code>{}</code> {}", escape_html(&change.address), quiet_html(&will));
    let risk = change.risk.line();
    let behind = if risk.is_empty() { String::new() } else { format!(": {}", markdown(&risk)) };
    let listed = format!("- {sign} {} {}{behind}\n", code(&change.address), markdown(&will));
    let access = lines_of_access(change);
    let without = if change.entries.is_empty() { "" } else { "<br><i>its fields are left out</i>" };
    let gives: String = change.risk.words.iter().flat_map(|words| ["<br>".to_owned(), quiet_html(words)]).collect();
    let shortened = |most: usize, length: usize| {
        let mut text: String =
            access.iter().take(most).map(|(start, who)| access_line(start, &cut(who, length))).collect();
        if access.len() > most {
            let _ = write!(text, "<br>and {} more", access.len() - most);
        }
        text
    };
    let some = format!("<p>{title}{}{gives}{without}</p>\n\n", shortened(FEW, SHORT));
    let whole = shortened(access.len(), usize::MAX);
    let all = format!("<p>{title}{whole}{gives}{without}</p>\n\n");
    let mut forms = vec![listed, some, all];
    let mut body = String::new();
    for entry in &change.entries {
        draw(entry, 0, &mut body);
    }
    // who gains and loses access is there already
    let summary = change.summary.iter().filter(|line| line.label != "access");
    let summary = summary.map(|line| escape_html(&line.told()));
    let summary: String = summary.flat_map(|line| ["<br><code>".to_owned(), line, "</code>".to_owned()]).collect();
    let reasons: Vec<String> = change.reasons.iter().map(|reason| markdown(reason)).collect();
    let reasons = reasons.join("<br>\n");
    let fence = "`".repeat(longest_run(&body).max(2) + 1);
    let body = if body.is_empty() { String::new() } else { format!("{fence}diff\n{body}{fence}\n") };
    forms
        .push(format!("<details><summary>{title}{whole}{gives}{summary}</summary>\n\n{reasons}\n\n{body}</details>\n"));
    Block { kind: Kind::Change, weight: 3 + weight(change.risk.weight), forms, listed: true }
}

fn weight(weight: Weight) -> usize {
    match weight {
        Weight::Grave => 0,
        Weight::Permissions => 1,
        Weight::Access => 2,
        Weight::Loss => 3,
        Weight::Adoption => 4,
        Weight::Other => 5,
    }
}

/// `+ gains access` and who, for everyone.
fn lines_of_access(change: &ChangeView) -> Vec<(String, &str)> {
    let lines = change.access.iter().flat_map(|heading| {
        let start = format!("<b>{}</b> {}", heading.mark.sign(), escape_html(heading.words()));
        heading.children.iter().map(move |child| (start.clone(), child.words()))
    });
    lines.collect()
}

fn access_line(start: &str, who: &str) -> String {
    format!("<br>{start}: <code>{}</code>", escape_html(who))
}

/// The beginning of a text that is too long, and how much of it is not shown.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… ({} more characters)", &text[..at], text[at..].chars().count()),
    }
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

/// A step without its details, and with them.
fn step_forms(step: &StepView) -> Vec<String> {
    let start = format!("- **{}** {} ", step_sign(step), code(&step.address));
    let mut text = format!("{start}{}\n", markdown(&step.words));
    let mut forms = vec![format!("{start}{}\n", markdown(&cut(&step.words, SHORT))), text.clone()];
    if !step.details.is_empty() {
        for (label, detail) in &step.details {
            let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
            let _ = writeln!(text, "  <br>{label}{}", markdown(detail));
        }
        forms.push(text);
    }
    forms
}

/// The sign, where Markdown does not take it for something else.
fn step_sign(step: &StepView) -> String {
    match step.sign() {
        sign @ ('+' | '-' | '~' | '!' | '=' | '>') => format!("\\{sign}"),
        sign => sign.to_string(),
    }
}
