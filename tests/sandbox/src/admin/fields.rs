//! Strict parsing of admin requests: an unknown field or value is an error.

use http::StatusCode;
use serde_json::{Map, Value, json};
use std::fmt::Display;

/// An error response of the admin API.
#[derive(Debug)]
pub(super) struct AdminError {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl AdminError {
    pub(super) fn new(status: StatusCode, text: &str) -> Self {
        Self { status, text: text.to_owned() }
    }

    pub(super) fn bad(text: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::bad(&format!("the body is no JSON: {error}"))
    }
}

/// A list of words in backticks, with `and` before the last one.
pub(super) fn list(words: &[impl Display]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Converts a query string to a JSON object.
pub(super) fn query(text: &str) -> Value {
    let pairs = form_urlencoded::parse(text.as_bytes()).into_owned();
    Value::Object(pairs.map(|(name, value)| (name, json!(value))).collect())
}

/// Checks that a text is one of the known words.
pub(super) fn one_of<'a>(name: &str, text: &'a str, known: &[&str]) -> Result<&'a str, AdminError> {
    if known.contains(&text) {
        return Ok(text);
    }
    Err(AdminError::bad(&format!("`{name}` is `{text}`; it can be {}", list(known))))
}

/// The fields of a JSON object.
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// Checks that the object has only these fields.
    pub(super) fn read(value: &'a Value, allowed: &[&str]) -> Result<Self, AdminError> {
        let Value::Object(map) = value else { return Err(AdminError::bad("it must be a JSON object")) };
        match map.keys().find(|name| !allowed.contains(&name.as_str())) {
            None => Ok(Self(map)),
            Some(unknown) => Err(AdminError::bad(&format!("`{unknown}` is not known; there are {}", list(allowed)))),
        }
    }

    fn get<T>(&self, name: &str, kind: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, AdminError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let wrong = || AdminError::bad(&format!("`{name}` is `{value}`; it must be {kind}"));
                read(value).map(Some).ok_or_else(wrong)
            }
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, AdminError> {
        self.get(name, "a text", Value::as_str)
    }

    pub(super) fn owned(&self, name: &str) -> Result<Option<String>, AdminError> {
        Ok(self.text(name)?.map(str::to_owned))
    }

    pub(super) fn word(&self, name: &str, known: &[&str]) -> Result<Option<&'a str>, AdminError> {
        self.text(name)?.map(|text| one_of(name, text, known)).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, AdminError> {
        self.get(name, "a whole number that is not negative", Value::as_u64)
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, AdminError> {
        let read = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        self.get(name, "a whole number below 2^32 that is not negative", read)
    }

    /// An HTTP status that a fault can answer with.
    pub(super) fn status(&self, name: &str) -> Result<Option<u16>, AdminError> {
        let read = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
        self.get(name, "a status from 200 to 599", |value| read(value).filter(|code| (200..600).contains(code)))
    }

    pub(super) fn amount(&self, name: &str) -> Result<Option<f64>, AdminError> {
        self.get(name, "a number that is not negative", |value| value.as_f64().filter(|number| *number >= 0.0))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, AdminError> {
        self.get(name, "true or false", Value::as_bool)
    }

    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    /// A required field.
    pub(super) fn required<T>(
        &self,
        name: &str,
        read: impl Fn(&Self, &str) -> Result<Option<T>, AdminError>,
    ) -> Result<T, AdminError> {
        read(self, name)?.ok_or_else(|| AdminError::bad(&format!("`{name}` is missing")))
    }
}
