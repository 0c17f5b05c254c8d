//! Sends a request, and retries it until it gets a final answer or its budget is spent.
//!
//! It is safe to send every request here twice. A read and a TokenRequest change nothing. A write is refused the second
//! time if the first one succeeded, because it creates an object, or carries a resourceVersion or uid. After such a
//! refusal, the writer checks what its first attempt did.

use super::connection::{ClusterConnection, Session};
use super::failure::{ApiFailure, Retry, clean, of_kube};
use crate::world::CallErrorKind;
use crate::world::bounds::{MAX_BODY, MAX_ERROR_BODY, is_too_large, too_large};
use crate::world::certificate;
use http::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// The timeout of one attempt, if irsa does not wait for admission webhooks.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The timeout of one attempt that admission webhooks may delay. They may take up to 30 s
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#timeouts>), and the
/// server gives up after 34 s (`requestTimeoutUpperBound` in `apiserver/pkg/endpoints/handlers`). With a shorter
/// timeout, irsa would never learn what the server waited for.
const ADMISSION_ATTEMPT: Duration = Duration::from_secs(35);
/// The first and the longest wait before the next attempt, before jitter.
const WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Attempts to resolve an unknown host name.
const UNRESOLVED_ATTEMPTS: u32 = 2;
/// Attempts to reach a server that has never answered. There are few, because the address may be wrong.
const UNREACHED_ATTEMPTS: u32 = 4;
/// After a failure with `Retry::Briefly`, irsa starts new attempts until this long after the first one, or until twice
/// as long if the answer was lost. All attempts end within twice this time.
const BRIEFLY: Duration = Duration::from_secs(20);

pub(crate) type HttpRequest = http::Request<Vec<u8>>;

/// A response with an HTTP status below 400.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) body: Vec<u8>,
    /// The id of the request in the server's audit log (<https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>).
    pub(crate) request_id: Option<String>,
}

impl ClusterConnection {
    /// Sends a request for which irsa does not wait for admission webhooks: a read, a TokenRequest, or a write of a
    /// Lease.
    pub(crate) async fn send(&self, request: &HttpRequest) -> Result<Reply, ApiFailure> {
        self.send_with_retries(request, false, &CancellationToken::new()).await
    }

    /// Sends a write that admission webhooks may delay. Once `halt` is cancelled, no attempt starts; one in flight is
    /// finished.
    pub(crate) async fn send_with_admission(
        &self,
        request: &HttpRequest,
        halt: &CancellationToken,
    ) -> Result<Reply, ApiFailure> {
        self.send_with_retries(request, true, halt).await
    }

