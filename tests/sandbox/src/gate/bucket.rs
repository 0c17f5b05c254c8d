//! Token buckets: so many requests at once, and so many more a second.
//!
//! AWS tells neither the sizes nor the rates of its own; each lane (an account's calls of one action) has one. The time
//! is tokio's, so that a test's paused clock holds for them.

use std::collections::HashMap;
use tokio::time::Instant;

/// What a clock that counts whole nanoseconds may be short of.
const SLACK: f64 = 1e-6;

/// The size of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Tokens a second.
    pub rate: f64,
    /// How many tokens there are at most, and at first.
    pub burst: f64,
}

#[derive(Debug, Default)]
pub(super) struct Buckets {
    size: Option<Bucket>,
    levels: HashMap<String, (f64, Instant)>,
    refused: u64,
}

impl Buckets {
    pub(super) fn set(&mut self, size: Option<Bucket>) {
        self.size = size;
        self.levels.clear();
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes a token; false if there is none.
    pub(super) fn take(&mut self, lane: impl FnOnce() -> String) -> bool {
        let Some(Bucket { rate, burst }) = self.size else { return true };
        let now = Instant::now();
        let (level, since) = self.levels.entry(lane()).or_insert((burst, now));
        *level = burst.min(*level + now.duration_since(*since).as_secs_f64() * rate);
        *since = now;
        if *level + SLACK < 1.0 {
            self.refused += 1;
            return false;
        }
        *level -= 1.0;
        true
    }
}
