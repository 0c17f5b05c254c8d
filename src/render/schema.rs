//! JSON Schemas (draft-07) of plan files, reports and the output of `validate`. Tests compare them with the documents.

use super::json::REPORT_FORMAT_VERSION;
use super::verification;
use crate::plan::file::FORMAT_VERSION;
use crate::verify::{LinkKind, Status};
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
    let mut refused = object(
        "A change that irsa refuses, or a declared object that it refuses to manage.",
        [("address", address()), ("why", string("The reason.")), ("hint", string("What to do next."))],
    );
    // files of earlier versions lack it
    refused["properties"]["word"] = string("The word that `irsa explain` takes.");
    let unknown =
        object("An object that irsa could not read.", [("address", address()), ("why", string("The reason."))]);
    let note = object(
        "A finding or remark.",
        [
            ("address", address()),
            ("severity", json!({ "enum": ["info", "low", "medium", "high", "critical"] })),
            ("rule", string("The lint rule or the kind of note; `waiting` for an object that waits for another one.")),
            ("origin", string("`file:line` of the declaration; empty if the note is about a live object only.")),
            ("text", string("The text.")),
        ],
    );
    let ignored = object(
        "A finding that the configuration ignores.",
        [
            ("address", address()),
            ("severity", json!({ "enum": ["info", "low", "medium", "high", "critical"] })),
            ("rule", string("The lint rule.")),
            ("origin", string("`file:line` of the declaration; empty if the finding is about a live object only.")),
            ("text", string("The text.")),
            ("reason", string("Why it does not count.")),
        ],
    );
    let mut plan = document(
        "irsa plan",
        [
            ("format-version", version(FORMAT_VERSION)),
            ("irsa-version", string("The version of the program that wrote it.")),
            ("created-at", json!({ "type": "string", "description": "RFC 3339, UTC." })),
            ("owner", string("The owner of the configuration.")),
            ("config-digest", digest("Digest of the configuration.")),
            ("options", options()),
            ("complete", boolean("Whether irsa could read everything.")),
            ("summary", counts(&["create", "update", "delete", "adopt", "unchanged", "refused", "waiting"])),
            ("changes", list("The changes, in apply order.", &change)),
            ("refused", list("The refusals, sorted by address.", &refused)),
            ("unknown", list("The objects that irsa could not read, sorted by address.", &unknown)),
            ("notes", list("Findings and remarks, the most severe first.", &note)),
            ("ignored", list("The findings that the configuration ignores. Missing if there are none.", &ignored)),
            ("plan-digest", digest("Digest over owner, config-digest, options, and changes without their reasons.")),
            ("digest", digest("Digest over the whole file with an empty string in place of this value.")),
        ],
    );
    if let Some(required) = plan["required"].as_array_mut() {
        required.retain(|key| key != "ignored");
    }
    plan
}

