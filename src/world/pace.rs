//! How fast one operation may be sent to one account.
//!
//! IAM meters each action of an account by itself, some 15 calls a second, and answers `Throttling` beyond that
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-quotas.html>). Asking at that pace from the
//! start costs less than being throttled: the SDK's own adaptive mode stalls for seconds after the first refusal.
//! Who is refused all the same halves the pace, once for all that were in flight, and creeps up again. A service whose
//! bucket was empty twice has said what it bears: what it took in between. That pace is kept for a while, since
//! creeping past it would only be refused again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Calls a second.
const FULL: f64 = 15.0;
/// After a pause so many fewer than a second's worth are sent at once: those behind the first ones find their connections
/// made and come sooner than they were sent apart, and a bucket that is used to its last token refuses them.
const SLACK: f64 = 1.0;
/// No refusal makes it slower than this.
const SLOWEST: f64 = 0.5;
/// How much faster it gets in a second without a refusal, and at most which part of itself: a slow service would be
/// passed at once.
const CREEP: f64 = 0.5;
const CREEP_PART: f64 = 0.125;
/// Up to this part of a pace that was refused it gets faster by that part of it in a second: half was a guess.
const BACK: f64 = 0.8;
const BACK_PART: f64 = 0.1;
/// For so many seconds between two refusals what was taken tells the service's rate.
const TELLING: f64 = 1.0;
/// How far below a rate that was learned the pace stays: a call more or less is known of it.
const MARGIN: f64 = 0.96;
/// For so many seconds it is kept.
const KEPT: f64 = 30.0;

/// A token bucket whose pace follows what the service bears.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// How long a second lasts in this run.
    second: Duration,
    bucket: Mutex<Bucket>,
    /// The queue of those who ask for the first time; who asks again does not stand in it.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: f64,
    tokens: f64,
    filled: Instant,
    slowed: Option<Instant>,
    /// The pace that was refused last.
    refused: f64,
    /// The calls that were sent since, and taken.
    taken: u32,
    /// A rate that was learned: until then it does not creep up.
    kept: Option<Instant>,
}

