//! A failed request to a Kubernetes API: what kind of failure it is, its message, and whether to retry.
//!
//! kube's error texts are never used as they are: those about credentials contain a plugin's output and environment.
//! An error response is read as a `Status`
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>).

pub(crate) use crate::world::scrub::clean;
use crate::world::scrub::clean_long;
use crate::world::{CallError, CallErrorKind};
use kube::core::Status;
use kube::core::response::StatusCause;

#[derive(Debug, Clone)]
pub(crate) struct ApiFailure {
    pub(crate) kind: CallErrorKind,
    /// The HTTP status, if there was a response.
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    pub(crate) causes: Vec<StatusCause>,
    /// How long the server asks the client to wait, in seconds.
    pub(crate) retry_after: u32,
    pub(crate) retry: Retry,
}

/// How long to repeat a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    Never,
    /// One more attempt: the host name is unknown.
    Once,
    /// For a short time: the server works, but a webhook or another dependency of it does not.
    Briefly,
    /// Until the budget of the operation is spent.
    UntilBudget,
}

impl ApiFailure {
    pub(crate) fn new(kind: CallErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            code: None,
            message: message.into(),
            request_id: None,
            causes: Vec::new(),
            retry_after: 0,
            retry: Retry::Never,
        }
    }

    /// The request or the configuration is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::Invalid, message)
    }

    pub(crate) fn credentials(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::Credentials, message)
    }

    /// The connection failed.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { retry: Retry::UntilBudget, ..Self::new(CallErrorKind::Unavailable, message) }
    }

    /// Someone else changed the object.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::Conflict, message)
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::Other, message)
    }

    /// The response has a form that irsa does not understand.
    pub(crate) fn malformed() -> Self {
        Self::other("irsa does not understand the API's answer")
    }

    pub(crate) fn at(self, operation: &str) -> CallError {
        let Self { kind, code, message, request_id, .. } = self;
        CallError { operation: operation.to_owned(), kind, code, message, request_id }
    }

    /// Reads a response with an HTTP status of 400 or more. A body that is no `Status` comes from a proxy or load balancer
    /// on the way, and is not repeated.
    pub(crate) fn of_answer(code: u16, body: &[u8], request_id: Option<String>, retry_after: u32) -> Self {
        let status = serde_json::from_slice::<Status>(body).ok();
        let status = status.filter(|status| !status.message.is_empty() || !status.reason.is_empty());
        let status = status.unwrap_or_else(|| Status::failure(&format!("HTTP status {code}"), ""));
        let details = status.details.map(|details| (details.causes, details.retry_after_seconds));
        let (causes, seconds) = details.unwrap_or_default();
        let reason = Some(clean(&status.reason)).filter(|reason| !reason.is_empty());
        let retry = match code {
            429 | 500 | 502 | 503 | 504 if has_failing_dependency(&status.message) => Retry::Briefly,
            429 | 500 | 502 | 503 | 504 => Retry::UntilBudget,
            _ => Retry::Never,
        };
        let mut failure = Self {
            kind: CallErrorKind::Other,
            status: Some(code),
            code: reason,
            message: clean(&status.message),
            request_id,
            causes,
            retry_after: retry_after.max(seconds),
            retry,
        };
        failure.kind = failure.kind_of(code, &status.reason);
        if failure.kind == CallErrorKind::Rejected || is_admission_denial(&failure.message) {
            failure.message = clean_long(&status.message);
        }
        if failure.has_cause(TERMINATING) {
            failure.code = Some(TERMINATING.to_owned());
        }
        if failure.is_field_conflict() {
            failure.code = Some(FIELD_CONFLICT.to_owned());
            failure.message = failure.conflicting_managers();
        }
        failure
    }

    fn kind_of(&self, code: u16, reason: &str) -> CallErrorKind {
        match code {
            // the author of a policy chooses the code of its refusal freely, so it says nothing about credentials, object or
            // server; with a transient code, the policy itself may have failed
            _ if is_admission_denial(&self.message) && self.retry == Retry::Never => CallErrorKind::Rejected,
            401 => CallErrorKind::Credentials,
            // the ResourceQuota admission plugin
            403 if self.message.contains("exceeded quota") => CallErrorKind::Limit,
            // a response without a reason comes from a proxy on the way
            403 if reason.is_empty() || is_authorization_denial(&self.message) => CallErrorKind::Denied,
            403 => CallErrorKind::Rejected,
            // a proxy on the way may answer 404 too, which says nothing about the object
            404 if reason == "NotFound" => CallErrorKind::NotFound,
            409 if reason == "AlreadyExists" => CallErrorKind::AlreadyExists,
            409 => CallErrorKind::Conflict,
            // a recreated object has another uid, and a uid cannot be changed
            422 if self.causes.iter().any(|cause| cause.field == "metadata.uid") => CallErrorKind::Conflict,
            400 | 405 | 406 | 413 | 415 | 422 => CallErrorKind::Invalid,
            429 => CallErrorKind::Throttled,
            500.. => CallErrorKind::Unavailable,
            _ => CallErrorKind::Other,
        }
    }

    fn has_cause(&self, reason: &str) -> bool {
        self.causes.iter().any(|cause| cause.reason == reason)
    }

    /// A 409 because another field manager owns an applied field
    /// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>).
    pub(crate) fn is_field_conflict(&self) -> bool {
        self.status == Some(409) && self.has_cause(FIELD_CONFLICT)
    }

    /// A 409 because the object no longer has the resourceVersion that was sent.
    pub(crate) fn is_stale(&self) -> bool {
        self.status == Some(409) && self.kind == CallErrorKind::Conflict && !self.has_cause(FIELD_CONFLICT)
    }

    /// The managers and their fields, from the causes of a field conflict.
    fn conflicting_managers(&self) -> String {
        let causes = self.causes.iter().filter(|cause| cause.reason == FIELD_CONFLICT);
        let texts = causes.map(|cause| {
            // `conflict with "kubectl" using v1 at …`
            let manager = quoted(&cause.message).unwrap_or_else(|| cause.message.clone());
            format!("manager `{}` holds {}", clean(&manager), clean(&field(&cause.field)))
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}

const FIELD_CONFLICT: &str = "FieldManagerConflict";
/// The cause with which the NamespaceLifecycle admission plugin refuses to create objects in a namespace that is being
/// deleted.
const TERMINATING: &str = "NamespaceTerminating";

/// Whether an authorizer refused: `… forbidden: User "NAME" cannot VERB …`. An apply that creates an object is authorized
/// a second time, as `create`; that refusal has only the authorizer's own reason, which is empty or begins with `RBAC:`
/// (`withAuthorization` in `apiserver/pkg/endpoints/handlers/create.go`). All other 403 responses come from admission plugins
/// (<https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/>) or other authorizers.
fn is_authorization_denial(message: &str) -> bool {
    let reason = message.split_once("forbidden:").map(|(_, reason)| reason.trim_start());
    reason.is_some_and(|reason| {
        reason.is_empty()
            || reason.starts_with("RBAC:")
            || reason.starts_with("User \"") && reason.contains("\" cannot ")
    })
}

/// Whether an admission webhook or a policy refused:
/// `admission webhook "NAME" denied the request: …`, `… ValidatingAdmissionPolicy 'NAME' with binding 'NAME' denied request: …`
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response>).
pub(crate) fn is_admission_denial(message: &str) -> bool {
    let webhook = message.starts_with("admission webhook \"") && message.contains("\" denied the request");
    let policy = message.split_once("AdmissionPolicy '").is_some_and(|(_, rest)| rest.contains("' denied request: "));
    webhook || policy
}

/// Whether the API server itself works, but a webhook or policy failed or something else took too long.
fn has_failing_dependency(message: &str) -> bool {
    message.contains("failed calling webhook \"")
        || message.contains("request did not complete within")
        || is_admission_denial(message)
}

/// The first quoted text.
pub(crate) fn quoted(text: &str) -> Option<String> {
    // Go quotes nearly as JSON does
    let mut values = serde_json::Deserializer::from_str(&text[text.find('"')?..]).into_iter::<String>();
    values.next()?.ok()
}

/// `.metadata.annotations.KEY` as "annotation `KEY`".
fn field(path: &str) -> String {
    for (prefix, word) in [(".metadata.annotations.", "annotation"), (".metadata.labels.", "label")] {
        if let Some(key) = path.strip_prefix(prefix) {
            return format!("{word} `{key}`");
        }
    }
    format!("`{path}`")
}

/// An error from kube instead of a response.
pub(crate) fn of_kube(error: &kube::Error) -> ApiFailure {
    match error {
        kube::Error::Auth(_) => ApiFailure::credentials("the token file cannot be read"),
        kube::Error::InferKubeconfig(_) => ApiFailure::credentials("its client certificate or key cannot be read"),
        kube::Error::RustlsTls(_) => ApiFailure::credentials("its authority, client certificate or key cannot be used"),
        kube::Error::HyperError(source) => of_connection(source),
        kube::Error::Service(source) if source.is::<kube::client::AuthError>() => {
            ApiFailure::credentials("the token file cannot be read")
        }
        kube::Error::Service(source) => of_connection(source.as_ref()),
        _ => ApiFailure::other("the request could not be made"),
    }
}

/// A failed connection, with the whole chain of causes: the outer ones say little.
fn of_connection(error: &(dyn std::error::Error + 'static)) -> ApiFailure {
    let mut texts: Vec<String> = Vec::new();
    for error in std::iter::successors(Some(error), |error| error.source()) {
        let text = clean(&error.to_string());
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
    }
    let text = texts.join(": ");
    if text.contains("proxy authorization required") {
        return ApiFailure::invalid(
            "its proxy requires a user name and a password (HTTP status 407): add them to its URL, \
             `http://USER:PASSWORD@HOST:PORT`, in `proxy-url` of the kubeconfig or `HTTPS_PROXY`",
        );
    }
    let retry = if text.contains("invalid peer certificate") {
        Retry::Never
    } else if text.contains("dns error") || text.contains("failed to lookup address") {
        Retry::Once
    } else {
        Retry::UntilBudget
    };
    ApiFailure { retry, ..ApiFailure::broken(with_certificate_hint(text)) }
}

/// Adds what to do about a server certificate, where rustls does not say it.
fn with_certificate_hint(text: String) -> String {
    let hint = if text.contains("UnsupportedSignature") || text.contains("UnsupportedPublicKey") {
        "irsa cannot check its signature: it supports RSA, ECDSA on P-256 and P-384, and Ed25519"
    } else if text.contains("CaUsedAsEndEntity") {
        "the server uses the certificate of an authority as its own: give it one that an authority signed"
    } else {
        return text;
    };
    format!("{text}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::CallErrorKind as Kind;
    use serde_json::{Value, json};

    fn answer(code: u16, body: &Value) -> ApiFailure {
        ApiFailure::of_answer(code, body.to_string().as_bytes(), Some("id".into()), 0)
    }

    #[test]
    fn field_conflict_names_each_manager_and_field() {
        let cause = |message: &str, field: &str| json!({"reason": FIELD_CONFLICT, "message": message, "field": field});
        let failure = answer(
            409,
            &json!({
                "kind": "Status", "reason": "Conflict", "message": "Apply failed with 2 conflicts: …",
                "details": {"causes": [
                    cause(r#"conflict with "helm" using v1 at 2026-01-02T03:04:05Z"#, ".metadata.annotations.eks.amazonaws.com/role-arn"),
                    cause(r#"conflict with "a \"b\"""#, ".metadata.labels.irsa/owner"),
                    cause("conflict with nobody", ".secrets"),
                ]},
            }),
        );
        assert!(failure.is_field_conflict() && !failure.is_stale());
        assert_eq!(
            failure.message,
            "manager `helm` holds annotation `eks.amazonaws.com/role-arn`, manager `a \"b\"` holds label `irsa/owner`, \
             manager `conflict with nobody` holds `.secrets`"
        );
        let error = failure.at("apply ServiceAccount");
        assert_eq!((error.kind, error.code.as_deref()), (Kind::Conflict, Some(FIELD_CONFLICT)));
        assert_eq!(error.request_id.as_deref(), Some("id"));
    }

    #[test]
    fn status_code_and_reason_decide_the_kind_and_the_retry() {
        let status = |reason: &str, message: &str| json!({"reason": reason, "message": message});
        let terminating = json!({"reason": "Forbidden", "message": "x", "details": {"causes": [
            {"reason": "NamespaceTerminating", "message": "namespace a is being terminated", "field": "metadata.namespace"},
        ]}});
        let uid = json!({"reason": "Invalid", "message": "x", "details": {"causes": [
            {"reason": "FieldValueInvalid", "message": "field is immutable", "field": "metadata.uid"},
        ]}});
        for (code, body, kind) in [
            (401, status("Unauthorized", "Unauthorized"), Kind::Credentials),
            (403, status("Forbidden", r#"x "a" is forbidden: User "me" cannot get resource "x" in …"#), Kind::Denied),
            (403, status("Forbidden", r#"forbidden: User "me" cannot get path "/x""#), Kind::Denied),
            (403, json!({}), Kind::Denied),
            (403, status("Forbidden", r#"x "a" is forbidden: "#), Kind::Denied),
            (403, status("Forbidden", r#"x "a" is forbidden: RBAC: role.x "b" not found"#), Kind::Denied),
            (403, status("Forbidden", "x is forbidden: exceeded quota: q"), Kind::Limit),
            (
                403,
                status("Forbidden", "x is forbidden: unable to validate against any security context"),
                Kind::Rejected,
            ),
            (403, terminating, Kind::Rejected),
            (404, status("NotFound", "no"), Kind::NotFound),
            (409, status("AlreadyExists", "no"), Kind::AlreadyExists),
            (409, status("Conflict", "the object has been modified"), Kind::Conflict),
            (404, json!({}), Kind::Other),
            (404, status("", "not here"), Kind::Other),
            (410, status("Expired", "too old"), Kind::Other),
            (422, status("Invalid", "no"), Kind::Invalid),
            (422, uid, Kind::Conflict),
            (429, status("TooManyRequests", "slow down"), Kind::Throttled),
            (500, status("InternalError", "no"), Kind::Unavailable),
            (503, status("ServiceUnavailable", "no"), Kind::Unavailable),
        ] {
            let failure = answer(code, &body);
            let is_transient = matches!(kind, Kind::Throttled | Kind::Unavailable);
            let retry = if is_transient { Retry::UntilBudget } else { Retry::Never };
            assert_eq!((failure.kind, failure.retry), (kind, retry), "{code} {body}");
            assert!(!failure.is_field_conflict(), "{code}");
        }
        assert!(answer(409, &status("Conflict", "modified")).is_stale());
        assert!(!answer(409, &status("AlreadyExists", "no")).is_stale());
    }

    #[test]
    fn admission_denial_is_rejected_with_its_whole_message_whatever_its_status() {
        let long =
            "each object needs a label `team` with one of the names that the platform team has given. ".repeat(40);
        let nested = r#"x "a" is forbidden: User "system:serviceaccount:gatekeeper" cannot get resource "x" in …"#;
        for why in [long.trim(), nested] {
            for by in [
                format!(r#"admission webhook "validation.gatekeeper.sh" denied the request: [team] {why}"#),
                format!(
                    r#"serviceaccounts "a" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {why}"#
                ),
            ] {
                for (code, reason) in [
                    (400, ""),
                    (401, "Unauthorized"),
                    (403, "Forbidden"),
                    (404, "NotFound"),
                    (409, "AlreadyExists"),
                    (409, "Conflict"),
                    (413, "RequestEntityTooLarge"),
                    (422, "Invalid"),
                ] {
                    let failure = answer(code, &json!({"reason": reason, "message": by}));
                    assert_eq!((failure.kind, failure.retry), (Kind::Rejected, Retry::Never), "{code} {reason}");
                    assert_eq!(failure.message, by);
                }
                // the policy itself may have failed
                let failure = answer(500, &json!({"message": by}));
                assert_eq!((failure.kind, failure.retry), (Kind::Unavailable, Retry::Briefly));
            }
        }
    }

    #[test]
    fn failing_webhook_is_retried_briefly() {
        let why = r#"Internal error occurred: failed calling webhook "a.b.c": failed to call webhook: Post "https://a.b.svc:443/": EOF"#;
        let failure = answer(500, &json!({"reason": "InternalError", "message": why}));
        assert_eq!((failure.kind, failure.retry), (Kind::Unavailable, Retry::Briefly));
        let failure = answer(500, &json!({"reason": "InternalError", "message": "etcdserver: no leader"}));
        assert_eq!(failure.retry, Retry::UntilBudget);
    }

    #[test]
    fn body_that_is_no_status_is_not_repeated() {
        for body in ["<html>secret</html>", r#"{"secret": 1}"#, ""] {
            let failure = ApiFailure::of_answer(502, body.as_bytes(), None, 7);
            assert_eq!((failure.message.as_str(), failure.code, failure.retry_after), ("HTTP status 502", None, 7));
        }
    }

    #[test]
    fn secrets_in_a_message_are_hidden() {
        let message = "a\u{1b}[31m\r\n  webhook: Authorization: Bearer abc, token k8s-aws-v1.aHR0cHM6Ly9z refused";
        let failure = answer(500, &json!({"reason": "InternalError", "message": message}));
        assert_eq!(failure.message, "a [31m webhook: Authorization: Bearer *** token k8s-aws-v1.*** refused");
        let cause = json!({"reason": FIELD_CONFLICT, "message": "conflict with \"eyJhbGciOiJSUzI1NiJ9.eyJzdWIi\"", "field": ".x"});
        let failure = answer(409, &json!({"reason": "Conflict", "message": "x", "details": {"causes": [cause]}}));
        assert_eq!(failure.message, "manager `eyJ***` holds `.x`");
    }
}
