//! Sends a request until there is an answer that counts, or the budget is spent.
//!
//! All requests that are sent here may be sent twice: reads, applies, deletes with preconditions, and the writes of a
//! Lease, which are refused where the first one came through. A writer that is refused makes sure of what it did.

use super::certificate;
use super::connect::Connection;
use super::failure::{ApiFailure, of_kube};
use super::session::Session;
use crate::world::bounds::{BODY, REFUSAL, is_too_large, too_large};
use http::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long one attempt of a read may take.
const READ: Duration = Duration::from_secs(10);
/// And one of a write: admission webhooks may take up to 30 s
/// (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#timeouts>), and the server
/// itself gives up after 34 s (`requestTimeoutUpperBound` in `apiserver/pkg/endpoints/handlers`). Ended before that, it
/// would never be told what the server waited for.
const WRITE: Duration = Duration::from_secs(35);
/// The first and the longest wait before the next attempt, before jitter.
const WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A name that nobody knows is asked for once more.
const ONCE: u32 = 2;
/// How long attempts are begun at something that the server itself waits for, a webhook that is down or hangs; the last
/// one ends within twice that.
const SOON: Duration = Duration::from_secs(20);
/// A server that never answered is not waited for as long as one that did: its address may be wrong.
const UNREACHED: u32 = 4;

/// A request as kube builds it.
pub(crate) type Request = http::Request<Vec<u8>>;

/// An answer with an HTTP status below 400.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) body: Vec<u8>,
    /// The server's name of the request, as its audit log has it
    /// (<https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>).
    pub(crate) request_id: Option<String>,
}

/// What no answer in time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The way is broken, or the server is busy: another attempt may do better.
    Plain,
    /// The server waits for something itself, and would again.
    Admitted,
}

impl Kind {
    fn attempt(self) -> Duration {
        match self {
            Self::Plain => READ,
            Self::Admitted => WRITE,
        }
    }

    fn late(self) -> ApiFailure {
        let late = "the API did not answer in time";
        match self {
            Self::Plain => ApiFailure::broken(late),
            Self::Admitted => {
                let text = format!("{late}: an admission webhook may hang, or the way to the API is broken");
                ApiFailure { soon: true, ..ApiFailure::broken(text) }
            }
        }
    }
}

impl Connection {
    /// Sends the request. The budget begins when it is its turn.
    pub(crate) async fn send(&self, request: &Request) -> Result<Reply, ApiFailure> {
        self.deliver(request, Kind::Plain, &CancellationToken::new()).await
    }

    /// Sends a write that admission webhooks may hold up. Nothing is sent any more once `halt` is cancelled; what is under
    /// way then is waited for.
    pub(crate) async fn send_unless(&self, request: &Request, halt: &CancellationToken) -> Result<Reply, ApiFailure> {
        self.deliver(request, Kind::Admitted, halt).await
    }

