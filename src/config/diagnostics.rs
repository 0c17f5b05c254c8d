//! What is wrong with a configuration, all of it at once, each with its place and what to do.

use crate::model::origin::Origin;
use crate::model::sanitize::{Sanitized, inert, scrub};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// Where, and what is there; the first is the main one. Empty where the file itself could not be read.
    pub labels: Vec<(Origin, String)>,
    /// What to do, if there is something to say.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A mistake at one place.
    pub(crate) fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: vec![(origin.clone(), String::new())], hint: None }
    }

    /// A mistake that has no place in a file.
    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: Vec::new(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says something about the main place.
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.1 = text.into();
        }
        self
    }

    /// Adds the other place.
    pub(crate) fn and(mut self, origin: &Origin, text: impl Into<String>) -> Self {
        self.labels.push((origin.clone(), text.into()));
        self
    }

    /// Truncates the texts: they may quote a key that is as long as the file.
    fn shorten(&mut self) {
        let labels = self.labels.iter_mut().map(|(_, label)| label);
        for text in labels.chain([&mut self.message]).chain(&mut self.hint) {
            if let Some((end, _)) = text.char_indices().nth(MESSAGE) {
                text.truncate(end);
                text.push('…');
            }
        }
    }

    /// By what mistakes are sorted.
    fn place(&self) -> Option<(&str, usize, usize)> {
        self.labels.first().map(|(origin, _)| (&*origin.file, origin.line, origin.column))
    }
}

/// The most mistakes in text and in JSON.
const SHOWN: usize = 200;
const TOLD: usize = 10_000;
/// The longest message, in characters, and the longest excerpt of a file, in bytes.
const MESSAGE: usize = 2000;
const EXCERPT: usize = 64 * 1024;
/// The message where nothing may be quoted.
const WITHHELD: &str = "this is no valid configuration";

/// Everything that is wrong, in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// How many there are, including those left out of `list`.
    count: usize,
    /// The texts of the files, to show the lines.
    texts: BTreeMap<Arc<str>, Arc<str>>,
    /// The files that were read.
    read: Vec<PathBuf>,
}

impl Diagnostics {
    /// Sorts the mistakes; `texts` are the files that they are in.
    pub(crate) fn new(mut list: Vec<Diagnostic>, texts: BTreeMap<Arc<str>, Arc<str>>) -> Self {
        list.sort_by(|a, b| (a.place(), &a.message).cmp(&(b.place(), &b.message)));
        list.dedup();
        let count = list.len();
        list.truncate(TOLD);
        list.iter_mut().for_each(Diagnostic::shorten);
        Self { list, count, texts, read: Vec::new() }
    }

    /// Mistakes in files that must not be quoted: keeps only their places.
    pub(crate) fn withheld(list: Vec<Diagnostic>) -> Self {
        let bare = |diagnostic: Diagnostic| {
            let labels = diagnostic.labels.into_iter().take(1).map(|(origin, _)| (origin, String::new()));
            let hint = "the configuration is a link that leads out of its folder, so nothing in it is shown; pass the \
                        real path with `--config`";
            Diagnostic { message: WITHHELD.to_owned(), labels: labels.collect(), hint: Some(hint.to_owned()) }
        };
        Self::new(list.into_iter().map(bare).collect(), BTreeMap::new())
    }

    /// The same, with the files that were read.
    pub(crate) fn read_from(self, read: Vec<PathBuf>) -> Self {
        Self { read, ..self }
    }

    /// The files that were read, as far as they could be.
    pub fn files(&self) -> &[PathBuf] {
        &self.read
    }

    /// The mistakes.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Writes each with its file, line, column, the line itself and the hint.
    ///
    /// # Errors
    /// If writing fails.
    pub fn render(&self, out: &mut dyn Write, colour: bool) -> io::Result<()> {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        for diagnostic in self.list.iter().take(SHOWN) {
            writeln!(out, "{}", inert(&self.render_one(diagnostic, &renderer)))?;
            writeln!(out)?;
        }
        let count = self.count;
        let shown = if count > SHOWN { format!("; the first {SHOWN} are shown") } else { String::new() };
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
            let Some((text, shown)) = excerpt.filter(|(_, shown)| shown.len() <= EXCERPT) else {
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
                    kind.span(excerpt.place(span.start - shown.start)..excerpt.place(span.end - shown.start));
                if label.is_empty() { annotation } else { annotation.label(scrub(label)) }
            });
            let snippet = Snippet::source(excerpt.text.clone()).line_start(first_line);
            group = group.element(snippet.path(scrub(file)).annotations(labels));
        }
        if diagnostic.labels.is_empty()
            && let Some(hint) = &diagnostic.hint
        {
            // below a line of a file it hangs on that; alone it is a line like that of every other error
            return format!("{}\nhint: {}", renderer.render(&[group]), scrub(hint));
        }
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.with_name("hint").message(scrub(hint)));
        }
        renderer.render(&[group])
    }

    /// The same for programs, as `irsa schema validation` describes it.
    pub fn to_json(&self) -> Value {
        let place = |origin: &Origin| (origin.file.to_string(), origin.line, origin.column);
        let list = self.list.iter().map(|diagnostic| {
            let main = diagnostic.labels.first().map(|(origin, _)| place(origin));
            let also: Vec<Value> = diagnostic
                .labels
                .iter()
                .skip(1)
                .map(|(origin, text)| {
                    let (file, line, column) = place(origin);
                    json!({ "file": file, "line": line, "column": column, "text": text })
                })
                .collect();
            let (file, line, column) = main.map_or((None, None, None), |(f, l, c)| (Some(f), Some(l), Some(c)));
            json!({
                "file": file, "line": line, "column": column,
                "rule": "configuration", "severity": "error", "address": null,
                "text": diagnostic.message, "message": diagnostic.message, "hint": diagnostic.hint, "also": also,
            })
        });
        Value::Array(list.collect())
    }
}

