//! What a client reads to learn what the API serves: versions, groups, resources, OpenAPI, the issuer's documents.
//!
//! <https://kubernetes.io/docs/concepts/overview/kubernetes-api/>. Only the unaggregated form is given; clients that ask
//! for the aggregated one fall back to it.

use crate::kubernetes::resource::Resource;
use serde_json::{Map, Value, json};

const GROUPS: [(&str, &[(&str, &str)]); 2] = [
    ("authentication.k8s.io", &[("selfsubjectreviews", "SelfSubjectReview")]),
    ("authorization.k8s.io", &[("selfsubjectaccessreviews", "SelfSubjectAccessReview")]),
];

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn core_resources() -> Vec<Value> {
    let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update"];
    let one = |resource: Resource| {
        json!({
            "name": resource.plural(), "singularName": resource.kind().to_lowercase(), "kind": resource.kind(),
            "namespaced": resource.namespaced(), "shortNames": [resource.short()], "verbs": verbs,
        })
    };
    Resource::ALL.into_iter().map(one).collect()
}

/// The document at a path; None where there is none.
pub(crate) fn document(path: &str, issuer: &str) -> Option<Value> {
    let path = path.trim_end_matches('/');
    let value = match path {
        "/version" => json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.5", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2025-09-10T00:00:00Z", "goVersion": "go1.24.6", "compiler": "gc", "platform": "linux/amd64",
        }),
        "/api" => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        "/apis" => {
            let groups: Vec<Value> = GROUPS.iter().map(|(name, _)| group(name)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        "/api/v1" => json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": core_resources()}),
        "/openapi/v3" => json!({"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=1"}}}),
        "/openapi/v3/api/v1" => open_api(),
        "/.well-known/openid-configuration" => json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/keys"), "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
        }),
        "/openid/v1/jwks" => json!({"keys": []}),
        _ => return in_groups(path),
    };
    Some(value)
}

fn in_groups(path: &str) -> Option<Value> {
    let (name, resources) =
        GROUPS.iter().find(|(name, _)| path == format!("/apis/{name}") || path == format!("/apis/{name}/v1"))?;
    if !path.ends_with("/v1") {
        let mut answer = group(name);
        answer["kind"] = json!("APIGroup");
        answer["apiVersion"] = json!("v1");
        return Some(answer);
    }
    let resources: Vec<Value> = resources
        .iter()
        .map(|(plural, kind)| json!({"name": plural, "singularName": "", "namespaced": false, "kind": kind, "verbs": ["create"]}))
        .collect();
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{name}/v1"), "resources": resources,
    }))
}

/// As much of OpenAPI as kubectl needs to find out that the server checks fields itself.
fn open_api() -> Value {
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .into_iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}))
        .collect();
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in Resource::ALL {
        let kind = json!({"group": "", "version": "v1", "kind": resource.kind()});
        let operation = json!({
            "parameters": parameters, "responses": {"200": {"description": "OK"}},
            "x-kubernetes-group-version-kind": kind,
        });
        let namespace = if resource.namespaced() { "namespaces/{namespace}/" } else { "" };
        let path = format!("/api/v1/{namespace}{}", resource.plural());
        paths.insert(format!("{path}/{{name}}"), json!({"patch": operation, "put": operation}));
        paths.insert(path, json!({"post": operation}));
        let schema = json!({"type": "object", "x-kubernetes-group-version-kind": [kind]});
        schemas.insert(format!("io.k8s.api.core.v1.{}", resource.kind()), schema);
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.33.5"}, "paths": paths,
        "components": {"schemas": schemas},
    })
}
