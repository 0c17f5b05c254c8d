//! The plan as JSON: frozen, versioned structs. Changing them is changing what other programs rely on.

use super::fields;
use super::step::{Options, Plan, Refused, Step, Summary, Unseen};
use crate::model::note::Note;
use crate::model::unseen::printable;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The format that this program writes: the minor grows when keys are added, the major when they change.
pub const FORMAT_VERSION: &str = "1.0";

/// A plan file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlanV1 {
    /// `1.0`
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
    pub options: OptionsV1,
    /// Whether everything could be seen.
    pub complete: bool,
    /// The counts.
    pub summary: SummaryV1,
    /// The changes, in apply order.
    pub changes: Vec<ChangeV1>,
    /// What is refused.
    pub refused: Vec<RefusedV1>,
    /// What could not be seen.
    pub unknown: Vec<UnknownV1>,
    /// Everything else worth saying.
    pub notes: Vec<NoteV1>,
    /// `sha256:…` over all but `created-at`, `irsa-version` and the digests.
    pub plan_digest: String,
    /// `sha256:…` over the whole file with this value blanked.
    pub digest: String,
}

/// The options that shape a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "named as the command line names them")]
pub struct OptionsV1 {
    pub only: Vec<String>,
    pub destroy: bool,
    pub adopt: bool,
    pub force: bool,
    pub force_conflicts: bool,
    pub allow_incomplete: bool,
    pub skip_refused: bool,
    /// `I/N`, where only a share is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
}

/// The counts under a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "named as the summary line names them")]
pub struct SummaryV1 {
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
pub struct ChangeV1 {
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
    pub fields: Vec<FieldV1>,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FieldV1 {
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
pub struct RefusedV1 {
    pub address: String,
    pub why: String,
    pub hint: String,
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "see plan::Unseen")]
pub struct UnknownV1 {
    pub address: String,
    pub why: String,
}

/// Something worth saying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "see plan::Note")]
pub struct NoteV1 {
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
    #[error("its format is `{0}`, this program reads `{FORMAT_VERSION}`")]
    Format(String),
    /// It is not as it was written.
    #[error("it was changed since it was written")]
    Changed,
}

impl PlanV1 {
    /// The file for `plan`; `created_at` is RFC 3339.
    pub fn of(plan: &Plan, created_at: &str) -> Self {
        let Options { only, destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused, share, now: _ } =
            plan.options.clone();
        let shard = share.map(|share| share.to_string());
        let Summary { create, update, delete, adopt: adopted, unchanged, refused, waiting } = plan.summary();
        let mut file = Self {
            format_version: FORMAT_VERSION.to_owned(),
            irsa_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: created_at.to_owned(),
            owner: plan.owner.to_string(),
            config_digest: plan.config_digest.clone(),
            options: OptionsV1 { only, destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused, shard },
            complete: plan.complete(),
            summary: SummaryV1 { create, update, delete, adopt: adopted, unchanged, refused, waiting },
            changes: plan.steps.iter().map(change).collect(),
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

    /// Reads a file and checks that it is, byte for byte, as it was written.
    ///
    /// # Errors
    /// If it is no plan, of another format, or changed.
    pub fn read(text: &str) -> Result<Self, FileError> {
        let value: Value = serde_json::from_str(text).map_err(|error| FileError::Malformed(error.to_string()))?;
        match value.get("format-version").and_then(Value::as_str) {
            Some(FORMAT_VERSION) => {}
            Some(other) => return Err(FileError::Format(other.to_owned())),
            None => return Err(FileError::Malformed("`format-version` is missing".to_owned())),
        }
        let file: Self = serde_json::from_str(text).map_err(|error| FileError::Malformed(error.to_string()))?;
        let whole = file.to_text() == text
            && file.plan_digest == file.computed_plan_digest()
            && file.digest == file.computed_digest();
        if whole { Ok(file) } else { Err(FileError::Changed) }
    }

    /// The digest of what the plan asks for, whenever and by whichever version it was made.
    fn computed_plan_digest(&self) -> String {
        let blank = || String::new();
        let file =
            Self { created_at: blank(), irsa_version: blank(), plan_digest: blank(), digest: blank(), ..self.clone() };
        sha256(&file)
    }

    fn computed_digest(&self) -> String {
        sha256(&Self { digest: String::new(), ..self.clone() })
    }
}

fn sha256(file: &PlanV1) -> String {
    let bytes = serde_json::to_vec(file).unwrap_or_default();
    let digest = Sha256::digest(&bytes);
    let mut text = String::from("sha256:");
    for byte in digest {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn change(step: &Step) -> ChangeV1 {
    let (before, after) = fields::sides(&step.change);
    ChangeV1 {
        address: step.address.to_string(),
        action: step.change.action().as_str().to_owned(),
        reasons: step.reasons.clone(),
        before,
        after,
        fields: step
            .fields
            .iter()
            .map(|field| FieldV1 { path: field.path.clone(), before: field.before.clone(), after: field.after.clone() })
            .collect(),
    }
}

fn refusal(item: &Refused) -> RefusedV1 {
    let Refused { address, why, hint } = item.clone();
    RefusedV1 { address, why, hint }
}

fn unseen(item: &Unseen) -> UnknownV1 {
    let Unseen { address, why } = item.clone();
    UnknownV1 { address, why }
}

fn note(item: &Note) -> NoteV1 {
    let Note { address, severity, rule, origin, text } = item.clone();
    NoteV1 { address, severity: severity.as_str().to_owned(), rule, origin, text }
}
