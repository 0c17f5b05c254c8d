use super::*;

#[test]
fn log_has_a_line_each_interval_and_at_the_end() {
    let mut log = Log::new(Duration::from_secs(10));
    let mut lines = Vec::new();
    lines.extend(log.line(&Event::ReadStarted { places: 5 }, Duration::ZERO));
    for (second, place) in [(1, "account/a"), (9, "cluster/b"), (11, "cluster/c"), (12, "cluster/d"), (30, "cluster/e")]
    {
        let event = Event::PlaceRead { place: place.into(), objects: 2 };
        lines.extend(log.line(&event, Duration::from_secs(second)));
    }
    lines.extend(log.line(&Event::ReadFinished, Duration::from_secs(30)));
    assert_eq!(
        lines,
        [
            "Reading: 3 of 5 accounts and clusters, 6 objects (cluster/c)\n",
            "Reading: 5 of 5 accounts and clusters, 10 objects (cluster/e)\n",
            "Read 10 objects in 1 account and 4 clusters.\n"
        ]
    );
}

#[test]
fn line_that_a_ci_system_would_obey_is_escaped() {
    let mut log = Log::new(Duration::ZERO);
    let event = Event::PlaceRead { place: "::error::x\u{202e}".into(), objects: 2 };
    assert_eq!(log.line(&event, Duration::ZERO).as_deref(), Some("\\::error::x<U+202E>\n"));
}

#[test]
fn bar_is_shown_only_during_a_phase() {
    let bar = Bar::new(false);
    let is_shown = |bar: &Bar| locked(&bar.state).1.is_some();
    assert!(!is_shown(&bar));
    bar.on(&Event::ReadStarted { places: 1 });
    assert!(is_shown(&bar));
    bar.clear();
    assert!(!is_shown(&bar));
    bar.on(&Event::PlaceRead { place: "account/a".into(), objects: 1 });
    assert!(is_shown(&bar));
    bar.on(&Event::ReadFinished);
    assert!(!is_shown(&bar));
}
