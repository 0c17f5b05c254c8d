//! Self-reviews: who a user is, whether they may do one thing, and everything they may do.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>. Users can ask only
//! about themselves. Does no I/O and holds no state.

use crate::kubernetes::access::{Access, BASIC, Grant, OPEN, User, group_of};
use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::{FieldError, Refusal};
use crate::kubernetes::store::Store;
use crate::kubernetes::token;
use crate::kubernetes::write::metadata;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Checks the kind and apiVersion of a body, and sets those of the answer.
fn with_kind(mut body: Value, group: &str, kind: &str) -> Result<Value, Refusal> {
    let version = format!("{group}/v1");
    let said = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    let (asked, called) = (said("apiVersion"), said("kind"));
    if !body.is_object() || !["", version.as_str()].contains(&asked) || !["", kind].contains(&called) {
        let text = format!(
            "{called} in version {asked:?} cannot be handled as a {kind}: no kind {called:?} is registered for version \
             {asked:?} in scheme"
        );
        return Err(Refusal::bad_request(text));
    }
    body["kind"] = json!(kind);
    body["apiVersion"] = json!(version);
    if body.get("metadata").is_none_or(Value::is_null) {
        body["metadata"] = json!({});
    }
    Ok(body)
}

/// Answers a SelfSubjectAccessReview.
pub(crate) fn access(user: &User, body: Value) -> Result<Value, Refusal> {
    let mut body = with_kind(body, "authorization.k8s.io", "SelfSubjectAccessReview")?;
    let part = |name: &str| body.pointer(&format!("/spec/{name}")).filter(|part| !part.is_null());
    let wrong = |field: &str, value: &str, why: &str| {
        let error = FieldError::invalid(format!("spec.{field}"), value, why);
        Err(Refusal::invalid("SelfSubjectAccessReview.authorization.k8s.io", "", &[error]))
    };
    let allowed = match (part("resourceAttributes"), part("nonResourceAttributes")) {
        (Some(attributes), None) => may(user, attributes),
        (None, Some(attributes)) => {
            let text = |name: &str| attributes.get(name).and_then(Value::as_str).unwrap_or_default();
            user.may_path(text("verb"), text("path"))
        }
        (Some(_), Some(both)) => {
            let why = "cannot be specified in combination with resourceAttributes";
            return wrong("nonResourceAttributes", &both.to_string(), why);
        }
        (None, None) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return wrong("resourceAttributes", "null", why);
        }
    };
    body["status"] = json!({"allowed": allowed});
    Ok(body)
}

fn may(user: &User, attributes: &Value) -> bool {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str).unwrap_or_default();
    let (group, resource, part) = (text("group"), text("resource"), text("subresource"));
    // Grants have no API groups: a resource in a grant means the served one, so another group does not match.
    let served = Resource::from_plural(resource).is_none_or(|_| group_of(resource) == group);
    let full = if part.is_empty() { resource.to_owned() } else { format!("{resource}/{part}") };
    let everything = user.access == Access::All;
    (served || everything) && user.may(text("verb"), &full, text("namespace"))
}

/// Answers a SelfSubjectRulesReview with all rules that apply in a namespace.
pub(crate) fn rules(user: &User, body: Value) -> Result<Value, Refusal> {
    let mut body = with_kind(body, "authorization.k8s.io", "SelfSubjectRulesReview")?;
    let namespace = body.pointer("/spec/namespace").and_then(Value::as_str).unwrap_or_default();
    if namespace.is_empty() {
        return Err(Refusal::bad_request("no namespace on request"));
    }
    let reviews = |group: &str, own: &[&str]| json!({"verbs": ["create"], "apiGroups": [group], "resources": own});
    let mut resources =
        vec![reviews("authentication.k8s.io", &BASIC[1..2]), reviews("authorization.k8s.io", &[BASIC[0], BASIC[2]])];
    let open: Vec<String> = OPEN.iter().flat_map(|path| [(*path).to_owned(), format!("{path}/*")]).collect();
    let mut paths = vec![json!({"verbs": ["get"], "nonResourceURLs": open})];
    match &user.access {
        Access::All => {
            resources.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
            paths.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
        }
        Access::Only(grants) => {
            let here = |grant: &&Grant| grant.namespaces.as_ref().is_none_or(|all| all.contains(namespace));
            for grant in grants.iter().filter(here) {
                resources.extend(grant_rules(grant));
                if !grant.paths.is_empty() {
                    paths.push(json!({"verbs": grant.verbs, "nonResourceURLs": grant.paths}));
                }
            }
        }
    }
    body["status"] = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    Ok(body)
}

/// Converts a grant to RBAC rules, one for each API group.
fn grant_rules(grant: &Grant) -> impl Iterator<Item = Value> {
    let mut groups: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
    for resource in &grant.resources {
        let group = if resource.starts_with('*') { "*" } else { group_of(resource) };
        groups.entry(group).or_default().insert(resource);
    }
    groups
        .into_iter()
        .map(|(group, resources)| json!({"verbs": grant.verbs, "apiGroups": [group], "resources": resources}))
}

/// Answers a SelfSubjectReview.
pub(crate) fn myself(user: &User, store: &Store, body: Value) -> Result<Value, Refusal> {
    let mut body = with_kind(body, "authentication.k8s.io", "SelfSubjectReview")?;
    let mut about = Map::from_iter([("username".to_owned(), json!(user.name))]);
    let mut groups = Vec::new();
    if let Some((namespace, name)) = user.name.strip_prefix(token::PREFIX).and_then(|rest| rest.split_once(':')) {
        groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        if let Some(account) = store.service_account(namespace, name) {
            about.insert("uid".to_owned(), json!(metadata(account, "uid")));
        }
    }
    groups.push("system:authenticated".to_owned());
    about.insert("groups".to_owned(), json!(groups));
    body["status"] = json!({"userInfo": about});
    Ok(body)
}
