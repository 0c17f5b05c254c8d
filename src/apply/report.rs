//! What came of a plan. Not the plan with ticks: every step has an outcome of its own.

use crate::model::address::Address;
use crate::plan::change::Action;

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// One for each step, in plan order.
    pub outcomes: Vec<StepOutcome>,
    /// The signal that ended the run early.
    pub interrupted: Option<Interrupt>,
    /// Why the lock was lost, if it was before the end.
    pub lock_lost: Option<String>,
}

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutcome {
    /// The object.
    pub address: Address,
    /// What was to happen to it.
    pub action: Action,
    /// What did.
    pub outcome: Outcome,
    /// What a last look did not show of what was written.
    pub note: Option<String>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was written.
    Applied,
    /// It was found as it should be.
    AlreadyDone,
    /// It was not begun, for this reason.
    Skipped(String),
    /// It was begun, or refused at the last look.
    Failed(Failure),
}

/// Where a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The operation that failed.
    pub operation: String,
    /// The service's code, if it gave one.
    pub code: Option<String>,
    /// What was said.
    pub why: String,
    /// The request id.
    pub request_id: Option<String>,
    /// What to do next, if there is something.
    pub hint: Option<String>,
    /// Whether the object had changed since the plan.
    pub stale: bool,
    /// Whether the call that failed wrote all the same.
    pub written: bool,
    /// Whether nothing failed here: a call of another step did, which must come first.
    pub held_up: bool,
    /// The operations that were done before.
    pub done: Vec<String>,
    /// The operations that are left.
    pub left: Vec<String>,
}

/// Why no further write begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A signal came.
    Signal(Interrupt),
    /// Another one came behind this first one: what is in flight is not waited for.
    Hurried(Interrupt),
    /// The lock was lost, for this reason.
    LockLost(String),
}

impl Stop {
    /// The reason on all that was not begun.
    pub(crate) fn why(&self) -> &'static str {
        match self {
            Self::Signal(_) | Self::Hurried(_) => "interrupted",
            Self::LockLost(_) => "the lock was lost",
        }
    }
}

/// The signal that ended a run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interrupt {
    /// SIGINT: 130
    Interrupt,
    /// SIGTERM, or SIGHUP of a terminal that was closed: 143
    Terminate,
}

impl Report {
    /// The run was stopped for this reason.
    pub(crate) fn stopped_by(&mut self, stop: Stop) {
        match stop {
            Stop::Signal(signal) | Stop::Hurried(signal) => self.interrupted = Some(signal),
            Stop::LockLost(why) => self.lock_lost = Some(why),
        }
    }

    /// Whether every step ended well.
    pub fn succeeded(&self) -> bool {
        self.interrupted.is_none()
            && self.outcomes.iter().all(|step| matches!(step.outcome, Outcome::Applied | Outcome::AlreadyDone))
    }

    /// How many steps ended well.
    pub fn applied(&self) -> usize {
        self.outcomes.iter().filter(|step| matches!(step.outcome, Outcome::Applied | Outcome::AlreadyDone)).count()
    }
}
