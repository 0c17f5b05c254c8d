//! What went wrong with a request, freed of kube's types, and what to make of it.
//!
//! kube's own error texts are never used as they are: those of its credentials print a plugin's output and environment.
//! An answer's `Status` is told by its code, reason and causes
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>).

pub(crate) use crate::world::scrub::clean;
use crate::world::scrub::clean_whole;
use crate::world::{CallError, CallErrorKind};
use kube::core::Status;
use kube::core::response::StatusCause;
use std::fmt::Write;

/// A request that did not give what it was made for.
#[derive(Debug, Clone)]
pub(crate) struct ApiFailure {
    pub(crate) kind: CallErrorKind,
    /// The HTTP status, where there was an answer.
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    pub(crate) causes: Vec<StatusCause>,
    /// The seconds after which the server wants to be asked again.
    pub(crate) retry_after: u32,
    /// Whether asking again may go better.
    pub(crate) transient: bool,
    /// Once, and hardly.
    pub(crate) once: bool,
    /// Soon or not at all: the server is well, and something that it asks is not.
    pub(crate) soon: bool,
}

impl ApiFailure {
    fn new(kind: CallErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            code: None,
            message: message.into(),
            request_id: None,
            causes: Vec::new(),
            retry_after: 0,
            transient: false,
            once: false,
            soon: false,
        }
    }

    /// The request or the configuration is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::Invalid, message)
    }

    /// There are no credentials to ask with.
    pub(crate) fn credentials(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::Credentials, message)
    }

    /// The way there or back is broken.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { transient: true, ..Self::new(CallErrorKind::Unavailable, message) }
    }

    /// It was never sent.
    pub(crate) fn stopped() -> Self {
        Self::new(CallErrorKind::Stopped, "it was not sent")
    }

    /// Someone else changed it.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::Conflict, message)
    }

    /// It was written, and something on the way to the store changed it.
    pub(crate) fn altered(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::Altered, message)
    }

    /// There is no such object.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::NotFound, message)
    }

    /// Anything else.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(CallErrorKind::Other, message)
    }

    /// The error of `operation`.
    pub(crate) fn at(self, operation: &str) -> CallError {
        let Self { kind, code, message, request_id, .. } = self;
        CallError { operation: operation.to_owned(), kind, code, message, request_id }
    }

    /// An answer with an HTTP status of 400 or more. A body that is no `Status` comes from something in between, and is
    /// not repeated.
    pub(crate) fn of_answer(code: u16, body: &[u8], request_id: Option<String>, retry_after: u32) -> Self {
        let status = serde_json::from_slice::<Status>(body).ok();
        let status = status.filter(|status| !status.message.is_empty() || !status.reason.is_empty());
        let status = status.unwrap_or_else(|| Status::failure(&format!("HTTP status {code}"), ""));
        let (causes, told) =
            status.details.map_or((Vec::new(), 0), |details| (details.causes, details.retry_after_seconds));
        let reason = Some(clean(&status.reason)).filter(|reason| !reason.is_empty());
        let mut failure = Self {
            kind: CallErrorKind::Other,
            status: Some(code),
            code: reason,
            message: clean(&status.message),
            request_id,
            causes,
            retry_after: retry_after.max(told),
            transient: matches!(code, 429 | 500 | 502 | 503 | 504),
            once: false,
            soon: asks_in_vain(&status.message) || is_policys(&status.message),
        };
        failure.kind = failure.kind_of(code, &status.reason);
        if failure.kind == CallErrorKind::Rejected || is_policys(&failure.message) {
            failure.message = clean_whole(&status.message);
        }
        if failure.has_cause(TERMINATING) {
            failure.code = Some(TERMINATING.to_owned());
        }
        if failure.is_field_conflict() {
            failure.code = Some(FIELD_CONFLICT.to_owned());
            failure.message = failure.holders();
        }
        failure
    }

    fn kind_of(&self, code: u16, reason: &str) -> CallErrorKind {
        match code {
            // a policy answers with any code that its author likes: that is no word on credentials, object or server,
            // but for one that could not judge
            _ if is_policys(&self.message) && !self.transient => CallErrorKind::Rejected,
            401 => CallErrorKind::Credentials,
            // the ResourceQuota admission plugin
            403 if self.message.contains("exceeded quota") => CallErrorKind::Limit,
            // what is no `Status` comes from something in between
            403 if reason.is_empty() || is_authorizers(&self.message) => CallErrorKind::Denied,
            403 => CallErrorKind::Rejected,
            // anything in between may say 404 too: that is no word on the object
            404 if reason == "NotFound" => CallErrorKind::NotFound,
            409 if reason == "AlreadyExists" => CallErrorKind::AlreadyExists,
            409 => CallErrorKind::Conflict,
            // an object that was made anew has another uid, and the uid cannot be changed
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

    /// A 409 since another manager holds a field that was applied
    /// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>).
    pub(crate) fn is_field_conflict(&self) -> bool {
        self.status == Some(409) && self.has_cause(FIELD_CONFLICT)
    }

    /// A 409 since the object has another version than the one that was sent.
    pub(crate) fn is_stale(&self) -> bool {
        self.status == Some(409) && self.kind == CallErrorKind::Conflict && !self.has_cause(FIELD_CONFLICT)
    }

    /// Who holds which field, from the causes of a field conflict.
    fn holders(&self) -> String {
        let mut text = String::new();
        for cause in self.causes.iter().filter(|cause| cause.reason == FIELD_CONFLICT) {
            if !text.is_empty() {
                text.push_str(", ");
            }
            let (manager, field) = (quoted(&cause.message), field(&cause.field));
            // writing to a String cannot fail
            let _ = write!(text, "manager `{}` holds {}", clean(&manager), clean(&field));
        }
        text
    }
}

/// The reason of a cause that names another manager.
const FIELD_CONFLICT: &str = "FieldManagerConflict";
/// The reason of a cause that says that nothing can be made in a namespace any more: the NamespaceLifecycle admission
/// plugin's.
const TERMINATING: &str = "NamespaceTerminating";

/// Whether an authorizer refused: `… forbidden: User "NAME" cannot VERB …`. An apply that makes an object is authorized once
/// more, as a `create`, and then the authorizer's reason is all that is told: RBAC has none, or that it failed at a rule
/// (`withAuthorization` in `apiserver/pkg/endpoints/handlers/create.go`). Every other 403 of the API server is an admission
/// plugin's (<https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/>), or another authorizer's.
fn is_authorizers(message: &str) -> bool {
    let why = message.split_once("forbidden:").map(|(_, why)| why.trim_start());
    why.is_some_and(|why| {
        why.is_empty() || why.starts_with("RBAC:") || why.starts_with("User \"") && why.contains("\" cannot ")
    })
}

/// Whether a webhook or a policy of the cluster's own refused:
/// `admission webhook "NAME" denied the request: …`, `… ValidatingAdmissionPolicy 'NAME' with binding 'NAME' denied request: …`
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response>).
pub(crate) fn is_policys(message: &str) -> bool {
    let webhook = message.starts_with("admission webhook \"") && message.contains("\" denied the request");
    let policy = message.split_once("AdmissionPolicy '").is_some_and(|(_, rest)| rest.contains("' denied request: "));
    webhook || policy
}

