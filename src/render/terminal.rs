//! Writes plans and reports as text, for a terminal, a log or a file.
//!
//! One block for each object, with a sign in front of every line that matters. Without a width no line is broken, so that
//! logs can be searched. With a width, text is wrapped, and long values stand on lines of their own.

use super::wrap::wrap;
use super::{Ink, Style, write_inert};
use crate::plan::change::Action;
use crate::view::{
    ChangeView, Detail, DiffNode, NodeText, NoteView, OutcomeKind, PlanView, ProblemView, ReportView, RiskLevel, Sign,
    StepView, SummaryLine, sign,
};
use std::collections::BTreeMap;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Writes a plan.
pub fn plan(view: &PlanView, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = TextPage::new(style);
    match view.detail {
        Detail::Full => {
            page.legend(view);
            view.changes.iter().for_each(|change| page.change_with_all_fields(change));
        }
        Detail::Usual | Detail::Least => page.short_changes(view),
    }
    page.problems(&view.refused, 'x', Ink::Refused, "is refused", true);
    page.problems(&view.unknown, '?', Ink::Warning, "could not be read", false);
    // the short form has minor findings beside their changes
    let in_notes = |note: &&NoteView| view.detail == Detail::Full || !note.is_minor_finding();
    page.notes("Notes:", &view.notes.iter().filter(in_notes).collect::<Vec<_>>(), true);
    page.notes("Waiting:", &view.waiting.iter().collect::<Vec<_>>(), false);
    page.notes("Guards:", &view.guards.iter().collect::<Vec<_>>(), false);
    page.line(&style.paint(Ink::Strong, &view.summary));
    for remark in &view.remarks {
        page.paragraph(0, "", Ink::Plain, remark);
    }
    write_inert(&page.text, out)
}

/// Writes a report.
pub fn report(view: &ReportView, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = TextPage::new(style);
    for step in &view.steps {
        page.step(step);
    }
    if !view.steps.is_empty() {
        page.gap();
    }
    if let Some(words) = &view.stopped {
        page.line(&style.paint(Ink::Warning, words));
    }
    let ink = if view.succeeded { Ink::Strong } else { Ink::Refused };
    page.line(&style.paint(ink, &view.summary));
    write_inert(&page.text, out)
}

/// A plan with more changes than this begins with a table of counts.
const MAX_WITHOUT_TABLE: usize = 100;
/// The width of the column of labels in the short form.
const LABEL_WIDTH: usize = 11;

/// The text so far.
struct TextPage<'a> {
    style: &'a Style,
    text: String,
}

