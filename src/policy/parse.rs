//! Reading policies: strict JSON with places, and the encoding in which IAM sends documents.

use serde_json::Value;

/// Why a policy was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// A lower-case fragment.
    pub message: String,
    /// Line and column in the text, both from 1, where they are known.
    pub position: Option<(usize, usize)>,
}

/// Percent-decodes once; `+` is no space (RFC 3986, as IAM encodes documents:
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html>).
pub(crate) fn percent_decode(text: &str) -> String {
    if text.trim_start().starts_with('{') {
        return text.to_owned();
    }
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A string or a list of strings as a list.
pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}
