//! The format as a JSON Schema (draft-07), for editors: `#:schema ./irsa.schema.json` at the top of the file.
//!
//! It knows keys, types and forms; what refers to something else is for `irsa validate`. A test holds it against the
//! keys that the reader knows.

use serde_json::{Value, json};

const KEY: &str = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$";
const DURATION: &str = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$";
const PATH: &str = "^/([!-~]+/)?$";
const LABEL: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
const SUBDOMAIN: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$";
const NAME: &str = "^[A-Za-z0-9+=,.@_-]+$";

/// The schema.
pub fn json_schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "irsa.schema.json",
        "title": "irsa.toml",
        "description": "AWS permissions of pods on Kubernetes: IAM roles, their policies, and the ServiceAccounts that may assume them",
        "type": "object",
        "additionalProperties": false,
        "properties": top(),
        "definitions": {
            "key": { "type": "string", "pattern": KEY },
            "tags": tags(),
            "text-or-list": {
                "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }],
            },
            "account": table("an AWS account and how to reach it", &account(), &["id"]),
            "cluster": table("a cluster, and how to reach its API", &cluster(), &[]),
            "kubernetes": table("how to reach the API of the cluster; by default the EKS endpoint, with a token made in process", &kubernetes(), &[]),
            "policy": policy(),
            "inline": one_document(table("an inline policy; the key is its name", &document(), &[])),
            "role": table("an IAM role: what it may do, and who may assume it", &role(), &[]),
            "service-account": table("ServiceAccounts that may assume a role", &service_account(), &["role", "namespace", "name"]),
            "statement": table("a policy statement", &statement(), &[]),
            "principals": principals(),
        },
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn matching(pattern: &str, description: &str) -> Value {
    json!({ "type": "string", "pattern": pattern, "description": description })
}

fn flag(default: bool, description: &str) -> Value {
    json!({ "type": "boolean", "default": default, "description": description })
}

fn whole(default: u64, description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "default": default, "description": description })
}

fn list(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": description })
}

/// Draft-07 takes no keys beside `$ref`.
fn refer(definition: &str, description: &str) -> Value {
    json!({ "allOf": [{ "$ref": format!("#/definitions/{definition}") }], "description": description })
}

fn keyed(definition: &str, description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "propertyNames": { "$ref": "#/definitions/key" },
        "additionalProperties": { "$ref": format!("#/definitions/{definition}") },
    })
}

