//! Text for people: on a terminal, in a log, in a file.
//!
//! One block for each object, a sign before every line that matters. Without a width no line is broken, so that logs can
//! be searched; with one, prose is wrapped and long values stand below each other.

use super::wrap::wrap;
use super::{Ink, Style, deliver_lines};
use crate::view::{
    ChangeView, Detail, Entry, Line, Mark, NoteView, PlanView, ReportView, StepView, Text, Tick, Verb, Weight,
};
use std::collections::BTreeMap;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Writes a plan.
pub fn plan(view: &PlanView, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(style);
    match view.detail {
        Detail::Full => {
            page.legend(view);
            view.changes.iter().for_each(|change| page.change(change));
        }
        Detail::Usual | Detail::Least => page.changes_in_brief(view),
    }
    for (index, item) in view.refused.iter().enumerate() {
        page.head('x', Ink::Refused, &item.address, "is refused");
        // what many are refused for is said once
        if view.refused.get(index + 1).is_some_and(|next| (&next.why, &next.hint) == (&item.why, &item.hint)) {
            continue;
        }
        page.prose(4, "", Ink::Plain, &item.why);
        page.hint(&item.hint);
        page.gap();
    }
    for item in &view.unknown {
        page.head('?', Ink::Warning, &item.address, "could not be seen");
        page.prose(4, "", Ink::Plain, &item.why);
        page.gap();
    }
    // in brief they stand beside what they are about
    let in_full = |note: &&NoteView| view.detail == Detail::Full || !note.is_minor_finding();
    page.notes("Notes:", &view.notes.iter().filter(in_full).collect::<Vec<_>>(), true);
    page.notes("Waiting:", &view.waiting.iter().collect::<Vec<_>>(), false);
    page.notes("Guards:", &view.guards.iter().collect::<Vec<_>>(), false);
    page.line(&style.paint(Ink::Strong, &view.summary));
    for remark in &view.remarks {
        page.prose(0, "", Ink::Plain, remark);
    }
    deliver_lines(&page.text, out)
}

/// Writes a report.
pub fn report(view: &ReportView, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(style);
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
    deliver_lines(&page.text, out)
}

/// Of more changes than this a table comes first.
const MANY: usize = 100;
/// How wide the labels of a change in brief are.
const LABEL: usize = 11;

/// Text in the making.
struct Page<'a> {
    style: &'a Style,
    text: String,
}

