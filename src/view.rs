//! `PlanView` and `ReportView`: what a plan and a report say, built once and drawn by every text renderer.
//!
//! A plan's view is built from the plan file, with the configuration's names and the documents that irsa read to say what
//! a change gives and takes. Everything that needs thought is decided here: which statement became which, who gains and
//! who loses access, the words of the summary. Every string is scrubbed here. This room knows nothing of colours, columns
//! or markup, and is the only user of `similar`.

mod access;
mod change;
mod config_keys;
mod diff_node;
mod document_diff;
mod permissions;
mod plan;
mod report;
mod risk;
mod spelling;
mod statement;
mod summary;
mod value_diff;
mod words;

pub use config_keys::config_keys;

use crate::model::address::Address;
use crate::plan::file::change_v2;
use crate::plan::{ConfigKeys, ResourceChange};
use crate::policy::Statement;
use permissions::ManagedDocuments;
use std::collections::HashSet;

pub(crate) use change::{ChangeView, declared_at, sign};
pub(crate) use diff_node::{DiffNode, NodeText, Sign};
pub(crate) use plan::{NoteView, ProblemView};
pub(crate) use report::{OutcomeKind, StepView};
pub(crate) use risk::RiskLevel;
pub(crate) use summary::SummaryLine;
pub(crate) use words::{count, ignored_count};

/// An object as it is now, in the short form of its creation: a line for each part.
pub(crate) fn live_lines(
    address: &Address,
    live: &ResourceChange,
    keys: &ConfigKeys,
    account: Option<&str>,
) -> Vec<String> {
    let managed = ManagedDocuments::of(&[], &HashSet::new(), keys);
    let change = ChangeView::of(&change_v2(address, live), &[], false, keys, account, &managed);
    // nothing is created, so no line has a sign
    let plain = |line: SummaryLine| SummaryLine { sign: Sign::Same, ..line };
    change.summary.into_iter().map(plain).map(|line| format!("{}{}", "  ".repeat(line.depth), line.text())).collect()
}

/// `Allow ACTIONS on RESOURCES if CONDITIONS`
pub(crate) fn statement_text(statement: &Statement) -> String {
    statement.to_value().as_object().map(statement::sentence).unwrap_or_default()
}

/// How much of a plan the forms for people show. The forms for programs always show everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// `-q`: without the notes about roles that irsa does not manage.
    Least,
    /// Counts the roles that irsa does not manage.
    #[default]
    Usual,
    /// `-v`: every field, and each role that irsa does not manage.
    Full,
}

/// What a plan says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanView {
    /// The configuration's owner.
    pub(crate) owner: String,
    pub(crate) detail: Detail,
    /// Grouped by kind, in apply order.
    pub(crate) changes: Vec<ChangeView>,
    pub(crate) refused: Vec<ProblemView>,
    /// The objects that irsa could not read.
    pub(crate) unknown: Vec<ProblemView>,
    /// Findings and remarks, the most severe first.
    pub(crate) notes: Vec<NoteView>,
    /// Guards with other values than their defaults. With deletes, also the owner of the deleted objects.
    pub(crate) guards: Vec<NoteView>,
    /// The objects that wait for an object that somebody else creates.
    pub(crate) waiting: Vec<NoteView>,
    /// `Plan: …` or `No changes. …`
    pub(crate) summary: String,
    /// Further sentences below the summary.
    pub(crate) remarks: Vec<String>,
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportView {
    /// In plan order.
    pub(crate) steps: Vec<StepView>,
    /// Why the run ended early: a signal, or the lost lock.
    pub(crate) stopped: Option<String>,
    /// `Applied 3 of 4 changes. 1 failed, 0 skipped.`
    pub(crate) summary: String,
    /// Whether every step was applied, and no signal ended the run.
    pub(crate) succeeded: bool,
}

#[cfg(test)]
pub(crate) mod tests;