    async fn deliver(&self, request: &Request, kind: Kind, halt: &CancellationToken) -> Result<Reply, ApiFailure> {
        let ready = async { Ok::<_, ApiFailure>((self.session().await?, self.permit().await?)) };
        let ready = halt.run_until_cancelled(ready).await.filter(|_| !halt.is_cancelled());
        let (mut session, mut permit) = ready.ok_or_else(ApiFailure::stopped)??;
        let begin = Instant::now();
        let mut end = begin + self.run.budget();
        let whole = self.run.context.scaled(kind.attempt());
        let soon = self.run.context.scaled(SOON);
        let (mut tries, mut renewed) = (0, false);
        let mut earlier: Option<ApiFailure> = None;
        loop {
            tries += 1;
            let limit = whole.min(end.saturating_duration_since(Instant::now()));
            let failure = match timeout(limit, self.attempt(&session, request)).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failure)) => failure,
                Err(_) => kind.late(),
            };
            drop(permit);
            // an attempt that the end of the budget cut short says less than the one before it
            if let Some(earlier) = earlier.filter(|_| limit < whole && failure.status.is_none()) {
                return Err(earlier);
            }
            if failure.status == Some(401) && !renewed && !halt.is_cancelled() && self.refuse(&session) {
                renewed = true;
            } else {
                let most = if failure.once { ONCE } else { UNREACHED };
                let reached = self.reached.load(Ordering::Relaxed) && !failure.once;
                let patient = reached || tries < most;
                let wait = self.run.context.scaled(wait(tries, failure.retry_after));
                if failure.soon {
                    end = end.min(begin + 2 * soon);
                }
                // a write whose answer was lost has the rest for another attempt
                let last = if failure.soon && failure.status.is_some() { end.min(begin + soon) } else { end };
                if !failure.transient || !patient || Instant::now() + wait >= last {
                    return Err(failure);
                }
                if halt.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                    return Err(failure);
                }
            }
            session = self.session().await?;
            permit = match timeout_at(end, self.permit()).await {
                Ok(permit) => permit?,
                Err(_) => return Err(failure),
            };
            earlier = Some(failure);
        }
    }

    /// One of the requests that may be under way at once.
    async fn permit(&self) -> Result<SemaphorePermit<'_>, ApiFailure> {
        self.permits.acquire().await.map_err(|_| ApiFailure::other("the cluster was closed"))
    }

    async fn attempt(&self, session: &Session, request: &Request) -> Result<Reply, ApiFailure> {
        self.run.requests.fetch_add(1, Ordering::Relaxed);
        let mut request = request.clone();
        if let Some(value) = &session.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let sent = session.client.send(request.map(Body::from)).await;
        let response = sent.map_err(|error| self.explained(of_kube(&error)))?;
        let (head, body) = response.into_parts();
        let (status, headers) = (head.status.as_u16(), head.headers);
        let body = match Limited::new(body, if status < 400 { BODY } else { REFUSAL }).collect().await {
            Ok(body) => body.to_bytes().to_vec(),
            // what it is about, the status says
            Err(error) if status >= 400 && is_too_large(error.as_ref()) => Vec::new(),
            Err(error) => return Err(unread(error.as_ref())),
        };
        self.reached.store(true, Ordering::Relaxed);
        self.run.warnings.hear(&self.key, &headers);
        let request_id = text(&headers, "audit-id").map(super::failure::clean);
        if status >= 400 {
            let seconds = text(&headers, RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).unwrap_or(0);
            return Err(ApiFailure::of_answer(status, &body, request_id, seconds));
        }
        Ok(Reply { body, request_id })
    }
}

impl Connection {
    /// Says what may be wrong with the kubeconfig where the server's certificate is not trusted.
    fn explained(&self, failure: ApiFailure) -> ApiFailure {
        let authorities = self.authorities();
        let leaves = !authorities.is_empty() && authorities.iter().all(|der| certificate::is_leaf(der));
        if !leaves || !failure.message.contains("UnknownIssuer") {
            return failure;
        }
        let why = "what the kubeconfig names as `certificate-authority` is a server's own certificate and no authority: \
                   name the certificate that it was signed with";
        ApiFailure { message: format!("{}; {why}", failure.message), ..failure }
    }
}

/// Why the body of an answer could not be read.
fn unread(error: &(dyn std::error::Error + 'static)) -> ApiFailure {
    if is_too_large(error) {
        return ApiFailure::other(too_large());
    }
    match error.downcast_ref::<kube::Error>() {
        Some(error) => of_kube(error),
        None => ApiFailure::broken("the answer broke off"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Full jitter, but no sooner than the server asks.
fn wait(tries: u32, retry_after: u32) -> Duration {
    let (first, longest) = WAIT;
    let most = first.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(longest);
    most.mul_f64(fraction()).max(Duration::from_secs(retry_after.into()))
}

/// Between 0 and 1; jitter is there to set processes apart, so its seed is the process's own.
fn fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_heed_the_server() {
        for (tries, most) in [(1, 200), (2, 400), (3, 800), (7, 10_000), (40, 10_000)] {
            let waits: Vec<Duration> = (0..200).map(|_| wait(tries, 0)).collect();
            let longest = waits.iter().max().unwrap();
            assert!(*longest <= Duration::from_millis(most), "{tries}: {longest:?}");
            assert!(*longest > Duration::from_millis(most / 2), "{tries}: spread, {longest:?}");
            assert!(*waits.iter().min().unwrap() < Duration::from_millis(most / 2), "{tries}");
        }
        assert!(wait(1, 3) >= Duration::from_secs(3));
    }
}
