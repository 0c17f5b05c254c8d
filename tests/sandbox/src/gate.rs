//! The one place that every request passes, twice: before it is carried out and before it is answered.
//!
//! Here requests are logged, held, delayed, throttled, refused or lost. A fault before leaves the state as it was; a
//! fault after loses or replaces the answer to something that has happened. What a request is, each server says for
//! itself.

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

/// A request as its server knows it.
pub trait Asked: Clone + Send + Sync + 'static {
    /// Which requests a fault is for.
    type Match: Send;
    /// What a refused request is answered with.
    type Refusal: Clone + Send;

    /// Its number, from 1 in the order of arrival.
    fn number(&self) -> u64;
    /// Gives it its number.
    fn set_number(&mut self, number: u64);
    /// Whether a fault is for it.
    fn fits(&self, what: &Self::Match) -> bool;
    /// Whether it would change something for good.
    fn changes(&self) -> bool;
    /// What is said when it is not allowed.
    fn denied(&self) -> Self::Refusal;
    /// Requests of one lane share a bucket.
    fn lane(&self) -> String;
    /// What is said when the bucket is empty.
    fn throttled(&self) -> Self::Refusal;
}

/// A request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<C> {
    /// The request.
    pub call: C,
    /// The status that was sent; None while it is under way, or when the answer was lost.
    pub answer: Option<u16>,
    /// The status that the server itself gave; None where a fault came first.
    pub outcome: Option<u16>,
    /// The last fault that struck, as [`Fault::name`] calls it; or `throttle` or `stale`.
    pub fault: Option<&'static str>,
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before anything is done.
    Before,
    /// When it is done, before the answer goes out.
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault<R> {
    /// 403, as if it were not allowed.
    Deny,
    /// This refusal.
    Refuse(R),
    /// Takes so long, then goes on.
    Delay(Duration),
    /// Never answers.
    Hang,
    /// Closes the connection (under HTTP/2, resets the stream) without an answer.
    Drop,
    /// An answer that is not in the service's protocol, as something between the client and the service gives it.
    Page {
        /// The HTTP status.
        status: u16,
        /// HTML.
        body: String,
    },
    /// The real answer's headers and half of its body, then the connection ends. The request is always carried out,
    /// whatever the stage.
    Truncate,
}

impl<R> Fault<R> {
    /// 502, as a load balancer says it.
    pub fn bad_gateway() -> Self {
        Self::page(502, "Bad Gateway")
    }

    /// 504, as a load balancer says it.
    pub fn gateway_timeout() -> Self {
        Self::page(504, "Gateway Time-out")
    }

    /// A load balancer's page of this status and title.
    pub fn page(status: u16, title: &str) -> Self {
        let body = format!(
            "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1>\
             </center>\r\n</body>\r\n</html>\r\n"
        );
        Self::Page { status, body }
    }

    /// What the log calls it.
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

/// A future that can be kept in a box.
pub type Decision<'a, C> = Pin<Box<dyn Future<Output = Option<Fault<<C as Asked>::Refusal>>> + Send + 'a>>;

/// Something of the test's own that decides about requests; it may wait as long as it likes.
pub trait Admission<C: Asked>: Send + Sync {
    /// Called at both stages. `outcome` is the server's own status, known at the second.
    fn decide<'a>(&'a self, stage: Stage, call: &'a C, outcome: Option<u16>) -> Decision<'a, C>;
}

struct Rule<C: Asked> {
    what: C::Match,
    stage: Stage,
    fault: Fault<C::Refusal>,
    left: Option<u32>,
}

struct State<C: Asked> {
    log: VecDeque<Record<C>>,
    count: u64,
    rules: Vec<Rule<C>>,
    admission: Option<Arc<dyn Admission<C>>>,
    latency: Duration,
    buckets: Buckets,
    /// The requests under way whose answers will be cut short.
    cut: BTreeSet<u64>,
}

/// Where requests are logged and faults are set.
pub struct Gate<C: Asked> {
    state: Mutex<State<C>>,
}

impl<C: Asked> Default for Gate<C> {
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

impl<C: Asked> fmt::Debug for Gate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("log", &self.state().log.len()).finish_non_exhaustive()
    }
}

