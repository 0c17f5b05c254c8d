//! Policy documents: from a file, from JSON or from statements in TOML, filled in and strictly read.
//!
//! A mistake is shown where it was written: in the policy file itself, inside the JSON text, or at the statement.

use super::diagnostics::Diagnostic;
use super::reader::{Spot, nearest};
use super::schema::{Raw, RawDocument, STATEMENT_KEYS};
use super::source::{Source, Sources, beside};
use super::templates::{Fault, Variables, is_template};
use crate::model::origin::Origin;
use crate::policy::document::Kind;
use crate::policy::{ParseError, PolicyDocument, Statement};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Reads every policy file that is named, and looks at where kubeconfigs are.
pub(crate) fn read_files(sources: &mut Sources, raw: &Raw) -> Vec<Diagnostic> {
    let mut list = Vec::new();
    let inline = raw.roles.values().flat_map(|role| role.inline.iter().map(|(_, document)| document));
    for document in raw.policies.values().map(|policy| &policy.document).chain(inline) {
        let Some(file) = &document.file else { continue };
        if let Err(why) = sources.read(&beside(&file.origin.file, &file.value)) {
            list.push(unreadable(file, &why));
        }
    }
    let kubeconfigs = raw.clusters.values().filter_map(|cluster| cluster.kubernetes.as_ref()?.kubeconfig.as_ref());
    for file in kubeconfigs {
        if let Err(why) = sources.path(&beside(&file.origin.file, &file.value)) {
            list.push(unreadable(file, &why));
        }
    }
    list
}

fn unreadable(file: &Spot<String>, why: &str) -> Diagnostic {
    let hint = "paths are relative to the file that names them and stay inside the folder of the top file";
    Diagnostic::at(&file.origin, format!("cannot read `{}`: {why}", file.value)).hint(hint)
}

/// Reads documents. One that many roles share is read once.
pub(crate) struct Documents<'a> {
    sources: &'a Sources,
    files: BTreeMap<(Arc<str>, Option<Variables>), Option<PolicyDocument>>,
    pub list: Vec<Diagnostic>,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(sources: &'a Sources) -> Self {
        Self { sources, files: BTreeMap::new(), list: Vec::new() }
    }

    /// The permissions that `what`, declared at `origin`, has.
    pub(crate) fn permissions(
        &mut self,
        raw: &RawDocument,
        what: &str,
        origin: &Origin,
        variables: &Variables,
    ) -> Option<PolicyDocument> {
        let RawDocument { flawed, file, json, statements } = raw;
        let places = [
            file.as_ref().map(|spot| ("file", &spot.origin)),
            json.as_ref().map(|spot| ("json", &spot.origin)),
            statements.as_ref().map(|spot| ("statements", &spot.origin)),
        ];
        let mut places = places.into_iter().flatten();
        let Some((first_key, first)) = places.next() else {
            if !flawed {
                let hint = "give it `file`, `json` or `statements`";
                self.list.push(Diagnostic::at(origin, format!("{what} has no document")).hint(hint));
            }
            return None;
        };
        if let Some((key, second)) = places.next() {
            let message = format!("{what} has two documents, `{first_key}` and `{key}`");
            self.list.push(Diagnostic::at(second, message).and(first, "the other is here"));
            return None;
        }
        match (file, json, statements) {
            (Some(file), _, _) => self.file(file, variables),
            (_, Some(json), _) => self.json(json, variables),
            (_, _, Some(statements)) => {
                if statements.value.is_empty() && !flawed {
                    self.list.push(Diagnostic::at(&statements.origin, format!("{what} has no statements")));
                }
                let list = self.statements(&statements.value, Kind::Permissions, variables)?;
                (!list.is_empty()).then(|| PolicyDocument::from_statements(&list))
            }
            (None, None, None) => None,
        }
    }

    fn file(&mut self, file: &Spot<String>, variables: &Variables) -> Option<PolicyDocument> {
        // one that is not there was refused when the files were read
        let source = self.sources.named(&file.origin.file, &file.value)?.clone();
        let filled = is_template(&source.text).then(|| variables.clone());
        let key = (source.name.clone(), filled);
        if let Some(known) = self.files.get(&key) {
            return known.clone();
        }
        let document = match read(&source.text, |span| source.origin(span), variables) {
            Ok(document) => Some(document),
            Err(list) => {
                self.list.extend(list.into_iter().map(|item| item.and(&file.origin, "the file is named here")));
                None
            }
        };
        self.files.insert(key, document.clone());
        document
    }

    fn json(&mut self, json: &Spot<String>, variables: &Variables) -> Option<PolicyDocument> {
        let inside = Inside::of(self.sources, &json.origin, &json.value);
        read(&json.value, |span| inside.origin(span), variables).map_err(|list| self.list.extend(list)).ok()
    }

    /// Statements written in TOML; nothing if one of them is wrong.
    pub(crate) fn statements(
        &mut self,
        list: &[Spot<Value>],
        kind: Kind,
        variables: &Variables,
    ) -> Option<Vec<Statement>> {
        let mut wrong = false;
        let mut statements = Vec::with_capacity(list.len());
        for spot in list {
            let before = self.list.len();
            let value = self.fill(&spot.value, &spot.origin, variables);
            if self.list.len() > before {
                wrong = true;
                continue;
            }
            match Statement::parse(value, Some(kind)) {
                Ok(statement) => statements.push(statement),
                Err(error) => {
                    wrong = true;
                    self.list.push(refused(&spot.origin, &in_toml(error.message)));
                }
            }
        }
        (!wrong).then_some(statements)
    }

    /// A value with its templates filled in.
    fn fill(&mut self, value: &Value, origin: &Origin, variables: &Variables) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill_text(text, origin, variables)),
            Value::Array(list) => Value::Array(list.iter().map(|item| self.fill(item, origin, variables)).collect()),
            Value::Object(object) => {
                let entries = object
                    .iter()
                    .map(|(key, value)| (self.fill_text(key, origin, variables), self.fill(value, origin, variables)));
                Value::Object(entries.collect::<Map<String, Value>>())
            }
            other => other.clone(),
        }
    }

    fn fill_text(&mut self, text: &str, origin: &Origin, variables: &Variables) -> String {
        if !is_template(text) {
            return text.to_owned();
        }
        variables.render(text).unwrap_or_else(|faults| {
            let inside = Inside::of(self.sources, origin, text);
            self.list.extend(faults.into_iter().map(|fault| told(fault, |span| inside.origin(span))));
            String::new()
        })
    }
}

