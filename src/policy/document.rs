//! A policy document and its statements. Two documents are equal if they mean the same.

use super::canonical::{self, CanonicalDocument, CanonicalStatement, Effect, Principal, Version};
use super::parse::{self, JsonNode, OffsetError, ParseError, Shape};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// The most errors reported for one document: locating each one scans the text from its start.
const MAX_ERRORS: usize = 100;

/// A policy document. `==` compares the meaning; the text is kept for display and for sending. Clones share one
/// document.
#[derive(Debug, Clone)]
pub struct PolicyDocument(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// As written. Built when it is first read if it equals `minified`, as for most documents.
    text: OnceLock<String>,
    id: Option<Box<str>>,
    version: Option<Box<str>>,
    /// Whether the only statement was written without a list.
    single: bool,
    /// In the order of the text. Empty if the document is opaque.
    statements: Vec<Statement>,
    body: Body,
    size: OnceLock<usize>,
}

#[derive(Debug)]
enum Body {
    Parsed(CanonicalDocument),
    /// A live document that the strict parser refuses. It equals only a document of the same text.
    Opaque(String, ParseError),
}

/// What a document is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// Attached or inline: `Resource` is required, `Principal` refused.
    Permissions,
    /// A role's trust: `Principal` is required, `Resource` refused.
    Trust,
}

/// One statement. `==` compares the meaning and ignores the `Sid`. Clones share one statement.
#[derive(Debug, Clone)]
pub struct Statement {
    written: Arc<Written>,
    canonical: Arc<CanonicalStatement>,
}

#[derive(Debug)]
struct Written {
    /// Minified, elements sorted by name. A tree of JSON would take ten times as much memory.
    text: Box<str>,
    sid: Option<Box<str>>,
}

impl PartialEq for PolicyDocument {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || match (&self.0.body, &other.0.body) {
                (Body::Parsed(one), Body::Parsed(other)) => one == other,
                (Body::Opaque(one, _), Body::Opaque(other, _)) => one == other,
                (Body::Parsed(_), Body::Opaque(..)) | (Body::Opaque(..), Body::Parsed(_)) => false,
            }
    }
}

impl Eq for PolicyDocument {}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Statement {}