impl<'a> TextPage<'a> {
    fn new(style: &'a Style) -> Self {
        Self { style, text: String::new() }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// Adds an empty line, but never a second one.
    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// The signs that the plan uses.
    fn legend(&mut self, view: &PlanView) {
        if view.changes.is_empty() {
            return;
        }
        let used = Action::ALL.into_iter().filter(|action| view.changes.iter().any(|change| change.action == *action));
        let mut signs: Vec<(char, Ink, &str)> =
            used.map(|action| (sign(action), action_ink(action), action.as_str())).collect();
        if !view.refused.is_empty() {
            signs.push(('x', Ink::Refused, "refused"));
        }
        if !view.unknown.is_empty() {
            signs.push(('?', Ink::Warning, "not read"));
        }
        let signs: Vec<String> = signs
            .into_iter()
            .map(|(sign, ink, word)| format!("{} {word}", self.style.paint(ink, &sign.to_string())))
            .collect();
        self.line(&format!("Legend:  {}", signs.join("   ")));
        self.gap();
    }

    /// Sign, address and words. The words stand on a line of their own if they do not fit.
    fn head(&mut self, sign: char, ink: Ink, address: &str, words: &str) {
        let style = self.style;
        let fits = style.width().is_none_or(|width| address.width() + words.width() + 3 <= width);
        let sign = style.paint(ink, &sign.to_string());
        let address = style.paint(Ink::Strong, address);
        if fits {
            return self.line(&format!("{sign} {address} {words}"));
        }
        self.line(&format!("{sign} {address}"));
        self.paragraph(4, "", Ink::Plain, words);
    }

    /// Objects that irsa refuses or could not read. With `share_reasons`, consecutive objects with the
    /// same reason share it.
    fn problems(&mut self, problems: &[ProblemView], sign: char, ink: Ink, words: &str, share_reasons: bool) {
        for (index, ProblemView { address, why, hint }) in problems.iter().enumerate() {
            self.head(sign, ink, address, words);
            let next = problems.get(index + 1).filter(|_| share_reasons);
            if next.is_some_and(|next| (&next.why, &next.hint) == (why, hint)) {
                continue;
            }
            self.paragraph(4, "", Ink::Plain, why);
            self.paragraph(4, "hint: ", Ink::Plain, hint);
            self.gap();
        }
    }

    /// One block for each change. Nobody finds the important ones among many changes: then a table of counts comes first,
    /// and after it the riskiest changes.
    fn short_changes(&mut self, view: &PlanView) {
        let mut changes: Vec<&ChangeView> = view.changes.iter().collect();
        if changes.len() > MAX_WITHOUT_TABLE {
            self.counts(&changes);
            changes.sort_by_key(|change| (change.risk.level > RiskLevel::Permissions, change.rank));
        }
        let mut minor: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for note in view.notes.iter().filter(|note| note.is_minor_finding()) {
            minor.entry(&note.address).or_default().push(format!("{} {}", note.severity, note.rule));
        }
        let mut last: Option<(u8, usize)> = None;
        for change in changes {
            // no gap between changes of one line each
            if last.is_some_and(|(rank, lines)| rank != change.rank || lines > 1) {
                self.gap();
            }
            let before = self.text.len();
            self.short_change(change, minor.get(change.address.as_str()).map_or(&[], Vec::as_slice));
            last = Some((change.rank, self.text[before..].lines().count()));
        }
        self.gap();
    }

    /// The number of changes of each kind in each account or cluster.
    fn counts(&mut self, changes: &[&ChangeView]) {
        let mut counts: BTreeMap<(u8, &str, char), usize> = BTreeMap::new();
        for change in changes {
            // `KIND/ACCOUNT` or `KIND/CLUSTER`, but `role`: its address has only a key
            let parts = if change.address.starts_with("role/") { 1 } else { 2 };
            let end = change.address.match_indices('/').nth(parts - 1).map_or(change.address.len(), |(at, _)| at);
            *counts.entry((change.rank, &change.address[..end], sign(change.action))).or_default() += 1;
        }
        for ((_, group, sign), count) in counts {
            self.line(&format!("{sign} {count:>6}  {group}"));
        }
        self.gap();
    }

    fn short_change(&mut self, change: &ChangeView, findings: &[String]) {
        let style = self.style;
        let (origin, reasons) = change.origin_and_reasons();
        let (sign, ink, words) = if change.refused {
            ('x', Ink::Refused, format!(" ({}; refused)", change.will()))
        } else {
            (sign(change.action), action_ink(change.action), String::new())
        };
        let mut lines = &change.summary[..];
        let mut pieces = vec![(format!("{}{words}", change.address), Ink::Strong)];
        // the role of a ServiceAccount stands beside the address
        if let [SummaryLine { label: "role", text, sign: Sign::Added, .. }, rest @ ..] = lines {
            pieces.push((format!("-> {text}"), Ink::Plain));
            lines = rest;
        }
        if !findings.is_empty() {
            pieces.push((format!("({})", findings.join(", ")), Ink::Note));
        }
        pieces.extend(origin.map(|origin| (origin.to_owned(), Ink::Dim)));
        self.short_head(&style.paint(ink, &sign.to_string()), &pieces);
        for reason in reasons {
            self.paragraph(4, "", Ink::Dim, reason);
        }
        let whole = match change.action {
            Action::Create if !change.refused => Some(Sign::Added),
            Action::Delete if !change.refused => Some(Sign::Removed),
            _ => None,
        };
        let mut label = "";
        for line in lines {
            self.summary_line(line, line.label != label && line.depth == 0, whole);
            if line.depth == 0 {
                label = line.label;
            }
        }
    }

    /// A sign and the pieces behind it; the origin, which is dim, stands at the right edge. A piece that does not fit
    /// begins a new line.
    fn short_head(&mut self, sign: &str, pieces: &[(String, Ink)]) {
        let style = *self.style;
        let (mut line, mut used) = (sign.to_owned(), 1);
        for (index, (text, ink)) in pieces.iter().enumerate() {
            let is_origin = *ink == Ink::Dim;
            let least = if is_origin { 2 } else { 1 };
            let fits = style.width().is_none_or(|width| used + least + text.width() <= width);
            if !fits && index > 0 {
                self.line(&std::mem::take(&mut line));
                (line, used) = ("   ".to_owned(), 3);
            }
            let space = match style.width() {
                Some(width) if is_origin => width.saturating_sub(used + text.width()).max(least),
                _ => least,
            };
            line.push_str(&" ".repeat(space));
            line.push_str(&style.paint(*ink, text));
            used += space + text.width();
        }
        self.line(&line);
    }

    /// A line of the short form. It needs no sign if it is that of the `whole` object.
    fn summary_line(&mut self, line: &SummaryLine, labelled: bool, whole: Option<Sign>) {
        let label = if labelled { line.label } else { "" };
        let (sign, ink) = if Some(line.sign) == whole || line.sign == Sign::Same {
            (String::new(), Ink::Plain)
        } else {
            let ink = sign_ink(line.sign);
            (format!("{} ", self.style.paint(ink, &line.sign.character().to_string())), ink)
        };
        let lead = format!("    {label:<LABEL_WIDTH$}{}{sign}", "  ".repeat(line.depth));
        let column = 4 + LABEL_WIDTH + 2 * line.depth + if sign.is_empty() { 0 } else { 2 };
        self.value(&lead, column, "", &line.text, ink);
    }

    fn change_with_all_fields(&mut self, change: &ChangeView) {
        self.head(sign(change.action), action_ink(change.action), &change.address, &change.will());
        for reason in &change.reasons {
            self.paragraph(4, "", Ink::Dim, reason);
        }
        for node in change.nodes() {
            self.node(node, 1);
        }
        self.gap();
    }

    /// An indented text with a label. Nothing for an empty text.
    fn paragraph(&mut self, indent: usize, label: &str, ink: Ink, text: &str) {
        if !text.is_empty() {
            let lead = format!("{}{}", " ".repeat(indent), self.style.paint(Ink::Note, label));
            self.wrapped(&lead, indent + label.width(), ink, text);
        }
    }

    /// A text behind `lead`, which is `column` wide and to which further lines are indented.
    fn wrapped(&mut self, lead: &str, column: usize, ink: Ink, text: &str) {
        let room = self.style.width().map(|width| width.saturating_sub(column));
        for (index, line) in wrap(text, room).iter().enumerate() {
            let lead = if index == 0 { lead.to_owned() } else { " ".repeat(column) };
            self.line(&format!("{lead}{}", self.style.paint(ink, line)));
        }
    }

    fn node(&mut self, node: &DiffNode, depth: usize) {
        let ink = sign_ink(node.sign);
        let style = *self.style;
        // `paint` colours no space: `Sign::Same` is plain
        let sign = style.paint(ink, &node.sign.character().to_string());
        let lead = format!("{}{sign} ", "  ".repeat(depth));
        let column = depth * 2 + 2;
        match &node.text {
            NodeText::Heading(words) => self.line(&format!("{lead}{}", style.paint(ink, words))),
            NodeText::Name(name) => self.line(&format!("{lead}{name}")),
            NodeText::Item(item) => self.value(&lead, column, "", item, ink),
            NodeText::Folded(words) => self.line(&format!("{lead}{}", style.paint(Ink::Dim, words))),
            NodeText::Pair(name, value) => self.value(&lead, column, &format!("{name}: "), value, Ink::Plain),
            NodeText::Change(name, before, after) => self.before_and_after(&lead, depth, name, before, after),
        }
        for child in &node.children {
            self.node(child, depth + 1);
        }
    }

    /// A value behind its name, or below it if the longest word does not fit.
    fn value(&mut self, lead: &str, column: usize, name: &str, value: &str, ink: Ink) {
        let width = self.style.width();
        let longest = value.split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0);
        if !name.is_empty() && width.is_some_and(|width| column + name.width() + longest > width) {
            self.line(&format!("{lead}{name}"));
            return self.value(&" ".repeat(column + 2), column + 2, "", value, ink);
        }
        self.wrapped(&format!("{lead}{name}"), column + name.width(), ink, value);
    }

