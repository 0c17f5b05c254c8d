//! Maps HTTP requests to the store's verbs, and their results to HTTP answers.

use crate::kubernetes::access::{self, User};
use crate::kubernetes::delete::Preconditions;
use crate::kubernetes::discovery;
use crate::kubernetes::issuer::Issuer;
use crate::kubernetes::list::ListOptions;
use crate::kubernetes::protobuf;
use crate::kubernetes::resource::Resource;
use crate::kubernetes::review;
use crate::kubernetes::route::Request;
use crate::kubernetes::status::{FieldError, Refusal};
use crate::kubernetes::store::Store;
use crate::kubernetes::token;
use crate::kubernetes::validate::Strictness;
use crate::kubernetes::watch::{Watch, WatchOptions};
use crate::kubernetes::write::{PatchType, WriteOptions, Written};
use serde_json::{Value, json};
use std::time::Duration;

/// A successful answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Body,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Json(Value),
    /// A JSON Web Key Set, which has its own content type.
    Keys(Value),
    Text(&'static str),
    /// A stream of watch events.
    Watch(Box<Watch>),
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

/// The parts of an HTTP request that the route does not contain.
#[derive(Debug)]
pub(crate) struct RequestParts<'a> {
    pub(crate) user: &'a User,
    pub(crate) user_agent: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) accept: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) issuer: &'a Issuer,
}

impl RequestParts<'_> {
    /// Whether the client accepts only the objects' metadata.
    fn wants_metadata(&self) -> bool {
        let first = self.accept.split(',').next().unwrap_or_default();
        first.split(';').any(|part| part.trim().starts_with("as=PartialObjectMetadata"))
    }
}

/// Executes a request.
pub(crate) fn carry_out(store: &mut Store, request: &Request, sent: &RequestParts<'_>) -> Result<Answer, Refusal> {
    let Some(plural) = &request.resource else { return path(request, sent) };
    match (request.group.as_str(), plural.as_str(), request.verb) {
        ("authorization.k8s.io", "selfsubjectaccessreviews", "create") => {
            return Ok(Answer::json(201, review::access(sent.user, read(sent)?)?));
        }
        ("authorization.k8s.io", "selfsubjectrulesreviews", "create") => {
            return Ok(Answer::json(201, review::rules(sent.user, read(sent)?)?));
        }
        ("authentication.k8s.io", "selfsubjectreviews", "create") => {
            return Ok(Answer::json(201, review::myself(sent.user, store, read(sent)?)?));
        }
        (group, plural, _) if request.name.is_empty() && discovery::is_review(group, plural) => {
            return Err(Refusal::method_not_allowed());
        }
        ("", "serviceaccounts", _) if request.subresource == "token" => return token_request(store, request, sent),
        _ => {}
    }
    let resource = Resource::from_plural(plural)
        .filter(|resource| request.group == resource.group() && request.subresource.is_empty());
    let Some(resource) = resource else {
        return if discovery::serves(&request.group) { Err(Refusal::unknown_resource()) } else { Ok(path_not_found()) };
    };
    if !has_route(resource, request) {
        return Err(Refusal::method_not_allowed());
    }
    let (namespace, name) = (request.namespace.as_str(), request.name.as_str());
    match request.verb {
        "get" => {
            let found = store.get(resource, namespace, name).cloned();
            let found = found.ok_or_else(|| Refusal::not_found(resource, name))?;
            Ok(Answer::json(200, in_accepted_form(found, sent)))
        }
        "list" => {
            let list = store.list(resource, &list_options(resource, request)?)?;
            Ok(Answer::json(200, in_accepted_form(list, sent)))
        }
        "watch" => watch(store, resource, request, sent),
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
            let gone = store.begin_delete(resource, namespace, name, &preconditions, dry_run)?;
            Ok(Answer::json(200, delete_answer(resource, name, gone)))
        }
        "deletecollection" => delete_collection(store, resource, request, sent),
        _ => Err(Refusal::method_not_allowed()),
    }
}

