//! Changes of a document that keep its meaning.

use super::dice::Dice;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// A text with the same meaning as the document.
pub(super) fn anew(document: &Value, dice: &mut Dice) -> String {
    written(&respelled(document, dice), dice)
}

/// Another document of the same meaning.
pub(super) fn respelled(document: &Value, dice: &mut Dice) -> Value {
    let statements = dice.set(&document["Statement"], |dice, statement| {
        let mut map = Map::new();
        for (name, value) in statement.as_object().unwrap() {
            let value = match name.as_str() {
                "Action" | "NotAction" => dice.set(value, |dice, text| json!(dice.cased(text.as_str().unwrap()))),
                "Resource" | "NotResource" => dice.set(value, |_, text| text.clone()),
                "Principal" | "NotPrincipal" => respelled_principals(value, dice),
                "Condition" => respelled_conditions(value, dice),
                _ => value.clone(),
            };
            map.insert(name.clone(), value);
        }
        if dice.coin() {
            map.insert("Sid".into(), json!(format!("S{}", dice.below(9))));
        }
        if !map.contains_key("Condition") && dice.coin() {
            map.insert("Condition".into(), json!({}));
        }
        Value::Object(map)
    });
    let mut other = json!({"Statement": statements});
    match document.get("Version") {
        // the default
        Some(version) if version == "2008-10-17" && dice.coin() => {}
        Some(version) => other["Version"] = version.clone(),
        None if dice.coin() => other["Version"] = json!("2008-10-17"),
        None => {}
    }
    if dice.coin() {
        other["Id"] = json!("anything");
    }
    other
}

fn respelled_principals(value: &Value, dice: &mut Dice) -> Value {
    let everyone = [json!("*"), json!({"AWS": "*"}), json!({"AWS": ["*"]})];
    if everyone.contains(value) {
        return dice.pick(&everyone).clone();
    }
    let entries = value.as_object().unwrap().iter().map(|(kind, value)| {
        let set = dice.set(value, |dice, text| {
            let text = text.as_str().unwrap();
            match (kind.as_str(), text.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root"))) {
                ("AWS", Some(account)) if dice.coin() => json!(account),
                ("AWS", None) if text.len() == 12 && dice.coin() => json!(format!("arn:aws:iam::{text}:root")),
                _ => json!(text),
            }
        });
        (kind.clone(), set)
    });
    Value::Object(entries.collect())
}

fn respelled_conditions(value: &Value, dice: &mut Dice) -> Value {
    let blocks = value.as_object().unwrap().iter().map(|(operator, block)| {
        let of_booleans = operator.to_ascii_lowercase().starts_with("bool");
        let keys = block.as_object().unwrap().iter().map(|(key, values)| {
            let values = dice.set(values, |dice, value| match value {
                Value::String(text) if of_booleans && text.parse::<bool>().is_ok() => json!(dice.cased(text)),
                Value::String(text) => json!(text),
                other if dice.coin() => json!(other.to_string()),
                other => other.clone(),
            });
            (recased_key(key, dice), values)
        });
        let block: Map<String, Value> = keys.collect();
        (dice.cased(operator), Value::Object(block))
    });
    Value::Object(blocks.collect())
}

/// A condition key in random case, except for a tag key or an issuer path.
fn recased_key(key: &str, dice: &mut Dice) -> String {
    let Some((head, tail)) = key.split_once('/') else { return dice.cased(key) };
    match tail.rsplit_once(':') {
        Some((path, claim)) if !head.contains(':') => format!("{}/{path}:{}", dice.cased(head), dice.cased(claim)),
        _ => format!("{}/{tail}", dice.cased(head)),
    }
}

/// The document as text: with elements in another order, white space, escapes, and perhaps percent-encoded.
pub(super) fn written(document: &Value, dice: &mut Dice) -> String {
    let mut text = String::new();
    write_value(document, dice, &mut text);
    match dice.below(4) {
        0 => encoded(&text, dice),
        1 => format!("\u{feff}{text}"),
        _ => text,
    }
}

fn write_value(value: &Value, dice: &mut Dice, out: &mut String) {
    blank(dice, out);
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            dice.shuffle(&mut entries);
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                blank(dice, out);
                write_text(key, dice, out);
                blank(dice, out);
                out.push(':');
                write_value(value, dice, out);
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(value, dice, out);
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, dice, out),
        other => out.push_str(&other.to_string()),
    }
    blank(dice, out);
}

fn blank(dice: &mut Dice, out: &mut String) {
    const BLANKS: [&str; 7] = ["", "", "", " ", "\n", "\t", "\r\n  "];
    out.push_str(BLANKS[dice.below(BLANKS.len())]);
}

fn write_text(text: &str, dice: &mut Dice, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let escape = dice.below(16) == 0;
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '/' if escape => out.push_str("\\/"),
            _ if c < ' ' || (escape && c <= '\u{ffff}') => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// Percent-encodes everything except letters, digits and `-_.~`, as IAM does
/// (<https://datatracker.ietf.org/doc/html/rfc3986#section-2>), with hexadecimal digits in random case.
fn encoded(text: &str, dice: &mut Dice) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ if dice.coin() => write!(out, "%{byte:02X}").unwrap(),
            _ => write!(out, "%{byte:02x}").unwrap(),
        }
    }
    out
}
