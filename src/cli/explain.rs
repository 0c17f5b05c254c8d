//! `irsa explain`: what a rule, a note, a refusal, an exit code or an address means.

mod address;

use super::Run;
use super::arguments::Explain;
use super::output::Output;
use crate::config::suggest;
use crate::error::{Error, ExitStatus};
use crate::explain::{self, Page, Topic};
use crate::model::address::Address;
use crate::render::{self, Format};
use serde_json::{Value, json};
use std::fmt::Write;

const FORMATS: &[Format] = &[Format::Text, Format::Json];
/// The version of the JSON form. New keys raise the minor number, changed keys the major one.
const FORMAT_VERSION: &str = "1.1";

pub(super) async fn run(run: Run<'_>, arguments: &Explain) -> Result<ExitStatus, Error> {
    let output = Output::open(run, "explain", FORMATS, None)?;
    let (text, document) = match arguments.what.as_deref() {
        None => (
            index(),
            json!({ "format-version": FORMAT_VERSION, "words": explain::pages().iter().map(entry).collect::<Vec<_>>() }),
        ),
        Some(word) => match explain::page(word) {
            Some(page) => (
                page_text(page, run.ui.style().width()),
                json!({ "format-version": FORMAT_VERSION, "page": with_text(page) }),
            ),
            None if word.parse::<Address>().is_ok() || is_pattern(word) => {
                return address::run(run, &output, word).await;
            }
            None => return Err(unknown(word)),
        },
    };
    output.print_result(&text, &document).await?;
    Ok(ExitStatus::Success)
}

/// `service-account/CLUSTER/NAMESPACE/NAME` with a `*`: the address of a pattern binding.
fn is_pattern(word: &str) -> bool {
    word.starts_with("service-account/") && word.contains('*')
}

fn unknown(word: &str) -> Error {
    let words = explain::pages().iter().map(|page| page.word.as_str());
    let lower = word.to_lowercase();
    let near = suggest::nearest(word, words.clone()).or_else(|| suggest::nearest(&lower, words));
    let is_place = ["account/", "cluster/"].iter().any(|kind| word.starts_with(kind));
    let others = if is_place {
        "accounts and clusters are not objects: `irsa plan` ends what it refuses or notes there with a word"
    } else {
        "`irsa explain` lists the words; addresses look like `role/KEY`"
    };
    let hint = near.map_or_else(|| others.to_owned(), suggest::did_you_mean);
    Error::usage(format!("`{word}` is not a rule, note, refusal, exit code or address")).hint(hint)
}

/// All words with their titles, by topic.
fn index() -> String {
    let mut text = String::new();
    let widest = explain::pages().iter().map(|page| page.word.len()).max().unwrap_or(0);
    for (topic, heading) in [
        (Topic::Rule, "Lint rules:"),
        (Topic::Note, "Notes of a plan:"),
        (Topic::Refusal, "Refusals:"),
        (Topic::ExitCode, "Exit codes:"),
    ] {
        let _ = writeln!(text, "{heading}");
        for page in explain::pages().iter().filter(|page| page.topic == topic) {
            let _ = writeln!(text, "  {:<widest$}  {}", page.word, explain::without_links(&page.title));
        }
        text.push('\n');
    }
    text.push_str("An address, such as `role/KEY`, explains a declared object: it reads the live one.\n");
    text
}

fn page_text(page: &Page, width: Option<usize>) -> String {
    let severity = if page.severity.is_empty() { String::new() } else { format!(" ({})", page.severity) };
    let body = render::page::page(page.body(), width);
    format!("{}{severity}: {}\n\n{body}\n{}\n", page.word, explain::without_links(&page.title), page.url)
}

fn entry(page: &Page) -> Value {
    let Page { word, topic, title, severity, text: _, url } = page;
    let severity = (!severity.is_empty()).then_some(severity);
    json!({ "word": word, "topic": topic.as_str(), "title": title, "severity": severity, "url": url })
}

fn with_text(page: &Page) -> Value {
    let mut entry = entry(page);
    entry["text"] = json!(page.text);
    entry
}
