//! One self-contained page: no script, no link, nothing is fetched.

use super::deliver_lines;
use super::prose::{escape_html, html};
use crate::view::{ChangeView, Entry, Mark, NoteView, PlanView, ReportView, StepView, Text, Tick, Verb};
use std::fmt::Write as _;
use std::io::{self, Write};

const STYLE: &str = include_str!("html.css");

/// Writes a plan.
pub fn plan(view: &PlanView, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(&format!("irsa plan of {}", view.owner));
    page.line(&format!("<h1>irsa plan <small>{}</small></h1>", escape_html(&view.owner)));
    page.line(&format!("<p class=\"summary\">{}</p>", html(&view.summary)));
    for remark in &view.remarks {
        page.line(&format!("<p>{}</p>", html(remark)));
    }
    page.notes("Guards", &view.guards);
    for change in &view.changes {
        page.change(change);
    }
    for item in &view.refused {
        page.plain("refused", 'x', &item.address, "is refused", &[("", &item.why), ("hint", &item.hint)]);
    }
    for item in &view.unknown {
        page.plain("unknown", '?', &item.address, "could not be seen", &[("", &item.why)]);
    }
    page.notes("Notes", &view.notes);
    page.notes("Waiting", &view.waiting);
    deliver_lines(&page.finish(), out)
}

/// Writes a report.
pub fn report(view: &ReportView, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new("irsa apply");
    page.line("<h1>irsa apply</h1>");
    page.line(&format!("<p class=\"summary\">{}</p>", html(&view.summary)));
    if let Some(words) = &view.stopped {
        page.line(&format!("<p>{}</p>", html(words)));
    }
    for step in &view.steps {
        page.step(step);
    }
    deliver_lines(&page.finish(), out)
}

/// A page in the making.
struct Page {
    text: String,
}

impl Page {
    fn new(title: &str) -> Self {
        let title = escape_html(title);
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        let text = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        );
        Self { text }
    }

    fn finish(mut self) -> String {
        self.text.push_str("</body>\n</html>\n");
        self.text
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn change(&mut self, change: &ChangeView) {
        let class = class(&change.verb);
        let head = head(change.verb.sign(), &change.address, &change.will());
        let summary = change.summary.iter().flat_map(|line| ["<br>".to_owned(), escape_html(&line.told())]);
        let summary: String = summary.collect();
        self.line(&format!(
            "<details class=\"{class}\"><summary>{head}<span class=\"brief\">{summary}</span></summary>"
        ));
        for reason in &change.reasons {
            self.line(&format!("<p class=\"reason\">{}</p>", html(reason)));
        }
        self.entries(&change.lines().collect::<Vec<_>>());
        self.line("</details>");
    }

    fn entries(&mut self, entries: &[&Entry]) {
        if entries.is_empty() {
            return;
        }
        self.line("<ul>");
        for entry in entries {
            let class = match entry.mark {
                Mark::Added => "added",
                Mark::Removed => "removed",
                Mark::Changed => "changed",
                Mark::Same => "same",
            };
            let _ = write!(
                self.text,
                "<li class=\"{class}\"><span>{}</span> {}",
                entry.mark.sign(),
                entry_text(&entry.text)
            );
            if !entry.children.is_empty() {
                self.text.push('\n');
            }
            self.entries(&entry.children.iter().collect::<Vec<_>>());
            self.line("</li>");
        }
        self.line("</ul>");
    }

    fn plain(&mut self, class: &str, sign: char, address: &str, words: &str, details: &[(&str, &str)]) {
        self.line(&format!("<section class=\"{class}\"><p class=\"head\">{}</p>", head(sign, address, words)));
        for (label, detail) in details.iter().filter(|(_, detail)| !detail.is_empty()) {
            let label = if label.is_empty() { String::new() } else { format!("<b>{label}:</b> ") };
            self.line(&format!("<p>{label}{}</p>", html(detail)));
        }
        self.line("</section>");
    }

    fn notes(&mut self, title: &str, notes: &[NoteView]) {
        if notes.is_empty() {
            return;
        }
        self.line(&format!("<h2>{title}</h2>\n<ul class=\"notes\">"));
        for note in notes {
            let source = note.source();
            let behind = if source.is_empty() { String::new() } else { format!(" <small>{}</small>", html(&source)) };
            let (severity, address) = (escape_html(&note.severity), escape_html(&note.address));
            self.line(&format!("<li><b>{severity}</b> <code>{address}</code>: {}{behind}</li>", html(&note.text)));
        }
        self.line("</ul>");
    }

    fn step(&mut self, step: &StepView) {
        let class = match step.tick {
            Tick::Done => class(&step.verb),
            Tick::Same => "same",
            Tick::Skipped => "unknown",
            Tick::Failed => "refused",
        };
        let details: Vec<(&str, &str)> = step.details.iter().map(|(label, text)| (*label, text.as_str())).collect();
        self.plain(class, step.sign(), &step.address, &step.words, &details);
    }
}

fn head(sign: char, address: &str, words: &str) -> String {
    format!("<span>{}</span> <code>{}</code> {}", escape_html(&sign.to_string()), escape_html(address), html(words))
}

fn class(verb: &Verb) -> &'static str {
    match verb {
        Verb::Create => "create",
        Verb::Update => "update",
        Verb::Delete => "delete",
        Verb::Adopt => "adopt",
        Verb::Other(_) => "unknown",
    }
}

fn entry_text(text: &Text) -> String {
    let code = |text: &str| format!("<code>{}</code>", escape_html(text));
    match text {
        Text::Heading(words) => format!("<b>{}</b>", escape_html(words)),
        Text::Folded(words) => format!("<i>{}</i>", escape_html(words)),
        Text::Name(name) => escape_html(name),
        Text::Item(item) => code(item),
        Text::Pair(name, value) => format!("{}: {}", escape_html(name), code(value)),
        Text::Change(name, before, after) => {
            format!(
                "{}: <del>{}</del> &rarr; <ins>{}</ins>",
                escape_html(name),
                escape_html(before),
                escape_html(after)
            )
        }
    }
}
