//! Writes plans and reports as Markdown for a comment on a pull request.
//!
//! The comment begins with a marker, by which the next run finds the comment that it replaces. It always shows each change
//! and who gains or loses access by it, and folds the fields. If that does not fit, it leaves out fields first, then cuts
//! long lines about access; changes that still do not fit are listed by address and risk.

mod comment;

use super::prose::{code, escape_html, longest_backticks, markdown, quiet_html};
use super::write_inert;
use crate::view::{ChangeView, DiffNode, NodeText, NoteView, OutcomeKind, PlanView, ReportView, Sign, StepView, sign};
use comment::{Block, Comment, Section};
use std::fmt::Write as _;
use std::io::{self, Write};

/// The length to which a line about access is cut if there is little room, in characters.
const MAX_LINE: usize = 240;
/// The number of lines about access of one change if there is little room.
const MAX_LINES: usize = 8;

/// Writes a plan.
pub fn plan(view: &PlanView, out: &mut dyn Write) -> io::Result<()> {
    let mut head = format!("<!-- irsa:{} -->\n", marker(&view.owner));
    let _ = writeln!(head, "### irsa: {}\n", markdown(&view.summary));
    for remark in &view.remarks {
        let _ = writeln!(head, "{}\n", markdown(&cut(remark, 4 * MAX_LINE)));
    }
    // nothing is left out of the head
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
        comment.push(Block { section: Section::Refused, weight: 0, forms, listed: false });
    }
    for item in &view.unknown {
        let start = format!("- **?** {} could not be read", code(&item.address));
        let forms = vec![format!("{start}\n"), format!("{start}: {}\n", markdown(&item.why))];
        comment.push(Block { section: Section::Unread, weight: 1, forms, listed: false });
    }
    for note in &view.notes {
        let start = format!("- {}: ", markdown(&note.severity));
        let short = format!("{start}{}: {}\n", code(&note.address), markdown(&note.rule));
        let forms = vec![short, format!("{start}{}\n", note_text(note))];
        let weight = if note.is_severe() { 2 } else { LAST };
        comment.push(Block { section: Section::Note, weight, forms, listed: false });
    }
    for note in &view.waiting {
        let forms = vec![format!("- {}\n", note_text(note))];
        comment.push(Block { section: Section::Waiting, weight: LAST, forms, listed: false });
    }
    write_inert(&comment.finish(), out)
}

/// The weight of blocks that are left out first.
const LAST: usize = 100;

/// Writes a report.
pub fn report(view: &ReportView, out: &mut dyn Write) -> io::Result<()> {
    let mut head = format!("<!-- irsa -->\n### irsa: {}\n\n", markdown(&view.summary));
    if let Some(words) = &view.stopped {
        let _ = writeln!(head, "{}\n", markdown(&cut(words, 4 * MAX_LINE)));
    }
    let mut comment = Comment::new(head);
    for step in &view.steps {
        let failed = step.outcome == OutcomeKind::Failed;
        let (section, weight) = if failed { (Section::Failure, 0) } else { (Section::Step, 1) };
        comment.push(Block { section, weight, forms: step_forms(step), listed: false });
    }
    write_inert(&comment.finish(), out)
}

/// The owner without characters that would end the HTML comment.
fn marker(owner: &str) -> String {
    owner
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .collect::<String>()
        .replace("--", "-_")
}

