//! The rate limit of one API action in one account.
//!
//! IAM limits each action of an account separately, to about 15 calls a second, and answers `Throttling` beyond that
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-quotas.html>). irsa starts at that rate. It does
//! not use the SDK's adaptive mode, which pauses for seconds after the first throttle. At each throttle, the service's
//! own token bucket is empty. So the number of calls that it accepted between two throttles, divided by the time
//! between them, is its rate. After a throttle, irsa uses this measured rate for a while, because a higher one would
//! only be throttled again. If it could not measure, or measured less than half of its own rate, it halves its own
//! rate. A throttle of a call that was already in flight at the last throttle does not slow irsa down again. Afterwards
//! the rate grows slowly.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The highest rate, in calls a second.
const MAX_RATE: f64 = 15.0;
/// The lowest rate, in calls a second.
const MIN_RATE: f64 = 0.5;
/// The bucket holds the calls of one second, minus this many. Calls overtake each other on the network, and a service
/// whose bucket is drained to the last token throttles the late ones.
const SLACK: f64 = 1.0;
/// In each second without a throttle, the rate grows by this part of itself.
const RECOVERY: f64 = 0.1;
/// irsa computes the service's rate from two throttles only if they are at least this many seconds apart.
const MIN_MEASURE_SECONDS: f64 = 1.0;
/// The measured rate is off by up to one call, so irsa uses this part of it.
const MARGIN: f64 = 0.96;
/// For how many seconds a measured rate does not grow.
const KEEP_SECONDS: f64 = 30.0;

/// A token bucket whose rate follows what the service accepts.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    /// The length of a second. Tests shorten it.
    second: Duration,
    bucket: Mutex<Bucket>,
    /// The queue of first attempts. Retries do not wait in it.
    queue: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Calls a second.
    rate: f64,
    tokens: f64,
    filled: Instant,
    throttled: Option<Instant>,
    /// The calls that were sent and accepted since the last throttle.
    accepted: u32,
    /// Until this time, the rate does not grow, because it was measured.
    kept_until: Option<Instant>,
}

impl RateLimiter {
    /// A full bucket.
    pub(crate) fn new(second: Duration) -> Self {
        let bucket = Bucket {
            rate: MAX_RATE,
            tokens: MAX_RATE - SLACK,
            filled: Instant::now(),
            throttled: None,
            accepted: 0,
            kept_until: None,
        };
        Self {
            second: second.max(Duration::from_nanos(1)),
            bucket: Mutex::new(bucket),
            queue: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until a call may be sent, and returns that time. First attempts are admitted in order. Retries pass them,
    /// because their time budget is running.
    pub(crate) async fn admit(&self, is_retry: bool) -> Instant {
        let _turn = if is_retry { None } else { Some(self.queue.lock().await) };
        loop {
            let now = Instant::now();
            let Some(wait) = self.take(now) else { return now };
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether a call was throttled after `admitted`.
    pub(crate) fn throttled_since(&self, admitted: Instant) -> bool {
        self.lock().throttled.is_some_and(|throttled| throttled > admitted)
    }

    /// Takes a token. Returns how long to wait if the bucket is empty.
    fn take(&self, now: Instant) -> Option<Duration> {
        let mut bucket = self.lock();
        bucket.fill(now, self.second);
        if bucket.tokens >= 1.0 - 1e-6 {
            bucket.tokens -= 1.0;
            return None;
        }
        let seconds = (1.0 - bucket.tokens) / bucket.rate;
        Some(self.second.mul_f64(seconds).max(Duration::from_micros(100)))
    }

    /// How long it takes from `now` on until `calls` calls are admitted.
    pub(crate) fn time_for(&self, calls: usize, now: Instant) -> Duration {
        let mut bucket = *self.lock();
        bucket.fill(now, self.second);
        let calls = f64::from(u32::try_from(calls).unwrap_or(u32::MAX));
        self.second.mul_f64((calls - bucket.tokens).max(0.0) / bucket.rate)
    }

    /// Slows down, because the service throttled a call that was sent at `sent`.
    pub(crate) fn record_throttle(&self, sent: Instant) {
        self.lock().slow_down(sent, Instant::now(), self.second);
    }

    /// Counts a call that was sent at `sent` and not throttled.
    pub(crate) fn record_accepted(&self, sent: Instant) {
        let mut bucket = self.lock();
        if bucket.throttled.is_some_and(|throttled| sent > throttled) {
            bucket.accepted = bucket.accepted.saturating_add(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant, second: Duration) {
        let seconds = seconds(self.filled, now, second);
        self.tokens = (self.tokens + seconds * self.rate).min((self.rate - SLACK).max(1.0));
        self.filled = now;
        if self.kept_until.is_none_or(|until| now >= until) {
            self.rate = (self.rate * (1.0 + seconds * RECOVERY)).min(MAX_RATE);
        }
    }

    fn slow_down(&mut self, sent: Instant, now: Instant, second: Duration) {
        self.fill(now, second);
        // a call that was in flight at the last throttle says nothing about the new rate
        if self.throttled.is_some_and(|throttled| sent <= throttled) {
            return;
        }
        let half = self.rate / 2.0;
        let since = self
            .throttled
            .map(|throttled| seconds(throttled, sent, second))
            .filter(|time| *time >= MIN_MEASURE_SECONDS);
        // if the measured rate is below half, irsa itself sent few calls, so the service may accept more
        let measured = since.map(|time| f64::from(self.accepted) / time * MARGIN).filter(|rate| *rate > half);
        self.kept_until = measured.map(|_| now + second.mul_f64(KEEP_SECONDS));
        self.rate = measured.unwrap_or(half).clamp(MIN_RATE, self.rate.max(MIN_RATE));
        self.tokens = 0.0;
        self.accepted = 0;
        self.throttled = Some(now);
    }
}

fn seconds(from: Instant, to: Instant, second: Duration) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() / second.as_secs_f64()
}

#[cfg(test)]
mod tests;
