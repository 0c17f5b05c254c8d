//! Reads policy documents from a file, from JSON or from statements in TOML: fills in templates and parses strictly.
//!
//! An error points at where it was written: into the policy file, into the JSON text, or at the statement.

use super::diagnostics::Diagnostic;
use super::file_kind::FileKind;
use super::reader::Located;
use super::schema::{Json, KubernetesSetting, Raw, RawDocument, STATEMENT_KEYS};
use super::source::{Source, Sources, relative_to};
use super::suggest::{did_you_mean, nearest};
use super::templates::{TemplateError, Variables, is_template};
use super::wrong_document::{self, WrongDocument};
use crate::model::origin::Origin;
use crate::policy::budget::DOCUMENT_TEXT;
use crate::policy::document::PolicyKind;
use crate::policy::parse::{JsonMember, JsonNode, Shape};
use crate::policy::{PolicyDocument, Statement};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Reads every policy file that the configuration names, and checks the paths of kubeconfigs.
pub(crate) fn read_files(sources: &mut Sources, raw: &Raw) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let mut refused = BTreeSet::new();
    let inline = raw.roles.values().flat_map(|role| role.inline.iter().map(|(_, inline)| &inline.document));
    for document in raw.policies.values().map(|policy| &policy.document).chain(inline) {
        let Some(file) = &document.file else { continue };
        match sources.read(&relative_to(&file.origin.file, &file.value), FileKind::Policy) {
            Ok(source) if !is_policy(&source.text) && refused.insert(source.name.clone()) => {
                errors.push(not_a_policy(file, &source.text));
            }
            Ok(_) => {}
            Err(why) => {
                let diagnostic = unreadable(file, &why);
                errors.push(match wrong_document::hint_by_name(&file.value) {
                    Some(hint) => diagnostic.hint(hint),
                    None => diagnostic,
                });
            }
        }
    }
    for cluster in raw.clusters.values() {
        let Some(KubernetesSetting::Table(table)) = &cluster.kubernetes else { continue };
        let Some(file) = &table.kubeconfig else { continue };
        if let Err(why) = sources.kubeconfig(&relative_to(&file.origin.file, &file.value)) {
            errors.push(unreadable(file, &why));
        }
    }
    errors
}

fn unreadable(file: &Located<String>, why: &str) -> Diagnostic {
    let hint = "paths are relative to the file that names them and must stay inside the folder of the top file";
    Diagnostic::at(&file.origin, format!("cannot read `{}`: {why}", file.value)).hint(hint)
}

/// Whether a text looks like a policy. Messages must not quote other JSON, such as a service account key that CI wrote
/// into the folder.
fn is_policy(text: &str) -> bool {
    ["Statement", "Effect", "Action", "Resource"].iter().any(|element| text.contains(&format!("\"{element}\"")))
}

fn not_a_policy(file: &Located<String>, text: &str) -> Diagnostic {
    match wrong_document::of_text(text) {
        Some(wrong) => Diagnostic::at(&file.origin, format!("`{}`: {}", file.value, wrong.message)).hint(wrong.hint),
        None => Diagnostic::at(&file.origin, format!("`{}` is not a policy: it has no `Statement`", file.value)),
    }
}

