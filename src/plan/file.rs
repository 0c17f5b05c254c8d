//! The plan as JSON: frozen, versioned structs. Changing them is changing what other programs rely on.
//!
//! A digest has no key: whoever can write a plan file can make its digests anew. So a file is taken only in the form that
//! this program writes, byte for byte, only if its parts agree with each other (`check`), and what follows from its
//! parts is worked out again ([`PlanV2::read`]). What it asks for is derived again from the configuration before it is
//! applied (`plan::saved`).

pub(crate) mod check;

use super::change::Action;
use super::fields;
use super::step::{Options, Plan, Refused, Step, Summary, UnknownObject};
use crate::model::note::Note;
use crate::model::sanitize::printable;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

/// The format that this program writes: the minor grows when keys are added, the major when they change.
pub const FORMAT_VERSION: &str = "2.0";

/// The rule of the notes about what waits for others.
pub(crate) const WAITING: &str = "waiting";

/// The rule of the notes about roles of others that trust a cluster of ours.
pub(crate) const FOREIGN_TRUST: &str = "foreign-trust";

/// A plan file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlanV2 {
    /// `2.0`
    pub format_version: String,
    /// The program's version.
    pub irsa_version: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// The configuration's owner.
    pub owner: String,
    /// `sha256:…` of the configuration.
    pub config_digest: String,
    /// What was asked.
    pub options: OptionsV2,
    /// Whether everything could be seen.
    pub complete: bool,
    /// The counts.
    pub summary: SummaryV2,
    /// The changes, in apply order; behind them those that are refused.
    pub changes: Vec<ChangeV2>,
    /// What is refused: a change of the same address is only shown.
    pub refused: Vec<RefusedV2>,
    /// What could not be seen.
    pub unknown: Vec<UnknownV2>,
    /// Everything else worth saying.
    pub notes: Vec<NoteV2>,
    /// `sha256:…` over what is asked for: owner, configuration, options, and the changes without their reasons.
    pub plan_digest: String,
    /// `sha256:…` over the whole file with this value blanked.
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
    /// `I/N`, where only a shard is planned.
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
    /// Why.
    pub reasons: Vec<String>,
    /// The whole object before, or null.
    pub before: Value,
    /// The whole object after, or null.
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
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "see plan::Unseen")]
pub struct UnknownV2 {
    pub address: String,
    pub why: String,
}

/// Something worth saying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "see plan::Note")]
pub struct NoteV2 {
    pub address: String,
    pub severity: String,
    pub rule: String,
    pub origin: String,
    pub text: String,
}

/// Why a plan file was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is no plan file at all.
    #[error("it is no plan file: {0}")]
    Malformed(String),
    /// It was written in a form that this program does not know.
    #[error("its format is `{0}`, this version of irsa reads `{FORMAT_VERSION}`")]
    Format(String),
    /// It is not as it was written.
    #[error("it was changed since it was written")]
    Changed,
    /// Its digests fit, but no plan is like this.
    #[error("it was changed since it was written: {0}")]
    Contradiction(String),
}

/// What `plan-digest` covers: what is asked for, and no text that changes by itself.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Asked<'a> {
    owner: &'a str,
    config_digest: &'a str,
    options: &'a OptionsV2,
    changes: Vec<AskedChange<'a>>,
}

/// A change without its reasons, and whether it is refused: what is shown only is not asked for.
#[derive(Serialize)]
struct AskedChange<'a> {
    address: &'a str,
    action: &'a str,
    before: &'a Value,
    after: &'a Value,
    fields: &'a [FieldV2],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refused: bool,
}

/// The one key that is looked at in a file of any format.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Head {
    format_version: String,
}

impl PlanV2 {
    /// The file for `plan`; `created_at` is RFC 3339.
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
            unknown: plan.unknown.iter().map(unseen).collect(),
            notes: plan.notes.iter().map(note).collect(),
            plan_digest: String::new(),
            digest: String::new(),
        };
        file.plan_digest = file.computed_plan_digest();
        file.digest = file.computed_digest();
        file
    }

    /// The text of the file: the same plan gives the same bytes, and none of them is obeyed by a terminal.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        printable(&text)
    }

    /// Reads a file: it must be, byte for byte, as this program writes it, and no part of it may contradict another. The
    /// counts are made anew, so that they are true whatever the file says.
    ///
    /// # Errors
    /// If it is no plan, of another format, or changed.
    pub fn read(text: &str) -> Result<Self, FileError> {
        let malformed = |error: serde_json::Error| FileError::Malformed(error.to_string());
        let Head { format_version } = serde_json::from_str(text).map_err(malformed)?;
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

    /// The objects that are refused: their changes are shown, and no run makes them.
    pub(crate) fn refused_addresses(&self) -> HashSet<&str> {
        self.refused.iter().map(|item| item.address.as_str()).collect()
    }

    /// Works out what follows from the lists: the counts, and whether everything could be seen.
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

    /// The same with its digests made anew, as anyone can who may write the file.
    #[cfg(test)]
    pub(crate) fn sealed(mut self) -> Self {
        self.plan_digest = self.computed_plan_digest();
        self.digest = self.computed_digest();
        self
    }

    /// The digest of what the plan asks for, whenever and by whichever version it was made.
    fn computed_plan_digest(&self) -> String {
        let refused = self.refused_addresses();
        let changes = self.changes.iter().map(|change| {
            let ChangeV2 { address, action, reasons: _, before, after, fields } = change;
            AskedChange { address, action, before, after, fields, refused: refused.contains(address.as_str()) }
        });
        let Self { owner, config_digest, options, .. } = self;
        sha256(&Asked { owner, config_digest, options, changes: changes.collect() })
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

fn change(step: &Step) -> ChangeV2 {
    let (before, after) = fields::sides(&step.change);
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
    let Refused { address, why, hint } = item.clone();
    RefusedV2 { address, why, hint }
}

fn unseen(item: &UnknownObject) -> UnknownV2 {
    let UnknownObject { address, why } = item.clone();
    UnknownV2 { address, why }
}

fn note(item: &Note) -> NoteV2 {
    let Note { address, severity, rule, origin, text } = item.clone();
    NoteV2 { address, severity: severity.as_str().to_owned(), rule, origin, text }
}
