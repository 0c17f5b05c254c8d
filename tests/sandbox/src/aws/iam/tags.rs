//! Tags: at most fifty for each object, case-insensitive keys, and no keys that begin with `aws:`
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>).

use super::page::Page;
use crate::aws::query::{AwsError, Params, Xml};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The maximum number of tags of an object and of a request.
pub(crate) const MOST: usize = 50;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Tag {
    pub(crate) fn new(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned() }
    }

    fn write(&self, xml: &mut Xml) {
        xml.element("Key", &self.key).element("Value", &self.value);
    }
}

/// Whether tag keys and values may contain this character.
pub(crate) fn letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter.is_whitespace() || "_.:/=+-@".contains(letter)
}

/// Whether AWS reserves the key.
pub(crate) fn reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// The error for setting or removing a reserved tag.
pub(crate) fn system_tag() -> AwsError {
    AwsError::new(400, "InvalidInput", "Caller is an end user and not allowed to mutate system tags instance")
}

/// Checks the tags of one request.
pub(crate) fn acceptable(tags: &[Tag]) -> Result<(), AwsError> {
    if tags.iter().any(|tag| reserved(&tag.key)) {
        return Err(system_tag());
    }
    let keys: BTreeSet<String> = tags.iter().map(|tag| tag.key.to_lowercase()).collect();
    if keys.len() < tags.len() {
        let text = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
        return Err(AwsError::new(400, "InvalidInput", text));
    }
    Ok(())
}

/// The tags of one object, by case-folded key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tags(BTreeMap<String, Tag>);

impl Tags {
    pub(crate) fn of(tags: Vec<Tag>) -> Self {
        Self(tags.into_iter().map(|tag| (tag.key.to_lowercase(), tag)).collect())
    }

    /// Sets tags. A tag whose key differs only in case is replaced, including the key.
    pub(crate) fn set(&mut self, tags: Vec<Tag>) -> Result<(), AwsError> {
        let new = tags.iter().filter(|tag| !self.0.contains_key(&tag.key.to_lowercase())).count();
        if self.0.len() + new > MOST {
            let text = format!("The number of tags has reached the maximum limit of {MOST}.");
            return Err(AwsError::new(409, "LimitExceeded", text));
        }
        self.0.extend(tags.into_iter().map(|tag| (tag.key.to_lowercase(), tag)));
        Ok(())
    }

    /// Removes tags. Missing tags are not an error.
    pub(crate) fn unset(&mut self, keys: &[&str]) {
        for key in keys {
            self.0.remove(&key.to_lowercase());
        }
    }

    /// Finds a tag by its key, ignoring case.
    pub(crate) fn get(&self, key: &str) -> Option<&Tag> {
        self.0.get(&key.to_lowercase())
    }

    /// Writes `<Tags>…</Tags>`, or nothing without tags.
    pub(crate) fn write(&self, xml: &mut Xml) {
        if !self.0.is_empty() {
            xml.members("Tags", self.0.values(), |xml, tag| tag.write(xml));
        }
    }

    /// The response of the operations that list tags.
    pub(crate) fn list(&self, params: &Params, action: &'static str) -> Result<Option<Xml>, AwsError> {
        let window = Page::read(params, action)?.of(&self.0, |_| true);
        let mut xml = Xml::new();
        xml.members("Tags", window.items(), |xml, (_, tag)| tag.write(xml));
        window.write_end(&mut xml);
        Ok(Some(xml))
    }

    pub(crate) fn snapshot(&self) -> Value {
        self.0.values().map(|tag| (tag.key.clone(), json!(tag.value))).collect::<serde_json::Map<_, _>>().into()
    }
}
