use super::*;

#[test]
fn waits_grow_to_a_limit_and_respect_retry_after() {
    for (tries, most) in [(1, 200), (2, 400), (3, 800), (7, 10_000), (40, 10_000)] {
        let waits: Vec<Duration> = (0..200).map(|_| wait(tries, 0)).collect();
        let longest = waits.iter().max().unwrap();
        assert!(*longest <= Duration::from_millis(most), "{tries}: {longest:?}");
        assert!(*longest > Duration::from_millis(most / 2), "{tries}: spread, {longest:?}");
        assert!(*waits.iter().min().unwrap() < Duration::from_millis(most / 2), "{tries}");
    }
    assert!(wait(1, 3) >= Duration::from_secs(3));
}
