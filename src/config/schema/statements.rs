//! Reads policy statements written in TOML as the JSON that IAM takes.

use crate::config::reader::{FileReader, FromToml, Located};
use crate::config::suggest::{did_you_mean, suggestion};
use crate::policy::parse::{JsonMember, JsonNode, Shape};
use toml::Spanned;
use toml::de::DeValue;

/// The keys of a statement in TOML, and their names in IAM. `import` writes them in this order.
pub(crate) const STATEMENT_KEYS: [(&str, &str); 9] = [
    ("sid", "Sid"),
    ("effect", "Effect"),
    ("principals", "Principal"),
    ("not-principals", "NotPrincipal"),
    ("actions", "Action"),
    ("not-actions", "NotAction"),
    ("resources", "Resource"),
    ("not-resources", "NotResource"),
    ("conditions", "Condition"),
];

/// The kinds of principal in TOML, and their names in IAM.
pub(crate) const PRINCIPAL_KEYS: [(&str, &str); 4] =
    [("aws", "AWS"), ("federated", "Federated"), ("service", "Service"), ("canonical-user", "CanonicalUser")];

/// JSON that has no positions in a text.
pub(crate) type Json = JsonNode<'static>;

/// A list of statements.
impl FromToml for Vec<Located<Json>> {
    fn from_toml(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Self> {
        let DeValue::Array(list) = value.get_ref() else {
            file.wrong_type(value, Json::LIST);
            return None;
        };
        Some(list.iter().filter_map(|item| file.read(item)).collect())
    }
}

/// A statement; `Effect` defaults to `Allow`.
impl FromToml for Json {
    const LIST: &'static str = "a list of statements";

    fn from_toml(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            file.wrong_type(value, "a statement: a table");
            return None;
        };
        let mut entries = Vec::with_capacity(table.len() + 1);
        let mut flawed = false;
        for (name, value) in table {
            let key = name.get_ref().as_ref();
            let Some((_, element)) = STATEMENT_KEYS.iter().find(|(known, _)| *known == key) else {
                let hint = suggestion(key, &STATEMENT_KEYS.map(|(known, _)| known), "known keys are");
                file.refuse(name.span(), format!("unknown key `{key}` in a statement")).hint = Some(hint);
                flawed = true;
                continue;
            };
            let value = match *element {
                "Principal" | "NotPrincipal" => principals(file, value),
                "Effect" => effect(file, value),
                "Sid" => text(file, value),
                "Condition" => Some(condition(value)),
                _ => one_or_more(file, value),
            };
            flawed |= value.is_none();
            entries.extend(value.map(|value| JsonMember::new(*element, value)));
        }
        if !entries.iter().any(|entry| entry.key == "Effect") {
            entries.push(JsonMember::new("Effect", Json::text("Allow")));
        }
        (!flawed).then(|| Shape::Object(entries).into())
    }
}

fn text(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Json> {
    String::from_toml(file, value).map(Json::text)
}

fn effect(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Json> {
    let text = String::from_toml(file, value)?;
    if ["Allow", "Deny"].contains(&text.as_str()) {
        return Some(Json::text(text));
    }
    let meant = if text.to_ascii_lowercase().starts_with('d') { "Deny" } else { "Allow" };
    file.refuse(value.span(), "`effect` must be `Allow` or `Deny`").hint = Some(did_you_mean(meant));
    None
}

fn principals(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Json> {
    let DeValue::Table(table) = value.get_ref() else { return text(file, value) };
    let mut entries = Vec::with_capacity(table.len());
    let mut flawed = false;
    for (name, value) in table {
        let key = name.get_ref().as_ref();
        if let Some((_, element)) = PRINCIPAL_KEYS.iter().find(|(known, _)| *known == key) {
            let value = one_or_more(file, value);
            flawed |= value.is_none();
            entries.extend(value.map(|value| JsonMember::new(*element, value)));
        } else {
            let hint = suggestion(key, &PRINCIPAL_KEYS.map(|(known, _)| known), "the kinds are");
            file.refuse(name.span(), format!("unknown kind of principal `{key}`")).hint = Some(hint);
            flawed = true;
        }
    }
    (!flawed).then(|| Shape::Object(entries).into())
}

/// A string, or a list of strings; a list of one becomes that string.
fn one_or_more(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Json> {
    match value.get_ref() {
        DeValue::Array(list) => Some(Json::one_or_all(list.iter().filter_map(|item| text(file, item)).collect())),
        _ => text(file, value),
    }
}

/// The value of a condition. IAM takes numbers and booleans as strings.
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
