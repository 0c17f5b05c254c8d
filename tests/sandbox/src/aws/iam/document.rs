//! The policy grammar, and what IAM rejects in a policy for an identity.
//!
//! The error messages are IAM's (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
//! The further rules for trust policies are in `trust`. This module does not evaluate what a policy allows.

use super::json::Json;
use crate::aws::query::AwsError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeSet;

/// All characters but RFC 3986's unreserved ones. IAM encodes a space in documents as `%20`, never as `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// URL-encodes a policy, as responses contain it.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The size that counts against a quota. White space does not count.
pub(crate) fn size(text: &str) -> usize {
    text.chars().filter(|letter| !letter.is_whitespace()).count()
}

/// A `MalformedPolicyDocument` error.
pub(crate) fn malformed(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "MalformedPolicyDocument", message)
}

fn syntax() -> AwsError {
    malformed("Syntax errors in policy.")
}

/// An accepted policy: the text as written, and its URL-encoded form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcceptedPolicy {
    pub(crate) text: String,
    pub(crate) encoded: String,
    pub(crate) size: usize,
}

impl AcceptedPolicy {
    /// Parses a policy for an identity.
    pub(crate) fn identity(text: &str) -> Result<Self, AwsError> {
        let document = Document::read(text)?;
        for statement in &document.statements {
            statement.check_identity()?;
        }
        Ok(Self::of(text))
    }

    pub(crate) fn of(text: &str) -> Self {
        Self { text: text.to_owned(), encoded: encode(text), size: size(text) }
    }
}

/// A policy that follows the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) version: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) statements: Vec<Statement>,
}

/// A statement that follows the grammar. Fields that allow one value or a list hold a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: String,
    pub(crate) principal: Option<Principal>,
    pub(crate) not_principal: Option<Principal>,
    pub(crate) action: Option<Vec<String>>,
    pub(crate) not_action: Option<Vec<String>>,
    pub(crate) resource: Option<Vec<String>>,
    pub(crate) not_resource: Option<Vec<String>>,
    pub(crate) condition: Vec<Condition>,
}

/// One operator of a condition, with its keys and their values.
pub(crate) type Condition = (String, Vec<(String, Vec<String>)>);

/// The principals of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// `"*"`
    Anyone,
    /// `{"AWS": …, "Service": …}`
    Some(Vec<(String, Vec<String>)>),
}

impl Document {
    /// Parses a policy and checks the rules that every kind of policy must follow.
    pub(crate) fn read(text: &str) -> Result<Self, AwsError> {
        let json = Json::parse(text).ok_or_else(|| malformed("This policy contains invalid Json"))?;
        let Json::Object(fields) = json else { return Err(syntax()) };
        let mut document = Self { version: None, id: None, statements: Vec::new() };
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("Version", Json::Text(text)) => document.version = Some(text),
                ("Id", Json::Text(text)) => document.id = Some(text),
                ("Statement", Json::List(items)) => {
                    document.statements = items.into_iter().map(Statement::read).collect::<Result<_, _>>()?;
                }
                ("Statement", item @ Json::Object(_)) => document.statements = vec![Statement::read(item)?],
                _ => return Err(syntax()),
            }
        }
        if document.version.as_deref().is_some_and(|version| !["2012-10-17", "2008-10-17"].contains(&version)) {
            return Err(malformed("The policy must contain a valid version string"));
        }
        if document.statements.is_empty() {
            return Err(syntax());
        }
        document.check_sids()?;
        Ok(document)
    }

    fn check_sids(&self) -> Result<(), AwsError> {
        let mut seen = BTreeSet::new();
        for sid in self.statements.iter().filter_map(|statement| statement.sid.as_deref()) {
            if !sid.chars().all(|letter| letter.is_ascii_alphanumeric()) {
                return Err(malformed(
                    "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression \
                     [0-9A-Za-z]*",
                ));
            }
            if !sid.is_empty() && !seen.insert(sid) {
                return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
            }
        }
        Ok(())
    }
}

impl Statement {
    fn read(json: Json) -> Result<Self, AwsError> {
        let Json::Object(fields) = json else { return Err(syntax()) };
        let mut statement = Self::default();
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("Sid", Json::Text(text)) => statement.sid = Some(text),
                ("Effect", Json::Text(text)) => statement.effect = text,
                ("Principal", value) => statement.principal = Some(Principal::read(value)?),
                ("NotPrincipal", value) => statement.not_principal = Some(Principal::read(value)?),
                ("Action", value) => statement.action = Some(texts(value)?),
                ("NotAction", value) => statement.not_action = Some(texts(value)?),
                ("Resource", value) => statement.resource = Some(texts(value)?),
                ("NotResource", value) => statement.not_resource = Some(texts(value)?),
                ("Condition", Json::Object(operators)) => statement.condition = conditions(operators)?,
                _ => return Err(syntax()),
            }
        }
        if !["Allow", "Deny"].contains(&statement.effect.as_str()) {
            return Err(syntax());
        }
        let twice = |one: bool, other: bool| one && other;
        if twice(statement.action.is_some(), statement.not_action.is_some())
            || twice(statement.resource.is_some(), statement.not_resource.is_some())
            || twice(statement.principal.is_some(), statement.not_principal.is_some())
        {
            return Err(syntax());
        }
        Ok(statement)
    }

    fn check_identity(&self) -> Result<(), AwsError> {
        if self.principal.is_some() || self.not_principal.is_some() {
            return Err(malformed("Policy document should not specify a principal."));
        }
        let actions = self.action.as_ref().or(self.not_action.as_ref()).filter(|actions| !actions.is_empty());
        for action in actions.ok_or_else(|| malformed("Policy statement must contain actions."))? {
            check_action(action)?;
        }
        let resources = self.resource.as_ref().or(self.not_resource.as_ref()).filter(|list| !list.is_empty());
        for resource in resources.ok_or_else(|| malformed("Policy statement must contain resources."))? {
            check_resource(resource)?;
        }
        Ok(())
    }
}

