//! `ChangeView`: one change of a plan, with its fields, its summary, its lines about access and its risk.

use super::diff_node::DiffNode;
use super::document_diff::{DocumentDiff, document_node, is_document};
use super::permissions::{self, ManagedDocuments};
use super::risk::Risk;
use super::summary::SummaryLine;
use super::words::duration;
use super::{access, summary, value_diff};
use crate::model::sanitize::scrub;
use crate::plan::ConfigKeys;
use crate::plan::change::{Action, rank};
use crate::plan::file::{ChangeV2, FieldV2};
use serde_json::{Map, Value};

/// The sign in front of an address.
pub(crate) fn sign(action: Action) -> char {
    match action {
        Action::Create => '+',
        Action::Update => '~',
        Action::Delete => '-',
        Action::Adopt => '!',
    }
}

/// `created`, `updated`, …
pub(crate) fn done(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Update => "updated",
        Action::Delete => "deleted",
        Action::Adopt => "adopted",
    }
}

/// One change. All strings are scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeView {
    pub action: Action,
    /// No run makes a refused change; it is only shown.
    pub refused: bool,
    pub address: String,
    pub reasons: Vec<String>,
    /// Who gains and who loses access: headings with items.
    pub access: Vec<DiffNode>,
    /// What a role gains and loses, by action and resource: headings with items.
    pub permissions: Vec<DiffNode>,
    /// All fields that differ.
    pub fields: Vec<DiffNode>,
    pub summary: Vec<SummaryLine>,
    pub risk: Risk,
    /// The position of its group in the text: see [`rank`].
    pub rank: u8,
}

impl ChangeView {
    /// `findings` are the high and critical findings on the object. `account` is the id of a role's account, if known.
    /// `managed` are the documents of the policies that the plan changes.
    pub(crate) fn of(
        change: &ChangeV2,
        findings: &[String],
        refused: bool,
        keys: &ConfigKeys,
        account: Option<&str>,
        managed: &ManagedDocuments<'_>,
    ) -> Self {
        // `PlanV2::read` refuses any other word
        let action = Action::parse(&change.action).unwrap_or(Action::Update);
        let diffs: Vec<(&FieldV2, Option<DocumentDiff<'_>>)> = change
            .fields
            .iter()
            .map(|field| {
                let is_document = is_document(&field.path);
                (field, is_document.then(|| DocumentDiff::of(&field.before, &field.after)).flatten())
            })
            .collect();
        let mut sorted: Vec<_> = diffs.iter().collect();
        sorted.sort_by_key(|(field, _)| field_rank(&field.path));
        let trust = diffs.iter().filter(|(field, _)| field.path == "trust");
        let mut access: Vec<DiffNode> =
            trust.flat_map(|(field, diff)| access::of_trust(field, diff.as_ref(), keys, account)).collect();
        let permissions = permissions::of_change(action, change, managed);
        let summary = summary::lines(action, &sorted, &access, &permissions, keys);
        access.extend(access::of_pods(&change.fields, keys));
        Self {
            action,
            refused,
            address: scrub(&change.address).into_owned(),
            reasons: change.reasons.iter().map(|reason| scrub(reason).into_owned()).collect(),
            summary,
            fields: sorted.into_iter().filter_map(|(field, diff)| field_node(field, diff.as_ref())).collect(),
            risk: Risk::of(action, &diffs, &access, findings),
            access,
            permissions: permissions::nodes(&permissions),
            // `PlanV2::read` refuses a file with an address that cannot be parsed
            rank: change.address.parse().map_or(7, |address| rank(&address, action)),
        }
    }

    /// `will be created`
    pub(crate) fn will(&self) -> String {
        format!("{} be {}", if self.refused { "would" } else { "will" }, done(self.action))
    }

    /// `file:line` of the declaration, if a reason names it, and the reasons that are worth a line in the short form.
    pub(crate) fn origin_and_reasons(&self) -> (Option<&str>, impl Iterator<Item = &str>) {
        let origin = self.reasons.first().and_then(|reason| declared_at(reason));
        let rest = self.reasons.iter().map(String::as_str).filter(|reason| declared_at(reason).is_none());
        // a declared object that does not exist needs no reason to be created
        (origin, rest.filter(|reason| self.action != Action::Create && !reason.starts_with("trust policy: ")))
    }

    /// Access, permissions, then the fields.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &DiffNode> {
        self.access.iter().chain(&self.permissions).chain(&self.fields)
    }
}

/// The origin at the end of a reason.
pub(crate) fn declared_at(reason: &str) -> Option<&str> {
    reason.rsplit_once("declared at ").map(|(_, origin)| origin)
}

/// The order of fields: what the object is, its permissions, who may use it, tags.
fn field_rank(path: &str) -> u8 {
    match path.split('.').next().unwrap_or_default() {
        "name" | "namespace" | "path" | "url" => 0,
        "permissions-boundary" => 2,
        "attached" => 3,
        "document" | "inline" => 4,
        "trust" => 5,
        "annotations" => 6,
        "labels" => 7,
        "tags" => 8,
        _ => 1,
    }
}

/// The lines of one field. None for an empty field of a new or deleted object, but an empty tag is a tag.
fn field_node(field: &FieldV2, diff: Option<&DocumentDiff<'_>>) -> Option<DiffNode> {
    let FieldV2 { path, before, after } = field;
    let is_empty = |value: &Value| {
        value.is_null()
            || value == ""
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty)
    };
    if !path.contains('.') && is_empty(before) && is_empty(after) && (before.is_null() || after.is_null()) {
        return None;
    }
    if is_document(path) {
        return Some(document_node(path, before, after, diff));
    }
    if path == "max-session-duration" {
        let text = |value: &Value| value.as_u64().map_or_else(|| value.clone(), |seconds| duration(seconds).into());
        return value_diff::compare(path, &text(before), &text(after));
    }
    value_diff::compare(path, before, after)
}
