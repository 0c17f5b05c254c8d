//! From a request over HTTP to a verb of the store, and from its result to an answer.

use crate::kubernetes::access::{self, User};
use crate::kubernetes::delete::Preconditions;
use crate::kubernetes::discovery;
use crate::kubernetes::list::ListOptions;
use crate::kubernetes::protobuf;
use crate::kubernetes::resource::Resource;
use crate::kubernetes::route::Request;
use crate::kubernetes::status::{FieldError, Refusal};
use crate::kubernetes::store::Store;
use crate::kubernetes::validate::Strictness;
use crate::kubernetes::write::{PatchType, WriteOptions, Written};
use serde_json::{Value, json};

/// An answer that is no refusal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Body,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Json(Value),
    Text(&'static str),
}

impl Answer {
    fn json(code: u16, value: Value) -> Self {
        Self { code, body: Body::Json(value), warnings: Vec::new() }
    }
}

impl From<Written> for Answer {
    fn from(written: Written) -> Self {
        let code = if written.created { 201 } else { 200 };
        Self { code, body: Body::Json(written.object), warnings: written.warnings }
    }
}

/// The parts of a request beside what is asked.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) user: &'a User,
    pub(crate) user_agent: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) accept: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) issuer: &'a str,
}

/// Carries a request out.
pub(crate) fn carry_out(store: &mut Store, request: &Request, sent: &Sent<'_>) -> Result<Answer, Refusal> {
    let Some(plural) = &request.resource else { return path(request, sent) };
    match (request.group.as_str(), plural.as_str(), request.verb) {
        ("authorization.k8s.io", "selfsubjectaccessreviews", "create") => {
            return Ok(Answer::json(201, access::review(sent.user, read(sent)?)));
        }
        ("authentication.k8s.io", "selfsubjectreviews", "create") => {
            return Ok(Answer::json(201, access::myself(sent.user)));
        }
        _ => {}
    }
    let resource = Resource::from_plural(plural)
        .filter(|resource| request.group == resource.group() && request.subresource.is_empty());
    let Some(resource) = resource else { return Ok(nowhere()) };
    let (namespace, name) = (request.namespace.as_str(), request.name.as_str());
    match request.verb {
        "get" => {
            let found = store.get(resource, namespace, name).cloned();
            let found = found.ok_or_else(|| Refusal::not_found(resource, name))?;
            Ok(Answer::json(200, as_asked(found, sent)))
        }
        "list" => {
            let list = store.list(resource, &list_options(resource, request)?)?;
            Ok(Answer::json(200, as_asked(list, sent)))
        }
        "create" => {
            let options = write_options("CreateOptions", request, sent)?;
            store.create(resource, namespace, read(sent)?, &options).map(Answer::from)
        }
        "update" => {
            let options = write_options("UpdateOptions", request, sent)?;
            store.replace(resource, namespace, name, read(sent)?, &options).map(Answer::from)
        }
        "patch" => patch(store, resource, request, sent),
        "delete" => {
            let (preconditions, dry_run) = delete_options(request, sent)?;
            let gone = store.delete(resource, namespace, name, &preconditions, dry_run)?;
            Ok(Answer::json(200, gone))
        }
        "deletecollection" => delete_collection(store, resource, request, sent),
        _ => Err(Refusal::method_not_allowed()),
    }
}

/// An object or list as the client wants it: whole, or its metadata only. A wish for a table is not granted.
fn as_asked(value: Value, sent: &Sent<'_>) -> Value {
    let first = sent.accept.split(',').next().unwrap_or_default();
    if !first.split(';').any(|part| part.trim().starts_with("as=PartialObjectMetadata")) {
        return value;
    }
    let one = |object: &Value| json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
    let Some(items) = value.get("items").and_then(Value::as_array) else { return one(&value) };
    let items: Vec<Value> = items.iter().map(one).collect();
    json!({
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"],
        "items": items,
    })
}

fn nowhere() -> Answer {
    Answer { code: 404, body: Body::Text("404 page not found\n"), warnings: Vec::new() }
}

fn path(request: &Request, sent: &Sent<'_>) -> Result<Answer, Refusal> {
    if request.verb != "get" {
        return Err(Refusal::method_not_allowed());
    }
    if ["/healthz", "/livez", "/readyz"].contains(&request.path.as_str()) {
        return Ok(Answer { code: 200, body: Body::Text("ok"), warnings: Vec::new() });
    }
    Ok(discovery::document(&request.path, sent.issuer).map_or_else(nowhere, |value| Answer::json(200, value)))
}

/// JSON is tried first: it is what almost every client sends, whatever it calls it.
fn read(sent: &Sent<'_>) -> Result<Value, Refusal> {
    if sent.content_type.contains("protobuf") {
        return protobuf::decode(sent.body);
    }
    let yaml = sent.content_type.contains("yaml");
    match serde_json::from_slice(sent.body) {
        Ok(value) => Ok(value),
        Err(error) if !yaml => Err(Refusal::bad_request(format!("error decoding the body: {error}"))),
        Err(_) => serde_saphyr::from_slice(sent.body)
            .map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}"))),
    }
}