/// A text inside a TOML file.
struct Inside<'a> {
    whole: &'a Origin,
    /// The file and where the text begins in it, if it stands there letter by letter.
    exact: Option<(Arc<Source>, usize)>,
}

impl<'a> Inside<'a> {
    fn of(sources: &Sources, whole: &'a Origin, text: &str) -> Self {
        let exact = sources.named("", &whole.file).and_then(|source| {
            let inside = source.text.get(whole.span.clone())?.find(text);
            // the place of `[[…]]` is its header; what belongs to it follows, up to the next one
            let rest = source.text.get(whole.span.start..)?;
            let below = || rest[..rest.find("\n[").unwrap_or(rest.len())].find(text);
            Some((source.clone(), whole.span.start + inside.or_else(below)?))
        });
        Self { whole, exact }
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        match &self.exact {
            Some((source, base)) => source.origin(base + span.start..base + span.end),
            None => self.whole.clone(),
        }
    }
}

fn told(fault: Fault, place: impl Fn(Range<usize>) -> Origin) -> Diagnostic {
    let mut diagnostic = Diagnostic::at(&place(fault.span.unwrap_or(0..0)), fault.message);
    diagnostic.hint = fault.hint;
    diagnostic
}

/// Fills a JSON text in and reads it; `place` turns its bytes into places.
fn read(
    text: &str,
    place: impl Fn(Range<usize>) -> Origin,
    variables: &Variables,
) -> Result<PolicyDocument, Vec<Diagnostic>> {
    let filled = if is_template(text) {
        let told = |faults: Vec<Fault>| faults.into_iter().map(|fault| told(fault, &place)).collect::<Vec<_>>();
        Cow::Owned(variables.render(text).map_err(told)?)
    } else {
        Cow::Borrowed(text)
    };
    PolicyDocument::parse(&filled, Kind::Permissions)
        .map_err(|error| vec![refused(&place(span(&error, &filled, text)), &error.message)])
}

/// What the policy reader says, its list of known elements as a hint.
fn refused(origin: &Origin, message: &str) -> Diagnostic {
    let Some((message, known)) = message.split_once("; known are ") else { return Diagnostic::at(origin, message) };
    let word = message.split('`').nth(1).unwrap_or_default();
    let hint = nearest(word, known.split('`').skip(1).step_by(2))
        .map_or_else(|| format!("known are {known}"), |near| format!("did you mean `{near}`?"));
    Diagnostic::at(origin, message).hint(hint)
}

/// Where in `text` the mistake is that was found in `filled`, which was made from it.
fn span(error: &ParseError, filled: &str, text: &str) -> Range<usize> {
    let Some((line, column)) = error.position else { return 0..0 };
    if filled == text {
        return token(text, Source::offset(text, line, column));
    }
    // most templates stand inside strings, so that the text by itself is JSON, with the same mistake
    if let Err(plain) = PolicyDocument::parse(text, Kind::Permissions)
        && let Some((line, column)) = plain.position.filter(|_| plain.message == error.message)
    {
        return token(text, Source::offset(text, line, column));
    }
    if filled.lines().count() == text.lines().count() {
        let start = Source::offset(text, line, 1);
        return start..start + text[start..].lines().next().unwrap_or_default().len();
    }
    0..0
}

/// The string, word or sign that begins at `start`.
fn token(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    let length = match rest.chars().next() {
        Some('"') => rest[1..].find(['"', '\n']).map_or(rest.len(), |end| end + 2),
        Some(first) => {
            let word = rest.find(|c: char| c.is_whitespace() || ",:{}[]\"".contains(c)).unwrap_or(rest.len());
            word.max(first.len_utf8())
        }
        None => 0,
    };
    start..start + length
}

/// An element's name as it is written in TOML.
fn in_toml(message: String) -> String {
    STATEMENT_KEYS
        .iter()
        .fold(message, |message, (key, element)| message.replace(&format!("`{element}`"), &format!("`{key}`")))
}
