//! Writes plans and reports as one self-contained HTML page: no script, no link, nothing to fetch.

use super::prose::{escape_html, html};
use super::write_inert;
use crate::view::{ChangeView, DiffNode, NodeText, NoteView, OutcomeKind, PlanView, ReportView, Sign, StepView, sign};
use std::fmt::Write as _;
use std::io::{self, Write};

const STYLE: &str = include_str!("html.css");

/// Writes a plan.
pub fn plan(view: &PlanView, out: &mut dyn Write) -> io::Result<()> {
    let mut page = HtmlPage::new(&format!("irsa plan of {}", view.owner));
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
        page.section("refused", 'x', &item.address, "is refused", &[("", &item.why), ("hint", &item.hint)]);
    }
    for item in &view.unknown {
        page.section("unknown", '?', &item.address, "could not be read", &[("", &item.why)]);
    }
    page.notes("Notes", &view.notes);
    page.notes("Waiting", &view.waiting);
    write_inert(&page.finish(), out)
}

/// Writes a report.
pub fn report(view: &ReportView, out: &mut dyn Write) -> io::Result<()> {
    let mut page = HtmlPage::new("irsa apply");
    page.line("<h1>irsa apply</h1>");
    page.line(&format!("<p class=\"summary\">{}</p>", html(&view.summary)));
    if let Some(words) = &view.stopped {
        page.line(&format!("<p>{}</p>", html(words)));
    }
    for step in &view.steps {
        page.step(step);
    }
    write_inert(&page.finish(), out)
}

/// The page so far, without its end.
struct HtmlPage {
    text: String,
}

impl HtmlPage {
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
        let class = change.action.as_str();
        let head = head(sign(change.action), &change.address, &change.will());
        let summary = change.summary.iter().flat_map(|line| ["<br>".to_owned(), escape_html(&line.text())]);
        let summary: String = summary.collect();
        self.line(&format!(
            "<details class=\"{class}\"><summary>{head}<span class=\"brief\">{summary}</span></summary>"
        ));
        for reason in &change.reasons {
            self.line(&format!("<p class=\"reason\">{}</p>", html(reason)));
        }
        self.nodes(&change.nodes().collect::<Vec<_>>());
        self.line("</details>");
    }

    fn nodes(&mut self, nodes: &[&DiffNode]) {
        if nodes.is_empty() {
            return;
        }
        self.line("<ul>");
        for node in nodes {
            let class = match node.sign {
                Sign::Added => "added",
                Sign::Removed => "removed",
                Sign::Changed => "changed",
                Sign::Same => "same",
            };
            let _ = write!(
                self.text,
                "<li class=\"{class}\"><span>{}</span> {}",
                node.sign.character(),
                node_text(&node.text)
            );
            if !node.children.is_empty() {
                self.text.push('\n');
            }
            self.nodes(&node.children.iter().collect::<Vec<_>>());
            self.line("</li>");
        }
        self.line("</ul>");
    }

    fn section(&mut self, class: &str, sign: char, address: &str, words: &str, details: &[(&str, &str)]) {
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
        let class = match step.outcome {
            OutcomeKind::Applied => step.action.as_str(),
            OutcomeKind::AlreadyDone => "same",
            OutcomeKind::Skipped => "unknown",
            OutcomeKind::Failed => "refused",
        };
        let details: Vec<(&str, &str)> = step.details.iter().map(|(label, text)| (*label, text.as_str())).collect();
        self.section(class, step.sign(), &step.address, &step.words, &details);
    }
}

fn head(sign: char, address: &str, words: &str) -> String {
    format!("<span>{}</span> <code>{}</code> {}", escape_html(&sign.to_string()), escape_html(address), html(words))
}

fn node_text(text: &NodeText) -> String {
    let code = |text: &str| format!("<code>{}</code>", escape_html(text));
    match text {
        NodeText::Heading(words) => format!("<b>{}</b>", escape_html(words)),
        NodeText::Folded(words) => format!("<i>{}</i>", escape_html(words)),
        NodeText::Name(name) => escape_html(name),
        NodeText::Item(item) => code(item),
        NodeText::Pair(name, value) => format!("{}: {}", escape_html(name), code(value)),
        NodeText::Change(name, before, after) => {
            let [name, before, after] = [name, before, after].map(|text| escape_html(text));
            format!("{name}: <del>{before}</del> &rarr; <ins>{after}</ins>")
        }
    }
}
