//! The result of applying a plan: one outcome for each step.

use crate::model::address::Address;
use crate::plan::change::Action;

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// One for each step, in plan order.
    pub outcomes: Vec<StepOutcome>,
    /// The signal that ended the run early.
    pub interrupted: Option<Interrupt>,
    /// Why the run lost the lock, if it did.
    pub lock_lost: Option<String>,
}

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutcome {
    /// The object.
    pub address: Address,
    /// The planned action.
    pub action: Action,
    /// How the step ended.
    pub outcome: Outcome,
    /// Which writes IAM did not show yet when irsa read them again.
    pub note: Option<String>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All its calls succeeded.
    Applied,
    /// The object was already as planned; nothing was sent.
    AlreadyDone,
    /// It wrote nothing, for this reason.
    Skipped(String),
    /// A read or a write failed, or the object is stale.
    Failed(Failure),
}

/// Why and where a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// The operation that failed.
    pub operation: String,
    /// The error code of the service, if it sent one.
    pub code: Option<String>,
    /// The error message.
    pub why: String,
    /// The request id.
    pub request_id: Option<String>,
    /// What the user can do.
    pub hint: Option<String>,
    /// Whether the object had changed since the plan.
    pub stale: bool,
    /// Whether the failed call wrote something.
    pub written: bool,
    /// Whether the step stopped because of a failure in another step.
    pub held_up: bool,
    /// The operations that succeeded before.
    pub done: Vec<String>,
    /// The operations that are left.
    pub left: Vec<String>,
}

/// Why no further write starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The first signal. The writes in flight may end.
    Signal(Interrupt),
    /// A second signal after this first one. The run ends at once.
    SecondSignal(Interrupt),
    /// The lock was lost, for this reason.
    LockLost(String),
}

impl Stop {
    /// The reason in the outcome of each step that did not start.
    pub(crate) fn why(&self) -> &'static str {
        match self {
            Self::Signal(_) | Self::SecondSignal(_) => "interrupted",
            Self::LockLost(_) => "the lock was lost",
        }
    }
}

/// The signal that ended a run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interrupt {
    /// SIGINT: exit code 130.
    Interrupt,
    /// SIGTERM, or SIGHUP when the terminal closes: exit code 143.
    Terminate,
}

impl Report {
    /// Records why the run stopped.
    pub(crate) fn stopped_by(&mut self, stop: Stop) {
        match stop {
            Stop::Signal(signal) | Stop::SecondSignal(signal) => self.interrupted = Some(signal),
            Stop::LockLost(why) => self.lock_lost = Some(why),
        }
    }

    /// Whether every step succeeded and no signal came.
    pub fn succeeded(&self) -> bool {
        self.interrupted.is_none() && self.applied() == self.outcomes.len()
    }

    /// How many steps succeeded.
    pub fn applied(&self) -> usize {
        self.outcomes.iter().filter(|step| matches!(step.outcome, Outcome::Applied | Outcome::AlreadyDone)).count()
    }
}
