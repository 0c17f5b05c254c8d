//! Validates the fields of a request: presence, length, characters and range.
//!
//! IAM reports all failed constraints of a request in one ValidationError. It checks the characters of names and paths
//! after that and reports them with other messages. Nothing here checks what exists.

use super::tags::{self, Tag};
use crate::aws::query::{AwsError, Params, member, missing};

/// Collects the failed constraints of one request. `finish` reports them.
pub(crate) struct Checks<'a> {
    params: &'a Params,
    faults: Vec<String>,
    refusal: Option<AwsError>,
}

impl<'a> Checks<'a> {
    pub(crate) fn on(params: &'a Params) -> Self {
        Self { params, faults: Vec::new(), refusal: None }
    }

    /// Ok if every check passed, otherwise the error.
    pub(crate) fn finish(self) -> Result<(), AwsError> {
        if !self.faults.is_empty() {
            return Err(AwsError::validation(&self.faults));
        }
        self.refusal.map_or(Ok(()), Err)
    }

    /// Adds a failed constraint in IAM's wording.
    pub(crate) fn fault(&mut self, name: &str, value: &str, constraint: &str) {
        let member = member(name);
        self.faults
            .push(format!("Value '{value}' at '{member}' failed to satisfy constraint: Member must {constraint}"));
    }

    /// Adds an error with its own message. Only the first one is reported.
    pub(crate) fn refuse(&mut self, error: AwsError) {
        self.refusal.get_or_insert(error);
    }

    fn check_length(&mut self, name: &str, value: &str, least: usize, most: usize) {
        let length = value.chars().count();
        if length < least {
            self.fault(name, value, &format!("have length greater than or equal to {least}"));
        }
        if length > most {
            self.fault(name, value, &format!("have length less than or equal to {most}"));
        }
    }

    /// A required text. Returns an empty text if it is missing, which `finish` reports.
    pub(crate) fn required(&mut self, name: &str, least: usize, most: usize) -> &'a str {
        let Some(value) = self.params.text(name) else {
            self.faults.push(missing(name));
            return "";
        };
        self.check_length(name, value, least, most);
        value
    }

    /// An optional text.
    pub(crate) fn optional(&mut self, name: &str, least: usize, most: usize) -> Option<&'a str> {
        let value = self.params.text(name)?;
        self.check_length(name, value, least, most);
        Some(value)
    }

    /// An optional whole number.
    pub(crate) fn integer(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let value = match self.params.integer(name) {
            Ok(value) => value?,
            Err(error) => {
                self.refuse(error);
                return None;
            }
        };
        if value < least {
            self.fault(name, &value.to_string(), &format!("have value greater than or equal to {least}"));
        }
        if value > most {
            self.fault(name, &value.to_string(), &format!("have value less than or equal to {most}"));
        }
        Some(value)
    }

    /// An optional text that must be one of the allowed values.
    pub(crate) fn one_of(&mut self, name: &str, allowed: &[&str]) -> Option<&'a str> {
        let value = self.params.text(name)?;
        if !allowed.contains(&value) {
            self.fault(name, value, &format!("satisfy enum value set: [{}]", allowed.join(", ")));
        }
        Some(value)
    }

    /// The name of a role, policy, user or instance profile.
    pub(crate) fn name(&mut self, name: &str, most: usize) -> &'a str {
        let value = self.required(name, 1, most);
        if !value.chars().all(|letter| letter.is_ascii_alphanumeric() || "+=,.@_-".contains(letter)) {
            let text = format!(
                "The specified value for {} is invalid. It must contain only alphanumeric characters and/or the \
                 following: +=,.@_-",
                member(name)
            );
            self.refuse(AwsError::new(400, "ValidationError", text));
        }
        value
    }

    /// The path of a new object, `/` by default.
    pub(crate) fn path(&mut self) -> &'a str {
        let Some(value) = self.optional("Path", 1, 512) else { return "/" };
        let framed = value == "/" || (value.len() > 2 && value.starts_with('/') && value.ends_with('/'));
        if !framed || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text = "The specified value for path is invalid. It must begin and end with / and contain only \
                        alphanumeric characters and/or / characters.";
            self.refuse(AwsError::new(400, "ValidationError", text));
        }
        value
    }

    /// The path prefix of a list request, `/` by default.
    pub(crate) fn path_prefix(&mut self) -> &'a str {
        let Some(value) = self.optional("PathPrefix", 1, 512) else { return "/" };
        if !value.starts_with('/') || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text = "The specified value for pathPrefix is invalid. It must begin with / and contain only \
                        alphanumeric characters and/or / characters.";
            self.refuse(AwsError::new(400, "ValidationError", text));
        }
        value
    }

    /// An ARN. Checks only its length; the lookup checks its form.
    pub(crate) fn arn(&mut self, name: &str) -> &'a str {
        self.required(name, 20, 2048)
    }

    /// A policy document. Checks its length and characters.
    pub(crate) fn document(&mut self, name: &str) -> &'a str {
        let value = self.required(name, 1, 131_072);
        if !value.chars().all(|letter| matches!(letter, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}')) {
            let text = "The specified value for policyDocument is invalid. It must contain only printable ASCII \
                        characters.";
            self.refuse(AwsError::new(400, "MalformedPolicyDocument", text));
        }
        value
    }

    /// A description.
    pub(crate) fn description(&mut self) -> Option<&'a str> {
        let value = self.optional("Description", 0, 1000)?;
        let plain = |letter| matches!(letter, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{a1}'..='\u{ff}');
        if !value.chars().all(plain) {
            let constraint = r"satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*";
            self.fault("Description", value, constraint);
        }
        Some(value)
    }

    /// Checks how many items a list has.
    pub(crate) fn counted(&mut self, name: &str, count: usize, most: usize) {
        if count > most {
            self.fault(name, &format!("{count} members"), &format!("have length less than or equal to {most}"));
        }
    }

    /// The tags to set, in request order.
    pub(crate) fn tags(&mut self) -> Vec<Tag> {
        let pairs = self.params.pairs("Tags", "Key", "Value");
        self.counted("Tags", pairs.len(), tags::MOST);
        for (index, (key, value)) in (1..).zip(&pairs) {
            for (part, value, least, most) in [("key", *key, 1, 128), ("value", *value, 0, 256)] {
                let name = format!("tags.{index}.member.{part}");
                match value {
                    None => self.faults.push(missing(&name)),
                    Some(value) => {
                        self.check_length(&name, value, least, most);
                        if !value.chars().all(tags::letter) {
                            let pattern = r"satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+";
                            self.fault(&name, value, pattern);
                        }
                    }
                }
            }
        }
        let tags: Vec<Tag> = pairs
            .into_iter()
            .map(|(key, value)| Tag::new(key.unwrap_or_default(), value.unwrap_or_default()))
            .collect();
        if let Err(error) = tags::acceptable(&tags) {
            self.refuse(error);
        }
        tags
    }

    /// The tag keys to remove.
    pub(crate) fn tag_keys(&mut self) -> Vec<&'a str> {
        let keys = self.params.list("TagKeys");
        self.counted("TagKeys", keys.len(), tags::MOST);
        for (index, key) in (1..).zip(&keys) {
            self.check_length(&format!("tagKeys.{index}.member"), key, 1, 128);
        }
        if keys.iter().any(|key| tags::reserved(key)) {
            self.refuse(tags::system_tag());
        }
        keys
    }
}
