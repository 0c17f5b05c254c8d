//! The JSON Schema (draft-07) of the file format, for editors: `#:schema ./irsa.schema.json` at the top of the file.
//!
//! It covers keys, types and patterns. Only `irsa validate` checks references.

use super::schema::property::{KEY, choice, definition, described, object, text};
use super::schema::{Raw, RawAccount, RawBinding, RawCluster, RawInline, RawKubernetes, RawPolicy, RawRole, Table};
use serde_json::{Map, Value, json};

/// The schema.
pub fn json_schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "irsa.schema.json",
        "title": "irsa.toml",
        "description": "AWS permissions of Kubernetes pods: IAM roles, their policies, and the ServiceAccounts that may assume them",
        "type": "object",
        "additionalProperties": false,
        "properties": Raw::properties(),
        "definitions": {
            "key": { "type": "string", "pattern": KEY },
            "tags": {
                "type": "object",
                "propertyNames": { "maxLength": 128, "not": { "pattern": "^([aA][wW][sS]:|[iI][rR][sS][aA]/)" } },
                "additionalProperties": { "type": "string", "maxLength": 256 },
            },
            "text-or-list": {
                "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }],
            },
            "account": object(RawAccount::properties(), &["id"], "an AWS account and how to reach it"),
            "cluster": object(RawCluster::properties(), &[], "a cluster and how to reach its API"),
            "kubernetes": object(
                RawKubernetes::properties(),
                &[],
                "how to reach the cluster's API; by default the EKS endpoint, with a token that irsa makes",
            ),
            "policy": one_document(object(RawPolicy::properties(), &[], "a customer managed policy")),
            "inline": one_document(object(RawInline::properties(), &[], "an inline policy; the key is its name")),
            "role": object(RawRole::properties(), &[], "an IAM role: what it may do, and who may assume it"),
            "service-account": object(
                RawBinding::properties(),
                &["role", "namespace", "name"],
                "ServiceAccounts that may assume a role",
            ),
            "statement": object(statement(), &[], "a policy statement"),
            "principals": { "oneOf": [{ "const": "*" }, object(principals(), &[], "who the statement applies to")] },
        },
    })
}

/// Requires exactly one form of document.
fn one_document(mut table: Value) -> Value {
    table["oneOf"] = ["file", "json", "statements"].map(|key| json!({ "required": [key] })).into();
    table
}

fn texts<const N: usize>(properties: [(&str, &str); N]) -> Map<String, Value> {
    properties.map(|(key, description)| (key.to_owned(), described("text-or-list", description))).into_iter().collect()
}

fn statement() -> Map<String, Value> {
    let mut properties = texts([
        ("actions", "the actions"),
        ("not-actions", "all actions except these"),
        ("resources", "the resources"),
        ("not-resources", "all resources except these"),
    ]);
    let mut add = |key: &str, property: Value| properties.insert(key.to_owned(), property);
    add("sid", text("a name for the statement"));
    add("effect", choice(&["Allow", "Deny"], "Allow", "the effect"));
    add("principals", definition("principals"));
    add("not-principals", definition("principals"));
    let conditions = json!({
        "type": "object",
        "description": "conditions: operator, then key, then one value or a list",
        "additionalProperties": { "type": "object" },
    });
    add("conditions", conditions);
    properties
}

fn principals() -> Map<String, Value> {
    texts([
        ("aws", "accounts, roles and users"),
        ("federated", "identity providers"),
        ("service", "AWS services"),
        ("canonical-user", "canonical user ids"),
    ])
}
