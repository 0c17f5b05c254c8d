//! Counts what was read and written, and describes it in one line.

use crate::event::Event;
use crate::model::sanitize::scrub;
use crate::render::count;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Before,
    Reading,
    Verifying,
    Applying,
    After,
}

/// What a run has done so far in its phase.
#[derive(Debug, Default)]
pub(super) struct Tally {
    phase: Phase,
    places: usize,
    accounts_read: usize,
    clusters_read: usize,
    objects: usize,
    /// The ServiceAccounts to verify, and the patterns over them.
    chains: usize,
    chains_read: usize,
    steps: usize,
    steps_done: usize,
    failed: usize,
    calls: usize,
    calls_done: usize,
    /// What happened last.
    latest: String,
}

/// What an event means for the display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Started,
    Progress,
    /// The phase is over; its last line.
    Ended(String),
}

impl Tally {
    pub(super) fn count(&mut self, event: &Event) -> Change {
        match event {
            Event::ReadStarted { places } => {
                *self = Self { phase: Phase::Reading, places: *places, ..Self::default() };
                return Change::Started;
            }
            Event::PlaceRead { place, objects } => {
                let read =
                    if place.starts_with("account/") { &mut self.accounts_read } else { &mut self.clusters_read };
                *read += 1;
                self.objects += objects;
                self.latest = scrub(place).into_owned();
            }
            Event::ReadFinished => {
                self.phase = Phase::After;
                let (accounts, clusters) = (self.accounts_read, self.clusters_read);
                let accounts = count(accounts, "account", "accounts");
                let clusters = count(clusters, "cluster", "clusters");
                return Change::Ended(format!(
                    "Read {} in {accounts} and {clusters}.",
                    count(self.objects, "object", "objects")
                ));
            }
            Event::VerifyStarted { chains } => {
                *self = Self { phase: Phase::Verifying, chains: *chains, ..Self::default() };
                return Change::Started;
            }
            Event::ChainRead => self.chains_read += 1,
            Event::VerifyFinished => {
                self.phase = Phase::After;
                return Change::Ended(format!("Tried {}.", count(self.chains, "ServiceAccount", "ServiceAccounts")));
            }
            Event::ApplyStarted { steps, calls } => {
                *self = Self { phase: Phase::Applying, steps: *steps, calls: *calls, ..Self::default() };
                return Change::Started;
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
                    let (done, all, calls) = (self.steps_done, self.steps, count(self.calls_done, "call", "calls"));
                    return Change::Ended(format!("Ended {done} of {all} steps with {calls}{}.", self.failures()));
                }
            }
            Event::Waiting { what } => self.latest = format!("waiting: {}", scrub(what)),
        }
        Change::Progress
    }

    fn failures(&self) -> String {
        if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() }
    }

    fn places_read(&self) -> usize {
        self.accounts_read + self.clusters_read
    }

    /// How much of the phase is done, and its length.
    pub(super) fn progress(&self) -> (usize, usize) {
        match self.phase {
            Phase::Reading => (self.places_read(), self.places),
            Phase::Verifying => (self.chains_read, self.chains),
            Phase::Applying => (self.calls_done.min(self.calls), self.calls),
            Phase::Before | Phase::After => (0, 0),
        }
    }

    pub(super) fn line(&self) -> String {
        let text = match self.phase {
            Phase::Reading => {
                let (read, all, objects) = (self.places_read(), self.places, count(self.objects, "object", "objects"));
                format!("Reading: {read} of {all} accounts and clusters, {objects}")
            }
            Phase::Verifying => format!("Verifying: {} of {} ServiceAccounts", self.chains_read, self.chains),
            Phase::Applying => {
                let (steps, calls) = ((self.steps_done, self.steps), (self.calls_done, self.calls));
                let failures = self.failures();
                format!("Applying: {} of {} steps, {} of {} calls{failures}", steps.0, steps.1, calls.0, calls.1)
            }
            Phase::Before | Phase::After => return self.latest.clone(),
        };
        if self.latest.is_empty() { text } else { format!("{text} ({})", self.latest) }
    }
}

#[cfg(test)]
mod tests;
