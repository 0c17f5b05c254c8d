//! The reader, the JSON Schema, the annotated example and the reference page have the same keys.

use super::Folder;
use crate::config::json_schema::json_schema;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Keys = BTreeMap<String, BTreeSet<String>>;

/// Every kind of table with a key that resembles no known one, so that the hint lists the known ones.
const UNKNOWN_KEYS: &str = "
qqqqqqqq = 1
[defaults]
qqqqqqqq = 1
[defaults.role]
qqqqqqqq = 1
[guard]
qqqqqqqq = 1
[prune]
qqqqqqqq = 1
[lock]
qqqqqqqq = 1
[accounts.x]
qqqqqqqq = 1
[clusters.x]
qqqqqqqq = 1
[clusters.x.kubernetes]
qqqqqqqq = 1
[policies.x]
qqqqqqqq = 1
[roles.x]
qqqqqqqq = 1
[roles.x.inline.x]
qqqqqqqq = 1
[[service-accounts]]
qqqqqqqq = 1
";

/// The keys of each table by the name of the table in messages.
fn of_reader() -> Keys {
    let diagnostics = Folder::alone(UNKNOWN_KEYS).load().unwrap_err();
    let mut keys = Keys::new();
    for item in diagnostics.list() {
        let Some((_, table)) = item.message.split_once("unknown key `qqqqqqqq` in ") else { continue };
        let known = item.hint.as_deref().and_then(|hint| hint.strip_prefix("known keys are ")).unwrap();
        let known: Vec<String> = known.split(", ").map(|key| key.trim_matches('`').to_owned()).collect();
        let count = known.len();
        let known: BTreeSet<String> = known.into_iter().collect();
        assert_eq!(known.len(), count, "{table}: the hint has a key twice");
        keys.insert(table.to_owned(), known);
    }
    keys
}

fn properties(table: &Value) -> BTreeSet<String> {
    assert_eq!(table["additionalProperties"], false, "{table}");
    let properties = table["properties"].as_object().unwrap();
    for (key, property) in properties {
        let described = property.get("description").is_some() || property.get("$ref").is_some();
        assert!(described, "`{key}` has no description");
    }
    properties.keys().cloned().collect()
}

fn of_schema() -> Keys {
    let schema = json_schema();
    let (top, definitions) = (&schema["properties"], &schema["definitions"]);
    [
        ("the file", &schema),
        ("[defaults]", &top["defaults"]),
        ("[defaults.role]", &top["defaults"]["properties"]["role"]),
        ("[guard]", &top["guard"]),
        ("[prune]", &top["prune"]),
        ("[lock]", &top["lock"]),
        ("[accounts.x]", &definitions["account"]),
        ("[clusters.x]", &definitions["cluster"]),
        ("[clusters.x.kubernetes]", &definitions["kubernetes"]),
        ("[policies.x]", &definitions["policy"]),
        ("[roles.x]", &definitions["role"]),
        ("inline policy `x`", &definitions["inline"]),
        ("[[service-accounts]]", &definitions["service-account"]),
    ]
    .into_iter()
    .map(|(name, table)| (name.to_owned(), properties(table)))
    .collect()
}

/// The keys of a statement, which have a reader of their own.
fn of_statements() -> BTreeSet<String> {
    crate::config::schema::STATEMENT_KEYS.iter().map(|(key, _)| (*key).to_owned()).collect()
}

#[test]
fn schema_has_the_keys_of_the_reader() {
    assert_eq!(of_reader().len(), 13);
    assert_eq!(of_schema(), of_reader());
    let definitions = &json_schema()["definitions"];
    assert_eq!(properties(&definitions["statement"]), of_statements());
    let kinds = properties(&definitions["principals"]["oneOf"][1]);
    assert_eq!(kinds, ["aws", "canonical-user", "federated", "service"].map(str::to_owned).into());
}

/// Every reference has a definition, and no keys beside it, which draft-07 would ignore.
#[test]
fn schema_references_are_valid() {
    fn walk(value: &Value, definitions: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(target) = object.get("$ref") {
                    let name = target.as_str().unwrap().strip_prefix("#/definitions/").unwrap();
                    assert!(definitions.get(name).is_some(), "{name}");
                    assert_eq!(object.len(), 1, "{value}");
                }
                object.values().for_each(|item| walk(item, definitions));
            }
            Value::Array(list) => list.iter().for_each(|item| walk(item, definitions)),
            _ => {}
        }
    }
    let schema = json_schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    walk(&schema, &schema["definitions"]);
}

#[expect(clippy::disallowed_methods, reason = "tests read what is shipped")]
fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The keys that a TOML text uses.
fn keys_in(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut keys = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        if let Some(header) = line.trim_start().strip_prefix('[') {
            keys.extend(header.split([']', '.', '[']).map(str::to_owned));
        }
        for (place, _) in line.match_indices(" =") {
            let start = line[..place].rfind(|c| !word(c)).map_or(0, |before| before + 1);
            keys.insert(line[start..place].to_owned());
        }
    }
    keys
}

#[test]
fn annotated_example_and_reference_page_have_every_key() {
    let (example, page) = (read("irsa.toml.example"), read("docs/configuration.md"));
    let shown = keys_in(&example);
    let mut missing = Vec::new();
    for (table, keys) in of_reader().into_iter().chain([("a statement".to_owned(), of_statements())]) {
        for key in keys {
            if !shown.contains(&key) {
                missing.push(format!("irsa.toml.example: `{key}` of {table}"));
            }
            if !page.contains(&format!("`{key}`")) {
                missing.push(format!("docs/configuration.md: `{key}` of {table}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
