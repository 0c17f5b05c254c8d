//! The gate: every request to a sandbox server passes it twice, before it is executed and before it is answered.
//!
//! The gate logs, delays, throttles, refuses or drops requests, as tests ask. A fault at [`Stage::Before`] leaves the
//! server's state unchanged, except [`Fault::Delay`] and [`Fault::Truncate`], with which the server still executes the
//! request. A fault at [`Stage::After`] drops or replaces the answer to a request that has already taken effect. Each
//! server describes its own requests by implementing [`GatedRequest`].

mod bucket;
mod stale;
#[cfg(test)]
mod tests;

pub use bucket::Bucket;
pub(crate) use stale::Stale;

use crate::wire::{self, Payload};
use bucket::Buckets;
use http::Response;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A request as the gate sees it. Each server implements this trait for its own requests.
pub trait GatedRequest: Clone + Send + Sync + 'static {
    /// Selects the requests that a fault applies to.
    type Match: Send;
    /// The error that answers a refused request.
    type Refusal: Clone + Send;

    /// The request's number: 1 for the first to arrive.
    fn number(&self) -> u64;
    /// Assigns the request's number.
    fn set_number(&mut self, number: u64);
    /// Whether the selector matches this request.
    fn fits(&self, what: &Self::Match) -> bool;
    /// Whether the request changes stored state. Dry runs do not.
    fn changes(&self) -> bool;
    /// The service's "access denied" error for this request.
    fn denied(&self) -> Self::Refusal;
    /// The name of the token bucket for this request. Requests with the same name share a bucket.
    fn bucket_key(&self) -> String;
    /// The service's throttling error.
    fn throttled(&self) -> Self::Refusal;
}

/// A logged request and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<C> {
    /// The request.
    pub call: C,
    /// The HTTP status that was sent. None while the request is running, or if the answer was dropped.
    pub answer: Option<u16>,
    /// The HTTP status that the server itself produced. None if a fault prevented execution.
    pub outcome: Option<u16>,
    /// The last fault that was applied: [`Fault::name`], `throttle` or `stale`.
    pub fault: Option<&'static str>,
}

/// When a fault applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before the request is executed.
    Before,
    /// After the request is executed, before the answer is sent.
    After,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault<R> {
    /// Answers 403, as if the caller lacked the permission.
    Deny,
    /// Answers with this error.
    Refuse(R),
    /// Waits this long, then continues.
    Delay(Duration),
    /// Never answers.
    Hang,
    /// Closes the connection (under HTTP/2, resets the stream) without an answer.
    Drop,
    /// Answers outside the service's protocol, as a proxy or load balancer would.
    Page {
        /// The HTTP status.
        status: u16,
        /// The HTML body.
        body: String,
    },
    /// Sends the real headers and half of the body, then closes the connection. The request is executed at either
    /// stage.
    Truncate,
}

impl<R> Fault<R> {
    /// A load balancer's 502 page.
    pub fn bad_gateway() -> Self {
        Self::page(502, "Bad Gateway")
    }

    /// A load balancer's 504 page.
    pub fn gateway_timeout() -> Self {
        Self::page(504, "Gateway Time-out")
    }

    /// A load balancer's error page with this status and title.
    pub fn page(status: u16, title: &str) -> Self {
        let body = format!(
            "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1>\
             </center>\r\n</body>\r\n</html>\r\n"
        );
        Self::Page { status, body }
    }

    /// The fault's name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Refuse(_) => "refuse",
            Self::Delay(_) => "delay",
            Self::Hang => "hang",
            Self::Drop => "drop",
            Self::Page { .. } => "page",
            Self::Truncate => "truncate",
        }
    }
}

/// The boxed future that [`Admission::decide`] returns: the fault to apply, if any.
pub type Decision<'a, C> = Pin<Box<dyn Future<Output = Option<Fault<<C as GatedRequest>::Refusal>>> + Send + 'a>>;

/// A test's own hook that decides about each request. It may wait, which holds the request.
pub trait Admission<C: GatedRequest>: Send + Sync {
    /// Called at both stages. `outcome` is the status that the server produced; it is None at [`Stage::Before`].
    fn decide<'a>(&'a self, stage: Stage, call: &'a C, outcome: Option<u16>) -> Decision<'a, C>;
}

struct Rule<C: GatedRequest> {
    what: C::Match,
    stage: Stage,
    fault: Fault<C::Refusal>,
    left: Option<u32>,
}

struct State<C: GatedRequest> {
    log: VecDeque<Record<C>>,
    count: u64,
    rules: Vec<Rule<C>>,
    admission: Option<Arc<dyn Admission<C>>>,
    latency: Duration,
    buckets: Buckets,
    /// Running requests whose answers will be truncated.
    cut: BTreeSet<u64>,
}

/// The request log, the configured faults and the throttling of one server.
pub struct Gate<C: GatedRequest> {
    state: Mutex<State<C>>,
}

impl<C: GatedRequest> Default for Gate<C> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                log: VecDeque::new(),
                count: 0,
                rules: Vec::new(),
                admission: None,
                latency: Duration::ZERO,
                buckets: Buckets::default(),
                cut: BTreeSet::new(),
            }),
        }
    }
}