impl PolicyDocument {
    /// Parses a declared document strictly: duplicate keys, unknown elements and elements that do not fit `kind` are
    /// errors. Returns the first error in the text; `problems` returns all.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, ParseError> {
        Self::read(text, Some(kind)).map_err(|mut errors| errors.swap_remove(0))
    }

    /// All errors of `parse`, in the order of the text.
    pub fn problems(text: &str, kind: PolicyKind) -> Vec<ParseError> {
        Self::read(text, Some(kind)).err().unwrap_or_default()
    }

    /// Reads a live document, either percent-encoded as IAM sends it or already decoded. A document that cannot be
    /// parsed is kept as opaque text.
    pub fn live(text: &str) -> Self {
        let decoded = parse::percent_decode(text);
        Self::read(&decoded, None).unwrap_or_else(|mut errors| {
            let body = Body::Opaque(decoded.clone(), errors.swap_remove(0));
            Self(Arc::new(Inner { text: decoded.into(), ..Inner::new(Vec::new(), body) }))
        })
    }

    /// Reads a live document and returns `self` if the text is the same, so that both share memory.
    #[must_use]
    pub fn live_again(&self, text: &str) -> Self {
        let decoded = parse::percent_decode(text);
        let same = match self.0.text.get() {
            Some(own) => *own == decoded,
            None => self.0.minified() == decoded,
        };
        if same { self.clone() } else { Self::live(text) }
    }

    /// An error list is never empty.
    fn read(text: &str, kind: Option<PolicyKind>) -> Result<Self, Vec<ParseError>> {
        let node = parse::strict_json(text).map_err(|error| vec![error])?;
        let (document, canonical) = canonical::document(&node, kind).map_err(|errors| {
            errors.into_iter().take(MAX_ERRORS).map(|error| error.locate(text)).collect::<Vec<_>>()
        })?;
        let (nodes, single) = match element(&node, STATEMENT) {
            Some(JsonNode { shape: Shape::List(list), .. }) => (list.as_slice(), false),
            only => (only.map(std::slice::from_ref).unwrap_or_default(), true),
        };
        let statements = nodes.iter().zip(canonical).map(|(node, canonical)| Statement::of(node, canonical)).collect();
        let mut inner = Inner {
            id: text_element(&node, "Id"),
            version: text_element(&node, "Version"),
            single,
            ..Inner::new(statements, Body::Parsed(document))
        };
        if inner.minified() != text {
            inner.text = text.to_owned().into();
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Builds a document of version 2012-10-17 from statements, in the given order.
    pub fn from_statements(statements: &[Statement]) -> Self {
        let body = Body::Parsed(CanonicalDocument {
            version: Version::Current,
            statements: canonical::set(statements.iter().map(|statement| Arc::clone(&statement.canonical))),
        });
        let version = Some("2012-10-17".into());
        Self(Arc::new(Inner { version, ..Inner::new(statements.to_vec(), body) }))
    }

    /// The statements in the order of the text. Empty if the document cannot be parsed.
    pub fn statements(&self) -> &[Statement] {
        &self.0.statements
    }

    /// Why a live document cannot be parsed.
    pub fn problem(&self) -> Option<&ParseError> {
        match &self.0.body {
            Body::Parsed(_) => None,
            Body::Opaque(_, problem) => Some(problem),
        }
    }

    /// Whether its version is 2012-10-17.
    pub(crate) fn is_current(&self) -> bool {
        matches!(&self.0.body, Body::Parsed(CanonicalDocument { version: Version::Current, .. }))
    }

    /// Whether its statements mean the same in a document of version 2012-10-17. In the old version `${…}` is plain
    /// text (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
    pub(crate) fn carries_over(&self) -> bool {
        self.is_parsed() && (self.is_current() || !self.minified().contains("${"))
    }

    /// Whether the strict parser understands it.
    pub fn is_parsed(&self) -> bool {
        matches!(self.0.body, Body::Parsed(_))
    }

    /// The document as JSON. A string if it cannot be parsed.
    pub fn to_value(&self) -> Value {
        match &self.0.body {
            Body::Parsed(_) => from_own_text(&self.0.minified()),
            Body::Opaque(text, _) => Value::String(text.clone()),
        }
    }

    /// The text as written.
    pub fn text(&self) -> &str {
        self.0.text.get_or_init(|| self.0.minified())
    }

    /// The text to send: without white space outside strings.
    pub fn minified(&self) -> String {
        if self.is_parsed() { self.0.minified() } else { self.text().to_owned() }
    }

    /// The size that AWS counts: all characters except white space
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>). Only the white space of JSON is
    /// left out. IAM accepts two other blanks, U+0085 and U+00A0; they are counted, to be safe.
    pub fn size(&self) -> usize {
        // of a character of several bytes only the first byte counts
        let is_counted = |byte: &u8| !matches!(*byte, b' ' | b'\t' | b'\n' | b'\r' | 0x80..=0xbf);
        *self.0.size.get_or_init(|| self.minified().bytes().filter(is_counted).count())
    }

    /// Host and path of every issuer that a `Federated` principal of this trust policy names.
    pub fn federated_issuers(&self) -> BTreeSet<String> {
        self.federated_providers()
            .into_iter()
            .filter_map(|arn| arn.split_once(":oidc-provider/").map(|(_, issuer)| issuer.to_owned()))
            .collect()
    }

    /// Every `Federated` principal of this trust policy, as written. If the policy cannot be parsed: every word in it
    /// that may be the ARN of an OIDC provider, so that a provider in use never counts as unused.
    pub fn federated_providers(&self) -> BTreeSet<String> {
        match &self.0.body {
            Body::Parsed(_) => {
                let all = self.0.statements.iter().flat_map(|statement| statement.canonical.federated());
                all.map(str::to_owned).collect()
            }
            Body::Opaque(text, _) => {
                let plain = text.replace("\\/", "/");
                let words = plain.split(|c: char| c == '"' || c == '\'' || c.is_whitespace());
                words.filter(|word| word.contains(":oidc-provider/")).map(str::to_owned).collect()
            }
        }
    }
}

