//! Reads the parts of a policy statement from its JSON, and prints them as text.

use super::value_diff::display;
use crate::policy::Statement;
use serde_json::{Map, Value};

/// A statement as the plan file has it: its elements by name.
pub(crate) type RawStatement = Map<String, Value>;

/// One condition: operator, key, values.
pub(crate) type RawCondition = (String, String, Vec<String>);

/// The statements of a document. Empty for null (no document), None if irsa cannot parse the document.
pub(crate) fn statements(document: &Value) -> Option<Vec<&RawStatement>> {
    match document {
        Value::Null => Some(Vec::new()),
        Value::Object(map) => match map.get("Statement")? {
            Value::Array(list) => list.iter().map(Value::as_object).collect(),
            Value::Object(single) => Some(vec![single]),
            _ => None,
        },
        _ => None,
    }
}

/// Whether both statements mean the same to IAM.
pub(crate) fn equal(one: &RawStatement, other: &RawStatement) -> bool {
    let parse = |statement: &RawStatement| Statement::parse(&Value::Object(statement.clone()), None).ok();
    one == other || parse(one).is_some_and(|one| parse(other).is_some_and(|other| one == other))
}

pub(crate) fn is_deny(statement: &RawStatement) -> bool {
    statement.get("Effect").is_some_and(|effect| effect == "Deny")
}

/// The `Sid`, if it is not empty.
pub(crate) fn sid(statement: &RawStatement) -> Option<&str> {
    statement.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty())
}

/// A string or a list as a list of strings.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(display).collect(),
        single => vec![display(single)],
    }
}

/// All conditions. Where one has the wrong JSON type, its JSON stands in place of the key.
pub(crate) fn conditions(statement: &RawStatement) -> Vec<RawCondition> {
    let mut list = Vec::new();
    match statement.get("Condition") {
        None | Some(Value::Null) => {}
        Some(Value::Object(operators)) => {
            for (operator, keys) in operators {
                match keys {
                    Value::Object(keys) => {
                        list.extend(keys.iter().map(|(key, values)| (operator.clone(), key.clone(), texts(values))));
                    }
                    other => list.push((operator.clone(), other.to_string(), Vec::new())),
                }
            }
        }
        Some(other) => list.push(("?".to_owned(), other.to_string(), Vec::new())),
    }
    list
}

/// `OPERATOR KEY = VALUE and …`
pub(crate) fn conditions_text(conditions: &[RawCondition]) -> String {
    let texts: Vec<String> = conditions
        .iter()
        .map(|(operator, key, values)| match values.as_slice() {
            [] => format!("{operator} {key}"),
            values => format!("{operator} {key} = {}", any_of(values)),
        })
        .collect();
    texts.join(" and ")
}

/// `a or b`. Quotes a value that contains ` or `.
pub(crate) fn any_of(values: &[String]) -> String {
    let quoted = |value: &String| if value.contains(" or ") { format!("{value:?}") } else { value.clone() };
    values.iter().map(quoted).collect::<Vec<_>>().join(" or ")
}

/// `Allow ACTIONS on RESOURCES if CONDITIONS`
pub(crate) fn sentence(statement: &RawStatement) -> String {
    let list = |key: &str| Some(texts(statement.get(key)?).join(", "));
    let mut text = list("Effect").unwrap_or_else(|| "no effect".to_owned());
    for (key, words) in [
        ("Action", " "),
        ("NotAction", " everything but "),
        ("Resource", " on "),
        ("NotResource", " on everything but "),
        ("Principal", " to "),
        ("NotPrincipal", " to everyone but "),
    ] {
        if let Some(items) = list(key) {
            text.push_str(words);
            text.push_str(&items);
        }
    }
    let conditions = conditions_text(&conditions(statement));
    if !conditions.is_empty() {
        text.push_str(" if ");
        text.push_str(&conditions);
    }
    text
}