    /// Waiting for a slot before the first attempt does not count against the budget.
    async fn send_with_retries(
        &self,
        request: &HttpRequest,
        waits_for_admission: bool,
        halt: &CancellationToken,
    ) -> Result<Reply, ApiFailure> {
        let ready = async { Ok::<_, ApiFailure>((self.session().await?, self.slot().await?)) };
        let ready = halt.run_until_cancelled(ready).await.filter(|_| !halt.is_cancelled());
        let stopped = || ApiFailure::new(CallErrorKind::Stopped, "irsa did not send it, because the run was stopped");
        let (mut session, mut slot) = ready.ok_or_else(stopped)??;
        let start = Instant::now();
        let mut end = start + self.run.budget();
        let attempt_timeout = self.run.context.scaled(if waits_for_admission { ADMISSION_ATTEMPT } else { ATTEMPT });
        let briefly = self.run.context.scaled(BRIEFLY);
        let (mut tries, mut renewed) = (0, false);
        let mut earlier: Option<ApiFailure> = None;
        loop {
            tries += 1;
            let limit = attempt_timeout.min(end.saturating_duration_since(Instant::now()));
            let failure = match timeout(limit, self.attempt(&session, request)).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failure)) => failure,
                Err(_) => timed_out(waits_for_admission),
            };
            drop(slot);
            // an attempt cut short by the end of the budget says less than the one before it
            if let Some(earlier) = earlier.filter(|_| limit < attempt_timeout && failure.status.is_none()) {
                return Err(earlier);
            }
            if failure.status == Some(401) && !renewed && !halt.is_cancelled() && self.mark_refused(&session) {
                renewed = true;
            } else {
                let may_retry = match failure.retry {
                    Retry::Never => false,
                    Retry::Once => tries < UNRESOLVED_ATTEMPTS,
                    Retry::Briefly | Retry::UntilBudget => {
                        self.reached.load(Ordering::Relaxed) || tries < UNREACHED_ATTEMPTS
                    }
                };
                let mut last_start = end;
                if failure.retry == Retry::Briefly {
                    end = end.min(start + 2 * briefly);
                    // a write whose answer was lost may use the remaining time for one more attempt
                    last_start = if failure.status.is_some() { end.min(start + briefly) } else { end };
                }
                let wait = self.run.context.scaled(wait(tries, failure.retry_after));
                if !may_retry || Instant::now() + wait >= last_start {
                    return Err(failure);
                }
                if halt.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                    return Err(failure);
                }
            }
            session = self.session().await?;
            slot = match timeout_at(end, self.slot()).await {
                Ok(slot) => slot?,
                Err(_) => return Err(failure),
            };
            earlier = Some(failure);
        }
    }

    /// Limits the number of concurrent requests.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, ApiFailure> {
        self.slots.acquire().await.map_err(|_| ApiFailure::other("irsa has closed its connection to the cluster"))
    }

    async fn attempt(&self, session: &Session, request: &HttpRequest) -> Result<Reply, ApiFailure> {
        self.run.requests.fetch_add(1, Ordering::Relaxed);
        let mut request = request.clone();
        if let Some(value) = &session.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let sent = session.client.send(request.map(Body::from)).await;
        let response = sent.map_err(|error| self.with_authority_hint(of_kube(&error)))?;
        let (head, body) = response.into_parts();
        let (status, headers) = (head.status.as_u16(), head.headers);
        let body = match Limited::new(body, if status < 400 { MAX_BODY } else { MAX_ERROR_BODY }).collect().await {
            Ok(body) => body.to_bytes().to_vec(),
            // the status says enough
            Err(error) if status >= 400 && is_too_large(error.as_ref()) => Vec::new(),
            Err(error) => return Err(unread(error.as_ref())),
        };
        self.reached.store(true, Ordering::Relaxed);
        self.run.warnings.add(&self.key, &headers);
        let request_id = text(&headers, "audit-id").map(clean);
        if status >= 400 {
            let seconds = text(&headers, RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).unwrap_or(0);
            return Err(ApiFailure::of_answer(status, &body, request_id, seconds));
        }
        Ok(Reply { body, request_id })
    }

    /// Explains an untrusted server certificate if the kubeconfig has server certificates in place of authorities.
    fn with_authority_hint(&self, failure: ApiFailure) -> ApiFailure {
        let authorities = self.target.config.root_cert.as_deref().unwrap_or_default();
        let are_leaves = !authorities.is_empty() && authorities.iter().all(|der| certificate::is_leaf(der));
        if !are_leaves || !failure.message.contains("UnknownIssuer") {
            return failure;
        }
        let why = "`certificate-authority` of the kubeconfig is a server's own certificate, not an authority: name the \
                   certificate that signed it";
        ApiFailure { message: format!("{}; {why}", failure.message), ..failure }
    }
}

fn timed_out(waits_for_admission: bool) -> ApiFailure {
    let message = "the API did not answer in time";
    if !waits_for_admission {
        return ApiFailure::broken(message);
    }
    let message = format!("{message}: an admission webhook may hang, or the connection to the API is broken");
    ApiFailure { retry: Retry::Briefly, ..ApiFailure::broken(message) }
}

/// The failure to read the body of a response.
fn unread(error: &(dyn std::error::Error + 'static)) -> ApiFailure {
    if is_too_large(error) {
        return ApiFailure::other(too_large());
    }
    match error.downcast_ref::<kube::Error>() {
        Some(error) => of_kube(error),
        None => ApiFailure::broken("the connection was lost in the middle of the answer"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Exponential with full jitter, but not shorter than the server asks.
fn wait(tries: u32, retry_after: u32) -> Duration {
    let (first, longest) = WAIT;
    let most = first.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(longest);
    most.mul_f64(random_fraction()).max(Duration::from_secs(retry_after.into()))
}

/// From 0 to 1. Does not use the run's seed, because jitter only has to keep processes from retrying at the same time.
fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
