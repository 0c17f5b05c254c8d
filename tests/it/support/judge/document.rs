//! Parses an IAM policy as far as the judge must know what it allows. Panics at anything that it does not support.

use super::pattern::fits;
use irsa_sandbox::aws::Facts;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The prefix of condition keys that name a role's own tags.
const TAG: &str = "aws:principaltag/";

/// The tags of a role, by lower-case key.
pub(super) type Tags = BTreeMap<String, String>;

/// Actions or resources: these, or all except these.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    negated: bool,
    pub(super) list: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Statement {
    allows: bool,
    pub(super) actions: Patterns,
    pub(super) resources: Patterns,
    condition: Value,
}

/// A policy as it applies to a role: policy variables are replaced with the role's tags.
#[derive(Debug, Clone)]
pub(super) struct Document(pub(super) Vec<Statement>);

/// A request that a policy allows or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// In lower case.
    pub(super) action: &'a str,
    pub(super) resource: &'a str,
    pub(super) facts: &'a Facts,
}

/// The elements of a list, or a single value as a list of one.
pub(super) fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

/// The texts of a list. The boolean `true` becomes `"true"`.
pub(super) fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
}

impl Patterns {
    fn read(statement: &Value, name: &str) -> Self {
        let negated = statement.get(format!("Not{name}")).is_some();
        let value = &statement[if negated { format!("Not{name}") } else { name.to_owned() }];
        let list = texts(value);
        assert!(!list.is_empty(), "neither {name} nor Not{name}: {statement}");
        Self { negated, list }
    }

    fn fit(&self, text: &str) -> bool {
        self.list.iter().any(|pattern| fits(pattern, text)) != self.negated
    }
}

/// Replaces `${aws:PrincipalTag/key}` with the role's tags. Returns None if the role has no such tag: then nothing
/// matches (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
fn fill(text: &str, tags: &Tags) -> Option<String> {
    let Some((head, rest)) = text.split_once("${") else { return Some(text.to_owned()) };
    let (name, rest) = rest.split_once('}').unwrap_or_else(|| panic!("a variable does not end: {text}"));
    let name = name.to_ascii_lowercase();
    let key = name.strip_prefix(TAG).unwrap_or_else(|| panic!("a variable is not understood: {text}"));
    Some(format!("{head}{}{}", tags.get(key)?, fill(rest, tags)?))
}

impl Statement {
    fn read(value: &Value, variables: bool, tags: &Tags) -> Self {
        for key in value.as_object().expect("a statement").keys() {
            let known = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];
            assert!(known.contains(&key.as_str()), "`{key}` is not understood: {value}");
        }
        let mut actions = Patterns::read(value, "Action");
        actions.list.iter_mut().for_each(|action| action.make_ascii_lowercase());
        let mut resources = Patterns::read(value, "Resource");
        let mut condition = value["Condition"].clone();
        if variables {
            let filled: Vec<_> = resources.list.iter().filter_map(|text| fill(text, tags)).collect();
            assert!(!resources.negated || filled.len() == resources.list.len(), "NotResource of no tag: {value}");
            resources.list = filled;
            for values in condition.as_object_mut().into_iter().flat_map(Map::values_mut) {
                for wanted in values.as_object_mut().into_iter().flat_map(Map::values_mut) {
                    *wanted = texts(wanted).iter().filter_map(|text| fill(text, tags)).collect();
                }
            }
        }
        Self { allows: value["Effect"] == "Allow", actions, resources, condition }
    }

    fn is_about(&self, request: Request<'_>) -> bool {
        self.actions.fit(request.action) && self.resources.fit(request.resource) && {
            let met = request.facts.meets(&self.condition);
            met.unwrap_or_else(|| panic!("a condition is not understood: {}", self.condition))
        }
    }

    /// The condition keys, each with the values that it is compared with.
    pub(super) fn keys(&self) -> Vec<(String, Vec<String>)> {
        let operators = self.condition.as_object().into_iter().flatten();
        let keys = operators.flat_map(|(_, keys)| keys.as_object().into_iter().flatten());
        keys.map(|(key, wanted)| (key.clone(), texts(wanted))).collect()
    }
}

impl Document {
    pub(super) fn read(text: &str, tags: &Tags) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        // a policy without a version has the older one, which has no variables
        let variables = value["Version"] == "2012-10-17";
        Self(list(&value["Statement"]).iter().map(|item| Statement::read(item, variables, tags)).collect())
    }

    pub(super) fn allows(&self, request: Request<'_>) -> bool {
        self.0.iter().any(|statement| statement.allows && statement.is_about(request))
    }

    pub(super) fn denies(&self, request: Request<'_>) -> bool {
        self.0.iter().any(|statement| !statement.allows && statement.is_about(request))
    }
}

/// The lower-case tag key, if a condition key names a tag of the role itself.
pub(super) fn own_tag(key: &str) -> Option<String> {
    key.to_ascii_lowercase().strip_prefix(TAG).map(str::to_owned)
}
