//! `ignore`: findings that do not count, because the configuration says why.

use super::LocatedFinding;
use super::rules::LIVE_ONLY;
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::desired::{Account, Desired, Ignore, IgnoreScope};
use crate::model::live::{Live, LiveAccount, Observed};
use crate::model::note::{Ignored, Note, Severity};
use std::collections::{BTreeSet, HashMap};

/// The rule of the note on an `ignore` without findings.
pub(super) const RULE: &str = "unused-ignore";

/// Finds the `ignore` of a finding.
pub(super) struct Index<'a> {
    ignores: &'a [Ignore],
    by_scope: HashMap<(&'a str, Scope<'a>), usize>,
}

/// What an `ignore` covers, and what a finding is in.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Scope<'a> {
    /// File, line and column: several entries can share a line.
    Entry(&'a str, usize, usize),
    Inline(&'a str, &'a str),
    Role(&'a str),
    Policy(&'a str),
}

impl<'a> Index<'a> {
    pub(super) fn of(ignores: &'a [Ignore]) -> Self {
        let scope = |ignore: &'a Ignore| match &ignore.scope {
            IgnoreScope::Role(key) => Scope::Role(key.as_str()),
            IgnoreScope::Inline(key, name) => Scope::Inline(key.as_str(), name.as_str()),
            IgnoreScope::Policy(key) => Scope::Policy(key.as_str()),
            IgnoreScope::Entry(_, origin) => Scope::Entry(&origin.file, origin.line, origin.column),
        };
        let by_scope = ignores.iter().enumerate().map(|(index, ignore)| ((ignore.rule.as_str(), scope(ignore)), index));
        Self { ignores, by_scope: by_scope.collect() }
    }

    /// Why the finding does not count, from the smallest scope that it is in. None if it counts.
    pub(super) fn find(&self, finding: &LocatedFinding) -> Option<Ignored> {
        if self.ignores.is_empty() {
            return None;
        }
        let index =
            scopes(finding).into_iter().flatten().find_map(|scope| self.by_scope.get(&(finding.rule, scope)))?;
        Some(Ignored { reason: self.ignores[*index].reason.clone(), index: *index })
    }
}

/// The scopes that a finding is in, the smallest first.
fn scopes(finding: &LocatedFinding) -> [Option<Scope<'_>>; 4] {
    let role = finding.within.strip_prefix("role/");
    let part = finding.part.strip_prefix("live ").unwrap_or(&finding.part);
    let inline = part.strip_prefix("inline policy `").and_then(|rest| rest.strip_suffix("`: "));
    let policy = finding.within.strip_prefix("policy/").and_then(|rest| rest.split_once('/'));
    [
        finding.entry.as_ref().map(|(file, line, column)| Scope::Entry(file, *line, *column)),
        role.zip(inline).map(|(role, inline)| Scope::Inline(role, inline)),
        role.map(Scope::Role),
        policy.map(|(_, key)| Scope::Policy(key)),
    ]
}

/// A note on each `ignore` that ignores none of `findings`. Without `live`, rules that need live objects are left out;
/// with it, objects that could not be read.
pub fn unused(desired: &Desired, findings: &[Note], live: Option<&Live>) -> Vec<Note> {
    let used: BTreeSet<usize> = findings.iter().filter_map(|note| Some(note.ignored.as_ref()?.index)).collect();
    let offline = "remove it, unless `irsa plan` shows that it ignores a finding on the live object";
    let advice = if live.is_some() { "remove it" } else { offline };
    let unused = desired.ignores.iter().enumerate().filter(|(index, ignore)| {
        !used.contains(index)
            && match live {
                Some(live) => was_read(desired, live, ignore),
                None => !needs_aws(desired, &ignore.rule),
            }
    });
    unused
        .map(|(_, ignore)| Note {
            address: address(desired, &ignore.scope),
            severity: Severity::Low,
            rule: RULE.to_owned(),
            origin: ignore.origin.to_string(),
            text: format!(
                "`ignore` of {} ignores nothing: {}",
                ignore.rule,
                if is_unattached(desired, &ignore.scope) { "no role attaches the policy" } else { advice }
            ),
            ignored: None,
        })
        .collect()
}

/// Whether the rule finds nothing offline. IRSA015 compares account ids, which a configuration need not have.
fn needs_aws(desired: &Desired, rule: &str) -> bool {
    LIVE_ONLY.contains(&rule) || rule == "IRSA015" && !desired.accounts.values().all(Account::is_known)
}

/// Whether all that the rule looks at was read.
fn was_read(desired: &Desired, live: &Live, ignore: &Ignore) -> bool {
    let issuers = || live.clusters.values().all(|cluster| !matches!(cluster.issuer, Observed::Unknown(_)));
    let object = match &ignore.scope {
        IgnoreScope::Role(key) | IgnoreScope::Inline(key, _) | IgnoreScope::Entry(key, _) => {
            desired.roles.get(key).is_some_and(|role| {
                let account = live.accounts.get(&role.account);
                let role = account.and_then(|account| account.roles.get(&role.name.lower_case()));
                role.is_some_and(|role| !matches!(role, Observed::Unknown(_)))
                    && account.is_some_and(|account| !matches!(account.providers_listed, Observed::Unknown(_)))
            })
        }
        IgnoreScope::Policy(key) => {
            accounts_of(desired, key).all(|(account, _)| live.accounts.get(account).is_some_and(has_read_policies))
        }
    };
    object && (!LIVE_ONLY.contains(&ignore.rule.as_str()) || issuers())
}

/// irsa does not create a policy that no role attaches, and does not lint it.
fn is_unattached(desired: &Desired, scope: &IgnoreScope) -> bool {
    matches!(scope, IgnoreScope::Policy(key) if accounts_of(desired, key).next().is_none())
}

fn has_read_policies(account: &LiveAccount) -> bool {
    !matches!(account.policies_listed, Observed::Unknown(_))
        && account.policies.values().all(|policy| !matches!(policy, Observed::Unknown(_)))
}

/// The accounts that get a policy.
fn accounts_of<'a>(desired: &'a Desired, policy: &'a Key) -> impl Iterator<Item = &'a (Key, Key)> {
    desired.policies.keys().filter(move |(_, key)| key == policy)
}

fn address(desired: &Desired, scope: &IgnoreScope) -> String {
    match scope {
        IgnoreScope::Role(key) | IgnoreScope::Inline(key, _) | IgnoreScope::Entry(key, _) => {
            Address::role(key).to_string()
        }
        IgnoreScope::Policy(key) => match accounts_of(desired, key).next() {
            Some((account, key)) => Address::Policy { account: account.clone(), key: key.clone() }.to_string(),
            // no role attaches it
            None => format!("policies.{key}"),
        },
    }
}