/// The first part of the user agent, where the client names no field manager.
fn manager(request: &Request, sent: &Sent<'_>) -> String {
    let named = request.text("fieldManager");
    if !named.is_empty() {
        return named.to_owned();
    }
    let prefix = sent.user_agent.split('/').next().unwrap_or_default();
    let prefix: String = prefix.chars().filter(|character| !character.is_control()).take(128).collect();
    if prefix.is_empty() { "unknown".to_owned() } else { prefix }
}

fn write_options(kind: &str, request: &Request, sent: &Sent<'_>) -> Result<WriteOptions, Refusal> {
    let mut errors = Vec::new();
    let named = request.text("fieldManager");
    if named.len() > 128 {
        errors.push(FieldError::too_long("fieldManager", 128));
    }
    if let Some(wrong) = named.chars().find(|character| character.is_control()) {
        let why = format!("invalid character U+{:04X}", u32::from(wrong));
        errors.push(FieldError::invalid("fieldManager", named, why));
    }
    let dry_run = request.text("dryRun");
    if !["", "All"].contains(&dry_run) {
        errors.push(FieldError::not_supported("dryRun", dry_run, "\"All\""));
    }
    let strictness = match request.text("fieldValidation") {
        "Ignore" => Strictness::Ignore,
        "" | "Warn" => Strictness::Warn,
        "Strict" => Strictness::Strict,
        other => {
            errors.push(FieldError::not_supported("fieldValidation", other, "\"\", \"Ignore\", \"Strict\", \"Warn\""));
            Strictness::Warn
        }
    };
    if !errors.is_empty() {
        return Err(Refusal::invalid(&format!("{kind}.meta.k8s.io"), "", &errors));
    }
    Ok(WriteOptions {
        manager: manager(request, sent),
        force: request.flag("force"),
        dry_run: dry_run == "All",
        strictness,
    })
}

fn patch(store: &mut Store, resource: Resource, request: &Request, sent: &Sent<'_>) -> Result<Answer, Refusal> {
    let mut options = write_options("PatchOptions", request, sent)?;
    let (namespace, name) = (request.namespace.as_str(), request.name.as_str());
    let kind = match sent.content_type.split(';').next().unwrap_or_default().trim() {
        "application/apply-patch+yaml" | "application/apply-patch+json" => {
            // Here the user agent does not stand in for a manager.
            request.text("fieldManager").clone_into(&mut options.manager);
            let body = read(&Sent { content_type: "application/yaml", ..*sent })?;
            let may_create = || access::check(sent.user, "create", resource.plural(), namespace, name);
            return store.apply(resource, namespace, name, body, &options, may_create).map(Answer::from);
        }
        "application/merge-patch+json" => PatchType::Merge,
        "application/strategic-merge-patch+json" => PatchType::Strategic,
        "application/json-patch+json" => PatchType::Json,
        _ => return Err(Refusal::unsupported_patch()),
    };
    if request.query.contains_key("force") {
        let wrong = FieldError::forbidden("force", "may not be specified for non-apply patch");
        return Err(Refusal::invalid("PatchOptions.meta.k8s.io", "", &[wrong]));
    }
    store.patch(resource, namespace, name, kind, &read(sent)?, &options).map(Answer::from)
}

fn list_options(resource: Resource, request: &Request) -> Result<ListOptions, Refusal> {
    let limit = request.text("limit");
    let wrong = || Refusal::bad_request(format!("strconv.ParseInt: parsing {limit:?}: invalid syntax"));
    Ok(ListOptions {
        namespace: (resource.namespaced() && !request.namespace.is_empty()).then(|| request.namespace.clone()),
        labels: request.text("labelSelector").to_owned(),
        fields: request.text("fieldSelector").to_owned(),
        limit: if limit.is_empty() { 0 } else { limit.parse().map_err(|_| wrong())? },
        continue_token: request.text("continue").to_owned(),
        resource_version: request.text("resourceVersion").to_owned(),
    })
}

fn delete_options(request: &Request, sent: &Sent<'_>) -> Result<(Preconditions, bool), Refusal> {
    let body = if sent.body.is_empty() { Value::Null } else { read(sent)? };
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let preconditions =
        Preconditions { uid: text("/preconditions/uid"), resource_version: text("/preconditions/resourceVersion") };
    let dry_run = request.text("dryRun") == "All" || text("/dryRun/0").as_deref() == Some("All");
    Ok((preconditions, dry_run))
}

fn delete_collection(
    store: &mut Store,
    resource: Resource,
    request: &Request,
    sent: &Sent<'_>,
) -> Result<Answer, Refusal> {
    if resource == Resource::Namespaces {
        return Err(Refusal::method_not_allowed());
    }
    let (_, dry_run) = delete_options(request, sent)?;
    let mut list = store.list(resource, &list_options(resource, request)?)?;
    let mut gone = Vec::new();
    for object in list["items"].as_array().into_iter().flatten() {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        gone.push(store.delete(resource, &request.namespace, name, &Preconditions::default(), dry_run)?);
    }
    list["items"] = json!(gone);
    Ok(Answer::json(200, list))
}