const STATEMENT: &str = "Statement";

impl Inner {
    fn new(statements: Vec<Statement>, body: Body) -> Self {
        Self { text: OnceLock::new(), id: None, version: None, single: false, statements, body, size: OnceLock::new() }
    }

    /// The document without white space, its elements sorted by name.
    fn minified(&self) -> String {
        let texts: Vec<&str> = self.statements.iter().map(Statement::text).collect();
        let statements = if self.single { texts.concat() } else { format!("[{}]", texts.join(",")) };
        let id = self.id.as_ref().map(|id| format!("\"Id\":{},", json(id))).unwrap_or_default();
        let version =
            self.version.as_ref().map(|version| format!(",\"Version\":{}", json(version))).unwrap_or_default();
        format!("{{{id}\"{STATEMENT}\":{statements}{version}}}")
    }
}

fn element<'n, 'a>(node: &'n JsonNode<'a>, name: &str) -> Option<&'n JsonNode<'a>> {
    parse::find(node.object()?, name).map(|entry| &entry.value)
}

fn text_element(node: &JsonNode<'_>, name: &str) -> Option<Box<str>> {
    match &element(node, name)?.shape {
        Shape::Text(text) => Some(Box::from(&**text)),
        Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::List(_) | Shape::Object(_) => None,
    }
}

/// Parses text that this module has written.
fn from_own_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| unreachable!("{error}"))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("{error}"))
}

impl Statement {
    /// Parses one statement. `None` for `kind` accepts both kinds.
    pub fn parse(value: &Value, kind: Option<PolicyKind>) -> Result<Self, ParseError> {
        Self::read(&JsonNode::of(value), kind)
    }

    pub(crate) fn read(node: &JsonNode<'_>, kind: Option<PolicyKind>) -> Result<Self, ParseError> {
        let refused = |mut errors: Vec<OffsetError>| errors.swap_remove(0).locate("");
        Ok(Self::of(node, canonical::statement(node, kind).map_err(refused)?))
    }

    fn of(node: &JsonNode<'_>, canonical: Arc<CanonicalStatement>) -> Self {
        let written = Written { text: json(node).into(), sid: text_element(node, "Sid") };
        Self { written: Arc::new(written), canonical }
    }

    /// The statement as JSON.
    pub fn to_value(&self) -> Value {
        from_own_text(&self.written.text)
    }

    /// The statement without white space, its elements sorted by name.
    pub fn text(&self) -> &str {
        &self.written.text
    }

    pub(crate) fn sid(&self) -> Option<&str> {
        self.written.sid.as_deref()
    }

    pub(crate) fn without_sid(&self) -> Self {
        if self.sid().is_none() {
            return self.clone();
        }
        let text = json(&JsonNode::of(&self.value_without_sid())).into();
        Self { written: Arc::new(Written { text, sid: None }), canonical: Arc::clone(&self.canonical) }
    }

    /// The statement as JSON, without its `Sid`.
    pub(crate) fn value_without_sid(&self) -> Value {
        let mut value = self.to_value();
        value.as_object_mut().and_then(|object| object.remove("Sid"));
        value
    }

    pub(crate) fn canonical(&self) -> &CanonicalStatement {
        &self.canonical
    }

    pub(crate) fn denies(&self) -> bool {
        self.canonical.effect == Effect::Deny
    }

    /// The principals that it names under `Principal`.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.canonical.principals()
    }
}
