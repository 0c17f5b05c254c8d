//! Events of a run, for progress output. Events say what happened, and listeners decide how to show it.

use crate::model::address::Address;

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Reading starts.
    ReadStarted {
        /// The number of accounts and clusters to read.
        places: usize,
    },
    /// One account or cluster (`account/prod`, `cluster/prod-eu`) was read.
    PlaceRead {
        /// Its name.
        place: String,
        /// The number of objects found.
        objects: usize,
    },
    /// Reading is done.
    ReadFinished,
    /// `verify` starts to read its evidence.
    VerifyStarted {
        /// The number of ServiceAccounts and patterns.
        chains: usize,
    },
    /// The token of one ServiceAccount was tried, or is not needed.
    ChainRead,
    /// `verify` has read all its evidence.
    VerifyFinished,
    /// Applying starts.
    ApplyStarted {
        /// The number of steps.
        steps: usize,
        /// The number of calls.
        calls: usize,
    },
    /// A call of a step is about to be sent.
    CallStarted {
        /// The object.
        address: Address,
        /// The operation.
        operation: String,
    },
    /// A call of a step is done or was not needed.
    CallFinished {
        /// The object.
        address: Address,
        /// The operation.
        operation: String,
    },
    /// A step is done.
    StepFinished {
        /// The object.
        address: Address,
        /// `applied`, `already done`, `skipped` or `failed`.
        outcome: &'static str,
    },
    /// irsa waits, for propagation or because of a throttle.
    Waiting {
        /// The reason.
        what: String,
    },
}

/// A listener for events.
pub trait Listen: Send + Sync {
    /// Receives each event, in order.
    fn on(&self, event: &Event);
}

/// A listener that ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence;

impl Listen for Silence {
    fn on(&self, _event: &Event) {}
}
