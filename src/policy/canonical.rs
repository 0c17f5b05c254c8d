//! The canonical form of documents and statements: what equality by meaning compares.

use super::document::Kind;
use super::parse::ParseError;
use serde_json::Value;
use std::collections::BTreeSet;

/// A refused element, before its place in the text is known.
#[derive(Debug, Clone)]
pub(crate) struct ElementError {
    message: String,
    /// The key or value to look for in the text.
    needle: Option<String>,
}

impl ElementError {
    pub(crate) fn locate(self, text: &str) -> ParseError {
        let position = self.needle.and_then(|needle| text.find(&format!("\"{needle}\""))).map(|offset| {
            let before = &text[..offset];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
            (line, column)
        });
        ParseError { message: self.message, position }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CanonicalDocument {
    version: String,
    statements: BTreeSet<CanonicalStatement>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CanonicalStatement(String);

impl CanonicalDocument {
    pub(crate) fn from_parts(version: &str, statements: BTreeSet<CanonicalStatement>) -> Self {
        Self { version: version.to_owned(), statements }
    }

    pub(crate) fn from_value(value: &Value, kind: Option<Kind>) -> Result<Self, ElementError> {
        let version = value.get("Version").and_then(Value::as_str).unwrap_or("2008-10-17").to_owned();
        let statements = super::parse::statement_values(value)
            .into_iter()
            .map(|statement| CanonicalStatement::from_value(statement, kind))
            .collect::<Result<_, _>>()?;
        Ok(Self { version, statements })
    }
}

impl CanonicalStatement {
    pub(crate) fn from_value(value: &Value, _kind: Option<Kind>) -> Result<Self, ElementError> {
        if !value.is_object() {
            return Err(ElementError { message: "a statement must be an object".into(), needle: None });
        }
        Ok(Self(value.to_string()))
    }
}
