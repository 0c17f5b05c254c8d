//! The view of a plan: its groups, and its words at the end.

use super::scrub::scrub;
use super::words::count;
use super::{ChangeView, PlanView};
use crate::plan::file::{ChangeV1, NoteV1, PlanV1, SummaryV1};
use crate::plan::safeguards;

/// The rule of the notes about what waits for others.
const WAITING: &str = "waiting";

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedView {
    pub address: String,
    pub why: String,
    /// Empty if there is none.
    pub hint: String,
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenView {
    pub address: String,
    pub why: String,
}

/// A finding or remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoteView {
    pub address: String,
    pub severity: String,
    pub rule: String,
    /// `file:line`, or empty.
    pub origin: String,
    pub text: String,
}

impl NoteView {
    fn of(note: &NoteV1) -> Self {
        let clean = |text: &str| scrub(text).into_owned();
        Self {
            address: clean(&note.address),
            severity: clean(&note.severity),
            rule: clean(&note.rule),
            origin: clean(&note.origin),
            text: clean(&note.text),
        }
    }

    /// The rule and the place that it was found at; that it waits is said by the title over it.
    pub(crate) fn source(&self) -> String {
        let rule = if self.rule == WAITING { "" } else { self.rule.as_str() };
        let parts = [rule, self.origin.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

impl PlanView {
    /// What `plan` tells.
    pub fn of(plan: &PlanV1) -> Self {
        let clean = |text: &str| scrub(text).into_owned();
        let mut changes: Vec<ChangeView> = plan.changes.iter().map(ChangeView::of).collect();
        // stable: within a kind, the order of the plan
        changes.sort_by_key(|change| change.rank);
        let (waiting, notes): (Vec<_>, Vec<_>) =
            plan.notes.iter().map(NoteView::of).partition(|note| note.rule == WAITING);
        let (mut guards, notes): (Vec<_>, Vec<_>) = notes.into_iter().partition(|note| note.rule == safeguards::RULE);
        guards.splice(0..0, owner(plan));
        Self {
            owner: clean(&plan.owner),
            changes,
            refused: plan
                .refused
                .iter()
                .map(|item| RefusedView {
                    address: clean(&item.address),
                    why: clean(&item.why),
                    hint: clean(&item.hint),
                })
                .collect(),
            unknown: plan
                .unknown
                .iter()
                .map(|item| SeenView { address: clean(&item.address), why: clean(&item.why) })
                .collect(),
            notes,
            waiting,
            summary: summary(plan),
            guards,
            remarks: remarks(plan),
        }
    }
}

/// Whose objects the plan deletes. The owner decides that, so a plan with deletes always shows it.
fn owner(plan: &PlanV1) -> Option<NoteView> {
    let goes = |change: &ChangeV1| change.action == "delete";
    plan.changes.iter().any(goes).then(|| NoteView {
        address: "owner".to_owned(),
        severity: "info".to_owned(),
        rule: String::new(),
        origin: String::new(),
        text: format!("undeclared objects of `{}` are deleted", scrub(&plan.owner)),
    })
}

fn summary(plan: &PlanV1) -> String {
    let SummaryV1 { create, update, delete, adopt, unchanged, refused: _, waiting: _ } = plan.summary;
    if plan.changes.is_empty() {
        // that nothing differs is not known of what was not seen, and not true of what is refused
        let but = match (plan.complete && plan.unknown.is_empty(), plan.summary.refused) {
            (true, 0) => "",
            (true, _) => " but what is refused",
            (false, _) => " in what could be seen",
        };
        return format!("No changes{but}. {}.", count(unchanged, "object matches", "objects match"));
    }
    let adopted = if adopt > 0 { format!("{adopt} to adopt, ") } else { String::new() };
    format!("Plan: {create} to create, {update} to update, {adopted}{delete} to delete.")
}

fn remarks(plan: &PlanV1) -> Vec<String> {
    let mut list = Vec::new();
    if let Some(shard) = &plan.options.shard {
        let shard = scrub(shard);
        list.push(format!("Share {shard}: what is no longer declared in IAM goes with a run without `--shard`."));
    }
    let (refused, unknown) = (plan.summary.refused, plan.unknown.len());
    if refused > 0 {
        list.push(if plan.options.skip_refused {
            format!("{refused} refused and skipped.")
        } else {
            format!("{refused} refused: `apply` writes nothing, or the rest with `--skip-refused`.")
        });
    }
    if unknown > 0 {
        list.push(if plan.options.allow_incomplete {
            format!("{unknown} could not be seen.")
        } else {
            format!("{unknown} could not be seen: `apply` writes nothing without `--allow-incomplete`.")
        });
    } else if !plan.complete {
        list.push("Not everything could be seen.".to_owned());
    }
    if plan.summary.waiting > 0 {
        list.push(format!("{} for others.", count(plan.summary.waiting, "object waits", "objects wait")));
    }
    list
}
