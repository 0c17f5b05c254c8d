//! Listeners that show a tally: a bar on a terminal, lines in a log.

use super::message;
use super::tally::{Tally, Turn};
use crate::event::{Event, Listen};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the bar turns while nothing happens.
const TICK: Duration = Duration::from_millis(120);

/// A panic elsewhere leaves counts that are good enough to show.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bar on stderr, there only while a phase lasts.
pub(crate) struct Bar {
    color: bool,
    state: Mutex<(Tally, Option<ProgressBar>)>,
}

impl Bar {
    pub(crate) fn new(color: bool) -> Self {
        Self { color, state: Mutex::new((Tally::new(), None)) }
    }

    /// Takes the bar away; the next event brings it back.
    pub(crate) fn clear(&self) {
        if let Some(bar) = locked(&self.state).1.take() {
            bar.finish_and_clear();
        }
    }

    /// Runs `write` while the bar is out of the way.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        match &locked(&self.state).1 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn fresh(&self) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let template =
            if self.color { "{spinner:.cyan} {bar:20.cyan/dim} {wide_msg}" } else { "{spinner} {bar:20} {wide_msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar.enable_steady_tick(TICK);
        bar
    }
}

impl Listen for Bar {
    fn on(&self, event: &Event) {
        let mut state = locked(&self.state);
        let (tally, shown) = &mut *state;
        if let Turn::Ends(_) = tally.hear(event) {
            if let Some(bar) = shown.take() {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = shown.get_or_insert_with(|| self.fresh());
        let (done, all) = tally.progress();
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(tally.line());
    }
}

/// A line when a phase ends, and one now and then while it lasts.
pub(crate) struct Lines {
    every: Duration,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    state: Mutex<Log>,
}

struct Log {
    tally: Tally,
    last: Duration,
    out: Box<dyn Write + Send>,
}

impl Lines {
    /// `clock` tells the time since some beginning.
    pub(crate) fn new(
        every: Duration,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
        out: Box<dyn Write + Send>,
    ) -> Self {
        Self {
            every,
            clock: Box::new(clock),
            state: Mutex::new(Log { tally: Tally::new(), last: Duration::ZERO, out }),
        }
    }
}

impl Listen for Lines {
    fn on(&self, event: &Event) {
        let now = (self.clock)();
        let mut log = locked(&self.state);
        let line = match log.tally.hear(event) {
            Turn::Begins => {
                log.last = now;
                return;
            }
            Turn::Goes if now.saturating_sub(log.last) < self.every => return,
            Turn::Goes => log.tally.line(),
            Turn::Ends(line) => line,
        };
        log.last = now;
        // a closed stderr leaves nobody to tell
        let _ = log.out.write_all(message::plain(&line).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            locked(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_hears_now_and_then_and_at_the_end() {
        let seconds = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&seconds);
        let out = Shared::default();
        let lines = Lines::new(
            Duration::from_secs(10),
            move || Duration::from_secs(clock.load(Ordering::Relaxed)),
            Box::new(out.clone()),
        );
        lines.on(&Event::ReadStarted { places: 5 });
        for (second, name) in [(1, "a"), (9, "b"), (11, "c"), (12, "d"), (30, "e")] {
            seconds.store(second, Ordering::Relaxed);
            lines.on(&Event::PlaceRead { place: name.into(), objects: 2 });
        }
        lines.on(&Event::ReadFinished);
        let text = String::from_utf8(locked(&out.0).clone()).unwrap();
        assert_eq!(
            text,
            "Reading: 3 of 5 places, 6 objects (c)\nReading: 5 of 5 places, 10 objects (e)\nRead 10 objects in 5 places.\n"
        );
    }

    #[test]
    fn the_bar_is_there_only_while_a_phase_lasts() {
        let bar = Bar::new(false);
        let there = |bar: &Bar| locked(&bar.state).1.is_some();
        assert!(!there(&bar));
        bar.on(&Event::ReadStarted { places: 1 });
        assert!(there(&bar));
        bar.clear();
        assert!(!there(&bar));
        bar.on(&Event::PlaceRead { place: "account/a".into(), objects: 1 });
        assert!(there(&bar));
        bar.on(&Event::ReadFinished);
        assert!(!there(&bar));
    }
}
