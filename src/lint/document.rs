//! Rules on policies as documents: what they say beside their statements, and how much room they take.

use super::{Check, Found, Notes, Place};
use crate::model::note::Severity;
use crate::policy::{PolicyDocument, Statement};
use std::collections::BTreeMap;
use std::fmt;

/// A policy of either kind.
pub(super) struct DocumentContext<'a> {
    /// Nothing where there are only statements, which get the current version.
    pub document: Option<&'a PolicyDocument>,
    pub statements: &'a [Statement],
}

/// What something takes of a quota.
pub(super) struct Size {
    /// What, for example `all inline policies together`.
    pub what: &'static str,
    pub taken: usize,
    pub quota: usize,
}

/// Runs the rules on documents.
pub(super) fn check(notes: &mut Notes, place: &Place, document: Option<&PolicyDocument>, statements: &[Statement]) {
    let context = DocumentContext { document, statements };
    notes.run(place, |check| match check {
        Check::Document(rule) => rule(&context),
        _ => Vec::new(),
    });
}

/// Runs the rules on quotas.
pub(super) fn check_size(notes: &mut Notes, place: &Place, what: &'static str, size: usize, quota: usize) {
    let size = Size { what, taken: size, quota };
    notes.run(place, |check| match check {
        Check::Size(rule) => rule(&size),
        _ => Vec::new(),
    });
}

/// The statements, by `Sid` or else by their place from 1.
pub(super) fn named(statements: &[Statement]) -> impl Iterator<Item = (Name<'_>, &Statement)> {
    statements.iter().enumerate().map(|(index, statement)| match sid(statement) {
        Some(sid) => (Name::Sid(sid), statement),
        None => (Name::Place(index + 1), statement),
    })
}

/// What a statement is called.
pub(super) enum Name<'a> {
    Sid(&'a str),
    Place(usize),
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => write!(f, "statement `{sid}`"),
            Self::Place(place) => write!(f, "statement {place}"),
        }
    }
}

fn sid(statement: &Statement) -> Option<&str> {
    statement.sid().filter(|sid| !sid.is_empty())
}

/// IRSA042
pub(super) fn old_version(context: &DocumentContext<'_>) -> Vec<Found> {
    match context.document {
        Some(document) if document.is_parsed() && !document.is_current() => {
            let text =
                "`Version` is not `2012-10-17`: policy variables such as `${aws:PrincipalTag/team}` are plain text";
            vec![Found::new(text)]
        }
        _ => Vec::new(),
    }
}

/// IRSA043
pub(super) fn unreadable(context: &DocumentContext<'_>) -> Vec<Found> {
    let problem = context.document.and_then(PolicyDocument::problem);
    problem
        .into_iter()
        .map(|problem| Found::new(format!("not checked, it cannot be read without doubt: {problem}")))
        .collect()
}

/// IRSA044
pub(super) fn duplicate_sid(context: &DocumentContext<'_>) -> Vec<Found> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for sid in context.statements.iter().filter_map(sid) {
        *times.entry(sid).or_default() += 1;
    }
    let twice = times.into_iter().filter(|(_, count)| *count > 1);
    twice
        .map(|(sid, count)| Found::new(format!("{count} statements have the `Sid` `{sid}`, which IAM refuses")))
        .collect()
}

/// IRSA045
pub(super) fn near_quota(size: &Size) -> Vec<Found> {
    let Size { what, taken, quota } = size;
    if taken * 5 <= quota * 4 {
        return Vec::new();
    }
    let found = Found::new(format!("{what}: {taken} of {quota} characters"));
    vec![if taken > quota { found.but(Severity::High) } else { found }]
}
