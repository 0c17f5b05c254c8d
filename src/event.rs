//! What happened, never how it looks. Progress bars and JSON lines are listeners of equal rank.

use crate::model::address::Address;

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Reading begins; `places` accounts and clusters will be read.
    ReadStarted {
        /// How many.
        places: usize,
    },
    /// One account or cluster (`account/prod`, `cluster/prod-eu`) was read.
    PlaceRead {
        /// Which.
        place: String,
        /// How many objects it had for us.
        objects: usize,
    },
    /// All reading is over.
    ReadFinished,
    /// Applying begins; so many steps, so many calls.
    ApplyStarted {
        /// The steps.
        steps: usize,
        /// The calls.
        calls: usize,
    },
    /// One call of a step is about to be sent.
    CallStarted {
        /// The object.
        address: Address,
        /// The operation.
        operation: String,
    },
    /// One call of a step is done, or was not needed.
    CallFinished {
        /// The object.
        address: Address,
        /// The operation.
        operation: String,
    },
    /// A step is over.
    StepFinished {
        /// The object.
        address: Address,
        /// How it ended, in a word: `applied`, `already done`, `skipped`, `failed`.
        outcome: &'static str,
    },
    /// Something is being waited for: propagation, a throttle.
    Waiting {
        /// What.
        what: String,
    },
}

/// Someone who wants to know.
pub trait Listen: Send + Sync {
    /// Told of each event, in the order in which they happen.
    fn on(&self, event: &Event);
}

/// Nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence;

impl Listen for Silence {
    fn on(&self, _event: &Event) {}
}
