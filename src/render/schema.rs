//! JSON Schemas (draft-07) of the documents that `json` writes, by hand: what they promise is meant.

use super::json::REPORT_FORMAT_VERSION;
use crate::plan::file::FORMAT_VERSION;
use serde_json::{Map, Value, json};

/// The schema of a plan file.
pub fn plan_schema() -> Value {
    let actions =
        json!({ "enum": ["create", "update", "delete", "adopt"], "description": "What happens to the object." });
    let side = |text: &str| json!({ "type": ["object", "null"], "description": text });
    let any = |text: &str| json!({ "description": text });
    let field = object(
        "One field that differs.",
        [
            ("path", string("The path of the field, for example `trust`, `attached`, `inline.queue` or `tags.team`.")),
            ("before", any("Its value before, or null.")),
            ("after", any("Its value after, or null.")),
        ],
    );
    let change = object(
        "One change of one object.",
        [
            ("address", address()),
            ("action", actions),
            ("reasons", list("Why, for a reader.", &string("One reason."))),
            ("before", side("The whole object before, or null.")),
            ("after", side("The whole object after, or null.")),
            ("fields", list("The fields that differ, sorted by path.", &field)),
        ],
    );
    let refused = object(
        "Something that is not done although it is declared or would follow.",
        [("address", address()), ("why", string("Why.")), ("hint", string("What to do next."))],
    );
    let unknown = object("Something that could not be seen.", [("address", address()), ("why", string("Why."))]);
    let note = object(
        "A finding or remark.",
        [
            ("address", address()),
            ("severity", json!({ "enum": ["info", "low", "medium", "high", "critical"] })),
            ("rule", string("The rule or kind of note; `waiting` for what waits for others.")),
            ("origin", string("`file:line`, empty if it is about a live object only.")),
            ("text", string("What.")),
        ],
    );
    document(
        "irsa plan",
        [
            ("format-version", version(FORMAT_VERSION)),
            ("irsa-version", string("The version of the program that wrote it.")),
            ("created-at", json!({ "type": "string", "description": "RFC 3339, UTC." })),
            ("owner", string("The owner of the configuration.")),
            ("config-digest", digest("Of the configuration that it was made from.")),
            ("options", options()),
            ("complete", boolean("Whether everything could be seen.")),
            (
                "summary",
                counts("The counts.", &["create", "update", "delete", "adopt", "unchanged", "refused", "waiting"]),
            ),
            ("changes", list("The changes, in apply order.", &change)),
            ("refused", list("What is refused, sorted by address.", &refused)),
            ("unknown", list("What could not be seen, sorted by address.", &unknown)),
            ("notes", list("Findings and remarks, the gravest first.", &note)),
            (
                "plan-digest",
                digest(
                    "Over owner, config-digest, options, and of each change its address, action, before, after and fields.",
                ),
            ),
            ("digest", digest("Over the whole file with this value blanked.")),
        ],
    )
}

fn options() -> Value {
    let mut options = object(
        "What was asked.",
        [
            ("only", list("`--only`: globs over addresses.", &string("A glob."))),
            ("destroy", boolean("`--destroy`")),
            ("adopt", boolean("`--adopt`")),
            ("force", boolean("`--force`")),
            ("force-conflicts", boolean("`--force-conflicts`")),
            ("allow-incomplete", boolean("`--allow-incomplete`")),
            ("skip-refused", boolean("`--skip-refused`")),
        ],
    );
    // only where a shard is planned
    options["properties"]["shard"] = json!({
        "type": "string", "pattern": "^[0-9]+/[0-9]+$", "description": "`--shard`: which shard is planned, counted from 0.",
    });
    options
}

/// The schema of a report.
pub fn report_schema() -> Value {
    let failure = or_null(&object(
        "Where a step failed.",
        [
            ("operation", string("The operation that failed, for example `iam:PutRolePolicy`.")),
            ("code", nullable("The service's code, or null.")),
            ("why", string("What was said.")),
            ("request-id", nullable("The request id, or null.")),
            ("hint", nullable("What to do next, or null.")),
            ("stale", boolean("Whether the object had changed since the plan.")),
            ("done", list("The operations that were done before.", &string("An operation."))),
            ("left", list("The operations that are left.", &string("An operation."))),
        ],
    ));
    let outcome = object(
        "What came of one step.",
        [
            ("address", address()),
            ("action", json!({ "enum": ["create", "update", "delete", "adopt"] })),
            ("outcome", json!({ "enum": ["applied", "already-done", "skipped", "failed"] })),
            ("why", nullable("Why it was skipped, or null.")),
            ("failure", failure),
            ("note", nullable("What a last look did not show of what was written, or null.")),
        ],
    );
    document(
        "irsa report",
        [
            ("format-version", version(REPORT_FORMAT_VERSION)),
            ("irsa-version", string("The version of the program that wrote it.")),
            ("succeeded", boolean("Whether every step ended well.")),
            (
                "interrupted",
                json!({ "enum": ["SIGINT", "SIGTERM", null], "description": "The signal that ended the run early." }),
            ),
            ("lock-lost", nullable("Why the lock was lost, if that ended the run early; else null.")),
            ("summary", counts("The counts.", &["changes", "applied", "already-done", "failed", "skipped"])),
            ("outcomes", list("One for each step, in plan order.", &outcome)),
        ],
    )
}

