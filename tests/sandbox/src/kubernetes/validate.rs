//! Validates objects before they are stored: names, labels, annotations and field types.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/> and `…/labels/`, `…/annotations/`. Does
//! no I/O and holds no state.

use crate::kubernetes::lease;
use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::{FieldError, Refusal};
use serde_json::{Map, Value};

const ANNOTATIONS: usize = 256 * 1024;
const LABEL_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY_FORMAT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_WORDS: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

fn examples(words: &str, format: &str, examples: &[&str]) -> String {
    let list: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{words} (e.g. {}regex used for validation is '{format}')", list.join(" or "))
}

fn lower_label(part: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
}

fn qualified(part: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    edge(part.bytes().next())
        && edge(part.bytes().last())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Checks a DNS label, the form of namespace names.
pub(crate) fn dns_label(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 63 {
        wrong.push("must be no more than 63 bytes".to_owned());
    }
    if !lower_label(name) {
        let words = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                     start and end with an alphanumeric character";
        wrong.push(examples(words, LABEL_FORMAT, &["my-name", "123-abc"]));
    }
    wrong
}

/// Checks a DNS subdomain, the form of most other object names.
pub(crate) fn dns_subdomain(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 253 {
        wrong.push("must be no more than 253 bytes".to_owned());
    }
    if !name.split('.').all(lower_label) {
        let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                     and must start and end with an alphanumeric character";
        wrong.push(examples(words, SUBDOMAIN_FORMAT, &["example.com"]));
    }
    wrong
}

/// Checks the key of a label or annotation.
pub(crate) fn qualified_name(key: &str) -> Vec<String> {
    let words = || examples(KEY_WORDS, KEY_FORMAT, &["MyName", "my.name", "123-abc"]);
    let parts: Vec<&str> = key.split('/').collect();
    let mut wrong = Vec::new();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(dns_subdomain(prefix).into_iter().map(|text| format!("prefix part {text}")));
            }
            *name
        }
        _ => {
            let rest = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {} {rest}", words())];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".to_owned());
    }
    if !qualified(name) {
        wrong.push(format!("name part {}", words()));
    }
    wrong
}

/// Checks the value of a label.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.len() > 63 {
        wrong.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !qualified(value) {
        let words = format!("a valid label must be an empty string or {}", KEY_WORDS.replacen("must ", "", 1));
        let format = format!("({KEY_FORMAT})?");
        wrong.push(examples(&words, &format, &["MyValue", "my_value", "12345"]));
    }
    wrong
}

fn strings<'a>(metadata: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
    metadata
        .get(name)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, value.as_str().unwrap_or_default()))
}

fn metadata_errors(resource: Resource, metadata: &Value, errors: &mut Vec<FieldError>) {
    let text = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        let wrong = if resource == Resource::Namespaces { dns_label(name) } else { dns_subdomain(name) };
        errors.extend(wrong.into_iter().map(|why| FieldError::invalid("metadata.name", name, why)));
    }
    if resource.namespaced() {
        let namespace = text("namespace");
        errors.extend(
            dns_label(namespace).into_iter().map(|why| FieldError::invalid("metadata.namespace", namespace, why)),
        );
    } else if !text("namespace").is_empty() {
        errors.push(FieldError::forbidden("metadata.namespace", "not allowed on this type"));
    }
    for (key, value) in strings(metadata, "labels") {
        errors.extend(qualified_name(key).into_iter().map(|why| FieldError::invalid("metadata.labels", key, why)));
        errors.extend(label_value(value).into_iter().map(|why| FieldError::invalid("metadata.labels", value, why)));
    }
    let mut size = 0;
    for (key, value) in strings(metadata, "annotations") {
        size += key.len() + value.len();
        let wrong = qualified_name(&key.to_lowercase());
        errors.extend(wrong.into_iter().map(|why| FieldError::invalid("metadata.annotations", key, why)));
    }
    if size > ANNOTATIONS {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS));
    }
    reference_errors(metadata, errors);
}