impl Pacer {
    /// A full bucket.
    pub(crate) fn new(second: Duration) -> Self {
        let bucket = Bucket {
            rate: FULL,
            tokens: FULL - SLACK,
            filled: Instant::now(),
            slowed: None,
            refused: 0.0,
            taken: 0,
            kept: None,
        };
        Self {
            second: second.max(Duration::from_nanos(1)),
            bucket: Mutex::new(bucket),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Waits until a call may be sent, and tells when that was. First askers are served in the order in which they came;
    /// `again` passes them, since its budget is running.
    pub(crate) async fn admit(&self, again: bool) -> Instant {
        let _turn = if again { None } else { Some(self.turn.lock().await) };
        loop {
            let now = Instant::now();
            let Some(wait) = self.take(now) else { return now };
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether someone was refused after this one was admitted.
    pub(crate) fn slowed_since(&self, admitted: Instant) -> bool {
        self.lock().slowed.is_some_and(|slowed| slowed > admitted)
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

    /// How long so many calls wait for their turns, at the pace of `now`.
    pub(crate) fn time_for(&self, calls: usize, now: Instant) -> Duration {
        let mut bucket = *self.lock();
        bucket.fill(now, self.second);
        // far more calls than that take longer than anyone waits
        let calls = f64::from(u32::try_from(calls).unwrap_or(u32::MAX));
        self.second.mul_f64((calls - bucket.tokens).max(0.0) / bucket.rate)
    }

    /// A call that was sent at `sent` was refused for being too fast.
    pub(crate) fn slow_down(&self, sent: Instant) {
        self.lock().slow_down(sent, Instant::now(), self.second);
    }

    /// A call that was sent at `sent` was not too fast.
    pub(crate) fn taken(&self, sent: Instant) {
        let mut bucket = self.lock();
        if bucket.slowed.is_some_and(|slowed| sent > slowed) {
            bucket.taken = bucket.taken.saturating_add(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant, second: Duration) {
        let seconds = seconds(self.filled, now, second);
        self.tokens = (self.tokens + seconds * self.rate).min((self.rate - SLACK).max(1.0));
        self.filled = now;
        if self.kept.is_none_or(|kept| now >= kept) {
            self.quicken(seconds);
        }
    }

    fn quicken(&mut self, seconds: f64) {
        let (back, by) = (self.refused * BACK, self.refused * BACK_PART);
        let until_back = if self.rate < back { seconds.min((back - self.rate) / by) } else { 0.0 };
        self.rate += until_back * by;
        let creep = CREEP.min(self.rate * CREEP_PART);
        self.rate = (self.rate + (seconds - until_back) * creep).min(FULL);
    }

    fn slow_down(&mut self, sent: Instant, now: Instant, second: Duration) {
        self.fill(now, second);
        // what was in flight when we slowed down says nothing about the new pace
        if self.slowed.is_some_and(|slowed| sent <= slowed) {
            return;
        }
        let half = self.rate / 2.0;
        // its bucket was empty then and is empty now; where we paused in between it may bear more than it took
        let learned = self.slowed.map(|slowed| seconds(slowed, sent, second)).filter(|time| *time >= TELLING);
        let learned = learned.map(|time| f64::from(self.taken) / time * MARGIN).filter(|rate| *rate > half);
        self.kept = learned.map(|_| now + second.mul_f64(KEPT));
        self.refused = self.rate;
        self.rate = learned.unwrap_or(half).clamp(SLOWEST, self.rate.max(SLOWEST));
        self.tokens = 0.0;
        self.taken = 0;
        self.slowed = Some(now);
    }
}

fn seconds(from: Instant, to: Instant, second: Duration) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() / second.as_secs_f64()
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
            assert!(taken >= bound && taken <= bound * 1.02, "{taken} against {bound}");
        }
    }

    #[test]
    fn a_pause_earns_one_burst_and_no_more() {
        let pacer = Pacer::new(SECOND);
        let start = Instant::now();
        let mut now = start + SECOND * 3600;
        for _ in 0..14 {
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
        pacer.take(start + SECOND);
        assert!((pacer.lock().rate - (FULL / 2.0 + FULL * BACK_PART)).abs() < 0.05);
        pacer.take(start + SECOND * 3);
        assert!((pacer.lock().rate - FULL * BACK).abs() < 0.05);
        pacer.take(start + SECOND * 5);
        assert!((pacer.lock().rate - (FULL * BACK + 2.0 * CREEP)).abs() < 0.05);
        pacer.take(start + SECOND * 600);
        assert!((pacer.lock().rate - FULL).abs() < f64::EPSILON);
        assert!(pacer.lock().tokens <= FULL);
    }

    /// A service with a limit of its own, fifty milliseconds away: how long so many calls take, and how many of them are
    /// refused.
    fn against(pacer: &Pacer, calls: u32, limit: f64, burst: f64) -> (f64, u32) {
        let start = Instant::now() + SECOND;
        let mut now = start;
        let (mut tokens, mut filled, mut served, mut refused) = (burst, now, 0, 0);
        while served < calls {
            admitted(pacer, &mut now);
            tokens = f64::min(burst, tokens + (now - filled).as_secs_f64() * limit);
            filled = now;
            if tokens >= 1.0 {
                tokens -= 1.0;
                served += 1;
                pacer.taken(now);
            } else {
                refused += 1;
                let sent = now;
                now += SECOND / 20;
                slowed(pacer, sent, now);
            }
        }
        ((now - start).as_secs_f64(), refused)
    }

    #[test]
    fn an_unknown_lower_limit_is_found_with_few_refusals() {
        for (limit, burst) in [1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 12.0, 14.0].map(|limit| (limit, f64::max(limit, 5.0))) {
            let (taken, refused) = against(&Pacer::new(SECOND), 100, limit, burst);
            let bound = (100.0 - burst) / limit;
            assert!(taken <= bound * 1.3, "{limit}/{burst}: {taken} against {bound}");
            assert!(refused <= 10, "{limit}/{burst}: {refused} refused");
        }
    }

    #[test]
    fn a_limit_that_was_learned_is_kept_for_a_while() {
        let pacer = Pacer::new(SECOND);
        against(&pacer, 100, 5.0, 5.0);
        let rate = pacer.lock().rate;
        assert!((4.5..5.0).contains(&rate), "{rate}");
        let (_, refused) = against(&pacer, 200, 5.0, 5.0);
        assert!(refused <= 2, "{refused}");
        // and in the end another try is made
        pacer.take(Instant::now() + SECOND * 600);
        pacer.take(Instant::now() + SECOND * 620);
        assert!(pacer.lock().rate > rate);
    }

    #[test]
    fn a_pause_does_not_make_the_limit_look_lower() {
        let pacer = Pacer::new(SECOND);
        let start = Instant::now();
        slowed(&pacer, start, start);
        let later = start + SECOND * 100;
        slowed(&pacer, later, later);
        assert!(pacer.lock().rate >= FULL / 2.0 - 0.05, "one call in a hundred seconds was all that was asked");
        assert!(pacer.lock().kept.is_none());
    }

    #[test]
    fn the_time_for_calls_is_told_beforehand() {
        let pacer = Pacer::new(SECOND);
        let now = Instant::now();
        assert_eq!(pacer.time_for(14, now), Duration::ZERO);
        let told = pacer.time_for(100, now).as_secs_f64();
        assert!((told - 86.0 / FULL).abs() < 0.01, "{told}");
        slowed(&pacer, now, now);
        let told = pacer.time_for(15, now).as_secs_f64();
        assert!((told - 15.0 / (FULL / 2.0)).abs() < 0.01, "{told}");
        assert_eq!(pacer.lock().taken, 0);
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
