//! Policy statements written in TOML, as the JSON that IAM knows.

use crate::config::diagnostics::Diagnostic;
use crate::config::reader::{Gather, Spot, TableReader, nearest, text, wrong};
use crate::policy::parse::{JsonMember, JsonNode, Shape};
use toml::Spanned;
use toml::de::DeValue;

/// The keys of a statement in TOML, and what IAM calls them.
pub(crate) const STATEMENT_KEYS: [(&str, &str); 9] = [
    ("sid", "Sid"),
    ("effect", "Effect"),
    ("actions", "Action"),
    ("not-actions", "NotAction"),
    ("resources", "Resource"),
    ("not-resources", "NotResource"),
    ("principals", "Principal"),
    ("not-principals", "NotPrincipal"),
    ("conditions", "Condition"),
];

/// The kinds of principal in TOML, and what IAM calls them.
const PRINCIPAL_KEYS: [(&str, &str); 4] =
    [("aws", "AWS"), ("federated", "Federated"), ("service", "Service"), ("canonical-user", "CanonicalUser")];

/// JSON with no places of its own.
pub(crate) type Json = JsonNode<'static>;

/// A list of statements as IAM JSON, `Effect` defaulting to `Allow`.
pub(super) fn statements(table: &mut TableReader<'_, '_>, key: &'static str) -> Option<Spot<Vec<Spot<Json>>>> {
    let spot = table.any(key)?;
    let DeValue::Array(list) = spot.value else {
        table.gather.list.push(Diagnostic::at(&spot.origin, format!("`{key}` must be a list of statements")));
        return None;
    };
    let value = list.iter().filter_map(|item| statement(table.gather, item)).collect();
    Some(Spot { value, origin: spot.origin })
}

fn statement(gather: &mut Gather, item: &Spanned<DeValue<'_>>) -> Option<Spot<Json>> {
    let origin = gather.origin(item.span());
    let DeValue::Table(table) = item.get_ref() else {
        wrong(gather, item, "a statement: a table");
        return None;
    };
    let mut entries = Vec::with_capacity(table.len() + 1);
    // what is missing from a statement with a mistake in it is not worth saying
    let mut wrong = false;
    for (name, value) in table {
        let key = name.get_ref().as_ref();
        let Some((_, element)) = STATEMENT_KEYS.iter().find(|(known, _)| *known == key) else {
            let place = gather.origin(name.span());
            let known = STATEMENT_KEYS.iter().map(|(known, _)| *known);
            let hint = nearest(key, known).map_or_else(
                || {
                    "a statement has `actions`, `resources`, `principals`, `conditions`, `effect`, `sid` and `not-…`"
                        .to_owned()
                },
                |near| format!("did you mean `{near}`?"),
            );
            gather.list.push(Diagnostic::at(&place, format!("unknown key `{key}` in a statement")).hint(hint));
            wrong = true;
            continue;
        };
        let value = match *element {
            "Principal" | "NotPrincipal" => principals(gather, value),
            "Effect" => effect(gather, value),
            "Sid" => text(gather, value).map(|spot| Json::text(spot.value)),
            "Condition" => Some(condition(value)),
            _ => one_or_more(gather, value),
        };
        wrong |= value.is_none();
        entries.extend(value.map(|value| JsonMember::new(*element, value)));
    }
    if !entries.iter().any(|entry| entry.key == "Effect") {
        entries.push(JsonMember::new("Effect", Json::text("Allow")));
    }
    (!wrong).then_some(Spot { value: Shape::Object(entries).into(), origin })
}

fn effect(gather: &mut Gather, value: &Spanned<DeValue<'_>>) -> Option<Json> {
    let spot = text(gather, value)?;
    if ["Allow", "Deny"].contains(&spot.value.as_str()) {
        return Some(Json::text(spot.value));
    }
    let hint =
        if spot.value.to_ascii_lowercase().starts_with('d') { "did you mean `Deny`?" } else { "did you mean `Allow`?" };
    gather.list.push(Diagnostic::at(&spot.origin, "`effect` must be `Allow` or `Deny`").hint(hint));
    None
}

fn principals(gather: &mut Gather, value: &Spanned<DeValue<'_>>) -> Option<Json> {
    let DeValue::Table(table) = value.get_ref() else {
        return text(gather, value).map(|spot| Json::text(spot.value));
    };
    let mut entries = Vec::with_capacity(table.len());
    let mut wrong = false;
    for (name, value) in table {
        let key = name.get_ref().as_ref();
        if let Some((_, element)) = PRINCIPAL_KEYS.iter().find(|(known, _)| *known == key) {
            let value = one_or_more(gather, value);
            wrong |= value.is_none();
            entries.extend(value.map(|value| JsonMember::new(*element, value)));
        } else {
            let hint = nearest(key, PRINCIPAL_KEYS.iter().map(|(known, _)| *known)).map_or_else(
                || "a principal is `aws`, `federated`, `service` or `canonical-user`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            gather.refuse(name.span(), format!("unknown kind of principal `{key}`"), Some(hint));
            wrong = true;
        }
    }
    (!wrong).then_some(Shape::Object(entries).into())
}

/// A text as it is, a list of one as its only text, a longer list as a list.
fn one_or_more(gather: &mut Gather, value: &Spanned<DeValue<'_>>) -> Option<Json> {
    match value.get_ref() {
        DeValue::Array(list) => {
            let texts = list.iter().filter_map(|item| text(gather, item)).map(|spot| Json::text(spot.value));
            Some(Json::one_or_all(texts.collect()))
        }
        _ => text(gather, value).map(|spot| Json::text(spot.value)),
    }
}

/// A condition's value; IAM wants numbers and booleans as text.
fn condition(value: &Spanned<DeValue<'_>>) -> Json {
    match value.get_ref() {
        DeValue::String(text) => Json::text(text.to_string()),
        DeValue::Boolean(flag) => Json::text(flag.to_string()),
        DeValue::Integer(number) => Json::text(number.to_string()),
        DeValue::Float(number) => Json::text(number.to_string()),
        DeValue::Datetime(time) => Json::text(time.to_string()),
        DeValue::Array(list) => Shape::List(list.iter().map(condition).collect()).into(),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| JsonMember::new(key.get_ref().to_string(), condition(value)));
            Shape::Object(entries.collect()).into()
        }
    }
}
