//! Writes plans and reports as one JSON document.
//!
//! A plan's document is the plan file. A report's document is the frozen, versioned struct `ReportV1`. Control characters
//! are JSON escapes, so that a terminal does not obey them.

use super::write_text;
use crate::apply::report::{Failure, Interrupt, Outcome, Report, StepOutcome};
use crate::model::sanitize::printable;
use crate::plan::file::PlanV2;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The format version of reports. New keys raise the minor version, changed keys the major version.
pub const REPORT_FORMAT_VERSION: &str = "1.0";

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReportV1 {
    /// `1.0`
    pub format_version: String,
    /// The program's version.
    pub irsa_version: String,
    /// Whether every step was applied, and no signal ended the run.
    pub succeeded: bool,
    /// `SIGINT` or `SIGTERM`, if a signal ended the run early.
    pub interrupted: Option<String>,
    /// Why the lock was lost, if that ended the run early.
    pub lock_lost: Option<String>,
    /// The counts.
    pub summary: ReportSummaryV1,
    /// One for each step, in plan order.
    pub outcomes: Vec<OutcomeV1>,
}

/// The counts of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReportSummaryV1 {
    /// All steps.
    pub changes: usize,
    /// Written.
    pub applied: usize,
    /// Already as planned.
    pub already_done: usize,
    /// Failed.
    pub failed: usize,
    /// Not started.
    pub skipped: usize,
}

/// The outcome of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OutcomeV1 {
    /// The object.
    pub address: String,
    /// `create`, `update`, `delete` or `adopt`.
    pub action: String,
    /// `applied`, `already-done`, `skipped` or `failed`.
    pub outcome: String,
    /// Why it was skipped, or null.
    pub why: Option<String>,
    /// Where it failed, or null.
    pub failure: Option<FailureV1>,
    /// What a final read of the written object did not show, or null.
    pub note: Option<String>,
}

/// Where a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FailureV1 {
    /// The operation that failed.
    pub operation: String,
    /// The service's code, or null.
    pub code: Option<String>,
    /// The message.
    pub why: String,
    /// The request id, or null.
    pub request_id: Option<String>,
    /// What to do next, or null.
    pub hint: Option<String>,
    /// Whether the object had changed since the plan.
    pub stale: bool,
    /// The operations that succeeded before.
    pub done: Vec<String>,
    /// The operations that did not succeed: the failed one and those after it.
    pub left: Vec<String>,
}

impl ReportV1 {
    /// The document for `report`.
    pub fn of(report: &Report) -> Self {
        let outcomes: Vec<OutcomeV1> = report.outcomes.iter().map(outcome).collect();
        let number = |word: &str| outcomes.iter().filter(|step| step.outcome == word).count();
        Self {
            format_version: REPORT_FORMAT_VERSION.to_owned(),
            irsa_version: env!("CARGO_PKG_VERSION").to_owned(),
            succeeded: report.succeeded(),
            interrupted: report.interrupted.map(|signal| match signal {
                Interrupt::Interrupt => "SIGINT".to_owned(),
                Interrupt::Terminate => "SIGTERM".to_owned(),
            }),
            lock_lost: report.lock_lost.clone(),
            summary: ReportSummaryV1 {
                changes: outcomes.len(),
                applied: number("applied"),
                already_done: number("already-done"),
                failed: number("failed"),
                skipped: number("skipped"),
            },
            outcomes,
        }
    }
}

fn outcome(step: &StepOutcome) -> OutcomeV1 {
    let StepOutcome { address, action, outcome, note } = step;
    let (word, why, failure) = match outcome {
        Outcome::Applied => ("applied", None, None),
        Outcome::AlreadyDone => ("already-done", None, None),
        Outcome::Skipped(why) => ("skipped", Some(why.clone()), None),
        Outcome::Failed(failure) => ("failed", None, Some(failed(failure))),
    };
    OutcomeV1 {
        address: address.to_string(),
        action: action.as_str().to_owned(),
        outcome: word.to_owned(),
        why,
        failure,
        note: note.clone(),
    }
}

fn failed(failure: &Failure) -> FailureV1 {
    let Failure { operation, code, why, request_id, hint, stale, written: _, held_up: _, done, left } = failure.clone();
    FailureV1 { operation, code, why, request_id, hint, stale, done, left }
}

/// Writes the plan file.
pub fn plan(plan: &PlanV2, out: &mut dyn Write) -> io::Result<()> {
    write_text(&plan.to_text(), out)
}

/// Writes the report.
pub fn report(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(&ReportV1::of(report))?;
    text.push('\n');
    write_text(&printable(&text), out)
}
