//! Writes findings as SARIF 2.1.0, for code scanning
//! (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).
//!
//! GitHub needs a location for every result, takes the fingerprint from `primaryLocationLineHash`, sorts by
//! `security-severity`, and opens alerts for suppressed results too
//! (<https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning>).

use super::write_text;
use crate::explain::{self, Page, Topic};
use crate::model::origin::file_and_line;
use crate::model::refusal::RefusalKind;
use crate::model::sanitize::{printable, scrub};
use crate::plan::file::{ChangeV2, IgnoredV2, NoteV2, PlanV2};
use crate::view::declared_at;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};

/// The characters that a path of a relative URI cannot have (<https://www.rfc-editor.org/rfc/rfc3986#section-3.3>).
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The most results of a file that GitHub accepts
/// (<https://docs.github.com/en/code-security/code-scanning/troubleshooting-sarif-uploads/results-exceed-limit>).
const MOST_RESULTS: usize = 25_000;

/// The most characters of a description that GitHub accepts.
const DESCRIPTION_LENGTH: usize = 1024;

/// The base of relative paths: the root of the repository. The file leaves out its location, because each reader knows
/// its own (SARIF, section 3.14.14).
const ROOT: &str = "%SRCROOT%";

/// The rule of an object that differs.
const DIFFERS: &str = "exit-2";

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SarifResult {
    /// A word that `irsa explain` takes.
    pub rule: String,
    /// `critical`, `high`, `medium`, `low` or `info`.
    pub severity: String,
    /// The object. Empty for a mistake in a file.
    pub address: String,
    /// The text.
    pub text: String,
    /// File, relative to the root of the repository, line and column.
    pub place: Option<(String, usize, Option<usize>)>,
    /// Why it does not count.
    pub ignored: Option<String>,
    /// Whether it ends the run, by `--deny`: its level is `error` whatever its severity.
    pub denied: bool,
}

/// Why a run has no results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SarifFailure(pub String);

/// Writes the findings, notes, refusals and unread objects of a plan; with `changes`, each object that differs too.
/// A result without a line is where its object is declared, by `origins` (address to `file:line`), else at the top of
/// `top_file`.
pub fn plan(
    plan: &PlanV2,
    origins: &BTreeMap<String, String>,
    top_file: &str,
    changes: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut results: Vec<SarifResult> = Vec::new();
    for item in &plan.refused {
        let rule = item.word.as_deref().unwrap_or("exit-4");
        let hint = if item.hint.is_empty() { String::new() } else { format!("; {}", item.hint) };
        results.push(result(rule, "high", &item.address, &format!("is refused: {}{hint}", item.why)));
    }
    for item in &plan.unknown {
        results.push(result(
            RefusalKind::Incomplete.word(),
            "medium",
            &item.address,
            &format!("could not be read: {}", item.why),
        ));
    }
    for change in plan.changes.iter().filter(|_| changes) {
        results.push(of_change(change));
    }
    for note in &plan.notes {
        let NoteV2 { address, severity, rule, origin, text } = note;
        results.push(SarifResult { place: place(origin), ..result(rule, severity, address, text) });
    }
    for note in &plan.ignored {
        let IgnoredV2 { address, severity, rule, origin, text, reason } = note;
        let ignored = Some(reason.clone());
        results.push(SarifResult { place: place(origin), ignored, ..result(rule, severity, address, text) });
    }
    for result in results.iter_mut().filter(|result| result.place.is_none()) {
        result.place = origins.get(&result.address).and_then(|origin| place(origin));
    }
    document(&results, top_file, None, out)
}

fn result(rule: &str, severity: &str, address: &str, text: &str) -> SarifResult {
    let [rule, severity, address, text] = [rule, severity, address, text].map(str::to_owned);
    SarifResult { rule, severity, address, text, place: None, ignored: None, denied: false }
}

/// File and line of `file:line`.
pub fn place(origin: &str) -> Option<(String, usize, Option<usize>)> {
    let (file, line) = file_and_line(origin)?;
    Some((file.to_owned(), line, None))
}

/// An object that differs from its declaration.
fn of_change(change: &ChangeV2) -> SarifResult {
    let fields: Vec<&str> = change.fields.iter().map(|field| field.path.as_str()).collect();
    let text = match change.action.as_str() {
        "create" => "does not exist".to_owned(),
        "delete" => "exists, and is not declared".to_owned(),
        "adopt" => "exists, and is not managed by irsa".to_owned(),
        _ => format!("differs from its declaration: {}", fields.join(", ")),
    };
    let place = change.reasons.first().and_then(|reason| place(declared_at(reason)?));
    SarifResult { place, ..result(DIFFERS, "medium", &change.address, &text) }
}

/// Writes a document with these results.
pub fn document(
    results: &[SarifResult],
    top_file: &str,
    failure: Option<&SarifFailure>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (results, left_out) = most_severe(results);
    let words: BTreeSet<&str> = results.iter().map(|result| result.rule.as_str()).collect();
    let words: Vec<&str> = words.into_iter().collect();
    let rules: Vec<Value> = words.iter().map(|word| rule(word)).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let results: Vec<Value> = results
        .iter()
        .map(|result| {
            let index = words.binary_search(&result.rule.as_str()).ok();
            let fingerprint = fingerprint(result);
            let times = seen.entry(fingerprint.clone()).or_default();
            *times += 1;
            let fingerprint = format!("{fingerprint}:{times}");
            json_result(result, index, &fingerprint, top_file)
        })
        .collect();
    let notification = |level: &str, text: &str| json!({ "level": level, "message": { "text": text } });
    let failed = failure.map(|SarifFailure(text)| notification("error", &message(text)));
    let cut = (left_out > 0)
        .then(|| notification("warning", &format!("{left_out} results of the least severity are left out")));
    let notifications: Vec<Value> = failed.into_iter().chain(cut).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "irsa", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { ROOT: { "description": { "text": "The root of the repository." } } },
            "invocations": [{ "executionSuccessful": failure.is_none(), "toolExecutionNotifications": notifications }],
            "results": results,
        }],
    });
    write_text(&printable(&format!("{document:#}\n")), out)
}

