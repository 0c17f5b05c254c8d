//! Finds dangerous or useless trust and permissions in declared and live objects.
//!
//! Pure. A finding never changes anything and never ends a run: findings on declared objects count against `--deny`,
//! those on live ones are notes, because the plan may be about to repair them. Every rule has a section in
//! `docs/lint-rules.md`.

mod actions;
mod arns;
mod aws_policies;
mod claims;
mod conditions;
mod declared;
mod document;
mod escalation;
mod ignores;
mod live;
mod permissions;
mod providers;
mod resources;
mod role;
mod rules;
mod services;
mod trust;

pub use declared::declared;
pub use ignores::unused;
pub use live::{declared_against, live};
pub use rules::{RULES, Rule};

use crate::model::desired::Desired;
use crate::model::note::{Note, Severity};
use crate::model::origin::Origin;
use crate::model::quoted::quoted;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    text: String,
    /// None for the severity of the rule.
    severity: Option<Severity>,
    /// None for the address of the checked object.
    address: Option<String>,
    /// None for the position of the checked object.
    origin: Option<Origin>,
}

impl Finding {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), severity: None, address: None, origin: None }
    }

    fn with_severity(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }

    fn declared_at(self, origin: &Origin) -> Self {
        Self { origin: Some(origin.clone()), ..self }
    }

    fn on(self, address: &impl ToString) -> Self {
        Self { address: Some(address.to_string()), ..self }
    }
}

/// The object that is checked, or a part of it.
#[derive(Debug, Clone)]
struct Location {
    address: Arc<str>,
    origin: Arc<str>,
    /// Begins the text of a finding: `inline policy `x`: `. Empty for the whole object.
    part: String,
}

impl Location {
    fn new(address: &impl ToString, origin: Option<&Origin>) -> Self {
        let origin = origin.map(ToString::to_string).unwrap_or_default();
        Self { address: address.to_string().into(), origin: origin.into(), part: String::new() }
    }

    fn part(&self, part: &str) -> Self {
        Self { part: format!("{}{part}: ", self.part), ..self.clone() }
    }
}

/// Joins a list and cuts it short, with the number of items left out.
fn shortened(mut list: Vec<String>, separator: &str) -> String {
    const SHOWN: usize = 4;
    let more = list.len().saturating_sub(SHOWN);
    if more > 1 {
        list.truncate(SHOWN);
        return format!("{} and {more} more", list.join(separator));
    }
    list.join(separator)
}

/// Whether a list of words, separated by white space, has this word.
fn has_word(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// A check and the rule that it belongs to.
type Check<C> = (&'static str, fn(&C) -> Vec<Finding>);

/// The findings so far.
#[derive(Default)]
struct Findings(Vec<LocatedFinding>);

/// A finding of a rule on an object. Sorts by object, rule and line, then with the worst first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct LocatedFinding {
    address: String,
    rule: &'static str,
    origin: String,
    severity: Reverse<Severity>,
    part: String,
    text: String,
    /// The address of the checked object, which contains what the finding is about.
    within: Arc<str>,
    /// File, line and column of a place of its own in the checked object: of an entry of `[[service-accounts]]`.
    entry: Option<(Arc<str>, usize, usize)>,
}

impl Findings {
    fn run<C: ?Sized>(&mut self, location: &Location, checks: &[Check<C>], context: &C) {
        for (id, check) in checks {
            self.0.extend(check(context).into_iter().map(|finding| LocatedFinding {
                address: finding.address.unwrap_or_else(|| location.address.to_string()),
                rule: id,
                entry: finding.origin.as_ref().map(|origin| (origin.file.clone(), origin.line, origin.column)),
                origin: finding.origin.map_or_else(|| location.origin.to_string(), |origin| origin.to_string()),
                severity: Reverse(finding.severity.unwrap_or_else(|| rules::severity(id))),
                part: location.part.clone(),
                text: finding.text,
                within: Arc::clone(&location.address),
            }));
        }
    }

    /// Checks all items in parallel.
    fn check_each<T: IntoParallelIterator>(&mut self, items: T, check: impl Fn(&mut Self, T::Item) + Sync + Send) {
        self.0.par_extend(items.into_par_iter().flat_map_iter(|item| {
            let mut findings = Self::default();
            check(&mut findings, item);
            findings.0
        }));
    }

    /// Sorted notes, one for each object, rule and line. Ignored findings have notes of their own.
    fn into_notes(mut self, desired: &Desired) -> Vec<Note> {
        self.0.sort_unstable();
        self.0.dedup();
        let same =
            |a: &LocatedFinding, b: &LocatedFinding| (&a.address, a.rule, &a.origin) == (&b.address, b.rule, &b.origin);
        let ignores = ignores::Index::of(&desired.ignores);
        let by_ignore = |findings: &[LocatedFinding]| {
            let mut groups: BTreeMap<_, Vec<LocatedFinding>> = BTreeMap::new();
            for finding in findings {
                groups.entry(ignores.find(finding)).or_default().push(finding.clone());
            }
            groups.into_iter().map(|(ignored, findings)| Note { ignored, ..merge(&findings) }).collect::<Vec<_>>()
        };
        self.0.chunk_by(same).flat_map(by_ignore).collect()
    }
}

/// One note of all findings of a rule at one line, the worst first.
fn merge(findings: &[LocatedFinding]) -> Note {
    let mut part = "";
    let texts = findings.iter().map(|finding| {
        let repeated = finding.part == part;
        part = &finding.part;
        if repeated { finding.text.clone() } else { format!("{part}{}", finding.text) }
    });
    let text = shortened(texts.collect(), "; ");
    let LocatedFinding { address, rule, origin, severity: Reverse(severity), .. } = findings[0].clone();
    Note { address, severity, rule: rule.to_owned(), origin, text, ignored: None }
}

#[cfg(test)]
mod tests;
