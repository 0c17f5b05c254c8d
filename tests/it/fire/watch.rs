//! Watches every request at both gates. Injects the fault of one cell, and checks the state after each write.

use super::stage::Stage;
use crate::support::judge::{Law, roles};
use irsa_sandbox::aws::{self, Refusal, Written};
use irsa_sandbox::gate::{Admission, Stage as Moment};
use irsa_sandbox::kubernetes;
use std::collections::VecDeque;
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Throttling,
    TooManyRequests,
    InternalError,
    BadGateway,
    Unavailable,
    ConnectionRefused,
    ResetBefore,
    ResetAfter,
    Truncated,
    Hang,
    HangAfter,
    Stale(u32),
    Denied,
    Busy,
    Expired,
}

impl Fault {
    pub(crate) const ALL: [Self; 17] = [
        Self::Throttling,
        Self::TooManyRequests,
        Self::InternalError,
        Self::BadGateway,
        Self::Unavailable,
        Self::ConnectionRefused,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::Truncated,
        Self::Hang,
        Self::HangAfter,
        Self::Stale(1),
        Self::Stale(3),
        Self::Stale(10),
        Self::Denied,
        Self::Busy,
        Self::Expired,
    ];

    /// Whether the fault is an answer with a request id.
    pub(crate) fn has_request_id(self) -> bool {
        matches!(
            self,
            Self::Throttling
                | Self::TooManyRequests
                | Self::InternalError
                | Self::Unavailable
                | Self::Denied
                | Self::Busy
                | Self::Expired
        )
    }
}

/// An operation, as the target of a fault and as irsa names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation {
    /// `iam`, `sts`, `eks` or `kubernetes`.
    pub(crate) service: String,
    /// For example `GetRole`, or `patch serviceaccounts`.
    pub(crate) name: String,
    /// Whether the operation changes something.
    pub(crate) write: bool,
}

impl Operation {
    pub(crate) fn of_aws(call: &aws::Call) -> Self {
        Self { service: call.service.clone(), name: call.action.clone(), write: call.is_write() }
    }

    pub(crate) fn of_kubernetes(call: &kubernetes::Call) -> Self {
        let resource = if call.resource.is_empty() { &call.path } else { &call.resource };
        let verb = if call.is_apply() { "apply" } else { &call.verb };
        Self { service: "kubernetes".to_owned(), name: format!("{verb} {resource}"), write: call.is_write() }
    }

    /// The name that irsa's messages use.
    pub(crate) fn words(&self) -> String {
        if self.service != "kubernetes" {
            return format!("{}:{}", self.service, self.name);
        }
        let (verb, resource) = self.name.split_once(' ').unwrap_or_default();
        let kind = match resource {
            "serviceaccounts" => "ServiceAccount",
            "namespaces" => "amespace",
            "pods" => "Pod",
            _ => "",
        };
        match verb {
            "apply" | "patch" | "delete" => kind.to_owned(),
            _ => format!("{verb} {kind}"),
        }
    }
}

/// One fault at one operation.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) operation: Operation,
    pub(crate) fault: Fault,
    /// Whether the fault hits every such call for the same object, and not only the first one.
    pub(crate) forever: bool,
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let often = if self.forever { "for ever" } else { "once" };
        write!(out, "{} {:?} {often}", self.operation.words(), self.fault)
    }
}

/// The object that the fault hit, and how often.
#[derive(Debug, Clone, Default)]
pub(crate) struct Struck {
    pub(crate) object: Option<String>,
    pub(crate) times: u32,
}

#[derive(Default)]
struct State {
    cell: Option<Cell>,
    struck: Struck,
    /// Whether a service is unreachable: true for Kubernetes, false for AWS.
    gone: Option<bool>,
    /// Reads are stale until the next write.
    stale: bool,
    wrong: Vec<String>,
    last: VecDeque<String>,
}

/// Admits the requests at both gates.
pub(crate) struct Watch {
    stage: Weak<Stage>,
    law: Arc<Law>,
    state: Mutex<State>,
}

