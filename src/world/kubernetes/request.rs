//! Sends one request, with patience: what passes by itself is tried again inside the budget, and all that goes wrong is
//! told in our own words.

use super::{Inner, error};
use crate::ids::Key;
use crate::model::unseen::is_unseen;
use crate::world::{CallError, CallErrorKind};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use kube::client::{AuthError, Body};
use serde_json::Value;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// The longest that one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) operation: &'static str,
    method: Method,
    path: String,
    content_type: &'static str,
    body: Vec<u8>,
}

/// An answer that is no failure.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) json: Value,
    /// `audit-id`, by which the cluster's operators find the request.
    pub(super) request_id: Option<String>,
}

impl Ask {
    pub(super) fn get(operation: &'static str, path: impl Into<String>) -> Self {
        Self { operation, method: Method::GET, path: path.into(), content_type: "application/json", body: Vec::new() }
    }

    /// Server-side apply (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>).
    pub(super) fn apply(operation: &'static str, path: String, body: &Value) -> Self {
        let content_type = "application/apply-patch+yaml";
        Self { operation, method: Method::PATCH, path, content_type, body: body.to_string().into_bytes() }
    }

    pub(super) fn delete(operation: &'static str, path: String, body: &Value) -> Self {
        let content_type = "application/json";
        Self { operation, method: Method::DELETE, path, content_type, body: body.to_string().into_bytes() }
    }
}

impl Inner {
    /// Sends a request until it is answered for good or the budget is spent.
    pub(super) async fn send(&self, cluster: &Key, ask: Ask) -> Result<Reply, CallError> {
        let place = self.place(cluster)?;
        let end = Instant::now() + self.context.scaled(self.settings.timeout);
        let mut pause = FIRST_PAUSE;
        loop {
            let attempt = async {
                // the semaphore is never closed
                let _permit = place.permits.acquire().await;
                self.requests.fetch_add(1, Ordering::Relaxed);
                self.attempt(cluster, &ask).await
            };
            let limit = self.context.scaled(ATTEMPT).min(end.saturating_duration_since(Instant::now()));
            let failed = match tokio::time::timeout(limit, attempt).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failed)) => failed,
                Err(_) => error(ask.operation, CallErrorKind::Unavailable, "the API server did not answer in time"),
            };
            let passes = matches!(failed.kind, CallErrorKind::Throttled | CallErrorKind::Unavailable);
            let wait = self.context.scaled(jitter(pause));
            if !passes || Instant::now() + wait >= end {
                return Err(failed);
            }
            tracing::debug!(%cluster, operation = ask.operation, why = %failed.message, "trying again");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, cluster: &Key, ask: &Ask) -> Result<Reply, CallError> {
        let link = self.place(cluster)?.link.read().await.clone();
        let Some(link) = link else {
            return Err(error(ask.operation, CallErrorKind::Other, "the cluster is not connected"));
        };
        let mut request = Request::new(Body::from(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask
            .path
            .parse()
            .map_err(|_| error(ask.operation, CallErrorKind::Invalid, "the path of the request is no path"))?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, http::HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(ask.content_type));
        link.authorize(self, cluster, headers).await?;
        let response = link.client.send(request).await.map_err(|wrong| untold(ask.operation, &wrong))?;
        let status = response.status();
        let request_id = response.headers().get("audit-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let body = response.into_body().collect_bytes().await.map_err(|_| {
            let message = "the answer broke off";
            CallError { request_id: request_id.clone(), ..error(ask.operation, CallErrorKind::Unavailable, message) }
        })?;
        let json = serde_json::from_slice(&body);
        if status.is_success() {
            let json = json.map_err(|_| {
                let message = "the answer is no JSON";
                CallError { request_id: request_id.clone(), ..error(ask.operation, CallErrorKind::Unavailable, message) }
            })?;
            return Ok(Reply { status, json, request_id });
        }
        Err(refused(ask.operation, status, &json.unwrap_or(Value::Null), request_id))
    }
}

/// Half to the whole of a pause: several that wait do not come back at once.
fn jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8);
    let share = u32::try_from(random % 1024).unwrap_or(0);
    pause * share / 1024
}

/// The API server's own refusal (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>).
fn refused(operation: &str, status: StatusCode, body: &Value, request_id: Option<String>) -> CallError {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let reason = text(body.get("reason"));
    let kind = match status.as_u16() {
        401 => CallErrorKind::Credentials,
        403 => CallErrorKind::Denied,
        404 => CallErrorKind::NotFound,
        409 if reason == "AlreadyExists" => CallErrorKind::AlreadyExists,
        409 => CallErrorKind::Conflict,
        410 => CallErrorKind::Other,
        429 => CallErrorKind::Throttled,
        500..=599 => CallErrorKind::Unavailable,
        400 | 422 => CallErrorKind::Invalid,
        _ => CallErrorKind::Other,
    };
    let mut message = clean(&text(body.get("message")));
    if message.is_empty() {
        message = format!("the API server answered {}", status.as_u16());
    }
    if let Some(held) = field_conflict(body) {
        message = held;
    }
    let code = if reason.is_empty() { status.as_u16().to_string() } else { clean(&reason) };
    CallError { operation: operation.to_owned(), kind, code: Some(code), message, request_id }
}

