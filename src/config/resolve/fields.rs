//! Resolves the keys that roles and policies share: tags, description, `adopt` and the default path. Checks AWS limits.

use super::{Diagnostic, Located, Resolver};
use crate::config::reader::StringTable;
use crate::ids::{IamPath, Key};
use crate::model::desired::Adopt;
use crate::model::marks::{TAG_LIMIT, TAG_VALUE_LIMIT, default_path};
use crate::model::origin::Origin;
use crate::model::resource::StringMap;
use std::collections::BTreeMap;

/// The longest key of a tag, in characters
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const TAG_KEY_LIMIT: usize = 128;
/// The longest description
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>).
const DESCRIPTION_LIMIT: usize = 1000;

impl Resolver<'_> {
    /// The tags of `what`; its own replace those of `defaults`. irsa adds `reserved` tags.
    pub(super) fn tags(
        &mut self,
        (what, origin): (&str, &Origin),
        own: &StringTable,
        defaults: Option<&StringTable>,
        reserved: usize,
    ) -> StringMap {
        let declared = defaults.into_iter().flatten().chain(own);
        let all: BTreeMap<&String, &Located<String>> = declared.map(|(key, value)| (key, value)).collect();
        let mut by_lower_case: BTreeMap<String, (&String, &Origin)> = BTreeMap::new();
        for (key, value) in &all {
            self.tag(key, value);
            // IAM treats `Team` and `team` as one key
            if let Some((other, origin)) = by_lower_case.get(&key.to_lowercase()) {
                let message = format!("tags `{other}` and `{key}` of {what} differ only in case, which IAM refuses");
                self.errors.push(Diagnostic::at(&value.origin, message).and(origin, "the other is here"));
            } else {
                by_lower_case.insert(key.to_lowercase(), (key, &value.origin));
            }
        }
        let total = all.len() + reserved;
        if total > TAG_LIMIT {
            let message = format!(
                "{what} has {} tags, and irsa adds {reserved}: {total} in all, but the limit is {TAG_LIMIT}",
                all.len()
            );
            self.refuse(origin, message);
        }
        all.into_iter().map(|(key, value)| (key.clone(), value.value.clone())).collect()
    }

    fn tag(&mut self, key: &str, Located { value, origin }: &Located<String>) {
        let (key_length, value_length) = (key.chars().count(), value.chars().count());
        let valid = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        if key.to_lowercase().starts_with("aws:") {
            self.refuse(origin, format!("tag `{key}`: the prefix `aws:` belongs to AWS"));
        } else if key.to_lowercase().starts_with("irsa/") {
            self.refuse(origin, format!("tag `{key}`: the prefix `irsa/` is reserved for irsa"));
        }
        if key.is_empty() || key_length > TAG_KEY_LIMIT {
            let message =
                format!("the key of a tag must be 1-{TAG_KEY_LIMIT} characters long, but this one has {key_length}");
            self.refuse(origin, message);
        }
        if value_length > TAG_VALUE_LIMIT {
            let message = format!(
                "the value of tag `{key}` is at most {TAG_VALUE_LIMIT} characters long, but this one has {value_length}"
            );
            self.refuse(origin, message);
        }
        if let Some(invalid) = key.chars().chain(value.chars()).find(|c| !valid(*c)) {
            self.refuse(origin, format!("tag `{key}` contains `{}`", invalid.escape_debug())).hint =
                Some("tags may contain letters, digits, spaces and `_ . : / = + - @`".to_owned());
        }
    }

    /// The description, empty if none is declared.
    pub(super) fn description(&mut self, text: Option<&Located<String>>) -> String {
        let Some(Located { value, origin }) = text else { return String::new() };
        let length = value.chars().count();
        if length > DESCRIPTION_LIMIT {
            let message =
                format!("a description is at most {DESCRIPTION_LIMIT} characters long, but this one has {length}");
            self.refuse(origin, message);
        }
        // the pattern of CreateRole's Description
        let valid = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
        if let Some(invalid) = value.chars().find(|c| !valid(*c)) {
            self.refuse(origin, format!("a description cannot contain `{}`", invalid.escape_debug())).hint =
                Some("IAM takes Latin-1 without control characters".to_owned());
        }
        value.clone()
    }

    pub(super) fn adopt(&mut self, adopt: Option<&Located<bool>>, from: Option<&Located<Key>>) -> Adopt {
        match (adopt, from) {
            (Some(adopt), Some(from)) if !adopt.value => {
                let diagnostic = Diagnostic::at(&from.origin, "`adopt-from` conflicts with `adopt = false`");
                self.errors.push(diagnostic.and(&adopt.origin, "`adopt` is here"));
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

    /// `/irsa/<owner>/`, under which irsa searches for roles and policies that are no longer declared.
    pub(super) fn default_path(&self) -> IamPath {
        IamPath::parse(default_path(self.owner.as_str())).unwrap_or_else(|error| unreachable!("{error}"))
    }
}
