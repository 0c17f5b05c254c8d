//! `ignore`: findings that do not count, because the configuration says why.

use super::LocatedFinding;
use super::rules::LIVE_ONLY;
use crate::model::desired::{Ignore, IgnoreScope};
use crate::model::note::{Ignored, Note, Severity};
use std::collections::BTreeSet;

/// The rule of the note on an `ignore` without findings.
pub(super) const RULE: &str = "unused-ignore";

/// Why the finding does not count. None if it counts.
pub(super) fn ignored(finding: &LocatedFinding, ignores: &[Ignore]) -> Option<Ignored> {
    let ignore = ignores.iter().find(|ignore| ignore.rule == finding.rule && is_within(finding, &ignore.scope))?;
    Some(Ignored { reason: ignore.reason.clone(), origin: ignore.origin.to_string() })
}

fn is_within(finding: &LocatedFinding, scope: &IgnoreScope) -> bool {
    let address = finding.address.as_str();
    let is_role = |key: &str| address.strip_prefix("role/") == Some(key);
    match scope {
        IgnoreScope::Role(key) => is_role(key.as_str()),
        IgnoreScope::Inline(key, name) => {
            let declared = format!("inline policy `{name}`: ");
            is_role(key.as_str()) && finding.part.strip_prefix("live ").unwrap_or(&finding.part) == declared
        }
        IgnoreScope::Policy(key) => {
            let last = address.strip_prefix("policy/").and_then(|rest| rest.split_once('/'));
            last.is_some_and(|(_, last)| last == key.as_str())
        }
        IgnoreScope::Entry(origin) => finding.origin == origin.to_string(),
    }
}

/// A note on each `ignore` that ignores none of `findings`. Offline, rules that need live objects are left out.
pub fn unused(ignores: &[Ignore], findings: &[Note], offline: bool) -> Vec<Note> {
    let used: BTreeSet<&str> =
        findings.iter().filter_map(|note| Some(note.ignored.as_ref()?.origin.as_str())).collect();
    let unused = ignores.iter().filter(|ignore| !(offline && LIVE_ONLY.contains(&ignore.rule.as_str())));
    unused
        .filter(|ignore| !used.contains(ignore.origin.to_string().as_str()))
        .map(|ignore| Note {
            address: address(&ignore.scope),
            severity: Severity::Low,
            rule: RULE.to_owned(),
            origin: ignore.origin.to_string(),
            text: format!("`ignore` of {} ignores nothing: remove it", ignore.rule),
            ignored: None,
        })
        .collect()
}

fn address(scope: &IgnoreScope) -> String {
    match scope {
        IgnoreScope::Role(key) | IgnoreScope::Inline(key, _) => format!("role/{key}"),
        IgnoreScope::Policy(key) => format!("policies.{key}"),
        IgnoreScope::Entry(_) => "service-accounts".to_owned(),
    }
}
