//! Policy documents: from a file, from JSON or from statements in TOML, filled in and strictly read.
//!
//! A mistake is shown where it was written: in the policy file itself, inside the JSON text, or at the statement.

use super::diagnostics::Diagnostic;
use super::file_kind::FileKind;
use super::mistaken::{self, Mistaken};
use super::reader::{Spot, nearest};
use super::schema::{Json, Raw, RawDocument, STATEMENT_KEYS};
use super::source::{Source, Sources, beside};
use super::templates::{Fault, Variables, is_template};
use crate::model::origin::Origin;
use crate::policy::budget::DOCUMENT_TEXT;
use crate::policy::document::PolicyKind;
use crate::policy::parse::{JsonMember, JsonNode, Shape};
use crate::policy::{PolicyDocument, Statement};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Reads every policy file that is named, and looks at where kubeconfigs are.
pub(crate) fn read_files(sources: &mut Sources, raw: &Raw) -> Vec<Diagnostic> {
    let mut list = Vec::new();
    let mut told = BTreeSet::new();
    let inline = raw.roles.values().flat_map(|role| role.inline.iter().map(|(_, document)| document));
    for document in raw.policies.values().map(|policy| &policy.document).chain(inline) {
        let Some(file) = &document.file else { continue };
        match sources.read(&beside(&file.origin.file, &file.value), FileKind::Policy) {
            Ok(source) if !is_policy(&source.text) && told.insert(source.name.clone()) => {
                list.push(no_policy(file, &source.text));
            }
            Ok(_) => {}
            Err(why) => {
                let diagnostic = unreadable(file, &why);
                list.push(match mistaken::by_name(&file.value) {
                    Some(hint) => diagnostic.hint(hint),
                    None => diagnostic,
                });
            }
        }
    }
    let kubeconfigs = raw.clusters.values().filter_map(|cluster| cluster.kubernetes.as_ref()?.kubeconfig.as_ref());
    for file in kubeconfigs {
        if let Err(why) = sources.kubeconfig(&beside(&file.origin.file, &file.value)) {
            list.push(unreadable(file, &why));
        }
    }
    list
}

fn unreadable(file: &Spot<String>, why: &str) -> Diagnostic {
    let hint = "paths are relative to the file that names them and stay inside the folder of the top file";
    Diagnostic::at(&file.origin, format!("cannot read `{}`: {why}", file.value)).hint(hint)
}

/// Whether a text looks like a policy. Messages do not quote other JSON, such as a service account key that CI wrote into
/// the folder.
fn is_policy(text: &str) -> bool {
    ["Statement", "Effect", "Action", "Resource"].iter().any(|element| text.contains(&format!("\"{element}\"")))
}

fn no_policy(file: &Spot<String>, text: &str) -> Diagnostic {
    if let Some(Mistaken { message, hint, shows: _ }) = mistaken::of_text(text) {
        return Diagnostic::at(&file.origin, format!("`{}`: {message}", file.value)).hint(hint);
    }
    let message = format!("`{}` is not a policy: it has no `Statement`", file.value);
    Diagnostic::at(&file.origin, message)
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
                let list = self.statements(&statements.value, PolicyKind::Permissions, variables)?;
                (!list.is_empty()).then(|| PolicyDocument::from_statements(&list))
            }
            (None, None, None) => None,
        }
    }

    fn file(&mut self, file: &Spot<String>, variables: &Variables) -> Option<PolicyDocument> {
        // a missing file, or one that is no policy, was refused when the files were read
        let source = self.sources.named(&file.origin.file, &file.value)?.clone();
        if !is_policy(&source.text) {
            return None;
        }
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
        list: &[Spot<Json>],
        kind: PolicyKind,
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
            match Statement::read(&value, Some(kind)) {
                Ok(statement) => statements.push(statement),
                Err(error) => {
                    wrong = true;
                    self.list.push(match mistaken::of_statement(&value, kind) {
                        Some(Mistaken { message, hint, shows: _ }) => Diagnostic::at(&spot.origin, message).hint(hint),
                        None => Diagnostic::at(&spot.origin, in_toml(error.message)),
                    });
                }
            }
        }
        (!wrong).then_some(statements)
    }

    /// A value with its templates filled in.
    fn fill<'v>(&mut self, value: &'v Json, origin: &Origin, variables: &Variables) -> JsonNode<'v> {
        let shape = match &value.shape {
            Shape::Text(text) => Shape::Text(self.fill_text(text, origin, variables)),
            Shape::List(list) => Shape::List(list.iter().map(|item| self.fill(item, origin, variables)).collect()),
            Shape::Object(object) => {
                let entries = object.iter().map(|JsonMember { key, value, at: _ }| {
                    JsonMember::new(self.fill_text(key, origin, variables), self.fill(value, origin, variables))
                });
                let entries: Vec<JsonMember<'v>> = entries.collect();
                if object.iter().any(|entry| is_template(&entry.key)) {
                    self.list.extend(twice(&entries, origin));
                }
                Shape::Object(entries)
            }
            Shape::Null | Shape::Bool(_) | Shape::Number(_) => value.shape.clone(),
        };
        shape.into()
    }

    fn fill_text<'v>(&mut self, text: &'v str, origin: &Origin, variables: &Variables) -> Cow<'v, str> {
        if text.len() > DOCUMENT_TEXT {
            self.list.push(Diagnostic::at(origin, too_long(text.len())));
            return text.into();
        }
        if !is_template(text) {
            return text.into();
        }
        let filled = variables.render(text).unwrap_or_else(|faults| {
            let inside = Inside::of(self.sources, origin, text);
            self.list.extend(faults.into_iter().map(|fault| told(fault, |span| inside.origin(span))));
            String::new()
        });
        filled.into()
    }
}

