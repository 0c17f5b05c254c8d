//! A policy document and its statements. Two documents are equal when they mean the same.

use super::canonical::{self, CanonicalDocument, CanonicalStatement, Version};
use super::parse::{self, Fault, Node, ParseError};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// A policy document. `==` is equality by meaning; the text is kept for display and for sending. A clone shares all of
/// it: one document is held by what is declared, what is live and every call between them.
#[derive(Debug, Clone)]
pub struct PolicyDocument(Arc<Inner>);

/// What most documents are never asked for is made when they are.
#[derive(Debug)]
struct Inner {
    /// As it was written.
    text: OnceLock<String>,
    /// `Id` and `Version`, as they were written.
    head: Map<String, Value>,
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
    value: Arc<Value>,
    canonical: Arc<CanonicalStatement>,
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
            Self::of(Some(decoded), (Map::new(), false), Vec::new(), body, Some(errors.swap_remove(0)))
        })
    }

    /// Reads a live document that was probably read before: one of the same text is the same document.
    #[must_use]
    pub fn live_again(&self, text: &str) -> Self {
        let decoded = parse::percent_decode(text);
        if decoded == self.text() { self.clone() } else { Self::live(text) }
    }

    /// Never an empty list of errors.
    fn read(text: &str, kind: Option<Kind>) -> Result<Self, Vec<ParseError>> {
        let node = parse::strict_json(text).map_err(|error| vec![error])?;
        let (document, canonical) = canonical::document(&node, kind)
            .map_err(|faults| faults.into_iter().map(|fault| fault.locate(text)).collect::<Vec<_>>())?;
        let Value::Object(mut head) = node.into_value() else { unreachable!("a policy is an object") };
        let (values, single) = match head.remove(STATEMENT) {
            Some(Value::Array(list)) => (list, false),
            only => (only.into_iter().collect(), true),
        };
        let statements = values.into_iter().zip(canonical);
        let statements = statements.map(|(value, canonical)| Statement { value: Arc::new(value), canonical }).collect();
        Ok(Self::of(Some(text.to_owned()), (head, single), statements, Body::Parsed(document), None))
    }

    /// Puts a document (Version 2012-10-17) together from statements, in the order given.
    pub fn from_statements(statements: &[Statement]) -> Self {
        let body = Body::Parsed(CanonicalDocument {
            version: Version::Current,
            statements: statements.iter().map(|statement| Arc::clone(&statement.canonical)).collect(),
        });
        let head = Map::from_iter([("Version".to_owned(), Value::from("2012-10-17"))]);
        Self::of(None, (head, false), statements.to_vec(), body, None)
    }

    fn of(
        text: Option<String>,
        (head, single): (Map<String, Value>, bool),
        statements: Vec<Statement>,
        body: Body,
        problem: Option<ParseError>,
    ) -> Self {
        let text = text.map_or_else(OnceLock::new, OnceLock::from);
        let (value, size) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner { text, head, single, statements, body, problem, value, size }))
    }

    /// The statements in the order of the text; none if the document is opaque.
    pub fn statements(&self) -> Vec<Statement> {
        self.0.statements.clone()
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
            Body::Parsed(_) => {
                let mut values = self.0.statements.iter().map(|statement| statement.value().clone());
                let statements =
                    if self.0.single { values.next().unwrap_or_default() } else { Value::Array(values.collect()) };
                let mut document = self.0.head.clone();
                document.insert(STATEMENT.to_owned(), statements);
                Value::Object(document)
            }
            Body::Opaque(text) => Value::String(text.clone()),
        }
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        self.0.text.get_or_init(|| json(&*self.0))
    }

    /// The text to send: without white space outside strings.
    pub fn minified(&self) -> String {
        if self.is_parsed() { json(&*self.0) } else { self.text().to_owned() }
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
            Body::Parsed(_) => self.0.statements.iter().flat_map(Statement::federated_providers).collect(),
            Body::Opaque(text) => {
                let plain = text.replace("\\/", "/");
                let words = plain.split(|c: char| c == '"' || c == '\'' || c.is_whitespace());
                words.filter(|word| word.contains(":oidc-provider/")).map(str::to_owned).collect()
            }
        }
    }
}

const STATEMENT: &str = "Statement";

/// The document without white space, its elements in the order of their names.
impl Serialize for Inner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.head.len() + 1))?;
        let (before, after): (Vec<_>, Vec<_>) = self.head.iter().partition(|(key, _)| key.as_str() < STATEMENT);
        for (key, value) in before {
            map.serialize_entry(key, value)?;
        }
        let values = || self.statements.iter().map(Statement::value);
        match values().next().filter(|_| self.single) {
            Some(only) => map.serialize_entry(STATEMENT, only)?,
            None => map.serialize_entry(STATEMENT, &values().collect::<Vec<_>>())?,
        }
        for (key, value) in after {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("{error}"))
}

impl Statement {
    /// Reads one statement; `None` for `kind` takes either.
    pub fn parse(value: Value, kind: Option<Kind>) -> Result<Self, ParseError> {
        let refused = |mut faults: Vec<Fault>| faults.swap_remove(0).locate("");
        let canonical = canonical::statement(&Node::of(&value), kind).map_err(refused)?;
        Ok(Self { value: Arc::new(value), canonical })
    }

    /// The statement as JSON, as it was written.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Its canonical form.
    pub(crate) fn canonical(&self) -> &CanonicalStatement {
        &self.canonical
    }

    /// Every `Federated` principal, as it stands there.
    pub fn federated_providers(&self) -> Vec<String> {
        parse::strings(self.value.get("Principal").and_then(|principal| principal.get("Federated")))
    }
}