/// A request, for both kinds of gate.
struct Seen {
    operation: Operation,
    object: String,
}

impl Watch {
    pub(crate) fn new(stage: &Arc<Stage>) -> Arc<Self> {
        let watch = Arc::new(Self {
            stage: Arc::downgrade(stage),
            law: Arc::clone(&stage.law),
            state: Mutex::new(State::default()),
        });
        let judge = Arc::clone(&watch);
        stage.inside.sandbox.witness(Some(Arc::new(move |written| judge.judge(written))));
        stage.inside.sandbox.gate().admit_by(Some(Arc::clone(&watch) as Arc<_>));
        for cluster in super::stage::CLUSTERS {
            stage.inside.sandbox.cluster(cluster).gate().admit_by(Some(Arc::clone(&watch) as Arc<_>));
        }
        watch
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Injects the fault of this cell from now on.
    pub(crate) fn set(&self, cell: &Cell) {
        *self.state() = State { cell: Some(cell.clone()), ..State::default() };
    }

    /// Stops the fault. Returns what it hit, and the violations seen meanwhile.
    pub(crate) fn heal(&self) -> (Struck, Vec<String>) {
        let mut state = self.state();
        state.cell = None;
        state.gone = None;
        (state.struck.clone(), std::mem::take(&mut state.wrong))
    }

    /// The fault for this request, if any.
    fn strikes(&self, moment: Moment, seen: &Seen) -> Option<Fault> {
        let mut state = self.state();
        if moment == Moment::Before && state.gone == Some(seen.operation.service == "kubernetes") {
            return Some(Fault::ConnectionRefused);
        }
        if moment == Moment::Before && seen.operation.write && std::mem::take(&mut state.stale) {
            self.stale_reads(0);
        }
        let cell = state.cell.clone()?;
        if cell.operation != seen.operation {
            return None;
        }
        let after = matches!(cell.fault, Fault::ResetAfter | Fault::HangAfter | Fault::Truncated);
        if after != (moment == Moment::After) {
            return None;
        }
        let most = if cell.forever { u32::MAX } else { 1 };
        if state.struck.times >= most || state.struck.object.as_ref().is_some_and(|object| *object != seen.object) {
            return None;
        }
        if state.struck.times == 0 {
            state.struck.object = Some(seen.object.clone());
        }
        state.struck.times += 1;
        if let Fault::Stale(reads) = cell.fault {
            self.stale_reads(reads);
            state.stale = !cell.forever;
            return None;
        }
        if cell.fault == Fault::ConnectionRefused {
            if let Some(stage) = self.stage.upgrade() {
                let kubernetes = seen.operation.service == "kubernetes";
                stage.inside.dials.refuse(kubernetes, if cell.forever { u32::MAX } else { 1 });
            }
            if cell.forever {
                state.gone = Some(seen.operation.service == "kubernetes");
            }
        }
        Some(cell.fault)
    }

    /// After each write, this many reads return the state before it.
    fn stale_reads(&self, reads: u32) {
        if let Some(stage) = self.stage.upgrade() {
            stage.inside.sandbox.stale_reads(reads);
        }
    }

    /// Checks after an IAM write that nobody may do more than before or after the whole run.
    fn judge(&self, written: Written<'_>) {
        let what = format!("{} {}/{}", written.action, written.account, written.object);
        let broken = self.law.broken(&roles(written.account, written.iam));
        let mut state = self.state();
        if let Some(grant) = broken.first() {
            state.tell(format!("after {what}, {grant} (and {} more)", broken.len() - 1));
        }
        state.note(what);
    }

    /// Checks after a write that the objects of others are unchanged.
    fn look(&self, seen: &Seen, answer: Option<u16>) {
        let Some(stage) = self.stage.upgrade() else { return };
        let others = stage.others();
        let what = format!("{} {} ({answer:?})", seen.operation.name, seen.object);
        let mut held = self.state();
        if others != stage.before.others {
            let list = super::stage::differences(&stage.before.others, &others);
            held.tell(format!("after {what}, what belongs to others differs: {list:?}"));
        }
        if seen.operation.service == "kubernetes" {
            held.note(what);
        }
    }
}

impl State {
    fn note(&mut self, what: String) {
        self.last.push_back(what);
        if self.last.len() > 6 {
            self.last.pop_front();
        }
    }

