//! The measured figures.

use crate::peers::Beside;
use std::time::Duration;

/// The wall-clock times of several runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walls(Vec<Duration>);

impl Walls {
    pub(crate) fn add(&mut self, wall: Duration) {
        self.0.push(wall);
        self.0.sort_unstable();
    }

    /// The median.
    pub(crate) fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    pub(crate) fn least(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    /// The median divided by the median of another.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }
}

/// A plan without changes.
#[derive(Debug)]
pub(crate) struct Growth {
    pub roles: usize,
    pub clusters: usize,
    pub accounts: usize,
    pub aws: usize,
    pub kubernetes: usize,
    /// Times without latency (`near`), and with the latency [`FAR`].
    pub near: Walls,
    pub far: Walls,
    /// The same roles one by one, in process, if that was run.
    pub naive: Option<Naive>,
}

/// A loop that sends one request at a time.
#[derive(Debug)]
pub(crate) struct Naive {
    pub calls: usize,
    pub near: Duration,
    pub far: Option<Duration>,
}

/// The added latency of a distant server.
pub(crate) const FAR: Duration = Duration::from_millis(50);

/// Reading roles one by one behind a token bucket.
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

/// An apply that creates roles.
#[derive(Debug)]
pub(crate) struct Applied {
    pub roles: usize,
    /// The calls of the plan before it.
    pub plan: usize,
    pub calls: usize,
    pub wall: Duration,
}

/// One measurement that needs no network.
#[derive(Debug)]
pub(crate) struct Local {
    pub what: String,
    pub walls: Walls,
    pub memory: Option<u64>,
}

/// The parts of a run that need no network, in process and in order.
#[derive(Debug)]
pub(crate) struct Parts {
    pub roles: usize,
    pub load: Walls,
    pub resolve: Walls,
    pub lint: Walls,
    /// Planning without changes.
    pub plan: Walls,
}

/// All figures.
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
