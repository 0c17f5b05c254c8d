//! Token buckets for throttling, each with a burst size and a refill rate.
//!
//! AWS does not publish the sizes and rates of its own. Requests with the same
//! [`bucket_key`](super::GatedRequest::bucket_key) share a bucket. The buckets use tokio's clock, so that a test can
//! pause it.

use std::collections::HashMap;
use tokio::time::Instant;

/// A tolerance for rounding, because the clock counts whole nanoseconds.
const SLACK: f64 = 1e-6;

/// The size and rate of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Tokens added in a second.
    pub rate: f64,
    /// The maximum number of tokens, and the initial number.
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

    /// Takes a token of the bucket with this key. Returns false if the bucket is empty.
    pub(super) fn take(&mut self, bucket_key: impl FnOnce() -> String) -> bool {
        let Some(Bucket { rate, burst }) = self.size else { return true };
        let now = Instant::now();
        let (level, since) = self.levels.entry(bucket_key()).or_insert((burst, now));
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