/// The format of what `validate` writes: the minor grows when keys are added, the major when they change.
pub const VALIDATION_FORMAT_VERSION: &str = "1.1";

/// The schema of what `irsa validate` finds.
pub fn validation_schema() -> Value {
    let line = json!({ "type": "integer", "minimum": 1 });
    let or_unknown = |text: &str| json!({ "type": ["integer", "null"], "minimum": 1, "description": text });
    let place = || {
        [
            ("file", nullable("The file, relative to the folder of the top file; null where none is to blame.")),
            ("line", or_unknown("The line, from 1.")),
            ("column", or_unknown("The column, from 1, in characters; of a finding, where its line begins.")),
        ]
    };
    let [file, line_at, column] = place();
    let also = object(
        "Another place that belongs to it.",
        [("file", string("The file.")), ("line", line.clone()), ("column", line), ("text", string("What is there."))],
    );
    let mistake = object(
        "A mistake in the configuration.",
        [
            file,
            line_at,
            column,
            ("rule", json!({ "const": "configuration" })),
            ("severity", json!({ "const": "error" })),
            ("address", json!({ "type": "null" })),
            ("text", string("What is wrong.")),
            ("message", string("The same as `text`.")),
            ("hint", nullable("What to do next, or null.")),
            ("also", list("Further places.", &also)),
        ],
    );
    let [file, line_at, column] = place();
    let finding = object(
        "A finding of the linter.",
        [
            file,
            line_at,
            column,
            ("rule", string("The rule, for example `IRSA030`.")),
            ("severity", json!({ "enum": ["info", "low", "medium", "high", "critical"] })),
            ("address", address()),
            ("text", string("What was found.")),
            ("hint", nullable("What to do next, or null.")),
            ("denied", boolean("Whether it is at or above `--deny`.")),
            ("origin", string("`file:line`.")),
        ],
    );
    document(
        "irsa validation",
        [
            ("format-version", version(VALIDATION_FORMAT_VERSION)),
            ("valid", boolean("Whether there is no mistake and no denied finding.")),
            ("diagnostics", list("The mistakes, in the order of files and lines.", &mistake)),
            ("findings", list("The findings, which are looked for where there is no mistake.", &finding)),
        ],
    )
}

fn document<const N: usize>(title: &str, properties: [(&str, Value); N]) -> Value {
    let mut schema = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "title": title });
    if let (Value::Object(schema), Value::Object(body)) = (&mut schema, object(title, properties)) {
        schema.extend(body);
        schema.remove("description");
    }
    schema
}

/// An object with exactly these keys.
fn object<const N: usize>(text: &str, properties: [(&str, Value); N]) -> Value {
    let required: Vec<String> = properties.iter().map(|(key, _)| (*key).to_owned()).collect();
    let properties: Map<String, Value> = properties.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
    json!({
        "type": "object", "description": text, "additionalProperties": false,
        "required": required, "properties": properties,
    })
}

fn or_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    schema["type"] = json!(["object", "null"]);
    schema
}

fn counts(text: &str, keys: &[&str]) -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let properties: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), count.clone())).collect();
    json!({
        "type": "object", "description": text, "additionalProperties": false,
        "required": keys, "properties": properties,
    })
}

fn list(text: &str, items: &Value) -> Value {
    json!({ "type": "array", "description": text, "items": items })
}

fn string(text: &str) -> Value {
    json!({ "type": "string", "description": text })
}

fn nullable(text: &str) -> Value {
    json!({ "type": ["string", "null"], "description": text })
}

fn boolean(text: &str) -> Value {
    json!({ "type": "boolean", "description": text })
}

fn digest(text: &str) -> Value {
    json!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$", "description": text })
}

fn version(version: &str) -> Value {
    json!({ "const": version, "description": "The minor grows when keys are added, the major when they change." })
}

fn address() -> Value {
    json!({ "type": "string", "description": "The object, or `account/KEY` or `cluster/KEY` for everything in it." })
}