/// Whether a route exists for the verb: no POST to a single object, no PUT or PATCH to a collection, and no writes
/// across namespaces.
fn has_route(resource: Resource, request: &Request) -> bool {
    match request.verb {
        "update" | "patch" | "delete" => !request.name.is_empty(),
        "create" | "deletecollection" => {
            request.name.is_empty() && (!resource.namespaced() || !request.namespace.is_empty())
        }
        _ => true,
    }
}

/// The answer to a delete: the object for most kinds, a Status for a Lease that is gone.
fn delete_answer(resource: Resource, name: &str, gone: Value) -> Value {
    if resource != Resource::Leases || gone.pointer("/metadata/deletionTimestamp").is_some() {
        return gone;
    }
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {
            "name": name, "group": resource.group(), "kind": resource.plural(), "uid": gone["metadata"]["uid"],
        },
    })
}

fn watch(store: &Store, resource: Resource, request: &Request, sent: &RequestParts<'_>) -> Result<Answer, Refusal> {
    let seconds = request.text("timeoutSeconds");
    let wrong = || Refusal::bad_request(format!("strconv.ParseInt: parsing {seconds:?}: invalid syntax"));
    let seconds: u64 = if seconds.is_empty() { 0 } else { seconds.parse().map_err(|_| wrong())? };
    let options = WatchOptions {
        // Zero means no timeout, as if the parameter were missing.
        timeout: Some(Duration::from_secs(seconds)).filter(|time| !time.is_zero()),
        bookmarks: request.flag("allowWatchBookmarks"),
        initial: request.query.get("sendInitialEvents").map(|_| request.flag("sendInitialEvents")),
        partial: sent.wants_metadata(),
    };
    let watch = Watch::start(store, resource, &list_options(resource, request)?, options)?;
    Ok(Answer { code: 200, body: Body::Watch(Box::new(watch)), warnings: Vec::new() })
}

fn token_request(store: &mut Store, request: &Request, sent: &RequestParts<'_>) -> Result<Answer, Refusal> {
    if request.verb != "create" {
        return Err(Refusal::method_not_allowed());
    }
    let (namespace, name, manager) = (&request.namespace, &request.name, manager(request, sent));
    let (answer, warning) = token::request(store, sent.issuer, namespace, name, &read(sent)?, &manager)?;
    Ok(Answer { code: 201, body: Body::Json(answer), warnings: warning.into_iter().collect() })
}

/// Converts an object or list to the form that the client accepts: whole, or metadata only. Table is not supported.
fn in_accepted_form(value: Value, sent: &RequestParts<'_>) -> Value {
    if !sent.wants_metadata() {
        return value;
    }
    let one = |object: &Value| json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
    let Some(items) = value.get("items").and_then(Value::as_array) else { return one(&value) };
    // kube-apiserver sends null here, because an empty metadata list is a nil slice in Go.
    let items = if items.is_empty() { Value::Null } else { items.iter().map(one).collect() };
    json!({
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"],
        "items": items,
    })
}

fn path_not_found() -> Answer {
    Answer { code: 404, body: Body::Text("404 page not found\n"), warnings: Vec::new() }
}

fn path(request: &Request, sent: &RequestParts<'_>) -> Result<Answer, Refusal> {
    if request.verb != "get" {
        return Err(Refusal::method_not_allowed());
    }
    if ["/healthz", "/livez", "/readyz"].contains(&request.path.as_str()) {
        return Ok(Answer { code: 200, body: Body::Text("ok"), warnings: Vec::new() });
    }
    let Some(document) = discovery::document(&request.path, sent.issuer) else { return Ok(path_not_found()) };
    let keys = request.path.trim_end_matches('/') == discovery::KEYS;
    let body = if keys { Body::Keys(document) } else { Body::Json(document) };
    Ok(Answer { code: 200, body, warnings: Vec::new() })
}

