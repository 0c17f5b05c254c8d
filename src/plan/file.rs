//! The plan file: the plan as versioned JSON that other programs may rely on.
//!
//! The digests have no key, so whoever can write a plan file can also compute its digests. Therefore [`PlanV2::read`]
//! accepts only the exact bytes that this program writes, requires that all parts agree with each other (`check`), and
//! computes the counts again. Before irsa applies a saved plan, it plans again, and `plan::saved` keeps only the
//! changes that both plans have.

mod check;
pub(crate) mod leaves;

use super::change::{Action, ResourceChange};
use super::types::{Options, Plan, Refused, Step, Summary, UnknownObject};
use crate::model::address::Address;
use crate::model::note::Note;
use crate::model::refusal::with_word;
use crate::model::sanitize::printable;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

/// The format that this program reads and writes. New keys raise the minor number, changed keys the major one.
pub const FORMAT_VERSION: &str = "2.0";

/// The rule of notes on objects that wait for other objects.
pub(crate) const WAITING: &str = "waiting";

/// The rule of notes on roles that irsa does not manage and that trust a declared cluster.
pub(crate) const FOREIGN_TRUST: &str = "foreign-trust";

/// A plan file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlanV2 {
    /// [`FORMAT_VERSION`]
    pub format_version: String,
    /// The program's version.
    pub irsa_version: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// The owner of the configuration.
    pub owner: String,
    /// `sha256:…` of the configuration.
    pub config_digest: String,
    /// The options of the run.
    pub options: OptionsV2,
    /// Whether every object could be read.
    pub complete: bool,
    /// The counts.
    pub summary: SummaryV2,
    /// The changes in apply order, then the refused changes.
    pub changes: Vec<ChangeV2>,
    /// The refused objects. irsa shows their changes and does not apply them.
    pub refused: Vec<RefusedV2>,
    /// The objects that could not be read.
    pub unknown: Vec<UnknownV2>,
    /// Lint findings, and remarks of the planner.
    pub notes: Vec<NoteV2>,
    /// The findings that the configuration ignores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredV2>,
    /// `sha256:…` of what would be applied: owner, configuration, options, and the changes without their reasons.
    pub plan_digest: String,
    /// `sha256:…` of the whole file, computed with an empty `digest`.
    pub digest: String,
}

/// The options that shape a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "named as the command line names them")]
pub struct OptionsV2 {
    pub only: Vec<String>,
    pub destroy: bool,
    pub adopt: bool,
    pub force: bool,
    pub force_conflicts: bool,
    pub allow_incomplete: bool,
    pub skip_refused: bool,
    /// `I/N`, if only a shard is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
}

/// The counts under a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "named as the summary line names them")]
pub struct SummaryV2 {
    pub create: usize,
    pub update: usize,
    pub delete: usize,
    pub adopt: usize,
    pub unchanged: usize,
    pub refused: usize,
    pub waiting: usize,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChangeV2 {
    /// The object.
    pub address: String,
    /// `create`, `update`, `delete` or `adopt`.
    pub action: String,
    /// Why irsa changes it.
    pub reasons: Vec<String>,
    /// The whole object before the change, or null.
    pub before: Value,
    /// The whole object after the change, or null.
    pub after: Value,
    /// The fields that differ.
    pub fields: Vec<FieldV2>,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FieldV2 {
    /// The path of the field, for example `trust`, `attached`, `inline.queue`, `tags.team`.
    pub path: String,
    /// Its value before, or null.
    pub before: Value,
    /// Its value after, or null.
    pub after: Value,
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "see plan::Refused")]
pub struct RefusedV2 {
    pub address: String,
    pub why: String,
    pub hint: String,
    /// The word that `irsa explain` takes. Files of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
}

impl RefusedV2 {
    /// The reason, which ends with the word that `irsa explain` takes.
    pub fn reason(&self) -> String {
        with_word(&self.why, self.word.as_deref())
    }
}

/// An object that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "see plan::UnknownObject")]
pub struct UnknownV2 {
    pub address: String,
    pub why: String,
}

/// A lint finding, or a remark of the planner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "see model::note::Note")]
pub struct NoteV2 {
    pub address: String,
    pub severity: String,
    pub rule: String,
    pub origin: String,
    pub text: String,
}

/// A finding that the configuration ignores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "see model::note::Note")]
pub struct IgnoredV2 {
    pub address: String,
    pub severity: String,
    pub rule: String,
    pub origin: String,
    pub text: String,
    /// Why it does not count.
    pub reason: String,
}

/// Why a plan file is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not JSON of this structure.
    #[error("it is not a plan file: {0}")]
    Malformed(String),
    /// It has another format version.
    #[error("its format is `{0}`, but this version of irsa reads only `{FORMAT_VERSION}`")]
    Format(String),
    /// irsa did not write these bytes, or a digest is wrong.
    #[error("it has been changed since irsa wrote it")]
    Changed,
    /// Its digests are right, but its parts contradict each other.
    #[error("it has been changed since irsa wrote it: {0}")]
    Contradiction(String),
}

