use super::*;
use std::sync::Arc;

const SECOND: Duration = Duration::from_secs(1);

/// Takes a token as soon as possible. `now` stands for the clock, nothing sleeps.
fn admitted(limiter: &RateLimiter, now: &mut Instant) {
    while let Some(wait) = limiter.take(*now) {
        *now += wait;
    }
}

fn throttled(limiter: &RateLimiter, sent: Instant, now: Instant) {
    limiter.lock().slow_down(sent, now, limiter.second);
}

#[test]
fn hundred_calls_take_the_time_of_the_full_rate() {
    for second in [SECOND, SECOND / 10] {
        let limiter = RateLimiter::new(second);
        let start = Instant::now();
        let mut now = start;
        for _ in 0..100 {
            admitted(&limiter, &mut now);
        }
        let bound = (100.0 - MAX_RATE) / MAX_RATE;
        let taken = (now - start).as_secs_f64() / second.as_secs_f64();
        assert!(taken >= bound && taken <= bound * 1.02, "{taken} against {bound}");
    }
}

#[test]
fn pause_earns_one_burst() {
    let limiter = RateLimiter::new(SECOND);
    let start = Instant::now();
    let mut now = start + SECOND * 3600;
    for _ in 0..14 {
        admitted(&limiter, &mut now);
    }
    assert_eq!(now, start + SECOND * 3600);
    admitted(&limiter, &mut now);
    assert!(now > start + SECOND * 3600);
}

#[test]
fn throttles_of_calls_in_flight_halve_the_rate_once() {
    let limiter = RateLimiter::new(SECOND);
    let sent = Instant::now();
    let now = sent + SECOND / 20;
    for _ in 0..10 {
        throttled(&limiter, sent, now);
    }
    assert!((limiter.lock().rate - MAX_RATE / 2.0).abs() < 0.05);
    throttled(&limiter, now + SECOND / 100, now + SECOND / 50);
    assert!((limiter.lock().rate - MAX_RATE / 4.0).abs() < 0.05);
    for step in 1..20 {
        let sent = now + SECOND / 50 * (step + 1);
        throttled(&limiter, sent, sent);
    }
    assert!(limiter.lock().rate >= MIN_RATE);
}

#[test]
fn rate_recovers_but_not_above_the_full_rate() {
    let limiter = RateLimiter::new(SECOND);
    let start = Instant::now();
    throttled(&limiter, start, start);
    limiter.take(start + SECOND);
    assert!((limiter.lock().rate - MAX_RATE / 2.0 * (1.0 + RECOVERY)).abs() < 0.05);
    limiter.take(start + SECOND * 3);
    assert!((limiter.lock().rate - 9.9).abs() < 0.05, "8.25, and 10 % of it for each of two seconds");
    limiter.take(start + SECOND * 7);
    assert!((limiter.lock().rate - 13.86).abs() < 0.05, "9.9, and 10 % of it for each of four seconds");
    limiter.take(start + SECOND * 600);
    assert!((limiter.lock().rate - MAX_RATE).abs() < f64::EPSILON);
    assert!(limiter.lock().tokens <= MAX_RATE);
}

/// Sends calls to a service with its own limit, fifty milliseconds away. Returns the seconds and the number of
/// throttles.
fn against(limiter: &RateLimiter, calls: u32, limit: f64, burst: f64) -> (f64, u32) {
    let start = Instant::now() + SECOND;
    let mut now = start;
    let (mut tokens, mut filled, mut served, mut throttles) = (burst, now, 0, 0);
    while served < calls {
        admitted(limiter, &mut now);
        tokens = f64::min(burst, tokens + (now - filled).as_secs_f64() * limit);
        filled = now;
        if tokens >= 1.0 {
            tokens -= 1.0;
            served += 1;
            limiter.record_accepted(now);
        } else {
            throttles += 1;
            let sent = now;
            now += SECOND / 20;
            throttled(limiter, sent, now);
        }
    }
    ((now - start).as_secs_f64(), throttles)
}

#[test]
fn lower_limit_of_the_service_is_found_with_few_throttles() {
    for (limit, burst) in [1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 12.0, 14.0].map(|limit| (limit, f64::max(limit, 5.0))) {
        let (taken, throttles) = against(&RateLimiter::new(SECOND), 100, limit, burst);
        let bound = (100.0 - burst) / limit;
        assert!(taken <= bound * 1.3, "{limit}/{burst}: {taken} against {bound}");
        assert!(throttles <= 10, "{limit}/{burst}: {throttles} throttles");
    }
}

#[test]
fn measured_rate_is_kept_for_a_while() {
    let limiter = RateLimiter::new(SECOND);
    against(&limiter, 100, 5.0, 5.0);
    let rate = limiter.lock().rate;
    assert!((4.5..5.0).contains(&rate), "{rate}");
    let (_, throttles) = against(&limiter, 200, 5.0, 5.0);
    assert!(throttles <= 2, "{throttles}");
    // and then grows again
    limiter.take(Instant::now() + SECOND * 600);
    limiter.take(Instant::now() + SECOND * 620);
    assert!(limiter.lock().rate > rate);
}

#[test]
fn rate_measured_over_a_pause_is_not_used() {
    let limiter = RateLimiter::new(SECOND);
    let start = Instant::now();
    throttled(&limiter, start, start);
    let later = start + SECOND * 100;
    throttled(&limiter, later, later);
    assert!(limiter.lock().rate >= MAX_RATE / 2.0 - 0.05, "one call in a hundred seconds was all that was asked");
    assert!(limiter.lock().kept_until.is_none());
}

#[test]
fn time_for_calls_follows_from_tokens_and_rate() {
    let limiter = RateLimiter::new(SECOND);
    let now = Instant::now();
    assert_eq!(limiter.time_for(14, now), Duration::ZERO);
    let time = limiter.time_for(100, now).as_secs_f64();
    assert!((time - 86.0 / MAX_RATE).abs() < 0.01, "{time}");
    throttled(&limiter, now, now);
    let time = limiter.time_for(15, now).as_secs_f64();
    assert!((time - 15.0 / (MAX_RATE / 2.0)).abs() < 0.01, "{time}");
    assert_eq!(limiter.lock().accepted, 0);
}

#[tokio::test]
async fn retry_passes_the_queue() {
    let limiter = Arc::new(RateLimiter::new(SECOND / 20));
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..60 {
        let (limiter, done) = (Arc::clone(&limiter), done.clone());
        tokio::spawn(async move {
            limiter.admit(false).await;
            done.send(number).ok();
        });
    }
    tokio::task::yield_now().await;
    limiter.admit(true).await;
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