/// Who holds which field, where that is why an apply was refused.
fn field_conflict(body: &Value) -> Option<String> {
    let causes = body.get("details")?.get("causes")?.as_array()?;
    let mut held: Vec<String> = causes
        .iter()
        .filter(|cause| cause.get("reason").and_then(Value::as_str) == Some("FieldManagerConflict"))
        .map(|cause| {
            let message = clean(cause.get("message").and_then(Value::as_str).unwrap_or_default());
            let manager = message.split('"').nth(1).unwrap_or("another manager").to_owned();
            format!("manager `{manager}` holds `{}`", clean(cause.get("field").and_then(Value::as_str).unwrap_or_default()))
        })
        .collect();
    held.sort();
    held.dedup();
    (!held.is_empty()).then(|| held.join("; "))
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { ' ' } else { c }).take(1000).collect()
}

/// What `kube` says went wrong, without its words: they may hold what an exec plugin printed.
pub(super) fn untold(operation: &str, wrong: &kube::Error) -> CallError {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(wrong);
    let mut refused = None;
    while let Some(current) = next {
        if let Some(auth) = current.downcast_ref::<AuthError>() {
            return error(operation, CallErrorKind::Credentials, credentials(auth));
        }
        if let Some(kube::Error::Auth(auth)) = current.downcast_ref::<kube::Error>() {
            return error(operation, CallErrorKind::Credentials, credentials(auth));
        }
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            // a TLS failure is an io error whose inside says what the certificate lacks
            let tls = io.get_ref().map(ToString::to_string).filter(|text| text.contains("certificate"));
            refused = Some(tls.map_or_else(|| io.kind().to_string(), |text| clean(&text)));
        }
        next = current.source();
    }
    let message = match refused {
        Some(why) => format!("the API server cannot be reached: {why}"),
        None => "the request could not be sent to the API server".to_owned(),
    };
    error(operation, CallErrorKind::Unavailable, message)
}

/// What is wrong with the credentials of a kubeconfig, without what a plugin printed or was given.
fn credentials(wrong: &AuthError) -> String {
    match wrong {
        AuthError::AuthExecStart(error) => {
            format!("the kubeconfig's exec plugin cannot be run: {}; is it installed?", error.kind())
        }
        AuthError::AuthExecRun { out, .. } => match out.status.code() {
            Some(code) => format!("the kubeconfig's exec plugin ended with {code}; run kubectl to see what it says"),
            None => "the kubeconfig's exec plugin was ended by a signal".to_owned(),
        },
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            "the kubeconfig's exec plugin printed no credential; run kubectl to see what it says".to_owned()
        }
        AuthError::ReadTokenFile(error, path) => {
            format!("cannot read the token file `{}`: {}", path.display(), error.kind())
        }
        _ => "the kubeconfig's credentials cannot be used; run kubectl to see why".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_conflict_names_who_holds_what() {
        let body = json!({"reason": "Conflict", "message": "Apply failed", "details": {"causes": [
            {"reason": "FieldManagerConflict", "message": "conflict with \"helm\" using v1",
             "field": ".metadata.annotations.eks.amazonaws.com/role-arn"}]}});
        let error = refused("apply ServiceAccount", StatusCode::CONFLICT, &body, Some("id".into()));
        assert_eq!(error.kind, CallErrorKind::Conflict);
        assert_eq!(error.message, "manager `helm` holds `.metadata.annotations.eks.amazonaws.com/role-arn`");
        assert_eq!(error.request_id.as_deref(), Some("id"));
    }

    #[test]
    fn statuses_are_told_apart() {
        for (status, kind) in [
            (401, CallErrorKind::Credentials),
            (403, CallErrorKind::Denied),
            (404, CallErrorKind::NotFound),
            (409, CallErrorKind::Conflict),
            (422, CallErrorKind::Invalid),
            (429, CallErrorKind::Throttled),
            (500, CallErrorKind::Unavailable),
            (503, CallErrorKind::Unavailable),
        ] {
            let error = refused("x", StatusCode::from_u16(status).unwrap(), &Value::Null, None);
            assert_eq!(error.kind, kind, "{status}");
            assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn jitter_stays_below_the_pause() {
        assert!((0..100).all(|_| jitter(Duration::from_secs(1)) < Duration::from_secs(1)));
    }
}