/// Parses the body. Tries JSON first, because almost every client sends JSON, whatever the content type says.
fn read(sent: &RequestParts<'_>) -> Result<Value, Refusal> {
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

/// The default field manager: the first part of the user agent.
fn manager(request: &Request, sent: &RequestParts<'_>) -> String {
    let named = request.text("fieldManager");
    if !named.is_empty() {
        return named.to_owned();
    }
    let prefix = sent.user_agent.split('/').next().unwrap_or_default();
    let prefix: String = prefix.chars().filter(|character| !character.is_control()).take(128).collect();
    if prefix.is_empty() { "unknown".to_owned() } else { prefix }
}

fn write_options(kind: &str, request: &Request, sent: &RequestParts<'_>) -> Result<WriteOptions, Refusal> {
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

fn patch(store: &mut Store, resource: Resource, request: &Request, sent: &RequestParts<'_>) -> Result<Answer, Refusal> {
    let mut options = write_options("PatchOptions", request, sent)?;
    let (namespace, name) = (request.namespace.as_str(), request.name.as_str());
    let kind = match sent.content_type.split(';').next().unwrap_or_default().trim() {
        "application/apply-patch+yaml" | "application/apply-patch+json" => {
            // An apply requires `fieldManager`; the user agent is no default.
            request.text("fieldManager").clone_into(&mut options.manager);
            let body = read(&RequestParts { content_type: "application/yaml", ..*sent })?;
            // kube-apiserver reports only the authorizer's reason here, and RBAC gives none.
            let may_create = || {
                let access = access::check(sent.user, "create", resource.plural(), namespace, name);
                access.map_err(|_| Refusal::forbidden(&resource.qualified(), name, ""))
            };
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
    version_match(request)?;
    Ok(ListOptions {
        namespace: (resource.namespaced() && !request.namespace.is_empty()).then(|| request.namespace.clone()),
        labels: request.text("labelSelector").to_owned(),
        fields: request.text("fieldSelector").to_owned(),
        limit: if limit.is_empty() { 0 } else { limit.parse().map_err(|_| wrong())? },
        continue_token: request.text("continue").to_owned(),
        resource_version: request.text("resourceVersion").to_owned(),
    })
}

/// Validates `resourceVersionMatch` and `sendInitialEvents`.
fn version_match(request: &Request) -> Result<(), Refusal> {
    let (asked, version) = (request.text("resourceVersionMatch"), request.text("resourceVersion"));
    let initial = request.query.contains_key("sendInitialEvents");
    let field = "resourceVersionMatch";
    let mut errors = Vec::new();
    let forbidden = |why: &str| FieldError::forbidden(field, why);
    if request.verb == "watch" {
        if initial && asked.is_empty() {
            errors.push(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        } else if initial && asked != "NotOlderThan" {
            errors.push(FieldError::not_supported(field, asked, "\"NotOlderThan\""));
        } else if !initial && !asked.is_empty() {
            errors.push(forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
        }
    } else {
        if !asked.is_empty() && version.is_empty() {
            errors.push(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if !asked.is_empty() && !request.text("continue").is_empty() {
            errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
        if !["", "Exact", "NotOlderThan"].contains(&asked) {
            errors.push(FieldError::not_supported(field, asked, "\"Exact\", \"NotOlderThan\", \"\""));
        }
        if asked == "Exact" && version == "0" {
            errors.push(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
        if initial {
            errors.push(FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::invalid("ListOptions.meta.k8s.io", "", &errors)) }
}

fn delete_options(request: &Request, sent: &RequestParts<'_>) -> Result<(Preconditions, bool), Refusal> {
    let body = if sent.body.is_empty() { Value::Null } else { read(sent)? };
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let preconditions =
        Preconditions { uid: text("/preconditions/uid"), resource_version: text("/preconditions/resourceVersion") };
    // Options in the body replace those in the query.
    let asked = if body.is_null() { request.text("dryRun").to_owned() } else { text("/dryRun/0").unwrap_or_default() };
    if !["", "All"].contains(&asked.as_str()) {
        let wrong = FieldError::not_supported("dryRun", &asked, "\"All\"");
        return Err(Refusal::invalid("DeleteOptions.meta.k8s.io", "", &[wrong]));
    }
    Ok((preconditions, asked == "All"))
}

fn delete_collection(
    store: &mut Store,
    resource: Resource,
    request: &Request,
    sent: &RequestParts<'_>,
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
