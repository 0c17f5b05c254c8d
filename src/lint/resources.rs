//! Whether the resources of a statement include every resource, or every one of a type, however that is written.
//!
//! A pattern is compared with the shape of ARNs: `role/?*` and `ro*` cover every role, `key/*-*` covers every key.
//! Region and account are ignored: all secrets of one region count as all secrets. A pattern with fewer than two
//! letters of a name and no complete part of it (`role/*-*`, `role/a*`) counts as every name.

use crate::policy::canonical::{CanonicalStatement, Choice};
use crate::policy::pattern::{arn_parts, covers, fixed_prefix, is_wild, together_cover};
use std::collections::BTreeSet;

/// A type of resource, by what its ARNs look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResourceType<'a> {
    pub service: &'a str,
    /// A pattern of the last part of the ARN.
    pub resource: &'a str,
}

/// Every role.
pub(super) const ROLE: ResourceType<'static> = ResourceType { service: "iam", resource: "role/?*" };

/// From this number of patterns on they may list every first letter.
const MIN_LETTERS: usize = 10;
/// The usual first letters of names.
const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// Whether the statement applies to every resource of the type.
pub(super) fn covers_every(statement: &CanonicalStatement, of: ResourceType<'_>) -> bool {
    match &statement.resources {
        Some(Choice::Only(set)) => patterns_cover_every(set, of),
        Some(Choice::AllBut(set)) => !cover(set, of, false),
        None => false,
    }
}

/// Whether the patterns together cover every resource of the type.
pub(super) fn patterns_cover_every<T: AsRef<str>>(patterns: &[T], of: ResourceType<'_>) -> bool {
    cover(patterns, of, true)
}

/// `vague`: whether a pattern with fewer than two letters counts as every name.
fn cover<T: AsRef<str>>(patterns: &[T], of: ResourceType<'_>, vague: bool) -> bool {
    let wild: Vec<&str> = patterns.iter().map(AsRef::as_ref).filter(|pattern| is_wild(pattern)).collect();
    // most patterns have one of few beginnings
    let mut prefixes = BTreeSet::new();
    let one_covers = wild.iter().any(|pattern| {
        let parts = arn_parts(pattern);
        let (prefix, name) = match parts[..] {
            [arn, partition, service, region, account, name] => {
                if !covers(service, of.service) {
                    return false;
                }
                (format!("{arn}:{partition}:{}:{region}:{account}:", of.service), Some(name))
            }
            // an ARN with fewer parts, which only a live policy may have
            _ => (format!("arn:aws:{}:{}:", of.service, region_and_account(of.service)), None),
        };
        let whole = format!("{prefix}{}", of.resource);
        prefixes.insert(prefix);
        covers(pattern, &whole) || vague && name.is_some_and(|name| is_vague(name, of.resource))
    });
    one_covers || prefixes.iter().any(|prefix| lists_every_letter(&wild, prefix, of.resource))
}

/// Any region and account, where ARNs of the service have them.
fn region_and_account(service: &str) -> &'static str {
    match service {
        "iam" => ":111122223333",
        "s3" => ":",
        _ => "eu-west-1:111122223333",
    }
}

/// Whether a name, after the fixed beginning of its type, has no complete part and fewer than two letters.
fn is_vague(name: &str, resource: &str) -> bool {
    let fixed = fixed_prefix(resource);
    let Some(name) = name.strip_prefix(fixed) else { return false };
    let parts_are_open = name.split(['/', ':']).all(|part| part.is_empty() || is_wild(part));
    !name.contains('$') && parts_are_open && has_few_letters(name)
}

/// Whether a pattern has fewer than two letters or digits.
pub(super) fn has_few_letters(pattern: &str) -> bool {
    pattern.chars().filter(|c| c.is_alphanumeric()).count() < 2
}

/// Whether the patterns list all first letters of names.
fn lists_every_letter(patterns: &[&str], prefix: &str, resource: &str) -> bool {
    patterns.len() >= MIN_LETTERS
        && resource.split_once('?').is_some_and(|(fixed, rest)| {
            ALPHABET.chars().all(|c| together_cover(patterns, &format!("{prefix}{fixed}{c}{rest}")))
        })
}

/// Whether the statement applies to every resource, or to every one with exceptions.
pub(super) fn covers_everything(statement: &CanonicalStatement) -> bool {
    match &statement.resources {
        Some(Choice::Only(set)) => set.iter().any(|pattern| is_everything(pattern)),
        Some(Choice::AllBut(set)) => !set.iter().any(|pattern| is_everything(pattern)),
        None => false,
    }
}

fn is_everything(pattern: &str) -> bool {
    pattern == "*" || is_wild(pattern) && covers(pattern, "arn:aws:?*:?*:????????????:?*")
}

#[cfg(test)]
mod tests;
