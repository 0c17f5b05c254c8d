//! What a reader is told of plans and reports, built once and drawn by every renderer.
//!
//! A plan's view is made from the frozen plan file alone: what the text shows, the JSON has. Everything that is worked
//! out (which statement became which, who gains and who loses access, the words of the summary) is worked out here, and
//! every string is scrubbed here. Knows nothing of colours, columns or markup, and is the only user of `similar`.

mod access;
mod change;
mod document;
mod entry;
#[cfg(test)]
pub(crate) mod examples;
mod names;
mod plan;
mod report;
mod risk;
pub(crate) mod scrub;
mod spelling;
mod summary;
mod value;
mod words;

pub use names::names;
pub(crate) use summary::Line;

pub(crate) use change::{ChangeView, Verb};
pub(crate) use entry::{Entry, Mark, Text};
pub(crate) use plan::{NoteView, RefusedView, UnknownView};
pub(crate) use report::{StepView, Tick};
pub(crate) use risk::{Risk, Weight};

/// How much is told to people. A program is told everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// `-q`: nothing about what others have.
    Least,
    /// What others have is counted.
    #[default]
    Usual,
    /// `-v`: what others have, one by one.
    Full,
}

/// A plan as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanView {
    /// The configuration's owner.
    pub(crate) owner: String,
    /// How much of it is shown.
    pub(crate) detail: Detail,
    /// The changes, grouped by kind in apply order.
    pub(crate) changes: Vec<ChangeView>,
    /// What is refused.
    pub(crate) refused: Vec<RefusedView>,
    /// What could not be seen.
    pub(crate) unknown: Vec<UnknownView>,
    /// Findings and remarks, the gravest first.
    pub(crate) notes: Vec<NoteView>,
    /// Safeguards that differ from their defaults, and the owner of what is deleted.
    pub(crate) guards: Vec<NoteView>,
    /// What waits for something that others make.
    pub(crate) waiting: Vec<NoteView>,
    /// `Plan: …` or `No changes. …`
    pub(crate) summary: String,
    /// What else the reader should know, in short sentences.
    pub(crate) remarks: Vec<String>,
}

/// A report as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportView {
    /// The steps in plan order.
    pub(crate) steps: Vec<StepView>,
    /// The sentence about the signal, or the lost lock, that ended the run early.
    pub(crate) stopped: Option<String>,
    /// `Applied 3 of 4 changes. 1 failed, 0 skipped.`
    pub(crate) summary: String,
    /// Whether everything ended well.
    pub(crate) succeeded: bool,
}

#[cfg(test)]
mod tests;