fn table(description: &str, properties: &Value, required: &[&str]) -> Value {
    let mut table = json!({
        "type": "object", "description": description, "additionalProperties": false, "properties": properties,
    });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

fn tags() -> Value {
    json!({
        "type": "object",
        "propertyNames": { "maxLength": 128, "not": { "pattern": "^([aA][wW][sS]:|[iI][rR][sS][aA]/)" } },
        "additionalProperties": { "type": "string", "maxLength": 256 },
    })
}

fn top() -> Value {
    json!({
        "version": { "const": 1, "default": 1, "description": "the version of the format" },
        "owner": matching(KEY, "identifies exactly one configuration and marks everything that it manages; required in the top file"),
        "include": list("globs of further files, relative to this one; each must match a file"),
        "forget": list("addresses of objects to let go of without deleting them, for example `role/old`"),
        "ignore-tags": list("tags of others that are left alone; `*` stands for any text"),
        "defaults": table("defaults", &json!({
            "role": table("what holds for every role that does not say otherwise", &role_defaults(), &[]),
        }), &[]),
        "guard": table("when a plan is too big to be meant (exit 4; `--force` overrules)", &guard(), &[]),
        "prune": table("where to look for what is no longer declared", &json!({
            "paths": { "type": "array", "items": matching(PATH, "an IAM path"), "description": "further role paths to search for owned, undeclared roles" },
        }), &[]),
        "lock": table("a Lease that lets one `irsa apply` at a time write", &lock(), &["cluster"]),
        "accounts": keyed("account", "the AWS accounts; without any, the ambient credentials' own, called `default`"),
        "clusters": keyed("cluster", "the clusters"),
        "policies": keyed("policy", "customer managed policies: one object in each account that attaches it"),
        "roles": keyed("role", "the roles"),
        "service-accounts": {
            "type": "array",
            "items": { "$ref": "#/definitions/service-account" },
            "description": "which ServiceAccounts may assume which role: the long form",
        },
    })
}

fn lock() -> Value {
    json!({
        "cluster": text("the key of the cluster that holds the Lease"),
        "namespace": { "type": "string", "pattern": LABEL, "maxLength": 63, "default": "kube-system", "description": "the Lease's namespace, which must be there" },
        "name": { "type": "string", "pattern": SUBDOMAIN, "maxLength": 253, "description": "the Lease's name; default `irsa-<owner>`" },
        "duration": { "type": "string", "pattern": DURATION, "default": "60s", "description": "how long it holds without being renewed, 15s to 1h; it is renewed at a third of it" },
    })
}

fn role_defaults() -> Value {
    json!({
        "path": matching(PATH, "the IAM path, for creation only; default `/irsa/<owner>/`"),
        "max-session-duration": matching(DURATION, "the longest session, 1h to 12h; default 1h"),
        "permissions-boundary": text("the ARN of the managed policy that bounds the role, or `none`"),
        "tags": refer("tags", "tags; a role's own come before these"),
    })
}

fn guard() -> Value {
    json!({
        "max-change-percent": { "type": "integer", "minimum": 0, "maximum": 100, "default": 30, "description": "updates, deletes and releases, in percent of our live objects" },
        "min-existing": whole(10, "the percentage counts once there are so many live objects"),
        "max-delete": whole(5, "deletes, at any size"),
        "recent-use": { "type": "string", "pattern": DURATION, "default": "24h", "description": "a role that was used since is not deleted" },
    })
}

fn account() -> Value {
    json!({
        "id": matching("^[0-9]{12}$", "the account id, checked before anything else is done"),
        "profile": text("a profile of the shared AWS configuration"),
        "assume-role": matching("^arn:aws[a-z-]*:iam::[0-9]{12}:role/", "the ARN of a role of this account to assume"),
        "external-id": { "type": "string", "minLength": 2, "maxLength": 1224, "description": "the external id to assume it with" },
    })
}

fn cluster() -> Value {
    json!({
        "account": text("the key of the account that holds it; may be left out when there is one"),
        "region": text("the region; default AWS_REGION, then the profile's"),
        "name": matching("^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$", "the EKS name; default the key, unless `issuer` is given"),
        "issuer": matching("^https://", "the issuer of its tokens: any cluster with a public one, EKS or not"),
        "state": { "enum": ["active", "gone"], "default": "active", "description": "`gone`: the cluster is no more, and what is in IAM for it goes without talking to it" },
        "kubernetes": {
            "oneOf": [{ "$ref": "#/definitions/kubernetes" }, { "const": "none" }],
            "description": "how to reach its API; `none`: nothing there is managed or looked at, it is trust only",
        },
    })
}

fn kubernetes() -> Value {
    json!({
        "kubeconfig": text("a kubeconfig, relative to this file and inside the folder of the top file; default KUBECONFIG, then ~/.kube/config"),
        "context": text("the context in it"),
        "unverified": flag(false, "waives the check that the API is the declared cluster's"),
    })
}

fn document() -> Value {
    json!({
        "file": text("a JSON policy (`*.json` or `*.json.j2`), relative to this file; may be a template"),
        "json": text("the JSON policy itself; may be a template"),
        "statements": { "type": "array", "items": { "$ref": "#/definitions/statement" }, "minItems": 1, "description": "the policy's statements" },
    })
}

/// Exactly one form of document.
fn one_document(mut table: Value) -> Value {
    let only = |key: &str| json!({ "required": [key] });
    table["oneOf"] = json!([only("file"), only("json"), only("statements")]);
    table
}

fn with(mut properties: Value, more: Value) -> Value {
    if let (Some(all), Value::Object(more)) = (properties.as_object_mut(), more) {
        all.extend(more);
    }
    properties
}

fn shared() -> Value {
    json!({
        "adopt": flag(false, "takes over an existing object that carries no owner"),
        "adopt-from": matching(KEY, "takes over an existing object of this other owner, or of none"),
        "prevent-destroy": flag(false, "never deletes it; kept as a tag, and the live tag decides"),
        "tags": refer("tags", "tags"),
    })
}

fn policy() -> Value {
    let own = json!({
        "name": { "type": "string", "pattern": NAME, "maxLength": 128, "description": "the IAM name; default the key" },
        "description": { "type": "string", "maxLength": 1000, "description": "the description, for creation only" },
        "path": matching(PATH, "the IAM path, for creation only; default `/irsa/<owner>/`"),
    });
    one_document(table("a customer managed policy", &with(with(own, document()), shared()), &[]))
}

fn role() -> Value {
    let own = json!({
        "name": { "type": "string", "pattern": NAME, "maxLength": 64, "description": "the IAM name; default the key" },
        "account": text("the key of the account that holds it; default that of the clusters it is bound in, if that is one"),
        "cluster": refer("text-or-list", "the clusters of its short `service-accounts`: keys or globs; default the only one"),
        "path": matching(PATH, "the IAM path; must be the live role's, since IAM cannot move a role"),
        "description": { "type": "string", "maxLength": 1000, "description": "the description" },
        "attach": list("managed policies: an ARN, `aws:<path/name>` for one of AWS's own, or a key of [policies]"),
        "ignore-attached": list("ARNs that are left alone when someone else attaches them; `*` stands for any text"),
        "inline": { "type": "object", "additionalProperties": { "$ref": "#/definitions/inline" }, "description": "inline policies by name" },
        "trust": { "type": "array", "items": { "$ref": "#/definitions/statement" }, "description": "trust statements beside the generated ones" },
        "service-accounts": { "type": "array", "items": matching("^[^/]+/[^/]+$", "namespace/name"), "description": "who may assume it: `namespace/name`" },
    });
    with(with(role_defaults(), shared()), own)
}

fn service_account() -> Value {
    json!({
        "role": text("the key of the role"),
        "cluster": refer("text-or-list", "keys of clusters or globs over them; default the role's `cluster`, then the only one"),
        "namespace": text("the namespace; with `*` it needs `allow-wildcard`"),
        "name": refer("text-or-list", "the names; with `*` they need `allow-wildcard`"),
        "manage": { "enum": ["create", "annotate", "none"], "default": "create", "description": "`create` makes the ServiceAccount if it is missing, `annotate` waits for its maker, `none` is trust only" },
        "audience": { "type": "string", "minLength": 1, "maxLength": 255, "description": "the audience of the token; default `sts.amazonaws.com`" },
        "token-expiration": matching(DURATION, "the life of the token, 10m to 24h"),
        "sts-regional-endpoints": { "type": "boolean", "description": "whether the SDK in the pod asks the regional STS endpoint" },
        "labels": metadata("further labels of a ServiceAccount that irsa makes, kept as declared", &json!({ "type": "string", "maxLength": 63 })),
        "annotations": metadata("further annotations of a ServiceAccount that irsa makes, kept as declared", &json!({ "type": "string" })),
        "allow-wildcard": { "type": "string", "minLength": 1, "description": "why a wildcard is meant; such an entry is trust only" },
    })
}

/// Keys of labels and annotations, without those that are irsa's own or for the webhook.
fn metadata(description: &str, values: &Value) -> Value {
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

fn statement() -> Value {
    let names = |description: &str| refer("text-or-list", description);
    json!({
        "sid": text("a name for the statement"),
        "effect": { "enum": ["Allow", "Deny"], "default": "Allow", "description": "the effect" },
        "actions": names("the actions"),
        "not-actions": names("all actions but these"),
        "resources": names("the resources"),
        "not-resources": names("all resources but these"),
        "principals": { "$ref": "#/definitions/principals" },
        "not-principals": { "$ref": "#/definitions/principals" },
        "conditions": {
            "type": "object",
            "description": "conditions: operator, then key, then one value or a list",
            "additionalProperties": { "type": "object" },
        },
    })
}

fn principals() -> Value {
    let kinds = json!({
        "aws": refer("text-or-list", "accounts, roles and users"),
        "federated": refer("text-or-list", "identity providers"),
        "service": refer("text-or-list", "AWS services"),
        "canonical-user": refer("text-or-list", "canonical user ids"),
    });
    json!({ "oneOf": [{ "const": "*" }, table("who the statement is about", &kinds, &[])] })
}
