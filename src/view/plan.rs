//! `PlanView::of`: the groups of a plan's view, and the sentences below them.

use super::permissions::ManagedDocuments;
use super::words::{count, ignored_count};
use super::{ChangeView, Detail, PlanView};
use crate::model::sanitize::scrub;
use crate::plan::ConfigKeys;
use crate::plan::file::{ChangeV2, FOREIGN_TRUST, IgnoredV2, NoteV2, OptionsV2, PlanV2, RefusedV2, SummaryV2, WAITING};
use crate::plan::safeguards;
use std::collections::{HashMap, HashSet};

/// An object that irsa refuses to change, or could not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProblemView {
    pub address: String,
    pub why: String,
    /// Empty without a hint.
    pub hint: String,
}

impl ProblemView {
    fn of(address: &str, why: &str, hint: &str) -> Self {
        let [address, why, hint] = [address, why, hint].map(|text| scrub(text).into_owned());
        Self { address, why, hint }
    }

    fn of_refusal(item: &RefusedV2) -> Self {
        Self::of(&item.address, &item.reason(), &item.hint)
    }
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
        let NoteV2 { address, severity, rule, origin, text } = note;
        let [address, severity, rule, origin, text] =
            [address, severity, rule, origin, text].map(|text| scrub(text).into_owned());
        Self { address, severity, rule, origin, text }
    }

    /// An ignored finding, with the reason.
    fn of_ignored(note: &IgnoredV2) -> Self {
        let IgnoredV2 { address, severity, rule, origin, text, reason } = note;
        let [address, severity, rule, origin] = [address, severity, rule, origin].map(|text| scrub(text).into_owned());
        Self { address, severity, rule, origin, text: scrub(&format!("{text} (ignored: {reason})")).into_owned() }
    }

    /// The note with a short text.
    fn shortened(&self) -> Self {
        let mut text: String = self.text.chars().take(IGNORED_LENGTH).collect();
        if text.len() < self.text.len() {
            text.push('…');
        }
        Self { text, ..self.clone() }
    }

    pub(crate) fn is_severe(&self) -> bool {
        ["critical", "high"].contains(&self.severity.as_str())
    }

    /// Whether it is a low or info lint finding. `validate` shows these, so other plans show them only beside the changes
    /// of their object.
    pub(crate) fn is_minor_finding(&self) -> bool {
        self.rule.starts_with("IRSA") && ["low", "info"].contains(&self.severity.as_str())
    }

    /// The rule and the origin. Without `waiting`, which the title above the note says.
    pub(crate) fn source(&self) -> String {
        let rule = if self.rule == WAITING { "" } else { self.rule.as_str() };
        let parts = [rule, self.origin.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// The most severe ignored findings that forms without `-v` show.
const SEVERE_IGNORED: usize = 20;
/// The most characters of each of these findings.
const IGNORED_LENGTH: usize = 400;

impl PlanView {
    /// The view of a plan. `keys` are the configuration's names for issuers and role ARNs.
    pub fn of(plan: &PlanV2, detail: Detail, keys: &ConfigKeys) -> Self {
        let (waiting, notes): (Vec<NoteView>, Vec<NoteView>) =
            plan.notes.iter().map(NoteView::of).partition(|note| note.rule == WAITING);
        let mut notes = with_foreign_trust_counted(notes, detail);
        if detail != Detail::Full {
            let changed: HashSet<&str> = plan.changes.iter().map(|change| change.address.as_str()).collect();
            notes.retain(|note| !note.is_minor_finding() || changed.contains(note.address.as_str()));
        }
        let mut findings: HashMap<&str, Vec<String>> = HashMap::new();
        for note in notes.iter().filter(|note| note.is_severe()) {
            findings.entry(&note.address).or_default().push(format!("{} {}", note.severity, note.rule));
        }
        let findings = |address: &str| findings.get(&*scrub(address)).map_or(&[][..], Vec::as_slice);
        let refused = plan.refused_addresses();
        // the account id of each role, from its first ARN
        let mut accounts: HashMap<&str, &str> = HashMap::new();
        for (arn, key) in &keys.roles {
            if let Some(account) = arn.split(':').nth(4) {
                accounts.entry(key.as_str()).or_insert(account);
            }
        }
        let managed = ManagedDocuments::of(&plan.changes, &refused, keys);
        let view = |change: &ChangeV2| {
            let account = change.address.strip_prefix("role/").and_then(|key| accounts.get(key).copied());
            let refused = refused.contains(change.address.as_str());
            ChangeView::of(change, findings(&change.address), refused, keys, account, &managed)
        };
        let mut changes: Vec<ChangeView> = plan.changes.iter().map(view).collect();
        // stable: within a group, the order of the plan
        changes.sort_by_key(|change| change.rank);
        let (mut guards, notes): (Vec<_>, Vec<_>) = notes.into_iter().partition(|note| note.rule == safeguards::RULE);
        guards.splice(0..0, owner_of_deleted(plan));
        let (severe, others) = ignored(plan);
        guards.extend(severe.iter().map(NoteView::shortened));
        let left_out = others.iter().filter(|note| note.is_severe()).count();
        let notes = notes.into_iter().chain(others.into_iter().filter(|_| detail == Detail::Full)).collect();
        Self {
            owner: scrub(&plan.owner).into_owned(),
            detail,
            changes,
            refused: plan.refused.iter().map(ProblemView::of_refusal).collect(),
            unknown: plan.unknown.iter().map(|item| ProblemView::of(&item.address, &item.why, "")).collect(),
            notes,
            waiting,
            summary: summary(plan),
            guards,
            remarks: remarks(plan, left_out),
        }
    }
}

/// The ignored findings: the severe ones that every form shows, and the rest. A change may bring the `ignore` that
/// hides its own risk, so the objects that change come first; a limited number keeps a comment within its size.
fn ignored(plan: &PlanV2) -> (Vec<NoteView>, Vec<NoteView>) {
    let changed: HashSet<&str> = plan.changes.iter().map(|change| change.address.as_str()).collect();
    let mut list: Vec<&IgnoredV2> = plan.ignored.iter().collect();
    list.sort_by_key(|note| !changed.contains(note.address.as_str()));
    let (mut severe, mut others): (Vec<_>, Vec<_>) =
        list.into_iter().map(NoteView::of_ignored).partition(NoteView::is_severe);
    others.splice(0..0, severe.split_off(severe.len().min(SEVERE_IGNORED)));
    (severe, others)
}

/// The notes. One note for each cluster counts the roles that trust it and that irsa does not manage. `-v` keeps each
/// note, `-q` keeps none.
fn with_foreign_trust_counted(notes: Vec<NoteView>, detail: Detail) -> Vec<NoteView> {
    if detail == Detail::Full {
        return notes;
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    for note in notes.iter().filter(|note| note.rule == FOREIGN_TRUST) {
        *counts.entry(note.address.clone()).or_default() += 1;
    }
    let counted = |mut note: NoteView| {
        if note.rule != FOREIGN_TRUST {
            return Some(note);
        }
        // the first note of a cluster takes its count
        let count = counts.remove(&note.address).filter(|_| detail == Detail::Usual)?;
        if count > 1 {
            note.text = format!("{count} roles that irsa does not manage can be assumed from it; `-v` lists them");
        }
        Some(note)
    };
    notes.into_iter().filter_map(counted).collect()
}

/// The owner decides what a plan deletes, so a plan with deletes shows it.
fn owner_of_deleted(plan: &PlanV2) -> Option<NoteView> {
    plan.changes.iter().any(|change| change.action == "delete").then(|| NoteView {
        address: "owner".to_owned(),
        severity: "info".to_owned(),
        rule: String::new(),
        origin: String::new(),
        text: format!("undeclared objects of `{}` are deleted", scrub(&plan.owner)),
    })
}

fn summary(plan: &PlanV2) -> String {
    let SummaryV2 { create, update, delete, adopt, unchanged, refused, waiting } = plan.summary;
    if plan.changes.is_empty() {
        // an object that irsa could not read, or refuses to change, may differ
        let but = match (plan.complete && plan.unknown.is_empty(), refused) {
            (true, 0) => "",
            (true, _) => " except what is refused",
            (false, _) => " in what could be read",
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

/// `severe_left_out`: how many severe ignored findings the view does not show without `-v`.
fn remarks(plan: &PlanV2, severe_left_out: usize) -> Vec<String> {
    let mut list: Vec<String> = options(&plan.options).into_iter().collect();
    if let Some(shard) = &plan.options.shard {
        let shard = scrub(shard);
        list.push(format!("Shard {shard}: only a run without `--shard` deletes undeclared IAM objects."));
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
            format!("{unknown} could not be read.")
        } else {
            format!("{unknown} could not be read: `apply` writes nothing without `--allow-incomplete`.")
        });
    } else if !plan.complete {
        list.push("Not everything could be read.".to_owned());
    }
    if plan.summary.waiting > 0 {
        list.push(format!("{} for others.", count(plan.summary.waiting, "object waits", "objects wait")));
    }
    if !plan.ignored.is_empty() {
        let more = match severe_left_out {
            0 => String::new(),
            more => format!(", {more} more of severity high or critical"),
        };
        list.push(format!("{}{more}: `-v` lists all.", ignored_count(plan.ignored.len())));
    }
    list
}

/// More globs of `--only` than this are counted.
const MAX_GLOBS: usize = 5;

/// `Planned with …`. None without options.
fn options(options: &OptionsV2) -> Option<String> {
    let OptionsV2 { only, destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused, shard: _ } = options;
    let mut list: Vec<String> = if only.len() > MAX_GLOBS {
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
    list.extend(flags.into_iter().filter(|(_, on)| **on).map(|(flag, _)| format!("`{flag}`")));
    (!list.is_empty()).then(|| format!("Planned with {}.", list.join(", ")))
}
