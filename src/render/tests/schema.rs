//! Plans and reports match their schemas, with no key more or less.

use super::*;
use crate::render::schema::{plan_schema, report_schema};
use serde_json::{Map, Value, json};

/// Everything in `value` that `schema` does not allow. Knows only the keywords that irsa's schemas use.
fn faults(schema: &Value, value: &Value, at: &str, list: &mut Vec<String>) {
    let schema = schema.as_object().unwrap();
    for (keyword, rule) in schema {
        let good = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => types(rule).iter().any(|name| is(name, value)),
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "pattern" => {
                assert_eq!(rule, "^sha256:[0-9a-f]{64}$");
                value.as_str().and_then(|text| text.strip_prefix("sha256:")).is_some_and(|digits| {
                    digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                })
            }
            "minimum" => value.as_i64() >= rule.as_i64(),
            "required" => value
                .as_object()
                .is_none_or(|map| rule.as_array().unwrap().iter().all(|key| map.contains_key(key.as_str().unwrap()))),
            "additionalProperties" => {
                assert_eq!(rule, false);
                let known = schema["properties"].as_object().unwrap();
                value.as_object().is_none_or(|map| map.keys().all(|key| known.contains_key(key)))
            }
            "properties" => {
                let empty = Map::new();
                for (key, item) in value.as_object().unwrap_or(&empty) {
                    if let Some(rule) = rule.get(key) {
                        faults(rule, item, &format!("{at}.{key}"), list);
                    }
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().unwrap().iter().enumerate() {
                    faults(rule, item, &format!("{at}[{index}]"), list);
                }
                true
            }
            other => panic!("keyword `{other}` is not known here"),
        };
        if !good {
            list.push(format!("{at}: `{keyword}`"));
        }
    }
}

fn types(rule: &Value) -> Vec<&str> {
    match rule {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        single => single.as_str().into_iter().collect(),
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("type `{other}` is not known here"),
    }
}

fn check(schema: &Value, value: &Value) -> Vec<String> {
    let mut list = Vec::new();
    faults(schema, value, "", &mut list);
    list
}

#[test]
fn plans_match_their_schema() {
    for file in [examples::plan(Vec::new()), examples::everything()] {
        let value = serde_json::to_value(&file).unwrap();
        assert_eq!(check(&plan_schema(), &value), Vec::<String>::new());
    }
}

#[test]
fn reports_match_their_schema() {
    for report in [Report::default(), examples::report()] {
        let value: Value = serde_json::from_str(&told(Format::Json, &Style::plain(), &report)).unwrap();
        assert_eq!(check(&report_schema(), &value), Vec::<String>::new());
        let read: json::ReportV1 = serde_json::from_value(value).unwrap();
        assert_eq!(read, json::ReportV1::of(&report));
    }
}

#[test]
fn additional_and_missing_keys_are_faults() {
    let mut value = serde_json::to_value(examples::everything()).unwrap();
    value["changes"][0]["extra"] = json!(1);
    value["summary"].as_object_mut().unwrap().remove("adopt");
    value["complete"] = json!("no");
    value["changes"][1]["action"] = json!("replace");
    value["digest"] = json!("sha256:x");
    assert_eq!(
        check(&plan_schema(), &value),
        [
            ".changes[0]: `additionalProperties`",
            ".changes[1].action: `enum`",
            ".complete: `type`",
            ".digest: `pattern`",
            ".summary: `required`",
        ]
    );
}
