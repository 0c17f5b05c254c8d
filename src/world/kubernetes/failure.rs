//! A failed request to a Kubernetes API: what kind of failure it is, its message, and whether to retry.
//!
//! irsa never uses kube's error texts as they are, because some contain the output and environment of an exec plugin.
//! An error response is read as a `Status`
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>).

pub(crate) use crate::world::redact::clean;
use crate::world::redact::clean_long;
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

/// Whether, and for how long, to retry a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    Never,
    /// One more attempt, because the host name is unknown.
    Once,
    /// For a short time, because the server works, but a webhook or another dependency of it does not.
    Briefly,
    /// Until the budget of the operation is spent, or for a few attempts if the server has never answered.
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

    pub(crate) fn unbuilt() -> Self {
        Self::invalid("the request could not be built")
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

    /// Whether the server's certificate is not trusted, or the system has no authorities to trust.
    pub(crate) fn is_untrusted(&self) -> bool {
        [UNTRUSTED, UNUSABLE].iter().any(|text| self.message.contains(text))
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
            // a webhook or policy may refuse with any HTTP code, so the message decides. But with a transient code
            // (429, 5xx), the webhook itself may have failed
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

/// What rustls says of a certificate that it does not trust.
const UNTRUSTED: &str = "invalid peer certificate";
/// kube could not set up TLS.
const UNUSABLE: &str = "its authority, client certificate or key cannot be used";
const FIELD_CONFLICT: &str = "FieldManagerConflict";
/// The cause with which the NamespaceLifecycle admission plugin refuses to create objects in a namespace that is being
/// deleted.
const TERMINATING: &str = "NamespaceTerminating";

/// Whether an authorizer refused: `… forbidden: User "NAME" cannot VERB …`. The API authorizes an apply that creates an
/// object twice: as `patch`, and then as `create`. The second refusal has only the authorizer's own reason, which is
/// empty or begins with `RBAC:` (`withAuthorization` in `apiserver/pkg/endpoints/handlers/create.go`). Any other 403
/// with a reason comes from an admission plugin
/// (<https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/>), or from an authorizer whose
/// words irsa does not know.
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
fn quoted(text: &str) -> Option<String> {
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
        kube::Error::RustlsTls(_) => ApiFailure::credentials(UNUSABLE),
        kube::Error::HyperError(source) => of_connection(source),
        kube::Error::Service(source) if source.is::<kube::client::AuthError>() => {
            ApiFailure::credentials("the token file cannot be read")
        }
        kube::Error::Service(source) => of_connection(source.as_ref()),
        _ => ApiFailure::other("the request could not be made"),
    }
}

/// A failed connection, with the whole chain of causes, because the outer ones say little.
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
    if text.contains(UNTRUSTED) {
        return ApiFailure { retry: Retry::Never, ..ApiFailure::broken(with_certificate_hint(text)) };
    }
    let retry = if text.contains("dns error") || text.contains("failed to lookup address") {
        Retry::Once
    } else {
        Retry::UntilBudget
    };
    ApiFailure { retry, ..ApiFailure::broken(text) }
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
mod tests;
