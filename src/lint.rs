//! Findings on what is declared and what is live: trust that lets in more than was meant, or nobody; permissions that
//! are as good as all of them.
//!
//! Pure. A rule looks at one thing and says what it sees; it never changes anything and never decides how a run ends.
//! Findings on declared objects count against `--deny`, those on live ones are notes: the plan may be about to repair
//! them. Every rule has a section in `docs/lint-rules.md`.

mod binding;
mod claim;
mod declared;
mod document;
mod escalation;
mod live;
mod permissions;
mod provider;
mod rules;
mod trust;

pub use declared::declared;
pub use live::live;
pub use rules::RULES;

use crate::model::note::{Note, Severity};
use crate::model::origin::Origin;
use rayon::prelude::*;
use std::sync::Arc;

/// Something that irsa looks for.
pub struct Rule {
    /// `IRSA` and three digits; never used for anything else.
    pub id: &'static str,
    /// How much it matters, as a rule: a single finding may matter more or less.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Its page and section.
    pub url: &'static str,
    checks: &'static [Check],
}

/// What a rule looks at.
enum Check {
    /// A statement of a trust policy that allows.
    Trust(fn(&trust::Site<'_>) -> Vec<Found>),
    /// The statements of a permission policy.
    Permissions(fn(&permissions::Site<'_>) -> Vec<Found>),
    /// An attached managed policy.
    Attached(fn(&crate::ids::PolicyArn) -> Vec<Found>),
    /// A policy of either kind as a document.
    Document(fn(&document::Site<'_>) -> Vec<Found>),
    /// What takes of a quota.
    Size(fn(&document::Size) -> Vec<Found>),
    /// A declared role and its bindings.
    Role(fn(&binding::Site<'_>) -> Vec<Found>),
    /// The OIDC providers of a live account.
    Providers(fn(&provider::Site<'_>) -> Vec<Found>),
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    text: String,
    /// If it is not the rule's own.
    severity: Option<Severity>,
    /// If it is not the place that was looked at.
    address: Option<String>,
    origin: Option<Origin>,
}

impl Found {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), severity: None, address: None, origin: None }
    }

    /// The finding with a severity of its own.
    fn but(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }

    /// The finding at a line of its own.
    fn from(self, origin: &Origin) -> Self {
        Self { origin: Some(origin.clone()), ..self }
    }

    /// The finding on an object of its own.
    fn on(self, address: &impl ToString) -> Self {
        Self { address: Some(address.to_string()), ..self }
    }
}

/// Where notes go.
#[derive(Debug, Clone)]
struct Place {
    address: Arc<str>,
    origin: Arc<str>,
    /// What of the object is looked at, for the beginning of the text: `inline policy `x`: `.
    part: String,
}

impl Place {
    fn new(address: &impl ToString, origin: Option<&Origin>) -> Self {
        let origin = origin.map(ToString::to_string).unwrap_or_default();
        Self { address: address.to_string().into(), origin: origin.into(), part: String::new() }
    }

    /// A part of the same object.
    fn part(&self, part: &str) -> Self {
        Self { part: format!("{}{part}: ", self.part), ..self.clone() }
    }
}

/// The notes so far.
#[derive(Default)]
struct Notes(Vec<Note>);

impl Notes {
    /// Runs every check that `pick` knows how to run.
    fn run(&mut self, place: &Place, pick: impl Fn(&Check) -> Vec<Found>) {
        for rule in RULES {
            let found = rule.checks.iter().flat_map(&pick);
            self.0.extend(found.map(|found| Note {
                address: found.address.unwrap_or_else(|| place.address.to_string()),
                severity: found.severity.unwrap_or(rule.severity),
                rule: rule.id.to_owned(),
                origin: found.origin.map_or_else(|| place.origin.to_string(), |origin| origin.to_string()),
                text: format!("{}{}", place.part, found.text),
            }));
        }
    }

    /// Looks at all of these, side by side.
    fn each<T: IntoParallelIterator>(&mut self, items: T, look: impl Fn(&mut Self, T::Item) + Sync + Send) {
        self.0.par_extend(items.into_par_iter().flat_map_iter(|item| {
            let mut notes = Self::default();
            look(&mut notes, item);
            notes.0
        }));
    }

    /// Sorted, each once.
    fn finish(mut self) -> Vec<Note> {
        self.0
            .sort_by(|a, b| (&a.address, &a.rule, &a.origin, &a.text).cmp(&(&b.address, &b.rule, &b.origin, &b.text)));
        self.0.dedup();
        self.0
    }
}

#[cfg(test)]
mod tests;
