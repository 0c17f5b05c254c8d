//! Errors in a configuration: collected, sorted, and shown as text with quoted lines or as JSON.

use crate::model::origin::Origin;
use crate::model::sanitize::{Sanitized, inert, scrub};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// One error in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// A lower-case fragment.
    pub message: String,
    /// Positions with a text each; the first is the main one. Empty if the file could not be read.
    pub labels: Vec<(Origin, String)>,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at one position.
    pub(crate) fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: vec![(origin.clone(), String::new())], hint: None }
    }

    pub(crate) fn without_position(message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: Vec::new(), hint: None }
    }

    /// Adds it to `errors` and returns it there.
    pub(crate) fn push_to(self, errors: &mut Vec<Self>) -> &mut Self {
        errors.push(self);
        let last = errors.len() - 1;
        &mut errors[last]
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the text at the main position.
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.1 = text.into();
        }
        self
    }

    /// Adds another position.
    pub(crate) fn and(mut self, origin: &Origin, text: impl Into<String>) -> Self {
        self.labels.push((origin.clone(), text.into()));
        self
    }

    /// Truncates the texts, which may quote a key as long as the file.
    fn shorten(&mut self) {
        let labels = self.labels.iter_mut().map(|(_, label)| label);
        for text in labels.chain([&mut self.message]).chain(&mut self.hint) {
            if let Some((end, _)) = text.char_indices().nth(MESSAGE_LIMIT) {
                text.truncate(end);
                text.push('…');
            }
        }
    }

    fn position(&self) -> Option<(&str, usize, usize)> {
        self.labels.first().map(|(origin, _)| (&*origin.file, origin.line, origin.column))
    }
}

/// The most errors in text.
const TEXT_LIMIT: usize = 200;
/// The most errors in JSON.
const JSON_LIMIT: usize = 10_000;
/// The longest message, in characters.
const MESSAGE_LIMIT: usize = 2000;
/// The longest excerpt of a file, in bytes.
const EXCERPT_LIMIT: usize = 64 * 1024;
/// The message where nothing may be quoted.
const WITHHELD: &str = "this is not a valid configuration";

/// All errors in a configuration, in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// The number of errors, including those left out of `list`.
    count: usize,
    /// The texts of the files, to quote lines.
    texts: BTreeMap<Arc<str>, Arc<str>>,
    /// The files that were read.
    read: Vec<PathBuf>,
}

impl Diagnostics {
    /// Sorts the errors and drops repetitions; `texts` has the files that they are in, `read` the files that were read.
    pub(crate) fn new(mut list: Vec<Diagnostic>, texts: BTreeMap<Arc<str>, Arc<str>>, read: Vec<PathBuf>) -> Self {
        // the sort is stable: of roles that share a broken document, the first is kept
        list.sort_by(|a, b| (a.position(), &a.message).cmp(&(b.position(), &b.message)));
        list.dedup_by(|a, b| (a.position(), &a.message) == (b.position(), &b.message));
        let count = list.len();
        list.truncate(JSON_LIMIT);
        list.iter_mut().for_each(Diagnostic::shorten);
        Self { list, count, texts, read }
    }

    /// Errors in files that must not be quoted: keeps only their positions.
    pub(crate) fn withheld(list: Vec<Diagnostic>, read: Vec<PathBuf>) -> Self {
        let withheld = |diagnostic: Diagnostic| {
            let labels = diagnostic.labels.into_iter().take(1).map(|(origin, _)| (origin, String::new()));
            let hint = "the configuration is a link out of its folder, so irsa does not show its content; pass the real \
                        path with `--config`";
            Diagnostic { message: WITHHELD.to_owned(), labels: labels.collect(), hint: Some(hint.to_owned()) }
        };
        Self::new(list.into_iter().map(withheld).collect(), BTreeMap::new(), read)
    }

    /// The files that were read.
    pub fn files(&self) -> &[PathBuf] {
        &self.read
    }

    /// The errors.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Writes each error with its position, the quoted line and the hint.
    ///
    /// # Errors
    /// If writing fails.
    pub fn render(&self, out: &mut dyn Write, colour: bool) -> io::Result<()> {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        for diagnostic in self.list.iter().take(TEXT_LIMIT) {
            writeln!(out, "{}", inert(&self.render_one(diagnostic, &renderer)))?;
            writeln!(out)?;
        }
        let count = self.count;
        let shown = if count > TEXT_LIMIT { format!("; the first {TEXT_LIMIT} are shown") } else { String::new() };
        writeln!(out, "{count} {} in the configuration{shown}", if count == 1 { "mistake" } else { "mistakes" })
    }