/// The results that a file has room for, in their order, and how many results are left out. irsa leaves out ignored
/// results first, then those of the least severity.
fn most_severe(results: &[SarifResult]) -> (Cow<'_, [SarifResult]>, usize) {
    if results.len() <= MOST_RESULTS {
        return (Cow::Borrowed(results), 0);
    }
    let mut order: Vec<usize> = (0..results.len()).collect();
    order.sort_by_key(|index| (results[*index].ignored.is_some(), Reverse(score(&results[*index].severity))));
    order.truncate(MOST_RESULTS);
    order.sort_unstable();
    (order.into_iter().map(|index| results[index].clone()).collect(), results.len() - MOST_RESULTS)
}

/// A text from outside as a message: one line, without links. `[text](target)` would be a link
/// (SARIF, section 3.11.6).
fn message(text: &str) -> String {
    let text = scrub(text);
    if text.contains("](") { text.replace('[', "\\[").replace(']', "\\]") } else { text.into_owned() }
}

/// The rule of a word, with its page as help.
fn rule(word: &str) -> Value {
    let Some(page) = explain::page(word) else { return json!({ "id": word, "shortDescription": { "text": word } }) };
    let Page { topic, title, severity, .. } = page;
    let (title, text) = (explain::without_links(title), explain::without_links(page.body()));
    let mut rule = json!({
        "id": word, "name": word,
        "shortDescription": { "text": title },
        "fullDescription": { "text": first_paragraph(&text) },
        "help": { "text": text, "markdown": text },
        "properties": { "tags": [topic.as_str()] },
    });
    if score(severity) > 0 {
        rule["defaultConfiguration"] = json!({ "level": level(severity) });
    }
    if *topic == Topic::Rule {
        rule["properties"]["tags"] = json!(["security"]);
        rule["properties"]["security-severity"] = json!(format!("{:.1}", f64::from(score(severity)) / 10.0));
    }
    rule
}

fn first_paragraph(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    if paragraph.chars().count() <= DESCRIPTION_LENGTH {
        return paragraph.to_owned();
    }
    paragraph.chars().take(DESCRIPTION_LENGTH - 1).chain(['…']).collect()
}

fn level(severity: &str) -> &'static str {
    match severity {
        "critical" | "high" => "error",
        "medium" => "warning",
        _ => "note",
    }
}

/// Ten times a score in the middle of GitHub's range for the severity. 0 for a page without a severity of its own.
fn score(severity: &str) -> u32 {
    match severity {
        "critical" => 95,
        "high" => 80,
        "medium" => 55,
        "low" => 20,
        "info" => 1,
        _ => 0,
    }
}

/// Does not depend on lines, which move. The texts of refusals and differences have counts, times and request ids, which
/// change with each run: these are told apart by their objects.
fn fingerprint(result: &SarifResult) -> String {
    let is_refusal = explain::page(&result.rule).is_some_and(|page| page.topic == Topic::Refusal);
    let by_object = is_refusal || result.rule == DIFFERS;
    let text = if by_object { "" } else { &result.text };
    let mut hash = Sha256::new();
    for part in [&result.rule, &result.address, text] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A path of the repository is relative; a file elsewhere has a URI of its own.
fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    format!("{scheme}{}", utf8_percent_encode(path, PATH))
}

fn json_result(result: &SarifResult, index: Option<usize>, fingerprint: &str, top_file: &str) -> Value {
    let SarifResult { rule, severity, address, text, place, ignored, denied } = result;
    let level = if *denied { "error" } else { level(severity) };
    let (file, line, column) = place.clone().unwrap_or_else(|| (top_file.to_owned(), 1, None));
    let (line, uri) = (line.max(1), uri(&file));
    let mut artifact = json!({ "uri": uri });
    if !file.starts_with('/') {
        artifact["uriBaseId"] = json!(ROOT);
    }
    // without an end column, the region ends with its last line
    let region = json!({ "startLine": line, "startColumn": column.unwrap_or(1).max(1), "endLine": line });
    let mut location = json!({ "physicalLocation": { "artifactLocation": artifact, "region": region } });
    let text = message(&if address.is_empty() { text.clone() } else { format!("{address}: {text}") });
    let address = scrub(address);
    if !address.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": address, "kind": "resource" }]);
    }
    let mut value = json!({
        "ruleId": rule, "ruleIndex": index, "level": level, "message": { "text": text },
        "locations": [location], "partialFingerprints": { "primaryLocationLineHash": fingerprint },
        "properties": { "severity": severity },
    });
    if let Some(reason) = ignored {
        value["suppressions"] = json!([{ "kind": "inSource", "status": "accepted", "justification": message(reason) }]);
    }
    value
}

#[cfg(test)]
mod tests;