/// What `plan-digest` covers. It leaves out the texts that can differ between two plans of the same changes.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Digested<'a> {
    owner: &'a str,
    config_digest: &'a str,
    options: &'a OptionsV2,
    changes: Vec<DigestedChange<'a>>,
}

/// A change without its reasons. The digest covers `refused`, because a refused change is not applied.
#[derive(Serialize)]
struct DigestedChange<'a> {
    address: &'a str,
    action: &'a str,
    before: &'a Value,
    after: &'a Value,
    fields: &'a [FieldV2],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refused: bool,
}

/// The one key that all formats share.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct AnyFormat {
    format_version: String,
}

impl PlanV2 {
    /// The file of a plan. `created_at` is RFC 3339.
    pub fn of(plan: &Plan, created_at: &str) -> Self {
        let Options { only, destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused, shard, .. } =
            plan.options.clone();
        let shard = shard.map(|shard| shard.to_string());
        let Summary { create, update, delete, adopt: adopted, unchanged, refused, waiting } = plan.summary();
        let mut file = Self {
            format_version: FORMAT_VERSION.to_owned(),
            irsa_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: created_at.to_owned(),
            owner: plan.owner.to_string(),
            config_digest: plan.config_digest.clone(),
            options: OptionsV2 { only, destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused, shard },
            complete: plan.complete(),
            summary: SummaryV2 { create, update, delete, adopt: adopted, unchanged, refused, waiting },
            changes: plan.changes().map(change).collect(),
            refused: plan.refused.iter().map(refusal).collect(),
            unknown: plan.unknown.iter().map(unknown).collect(),
            notes: plan.notes.iter().map(note).collect(),
            ignored: plan.ignored.iter().filter_map(ignored).collect(),
            plan_digest: String::new(),
            digest: String::new(),
        };
        file.plan_digest = file.computed_plan_digest();
        file.digest = file.computed_digest();
        file
    }

