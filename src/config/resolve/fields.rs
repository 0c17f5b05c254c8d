//! Fields that roles and policies share, held against the limits that AWS documents.

use super::{Diagnostic, Resolver, Spot};
use crate::config::reader::RawPairs;
use crate::ids::Key;
use crate::model::desired::Adopt;
use crate::model::origin::Origin;
use crate::model::resource::StringMap;
use std::collections::BTreeMap;

/// Tags on a role, policy or provider, and their lengths
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const TAG_LIMIT: usize = 50;
const TAG_KEY_LIMIT: usize = 128;
const TAG_VALUE_LIMIT: usize = 256;
/// The longest description
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>).
const DESCRIPTION_LIMIT: usize = 1000;

impl Resolver<'_> {
    /// The tags of `what`, its own before those of `defaults`; `marks` of ours come on top.
    pub(super) fn tags(
        &mut self,
        (what, origin): (&str, &Origin),
        own: &RawPairs,
        defaults: Option<&RawPairs>,
        marks: usize,
    ) -> StringMap {
        let written = defaults.into_iter().flatten().chain(own);
        let all: BTreeMap<&String, &Spot<String>> = written.map(|(key, spot)| (key, spot)).collect();
        let mut folded: BTreeMap<String, (&String, &Origin)> = BTreeMap::new();
        for (key, spot) in &all {
            self.tag(key, spot);
            // IAM takes `Team` and `team` for one key
            if let Some((other, place)) = folded.get(&key.to_lowercase()) {
                let message = format!("tags `{other}` and `{key}` of {what} differ in case only, which IAM refuses");
                self.push(Diagnostic::at(&spot.origin, message).and(place, "the other is here"));
            } else {
                folded.insert(key.to_lowercase(), (key, &spot.origin));
            }
        }
        if all.len() + marks > TAG_LIMIT {
            let message = format!(
                "{what} has {} tags and {marks} marks of irsa's own, together {}; the limit is {TAG_LIMIT}",
                all.len(),
                all.len() + marks
            );
            self.refuse(origin, message);
        }
        all.into_iter().map(|(key, spot)| (key.clone(), spot.value.clone())).collect()
    }

    fn tag(&mut self, key: &str, spot: &Spot<String>) {
        let origin = &spot.origin;
        let (long, value_long) = (key.chars().count(), spot.value.chars().count());
        let good = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        if key.to_lowercase().starts_with("aws:") {
            self.refuse(origin, format!("tag `{key}`: the prefix `aws:` belongs to AWS"));
        } else if key.to_lowercase().starts_with("irsa/") {
            self.refuse(origin, format!("tag `{key}`: the prefix `irsa/` is for irsa's own marks"));
        }
        if key.is_empty() || long > TAG_KEY_LIMIT {
            self.refuse(origin, format!("the key of a tag is 1-{TAG_KEY_LIMIT} characters long, this has {long}"));
        }
        if value_long > TAG_VALUE_LIMIT {
            let message = format!("tag `{key}` is at most {TAG_VALUE_LIMIT} characters long, this has {value_long}");
            self.refuse(origin, message);
        }
        if let Some(bad) = key.chars().chain(spot.value.chars()).find(|c| !good(*c)) {
            let message = format!("tag `{key}` has `{}` in it", bad.escape_debug());
            self.refuse(origin, message).hint =
                Some("tags are made of letters, digits, spaces and `_ . : / = + - @`".to_owned());
        }
    }

    /// The description, empty if there is none.
    pub(super) fn description(&mut self, spot: Option<&Spot<String>>) -> String {
        let Some(spot) = spot else { return String::new() };
        let length = spot.value.chars().count();
        if length > DESCRIPTION_LIMIT {
            let message = format!("a description is at most {DESCRIPTION_LIMIT} characters long, this has {length}");
            self.refuse(&spot.origin, message);
        }
        // the pattern of CreateRole's Description
        let good = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
        if let Some(bad) = spot.value.chars().find(|c| !good(*c)) {
            let message = format!("a description cannot have `{}` in it", bad.escape_debug());
            self.refuse(&spot.origin, message).hint = Some("IAM takes Latin-1 without control characters".to_owned());
        }
        spot.value.clone()
    }

    pub(super) fn adopt(&mut self, adopt: Option<&Spot<bool>>, from: Option<&Spot<Key>>) -> Adopt {
        match (adopt, from) {
            (Some(adopt), Some(from)) if !adopt.value => {
                let diagnostic = Diagnostic::at(&from.origin, "`adopt-from` beside `adopt = false`");
                self.push(diagnostic.and(&adopt.origin, "it says no here"));
                Adopt::No
            }
            (_, Some(from)) => {
                if from.value == self.owner {
                    let message = format!("`adopt-from` names this configuration's own owner, `{}`", from.value);
                    self.refuse(&from.origin, message);
                }
                Adopt::From(from.value.clone())
            }
            (Some(adopt), None) if adopt.value => Adopt::Unowned,
            _ => Adopt::No,
        }
    }
}
