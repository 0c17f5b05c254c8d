//! Shows progress: a bar on a terminal, lines in a log.

use super::message;
use super::tally::{Change, Tally};
use crate::event::{Event, Listen};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the spinner turns while nothing happens.
const TICK: Duration = Duration::from_millis(120);

/// Counts are good enough to show even after a panic in another thread.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bar on stderr, shown during a phase.
pub(super) struct Bar {
    has_color: bool,
    state: Mutex<(Tally, Option<ProgressBar>)>,
}

impl Bar {
    pub(super) fn new(has_color: bool) -> Self {
        Self { has_color, state: Mutex::default() }
    }

    /// Hides the bar until the next event.
    pub(super) fn clear(&self) {
        if let Some(bar) = locked(&self.state).1.take() {
            bar.finish_and_clear();
        }
    }

    /// Runs `write` while the bar is hidden.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        match &locked(&self.state).1 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn new_bar(&self) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let colored = "{spinner:.cyan} {bar:20.cyan/dim} {wide_msg}";
        let template = if self.has_color { colored } else { "{spinner} {bar:20} {wide_msg}" };
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
        if let Change::Ended(_) = tally.count(event) {
            if let Some(bar) = shown.take() {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = shown.get_or_insert_with(|| self.new_bar());
        let (done, all) = tally.progress();
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(tally.line());
    }
}

/// Lines on stderr: one when a phase ends, and one each `interval` before.
pub(super) struct Lines {
    start: Instant,
    log: Mutex<Log>,
}

struct Log {
    interval: Duration,
    tally: Tally,
    /// When the phase started or the last line was printed.
    last: Duration,
}

impl Lines {
    pub(super) fn new(interval: Duration) -> Self {
        Self { start: Instant::now(), log: Mutex::new(Log::new(interval)) }
    }
}

impl Listen for Lines {
    fn on(&self, event: &Event) {
        // one line at a time: the lock is held during the write
        let mut log = locked(&self.log);
        if let Some(line) = log.line(event, self.start.elapsed()) {
            // if stderr is closed, nobody reads it
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

impl Log {
    fn new(interval: Duration) -> Self {
        Self { interval, tally: Tally::default(), last: Duration::ZERO }
    }

    /// The line to print after this event, with its line break.
    fn line(&mut self, event: &Event, now: Duration) -> Option<String> {
        let line = match self.tally.count(event) {
            Change::Started => None,
            Change::Progress if now.saturating_sub(self.last) < self.interval => return None,
            Change::Progress => Some(self.tally.line()),
            Change::Ended(line) => Some(line),
        };
        self.last = now;
        line.map(|line| message::plain(&line))
    }
}

#[cfg(test)]
mod tests;
