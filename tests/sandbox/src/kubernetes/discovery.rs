//! Discovery: API versions, groups, resources, OpenAPI and the token issuer's documents.
//!
//! <https://kubernetes.io/docs/concepts/overview/kubernetes-api/>. Only unaggregated discovery is served; clients that
//! ask for aggregated discovery fall back to it.

use crate::kubernetes::issuer::Issuer;
use crate::kubernetes::resource::Resource;
use serde_json::{Map, Value, json};

/// The API groups other than the core group, with their create-only kinds.
const GROUPS: [(&str, &[(&str, &str)]); 5] = [
    ("admissionregistration.k8s.io", &[]),
    ("apps", &[]),
    ("authentication.k8s.io", &[("selfsubjectreviews", "SelfSubjectReview")]),
    (
        "authorization.k8s.io",
        &[
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
        ],
    ),
    ("coordination.k8s.io", &[]),
];

/// The path of the issuer's discovery document.
pub(crate) const CONFIGURATION: &str = "/.well-known/openid-configuration";

/// The path of the issuer's keys.
pub(crate) const KEYS: &str = "/openid/v1/jwks";

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn of_group(group: &str) -> impl Iterator<Item = Resource> {
    Resource::ALL.into_iter().filter(move |resource| resource.group() == group)
}

/// The stored kinds of a group.
fn stored(group: &str) -> Vec<Value> {
    let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let one = |resource: Resource| {
        let mut entry = json!({
            "name": resource.plural(), "singularName": resource.kind().to_lowercase(), "kind": resource.kind(),
            "namespaced": resource.namespaced(), "verbs": verbs,
        });
        if !resource.short().is_empty() {
            entry["shortNames"] = json!(resource.short());
        }
        entry
    };
    let mut all: Vec<Value> = of_group(group).map(one).collect();
    if group.is_empty() {
        all.push(json!({
            "name": "serviceaccounts/token", "singularName": "", "namespaced": true, "kind": "TokenRequest",
            "group": "authentication.k8s.io", "version": "v1", "verbs": ["create"],
        }));
    }
    all
}

/// Whether the API serves this group.
pub(crate) fn serves(group: &str) -> bool {
    group.is_empty() || GROUPS.iter().any(|(name, _)| *name == group)
}

/// Whether a kind is create-only, like the reviews.
pub(crate) fn is_review(group: &str, plural: &str) -> bool {
    GROUPS.iter().any(|(name, reviews)| *name == group && reviews.iter().any(|(known, _)| *known == plural))
}

/// The document at a path. None if the path does not exist.
pub(crate) fn document(path: &str, issuer: &Issuer) -> Option<Value> {
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
        "/api/v1" => json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": stored("")}),
        "/openapi/v3" => {
            let paths = open_api_paths().map(|(path, _)| {
                let place = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=1")});
                (path, place)
            });
            json!({"paths": paths.collect::<Map<String, Value>>()})
        }
        CONFIGURATION => issuer.configuration(),
        KEYS => issuer.key.key_set(),
        _ => return in_groups(path).or_else(|| open_api_at(path)),
    };
    Some(value)
}

/// The group versions with stored kinds: the path below `/openapi/v3/`, and the group.
fn open_api_paths() -> impl Iterator<Item = (String, &'static str)> {
    let others = GROUPS.iter().map(|(name, _)| *name).filter(|name| of_group(name).next().is_some());
    [("api/v1".to_owned(), "")].into_iter().chain(others.map(|name| (format!("apis/{name}/v1"), name)))
}

fn open_api_at(path: &str) -> Option<Value> {
    let path = path.strip_prefix("/openapi/v3/")?;
    open_api_paths().find(|(known, _)| known == path).map(|(path, group)| open_api(&path, group))
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
    let reviews = resources.iter().map(|(plural, kind)| {
        let singular = kind.to_lowercase();
        json!({"name": plural, "singularName": singular, "namespaced": false, "kind": kind, "verbs": ["create"]})
    });
    let resources: Vec<Value> = reviews.chain(stored(name)).collect();
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{name}/v1"), "resources": resources,
    }))
}

/// A minimal OpenAPI document. kubectl needs it to detect that the server validates fields.
fn open_api(root: &str, group: &str) -> Value {
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .into_iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}))
        .collect();
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in of_group(group) {
        let kind = json!({"group": group, "version": "v1", "kind": resource.kind()});
        let operation = json!({
            "parameters": parameters, "responses": {"200": {"description": "OK"}},
            "x-kubernetes-group-version-kind": kind,
        });
        let namespace = if resource.namespaced() { "namespaces/{namespace}/" } else { "" };
        let path = format!("/{root}/{namespace}{}", resource.plural());
        paths.insert(format!("{path}/{{name}}"), json!({"patch": operation, "put": operation}));
        paths.insert(path, json!({"post": operation}));
        let schema = json!({"type": "object", "x-kubernetes-group-version-kind": [kind]});
        let package = if group.is_empty() { "core" } else { group.trim_end_matches(".k8s.io") };
        schemas.insert(format!("io.k8s.api.{package}.v1.{}", resource.kind()), schema);
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.33.5"}, "paths": paths,
        "components": {"schemas": schemas},
    })
}
