//! Parses policies as strict JSON with positions, and decodes the percent-encoding of IAM.
//!
//! A policy that two parsers read differently can pass a review unseen. So everything ambiguous is an error: duplicate
//! keys, more than 32 levels, text after the document, and numbers that serde_json would write differently.

mod tree;

pub(crate) use tree::{JsonMember, JsonNode, Shape, find, strict_json};

/// Why a policy is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// A sentence without a capital letter or full stop.
    pub message: String,
    /// Line and column in the text, both from 1. `None` for a statement that was not parsed from text.
    pub position: Option<(usize, usize)>,
}

/// An error with an offset instead of a line and a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffsetError {
    pub message: String,
    /// In bytes, not counting a byte order mark. `None` for a node that was not parsed from text.
    pub at: Option<usize>,
}

impl OffsetError {
    /// The error with its line and column in `text`.
    pub(crate) fn locate(self, text: &str) -> ParseError {
        let text = without_mark(text);
        ParseError { message: self.message, position: self.at.map(|offset| position(text, offset)) }
    }
}

/// Line and column, both from 1, columns in characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The text without a byte order mark, which some editors write and JSON does not allow.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Percent-decodes once, as in RFC 3986, where `+` is not a space
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html>). Returns text that is not encoded or
/// not UTF-8 unchanged, so that two different documents never become equal.
pub(crate) fn percent_decode(text: &str) -> String {
    if without_mark(text).trim_start().starts_with('{') {
        return text.to_owned();
    }
    match percent_encoding::percent_decode_str(text).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