fn reference_errors(metadata: &Value, errors: &mut Vec<FieldError>) {
    let owners = metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten();
    for (index, owner) in owners.enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                errors.push(FieldError::required(path, "must not be empty"));
            }
        }
    }
    for finalizer in metadata.get("finalizers").and_then(Value::as_array).into_iter().flatten() {
        let finalizer = finalizer.as_str().unwrap_or_default();
        let wrong = qualified_name(finalizer);
        errors.extend(wrong.into_iter().map(|why| FieldError::invalid("metadata.finalizers", finalizer, why)));
    }
}

fn pod_errors(object: &Value, errors: &mut Vec<FieldError>) {
    let containers = object.pointer("/spec/containers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if containers.is_empty() {
        errors.push(FieldError::required("spec.containers", ""));
    }
    for (index, container) in containers.iter().enumerate() {
        for field in ["name", "image"] {
            if container.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
                errors.push(FieldError::required(format!("spec.containers[{index}].{field}"), ""));
            }
        }
    }
}

/// Validates an object before it is stored. `old` is the object that it replaces.
pub(crate) fn object(resource: Resource, new: &Value, old: Option<&Value>) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    let metadata = new.get("metadata").unwrap_or(&Value::Null);
    metadata_errors(resource, metadata, &mut errors);
    match resource {
        Resource::Pods => pod_errors(new, &mut errors),
        Resource::Leases => lease::errors(new, &mut errors),
        Resource::Namespaces | Resource::ServiceAccounts | Resource::ReplicaSets | Resource::MutatingWebhooks => {}
    }
    if let Some(old) = old {
        let before = old.get("metadata").unwrap_or(&Value::Null);
        for field in ["name", "namespace", "uid"] {
            if metadata.get(field) != before.get(field) {
                let value = metadata.get(field).and_then(Value::as_str).unwrap_or_default();
                errors.push(FieldError::invalid(format!("metadata.{field}"), value, "field is immutable"));
            }
        }
        new_finalizers(metadata, before, &mut errors);
    }
    if errors.is_empty() {
        return Ok(());
    }
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default();
    Err(Refusal::invalid(&resource.qualified_kind(), name, &errors))
}

fn new_finalizers(metadata: &Value, before: &Value, errors: &mut Vec<FieldError>) {
    if before.get("deletionTimestamp").is_none() {
        return;
    }
    let list = |of: &Value| of.get("finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    let old = list(before);
    let extra: Vec<String> =
        list(metadata).iter().filter(|one| !old.contains(one)).map(std::string::ToString::to_string).collect();
    if !extra.is_empty() {
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            extra.join(", ")
        );
        errors.push(FieldError::forbidden("metadata.finalizers", why));
    }
}

pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) | Value::Null => "object",
    }
}

/// The decoder's error for the first value of a wrong JSON type.
pub(crate) fn wrong_type(resource: Resource, object: &Value) -> Option<String> {
    let words = |value: &Value, field: &str, kind: &str| {
        format!("json: cannot unmarshal {} into Go struct field {field} of type {kind}", go_type(value))
    };
    if let Some(value) =
        object.get("automountServiceAccountToken").filter(|value| !value.is_null() && !value.is_boolean())
    {
        return Some(words(value, "ServiceAccount.automountServiceAccountToken", "bool"));
    }
    if let Some(wrong) = Some(object).filter(|_| resource == Resource::Leases).and_then(lease::wrong_type) {
        return Some(wrong);
    }
    let metadata = object.get("metadata")?;
    if !metadata.is_object() && !metadata.is_null() {
        return Some(words(metadata, "ObjectMeta.metadata", "v1.ObjectMeta"));
    }
    for field in ["labels", "annotations"] {
        let path = format!("ObjectMeta.metadata.{field}");
        match metadata.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) => {
                if let Some(value) = map.values().find(|value| !value.is_string() && !value.is_null()) {
                    return Some(words(value, &path, "string"));
                }
            }
            Some(value) => return Some(words(value, &path, "map[string]string")),
        }
    }
    for field in ["name", "namespace", "uid", "resourceVersion", "generateName"] {
        if let Some(value) = metadata.get(field).filter(|value| !value.is_string() && !value.is_null()) {
            return Some(words(value, &format!("ObjectMeta.metadata.{field}"), "string"));
        }
    }
    None
}