    /// The text of the file. The same plan gives the same bytes, and no control character reaches a terminal.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        printable(&text)
    }

    /// Reads a file. It must have exactly the bytes that this program writes, and its parts must agree. Computes the
    /// counts again, because the digests do not protect them from forgery.
    ///
    /// # Errors
    /// If it is not a plan file, has another format, or was changed.
    pub fn read(text: &str) -> Result<Self, FileError> {
        let malformed = |error: serde_json::Error| FileError::Malformed(error.to_string());
        let AnyFormat { format_version } = serde_json::from_str(text).map_err(malformed)?;
        if format_version != FORMAT_VERSION {
            let short = format_version.chars().take(20).collect();
            return Err(FileError::Format(short));
        }
        let mut file: Self = serde_json::from_str(text).map_err(malformed)?;
        let whole = file.to_text() == text
            && file.plan_digest == file.computed_plan_digest()
            && file.digest == file.computed_digest();
        if !whole {
            return Err(FileError::Changed);
        }
        check::check(&file).map_err(FileError::Contradiction)?;
        file.count();
        Ok(file)
    }

    /// The addresses of the refused objects. irsa shows their changes and does not apply them.
    pub(crate) fn refused_addresses(&self) -> HashSet<&str> {
        self.refused.iter().map(|item| item.address.as_str()).collect()
    }

    /// Computes the counts and `complete` again from the lists.
    fn count(&mut self) {
        let number = |action: Action| self.changes.iter().filter(|change| change.action == action.as_str()).count();
        let waiting: BTreeSet<&str> =
            self.notes.iter().filter(|note| note.rule == WAITING).map(|note| note.address.as_str()).collect();
        let summary = SummaryV2 {
            create: number(Action::Create),
            update: number(Action::Update),
            delete: number(Action::Delete),
            adopt: number(Action::Adopt),
            unchanged: self.summary.unchanged,
            refused: self.refused.len(),
            waiting: waiting.len(),
        };
        let complete = self.complete && self.unknown.is_empty();
        if (&summary, complete) != (&self.summary, self.complete) {
            (self.summary, self.complete) = (summary, complete);
            self.digest = self.computed_digest();
        }
    }

    /// Computes both digests again, as a forger would.
    #[cfg(test)]
    pub(crate) fn sealed(mut self) -> Self {
        self.plan_digest = self.computed_plan_digest();
        self.digest = self.computed_digest();
        self
    }

    /// The digest of what would be applied. It does not depend on the time or the version of irsa.
    fn computed_plan_digest(&self) -> String {
        let refused = self.refused_addresses();
        let changes = self.changes.iter().map(|change| {
            let ChangeV2 { address, action, reasons: _, before, after, fields } = change;
            DigestedChange { address, action, before, after, fields, refused: refused.contains(address.as_str()) }
        });
        let Self { owner, config_digest, options, .. } = self;
        sha256(&Digested { owner, config_digest, options, changes: changes.collect() })
    }

    fn computed_digest(&self) -> String {
        sha256(&Self { digest: String::new(), ..self.clone() })
    }
}

fn sha256(document: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(document).unwrap_or_default();
    let digest = Sha256::digest(&bytes);
    let mut text = String::from("sha256:");
    for byte in digest {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Converts any change to the form of the plan file. A caller passes a live object as a `Create`, so that all its
/// fields are listed.
pub(crate) fn change_v2(address: &Address, change: &ResourceChange) -> ChangeV2 {
    self::change(&Step {
        address: address.clone(),
        fields: change.fields(),
        change: change.clone(),
        reasons: Vec::new(),
        parts: Vec::new(),
        needs: Vec::new(),
    })
}

fn change(step: &Step) -> ChangeV2 {
    let (before, after) = step.change.sides();
    ChangeV2 {
        address: step.address.to_string(),
        action: step.change.action().as_str().to_owned(),
        reasons: step.reasons.clone(),
        before,
        after,
        fields: step
            .fields
            .iter()
            .map(|field| FieldV2 { path: field.path.clone(), before: field.before.clone(), after: field.after.clone() })
            .collect(),
    }
}

fn refusal(item: &Refused) -> RefusedV2 {
    let Refused { address, why, hint, kind } = item.clone();
    RefusedV2 { address, why, hint, word: Some(kind.word().to_owned()) }
}

fn unknown(item: &UnknownObject) -> UnknownV2 {
    let UnknownObject { address, why } = item.clone();
    UnknownV2 { address, why }
}

fn ignored(item: &Note) -> Option<IgnoredV2> {
    let reason = item.ignored.as_ref()?.reason.clone();
    let NoteV2 { address, severity, rule, origin, text } = note(item);
    Some(IgnoredV2 { address, severity, rule, origin, text, reason })
}

fn note(item: &Note) -> NoteV2 {
    let Note { address, severity, rule, origin, text, ignored: _ } = item.clone();
    NoteV2 { address, severity: severity.as_str().to_owned(), rule, origin, text }
}
