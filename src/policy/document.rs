//! A policy document and its statements. Two documents are equal when they mean the same.

use super::canonical::{self, CanonicalDocument, CanonicalStatement, Choice, Effect, Principal, Version};
use super::parse::{self, Fault, Node, ParseError, Shape};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// A policy document. `==` is equality by meaning; the text is kept for display and for sending. A clone shares all of
/// it: one document is held by what is declared, what is live and every call between them.
#[derive(Debug, Clone)]
pub struct PolicyDocument(Arc<Inner>);

/// What most documents are never asked for is made when they are.
#[derive(Debug)]
struct Inner {
    /// As it was written; made when it is asked for, if that is without white space and in the order of names.
    text: OnceLock<String>,
    /// As it was written.
    id: Option<Box<str>>,
    /// As it was written.
    version: Option<Box<str>>,
    /// Whether the only statement was written without a list.
    single: bool,
    /// In the order of the text; none if it is opaque.
    statements: Vec<Statement>,
    body: Body,
    /// Why it is opaque.
    problem: Option<ParseError>,
    value: OnceLock<Value>,
    size: OnceLock<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    Parsed(CanonicalDocument),
    /// A live document that the strict reader refuses: equal to nothing but the very same text.
    Opaque(String),
}

/// What a document is for: a trust policy needs principals, a permission policy must have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Attached or inline: `Resource` needed, `Principal` refused.
    Permissions,
    /// A role's trust: `Principal` needed, `Resource` refused.
    Trust,
}

/// One statement. `==` is equality by meaning (the `Sid` is cosmetic).
#[derive(Debug, Clone)]
pub struct Statement {
    written: Arc<Written>,
    canonical: Arc<CanonicalStatement>,
}

/// A statement as it was written. Few are ever looked at as a tree, which takes ten times as much room as the text.
#[derive(Debug)]
struct Written {
    /// Without white space, its elements in the order of their names.
    text: Box<str>,
    sid: Option<Box<str>>,
    value: OnceLock<Value>,
}

