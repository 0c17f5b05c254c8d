//! Error responses: a `v1` Status with the texts of kube-apiserver.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>; the texts follow
//! `k8s.io/apimachinery/pkg/api/errors`.

use crate::kubernetes::resource::Resource;
use serde_json::{Map, Value, json};
use std::fmt;

/// An error response.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The machine-readable reason. Empty if kube-apiserver gives none.
    pub reason: String,
    /// The error message.
    pub message: String,
    /// The Status details: group, kind, name, causes, retryAfterSeconds.
    pub details: Map<String, Value>,
    /// The continue token of a new list, in the answer to an expired list.
    pub continue_token: Option<String>,
}

/// A field that fails validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldError {
    reason: &'static str,
    field: String,
    body: String,
}

impl FieldError {
    pub(crate) fn invalid(field: impl Into<String>, value: &str, why: impl fmt::Display) -> Self {
        let body = format!("Invalid value: {value:?}: {why}");
        Self { reason: "FieldValueInvalid", field: field.into(), body }
    }

    /// An invalid number, which the message shows without quotes.
    pub(crate) fn invalid_number(field: impl Into<String>, value: i64, why: impl fmt::Display) -> Self {
        Self { reason: "FieldValueInvalid", field: field.into(), body: format!("Invalid value: {value}: {why}") }
    }

    pub(crate) fn unsigned(field: impl Into<String>, value: u64, why: impl fmt::Display) -> Self {
        Self { reason: "FieldValueInvalid", field: field.into(), body: format!("Invalid value: {value:#x}: {why}") }
    }

    pub(crate) fn required(field: impl Into<String>, why: &str) -> Self {
        let body = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", field: field.into(), body }
    }

    pub(crate) fn forbidden(field: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), body: format!("Forbidden: {why}") }
    }

    pub(crate) fn too_long(field: impl Into<String>, limit: usize) -> Self {
        let body = format!("Too long: may not be more than {limit} bytes");
        Self { reason: "FieldValueTooLong", field: field.into(), body }
    }

    pub(crate) fn not_supported(field: impl Into<String>, value: &str, supported: &str) -> Self {
        let body = format!("Unsupported value: {value:?}: supported values: {supported}");
        Self { reason: "FieldValueNotSupported", field: field.into(), body }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body)
    }
}

impl Refusal {
    /// An error without details.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { code, reason: reason.to_owned(), message: message.into(), details: Map::new(), continue_token: None }
    }

    /// Sets the details: a resource or kind, qualified by its group, and a name.
    fn about(mut self, qualified: &str, name: &str) -> Self {
        if !name.is_empty() {
            self.details.insert("name".to_owned(), json!(name));
        }
        let (kind, group) = qualified.split_once('.').unwrap_or((qualified, ""));
        if !group.is_empty() {
            self.details.insert("group".to_owned(), json!(group));
        }
        if !kind.is_empty() {
            self.details.insert("kind".to_owned(), json!(kind));
        }
        self
    }

    /// Sets after how many seconds the client may retry.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.insert("retryAfterSeconds".to_owned(), json!(seconds));
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn cause(mut self, reason: &str, message: &str, field: &str) -> Self {
        let mut cause = json!({"message": message});
        if !reason.is_empty() {
            cause["reason"] = json!(reason);
        }
        if !field.is_empty() {
            cause["field"] = json!(field);
        }
        let causes = self.details.entry("causes").or_insert_with(|| json!([]));
        if let Value::Array(list) = causes {
            list.push(cause);
        }
        self
    }

    /// 404 for an object of a known resource.
    pub fn not_found(resource: Resource, name: &str) -> Self {
        Self::missing(&resource.qualified(), name)
    }

    /// 404 for an object of any resource, given as text.
    pub(crate) fn missing(what: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{what} {name:?} not found")).about(what, name)
    }

    /// 409 AlreadyExists.
    pub fn already_exists(resource: Resource, name: &str) -> Self {
        let what = resource.qualified();
        Self::new(409, "AlreadyExists", format!("{what} {name:?} already exists")).about(&what, name)
    }

    /// 409 for a write that conflicts with the current state.
    pub fn conflict(kind: &str, name: &str, why: impl fmt::Display) -> Self {
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {kind} {name:?}: {why}")).about(kind, name)
    }

    /// 409 for an outdated resourceVersion.
    pub fn stale(resource: Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(&resource.qualified(), name, why)
    }

    /// 409 for fields that other managers own, as (printed manager, field path).
    pub fn apply_conflict(mut conflicts: Vec<(String, String)>) -> Self {
        conflicts.sort();
        let message = if let [(manager, path)] = conflicts.as_slice() {
            format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
        } else {
            let mut lines = Vec::new();
            let mut last = None;
            for (manager, path) in &conflicts {
                if last != Some(manager) {
                    lines.push(format!("conflicts with {manager}:"));
                    last = Some(manager);
                }
                lines.push(format!("- {path}"));
            }
            format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
        };
        let mut refusal = Self::new(409, "Conflict", message);
        for (manager, path) in conflicts {
            refusal = refusal.cause("FieldManagerConflict", &format!("conflict with {manager}"), &path);
        }
        refusal
    }

    /// 422 with a cause for each field error.
    pub(crate) fn invalid(kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for error in errors {
            let text = error.to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let all = if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) };
        let message = format!("{kind} {name:?} is invalid: {all}");
        let mut refusal = Self::new(422, "Invalid", message).about(kind, name);
        for error in errors {
            refusal = refusal.cause(error.reason, &error.body, &error.field);
        }
        refusal
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 401 for an expired token. Like kube-apiserver, the message does not give the reason.
    pub fn expired() -> Self {
        Self::unauthorized()
    }

    /// 403 on an object or a collection.
    pub fn forbidden(resource: &str, name: &str, why: impl fmt::Display) -> Self {
        let what = if name.is_empty() { resource.to_owned() } else { format!("{resource} {name:?}") };
        Self::new(403, "Forbidden", format!("{what} is forbidden: {why}")).about(resource, name)
    }

    /// 403 on a path that is not a resource.
    pub fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: User {user:?} cannot {verb} path {path:?}"))
    }

    /// 404 for a resource or subresource that the server does not serve.
    pub fn unknown_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// 415 for an unknown patch type.
    pub fn unsupported_patch() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: \
                       application/json-patch+json, application/merge-patch+json, \
                       application/strategic-merge-patch+json, application/apply-patch+yaml";
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 429, as API Priority and Fairness sends it.
    pub fn too_many_requests(seconds: u32) -> Self {
        Self::new(429, "TooManyRequests", "Too many requests, please try again later.").retry_after(seconds)
    }

    /// 500 for an internal error.
    pub fn internal(why: &str) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {why}")).cause("", why, "")
    }

    /// 503.
    pub fn unavailable() -> Self {
        Self::new(503, "ServiceUnavailable", "the server is currently unable to handle the request")
    }

    /// 504. The client cannot know whether the server executed the request.
    pub fn timeout() -> Self {
        let text = "Timeout: request did not complete within the allotted timeout";
        Self::new(504, "Timeout", text).retry_after(0)
    }

    /// 500 with a plain error text and no reason, as kube-apiserver sends for errors without a Status.
    pub fn plain(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// The response body.
    pub fn body(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".to_owned(), json!(token));
        }
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure", "message": self.message,
        });
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
        if !self.details.is_empty() {
            body["details"] = Value::Object(self.details.clone());
        }
        body["code"] = json!(self.code);
        body
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}