impl<'a> Page<'a> {
    fn new(style: &'a Style) -> Self {
        Self { style, text: String::new() }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// An empty line, but never two.
    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// The signs that the reader is about to see.
    fn legend(&mut self, view: &PlanView) {
        if view.changes.is_empty() {
            return;
        }
        let known = [Verb::Create, Verb::Update, Verb::Delete, Verb::Adopt];
        let used = known.iter().filter(|verb| view.changes.iter().any(|change| change.verb == **verb));
        let mut signs: Vec<(char, Ink, &str)> = used.map(|verb| (verb.sign(), ink(verb), verb.word())).collect();
        if !view.refused.is_empty() {
            signs.push(('x', Ink::Refused, "refused"));
        }
        if !view.unknown.is_empty() {
            signs.push(('?', Ink::Warning, "not seen"));
        }
        let signs: Vec<String> = signs
            .into_iter()
            .map(|(sign, ink, word)| format!("{} {word}", self.style.paint(ink, &sign.to_string())))
            .collect();
        self.line(&format!("Legend:  {}", signs.join("   ")));
        self.gap();
    }

    /// Sign, address and words; the words on a line of their own where they do not fit.
    fn head(&mut self, sign: char, ink: Ink, address: &str, words: &str) {
        let style = self.style;
        let fits = style.width().is_none_or(|width| address.width() + words.width() + 3 <= width);
        let sign = style.paint(ink, &sign.to_string());
        let address = style.paint(Ink::Strong, address);
        if fits {
            return self.line(&format!("{sign} {address} {words}"));
        }
        self.line(&format!("{sign} {address}"));
        self.prose(4, "", Ink::Plain, words);
    }

    /// One block a change. Behind many changes nobody looks for the one that matters: then they are counted first, and
    /// those that weigh most come first.
    fn changes_in_brief(&mut self, view: &PlanView) {
        let mut changes: Vec<&ChangeView> = view.changes.iter().collect();
        if changes.len() > MANY {
            self.counts(&changes);
            changes.sort_by_key(|change| (change.risk.weight > Weight::Permissions, change.rank));
        }
        let mut minor: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for note in view.notes.iter().filter(|note| note.is_minor_finding()) {
            minor.entry(&note.address).or_default().push(format!("{} {}", note.severity, note.rule));
        }
        let mut last: Option<(u8, usize)> = None;
        for change in changes {
            // what is one line each stands together
            if last.is_some_and(|(rank, lines)| rank != change.rank || lines > 1) {
                self.gap();
            }
            let before = self.text.len();
            self.in_brief(change, minor.get(change.address.as_str()).map_or(&[], Vec::as_slice));
            last = Some((change.rank, self.text[before..].lines().count()));
        }
        self.gap();
    }

    /// How many changes of each kind there are in each account or cluster.
    fn counts(&mut self, changes: &[&ChangeView]) {
        let mut counts: BTreeMap<(u8, String, char), usize> = BTreeMap::new();
        for change in changes {
            let mut parts = change.address.split('/');
            let kind = parts.next().unwrap_or_default();
            let place = parts.next().filter(|_| kind != "role").unwrap_or_default();
            let place = if place.is_empty() { kind.to_owned() } else { format!("{kind}/{place}") };
            *counts.entry((change.rank, place, change.verb.sign())).or_default() += 1;
        }
        for ((_, place, sign), count) in counts {
            self.line(&format!("{sign} {count:>6}  {place}"));
        }
        self.gap();
    }

    fn in_brief(&mut self, change: &ChangeView, findings: &[String]) {
        let style = self.style;
        let (origin, reasons) = change.origin_and_reasons();
        let (sign, word) = if change.refused {
            ('x', format!(" ({}; refused)", change.will()))
        } else {
            (change.verb.sign(), String::new())
        };
        let ink = if change.refused { Ink::Refused } else { ink(&change.verb) };
        let mut lines = &change.summary[..];
        let mut pieces = vec![(format!("{}{word}", change.address), Ink::Strong)];
        // what a ServiceAccount gets stands beside it
        if let [Line { label: "role", text, mark: Mark::Added, .. }, rest @ ..] = lines {
            pieces.push((format!("-> {text}"), Ink::Plain));
            lines = rest;
        }
        if !findings.is_empty() {
            pieces.push((format!("({})", findings.join(", ")), Ink::Note));
        }
        pieces.extend(origin.map(|origin| (origin.to_owned(), Ink::Dim)));
        self.pieces(&style.paint(ink, &sign.to_string()), &pieces);
        for reason in reasons {
            self.prose(4, "", Ink::Dim, reason);
        }
        let whole = match change.verb {
            Verb::Create if !change.refused => Some(Mark::Added),
            Verb::Delete if !change.refused => Some(Mark::Removed),
            _ => None,
        };
        let mut label = "";
        for line in lines {
            self.brief_line(line, line.label != label && line.depth == 0, whole);
            if line.depth == 0 {
                label = line.label;
            }
        }
    }

    /// A sign and what follows it on one line, the last piece at the right edge; each piece that does not fit on a line of
    /// its own.
    fn pieces(&mut self, sign: &str, pieces: &[(String, Ink)]) {
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

    /// A line below its head. Its sign says nothing where all of the object comes or goes.
    fn brief_line(&mut self, line: &Line, labelled: bool, whole: Option<Mark>) {
        let style = *self.style;
        let ink = mark_ink(line.mark);
        let label = if labelled { line.label } else { "" };
        let sign = match line.mark {
            mark if Some(mark) == whole || mark == Mark::Same => String::new(),
            mark => format!("{} ", style.paint(ink, &mark.sign().to_string())),
        };
        let lead = format!("    {label:<LABEL$}{}{sign}", "  ".repeat(line.depth));
        let column = 4 + LABEL + 2 * line.depth + if sign.is_empty() { 0 } else { 2 };
        let ink = if sign.is_empty() { Ink::Plain } else { ink };
        self.value(&lead, column, "", &line.text, ink);
    }

    fn change(&mut self, change: &ChangeView) {
        self.head(change.verb.sign(), ink(&change.verb), &change.address, &change.will());
        for reason in &change.reasons {
            self.prose(4, "", Ink::Dim, reason);
        }
        for entry in change.lines() {
            self.entry(entry, 1);
        }
        self.gap();
    }

    /// A paragraph: the label once, its lines below each other.
    fn prose(&mut self, indent: usize, label: &str, ink: Ink, text: &str) {
        if text.is_empty() {
            return;
        }
        let column = indent + label.width();
        let lines = wrap(text, self.style.width().map(|width| width.saturating_sub(column)));
        for (index, line) in lines.iter().enumerate() {
            let before = if index == 0 {
                format!("{}{}", " ".repeat(indent), self.style.paint(Ink::Note, label))
            } else {
                " ".repeat(column)
            };
            self.line(&format!("{before}{}", self.style.paint(ink, line)));
        }
    }

    fn hint(&mut self, hint: &str) {
        self.prose(4, "hint: ", Ink::Plain, hint);
    }

    fn entry(&mut self, entry: &Entry, depth: usize) {
        let ink = mark_ink(entry.mark);
        let style = *self.style;
        let sign =
            if entry.mark == Mark::Same { " ".to_owned() } else { style.paint(ink, &entry.mark.sign().to_string()) };
        let lead = format!("{}{sign} ", "  ".repeat(depth));
        let column = depth * 2 + 2;
        match &entry.text {
            Text::Heading(words) => self.line(&format!("{lead}{}", style.paint(ink, words))),
            Text::Name(name) => self.line(&format!("{lead}{name}")),
            Text::Item(item) => self.value(&lead, column, "", item, ink),
            Text::Folded(words) => self.line(&format!("{lead}{}", style.paint(Ink::Dim, words))),
            Text::Pair(name, value) => self.value(&lead, column, &format!("{name}: "), value, Ink::Plain),
            Text::Change(name, before, after) => self.exchange(&lead, depth, name, before, after),
        }
        for child in &entry.children {
            self.entry(child, depth + 1);
        }
    }

    /// A value behind its name, or below it where its longest word does not fit; its further lines below its first.
    fn value(&mut self, lead: &str, column: usize, name: &str, value: &str, ink: Ink) {
        let width = self.style.width();
        let longest = value.split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0);
        if !name.is_empty() && width.is_some_and(|width| column + name.width() + longest > width) {
            self.line(&format!("{lead}{name}"));
            return self.value(&" ".repeat(column + 2), column + 2, "", value, ink);
        }
        let room = width.map(|width| width.saturating_sub(column + name.width()));
        for (index, line) in wrap(value, room).iter().enumerate() {
            let before = if index == 0 { format!("{lead}{name}") } else { " ".repeat(column + name.width()) };
            self.line(&format!("{before}{}", self.style.paint(ink, line)));
        }
    }

    fn exchange(&mut self, lead: &str, depth: usize, name: &str, before: &str, after: &str) {
        let length = depth * 2 + 2 + name.width() + 2 + before.width() + 4 + after.width();
        let style = *self.style;
        if style.width().is_none_or(|width| length <= width) {
            let (before, after) = (style.paint(Ink::Removed, before), style.paint(Ink::Added, after));
            return self.line(&format!("{lead}{name}: {before} -> {after}"));
        }
        self.line(&format!("{lead}{name}"));
        for (mark, value) in [(Mark::Removed, before), (Mark::Added, after)] {
            let ink = mark_ink(mark);
            let lead = format!("{}{} ", "  ".repeat(depth + 1), style.paint(ink, &mark.sign().to_string()));
            self.value(&lead, depth * 2 + 4, "", value, ink);
        }
    }

    fn notes(&mut self, title: &str, notes: &[&NoteView], severe: bool) {
        if notes.is_empty() {
            return;
        }
        self.line(&self.style.paint(Ink::Strong, title));
        let widest = notes.iter().map(|note| note.severity.width()).max().unwrap_or(0);
        for note in notes {
            let (ink, word) =
                if severe { (severity_ink(&note.severity), note.severity.as_str()) } else { (Ink::Plain, "") };
            let space = if severe { " ".repeat(widest - word.width() + 2) } else { String::new() };
            let column = 2 + word.width() + space.len();
            let source = note.source();
            let behind = if source.is_empty() { String::new() } else { format!(" ({source})") };
            let text = format!("{}: {}{behind}", note.address, note.text);
            let room = self.style.width().map(|width| width.saturating_sub(column));
            for (index, line) in wrap(&text, room).iter().enumerate() {
                let before = match index {
                    0 => format!("  {}{space}", self.style.paint(ink, word)),
                    _ => " ".repeat(column),
                };
                self.line(&format!("{before}{line}"));
            }
        }
        self.gap();
    }

    fn step(&mut self, step: &StepView) {
        let ink = match step.tick {
            Tick::Done => ink(&step.verb),
            Tick::Same => Ink::Dim,
            Tick::Skipped => Ink::Warning,
            Tick::Failed => Ink::Refused,
        };
        self.head(step.sign(), ink, &step.address, &step.words);
        for (label, text) in &step.details {
            let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
            self.prose(4, &label, Ink::Plain, text);
        }
    }
}

fn ink(verb: &Verb) -> Ink {
    match verb {
        Verb::Create => Ink::Added,
        Verb::Update => Ink::Changed,
        Verb::Delete => Ink::Removed,
        Verb::Adopt => Ink::Adopted,
        Verb::Other(_) => Ink::Warning,
    }
}

fn mark_ink(mark: Mark) -> Ink {
    match mark {
        Mark::Added => Ink::Added,
        Mark::Removed => Ink::Removed,
        Mark::Changed => Ink::Changed,
        Mark::Same => Ink::Plain,
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
