//! Counts what was read and written, and says so in a line. Pure: knows no clock and no terminal.

use crate::event::Event;
use crate::model::sanitize::scrub;

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Before,
    Reading,
    Applying,
    After,
}

/// What a run has done so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub phase: Phase,
    places: usize,
    places_read: usize,
    objects: usize,
    steps: usize,
    steps_done: usize,
    failed: usize,
    calls: usize,
    calls_done: usize,
    /// What was heard of last.
    latest: String,
}

/// What an event means for who tells of progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A phase begins.
    Begins,
    /// There is progress.
    Goes,
    /// A phase is over: this is its last line.
    Ends(String),
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Before,
            places: 0,
            places_read: 0,
            objects: 0,
            steps: 0,
            steps_done: 0,
            failed: 0,
            calls: 0,
            calls_done: 0,
            latest: String::new(),
        }
    }

    /// Takes an event in.
    pub(crate) fn hear(&mut self, event: &Event) -> Turn {
        match event {
            Event::ReadStarted { places } => {
                // a second look begins anew
                *self = Self { phase: Phase::Reading, places: *places, ..Self::new() };
                return Turn::Begins;
            }
            Event::PlaceRead { place, objects } => {
                self.places_read += 1;
                self.objects += objects;
                self.latest = scrub(place).into_owned();
            }
            Event::ReadFinished => {
                self.phase = Phase::After;
                return Turn::Ends(format!("Read {} objects in {} places.", self.objects, self.places_read));
            }
            Event::ApplyStarted { steps, calls } => {
                *self = Self { phase: Phase::Applying, steps: *steps, calls: *calls, ..Self::new() };
                return Turn::Begins;
            }
            Event::CallStarted { address, operation } => {
                self.latest = scrub(&format!("{address} {operation}")).into_owned();
            }
            Event::CallFinished { .. } => self.calls_done += 1,
            Event::StepFinished { address: _, outcome } => {
                self.steps_done += 1;
                self.failed += usize::from(*outcome == "failed");
                if self.phase == Phase::Applying && self.steps_done >= self.steps {
                    self.phase = Phase::After;
                    return Turn::Ends(self.end_of_apply());
                }
            }
            Event::Waiting { what } => self.latest = format!("waiting: {}", scrub(what)),
        }
        Turn::Goes
    }

    fn end_of_apply(&self) -> String {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("Ended {} of {} steps with {} calls{failed}.", self.steps_done, self.steps, self.calls_done)
    }

    /// How far the phase is: of how many.
    pub(crate) fn progress(&self) -> (usize, usize) {
        match self.phase {
            Phase::Reading => (self.places_read, self.places),
            Phase::Applying => (self.calls_done.min(self.calls), self.calls),
            Phase::Before | Phase::After => (0, 0),
        }
    }

    /// Where the run is, in a line.
    pub(crate) fn line(&self) -> String {
        let text = match self.phase {
            Phase::Reading => {
                format!("Reading: {} of {} places, {} objects", self.places_read, self.places, self.objects)
            }
            Phase::Applying => {
                let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
                format!(
                    "Applying: {} of {} steps, {} of {} calls{failed}",
                    self.steps_done, self.steps, self.calls_done, self.calls
                )
            }
            Phase::Before | Phase::After => return self.latest.clone(),
        };
        if self.latest.is_empty() { text } else { format!("{text} ({})", self.latest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;
    use crate::model::address::Address;

    fn read(place: &str, objects: usize) -> Event {
        Event::PlaceRead { place: place.into(), objects }
    }

    #[test]
    fn reading_is_counted() {
        let mut tally = Tally::new();
        assert_eq!(tally.hear(&Event::ReadStarted { places: 2 }), Turn::Begins);
        assert_eq!(tally.line(), "Reading: 0 of 2 places, 0 objects");
        assert_eq!(tally.hear(&read("account/prod", 40)), Turn::Goes);
        assert_eq!(tally.line(), "Reading: 1 of 2 places, 40 objects (account/prod)");
        assert_eq!(tally.progress(), (1, 2));
        tally.hear(&read("cluster/\u{1b}x", 2));
        assert_eq!(tally.line(), "Reading: 2 of 2 places, 42 objects (cluster/<U+001B>x)");
        assert_eq!(tally.hear(&Event::ReadFinished), Turn::Ends("Read 42 objects in 2 places.".into()));
        tally.hear(&Event::ReadStarted { places: 1 });
        assert_eq!(tally.line(), "Reading: 0 of 1 places, 0 objects");
    }

    #[test]
    fn writing_is_counted_and_ends_with_the_last_step() {
        let address = Address::role(&Key::parse("reports").unwrap());
        let operation = "iam:CreateRole".to_owned();
        let mut tally = Tally::new();
        assert_eq!(tally.hear(&Event::ApplyStarted { steps: 2, calls: 3 }), Turn::Begins);
        tally.hear(&Event::CallStarted { address: address.clone(), operation: operation.clone() });
        assert_eq!(tally.line(), "Applying: 0 of 2 steps, 0 of 3 calls (role/reports iam:CreateRole)");
        tally.hear(&Event::CallFinished { address: address.clone(), operation });
        assert_eq!(tally.hear(&Event::StepFinished { address: address.clone(), outcome: "applied" }), Turn::Goes);
        tally.hear(&Event::Waiting { what: "a throttle".into() });
        assert_eq!(tally.line(), "Applying: 1 of 2 steps, 1 of 3 calls (waiting: a throttle)");
        assert_eq!(tally.progress(), (1, 3));
        let end = tally.hear(&Event::StepFinished { address, outcome: "failed" });
        assert_eq!(end, Turn::Ends("Ended 2 of 2 steps with 1 calls, 1 failed.".into()));
    }
}
