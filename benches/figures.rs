//! What was measured.

use crate::peers::Beside;
use std::time::Duration;

/// The walls of several runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walls(Vec<Duration>);

impl Walls {
    pub(crate) fn add(&mut self, wall: Duration) {
        self.0.push(wall);
        self.0.sort_unstable();
    }

    /// The middle one: half of the runs took no longer.
    pub(crate) fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    pub(crate) fn least(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    /// How many times longer the median is than another's.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }
}

/// A plan that finds no change, for so many roles and clusters.
#[derive(Debug)]
pub(crate) struct Growth {
    pub roles: usize,
    pub clusters: usize,
    pub accounts: usize,
    pub aws: usize,
    pub kubernetes: usize,
    /// Without latency, and with that of [`FAR`].
    pub near: Walls,
    pub far: Walls,
    /// The same roles one by one, in process: calls, and how long without latency and with it, where that was run.
    pub naive: Option<Naive>,
}

/// A reader that asks for one thing at a time.
#[derive(Debug)]
pub(crate) struct Naive {
    pub calls: usize,
    pub near: Duration,
    pub far: Option<Duration>,
}

/// What "far" is: a round trip of so many milliseconds.
pub(crate) const FAR: Duration = Duration::from_millis(50);

/// Reading by role behind a bucket.
#[derive(Debug)]
pub(crate) struct Throttled {
    pub who: String,
    pub rate: f64,
    pub read: usize,
    pub of: usize,
    pub wall: Duration,
    pub bound: f64,
    pub refused: u64,
    pub calls: usize,
}

/// An apply that makes roles.
#[derive(Debug)]
pub(crate) struct Applied {
    pub roles: usize,
    /// Of the plan that comes first.
    pub plan: usize,
    pub calls: usize,
    pub wall: Duration,
}

/// What needs no network.
#[derive(Debug)]
pub(crate) struct Local {
    pub what: String,
    pub walls: Walls,
    pub memory: Option<u64>,
}

/// The parts of a run that need no network, in process, in the order in which they come.
#[derive(Debug)]
pub(crate) struct Parts {
    pub roles: usize,
    pub load: Walls,
    pub resolve: Walls,
    pub lint: Walls,
    /// Of what is live as it is declared.
    pub plan: Walls,
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub growth: Vec<Growth>,
    pub throttled: Vec<Throttled>,
    pub applied: Vec<Applied>,
    pub parts: Vec<Parts>,
    pub local: Vec<Local>,
    pub peers: Vec<Beside>,
    /// The size of the program, in bytes.
    pub program: u64,
}
