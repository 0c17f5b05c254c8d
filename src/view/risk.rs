//! The risk of a change: which permissions and which access it gives, in a few words, and a level to sort by.
//!
//! For formats that cannot show everything: they show the riskiest changes first.

use super::diff_node::{DiffNode, Sign};
use super::document_diff::{DocumentDiff, is_permissions};
use super::statement::{RawStatement, equal, is_deny, statements, texts};
use super::value_diff::display;
use crate::model::sanitize::scrub;
use crate::plan::change::Action;
use crate::plan::file::FieldV2;
use crate::policy::pattern::covers;
use serde_json::Value;
use std::collections::BTreeSet;

/// More names than this are counted.
const MAX_NAMES: usize = 6;

/// Longer names are cut, in characters.
const MAX_NAME: usize = 120;

/// The highest risk of a change, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RiskLevel {
    /// A high or critical lint finding, or new permissions to change permissions.
    Severe,
    /// New permissions, or a changed permissions boundary.
    Permissions,
    /// Somebody gains access.
    Access,
    /// Somebody or something loses access, or the object is deleted.
    Loss,
    /// The object is adopted.
    Adoption,
    /// None of these.
    Other,
}

/// The risk of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Risk {
    pub level: RiskLevel,
    /// The findings on the object, and the permissions that the change gives.
    pub words: Vec<String>,
    /// How many principals gain and lose access.
    access: Vec<String>,
}

impl Risk {
    /// `access` are the lines about access, `findings` the high and critical findings on the object.
    pub(crate) fn of(
        action: Action,
        fields: &[(&FieldV2, Option<DocumentDiff<'_>>)],
        access: &[DiffNode],
        findings: &[String],
    ) -> Self {
        let level = match action {
            Action::Delete => RiskLevel::Loss,
            Action::Adopt => RiskLevel::Adoption,
            Action::Create | Action::Update => RiskLevel::Other,
        };
        let mut risk = Self { level, words: Vec::new(), access: Vec::new() };
        for finding in findings {
            risk.add(RiskLevel::Severe, finding.clone());
        }
        let given = given(fields);
        if !given.is_empty() {
            let severe = given.iter().any(|name| is_severe(name));
            let level = if severe { RiskLevel::Severe } else { RiskLevel::Permissions };
            risk.add(level, format!("gives {}", list(&given)));
        }
        for (field, diff) in fields {
            let path = scrub(&field.path);
            if is_permissions(&path) && diff.as_ref().is_some_and(removes_deny) {
                risk.add(RiskLevel::Permissions, format!("removes a deny of `{path}`"));
            } else if is_permissions(&path) && Sign::of(&field.before, &field.after) == Sign::Changed {
                // other resources or fewer conditions give permissions too
                risk.add(RiskLevel::Permissions, format!("changes policy `{path}`"));
            } else if path == "permissions-boundary" && field.before != field.after {
                risk.add(RiskLevel::Permissions, "changes its permissions boundary".to_owned());
            }
        }
        for node in access {
            let level = if node.sign == Sign::Added { RiskLevel::Access } else { RiskLevel::Loss };
            risk.level = risk.level.min(level);
            risk.access.push(format!("{}: {}", node.words(), node.children.len()));
        }
        risk
    }

    /// All of it on one line. Empty if there is nothing to say.
    pub(crate) fn line(&self) -> String {
        self.words.iter().chain(&self.access).map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    fn add(&mut self, level: RiskLevel, words: String) {
        self.level = self.level.min(level);
        self.words.push(words);
    }
}

/// The actions that the change allows and the policies that it attaches, the severe ones first.
fn given(fields: &[(&FieldV2, Option<DocumentDiff<'_>>)]) -> Vec<String> {
    let names = |field: &FieldV2, value: &Value| -> Vec<String> {
        match field.path.as_str() {
            "attached" => value.as_array().into_iter().flatten().map(display).collect(),
            path if is_permissions(path) => allowed(value),
            _ => Vec::new(),
        }
    };
    // IAM compares actions and policy names without regard to case
    let before: BTreeSet<String> = fields
        .iter()
        .flat_map(|(field, _)| names(field, &field.before))
        .map(|name| name.to_ascii_lowercase())
        .collect();
    let after: BTreeSet<String> = fields.iter().flat_map(|(field, _)| names(field, &field.after)).collect();
    let had = |name: &String| before.iter().any(|pattern| covers(pattern, &name.to_ascii_lowercase()));
    let mut given: Vec<String> = after.into_iter().filter(|name| !had(name)).collect();
    given.sort_by_key(|name| !is_severe(name));
    given
}

/// The actions that the statements of a document allow.
fn allowed(document: &Value) -> Vec<String> {
    let Some(statements) = statements(document) else {
        return vec!["a policy that is not understood".to_owned()];
    };
    let of = |statement: &RawStatement, key: &str| statement.get(key).map(texts).unwrap_or_default();
    let mut list = Vec::new();
    for statement in statements.into_iter().filter(|statement| !is_deny(statement)) {
        list.extend(of(statement, "Action"));
        if statement.contains_key("NotAction") {
            let except: BTreeSet<String> = of(statement, "NotAction").into_iter().collect();
            list.push(format!("everything but {}", except.into_iter().collect::<Vec<_>>().join(", ")));
        }
    }
    list
}

fn removes_deny(diff: &DocumentDiff<'_>) -> bool {
    let removed = diff.removed.iter().map(|(_, statement)| *statement);
    let added = diff.added.iter().map(|(_, statement)| *statement);
    let kept = diff.same.iter().map(|(_, after)| after);
    let after: Vec<&RawStatement> = added.chain(diff.changed.iter().map(|change| &change.after)).chain(kept).collect();
    let mut before = removed.chain(diff.changed.iter().map(|change| &change.before));
    before.any(|statement| is_deny(statement) && !after.iter().any(|kept| equal(kept, statement)))
}

/// Whether an action or a policy is about permissions themselves, or about everything.
pub(super) fn is_severe(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let policies = ["admin", "poweruser", "iamfull"];
    lower == "*"
        || lower.ends_with(":*")
        || ["iam:", "sts:", "organizations:", "sso:", "everything but", "a policy that"]
            .iter()
            .any(|start| lower.starts_with(start))
        || lower.starts_with("arn:") && policies.iter().any(|word| lower.contains(word))
}

/// The first names, shortened, and how many names are left out.
fn list(names: &[String]) -> String {
    let short = |name: &String| {
        let end = name.char_indices().nth(MAX_NAME).map_or(name.len(), |(at, _)| at);
        format!("`{}{}`", scrub(&name[..end]), if end < name.len() { "…" } else { "" })
    };
    let mut list: Vec<String> = names.iter().take(MAX_NAMES).map(short).collect();
    if names.len() > MAX_NAMES {
        list.push(format!("{} more", names.len() - MAX_NAMES));
    }
    list.join(", ")
}
