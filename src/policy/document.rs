//! A policy document and its statements. Two documents are equal when they mean the same.

use super::canonical::{self, CanonicalDocument, CanonicalStatement, Version};
use super::parse::{self, Fault, Node, ParseError};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A policy document. `==` is equality by meaning; the text is kept for display and for sending.
#[derive(Debug, Clone)]
pub struct PolicyDocument {
    text: String,
    value: Value,
    /// In the order of the text; none if it is opaque.
    statements: Vec<Statement>,
    body: Body,
    /// Why it is opaque.
    problem: Option<ParseError>,
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
        self.body == other.body
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
        Self::read(&decoded, None).unwrap_or_else(|mut errors| Self {
            value: Value::String(decoded.clone()),
            statements: Vec::new(),
            body: Body::Opaque(decoded.clone()),
            problem: Some(errors.swap_remove(0)),
            text: decoded,
        })
    }

    /// Never an empty list of errors.
    fn read(text: &str, kind: Option<Kind>) -> Result<Self, Vec<ParseError>> {
        let node = parse::strict_json(text).map_err(|error| vec![error])?;
        let (document, canonical) = canonical::document(&node, kind)
            .map_err(|faults| faults.into_iter().map(|fault| fault.locate(text)).collect::<Vec<_>>())?;
        let value = node.into_value();
        let statements = parse::statement_values(&value)
            .into_iter()
            .zip(canonical)
            .map(|(value, canonical)| Statement { value: Arc::new(value.clone()), canonical })
            .collect();
        Ok(Self { text: text.to_owned(), value, statements, body: Body::Parsed(document), problem: None })
    }

    /// Puts a document (Version 2012-10-17) together from statements, in the order given.
    pub fn from_statements(statements: &[Statement]) -> Self {
        let list: Vec<&Value> = statements.iter().map(Statement::value).collect();
        let value = serde_json::json!({ "Version": "2012-10-17", "Statement": list });
        let body = Body::Parsed(CanonicalDocument {
            version: Version::Current,
            statements: statements.iter().map(|statement| Arc::clone(&statement.canonical)).collect(),
        });
        Self { text: value.to_string(), value, statements: statements.to_vec(), body, problem: None }
    }

    /// The statements in the order of the text; none if the document is opaque.
    pub fn statements(&self) -> Vec<Statement> {
        self.statements.clone()
    }

    /// Why the strict reader refused it, if it did.
    pub fn problem(&self) -> Option<&ParseError> {
        self.problem.as_ref()
    }

    /// Whether it says the version of the policy language that this program writes.
    pub(crate) fn is_current(&self) -> bool {
        matches!(&self.body, Body::Parsed(CanonicalDocument { version: Version::Current, .. }))
    }

    /// Whether its statements mean the same in a document of the current version: in one of the old version `${…}` is
    /// a text (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
    pub(crate) fn carries_over(&self) -> bool {
        self.is_parsed() && (self.is_current() || !self.value.to_string().contains("${"))
    }

    /// Whether the strict reader understood it.
    pub fn is_parsed(&self) -> bool {
        matches!(self.body, Body::Parsed(_))
    }

    /// The document as JSON, as it was written; a string if it is opaque.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text to send: without white space outside strings.
    pub fn minified(&self) -> String {
        if self.is_parsed() { self.value.to_string() } else { self.text.clone() }
    }

    /// The size that AWS counts: all characters but white space, wherever that stands
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>). White space is what JSON calls
    /// so; of any other blank IAM takes only U+0085 and U+00A0, which are counted, to be safe.
    pub fn size(&self) -> usize {
        self.minified().chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')).count()
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
        match &self.body {
            Body::Parsed(_) => self.statements.iter().flat_map(Statement::federated_providers).collect(),
            Body::Opaque(text) => {
                let plain = text.replace("\\/", "/");
                let words = plain.split(|c: char| c == '"' || c == '\'' || c.is_whitespace());
                words.filter(|word| word.contains(":oidc-provider/")).map(str::to_owned).collect()
            }
        }
    }
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
