//! What the check of a result shows, for the next attempt: a role or policy that would make it invalid is left out, and
//! findings that would fail `irsa validate` are ignored.

use super::Imported;
use crate::config::Diagnostics;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What is known about a result from the attempts before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedback {
    /// The lint rules to ignore, by the address of the object: `role/KEY`, `policy/ACCOUNT/KEY`.
    pub ignores: BTreeMap<String, BTreeSet<String>>,
    /// Why an object cannot be declared, by its ARN.
    pub refused: BTreeMap<String, String>,
}

/// Where an object is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeclaredAt {
    /// Path below the folder.
    pub file: String,
    /// From 1.
    pub lines: Range<usize>,
    /// The ARN of the role or policy.
    pub arn: String,
}

impl Feedback {
    /// Adds findings on the result. Returns whether they are new.
    pub fn ignore(&mut self, findings: impl IntoIterator<Item = (String, String)>) -> bool {
        let mut is_new = false;
        for (address, rule) in findings {
            is_new |= self.ignores.entry(address).or_default().insert(rule);
        }
        is_new
    }

    /// Refuses the objects that the errors are about. `path` is the path in the configuration of a file of the result.
    /// Returns false if that cannot help, because an error is about something else, or because all these objects are
    /// refused already.
    pub fn refuse(&mut self, result: &Imported, path: impl Fn(&str) -> String, errors: &Diagnostics) -> bool {
        let mut more = BTreeMap::new();
        for error in errors.list() {
            let place = error.labels.iter().find_map(|(origin, _)| {
                result
                    .declared_at
                    .iter()
                    .find(|place| place.lines.contains(&origin.line) && path(&place.file) == *origin.file)
            });
            let Some(place) = place else { return false };
            more.insert(place.arn.clone(), error.message.clone());
        }
        let before = self.refused.len();
        self.refused.extend(more);
        self.refused.len() > before
    }
}
