//! The view of a report.

use super::scrub::scrub;
use super::{ReportView, Verb};
use crate::apply::report::{Failure, Interrupt, Outcome, Report, StepOutcome};

/// How a step ended, for the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Written.
    Done,
    /// Found as it should be.
    Same,
    /// Not begun.
    Skipped,
    /// Failed.
    Failed,
}

/// One step as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepView {
    pub tick: Tick,
    pub verb: Verb,
    pub address: String,
    /// What is said behind the address.
    pub words: String,
    /// What is said below: a label, or none, and a text.
    pub details: Vec<(&'static str, String)>,
}

impl StepView {
    /// The sign before the address: that of the change once it is made, `=` `>` and `x` otherwise.
    pub(crate) fn sign(&self) -> char {
        match self.tick {
            Tick::Done => self.verb.sign(),
            Tick::Same => '=',
            Tick::Skipped => '>',
            Tick::Failed => 'x',
        }
    }

    fn of(step: &StepOutcome) -> Self {
        let verb = Verb::of(step.action.as_str());
        let (tick, words, details) = match &step.outcome {
            Outcome::Applied => (Tick::Done, verb.done(), Vec::new()),
            Outcome::AlreadyDone => (Tick::Same, "was as planned already".to_owned(), Vec::new()),
            Outcome::Skipped(why) => (Tick::Skipped, format!("skipped: {}", scrub(why)), Vec::new()),
            Outcome::Failed(failure) => (Tick::Failed, headline(failure), details(failure)),
        };
        let mut details = details;
        details.extend(step.note.as_deref().map(|note| ("note", scrub(note).into_owned())));
        Self { tick, verb, address: scrub(&step.address.to_string()).into_owned(), words, details }
    }
}

fn headline(failure: &Failure) -> String {
    let operation = scrub(&failure.operation);
    match (&failure.code, failure.stale) {
        (_, true) => format!("failed at {operation}: it has changed since the plan"),
        (Some(code), false) => format!("failed at {operation}: {}", scrub(code)),
        (None, false) => format!("failed at {operation}"),
    }
}

fn details(failure: &Failure) -> Vec<(&'static str, String)> {
    let Failure { operation: _, code, why, request_id, hint, stale, written: _, held_up: _, done, left } = failure;
    let mut list = Vec::new();
    let mut tell = |label, text: &str| {
        if !text.is_empty() {
            list.push((label, scrub(text).into_owned()));
        }
    };
    tell("", why);
    if *stale {
        tell("code", code.as_deref().unwrap_or_default());
    }
    tell("request id", request_id.as_deref().unwrap_or_default());
    tell("done", &done.join(", "));
    tell("left", &left.join(", "));
    tell("hint", hint.as_deref().unwrap_or_default());
    list
}

impl ReportView {
    /// What `report` tells.
    pub fn of(report: &Report) -> Self {
        let steps: Vec<StepView> = report.outcomes.iter().map(StepView::of).collect();
        let number = |tick| steps.iter().filter(|step| step.tick == tick).count();
        let (all, failed, skipped) = (steps.len(), number(Tick::Failed), number(Tick::Skipped));
        let changes = if all == 1 { "change" } else { "changes" };
        Self {
            summary: format!("Applied {} of {all} {changes}. {failed} failed, {skipped} skipped.", report.applied()),
            stopped: stopped(report),
            succeeded: report.succeeded(),
            steps,
        }
    }
}

fn stopped(report: &Report) -> Option<String> {
    match (report.interrupted, &report.lock_lost) {
        (Some(signal), _) => {
            let name = match signal {
                Interrupt::Interrupt => "SIGINT",
                Interrupt::Terminate => "SIGTERM",
            };
            Some(format!("Interrupted by {name}: no write was begun after it."))
        }
        (None, Some(why)) => Some(format!("The lock was lost: {}. No write was begun after it.", scrub(why))),
        (None, None) => None,
    }
}