/// Whether the API server could not ask a webhook, which is down or slow, or has itself waited too long for something.
fn asks_in_vain(message: &str) -> bool {
    message.contains("failed calling webhook \"") || message.contains("request did not complete within")
}

/// The manager in `conflict with "kubectl" using v1 at …`, or the whole text if it has no such form.
fn quoted(text: &str) -> String {
    let Some(start) = text.find('"') else { return text.to_owned() };
    // Go quotes nearly as JSON does
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<String>();
    match values.next() {
        Some(Ok(name)) => name,
        _ => text.to_owned(),
    }
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

/// An error that kube gave instead of an answer. Our sessions are built without plugins, so that only the way to the
/// server and a token's file can fail here.
pub(crate) fn of_kube(error: &kube::Error) -> ApiFailure {
    match error {
        kube::Error::Auth(_) => ApiFailure::credentials("the token's file cannot be read"),
        kube::Error::ProxyProtocolDisabled { .. } | kube::Error::ProxyProtocolUnsupported { .. } => {
            ApiFailure::invalid(
                "its proxy is of a kind that irsa does not know: `http`, `https` and `socks5` are known",
            )
        }
        kube::Error::InferKubeconfig(_) => ApiFailure::credentials("its client certificate or key cannot be read"),
        kube::Error::RustlsTls(_) => ApiFailure::credentials("its authority, client certificate or key cannot be used"),
        kube::Error::HyperError(source) => of_source(source),
        kube::Error::Service(source) if source.is::<kube::client::AuthError>() => {
            ApiFailure::credentials("the token's file cannot be read")
        }
        kube::Error::Service(source) => of_source(source.as_ref()),
        _ => ApiFailure::other("the request could not be made"),
    }
}

/// A failed connection: the whole chain of causes, since the outer ones say little.
fn of_source(error: &(dyn std::error::Error + 'static)) -> ApiFailure {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = clean(&error.to_string());
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    let text = texts.join(": ");
    if text.contains("proxy authorization required") {
        return ApiFailure::invalid(
            "its proxy wants a user name and a password (HTTP status 407): give them in its address, \
             `http://USER:PASSWORD@HOST:PORT`, in `proxy-url` of the kubeconfig or `HTTPS_PROXY`",
        );
    }
    // a certificate does not get better by asking again
    if text.contains("invalid peer certificate") {
        return ApiFailure { transient: false, ..ApiFailure::broken(advised(text)) };
    }
    let once = text.contains("dns error") || text.contains("failed to lookup address");
    ApiFailure { once, ..ApiFailure::broken(text) }
}

/// What is to be done about a certificate, where rustls' own words do not say it.
fn advised(text: String) -> String {
    let advice = if text.contains("UnsupportedSignature") || text.contains("UnsupportedPublicKey") {
        "it is signed in a way that irsa cannot check: RSA, ECDSA on P-256 and P-384, and Ed25519 can be"
    } else if text.contains("CaUsedAsEndEntity") {
        "the server shows the certificate of an authority as its own: give it one that an authority has signed"
    } else {
        return text;
    };
    format!("{text}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn answer(code: u16, body: &Value) -> ApiFailure {
        ApiFailure::of_answer(code, body.to_string().as_bytes(), Some("id".into()), 0)
    }

    #[test]
    fn a_field_conflict_names_each_manager_and_field() {
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
        assert_eq!((error.kind, error.code.as_deref()), (CallErrorKind::Conflict, Some(FIELD_CONFLICT)));
        assert_eq!(error.request_id.as_deref(), Some("id"));
    }

    #[test]
    fn each_status_has_its_kind() {
        let status = |reason: &str, message: &str| json!({"reason": reason, "message": message});
        let terminating = json!({"reason": "Forbidden", "message": "x", "details": {"causes": [
            {"reason": "NamespaceTerminating", "message": "namespace a is being terminated", "field": "metadata.namespace"},
        ]}});
        let uid = json!({"reason": "Invalid", "message": "x", "details": {"causes": [
            {"reason": "FieldValueInvalid", "message": "field is immutable", "field": "metadata.uid"},
        ]}});
        for (code, body, kind, transient) in [
            (401, status("Unauthorized", "Unauthorized"), CallErrorKind::Credentials, false),
            (
                403,
                status("Forbidden", r#"x "a" is forbidden: User "me" cannot get resource "x" in …"#),
                CallErrorKind::Denied,
                false,
            ),
            (403, status("Forbidden", r#"forbidden: User "me" cannot get path "/x""#), CallErrorKind::Denied, false),
            (403, json!({}), CallErrorKind::Denied, false),
            (403, status("Forbidden", r#"x "a" is forbidden: "#), CallErrorKind::Denied, false),
            (
                403,
                status("Forbidden", r#"x "a" is forbidden: RBAC: role.x "b" not found"#),
                CallErrorKind::Denied,
                false,
            ),
            (403, status("Forbidden", "x is forbidden: exceeded quota: q"), CallErrorKind::Limit, false),
            (
                403,
                status("Forbidden", "x is forbidden: unable to validate against any security context"),
                CallErrorKind::Rejected,
                false,
            ),
            (403, terminating, CallErrorKind::Rejected, false),
            (404, status("NotFound", "no"), CallErrorKind::NotFound, false),
            (409, status("AlreadyExists", "no"), CallErrorKind::AlreadyExists, false),
            (409, status("Conflict", "the object has been modified"), CallErrorKind::Conflict, false),
            (404, json!({}), CallErrorKind::Other, false),
            (404, status("", "not here"), CallErrorKind::Other, false),
            (410, status("Expired", "too old"), CallErrorKind::Other, false),
            (422, status("Invalid", "no"), CallErrorKind::Invalid, false),
            (422, uid, CallErrorKind::Conflict, false),
            (429, status("TooManyRequests", "slow down"), CallErrorKind::Throttled, true),
            (500, status("InternalError", "no"), CallErrorKind::Unavailable, true),
            (503, status("ServiceUnavailable", "no"), CallErrorKind::Unavailable, true),
        ] {
            let failure = answer(code, &body);
            assert_eq!((failure.kind, failure.transient), (kind, transient), "{code} {body}");
            assert!(!failure.is_field_conflict(), "{code}");
        }
        assert!(answer(409, &status("Conflict", "modified")).is_stale());
        assert!(!answer(409, &status("AlreadyExists", "no")).is_stale());
    }

    /// Whatever code its author has chosen.
    #[test]
    fn a_policys_refusal_is_told_whole_and_taken_for_nothing_else() {
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
                    assert_eq!((failure.kind, failure.transient), (CallErrorKind::Rejected, false), "{code} {reason}");
                    assert_eq!(failure.message, by);
                }
                // it may have failed itself, and do better in a moment
                let failure = answer(500, &json!({"message": by}));
                assert_eq!((failure.kind, failure.transient, failure.soon), (CallErrorKind::Unavailable, true, true));
            }
        }
    }

    #[test]
    fn a_webhook_that_is_down_is_not_waited_for_as_long_as_the_server() {
        let why = r#"Internal error occurred: failed calling webhook "a.b.c": failed to call webhook: Post "https://a.b.svc:443/": EOF"#;
        let failure = answer(500, &json!({"reason": "InternalError", "message": why}));
        assert_eq!((failure.kind, failure.transient, failure.soon), (CallErrorKind::Unavailable, true, true));
        assert!(!answer(500, &json!({"reason": "InternalError", "message": "etcdserver: no leader"})).soon);
    }

    #[test]
    fn a_body_that_is_no_status_is_not_repeated() {
        for body in ["<html>secret</html>", r#"{"secret": 1}"#, ""] {
            let failure = ApiFailure::of_answer(502, body.as_bytes(), None, 7);
            assert_eq!((failure.message.as_str(), failure.code, failure.retry_after), ("HTTP status 502", None, 7));
        }
    }

    #[test]
    fn what_an_answer_says_comes_without_secrets() {
        let message = "a\u{1b}[31m\r\n  webhook: Authorization: Bearer abc, token k8s-aws-v1.aHR0cHM6Ly9z refused";
        let failure = answer(500, &json!({"reason": "InternalError", "message": message}));
        assert_eq!(failure.message, "a [31m webhook: Authorization: Bearer *** token k8s-aws-v1.*** refused");
        let cause = json!({"reason": FIELD_CONFLICT, "message": "conflict with \"eyJhbGciOiJSUzI1NiJ9.eyJzdWIi\"", "field": ".x"});
        let failure = answer(409, &json!({"reason": "Conflict", "message": "x", "details": {"causes": [cause]}}));
        assert_eq!(failure.message, "manager `eyJ***` holds `.x`");
    }
}
