//! Renders templates in policy documents: replaces names in double braces and drops comments.
//!
//! There are no filters, operators, conditions or loops. A document that could test its account or region could look
//! harmless offline, where `validate` lints it with placeholders, and grant everything in AWS. Nesting could also
//! exhaust the stack. The delimiters are those of Jinja.

use super::suggest::suggestion;
use crate::model::quoted::quoted;
use std::collections::BTreeSet;
use std::ops::Range;

/// The most errors reported for one template.
const ERROR_LIMIT: usize = 20;

/// A literal `{`, as Jinja writes it. Templates accept no other string expression.
pub(crate) const BRACE: &str = "{{ '{' }}";

/// The values of the names that a document may use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Variables {
    pub partition: String,
    pub account_id: String,
    pub owner: String,
    pub region: SharedValue,
    pub cluster: SharedValue,
}

/// The distinct values that the users of a document have. A document may use the name if there is exactly one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SharedValue(pub BTreeSet<String>);

impl SharedValue {
    pub(crate) fn one(value: &str) -> Self {
        Self([value.to_owned()].into())
    }

    fn get(&self) -> Option<&str> {
        self.0.first().filter(|_| self.0.len() == 1).map(String::as_str)
    }
}

/// An error in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateError {
    pub message: String,
    pub hint: String,
    /// The bytes of the template.
    pub span: Range<usize>,
}

/// The text as a template that renders to it. `brace` is a literal brace: [`BRACE`], or an escape of the language.
pub(crate) fn escape(text: &str, brace: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        match character {
            '{' if is_template(text.get(at..at + 2).unwrap_or_default()) => escaped.push_str(brace),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Whether a text contains a delimiter.
pub(crate) fn is_template(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#'))
}

impl Variables {
    fn known(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("partition", Some(self.partition.as_str())),
            ("account_id", Some(self.account_id.as_str())),
            ("owner", Some(self.owner.as_str())),
            ("region", self.region.get()),
            ("cluster", self.cluster.get()),
        ]
    }

    /// Renders a template.
    pub(crate) fn render(&self, text: &str) -> Result<String, Vec<TemplateError>> {
        let known = self.known();
        let mut rendered = String::with_capacity(text.len());
        let mut errors = Vec::new();
        let mut at = 0;
        while let Some((start, [open, close])) = next_delimiter(text, at) {
            rendered.push_str(&text[at..start]);
            let inside = start + 2;
            let Some(length) = text[inside..].find(close) else {
                let message = format!("`{open}` is not closed with `{close}`");
                let hint = format!("to write a literal brace, use `{BRACE}`, or `\\u007b` in JSON");
                errors.push(TemplateError { message, hint, span: start..inside });
                break;
            };
            let end = inside + length;
            at = end + 2;
            if open == "{%" {
                let message = "templates have no statements".to_owned();
                errors.push(TemplateError { message, hint: NAMES_ONLY.to_owned(), span: start..at });
            } else if open == "{{" {
                let name = text[inside..end].trim_ascii_start();
                let (start, name) = (end - name.len(), name.trim_ascii_end());
                match known.iter().find(|(known, _)| *known == name) {
                    Some((_, Some(value))) => rendered.push_str(value),
                    None if name == "'{'" => rendered.push('{'),
                    _ => errors.push(self.unknown(name, start..start + name.len())),
                }
            }
            if errors.len() >= ERROR_LIMIT {
                break;
            }
        }
        rendered.push_str(&text[at..]);
        if errors.is_empty() { Ok(rendered) } else { Err(errors) }
    }

    fn unknown(&self, name: &str, span: Range<usize>) -> TemplateError {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            let message = "expected a name between `{{` and `}}`".to_owned();
            return TemplateError { message, hint: NAMES_ONLY.to_owned(), span };
        }
        let shared = match name {
            "region" => Some(&self.region.0),
            "cluster" => Some(&self.cluster.0),
            _ => None,
        };
        let (message, hint) = match shared {
            None => {
                let hint = suggestion(name, &self.known().map(|(name, _)| name), "known names are");
                (format!("unknown name `{name}` in a template"), hint)
            }
            Some(values) if values.is_empty() => (
                format!("`{name}` has no value here: nothing that uses the document has one"),
                "bind the role in a cluster that has one, or write the value".to_owned(),
            ),
            Some(values) => (
                format!("`{name}` has no single value here: the users of the document have {}", several(values)),
                "write the value, or give each user a document of its own".to_owned(),
            ),
        };
        TemplateError { message, hint, span }
    }
}

fn several(values: &BTreeSet<String>) -> String {
    let shown = quoted(values.iter().take(3));
    let more = values.len().saturating_sub(3);
    if more == 0 { shown.join(" and ") } else { format!("{} and {more} more", shown.join(", ")) }
}

const NAMES_ONLY: &str =
    "a template only fills in names, as in `{{ account_id }}`; it has no filters, conditions or loops";

/// Around names, statements (which are refused) and comments.
const DELIMITERS: [[&str; 2]; 3] = [["{{", "}}"], ["{%", "%}"], ["{#", "#}"]];

/// The first opening delimiter from this byte on, with the closing one.
fn next_delimiter(text: &str, from: usize) -> Option<(usize, [&'static str; 2])> {
    text[from..].match_indices('{').find_map(|(place, _)| {
        let start = from + place;
        Some((start, DELIMITERS.into_iter().find(|[open, _]| text[start..].starts_with(open))?))
    })
}

#[cfg(test)]
mod tests;
