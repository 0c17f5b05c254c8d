//! Parses the fields of a JSON body, with EKS's errors for missing and malformed fields.

use super::invalid;
use crate::aws::query::AwsError;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body[name].as_str().filter(|text| !text.is_empty())
}

pub(super) fn required<'a>(body: &'a Value, name: &str) -> Result<&'a str, AwsError> {
    text(body, name).ok_or_else(|| invalid(format!("The {name} field is required.")))
}

/// A map of tags. Empty if the field is missing.
pub(super) fn tags(body: &Value) -> Result<BTreeMap<String, String>, AwsError> {
    let tags = body["tags"].as_object().into_iter().flatten();
    let tags: BTreeMap<String, String> =
        tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    if tags.keys().any(|key| key.is_empty() || key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(invalid("Tag keys must not be empty or start with aws:."));
    }
    if tags.len() > 50 {
        return Err(invalid("The number of tags exceeds the maximum of 50."));
    }
    Ok(tags)
}
