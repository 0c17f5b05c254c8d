//! Strict JSON for policies: duplicate keys refused, positions kept.

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

/// Reads JSON, refusing duplicate keys, depth beyond 32 and trailing text.
pub(crate) fn strict_json(text: &str) -> Result<Value, ParseError> {
    // to be made strict
    serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| ParseError { message: error.to_string(), position: Some((error.line(), error.column())) })
}

/// Percent-decodes once; `+` is no space.
pub(crate) fn percent_decode(text: &str) -> String {
    if text.trim_start().starts_with('{') {
        return text.to_owned();
    }
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The statements of a document: a list, or a single one.
pub(crate) fn statement_values(document: &Value) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(single) => vec![single],
        None => Vec::new(),
    }
}

/// A string or a list of strings as a list.
pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}
