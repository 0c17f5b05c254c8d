//! The plan as JSON: frozen, versioned structs. Changing them is changing what other programs rely on.

use super::step::Plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

impl PlanV1 {
    /// The file for `plan`; `created_at` is RFC 3339.
    pub fn of(plan: &Plan, created_at: &str) -> Self {
        let _ = (plan, created_at);
        unimplemented!("written by the plan room")
    }
}
