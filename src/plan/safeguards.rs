//! Notes on every safeguard that the configuration changes from its default. Every plan has them, because a pull request
//! may loosen a safeguard together with the change that the safeguard would stop.
//!
//! Each kind has one note of limited length with the broadest exception first, so that many harmless exceptions cannot
//! hide a dangerous one.

use crate::model::desired::{Desired, Guard, Lock};
use crate::model::durations;
use crate::model::note::{Note, Severity};
use crate::model::origin::Origin;
use crate::model::pattern::Pattern;
use std::collections::BTreeMap;

/// The rule of these notes.
pub const RULE: &str = "guard-not-default";
/// The most names in a note.
const MAX_NAMES: usize = 10;
/// The most characters of a name.
const MAX_NAME_LENGTH: usize = 120;

/// The notes of a configuration.
pub(crate) fn notes(desired: &Desired) -> Vec<Note> {
    let Desired { owner: _, config_digest: _, accounts: _, clusters, policies: _, roles, forget, .. } = desired;
    let Desired { ignore_tags, guard, prune_paths, lock, .. } = desired;
    let unmanaged = clusters.iter().filter(|(_, cluster)| cluster.unmanaged);
    let unverified = clusters.iter().filter(|(_, cluster)| cluster.kubernetes.unverified);
    let mut attached: BTreeMap<&Pattern, (String, &Origin)> = BTreeMap::new();
    for (key, role) in roles {
        for pattern in &role.ignore_attached {
            attached.entry(pattern).or_insert_with(|| (format!(" (`role/{key}`)"), &role.origin));
        }
    }
    let lists = [
        about(
            "kubernetes",
            Severity::Medium,
            "irsa does not read these clusters, so it may delete roles that ServiceAccounts there use",
            &unmanaged.map(|(key, cluster)| (quoted(key.as_str()), Some(&cluster.origin))).collect::<Vec<_>>(),
        ),
        about(
            "kubernetes.unverified",
            Severity::Medium,
            "irsa does not check that these are the declared clusters",
            &unverified.map(|(key, cluster)| (quoted(key.as_str()), Some(&cluster.origin))).collect::<Vec<_>>(),
        ),
        about(
            "ignore-attached",
            Severity::Info,
            "policies that others may attach",
            &broadest_first(attached.iter().map(|(pattern, (role, origin))| (*pattern, role.as_str(), Some(*origin)))),
        ),
        about(
            "ignore-tags",
            Severity::Info,
            "tags that others may set on the objects that irsa manages",
            &broadest_first(ignore_tags.iter().map(|pattern| (pattern, "", None))),
        ),
        about(
            "forget",
            Severity::Info,
            "released instead of managed or deleted",
            &forget.iter().map(|(address, origin)| (quoted(&address.to_string()), Some(origin))).collect::<Vec<_>>(),
        ),
        about(
            "prune",
            Severity::Info,
            "paths in which irsa also searches for roles of this owner that are no longer declared",
            &prune_paths.iter().map(|path| (quoted(path.as_str()), None)).collect::<Vec<_>>(),
        ),
    ];
    of_guard(guard).into_iter().chain(lock.as_ref().map(of_lock)).chain(lists.into_iter().flatten()).collect()
}

fn note(address: &str, severity: Severity, origin: Option<&Origin>, text: String) -> Note {
    let origin = origin.map(ToString::to_string).unwrap_or_default();
    Note { address: address.to_owned(), severity, rule: RULE.to_owned(), origin, text, ignored: None }
}

/// The note on a list of exceptions. None if the list is empty.
fn about(address: &str, severity: Severity, what: &str, list: &[(String, Option<&Origin>)]) -> Option<Note> {
    let (_, origin) = list.first()?;
    let more = list.len().saturating_sub(MAX_NAMES);
    let names: Vec<&str> = list.iter().take(MAX_NAMES).map(|(name, _)| name.as_str()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(note(address, severity, *origin, format!("{what}: {}{more}", names.join(", "))))
}

fn quoted(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME_LENGTH) {
        Some((end, _)) => format!("`{}…`", &name[..end]),
        None => format!("`{name}`"),
    }
}

/// Sorts patterns by their number of literal characters, because a pattern with fewer of them matches more names.
fn broadest_first<'a>(
    patterns: impl Iterator<Item = (&'a Pattern, &'a str, Option<&'a Origin>)>,
) -> Vec<(String, Option<&'a Origin>)> {
    let own = |pattern: &Pattern| pattern.as_str().chars().filter(|c| !matches!(c, '*' | '?')).count();
    let mut list: Vec<_> = patterns.collect();
    list.sort_by_key(|(pattern, ..)| (own(pattern), *pattern));
    list.into_iter().map(|(pattern, behind, origin)| (quoted(pattern.as_str()) + behind, origin)).collect()
}

/// The limits that differ from their defaults, and the limits of the command line. If a limit is looser than its
/// default, the note has a higher severity.
fn of_guard(guard: &Guard) -> Option<Note> {
    let Guard { max_change_percent, min_existing, max_delete, recent_use, at_most } = guard;
    let default = Guard::default();
    let number = |number: usize| number.to_string();
    let limits = [
        ("max-delete", number(*max_delete), number(default.max_delete), *max_delete > default.max_delete),
        (
            "max-change-percent",
            max_change_percent.to_string(),
            default.max_change_percent.to_string(),
            *max_change_percent > default.max_change_percent,
        ),
        ("min-existing", number(*min_existing), number(default.min_existing), *min_existing > default.min_existing),
        (
            "recent-use",
            durations::text(recent_use.as_secs()),
            durations::text(default.recent_use.as_secs()),
            *recent_use < default.recent_use,
        ),
    ];
    let differ = || limits.iter().filter(|(_, value, by_default, _)| value != by_default);
    let looser = differ().any(|(.., looser)| *looser);
    let flags = [
        at_most.max_delete.map(|number| format!("`--guard-max-delete` = {number}")),
        at_most.max_change_percent.map(|number| format!("`--guard-max-change-percent` = {number}")),
    ];
    let flags: Vec<String> = flags.into_iter().flatten().collect();
    let mut parts: Vec<String> =
        differ().map(|(name, value, by_default, _)| format!("`{name}` = {value} ({by_default} by default)")).collect();
    if !flags.is_empty() {
        parts.push(format!("limited by {}", flags.join(" and ")));
    }
    let severity = if looser { Severity::Medium } else { Severity::Info };
    (!parts.is_empty()).then(|| note("guard", severity, None, parts.join(", ")))
}

fn of_lock(lock: &Lock) -> Note {
    let Lock { cluster, namespace, name, duration, origin } = lock;
    let text = format!(
        "`apply` holds Lease `{namespace}/{name}` in cluster `{cluster}`, which expires {duration}s after its last renewal"
    );
    note("lock", Severity::Info, Some(origin), text)
}

#[cfg(test)]
mod tests;