    fn before_and_after(&mut self, lead: &str, depth: usize, name: &str, before: &str, after: &str) {
        let length = depth * 2 + 2 + name.width() + 2 + before.width() + 4 + after.width();
        let style = *self.style;
        if style.width().is_none_or(|width| length <= width) {
            let (before, after) = (style.paint(Ink::Removed, before), style.paint(Ink::Added, after));
            return self.line(&format!("{lead}{name}: {before} -> {after}"));
        }
        self.line(&format!("{lead}{name}"));
        for (sign, value) in [(Sign::Removed, before), (Sign::Added, after)] {
            let ink = sign_ink(sign);
            let lead = format!("{}{} ", "  ".repeat(depth + 1), style.paint(ink, &sign.character().to_string()));
            self.value(&lead, depth * 2 + 4, "", value, ink);
        }
    }

    fn notes(&mut self, title: &str, notes: &[&NoteView], with_severity: bool) {
        if notes.is_empty() {
            return;
        }
        self.line(&self.style.paint(Ink::Strong, title));
        let widest = notes.iter().map(|note| note.severity.width()).max().unwrap_or(0);
        for note in notes {
            let severity = if with_severity { format!("{:<widest$}  ", note.severity) } else { String::new() };
            let lead = format!("  {}", self.style.paint(severity_ink(&note.severity), &severity));
            let source = note.source();
            let behind = if source.is_empty() { String::new() } else { format!(" ({source})") };
            let text = format!("{}: {}{behind}", note.address, note.text);
            self.wrapped(&lead, 2 + severity.width(), Ink::Plain, &text);
        }
        self.gap();
    }

    fn step(&mut self, step: &StepView) {
        let ink = match step.outcome {
            OutcomeKind::Applied => action_ink(step.action),
            OutcomeKind::AlreadyDone => Ink::Dim,
            OutcomeKind::Skipped => Ink::Warning,
            OutcomeKind::Failed => Ink::Refused,
        };
        self.head(step.sign(), ink, &step.address, &step.words);
        for (label, text) in &step.details {
            let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
            self.paragraph(4, &label, Ink::Plain, text);
        }
    }
}

fn action_ink(action: Action) -> Ink {
    match action {
        Action::Create => Ink::Added,
        Action::Update => Ink::Changed,
        Action::Delete => Ink::Removed,
        Action::Adopt => Ink::Adopted,
    }
}

fn sign_ink(sign: Sign) -> Ink {
    match sign {
        Sign::Added => Ink::Added,
        Sign::Removed => Ink::Removed,
        Sign::Changed => Ink::Changed,
        Sign::Same => Ink::Plain,
    }
}

fn severity_ink(severity: &str) -> Ink {
    match severity {
        "critical" | "high" => Ink::Refused,
        "medium" => Ink::Warning,
        "low" => Ink::Note,
        _ => Ink::Dim,
    }
}
