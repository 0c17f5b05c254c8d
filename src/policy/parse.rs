//! Strict JSON for policies, with positions, and the encodings in which IAM sends documents.
//!
//! A policy that two readers understand differently is a way around review, so what JSON leaves open is refused here:
//! duplicate keys, depth beyond 32, text behind the document, numbers that would not survive being written again. The
//! meaning of the elements is `canonical`'s business.

mod tree;

pub(crate) use tree::{Entry, Node, Shape, find, strict_json};

/// Why a policy was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// A lower-case fragment.
    pub message: String,
    /// Line and column in the text, both from 1, where they are known.
    pub position: Option<(usize, usize)>,
}

/// Something that is refused, before its offset has become a line and a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub message: String,
    /// In bytes from the beginning of the text without a byte order mark; nothing for a tree that came from no text.
    pub at: Option<usize>,
}

impl Fault {
    /// The error, placed in the text that was read.
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

/// The text behind a byte order mark, which editors on Windows leave and JSON does not know.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Percent-decodes once, as RFC 3986 has it: `+` is no space
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html>). A document that is not encoded, or
/// whose bytes are no text, stays as it is: two different ones must not become the same.
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