fn options() -> Value {
    let mut options = object(
        "The options of the plan.",
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
    // present only in the plan of a shard
    options["properties"]["shard"] = json!({
        "type": "string", "pattern": "^[0-9]+/[0-9]+$", "description": "`--shard`: which shard is planned, counted from 0.",
    });
    options
}

/// The schema of a report.
pub fn report_schema() -> Value {
    let failure = or_null(object(
        "Where a step failed.",
        [
            ("operation", string("The operation that failed, for example `iam:PutRolePolicy`.")),
            ("code", nullable("The service's code, or null.")),
            ("why", string("The message.")),
            ("request-id", nullable("The request id, or null.")),
            ("hint", nullable("What to do next, or null.")),
            ("stale", boolean("Whether the object had changed since the plan.")),
            ("done", list("The operations that succeeded before.", &string("An operation."))),
            (
                "left",
                list(
                    "The operations that did not succeed: the failed one and those after it.",
                    &string("An operation."),
                ),
            ),
        ],
    ));
    let outcome = object(
        "The outcome of one step.",
        [
            ("address", address()),
            ("action", json!({ "enum": ["create", "update", "delete", "adopt"] })),
            ("outcome", json!({ "enum": ["applied", "already-done", "skipped", "failed"] })),
            ("why", nullable("Why it was skipped, or null.")),
            ("failure", failure),
            ("note", nullable("What a final read of the written object did not show, or null.")),
        ],
    );
    document(
        "irsa report",
        [
            ("format-version", version(REPORT_FORMAT_VERSION)),
            ("irsa-version", string("The version of the program that wrote it.")),
            ("succeeded", boolean("Whether every step was applied, and no signal ended the run.")),
            (
                "interrupted",
                json!({ "enum": ["SIGINT", "SIGTERM", null], "description": "The signal that ended the run early." }),
            ),
            ("lock-lost", nullable("Why the lock was lost, if that ended the run early; else null.")),
            ("summary", counts(&["changes", "applied", "already-done", "failed", "skipped"])),
            ("outcomes", list("One for each step, in plan order.", &outcome)),
        ],
    )
}

/// The format version of the output of `validate`. New keys raise the minor version, changed keys the major version.
pub const VALIDATION_FORMAT_VERSION: &str = "1.2";

/// The schema of the output of `irsa validate`.
pub fn validation_schema() -> Value {
    let line = json!({ "type": "integer", "minimum": 1 });
    let or_unknown = |text: &str| json!({ "type": ["integer", "null"], "minimum": 1, "description": text });
    let place = [
        ("file", nullable("The file, relative to the folder of the top file, or null.")),
        ("line", or_unknown("The line, from 1.")),
        ("column", or_unknown("The column, from 1, in characters; for a finding, where its line begins.")),
    ];
    let at_place = |text: &str, rest: Vec<(&'static str, Value)>| object(text, place.clone().into_iter().chain(rest));
    let also = object(
        "Another place that belongs to the mistake.",
        [("file", string("The file.")), ("line", line.clone()), ("column", line), ("text", string("The text."))],
    );
    let mistake = at_place(
        "A mistake in the configuration.",
        vec![
            ("rule", json!({ "const": "configuration" })),
            ("severity", json!({ "const": "error" })),
            ("address", json!({ "type": "null" })),
            ("text", string("The text.")),
            ("message", string("The same as `text`.")),
            ("hint", nullable("What to do next, or null.")),
            ("also", list("Further places.", &also)),
        ],
    );
    let finding = at_place(
        "A finding of the linter.",
        vec![
            ("rule", string("The rule, for example `IRSA030`.")),
            ("severity", json!({ "enum": ["info", "low", "medium", "high", "critical"] })),
            ("address", address()),
            ("text", string("The text.")),
            ("hint", nullable("What to do next, or null.")),
            ("denied", boolean("Whether its severity is at or above `--deny`.")),
            ("origin", string("`file:line`.")),
        ],
    );
    let mut ignored = finding.clone();
    ignored["description"] = json!("A finding that the configuration ignores.");
    ignored["properties"]["reason"] = string("Why it does not count.");
    if let Some(required) = ignored["required"].as_array_mut() {
        required.push(json!("reason"));
    }
    document(
        "irsa validation",
        [
            ("format-version", version(VALIDATION_FORMAT_VERSION)),
            ("valid", boolean("True without mistakes and denied findings.")),
            ("diagnostics", list("The mistakes, in the order of files and lines.", &mistake)),
            ("findings", list("The findings. Empty if there is a mistake: then irsa does not lint.", &finding)),
            ("ignored", list("The findings that the configuration ignores.", &ignored)),
        ],
    )
}

/// The schema of the output of `irsa verify`.
pub fn verification_schema() -> Value {
    let words: Vec<&str> = LinkKind::ALL.into_iter().map(LinkKind::word).collect();
    let link = object(
        "One link of the chain.",
        [
            ("link", json!({ "enum": words })),
            ("status", json!({ "enum": Status::ALL.map(Status::as_str) })),
            ("text", string("What was proved, why it does not apply, why it was not seen, or what is broken.")),
            ("hint", nullable("What to do, a step a line, or null.")),
        ],
    );
    let service_account = object(
        "A declared ServiceAccount, or a declared pattern.",
        [
            ("address", string("`service-account/CLUSTER/NAMESPACE/NAME`")),
            ("cluster", string("The key of the cluster.")),
            ("namespace", string("The namespace, which may be a pattern.")),
            ("name", string("The name, which may be a pattern.")),
            ("role", string("`role/KEY`")),
            ("links", list("One of each kind, in the order in which a pod uses them.", &link)),
        ],
    );
    document(
        "irsa verification",
        [
            ("format-version", version(verification::VERIFICATION_FORMAT_VERSION)),
            ("irsa-version", string("The version of the program that wrote it.")),
            ("service-accounts", list("Sorted by address.", &service_account)),
            ("summary", counts(&["service-accounts", "ok", "failed", "unknown", "missing"])),
        ],
    )
}

fn document<'a>(title: &str, properties: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let mut schema = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "title": title });
    if let (Value::Object(schema), Value::Object(body)) = (&mut schema, object(title, properties)) {
        schema.extend(body);
        schema.remove("description");
    }
    schema
}

/// An object with exactly these keys.
fn object<'a>(text: &str, properties: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let (required, properties): (Vec<&str>, Map<String, Value>) =
        properties.into_iter().map(|(key, schema)| (key, (key.to_owned(), schema))).unzip();
    json!({
        "type": "object", "description": text, "additionalProperties": false,
        "required": required, "properties": properties,
    })
}

fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!(["object", "null"]);
    schema
}

fn counts(keys: &[&str]) -> Value {
    object("The counts.", keys.iter().map(|key| (*key, json!({ "type": "integer", "minimum": 0 }))))
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
    json!({ "const": version, "description": "New keys raise the minor version, changed keys the major version." })
}

fn address() -> Value {
    json!({ "type": "string", "description": "The object, or `account/KEY` or `cluster/KEY` for everything in it." })
}