/// The whole lines that hold all of these spans: the rest of a large file need not be looked at to show one mistake.
fn lines<'a>(spans: impl Iterator<Item = &'a std::ops::Range<usize>>, text: &str) -> std::ops::Range<usize> {
    let spans = spans.map(|span| within(span, text)).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
    let span = spans.unwrap_or(0..0);
    let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[span.end..].find('\n').map_or(text.len(), |newline| span.end + newline);
    start..end
}

/// The part of a span that lies in the text, on one line.
fn within(span: &std::ops::Range<usize>, text: &str) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).max(start);
    // a table or a multi-line value is shown by its first line
    let first_line = text[start..end].find('\n').map_or(end, |newline| start + newline);
    start..first_line.max(start)
}

/// Lines of a file as they are shown, scrubbed, and where its places have moved to.
struct Excerpt {
    text: String,
    /// Where something was put in the place of something else: behind it in the file, and behind it here.
    moved: Vec<(usize, usize)>,
}

impl Excerpt {
    fn of(source: &str) -> Self {
        let mut line = Sanitized::default();
        let mut moved = vec![(0, 0)];
        for (at, character) in source.char_indices() {
            let behind = at + character.len_utf8();
            // a carriage return alone goes back to the start of the line
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

    /// Where a place of the file is.
    fn place(&self, at: usize) -> usize {
        let next = self.moved.partition_point(|(behind, _)| *behind <= at);
        let (behind, here) = self.moved[next - 1];
        here + (at - behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sanitize::is_invisible;
    use std::ops::Range;

    fn rendered(file: &str, text: &str, span: Range<usize>, message: &str) -> String {
        let (file, text): (Arc<str>, Arc<str>) = (file.into(), text.into());
        let origin = Origin { file: file.clone(), line: 1, column: 1, span };
        let diagnostic = Diagnostic::at(&origin, message).label(message).hint(message);
        let mut shown = Vec::new();
        Diagnostics::new(vec![diagnostic], BTreeMap::from([(file, text)])).render(&mut shown, false).unwrap();
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn nothing_in_a_mistake_is_obeyed() {
        let text = "owner = \"a\u{202e}b\u{1b}[31m\"\r\n# \r::error::x ##vso[x]\u{3164}\n";
        let shown = rendered(
            "a\n::set-output name=x::\u{1b}[2J.toml",
            text,
            8..text.len() - 1,
            "##[debug]\n::error::`a\u{202e}b`",
        );
        assert!(shown.contains("owner = \"a<U+202E>b<U+001B>[31m\""), "{shown}");
        assert!(shown.contains("--> a<U+000A>::set-output name=x::<U+001B>[2J.toml:1:9"), "{shown}");
        assert!(shown.contains("error: ##\\[debug]<U+000A>::error::`a<U+202E>b`"), "{shown}");
        assert!(!shown.chars().any(|c| is_invisible(c) && c != '\n'), "{shown:?}");
        assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")) && !shown.contains("##["), "{shown}");
    }

    #[test]
    fn the_mark_stands_below_what_it_marks() {
        let text = "a = \"\u{200b}##[\" # é\tx\nb = 1";
        for (name, place) in [("##", text.find("##").unwrap()), ("x", text.find('x').unwrap()), ("a", 0)] {
            let shown = rendered("irsa.toml", text, place..place + name.len(), "here");
            let line = shown.lines().find(|line| line.starts_with("1 | ")).unwrap();
            let mark = shown.lines().find(|line| line.contains('^')).unwrap();
            // in columns, of which each of these characters takes one
            let column = |line: &str, found: &str| line.split(found).next().unwrap().chars().count();
            assert_eq!(column(line, name), column(mark, "^"), "{shown}");
            assert_eq!(mark.matches('^').count(), name.len(), "{shown}");
        }
        let shown = rendered("irsa.toml", text, text.find('\u{200b}').unwrap()..text.find("\" #").unwrap(), "here");
        assert!(shown.contains(&"^".repeat("<U+200B>##\\[".len())), "{shown}");
    }
}