/// The error of server-side apply for the same: `structured-merge-diff` prints the Go value.
pub(crate) fn untyped(resource: Resource, object: &Value) -> Option<String> {
    let wrong = wrong_type(resource, object)?;
    for field in ["labels", "annotations"] {
        let mut pairs = object.pointer(&format!("/metadata/{field}")).and_then(Value::as_object).into_iter().flatten();
        if let Some((key, value)) = pairs.find(|(_, value)| !value.is_string() && !value.is_null()) {
            let shown = format!("&value.valueUnstructured{{Value:{value}}}");
            return Some(format!(".metadata.{field}.{key}: expected string, got {shown}"));
        }
    }
    Some(wrong)
}

/// What to do with unknown fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Drop them.
    #[default]
    Ignore,
    /// Drop them and return a warning.
    Warn,
    /// Reject the request.
    Strict,
}

/// Parses a body as an object of the kind: checks the kind, drops unknown fields and returns the warnings.
pub(crate) fn decode(resource: Resource, body: &mut Value, strictness: Strictness) -> Result<Vec<String>, Refusal> {
    let kind = resource.kind();
    if !body.is_object() {
        let text =
            format!("couldn't get version/kind; json parse error: the body is no object but a {}", go_type(body));
        return Err(Refusal::bad_request(text));
    }
    let said = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (version, named) = (said("apiVersion"), said("kind"));
    if (!version.is_empty() && version != resource.api_version()) || (!named.is_empty() && named != kind) {
        let text = format!(
            "{named} in version {version:?} cannot be handled as a {kind}: no kind {named:?} is registered for version \
             {version:?} in scheme"
        );
        return Err(Refusal::bad_request(text));
    }
    if let Some(wrong) = wrong_type(resource, body) {
        return Err(Refusal::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: {wrong}")));
    }
    let mut unknown = Vec::new();
    resource.schema().unknown(body, "", &mut unknown);
    let texts: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    if strictness == Strictness::Strict && !texts.is_empty() {
        let all = texts.join(", ");
        let text = format!("{kind} in version \"v1\" cannot be handled as a {kind}: strict decoding error: {all}");
        return Err(Refusal::bad_request(text));
    }
    for path in &unknown {
        let (parent, field) = path.rsplit_once('.').unwrap_or(("", path));
        let pointer = parent.split('.').filter(|part| !part.is_empty()).fold(String::new(), |at, part| at + "/" + part);
        if let Some(map) = body.pointer_mut(&pointer).and_then(Value::as_object_mut) {
            map.remove(field);
        }
    }
    Ok(if strictness == Strictness::Warn { texts } else { Vec::new() })
}

/// Normalizes an object for storage: removes nulls and empty collections, and fills in defaults.
pub(crate) fn normalize(resource: Resource, object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    map.retain(|_, value| !empty(value));
    map.insert("apiVersion".to_owned(), Value::from(resource.api_version()));
    map.insert("kind".to_owned(), Value::from(resource.kind()));
    let metadata = map.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Some(metadata) = metadata.as_object_mut() {
        for field in ["labels", "annotations"] {
            // A null value in a map of strings decodes as the empty string.
            for value in metadata.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
                if value.is_null() {
                    *value = Value::from("");
                }
            }
        }
        // `[]` in managedFields is a request to clear them, so keep it until that is done.
        metadata.retain(|name, value| name == "managedFields" && value.is_array() || !empty(value));
    }
    if resource == Resource::Leases {
        lease::normalize(map);
    }
    match resource {
        Resource::Namespaces => {
            let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        Resource::Pods => {
            for (field, default) in [("restartPolicy", "Always"), ("serviceAccountName", "default")] {
                if object["spec"].get(field).is_none() {
                    object["spec"][field] = Value::from(default);
                }
            }
            object["spec"]["serviceAccount"] = object["spec"]["serviceAccountName"].clone();
        }
        Resource::ServiceAccounts | Resource::Leases | Resource::ReplicaSets | Resource::MutatingWebhooks => {}
    }
}
