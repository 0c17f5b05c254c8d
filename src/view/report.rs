//! `ReportView::of`: what a report says about each step, and the sentences below the steps.

use super::ReportView;
use super::change::{done, sign};
use super::words::count;
use crate::apply::report::{Failure, Interrupt, Outcome, Report, StepOutcome};
use crate::model::sanitize::scrub;
use crate::plan::change::Action;

/// An [`Outcome`] without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutcomeKind {
    Applied,
    AlreadyDone,
    Skipped,
    Failed,
}

/// One step. All strings are scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepView {
    pub outcome: OutcomeKind,
    pub action: Action,
    pub address: String,
    /// The words behind the address.
    pub words: String,
    /// The paragraphs below: a label, which may be empty, and a text.
    pub details: Vec<(&'static str, String)>,
}

impl StepView {
    /// The sign in front of the address.
    pub(crate) fn sign(&self) -> char {
        match self.outcome {
            OutcomeKind::Applied => sign(self.action),
            OutcomeKind::AlreadyDone => '=',
            OutcomeKind::Skipped => '>',
            OutcomeKind::Failed => 'x',
        }
    }

    fn of(step: &StepOutcome) -> Self {
        let action = step.action;
        let (outcome, words, mut details) = match &step.outcome {
            Outcome::Applied => (OutcomeKind::Applied, done(action).to_owned(), Vec::new()),
            Outcome::AlreadyDone => (OutcomeKind::AlreadyDone, "was already as planned".to_owned(), Vec::new()),
            Outcome::Skipped(why) => (OutcomeKind::Skipped, format!("skipped: {}", scrub(why)), Vec::new()),
            Outcome::Failed(failure) => (OutcomeKind::Failed, headline(failure), details(failure)),
        };
        details.extend(step.note.as_deref().map(|note| ("note", scrub(note).into_owned())));
        Self { outcome, action, address: scrub(&step.address.to_string()).into_owned(), words, details }
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
    // the headline has the code of a failure that is not stale
    let code = code.as_deref().filter(|_| *stale).unwrap_or_default();
    [
        ("", why.as_str()),
        ("code", code),
        ("request id", request_id.as_deref().unwrap_or_default()),
        ("done", &done.join(", ")),
        ("left", &left.join(", ")),
        ("hint", hint.as_deref().unwrap_or_default()),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .map(|(label, text)| (label, scrub(text).into_owned()))
    .collect()
}

impl ReportView {
    /// The view of a report.
    pub fn of(report: &Report) -> Self {
        let steps: Vec<StepView> = report.outcomes.iter().map(StepView::of).collect();
        let number = |outcome| steps.iter().filter(|step| step.outcome == outcome).count();
        let (failed, skipped) = (number(OutcomeKind::Failed), number(OutcomeKind::Skipped));
        let (applied, all) = (report.applied(), count(steps.len(), "change", "changes"));
        Self {
            summary: format!("Applied {applied} of {all}. {failed} failed, {skipped} skipped."),
            stopped: stopped(report),
            succeeded: report.succeeded(),
            steps,
        }
    }
}

fn stopped(report: &Report) -> Option<String> {
    match (report.interrupted, &report.lock_lost) {
        (Some(Interrupt::Interrupt), _) => Some("Interrupted by SIGINT: no write was begun after it.".to_owned()),
        (Some(Interrupt::Terminate), _) => Some("Interrupted by SIGTERM: no write was begun after it.".to_owned()),
        (None, Some(why)) => Some(format!("The lock was lost: {}. No write was begun after it.", scrub(why))),
        (None, None) => None,
    }
}