impl<C: GatedRequest> fmt::Debug for Gate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("log", &self.state().log.len()).finish_non_exhaustive()
    }
}

/// What the server does next with a request that passed the gate.
pub(crate) enum Passed<R> {
    /// Continue: execute it, or send its answer.
    On,
    /// Answer with this error.
    Refused(R),
    /// Answer with this HTTP status and HTML page.
    Page(u16, String),
    /// Send only half of the answer.
    Cut,
    /// Close the connection without an answer.
    Lost,
}

/// How many requests the log keeps. Older ones are dropped first.
const LOG_CAPACITY: usize = 100_000;

impl<C: GatedRequest> Gate<C> {
    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault for the next `times` matching requests, or for all if `times` is None. If several faults match a
    /// request, the one added first applies.
    pub fn fault(&self, stage: Stage, what: C::Match, fault: Fault<C::Refusal>, times: Option<u32>) {
        self.state().rules.push(Rule { what, stage, fault, left: times });
    }

    /// Removes all faults. The latency and the bucket stay.
    pub fn heal(&self) {
        self.state().rules.clear();
    }

    /// Sets the hook that decides about every request before the configured faults do. None removes it.
    pub fn admit_by(&self, admission: Option<Arc<dyn Admission<C>>>) {
        self.state().admission = admission;
    }

    /// Delays every request from now on by this time, before anything else happens to it.
    pub fn latency(&self, time: Duration) {
        self.state().latency = time;
    }

    /// Throttles requests from now on with token buckets: one for each action of an AWS account, or one for each user
    /// of a cluster. Buckets start full. None turns throttling off.
    pub fn bucket(&self, size: Option<Bucket>) {
        self.state().buckets.set(size);
    }

    /// How many requests were throttled.
    pub fn throttled(&self) -> u64 {
        self.state().buckets.refused()
    }

    /// All requests, in order of arrival.
    pub fn log(&self) -> Vec<Record<C>> {
        self.state().log.iter().cloned().collect()
    }

    /// The logged requests that changed state or tried to. Dry runs are not included.
    pub fn writes(&self) -> Vec<Record<C>> {
        self.state().log.iter().filter(|record| record.call.changes()).cloned().collect()
    }

    /// Empties the log.
    pub fn forget(&self) {
        self.state().log.clear();
    }

    pub(crate) fn arrived(&self, call: &mut C) {
        let mut state = self.state();
        state.count += 1;
        call.set_number(state.count);
        if state.log.len() == LOG_CAPACITY {
            state.log.pop_front();
        }
        state.log.push_back(Record { call: call.clone(), answer: None, outcome: None, fault: None });
    }

    pub(crate) fn note(&self, number: u64, change: impl FnOnce(&mut Record<C>)) {
        if let Some(record) = self.state().log.iter_mut().rev().find(|record| record.call.number() == number) {
            change(record);
        }
    }

    fn next_fault(&self, stage: Stage, call: &C) -> Option<Fault<C::Refusal>> {
        let mut held = self.state();
        let rule =
            held.rules.iter_mut().find(|rule| rule.stage == stage && rule.left != Some(0) && call.fits(&rule.what))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.fault.clone())
    }

    /// Records in the log which fault was applied.
    pub(crate) fn record_fault(&self, number: u64, fault: &'static str) {
        self.note(number, |record| record.fault = Some(fault));
    }

    /// Waits for the configured latency.
    pub(crate) async fn wait_for_latency(&self) {
        let latency = self.state().latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
    }

    /// Answers with an HTML page instead of the real answer.
    pub(crate) fn page(&self, call: &C, status: u16, body: String) -> Response<Payload> {
        self.note(call.number(), |record| record.answer = Some(status));
        wire::page(status, body)
    }

    pub(crate) async fn pass(&self, stage: Stage, call: &C, outcome: Option<u16>) -> Passed<C::Refusal> {
        if stage == Stage::Before && !self.state().buckets.take(|| call.bucket_key()) {
            self.record_fault(call.number(), "throttle");
            return Passed::Refused(call.throttled());
        }
        let watcher = self.state().admission.clone();
        let decided = match watcher {
            Some(watcher) => watcher.decide(stage, call, outcome).await,
            None => None,
        };
        let cut = || self.state().cut.remove(&call.number()).then_some(Fault::Truncate);
        let Some(fault) = decided.or_else(cut).or_else(|| self.next_fault(stage, call)) else { return Passed::On };
        self.record_fault(call.number(), fault.name());
        match fault {
            Fault::Deny => Passed::Refused(call.denied()),
            Fault::Refuse(refusal) => Passed::Refused(refusal),
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                Passed::On
            }
            Fault::Hang => std::future::pending().await,
            Fault::Drop => Passed::Lost,
            Fault::Page { status, body } => Passed::Page(status, body),
            Fault::Truncate if stage == Stage::Before => {
                self.state().cut.insert(call.number());
                Passed::On
            }
            Fault::Truncate => Passed::Cut,
        }
    }
}