impl Principal {
    fn read(json: Json) -> Result<Self, AwsError> {
        match json {
            Json::Text(text) if text == "*" => Ok(Self::Anyone),
            Json::Object(kinds) if !kinds.is_empty() => kinds
                .into_iter()
                .map(|(kind, value)| match texts(value)? {
                    values if values.is_empty() => Err(syntax()),
                    values => Ok((kind, values)),
                })
                .collect::<Result<_, _>>()
                .map(Self::Some),
            Json::Text(_) => Err(malformed("Invalid principal in policy")),
            _ => Err(syntax()),
        }
    }
}

/// Parses a string or a list of strings.
fn texts(json: Json) -> Result<Vec<String>, AwsError> {
    match json {
        Json::Text(text) => Ok(vec![text]),
        Json::List(items) => items
            .into_iter()
            .map(|item| match item {
                Json::Text(text) => Ok(text),
                _ => Err(syntax()),
            })
            .collect(),
        _ => Err(syntax()),
    }
}

fn conditions(operators: Vec<(String, Json)>) -> Result<Vec<Condition>, AwsError> {
    operators
        .into_iter()
        .map(|(operator, keys)| {
            if !is_operator(&operator) {
                return Err(malformed(format!("Invalid Condition type : {operator}.")));
            }
            let Json::Object(keys) = keys else { return Err(syntax()) };
            let keys = keys.into_iter().map(condition_key).collect::<Result<_, _>>()?;
            Ok((operator, keys))
        })
        .collect()
}

fn condition_key((key, values): (String, Json)) -> Result<(String, Vec<String>), AwsError> {
    if !key.contains(':') {
        return Err(unprefixed());
    }
    let items = match values {
        Json::List(items) => items,
        one => vec![one],
    };
    let values = items.into_iter().map(|item| match item {
        Json::Text(text) | Json::Number(text) => Ok(text),
        Json::Bool(value) => Ok(value.to_string()),
        Json::Null | Json::List(_) | Json::Object(_) => Err(syntax()),
    });
    Ok((key, values.collect::<Result<_, _>>()?))
}

fn unprefixed() -> AwsError {
    malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
}

/// Whether a condition operator exists. IAM ignores its case
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).
fn is_operator(text: &str) -> bool {
    const OPERATORS: &[&str] = &[
        "stringequals",
        "stringnotequals",
        "stringequalsignorecase",
        "stringnotequalsignorecase",
        "stringlike",
        "stringnotlike",
        "numericequals",
        "numericnotequals",
        "numericlessthan",
        "numericlessthanequals",
        "numericgreaterthan",
        "numericgreaterthanequals",
        "dateequals",
        "datenotequals",
        "datelessthan",
        "datelessthanequals",
        "dategreaterthan",
        "dategreaterthanequals",
        "bool",
        "binaryequals",
        "ipaddress",
        "notipaddress",
        "arnequals",
        "arnlike",
        "arnnotequals",
        "arnnotlike",
    ];
    let folded = text.to_ascii_lowercase();
    let bare = ["forallvalues:", "foranyvalue:"].iter().find_map(|prefix| folded.strip_prefix(prefix));
    let bare = bare.unwrap_or(&folded);
    bare == "null" || OPERATORS.contains(&bare.strip_suffix("ifexists").unwrap_or(bare))
}

fn check_action(action: &str) -> Result<(), AwsError> {
    if action == "*" {
        return Ok(());
    }
    let Some((vendor, name)) = action.split_once(':') else { return Err(unprefixed()) };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if vendor.is_empty() || !vendor.chars().all(plain) {
        return Err(malformed(format!("Vendor {vendor} is not valid")));
    }
    let named = |letter: char| plain(letter) || "*?_/".contains(letter);
    if name.is_empty() || !name.chars().all(named) {
        return Err(malformed(format!("Invalid Action: {action}")));
    }
    Ok(())
}

/// All AWS partitions.
const PARTITIONS: &[&str] =
    &["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"];

fn check_resource(resource: &str) -> Result<(), AwsError> {
    if resource == "*" {
        return Ok(());
    }
    let mut parts = resource.splitn(6, ':');
    if parts.next() != Some("arn") {
        return Err(malformed(format!("Resource {resource} must be in ARN format or \"*\".")));
    }
    let partition = parts.next().unwrap_or_default();
    if !partition.contains('*') && !PARTITIONS.contains(&partition) {
        return Err(malformed(format!("Partition \"{partition}\" is not valid for resource \"{resource}\".")));
    }
    let vendor = parts.next().unwrap_or_default();
    if vendor.contains(['*', '?']) {
        return Err(malformed("Resource vendor must be fully qualified and cannot contain regexes."));
    }
    let whole = parts.count() == 3 || resource.contains('*');
    if vendor.is_empty() || !whole {
        return Err(malformed("The policy failed legacy parsing"));
    }
    Ok(())
}
