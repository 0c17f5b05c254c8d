//! Findings on what is declared and what is live: trust that lets in more than was meant, or nobody; permissions that
//! are as good as all of them.
//!
//! Pure. A rule looks at one thing and says what it sees; it never changes anything and never decides how a run ends.
//! Findings on declared objects count against `--deny`, those on live ones are notes: the plan may be about to repair
//! them. Every rule has a section in `docs/lint-rules.md`.

mod actions;
mod attached;
mod binding;
mod claim;
mod declared;
mod document;
mod escalation;
mod holder;
mod limits;
mod live;
mod own;
mod permissions;
mod placeholder;
mod provider;
mod reach;
mod rules;
mod services;
mod trust;

pub use declared::declared;
pub use live::{declared_against, live};
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
    Trust(fn(&trust::TrustContext<'_>) -> Vec<Found>),
    /// The same, where the account's OIDC providers are known.
    Provider(fn(&trust::TrustContext<'_>) -> Vec<Found>),
    /// The statements of a permission policy.
    Permissions(fn(&permissions::PermissionsContext<'_>) -> Vec<Found>),
    /// The permission policies of a role, together.
    Together(fn(&[permissions::PermissionsContext<'_>]) -> Vec<Found>),
    /// An attached managed policy.
    Attached(fn(&crate::ids::PolicyArn) -> Vec<Found>),
    /// A policy of either kind as a document.
    Document(fn(&document::DocumentContext<'_>) -> Vec<Found>),
    /// What takes of a quota.
    Size(fn(&document::Size) -> Vec<Found>),
    /// A declared role and its bindings.
    Role(fn(&binding::RoleContext<'_>) -> Vec<Found>),
    /// The OIDC providers of a live account.
    Providers(fn(&provider::ProviderContext<'_>) -> Vec<Found>),
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

/// A list in a sentence, cut short: what is left out is counted.
fn shortened(mut list: Vec<String>, between: &str) -> String {
    const SHOWN: usize = 4;
    let more = list.len().saturating_sub(SHOWN);
    if more > 1 {
        list.truncate(SHOWN);
        return format!("{} and {more} more", list.join(between));
    }
    list.join(between)
}

/// The notes so far.
#[derive(Default)]
struct Notes(Vec<Piece>);

/// A note, or a part of one: an object has one note for each rule and line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    address: String,
    severity: Severity,
    rule: &'static str,
    origin: String,
    part: String,
    text: String,
}

impl Notes {
    /// Runs every check that `pick` knows how to run.
    fn run(&mut self, place: &Place, pick: impl Fn(&Check) -> Vec<Found>) {
        for rule in RULES {
            let found = rule.checks.iter().flat_map(&pick);
            self.0.extend(found.map(|found| Piece {
                address: found.address.unwrap_or_else(|| place.address.to_string()),
                severity: found.severity.unwrap_or(rule.severity),
                rule: rule.id,
                origin: found.origin.map_or_else(|| place.origin.to_string(), |origin| origin.to_string()),
                part: place.part.clone(),
                text: found.text,
            }));
        }
    }

    /// ReadOptions at all of these, side by side.
    fn each<T: IntoParallelIterator>(&mut self, items: T, look: impl Fn(&mut Self, T::Item) + Sync + Send) {
        self.0.par_extend(items.into_par_iter().flat_map_iter(|item| {
            let mut notes = Self::default();
            look(&mut notes, item);
            notes.0
        }));
    }

    /// Sorted; one for each object, rule and line, with the worst of it first.
    fn finish(mut self) -> Vec<Note> {
        let key = |piece: &Piece| (piece.address.clone(), piece.rule, piece.origin.clone());
        self.0.sort_by_cached_key(|piece| {
            (key(piece), std::cmp::Reverse(piece.severity), piece.part.clone(), piece.text.clone())
        });
        self.0.dedup();
        let same = |a: &Piece, b: &Piece| (&a.address, a.rule, &a.origin) == (&b.address, b.rule, &b.origin);
        self.0.chunk_by(same).map(together).collect()
    }
}

/// One note of several findings of one rule.
fn together(pieces: &[Piece]) -> Note {
    let mut part = "";
    let texts = pieces.iter().map(|piece| {
        let text = if piece.part == part { piece.text.clone() } else { format!("{}{}", piece.part, piece.text) };
        part = &piece.part;
        text
    });
    let text = shortened(texts.collect(), "; ");
    let Piece { address, severity, rule, origin, .. } = pieces[0].clone();
    Note { address, severity, rule: rule.to_owned(), origin, text }
}

#[cfg(test)]
mod tests;