/// Reads documents, and a file that many roles share only once.
pub(crate) struct Documents<'a> {
    sources: &'a Sources,
    files: BTreeMap<(Arc<str>, Option<Variables>), Option<PolicyDocument>>,
    pub errors: Vec<Diagnostic>,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(sources: &'a Sources) -> Self {
        Self { sources, files: BTreeMap::new(), errors: Vec::new() }
    }

    /// The permission policy of `what`, which is declared at `origin`.
    pub(crate) fn permissions(
        &mut self,
        raw: &RawDocument,
        what: &str,
        origin: &Origin,
        variables: &Variables,
    ) -> Option<PolicyDocument> {
        let mut two = |(first_key, first): (&str, &Origin), (key, second): (&str, &Origin)| {
            let message = format!("{what} has two documents, `{first_key}` and `{key}`");
            self.errors.push(Diagnostic::at(second, message).and(first, "the other is here"));
            None
        };
        match (&raw.file, &raw.json, &raw.statements) {
            (Some(file), Some(json), _) => two(("file", &file.origin), ("json", &json.origin)),
            (Some(file), None, Some(list)) => two(("file", &file.origin), ("statements", &list.origin)),
            (None, Some(json), Some(list)) => two(("json", &json.origin), ("statements", &list.origin)),
            (Some(file), None, None) => self.file(file, variables),
            (None, Some(json), None) => self.json(json, variables),
            (None, None, Some(list)) => {
                if list.value.is_empty() && !raw.flawed {
                    self.errors.push(Diagnostic::at(&list.origin, format!("{what} has no statements")));
                }
                let list = self.statements(&list.value, PolicyKind::Permissions, variables)?;
                (!list.is_empty()).then(|| PolicyDocument::from_statements(&list))
            }
            (None, None, None) => {
                if !raw.flawed {
                    let hint = "add `file`, `json` or `statements`";
                    self.errors.push(Diagnostic::at(origin, format!("{what} has no document")).hint(hint));
                }
                None
            }
        }
    }

    fn file(&mut self, file: &Located<String>, variables: &Variables) -> Option<PolicyDocument> {
        // a file that is missing or is not a policy was refused when the files were read
        let source = self.sources.get(&file.origin.file, &file.value)?.clone();
        if !is_policy(&source.text) {
            return None;
        }
        let key = (source.name.clone(), is_template(&source.text).then(|| variables.clone()));
        if let Some(known) = self.files.get(&key) {
            return known.clone();
        }
        let document = match read(&source.text, |span| source.origin(span), variables) {
            Ok(document) => Some(document),
            Err(errors) => {
                self.errors.extend(errors.into_iter().map(|item| item.and(&file.origin, "the file is named here")));
                None
            }
        };
        self.files.insert(key, document.clone());
        document
    }

    fn json(&mut self, json: &Located<String>, variables: &Variables) -> Option<PolicyDocument> {
        let inner = InnerText::of(self.sources, &json.origin, &json.value);
        read(&json.value, |span| inner.origin(span), variables).map_err(|errors| self.errors.extend(errors)).ok()
    }

    /// Statements written in TOML; None if any of them has an error.
    pub(crate) fn statements(
        &mut self,
        list: &[Located<Json>],
        kind: PolicyKind,
        variables: &Variables,
    ) -> Option<Vec<Statement>> {
        let all_before = self.errors.len();
        let mut statements = Vec::with_capacity(list.len());
        for Located { value, origin } in list {
            let before = self.errors.len();
            let value = self.render(value, origin, variables);
            if self.errors.len() > before {
                continue;
            }
            match Statement::read(&value, Some(kind)) {
                Ok(statement) => statements.push(statement),
                Err(error) => self.errors.push(match wrong_document::of_statement(&value, kind) {
                    Some(wrong) => Diagnostic::at(origin, wrong.message).hint(wrong.hint),
                    None => Diagnostic::at(origin, with_toml_names(error.message)),
                }),
            }
        }
        (self.errors.len() == all_before).then_some(statements)
    }

    /// A value with its templates rendered.
    fn render<'v>(&mut self, value: &'v Json, origin: &Origin, variables: &Variables) -> JsonNode<'v> {
        let shape = match &value.shape {
            Shape::Text(text) => Shape::Text(self.render_text(text, origin, variables)),
            Shape::List(list) => Shape::List(list.iter().map(|item| self.render(item, origin, variables)).collect()),
            Shape::Object(object) => {
                let entries = object.iter().map(|JsonMember { key, value, at: _ }| {
                    JsonMember::new(self.render_text(key, origin, variables), self.render(value, origin, variables))
                });
                let entries: Vec<JsonMember<'v>> = entries.collect();
                if object.iter().any(|entry| is_template(&entry.key)) {
                    self.errors.extend(duplicate_keys(&entries, origin));
                }
                Shape::Object(entries)
            }
            Shape::Null | Shape::Bool(_) | Shape::Number(_) => value.shape.clone(),
        };
        shape.into()
    }

    fn render_text<'v>(&mut self, text: &'v str, origin: &Origin, variables: &Variables) -> Cow<'v, str> {
        if text.len() > DOCUMENT_TEXT {
            self.errors.push(Diagnostic::at(origin, too_long(text.len())));
            return text.into();
        }
        if !is_template(text) {
            return text.into();
        }
        let rendered = variables.render(text).unwrap_or_else(|errors| {
            let inner = InnerText::of(self.sources, origin, text);
            self.errors.extend(errors.into_iter().map(|error| of_template(error, |span| inner.origin(span))));
            String::new()
        });
        rendered.into()
    }
}

/// Refuses keys that occur more than once: JSON readers disagree on which one counts.
fn duplicate_keys(entries: &[JsonMember<'_>], origin: &Origin) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    // a template that could not be rendered is empty, and its error is already reported
    let again = entries.iter().filter(|entry| !entry.key.is_empty() && !seen.insert(&entry.key));
    let message = |entry: &JsonMember<'_>| format!("key `{}` occurs twice after its template is filled in", entry.key);
    again.map(|entry| Diagnostic::at(origin, message(entry))).collect()
}

/// A text inside a TOML file.
struct InnerText<'a> {
    whole: &'a Origin,
    /// The file and the offset of the text in it, if the file has it without escapes.
    exact: Option<(Arc<Source>, usize)>,
}

