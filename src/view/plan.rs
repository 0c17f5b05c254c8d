//! The view of a plan: its groups, and its words at the end.

use super::scrub::scrub;
use super::words::count;
use super::{ChangeView, Detail, PlanView};
use crate::plan::ConfigKeys;
use crate::plan::file::{ChangeV2, FOREIGN_TRUST, NoteV2, OptionsV2, PlanV2, SummaryV2, WAITING};
use crate::plan::safeguards;
use std::collections::{HashMap, HashSet};

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
pub(crate) struct UnknownView {
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
    fn of(note: &NoteV2) -> Self {
        let clean = |text: &str| scrub(text).into_owned();
        Self {
            address: clean(&note.address),
            severity: clean(&note.severity),
            rule: clean(&note.rule),
            origin: clean(&note.origin),
            text: clean(&note.text),
        }
    }

    /// Whether it stands beside what is refused.
    pub(crate) fn is_grave(&self) -> bool {
        ["critical", "high"].contains(&self.severity.as_str())
    }

    /// A finding of the linter that `validate` shows, and that concerns nobody who looks at other objects.
    pub(crate) fn is_minor_finding(&self) -> bool {
        self.rule.starts_with("IRSA") && ["low", "info"].contains(&self.severity.as_str())
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
    pub fn of(plan: &PlanV2, detail: Detail, names: &ConfigKeys) -> Self {
        let clean = |text: &str| scrub(text).into_owned();
        let (waiting, notes): (Vec<NoteView>, Vec<NoteView>) =
            plan.notes.iter().map(NoteView::of).partition(|note| note.rule == WAITING);
        let mut notes = strangers(notes, detail);
        if detail != Detail::Full {
            let changed: HashSet<&str> = plan.changes.iter().map(|change| change.address.as_str()).collect();
            notes.retain(|note| !note.is_minor_finding() || changed.contains(note.address.as_str()));
        }
        let mut findings: HashMap<&str, Vec<String>> = HashMap::new();
        for note in notes.iter().filter(|note| note.is_grave()) {
            findings.entry(&note.address).or_default().push(format!("{} {}", note.severity, note.rule));
        }
        let findings = |address: &str| findings.get(&*scrub(address)).map_or(&[][..], Vec::as_slice);
        let refused = plan.refused_addresses();
        // by role, as ARNs tell it
        let accounts: HashMap<&str, &str> =
            names.roles.iter().filter_map(|(arn, key)| Some((key.as_str(), arn.split(':').nth(4)?))).collect();
        let view = |change: &ChangeV2| {
            let account = change.address.strip_prefix("role/").and_then(|key| accounts.get(key).copied());
            ChangeView::of(change, findings(&change.address), refused.contains(change.address.as_str()), names, account)
        };
        let mut changes: Vec<ChangeView> = plan.changes.iter().map(view).collect();
        // stable: within a kind, the order of the plan
        changes.sort_by_key(|change| change.rank);
        let (mut guards, notes): (Vec<_>, Vec<_>) = notes.into_iter().partition(|note| note.rule == safeguards::RULE);
        guards.splice(0..0, owner(plan));
        Self {
            owner: clean(&plan.owner),
            detail,
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
                .map(|item| UnknownView { address: clean(&item.address), why: clean(&item.why) })
                .collect(),
            notes,
            waiting,
            summary: summary(plan),
            guards,
            remarks: remarks(plan),
        }
    }
}

/// The notes with those on roles of others that trust a cluster in one line a cluster, told in full or not at all.
fn strangers(notes: Vec<NoteView>, detail: Detail) -> Vec<NoteView> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for note in notes.iter().filter(|note| note.rule == FOREIGN_TRUST) {
        *counts.entry(note.address.clone()).or_default() += 1;
    }
    let mut told = Vec::with_capacity(notes.len());
    for mut note in notes {
        if note.rule == FOREIGN_TRUST && detail != Detail::Full {
            let count = counts.remove(&note.address).filter(|_| detail == Detail::Usual);
            match count {
                // the count is told in place of the first
                None => continue,
                Some(1) => {}
                Some(count) => {
                    note.text = format!("{count} roles that are not ours can be assumed from it; `-v` lists them");
                }
            }
        }
        told.push(note);
    }
    told
}

/// Whose objects the plan deletes. The owner decides that, so a plan with deletes always shows it.
fn owner(plan: &PlanV2) -> Option<NoteView> {
    let goes = |change: &ChangeV2| change.action == "delete";
    plan.changes.iter().any(goes).then(|| NoteView {
        address: "owner".to_owned(),
        severity: "info".to_owned(),
        rule: String::new(),
        origin: String::new(),
        text: format!("undeclared objects of `{}` are deleted", scrub(&plan.owner)),
    })
}

fn summary(plan: &PlanV2) -> String {
    let SummaryV2 { create, update, delete, adopt, unchanged, refused: _, waiting } = plan.summary;
    if plan.changes.is_empty() {
        // that nothing differs is not known of what was not seen, and not true of what is refused
        let but = match (plan.complete && plan.unknown.is_empty(), plan.summary.refused) {
            (true, 0) => "",
            (true, _) => " but what is refused",
            (false, _) => " in what could be seen",
        };
        let matches = count(unchanged, "object matches", "objects match");
        if waiting > 0 {
            return format!(
                "Nothing to change yet{but}. {matches}, {}.",
                count(waiting, "object waits", "objects wait")
            );
        }
        return format!("No changes{but}. {matches}.");
    }
    let adopted = if adopt > 0 { format!("{adopt} to adopt, ") } else { String::new() };
    let refused = plan.refused_addresses();
    let shown = plan.changes.iter().filter(|change| refused.contains(change.address.as_str())).count();
    let shown = if shown > 0 { format!(", {shown} of them refused") } else { String::new() };
    format!("Plan: {create} to create, {update} to update, {adopted}{delete} to delete{shown}.")
}

fn remarks(plan: &PlanV2) -> Vec<String> {
    let mut list = Vec::new();
    if let Some(options) = options(&plan.options) {
        list.push(options);
    }
    if let Some(shard) = &plan.options.shard {
        let shard = scrub(shard);
        list.push(format!("Shard {shard}: what is no longer declared in IAM goes with a run without `--shard`."));
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

/// More globs of `--only` than these are counted.
const MOST_GLOBS: usize = 5;

/// What the plan was asked for beside the usual.
fn options(options: &OptionsV2) -> Option<String> {
    let OptionsV2 { only, destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused, shard: _ } = options;
    let mut said: Vec<String> = if only.len() > MOST_GLOBS {
        vec![format!("`--only` of {} globs", only.len())]
    } else {
        only.iter().map(|glob| format!("`--only {}`", scrub(glob))).collect()
    };
    let flags = [
        ("--destroy", destroy),
        ("--adopt", adopt),
        ("--force", force),
        ("--force-conflicts", force_conflicts),
        ("--allow-incomplete", allow_incomplete),
        ("--skip-refused", skip_refused),
    ];
    said.extend(flags.into_iter().filter(|(_, on)| **on).map(|(flag, _)| format!("`{flag}`")));
    (!said.is_empty()).then(|| format!("Planned with {}.", said.join(", ")))
}
