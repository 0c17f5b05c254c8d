//! Whether the resources of a statement include every resource, or every one of a type, however that is written.
//!
//! A pattern is compared with the shape of ARNs: `role/?*` and `ro*` cover every role, `key/*-*` covers every key. Region
//! and account are ignored: all secrets of one region count as all secrets. A pattern with fewer than two letters of a name
//! and no complete part of it (`role/*-*`, `role/a*`) counts as every name.

use crate::policy::canonical::{CanonicalStatement, Choice};
use crate::policy::pattern::{arn_parts, covers, is_wild, together_cover};

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
    wild.iter().any(|pattern| {
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
        covers(pattern, &format!("{prefix}{}", of.resource))
            || lists_every_letter(&wild, &prefix, of.resource)
            || vague && name.is_some_and(|name| is_vague(name, of.resource))
    })
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
    let fixed = resource.split(['*', '?']).next().unwrap_or_default();
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
mod tests {
    use super::*;
    use crate::policy::Statement;
    use serde_json::{Value, json};

    const fn resource_type(service: &'static str, resource: &'static str) -> ResourceType<'static> {
        ResourceType { service, resource }
    }

    fn covers_type(resources: &Value, of: ResourceType<'_>) -> bool {
        let statement = json!({"Effect": "Allow", "Action": "*", "Resource": resources});
        covers_every(Statement::parse(&statement, None).unwrap().canonical(), of)
    }

    #[test]
    fn equivalents_of_a_star_cover_every_role() {
        for pattern in [
            "*",
            "**",
            "a*",
            "arn:*",
            "arn:aws:iam*",
            "arn:aws:iam::*",
            "arn:aws:iam::111122223333:*",
            "arn:aws:iam::111122223333:ro*",
            "arn:aws:iam::111122223333:r?le/*",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::111122223333:role*",
            "arn:aws:iam::111122223333:role/?*",
            "arn:aws:iam::111122223333:role/*?",
            "arn:aws:iam::111122223333:role/**",
            "arn:aws:iam::*:role/*",
            "arn:*:iam::????????????:role/*",
            "arn:aws:iam::111122223333:role/*/*",
            "arn:aws:iam::111122223333:role/*-*",
            "arn:aws:iam::111122223333:role/*e*",
            "arn:aws:iam::${aws:PrincipalAccount}:role/*",
            "arn:aws:*:*:*:*",
        ] {
            assert!(covers_type(&json!(pattern), ROLE), "{pattern}");
        }
        let letters: Vec<String> = ALPHABET.chars().map(|c| format!("arn:aws:iam::111122223333:role/{c}*")).collect();
        assert!(covers_type(&json!(letters), ROLE));
    }

    #[test]
    fn name_or_prefix_does_not_cover_every_role() {
        for pattern in [
            "arn:aws:iam::111122223333:role/app",
            "arn:aws:iam::*:role/app",
            "arn:aws:iam::111122223333:role/app-*",
            "arn:aws:iam::111122223333:role/tenant/*",
            "arn:aws:iam::111122223333:role/*-ci",
            "arn:aws:iam::111122223333:role/a/*",
            "arn:aws:iam::111122223333:role/a",
            "arn:aws:iam::111122223333:role/${aws:PrincipalTag/team}-*",
            "arn:aws:iam::111122223333:user/*",
            "arn:aws:s3:::*",
        ] {
            assert!(!covers_type(&json!(pattern), ROLE), "{pattern}");
        }
        let some: Vec<String> = ALPHABET.chars().skip(1).map(|c| format!("arn:aws:iam::1:role/{c}x*")).collect();
        assert!(!covers_type(&json!(some), ROLE));
    }

    #[test]
    fn each_type_has_its_own_shape_of_names() {
        let key = resource_type("kms", "key/????????-????-????-????-????????????");
        for (pattern, of, expected) in [
            ("arn:aws:kms:eu-west-1:111122223333:key/*-*-*-*-*", key, true),
            ("arn:aws:kms:eu-west-1:111122223333:key/????????-*", key, true),
            ("arn:aws:kms:eu-west-1:111122223333:alias/*", key, false),
            ("arn:aws:s3:::?*", resource_type("s3", "???*"), true),
            ("arn:aws:s3:::?*", resource_type("s3", "???*/?*"), true),
            ("arn:aws:s3:::*/*", resource_type("s3", "???*/?*"), true),
            ("arn:aws:s3:::*/*", resource_type("s3", "???*"), true),
            ("arn:aws:s3:::reports*", resource_type("s3", "???*"), false),
            ("arn:aws:s3:::*/reports/*", resource_type("s3", "???*/?*"), false),
            ("arn:aws:secretsmanager:*:*:secret:*-??????", resource_type("secretsmanager", "secret:?*-??????"), true),
            (
                "arn:aws:secretsmanager:*:*:secret:app-??????",
                resource_type("secretsmanager", "secret:?*-??????"),
                false,
            ),
        ] {
            assert_eq!(covers_type(&json!(pattern), of), expected, "{pattern} {of:?}");
        }
    }

    #[test]
    fn not_resource_covers_every_role_unless_it_excludes_all() {
        let but = |resources: Value| {
            let statement = json!({"Effect": "Allow", "Action": "*", "NotResource": resources});
            let statement = Statement::parse(&statement, None).unwrap();
            (covers_every(statement.canonical(), ROLE), covers_everything(statement.canonical()))
        };
        assert_eq!(but(json!("arn:aws:s3:::secrets")), (true, true));
        assert_eq!(but(json!("arn:aws:iam::111122223333:role/admin")), (true, true));
        assert_eq!(but(json!("arn:aws:iam::111122223333:role/a*")), (true, true));
        assert_eq!(but(json!("arn:aws:iam::111122223333:*")), (false, true));
        assert_eq!(but(json!("*")), (false, false));
    }

    #[test]
    fn equivalents_of_a_star_are_everything() {
        for (pattern, expected) in [
            ("*", true),
            ("**", true),
            ("?*", true),
            ("arn:*", true),
            ("arn:aws:*", true),
            ("arn:*:*:*:*:*", true),
            ("arn:aws:s3:::*", false),
            ("arn:aws:iam::*:*", false),
        ] {
            assert_eq!(is_everything(pattern), expected, "{pattern}");
        }
    }
}
