//! One change as it is told: its verb, its place in the order, its reasons and its lines.

use super::entry::Entry;
use super::scrub::scrub;
use super::words::duration;
use super::{Risk, Weight, access, document, summary, value};
use crate::plan::ConfigKeys;
use crate::plan::file::{ChangeV2, FieldV2};
use serde_json::{Value, json};

/// What happens to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Update,
    Delete,
    Adopt,
    /// A word of a later program.
    Other(String),
}

impl Verb {
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "create" => Self::Create,
            "update" => Self::Update,
            "delete" => Self::Delete,
            "adopt" => Self::Adopt,
            other => Self::Other(scrub(other).into_owned()),
        }
    }

    /// The sign before the address.
    pub(crate) fn sign(&self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Delete => '-',
            Self::Adopt => '!',
            Self::Other(_) => '?',
        }
    }

    /// The word in the legend.
    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Adopt => "adopt",
            Self::Other(word) => word,
        }
    }

    /// What is said once it is done.
    pub(crate) fn done(&self) -> String {
        match self {
            Self::Create => "created".to_owned(),
            Self::Update => "updated".to_owned(),
            Self::Delete => "deleted".to_owned(),
            Self::Adopt => "adopted".to_owned(),
            Self::Other(word) => format!("saw `{word}`"),
        }
    }
}

/// One change as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeView {
    pub verb: Verb,
    /// Whether it is refused, and only shown.
    pub refused: bool,
    pub address: String,
    pub reasons: Vec<String>,
    /// Who gains and who loses access: headings with items.
    pub access: Vec<Entry>,
    /// The fields.
    pub entries: Vec<Entry>,
    /// What a person decides on, in short.
    pub summary: Vec<summary::Line>,
    /// What it hands out, and how much that weighs.
    pub risk: Risk,
    /// The group that it stands in: by kind, in the order in which changes are made.
    pub rank: u8,
}

impl ChangeView {
    /// `findings` are the grave ones on the object; `account` is the id of its account, where it is known.
    pub(crate) fn of(
        change: &ChangeV2,
        findings: &[String],
        refused: bool,
        names: &ConfigKeys,
        account: Option<&str>,
    ) -> Self {
        let verb = Verb::of(&change.action);
        let mut fields: Vec<&FieldV2> = change.fields.iter().collect();
        fields.sort_by_key(|field| place(&field.path));
        let trust = access::of_trust(&change.fields, names, account);
        let otherwise = match verb {
            Verb::Delete => Weight::Loss,
            Verb::Adopt => Weight::Adoption,
            Verb::Create | Verb::Update | Verb::Other(_) => Weight::Other,
        };
        let summary = summary::lines(&fields, &trust, names, &verb);
        let access: Vec<Entry> = trust.into_iter().chain(access::of_pods(&change.fields, names)).collect();
        Self {
            risk: Risk::of(&change.fields, &access, findings, otherwise),
            rank: rank(&change.address, verb == Verb::Delete),
            verb,
            refused,
            address: scrub(&change.address).into_owned(),
            reasons: change.reasons.iter().map(|reason| scrub(reason).into_owned()).collect(),
            summary,
            entries: fields.into_iter().filter_map(entry).collect(),
            access,
        }
    }

    /// What is said behind the address.
    pub(crate) fn will(&self) -> String {
        let will = if self.refused { "would" } else { "will" };
        match &self.verb {
            Verb::Other(word) => format!("{will} see `{word}`"),
            verb => format!("{will} be {}", verb.done()),
        }
    }

    /// `file:line` of its declaration, if it has one, and what else is said of why.
    pub(crate) fn origin_and_reasons(&self) -> (Option<&str>, impl Iterator<Item = &str>) {
        let first = self.reasons.first().and_then(|reason| declared_at(reason));
        let rest = self.reasons.iter().map(String::as_str).filter(|reason| declared_at(reason).is_none());
        // that something is made because it is declared or needed goes without saying
        (first, rest.filter(|reason| self.verb != Verb::Create && !reason.starts_with("trust policy: ")))
    }

    /// Access, then the fields.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Entry> {
        self.access.iter().chain(&self.entries)
    }
}

/// The place that a reason names as that of the declaration.
fn declared_at(reason: &str) -> Option<&str> {
    reason.rsplit_once("declared at ").map(|(_, origin)| origin)
}

/// Makers first, deletes in reverse.
fn rank(address: &str, delete: bool) -> u8 {
    let mut parts = address.split('/');
    let kind = match parts.next() {
        Some("orphan") => parts.nth(1),
        other => other,
    };
    match (kind, delete) {
        (Some("oidc-provider"), false) => 0,
        (Some("policy"), false) => 1,
        (Some("role"), false) => 2,
        (Some("service-account" | "pod-identity"), _) => 3,
        (Some("role"), true) => 4,
        (Some("policy"), true) => 5,
        (Some("oidc-provider"), true) => 6,
        _ => 7,
    }
}

/// The order of fields: what it is, what it may, who may be it, marks last.
fn place(path: &str) -> u8 {
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

fn entry(field: &FieldV2) -> Option<Entry> {
    let FieldV2 { path, before, after } = field;
    // a new object's empty fields say nothing, but an empty tag is a tag
    if !path.contains('.') && is_empty(before) && is_empty(after) && (before.is_null() || after.is_null()) {
        return None;
    }
    if path == "trust" || path == "document" || path.starts_with("inline.") {
        return document::compare(path, before, after);
    }
    if path == "max-session-duration" {
        return value::compare(path, &as_duration(before), &as_duration(after));
    }
    value::compare(path, before, after)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn as_duration(value: &Value) -> Value {
    value.as_u64().map_or_else(|| value.clone(), |seconds| json!(duration(seconds)))
}