    fn render_one(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let message = scrub(&diagnostic.message);
        let mut group =
            Level::ERROR.primary_title(message).elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
        let mut files: Vec<&Arc<str>> = Vec::new();
        for (origin, _) in &diagnostic.labels {
            if !files.contains(&&origin.file) {
                files.push(&origin.file);
            }
        }
        for file in files {
            let here = || diagnostic.labels.iter().filter(|(origin, _)| &origin.file == file);
            let excerpt = self.texts.get(file).map(|text| (text, lines(here().map(|(origin, _)| &origin.span), text)));
            let Some((text, shown)) = excerpt.filter(|(_, shown)| shown.len() <= EXCERPT_LIMIT) else {
                for (origin, _) in here() {
                    let place = annotate_snippets::Origin::path(file.to_string());
                    group = group.element(place.line(origin.line).char_column(origin.column));
                }
                continue;
            };
            let first_line = text[..shown.start].matches('\n').count() + 1;
            let excerpt = Excerpt::of(&text[shown.clone()]);
            let main = diagnostic.labels.first().map(|(origin, _)| origin);
            let labels = here().map(|(origin, label)| {
                let kind = if Some(origin) == main { AnnotationKind::Primary } else { AnnotationKind::Context };
                let span = within(&origin.span, text);
                let annotation =
                    kind.span(excerpt.offset(span.start - shown.start)..excerpt.offset(span.end - shown.start));
                if label.is_empty() { annotation } else { annotation.label(scrub(label)) }
            });
            let snippet = Snippet::source(excerpt.text.clone()).line_start(first_line);
            group = group.element(snippet.path(scrub(file)).annotations(labels));
        }
        if diagnostic.labels.is_empty()
            && let Some(hint) = &diagnostic.hint
        {
            // without a quoted line, the hint is written as for every other error of irsa
            return format!("{}\nhint: {}", renderer.render(&[group]), scrub(hint));
        }
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.with_name("hint").message(scrub(hint)));
        }
        renderer.render(&[group])
    }

    /// The errors as JSON, as `irsa schema validation` describes them.
    pub fn to_json(&self) -> Value {
        let list = self.list.iter().map(|diagnostic| {
            let main = diagnostic.labels.first().map(|(origin, _)| origin);
            let also = diagnostic.labels.iter().skip(1).map(|(origin, text)| {
                json!({ "file": *origin.file, "line": origin.line, "column": origin.column, "text": text })
            });
            let also: Vec<Value> = also.collect();
            json!({
                "file": main.map(|origin| &*origin.file),
                "line": main.map(|origin| origin.line),
                "column": main.map(|origin| origin.column),
                "rule": "configuration", "severity": "error", "address": null,
                "text": diagnostic.message, "message": diagnostic.message, "hint": diagnostic.hint, "also": also,
            })
        });
        Value::Array(list.collect())
    }
}

/// The whole lines around these spans, so that quoting does not scan all of a large file.
fn lines<'a>(spans: impl Iterator<Item = &'a std::ops::Range<usize>>, text: &str) -> std::ops::Range<usize> {
    let spans = spans.map(|span| within(span, text)).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
    let span = spans.unwrap_or(0..0);
    let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[span.end..].find('\n').map_or(text.len(), |newline| span.end + newline);
    start..end
}

/// The part of a span that is in the text, on one line.
fn within(span: &std::ops::Range<usize>, text: &str) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).max(start);
    // of a table or a multi-line value, only the first line is shown
    let first_line = text[start..end].find('\n').map_or(end, |newline| start + newline);
    start..first_line.max(start)
}

/// Sanitized lines of a file, and how their positions have moved.
struct Excerpt {
    text: String,
    /// The ends of replaced characters: the offset in the file and the offset in `text`.
    moved: Vec<(usize, usize)>,
}

impl Excerpt {
    fn of(source: &str) -> Self {
        let mut line = Sanitized::default();
        let mut moved = vec![(0, 0)];
        for (at, character) in source.char_indices() {
            let behind = at + character.len_utf8();
            // a carriage return alone would move the cursor to the start of the line
            let ends_line = character == '\r' && source[behind..].starts_with('\n');
            if ends_line || matches!(character, '\n' | '\t') {
                line.text.push(character);
            } else {
                line.push(character);
            }
            let (was, is) = moved[moved.len() - 1];
            if line.text.len() - is != behind - was {
                moved.push((behind, line.text.len()));
            }
        }
        Self { text: line.text, moved }
    }

    /// The offset in `text` of an offset in the file.
    fn offset(&self, at: usize) -> usize {
        let next = self.moved.partition_point(|(behind, _)| *behind <= at);
        let (behind, here) = self.moved[next - 1];
        here + (at - behind)
    }
}

#[cfg(test)]
mod tests;