/// The keys that are there more than once: whoever reads JSON takes the one or the other.
fn twice(entries: &[JsonMember<'_>], origin: &Origin) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    // a template that could not be filled in is told already
    let again = entries.iter().filter(|entry| !entry.key.is_empty() && !seen.insert(&entry.key));
    let message = |entry: &JsonMember<'_>| format!("`{}` is there twice once its template is filled in", entry.key);
    again.map(|entry| Diagnostic::at(origin, message(entry))).collect()
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
    let mut diagnostic = Diagnostic::at(&place(fault.span), fault.message);
    diagnostic.hint = fault.hint;
    diagnostic
}

/// Fills a JSON text in and reads it; `place` turns its bytes into places.
fn read(
    text: &str,
    place: impl Fn(Range<usize>) -> Origin,
    variables: &Variables,
) -> Result<PolicyDocument, Vec<Diagnostic>> {
    let fits = |text: &str| match text.len() {
        0..=DOCUMENT_TEXT => Ok(()),
        long => Err(vec![Diagnostic::at(&place(0..0), too_long(long))]),
    };
    fits(text)?;
    let filled = if is_template(text) {
        let told = |faults: Vec<Fault>| faults.into_iter().map(|fault| told(fault, &place)).collect::<Vec<_>>();
        let filled = variables.render(text);
        Cow::Owned(filled.map_err(|faults| another(text, text, &place).map_or_else(|| told(faults), |one| vec![one]))?)
    } else {
        Cow::Borrowed(text)
    };
    fits(&filled)?;
    PolicyDocument::parse(&filled, PolicyKind::Permissions).map_err(|_| {
        if let Some(one) = another(&filled, text, &place) {
            return vec![one];
        }
        let problems = PolicyDocument::problems(&filled, PolicyKind::Permissions);
        // most templates stand inside strings, so that the text by itself is JSON, with the same mistakes
        let plain = if filled == text { Vec::new() } else { PolicyDocument::problems(text, PolicyKind::Permissions) };
        let told = problems.iter().map(|error| {
            let here = plain.iter().find(|plain| plain.message == error.message);
            let span = match here.unwrap_or(error).position {
                Some((line, column)) if here.is_some() || filled == text => {
                    token(text, Source::offset(text, line, column))
                }
                Some((line, _)) if filled.lines().count() == text.lines().count() => {
                    let start = Source::offset(text, line, 1);
                    start..start + text[start..].lines().next().unwrap_or_default().len()
                }
                _ => 0..0,
            };
            refused(&place(span), &error.message)
        });
        without_echoes(told.collect())
    })
}

/// The mistake that the document is one of another kind, shown in the text as it is written.
fn another(filled: &str, text: &str, place: impl Fn(Range<usize>) -> Origin) -> Option<Diagnostic> {
    let Mistaken { message, hint, shows } = mistaken::of_text(filled)?;
    let start = text.find(shows).unwrap_or_default();
    Some(Diagnostic::at(&place(token(text, start)), message).hint(hint))
}

fn too_long(bytes: usize) -> String {
    format!("the document has {bytes} bytes, the limit is {DOCUMENT_TEXT}")
}

const ELEMENTS: [&str; 3] = ["Version", "Id", "Statement"];

/// What the policy reader says, with the element that was probably meant.
fn refused(origin: &Origin, message: &str) -> Diagnostic {
    let diagnostic = Diagnostic::at(origin, message);
    let Some(word) = message.strip_prefix("unknown element `").and_then(|rest| rest.strip_suffix('`')) else {
        return diagnostic;
    };
    let known = ELEMENTS.into_iter().chain(STATEMENT_KEYS.iter().map(|(_, element)| *element));
    match nearest(word, known) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

/// Without the complaint that an element is missing which is there, with a slip in its name.
fn without_echoes(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let meant =
        |item: &Diagnostic| item.hint.as_ref()?.strip_prefix("did you mean ")?.strip_suffix('?').map(str::to_owned);
    let meant: Vec<String> = list.iter().filter_map(meant).collect();
    list.retain(|item| {
        let missing = item.message.split_once(" needs ").map(|(_, missing)| missing);
        !missing.is_some_and(|missing| meant.iter().any(|name| missing.contains(name.as_str())))
    });
    list
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