/// The forms of a change: a line of the list, with the first lines about access, with all of them, and with its fields.
fn change_block(change: &ChangeView) -> Block {
    let sign = format!("<b>{}</b>", sign(change.action));
    let will = change.will();
    let title = format!("{sign} <code>{}</code> {}", escape_html(&change.address), quiet_html(&will));
    let risk = change.risk.line();
    let behind = if risk.is_empty() { String::new() } else { format!(": {}", markdown(&risk)) };
    let listed = format!("- {sign} {} {}{behind}\n", code(&change.address), markdown(&will));
    let access = access_lines(change);
    let without = if change.fields.is_empty() { "" } else { "<br><i>its fields are left out</i>" };
    let gives: String = change.risk.words.iter().flat_map(|words| ["<br>".to_owned(), quiet_html(words)]).collect();
    let shortened = |most: usize, length: usize| {
        let mut text: String =
            access.iter().take(most).map(|(start, who)| access_line(start, &cut(who, length))).collect();
        if access.len() > most {
            let _ = write!(text, "<br>and {} more", access.len() - most);
        }
        text
    };
    let some = format!("<p>{title}{}{gives}{without}</p>\n\n", shortened(MAX_LINES, MAX_LINE));
    let whole = shortened(access.len(), usize::MAX);
    let all = format!("<p>{title}{whole}{gives}{without}</p>\n\n");
    let mut forms = vec![listed, some, all];
    let mut body = String::new();
    for node in change.permissions.iter().chain(&change.fields) {
        draw(node, 0, &mut body);
    }
    // `whole` has the lines about access
    let summary = change.summary.iter().filter(|line| line.label != "access");
    let summary = summary.map(|line| escape_html(&line.text()));
    let summary: String = summary.flat_map(|line| ["<br><code>".to_owned(), line, "</code>".to_owned()]).collect();
    let reasons: Vec<String> = change.reasons.iter().map(|reason| markdown(reason)).collect();
    let reasons = reasons.join("<br>\n");
    let fence = "`".repeat(longest_backticks(&body).max(2) + 1);
    let body = if body.is_empty() { String::new() } else { format!("{fence}diff\n{body}{fence}\n") };
    forms
        .push(format!("<details><summary>{title}{whole}{gives}{summary}</summary>\n\n{reasons}\n\n{body}</details>\n"));
    Block { section: Section::Change, weight: 3 + change.risk.level as usize, forms, listed: true }
}

/// `+ gains access` and the principal, for each principal.
fn access_lines(change: &ChangeView) -> Vec<(String, &str)> {
    let lines = change.access.iter().flat_map(|heading| {
        let start = format!("<b>{}</b> {}", heading.sign.character(), escape_html(heading.words()));
        heading.children.iter().map(move |child| (start.clone(), child.words()))
    });
    lines.collect()
}

fn access_line(start: &str, who: &str) -> String {
    format!("<br>{start}: <code>{}</code>", escape_html(who))
}

/// The beginning of a text that is too long, and the length of the rest.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… ({} more characters)", &text[..at], text[at..].chars().count()),
    }
}

/// Adds a node and its children as lines of a `diff` block, which colours lines by their first character. `!` means changed.
fn draw(node: &DiffNode, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let sign = if node.sign == Sign::Changed { '!' } else { node.sign.character() };
    let line = match &node.text {
        NodeText::Heading(words) | NodeText::Folded(words) | NodeText::Name(words) | NodeText::Item(words) => {
            words.clone()
        }
        NodeText::Pair(name, value) => format!("{name}: {value}"),
        NodeText::Change(name, before, after) => format!("{name}: {before} -> {after}"),
    };
    let _ = writeln!(text, "{}", format!("{sign} {indent}{line}").trim_end());
    for child in &node.children {
        draw(child, depth + 1, text);
    }
}

fn note_text(note: &NoteView) -> String {
    let source = note.source();
    let behind = if source.is_empty() { String::new() } else { format!(" ({})", markdown(&source)) };
    format!("{}: {}{behind}", code(&note.address), markdown(&note.text))
}

/// The forms of a step: with its words cut, without its details, with them.
fn step_forms(step: &StepView) -> Vec<String> {
    let start = format!("- **{}** {} ", step_sign(step), code(&step.address));
    let mut text = format!("{start}{}\n", markdown(&step.words));
    let mut forms = vec![format!("{start}{}\n", markdown(&cut(&step.words, MAX_LINE))), text.clone()];
    if !step.details.is_empty() {
        for (label, detail) in &step.details {
            let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
            let _ = writeln!(text, "  <br>{label}{}", markdown(detail));
        }
        forms.push(text);
    }
    forms
}

/// The sign, escaped if Markdown would read it as markup.
fn step_sign(step: &StepView) -> String {
    match step.sign() {
        sign @ ('+' | '-' | '~' | '!' | '=' | '>') => format!("\\{sign}"),
        sign => sign.to_string(),
    }
}