impl PartialEq for PolicyDocument {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.body == other.0.body
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
    /// Reads a declared document strictly: duplicate keys, unknown elements and elements that do not fit `kind` are
    /// errors with a position. The error is the first in the text; `problems` has them all.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, ParseError> {
        Self::read(text, Some(kind)).map_err(|mut errors| errors.swap_remove(0))
    }

    /// Everything for which `parse` refuses the text, in its order; nothing if it does not.
    pub fn problems(text: &str, kind: Kind) -> Vec<ParseError> {
        Self::read(text, Some(kind)).err().unwrap_or_default()
    }

    /// Reads a live document, percent-encoded as IAM sends it (`+` is no space) or already decoded. Never fails: what
    /// cannot be read is kept as it is, and equals nothing else.
    pub fn live(text: &str) -> Self {
        let decoded = parse::percent_decode(text);
        Self::read(&decoded, None).unwrap_or_else(|mut errors| {
            let body = Body::Opaque(decoded.clone());
            Self::new(Inner { problem: Some(errors.swap_remove(0)), ..Inner::of(Vec::new(), body) }, Some(decoded))
        })
    }

    /// Reads a live document that was probably read before: one of the same text is the same document.
    #[must_use]
    pub fn live_again(&self, text: &str) -> Self {
        let decoded = parse::percent_decode(text);
        let same = match self.0.text.get() {
            Some(own) => *own == decoded,
            None => self.0.minified() == decoded,
        };
        if same { self.clone() } else { Self::live(text) }
    }

    /// Never an empty list of errors.
    fn read(text: &str, kind: Option<Kind>) -> Result<Self, Vec<ParseError>> {
        let node = parse::strict_json(text).map_err(|error| vec![error])?;
        let (document, canonical) = canonical::document(&node, kind)
            .map_err(|faults| faults.into_iter().map(|fault| fault.locate(text)).collect::<Vec<_>>())?;
        let element = |name: &str| element(&node, name);
        let word = |name: &str| element(name).and_then(as_text).map(Box::from);
        let (nodes, single) = match element(STATEMENT) {
            Some(Node { shape: Shape::List(list), .. }) => (list.as_slice(), false),
            only => (only.map(std::slice::from_ref).unwrap_or_default(), true),
        };
        let statements = nodes.iter().zip(canonical).map(|(node, canonical)| Statement::of(node, canonical)).collect();
        let inner = Inner::of(statements, Body::Parsed(document));
        let inner = Inner { id: word("Id"), version: word("Version"), single, ..inner };
        // most are as they are sent, and need no text beside that of their statements
        let text = (inner.minified() != text).then(|| text.to_owned());
        Ok(Self::new(inner, text))
    }

    /// Puts a document (Version 2012-10-17) together from statements, in the order given.
    pub fn from_statements(statements: &[Statement]) -> Self {
        let body = Body::Parsed(CanonicalDocument {
            version: Version::Current,
            statements: canonical::set(statements.iter().map(|statement| Arc::clone(&statement.canonical))),
        });
        Self::new(Inner { version: Some("2012-10-17".into()), ..Inner::of(statements.to_vec(), body) }, None)
    }

    fn new(inner: Inner, text: Option<String>) -> Self {
        Self(Arc::new(Inner { text: text.map_or_else(OnceLock::new, OnceLock::from), ..inner }))
    }

    /// The statements in the order of the text; none if the document is opaque.
    pub fn statements(&self) -> &[Statement] {
        &self.0.statements
    }

    /// Why the strict reader refused it, if it did.
    pub fn problem(&self) -> Option<&ParseError> {
        self.0.problem.as_ref()
    }

    /// Whether it says the version of the policy language that this program writes.
    pub(crate) fn is_current(&self) -> bool {
        matches!(&self.0.body, Body::Parsed(CanonicalDocument { version: Version::Current, .. }))
    }

    /// Whether its statements mean the same in a document of the current version: in one of the old version `${…}` is
    /// a text (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
    pub(crate) fn carries_over(&self) -> bool {
        self.is_parsed() && (self.is_current() || !self.minified().contains("${"))
    }

    /// Whether the strict reader understood it.
    pub fn is_parsed(&self) -> bool {
        matches!(self.0.body, Body::Parsed(_))
    }

    /// The document as JSON, as it was written; a string if it is opaque.
    pub fn value(&self) -> &Value {
        self.0.value.get_or_init(|| self.to_value())
    }

    /// The same for one who keeps it: the document does not.
    pub(crate) fn to_value(&self) -> Value {
        match &self.0.body {
            Body::Parsed(_) => tree(&self.0.minified()),
            Body::Opaque(text) => Value::String(text.clone()),
        }
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        self.0.text.get_or_init(|| self.0.minified())
    }

    /// The text to send: without white space outside strings.
    pub fn minified(&self) -> String {
        if self.is_parsed() { self.0.minified() } else { self.text().to_owned() }
    }

    /// The size that AWS counts: all characters but white space, wherever that stands
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>). White space is what JSON calls
    /// so; of any other blank IAM takes only U+0085 and U+00A0, which are counted, to be safe.
    pub fn size(&self) -> usize {
        // of a character of several bytes the first alone counts
        let counted = |byte: &u8| !matches!(*byte, b' ' | b'\t' | b'\n' | b'\r' | 0x80..=0xbf);
        *self.0.size.get_or_init(|| self.minified().bytes().filter(counted).count())
    }

    /// Host and path of every issuer that a `Federated` principal of this (trust) policy names.
    pub fn federated_issuers(&self) -> BTreeSet<String> {
        self.federated_providers()
            .into_iter()
            .filter_map(|arn| arn.split_once(":oidc-provider/").map(|(_, issuer)| issuer.to_owned()))
            .collect()
    }

    /// Every `Federated` principal of this (trust) policy, as it stands there. Of an opaque document, every text in it
    /// that may be one: a provider must not be taken for unused because of a policy that cannot be read.
    pub fn federated_providers(&self) -> BTreeSet<String> {
        match &self.0.body {
            Body::Parsed(_) => {
                let all = self.0.statements.iter().flat_map(Statement::federated_providers);
                all.map(str::to_owned).collect()
            }
            Body::Opaque(text) => {
                let plain = text.replace("\\/", "/");
                let words = plain.split(|c: char| c == '"' || c == '\'' || c.is_whitespace());
                words.filter(|word| word.contains(":oidc-provider/")).map(str::to_owned).collect()
            }
        }
    }
}