    /// Keeps only the first violation.
    fn tell(&mut self, wrong: String) {
        if self.wrong.is_empty() {
            self.wrong.push(wrong);
            self.wrong.push(format!("the last writes before were {:?}", self.last));
        }
    }
}

impl Admission<aws::Call> for Watch {
    fn decide<'a>(&'a self, moment: Moment, call: &'a aws::Call, outcome: Option<u16>) -> aws::Decision<'a> {
        let seen = Seen { operation: Operation::of_aws(call), object: format!("{}/{}", call.account, call.object) };
        if moment == Moment::After && call.is_write() && outcome == Some(200) {
            self.look(&seen, outcome);
        }
        let service = &call.service;
        let decided = self.strikes(moment, &seen).map(|fault| match fault {
            Fault::Throttling => aws::Fault::Refuse(Refusal::throttled(service)),
            Fault::TooManyRequests => aws::Fault::Refuse(Refusal::too_many(service)),
            Fault::InternalError => aws::Fault::Refuse(Refusal::internal(service)),
            Fault::BadGateway => aws::Fault::bad_gateway(),
            Fault::Unavailable => aws::Fault::Refuse(Refusal::unavailable()),
            Fault::ConnectionRefused | Fault::ResetBefore | Fault::ResetAfter => aws::Fault::Drop,
            Fault::Truncated => aws::Fault::Truncate,
            Fault::Hang | Fault::HangAfter => aws::Fault::Hang,
            Fault::Stale(_) => unreachable!("it is no fault of one request"),
            Fault::Denied => aws::Fault::Deny,
            Fault::Busy => aws::Fault::Refuse(Refusal::concurrent_modification()),
            Fault::Expired => aws::Fault::Refuse(Refusal::expired(service)),
        });
        Box::pin(ready(decided))
    }
}

impl Admission<kubernetes::Call> for Watch {
    fn decide<'a>(
        &'a self,
        moment: Moment,
        call: &'a kubernetes::Call,
        outcome: Option<u16>,
    ) -> kubernetes::Decision<'a> {
        let seen =
            Seen { operation: Operation::of_kubernetes(call), object: format!("{}/{}", call.namespace, call.name) };
        if moment == Moment::After && call.is_write() && outcome.is_some_and(|code| code < 300) {
            self.look(&seen, outcome);
        }
        let decided = self.strikes(moment, &seen).map(|fault| match fault {
            Fault::Throttling | Fault::TooManyRequests => {
                kubernetes::Fault::Refuse(kubernetes::Refusal::too_many_requests(1))
            }
            Fault::InternalError => {
                kubernetes::Fault::Refuse(kubernetes::Refusal::internal("etcdserver: request timed out"))
            }
            Fault::BadGateway => kubernetes::Fault::bad_gateway(),
            Fault::Unavailable => kubernetes::Fault::Refuse(kubernetes::Refusal::unavailable()),
            Fault::ConnectionRefused | Fault::ResetBefore | Fault::ResetAfter => kubernetes::Fault::Drop,
            Fault::Truncated => kubernetes::Fault::Truncate,
            Fault::Hang | Fault::HangAfter => kubernetes::Fault::Hang,
            Fault::Stale(_) => unreachable!("it is no fault of one request"),
            Fault::Denied => kubernetes::Fault::Deny,
            Fault::Busy => kubernetes::Fault::Refuse(kubernetes::Refusal::apply_conflict(vec![(
                "\"someone\"".to_owned(),
                ".metadata.annotations".to_owned(),
            )])),
            Fault::Expired => kubernetes::Fault::Refuse(kubernetes::Refusal::unauthorized()),
        });
        Box::pin(ready(decided))
    }
}
