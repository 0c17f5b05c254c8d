//! A policy document and its statements. Two documents are equal when they mean the same.

use super::canonical::{self, CanonicalDocument, CanonicalStatement};
use super::json::{self, Data, Node};
use super::parse::{self, ParseError};
use serde_json::Value;
use std::collections::BTreeSet;

/// A policy document. `==` is equality by meaning; the text is kept for display and for sending.
#[derive(Debug, Clone)]
pub struct PolicyDocument {
    text: String,
    value: Value,
    statements: Vec<Statement>,
    body: Body,
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
    value: Value,
    canonical: CanonicalStatement,
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
    /// errors with a position.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, ParseError> {
        let node = json::read(text).map_err(|fault| fault.locate(text))?;
        Self::read(&node, text, Some(kind)).map_err(|fault| fault.locate(text))
    }

    fn read(node: &Node, text: &str, kind: Option<Kind>) -> Result<Self, json::Fault> {
        let canonical = CanonicalDocument::read(node, kind)?;
        let list = match &node.data {
            Data::Object(members) => members.iter().find(|member| member.key == "Statement"),
            _ => None,
        };
        let statements = list.map(|member| canonical::statements(&member.value)).unwrap_or_default();
        let statements = statements
            .into_iter()
            .map(|item| Ok(Statement { value: item.value(), canonical: CanonicalStatement::read(item, None)? }))
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), value: node.value(), statements, body: Body::Parsed(canonical) })
    }

    /// Reads a live document, percent-encoded as IAM sends it (`+` is no space) or already decoded. Never fails: what
    /// cannot be read is kept as it is, and equals nothing else.
    pub fn live(text: &str) -> Self {
        let decoded = parse::percent_decode(text);
        let read = json::read(&decoded).and_then(|node| Self::read(&node, &decoded, None));
        read.unwrap_or_else(|_| Self {
            value: Value::String(decoded.clone()),
            statements: Vec::new(),
            body: Body::Opaque(decoded.clone()),
            text: decoded,
        })
    }

    /// Puts a document (Version 2012-10-17) together from statements, in the order given.
    pub fn from_statements(statements: &[Statement]) -> Self {
        let list: Vec<Value> = statements.iter().map(|statement| statement.value.clone()).collect();
        let value = serde_json::json!({ "Version": "2012-10-17", "Statement": list });
        let canonical = CanonicalDocument::from_parts(
            "2012-10-17",
            statements.iter().map(|statement| statement.canonical.clone()).collect(),
        );
        Self { text: value.to_string(), value, statements: statements.to_vec(), body: Body::Parsed(canonical) }
    }

    /// The statements in the order of the text; none if the document is opaque.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
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

    /// The size that AWS counts: characters that are no white space
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
    pub fn size(&self) -> usize {
        self.minified().chars().filter(|c| !c.is_whitespace()).count()
    }

    /// The statements that both have, by meaning; nothing in common or an opaque side gives a document of no
    /// statements (`statements()` is empty), which must not be sent.
    pub fn common(&self, other: &Self) -> Self {
        let theirs = other.statements();
        let both: Vec<Statement> =
            self.statements().iter().filter(|statement| theirs.contains(statement)).cloned().collect();
        Self::from_statements(&both)
    }

    /// Host and path of every issuer that a `Federated` principal of this (trust) policy names.
    pub fn federated_issuers(&self) -> BTreeSet<String> {
        self.federated_providers()
            .into_iter()
            .filter_map(|arn| arn.split_once(":oidc-provider/").map(|(_, issuer)| issuer.to_owned()))
            .collect()
    }

    /// Every `Federated` principal of this (trust) policy, as it stands there.
    pub fn federated_providers(&self) -> BTreeSet<String> {
        self.statements().iter().flat_map(Statement::federated_providers).collect()
    }
}

impl Statement {
    /// Reads one statement; `None` for `kind` takes either.
    pub fn parse(value: Value, kind: Option<Kind>) -> Result<Self, ParseError> {
        let canonical = CanonicalStatement::read(&Node::of(&value), kind).map_err(|fault| fault.locate(""))?;
        Ok(Self { value, canonical })
    }

    /// The statement as JSON, as it was written.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Every `Federated` principal, as it stands there.
    pub fn federated_providers(&self) -> Vec<String> {
        parse::strings(self.value.get("Principal").and_then(|principal| principal.get("Federated")))
    }
}
