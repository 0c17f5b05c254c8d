//! TOML and JSON of values and policy documents, such that irsa reads exactly the same back.

use crate::config::schema::{PRINCIPAL_KEYS, STATEMENT_KEYS};
use crate::config::templates::{BRACE, escape};
use crate::model::sanitize::scrub;
use crate::policy::document::PolicyKind;
use crate::policy::{PolicyDocument, Statement};
use serde_json::Value as Json;
use std::fmt::Write;
use toml_edit::{Array, InlineTable, Value};

/// The longest list on one line, in characters.
const LINE: usize = 100;

/// Lines of comments, one for each text.
pub(super) fn comments<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    texts.into_iter().fold(String::new(), |mut lines, text| {
        let _ = writeln!(lines, "# {}", scrub(text.as_ref()));
        lines
    })
}

/// A list, on several lines if it is long.
pub(super) fn list(items: impl IntoIterator<Item = Value>) -> Value {
    let mut list: Array = items.into_iter().collect();
    list.fmt();
    if list.to_string().len() > LINE {
        for item in list.iter_mut() {
            item.decor_mut().set_prefix("\n  ");
        }
        list.set_trailing("\n");
        list.set_trailing_comma(true);
    }
    list.into()
}

/// A string for one item, and a list for several.
pub(super) fn one_or_list<T: ToString>(items: impl IntoIterator<Item = T>) -> Value {
    let mut items: Vec<Value> = items.into_iter().map(|item| item.to_string().into()).collect();
    if items.len() == 1 { items.remove(0) } else { list(items) }
}

/// A table on one line.
pub(super) fn table<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    let mut table: InlineTable = pairs.into_iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    table.fmt();
    table.into()
}

/// A statement in TOML. None if it cannot be written so that irsa reads the same.
pub(super) fn statement(statement: &Statement, kind: PolicyKind) -> Option<InlineTable> {
    let plain = strings(&statement.to_value())?;
    if Statement::parse(&plain, Some(kind)).ok()? != *statement {
        return None;
    }
    let elements = plain.as_object()?;
    let mut table = InlineTable::new();
    for (key, element) in STATEMENT_KEYS {
        let Some(value) = elements.get(element) else { continue };
        if (element, value.as_str()) != ("Effect", Some("Allow")) {
            let is_principal = matches!(element, "Principal" | "NotPrincipal");
            table.insert(key, if is_principal { principals(value)? } else { listed(element, value) });
        }
    }
    let known = elements.keys().all(|element| STATEMENT_KEYS.iter().any(|(_, known)| known == element));
    table.fmt();
    known.then_some(table)
}

/// Actions and resources are lists, also one alone.
fn listed(element: &str, value: &Json) -> Value {
    match value {
        Json::String(_) if element.ends_with("Action") || element.ends_with("Resource") => list([toml(value)]),
        _ => toml(value),
    }
}

fn principals(value: &Json) -> Option<Value> {
    let Some(kinds) = value.as_object() else { return Some(toml(value)) };
    let mut table = InlineTable::new();
    for (kind, value) in kinds {
        let (key, _) = PRINCIPAL_KEYS.iter().find(|(_, known)| known == kind)?;
        table.insert(*key, toml(value));
    }
    table.fmt();
    Some(table.into())
}

/// The value in TOML, with its texts as templates.
fn toml(value: &Json) -> Value {
    match value {
        Json::Array(items) => items.iter().map(toml).collect::<Array>().into(),
        Json::Object(entries) => {
            entries.iter().map(|(key, value)| (escape(key, BRACE), toml(value))).collect::<InlineTable>().into()
        }
        Json::String(text) => escape(text, BRACE).into(),
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string().into(),
    }
}

/// The value with booleans and numbers as strings, as IAM takes them in conditions.
fn strings(value: &Json) -> Option<Json> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(flag) => Json::String(flag.to_string()),
        Json::Number(number) => Json::String(number.to_string()),
        Json::String(text) => Json::String(text.clone()),
        Json::Array(items) => Json::Array(items.iter().map(strings).collect::<Option<_>>()?),
        Json::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| Some((key.clone(), strings(value)?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
    })
}

/// The statements of a short permissions policy. None if it is long, or TOML cannot express it.
pub(super) fn statements(document: &PolicyDocument, limit: usize) -> Option<Value> {
    if document.size() > limit || PolicyDocument::from_statements(document.statements()) != *document {
        return None;
    }
    let tables = document.statements().iter().map(|item| statement(item, PolicyKind::Permissions));
    let tables: Vec<InlineTable> = tables.collect::<Option<_>>()?;
    (!tables.is_empty()).then(|| list(tables.into_iter().map(Value::from)))
}

/// A permissions policy as a JSON file. None if irsa would not read the same back.
pub(super) fn json(document: &PolicyDocument) -> Option<String> {
    let mut pretty = String::new();
    ordered(&document.to_value(), 0, &mut pretty);
    pretty.push('\n');
    // braces in this text outside of strings never stand side by side, so these are in strings
    let text = escape(&pretty, "\\u007b");
    PolicyDocument::parse(&text, PolicyKind::Permissions).is_ok_and(|read| read == *document).then_some(text)
}

/// Writes JSON with the elements of a policy in the order in which people write them.
fn ordered(value: &Json, depth: usize, out: &mut String) {
    let rank = |key: &String| match key.as_str() {
        "Version" => 0,
        "Id" => 1,
        _ => 2 + STATEMENT_KEYS.iter().take_while(|(_, element)| element != key).count(),
    };
    let line =
        |out: &mut String, depth: usize| out.extend(std::iter::once("\n").chain(std::iter::repeat_n("  ", depth)));
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| rank(key));
            for (at, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if at == 0 { "{" } else { "," });
                line(out, depth + 1);
                let _ = write!(out, "{}: ", Json::from(key.as_str()));
                ordered(value, depth + 1, out);
            }
            line(out, depth);
            out.push('}');
        }
        Json::Array(items) if items.len() > 1 || items.first().is_some_and(Json::is_object) => {
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "[" } else { "," });
                line(out, depth + 1);
                ordered(item, depth + 1, out);
            }
            line(out, depth);
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}
