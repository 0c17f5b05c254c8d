//! How fast one operation may be sent to one account.
//!
//! IAM meters each action of an account by itself, some 15 calls a second, and answers `Throttling` beyond that
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-quotas.html>). Asking at that pace from the
//! start costs less than being throttled: the SDK's own adaptive mode stalls for seconds after the first refusal.
//! Who is refused all the same halves the pace, once for all that were in flight, and creeps up again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Calls a second, and the most that may be sent at once after a pause.
const FULL: f64 = 15.0;
/// No refusal makes it slower than this.
const SLOWEST: f64 = 0.5;
/// How much faster it gets in a second without a refusal.
const CREEP: f64 = 0.5;

/// A token bucket whose pace follows what the service bears.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// How long a second lasts in this run.
    second: Duration,
    bucket: Mutex<Bucket>,
    /// The queue of those who ask for the first time; who asks again does not stand in it.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Bucket {
    rate: f64,
    tokens: f64,
    filled: Instant,
    slowed: Option<Instant>,
}

impl Pacer {
    /// A full bucket.
    pub(crate) fn new(second: Duration) -> Self {
        let bucket = Bucket { rate: FULL, tokens: FULL, filled: Instant::now(), slowed: None };
        Self {
            second: second.max(Duration::from_nanos(1)),
            bucket: Mutex::new(bucket),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Waits until a call may be sent. First askers are served in the order in which they came; `again` passes them,
    /// since its budget is running.
    pub(crate) async fn admit(&self, again: bool) {
        let _turn = if again { None } else { Some(self.turn.lock().await) };
        loop {
            let Some(wait) = self.take(Instant::now()) else { return };
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a token, or tells how long until there may be one.
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

    /// A call that was sent at `sent` was refused for being too fast.
    pub(crate) fn slow_down(&self, sent: Instant) {
        self.lock().slow_down(sent, Instant::now(), self.second);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant, second: Duration) {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64() / second.as_secs_f64();
        self.tokens = (self.tokens + seconds * self.rate).min(self.rate.max(1.0));
        self.rate = (self.rate + seconds * CREEP).min(FULL);
        self.filled = now;
    }

    fn slow_down(&mut self, sent: Instant, now: Instant, second: Duration) {
        self.fill(now, second);
        // what was in flight when we slowed down says nothing about the new pace
        if self.slowed.is_some_and(|slowed| sent <= slowed) {
            return;
        }
        self.rate = (self.rate / 2.0).max(SLOWEST);
        self.tokens = 0.0;
        self.slowed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes a token as soon as there is one; time is a number here, nobody sleeps.
    fn admitted(pacer: &Pacer, now: &mut Instant) {
        while let Some(wait) = pacer.take(*now) {
            *now += wait;
        }
    }

    fn slowed(pacer: &Pacer, sent: Instant, now: Instant) {
        pacer.lock().slow_down(sent, now, pacer.second);
    }

    #[test]
    fn a_hundred_permits_take_the_bound() {
        for second in [SECOND, SECOND / 10] {
            let pacer = Pacer::new(second);
            let start = Instant::now();
            let mut now = start;
            for _ in 0..100 {
                admitted(&pacer, &mut now);
            }
            let bound = (100.0 - FULL) / FULL;
            let taken = (now - start).as_secs_f64() / second.as_secs_f64();
            assert!(taken >= bound - 0.01 && taken <= bound * 1.01, "{taken} against {bound}");
        }
    }

    #[test]
    fn a_pause_earns_one_burst_and_no_more() {
        let pacer = Pacer::new(SECOND);
        let start = Instant::now();
        let mut now = start + SECOND * 3600;
        for _ in 0..15 {
            admitted(&pacer, &mut now);
        }
        assert_eq!(now, start + SECOND * 3600);
        admitted(&pacer, &mut now);
        assert!(now > start + SECOND * 3600);
    }

    #[test]
    fn refusals_of_one_flight_halve_the_pace_once() {
        let pacer = Pacer::new(SECOND);
        let sent = Instant::now();
        let now = sent + SECOND / 20;
        for _ in 0..10 {
            slowed(&pacer, sent, now);
        }
        assert!((pacer.lock().rate - FULL / 2.0).abs() < 0.05);
        slowed(&pacer, now + SECOND / 100, now + SECOND / 50);
        assert!((pacer.lock().rate - FULL / 4.0).abs() < 0.05);
        for step in 1..20 {
            let sent = now + SECOND / 50 * (step + 1);
            slowed(&pacer, sent, sent);
        }
        assert!(pacer.lock().rate >= SLOWEST);
    }

    #[test]
    fn the_pace_creeps_up_but_never_above_the_first() {
        let pacer = Pacer::new(SECOND);
        let start = Instant::now();
        slowed(&pacer, start, start);
        pacer.take(start + SECOND * 3);
        assert!((pacer.lock().rate - (FULL / 2.0 + 3.0 * CREEP)).abs() < 0.05);
        pacer.take(start + SECOND * 600);
        assert!((pacer.lock().rate - FULL).abs() < f64::EPSILON);
        assert!(pacer.lock().tokens <= FULL);
    }

    /// A service with an unknown, lower limit: 100 calls at 5 a second with a burst of 5, fifty milliseconds away.
    #[test]
    fn an_unknown_lower_limit_is_found_with_few_refusals() {
        let (limit, burst, calls) = (5.0, 5.0, 100);
        let pacer = Pacer::new(SECOND);
        let start = Instant::now() + SECOND;
        let mut now = start;
        let (mut tokens, mut filled, mut served, mut refused) = (burst, now, 0, 0);
        while served < calls {
            admitted(&pacer, &mut now);
            tokens = f64::min(burst, tokens + (now - filled).as_secs_f64() * limit);
            filled = now;
            if tokens >= 1.0 {
                tokens -= 1.0;
                served += 1;
            } else {
                refused += 1;
                let sent = now;
                now += SECOND / 20;
                slowed(&pacer, sent, now);
            }
        }
        let bound = (f64::from(calls) - burst) / limit;
        let taken = (now - start).as_secs_f64();
        assert!(taken <= bound * 1.3, "{taken} against {bound}");
        assert!(refused * 10 <= served, "{refused} refused of {served}");
    }

    #[tokio::test]
    async fn who_asks_again_passes_the_queue() {
        let pacer = Arc::new(Pacer::new(SECOND / 20));
        let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..60 {
            let (pacer, done) = (Arc::clone(&pacer), done.clone());
            tokio::spawn(async move {
                pacer.admit(false).await;
                done.send(number).ok();
            });
        }
        tokio::task::yield_now().await;
        pacer.admit(true).await;
        done.send(1000).unwrap();
        drop(done);
        let mut seen = Vec::new();
        while let Some(number) = order.recv().await {
            seen.push(number);
        }
        let place = seen.iter().position(|number| *number == 1000).unwrap();
        assert!(place < 40, "{seen:?}");
        seen.retain(|number| *number != 1000);
        assert!(seen.is_sorted(), "{seen:?}");
    }
}
