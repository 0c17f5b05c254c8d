//! Builders for the JSON Schema of one key or table.

use serde_json::{Map, Value, json};

pub(crate) const KEY: &str = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$";
pub(crate) const PATH: &str = "^/([!-~]+/)?$";
pub(crate) const LABEL: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
pub(crate) const SUBDOMAIN: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$";
pub(crate) const NAME: &str = "^[A-Za-z0-9+=,.@_-]+$";
const DURATION: &str = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$";

pub(crate) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

pub(crate) fn matching(pattern: &str, description: &str) -> Value {
    json!({ "type": "string", "pattern": pattern, "description": description })
}

pub(crate) fn duration(description: &str) -> Value {
    matching(DURATION, description)
}

pub(crate) fn flag(default: bool, description: &str) -> Value {
    json!({ "type": "boolean", "default": default, "description": description })
}

pub(crate) fn number(default: u64, description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "default": default, "description": description })
}

pub(crate) fn choice(words: &[&str], default: &str, description: &str) -> Value {
    json!({ "enum": words, "default": default, "description": description })
}

/// A list whose items are `item`.
pub(crate) fn list_of(item: &Value, description: &str) -> Value {
    json!({ "type": "array", "items": item, "description": description })
}

pub(crate) fn list(description: &str) -> Value {
    list_of(&json!({ "type": "string" }), description)
}

/// The definition of this name alone.
pub(crate) fn definition(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// A definition with a description; draft-07 ignores keys beside `$ref`.
pub(crate) fn described(name: &str, description: &str) -> Value {
    json!({ "allOf": [definition(name)], "description": description })
}

/// A table whose keys are the user's and whose values are all of one definition.
pub(crate) fn keyed(name: &str, description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "propertyNames": definition("key"),
        "additionalProperties": definition(name),
    })
}

/// Labels or annotations: without the keys of irsa and of the pod identity webhook.
pub(crate) fn metadata(values: &Value, description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "propertyNames": {
            "pattern": "^([^/]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
            "not": { "pattern": "^([iI][rR][sS][aA]|[eE][kK][sS][.]amazonaws[.]com)/" },
        },
        "additionalProperties": values,
    })
}

/// Lint rules with the reasons why their findings do not count.
pub(crate) fn ignore() -> Value {
    json!({
        "type": "object",
        "description": "lint rules whose findings here do not count, each with the reason",
        "propertyNames": { "pattern": "^IRSA[0-9]{3}$" },
        "additionalProperties": { "type": "string", "pattern": "[^ \t]" },
    })
}

/// A table with these keys and no others.
pub(crate) fn object(properties: Map<String, Value>, required: &[&str], description: &str) -> Value {
    let mut object = json!({ "type": "object", "description": description, "additionalProperties": false });
    object["properties"] = Value::Object(properties);
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// The property with another JSON Schema keyword.
pub(crate) fn with(mut property: Value, keyword: &str, value: impl Into<Value>) -> Value {
    property[keyword] = value.into();
    property
}
