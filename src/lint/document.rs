//! Rules on whole policy documents: version, syntax, `Sid`s and size. Also names statements in findings.

use super::{Finding, Findings, Location, has_word, shortened};
use crate::model::note::Severity;
use crate::policy::{PolicyDocument, Statement};
use std::collections::BTreeMap;
use std::fmt;

mod placeholder;

pub(super) use placeholder::in_attached_arn;

/// A trust or permission policy.
struct DocumentContext<'a> {
    /// `None` for extra trust, which has statements only and gets the current version.
    document: Option<&'a PolicyDocument>,
    statements: &'a [Statement],
}

type DocumentCheck = fn(&DocumentContext<'_>) -> Vec<Finding>;

const CHECKS: &[(&str, DocumentCheck)] = &[
    ("IRSA039", placeholder::not_filled_in),
    ("IRSA042", old_version),
    ("IRSA043", unparsed),
    ("IRSA044", duplicate_sid),
    ("IRSA046", placeholder::unknown_service),
];

pub(super) fn check(
    findings: &mut Findings,
    location: &Location,
    document: Option<&PolicyDocument>,
    statements: &[Statement],
) {
    findings.run(location, CHECKS, &DocumentContext { document, statements });
}

/// The size of something that has a quota, in characters.
struct Size {
    what: &'static str,
    characters: usize,
    quota: usize,
}

/// Checks a size against its quota. `what` begins the text, for example `all inline policies together`.
pub(super) fn check_size(findings: &mut Findings, location: &Location, what: &'static str, size: usize, quota: usize) {
    findings.run(location, &[("IRSA045", near_quota)], &Size { what, characters: size, quota });
}

/// The statements with their names.
pub(super) fn named(statements: &[Statement]) -> impl Iterator<Item = (StatementName<'_>, &Statement)> {
    statements.iter().enumerate().map(|(index, statement)| match sid(statement) {
        Some(sid) => (StatementName::Sid(sid), statement),
        None => (StatementName::Number(index + 1), statement),
    })
}

/// The `Sid` of a statement or, without one, its number from 1.
pub(super) enum StatementName<'a> {
    Sid(&'a str),
    Number(usize),
}

impl fmt::Display for StatementName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => write!(f, "statement `{sid}`"),
            Self::Number(number) => write!(f, "statement {number}"),
        }
    }
}

fn sid(statement: &Statement) -> Option<&str> {
    statement.sid().filter(|sid| !sid.is_empty())
}

fn old_version(context: &DocumentContext<'_>) -> Vec<Finding> {
    let old = context.document.is_some_and(|document| document.is_parsed() && !document.is_current());
    let text = "`Version` is not `2012-10-17`: policy variables such as `${aws:PrincipalTag/team}` are plain text";
    old.then(|| Finding::new(text)).into_iter().collect()
}

fn unparsed(context: &DocumentContext<'_>) -> Vec<Finding> {
    let problem = context.document.and_then(PolicyDocument::problem);
    problem
        .map(|problem| Finding::new(format!("not checked, because it cannot be parsed: {problem}")))
        .into_iter()
        .collect()
}

fn duplicate_sid(context: &DocumentContext<'_>) -> Vec<Finding> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for sid in context.statements.iter().filter_map(sid) {
        *counts.entry(sid).or_default() += 1;
    }
    let text = |(sid, count)| format!("{count} statements have the `Sid` `{sid}`, which IAM refuses");
    counts.into_iter().filter(|(_, count)| *count > 1).map(|repeated| Finding::new(text(repeated))).collect()
}

fn near_quota(size: &Size) -> Vec<Finding> {
    let Size { what, characters, quota } = size;
    if characters * 5 <= quota * 4 {
        return Vec::new();
    }
    let finding = Finding::new(format!("{what}: {characters} of {quota} characters"));
    vec![if characters > quota { finding.with_severity(Severity::High) } else { finding }]
}