impl<'a> InnerText<'a> {
    fn of(sources: &Sources, whole: &'a Origin, text: &str) -> Self {
        let exact = sources.get("", &whole.file).and_then(|source| {
            let inside = source.text.get(whole.span.clone())?.find(text);
            // the position of `[[…]]` covers its header only; its values follow, up to the next header
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

fn of_template(error: TemplateError, locate: impl Fn(Range<usize>) -> Origin) -> Diagnostic {
    let TemplateError { message, hint, span } = error;
    Diagnostic { hint: Some(hint), ..Diagnostic::at(&locate(span), message) }
}

/// Renders and parses a JSON text; `locate` turns its bytes into positions.
fn read(
    text: &str,
    locate: impl Fn(Range<usize>) -> Origin,
    variables: &Variables,
) -> Result<PolicyDocument, Vec<Diagnostic>> {
    let check_length = |text: &str| match text.len() {
        0..=DOCUMENT_TEXT => Ok(()),
        long => Err(vec![Diagnostic::at(&locate(0..0), too_long(long))]),
    };
    check_length(text)?;
    let rendered = if is_template(text) {
        Cow::Owned(variables.render(text).map_err(|errors| match wrong_kind(text, text, &locate) {
            Some(wrong) => vec![wrong],
            None => errors.into_iter().map(|error| of_template(error, &locate)).collect(),
        })?)
    } else {
        Cow::Borrowed(text)
    };
    check_length(&rendered)?;
    PolicyDocument::parse(&rendered, PolicyKind::Permissions).map_err(|_| {
        if let Some(wrong) = wrong_kind(&rendered, text, &locate) {
            return vec![wrong];
        }
        let problems = PolicyDocument::problems(&rendered, PolicyKind::Permissions);
        // most templates are inside strings, so the text before rendering is often JSON with the same errors
        let plain = if rendered == text { Vec::new() } else { PolicyDocument::problems(text, PolicyKind::Permissions) };
        let errors = problems.iter().map(|error| {
            let here = plain.iter().find(|plain| plain.message == error.message);
            let span = match here.unwrap_or(error).position {
                Some((line, column)) if here.is_some() || rendered == text => {
                    token(text, Source::offset(text, line, column))
                }
                Some((line, _)) if rendered.lines().count() == text.lines().count() => {
                    let start = Source::offset(text, line, 1);
                    start..start + text[start..].lines().next().unwrap_or_default().len()
                }
                _ => 0..0,
            };
            with_element_hint(&locate(span), &error.message)
        });
        without_missing_misspelled(errors.collect())
    })
}

/// The error that the document is of another kind.
fn wrong_kind(rendered: &str, text: &str, locate: impl Fn(Range<usize>) -> Origin) -> Option<Diagnostic> {
    let WrongDocument { message, hint, evidence } = wrong_document::of_text(rendered)?;
    let start = text.find(evidence).unwrap_or_default();
    Some(Diagnostic::at(&locate(token(text, start)), message).hint(hint))
}

fn too_long(bytes: usize) -> String {
    format!("the document has {bytes} bytes, but the limit is {DOCUMENT_TEXT}")
}

const ELEMENTS: [&str; 3] = ["Version", "Id", "Statement"];

/// An error of the policy parser, with the element that was probably meant.
fn with_element_hint(origin: &Origin, message: &str) -> Diagnostic {
    let diagnostic = Diagnostic::at(origin, message);
    let Some(word) = message.strip_prefix("unknown element `").and_then(|rest| rest.strip_suffix('`')) else {
        return diagnostic;
    };
    let known = ELEMENTS.into_iter().chain(STATEMENT_KEYS.iter().map(|(_, element)| *element));
    match nearest(word, known) {
        Some(near) => diagnostic.hint(did_you_mean(near)),
        None => diagnostic,
    }
}

/// Drops the error that an element is missing if another error says that its name is misspelled.
fn without_missing_misspelled(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let meant =
        |item: &Diagnostic| item.hint.as_ref()?.strip_prefix("did you mean ")?.strip_suffix('?').map(str::to_owned);
    let meant: Vec<String> = list.iter().filter_map(meant).collect();
    list.retain(|item| {
        let missing = item.message.split_once(" needs ").map(|(_, missing)| missing);
        !missing.is_some_and(|missing| meant.iter().any(|name| missing.contains(name.as_str())))
    });
    list
}

/// The string, word or punctuation that begins at `start`.
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

/// The message with the names of elements as they are written in TOML.
fn with_toml_names(message: String) -> String {
    STATEMENT_KEYS
        .iter()
        .fold(message, |message, (key, element)| message.replace(&format!("`{element}`"), &format!("`{key}`")))
}