/// What remains of a request at a stage.
pub(crate) enum Passed<R> {
    On,
    Refused(R),
    Page(u16, String),
    /// Of the answer only half goes out.
    Cut,
    Lost,
}

/// How many requests the log holds; the oldest go first.
const LOG: usize = 100_000;

impl<C: Asked> Gate<C> {
    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a fault, for so many requests or, with None, for all. Of several that match, the first set strikes.
    pub fn fault(&self, stage: Stage, what: C::Match, fault: Fault<C::Refusal>, times: Option<u32>) {
        self.state().rules.push(Rule { what, stage, fault, left: times });
    }

    /// Takes all faults away; the latency and the bucket stay.
    pub fn heal(&self) {
        self.state().rules.clear();
    }

    /// Puts something in charge that sees every request, before the faults.
    pub fn admit_by(&self, admission: Option<Arc<dyn Admission<C>>>) {
        self.state().admission = admission;
    }

    /// From now on every request takes so long, before anything else is done about it.
    pub fn latency(&self, time: Duration) {
        self.state().latency = time;
    }

    /// From now on so many requests are taken and the others refused, each lane by itself: an account's calls of one
    /// action, or a cluster's user. Full at first; None takes them all.
    pub fn bucket(&self, size: Option<Bucket>) {
        self.state().buckets.set(size);
    }

    /// How many requests the buckets have refused.
    pub fn throttled(&self) -> u64 {
        self.state().buckets.refused()
    }

    /// All requests, in order of arrival.
    pub fn log(&self) -> Vec<Record<C>> {
        self.state().log.iter().cloned().collect()
    }

    /// The requests that changed something or tried to, without dry runs.
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
        if state.log.len() == LOG {
            state.log.pop_front();
        }
        state.log.push_back(Record { call: call.clone(), answer: None, outcome: None, fault: None });
    }

    pub(crate) fn note(&self, number: u64, change: impl FnOnce(&mut Record<C>)) {
        if let Some(record) = self.state().log.iter_mut().rev().find(|record| record.call.number() == number) {
            change(record);
        }
    }

    fn next(&self, stage: Stage, call: &C) -> Option<Fault<C::Refusal>> {
        let mut held = self.state();
        let rule =
            held.rules.iter_mut().find(|rule| rule.stage == stage && rule.left != Some(0) && call.fits(&rule.what))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.fault.clone())
    }

    /// Notes a fault that struck.
    pub(crate) fn struck(&self, number: u64, fault: &'static str) {
        self.note(number, |record| record.fault = Some(fault));
    }

    /// The time that the request takes to arrive.
    pub(crate) async fn travel(&self) {
        let latency = self.state().latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
    }

    /// A page in place of the answer.
    pub(crate) fn page(&self, call: &C, status: u16, body: String) -> Response<Payload> {
        self.note(call.number(), |record| record.answer = Some(status));
        wire::page(status, body)
    }

    pub(crate) async fn pass(&self, stage: Stage, call: &C, outcome: Option<u16>) -> Passed<C::Refusal> {
        if stage == Stage::Before && !self.state().buckets.take(|| call.lane()) {
            self.struck(call.number(), "throttle");
            return Passed::Refused(call.throttled());
        }
        let watcher = self.state().admission.clone();
        let decided = match watcher {
            Some(watcher) => watcher.decide(stage, call, outcome).await,
            None => None,
        };
        let cut = || self.state().cut.remove(&call.number()).then_some(Fault::Truncate);
        let Some(fault) = decided.or_else(cut).or_else(|| self.next(stage, call)) else { return Passed::On };
        self.struck(call.number(), fault.name());
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