const STATEMENT: &str = "Statement";

impl Inner {
    fn of(statements: Vec<Statement>, body: Body) -> Self {
        Self {
            text: OnceLock::new(),
            id: None,
            version: None,
            single: false,
            statements,
            body,
            problem: None,
            value: OnceLock::new(),
            size: OnceLock::new(),
        }
    }

    /// The document without white space, its elements in the order of their names.
    fn minified(&self) -> String {
        let texts: Vec<&str> = self.statements.iter().map(Statement::text).collect();
        let statements = if self.single { texts.concat() } else { format!("[{}]", texts.join(",")) };
        let id = self.id.as_ref().map(|id| format!("\"Id\":{},", json(id))).unwrap_or_default();
        let version =
            self.version.as_ref().map(|version| format!(",\"Version\":{}", json(version))).unwrap_or_default();
        format!("{{{id}\"{STATEMENT}\":{statements}{version}}}")
    }
}

/// What stands there under a name.
fn element<'n, 'a>(node: &'n Node<'a>, name: &str) -> Option<&'n Node<'a>> {
    parse::find(node.object()?, name).map(|entry| &entry.value)
}

fn as_text<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.shape {
        Shape::Text(text) => Some(text),
        _ => None,
    }
}

/// What is read anew was written here.
fn tree(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| unreachable!("{error}"))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("{error}"))
}

impl Statement {
    /// Reads one statement; `None` for `kind` takes either.
    pub fn parse(value: &Value, kind: Option<Kind>) -> Result<Self, ParseError> {
        Self::read(&Node::of(value), kind)
    }

    pub(crate) fn read(node: &Node<'_>, kind: Option<Kind>) -> Result<Self, ParseError> {
        let refused = |mut faults: Vec<Fault>| faults.swap_remove(0).locate("");
        Ok(Self::of(node, canonical::statement(node, kind).map_err(refused)?))
    }

    fn of(node: &Node<'_>, canonical: Arc<CanonicalStatement>) -> Self {
        let sid = element(node, "Sid").and_then(as_text).map(Box::from);
        let written = Written { text: json(node).into(), sid, value: OnceLock::new() };
        Self { written: Arc::new(written), canonical }
    }

    /// The statement as JSON, as it was written.
    pub fn value(&self) -> &Value {
        self.written.value.get_or_init(|| tree(&self.written.text))
    }

    /// The same without white space, its elements in the order of their names.
    pub fn text(&self) -> &str {
        &self.written.text
    }

    /// Its name, which means nothing.
    pub(crate) fn sid(&self) -> Option<&str> {
        self.written.sid.as_deref()
    }

    /// The same without its name.
    pub(crate) fn unnamed(&self) -> Self {
        let mut value = self.value().clone();
        value.as_object_mut().and_then(|object| object.remove("Sid"));
        Self::parse(&value, None).unwrap_or_else(|_| self.clone())
    }

    /// Its canonical form.
    pub(crate) fn canonical(&self) -> &CanonicalStatement {
        &self.canonical
    }

    /// Whether it denies.
    pub(crate) fn denies(&self) -> bool {
        self.canonical.effect == Effect::Deny
    }

    /// Every `Federated` principal, as it stands there.
    pub fn federated_providers(&self) -> impl Iterator<Item = &str> {
        self.principals().filter_map(|principal| match principal {
            Principal::Federated(text) => Some(text.as_str()),
            Principal::Aws(_) | Principal::CanonicalUser(_) | Principal::Service(_) => None,
        })
    }

    /// Whom it names as `Principal`.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &Principal> {
        let named = match &self.canonical.principals {
            Some(Choice::Only(named)) => &named[..],
            Some(Choice::AllBut(_)) | None => &[],
        };
        named.iter()
    }
}
