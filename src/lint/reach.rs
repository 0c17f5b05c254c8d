//! What a statement's resources reach: everything, or every one of a kind, however that is written.
//!
//! A pattern is held against what ARNs of the kind look like, so that `role/?*`, `ro*` and `key/*-*` are every role and
//! every key. Region and account are taken as they are written: all secrets of one region are all secrets. One that has
//! no part of a name and less than two letters of it (`role/*-*`, `role/a*`) is taken for every name.

use crate::policy::canonical::{CanonicalStatement, Choice, arn_parts};
use crate::policy::pattern_cover::{covers, is_wild, together_cover};

/// A kind of resource: the service in its ARN, and what stands behind the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind<'a> {
    pub service: &'a str,
    pub shape: &'a str,
}

/// Shorthand for tables.
pub(super) const fn kind<'a>(service: &'a str, shape: &'a str) -> Kind<'a> {
    Kind { service, shape }
}

/// A number of names that together may be every first letter.
const LETTERS: usize = 10;
/// What a name begins with, as a rule.
const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// Whether the statement reaches every resource of the kind.
pub(super) fn reaches_every(body: &CanonicalStatement, kind: Kind<'_>) -> bool {
    match &body.resources {
        Some(Choice::Only(set)) => every(set, kind, true),
        // all but some, unless every one is excluded
        Some(Choice::AllBut(set)) => !every(set, kind, false),
        None => false,
    }
}

/// The same for patterns that stand in no statement.
pub(super) fn patterns_reach_every<T: AsRef<str>>(patterns: &[T], kind: Kind<'_>) -> bool {
    every(patterns, kind, true)
}

/// Whether the patterns together are every resource of the kind, or `nearly` so.
fn every<T: AsRef<str>>(patterns: &[T], kind: Kind<'_>, nearly: bool) -> bool {
    let wild: Vec<&str> = patterns.iter().map(AsRef::as_ref).filter(|pattern| is_wild(pattern)).collect();
    wild.iter().any(|pattern| {
        let parts = arn_parts(pattern);
        let (prefix, name) = match parts[..] {
            [arn, partition, service, region, account, name] => {
                if !covers(service, kind.service) {
                    return false;
                }
                (format!("{arn}:{partition}:{}:{region}:{account}:", kind.service), Some(name))
            }
            // an ARN that is cut short, which only a live policy may have
            _ => (format!("arn:aws:{}:{}:", kind.service, home(kind.service)), None),
        };
        let all = format!("{prefix}{}", kind.shape);
        covers(pattern, &all)
            || enumerated(&wild, &prefix, kind.shape)
            || nearly && name.is_some_and(|name| vague(name, kind.shape))
    })
}

/// Some region and account, where the service has them.
fn home(service: &str) -> &'static str {
    match service {
        "iam" => ":111122223333",
        "s3" => ":",
        _ => "eu-west-1:111122223333",
    }
}

/// Whether a name in an ARN says nearly nothing, but for what stands before every name: no part of it is written out, and
/// there are less than two letters.
fn vague(name: &str, shape: &str) -> bool {
    let fixed = shape.split(['*', '?']).next().unwrap_or_default();
    let Some(name) = name.strip_prefix(fixed) else { return false };
    let parts_are_open = name.split(['/', ':']).all(|part| part.is_empty() || is_wild(part));
    !name.contains('$') && parts_are_open && name.chars().filter(|c| c.is_alphanumeric()).count() < 2
}

/// Whether the patterns are a list of all that names begin with.
fn enumerated(patterns: &[&str], prefix: &str, shape: &str) -> bool {
    patterns.len() >= LETTERS
        && shape.split_once('?').is_some_and(|(fixed, rest)| {
            ALPHABET.chars().all(|c| together_cover(patterns, &format!("{prefix}{fixed}{c}{rest}")))
        })
}

/// Whether the statement reaches every resource there is, but for some that it may exclude.
pub(super) fn reaches_all(body: &CanonicalStatement) -> bool {
    match &body.resources {
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

    const ROLE: Kind<'_> = kind("iam", "role/?*");

    fn reaches(resources: &Value, kind: Kind<'_>) -> bool {
        let statement = json!({"Effect": "Allow", "Action": "*", "Resource": resources});
        reaches_every(Statement::parse(&statement, None).unwrap().canonical(), kind)
    }

    #[test]
    fn a_star_in_disguise_reaches_every_role() {
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
            assert!(reaches(&json!(pattern), ROLE), "{pattern}");
        }
        let letters: Vec<String> = ALPHABET.chars().map(|c| format!("arn:aws:iam::111122223333:role/{c}*")).collect();
        assert!(reaches(&json!(letters), ROLE));
    }

    #[test]
    fn a_name_is_not_every_role() {
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
            assert!(!reaches(&json!(pattern), ROLE), "{pattern}");
        }
        let some: Vec<String> = ALPHABET.chars().skip(1).map(|c| format!("arn:aws:iam::1:role/{c}x*")).collect();
        assert!(!reaches(&json!(some), ROLE));
    }

    #[test]
    fn each_kind_has_names_of_its_own_shape() {
        let key = kind("kms", "key/????????-????-????-????-????????????");
        for (pattern, kind, expected) in [
            ("arn:aws:kms:eu-west-1:111122223333:key/*-*-*-*-*", key, true),
            ("arn:aws:kms:eu-west-1:111122223333:key/????????-*", key, true),
            ("arn:aws:kms:eu-west-1:111122223333:alias/*", key, false),
            ("arn:aws:s3:::?*", kind("s3", "???*"), true),
            ("arn:aws:s3:::?*", kind("s3", "???*/?*"), true),
            ("arn:aws:s3:::*/*", kind("s3", "???*/?*"), true),
            ("arn:aws:s3:::*/*", kind("s3", "???*"), true),
            ("arn:aws:s3:::reports*", kind("s3", "???*"), false),
            ("arn:aws:s3:::*/reports/*", kind("s3", "???*/?*"), false),
            ("arn:aws:secretsmanager:*:*:secret:*-??????", kind("secretsmanager", "secret:?*-??????"), true),
            ("arn:aws:secretsmanager:*:*:secret:app-??????", kind("secretsmanager", "secret:?*-??????"), false),
        ] {
            assert_eq!(reaches(&json!(pattern), kind), expected, "{pattern} {kind:?}");
        }
    }

    #[test]
    fn all_but_some_is_every_one() {
        let but = |resources: Value| {
            let statement = json!({"Effect": "Allow", "Action": "*", "NotResource": resources});
            let statement = Statement::parse(&statement, None).unwrap();
            (reaches_every(statement.canonical(), ROLE), reaches_all(statement.canonical()))
        };
        assert_eq!(but(json!("arn:aws:s3:::secrets")), (true, true));
        assert_eq!(but(json!("arn:aws:iam::111122223333:role/admin")), (true, true));
        assert_eq!(but(json!("arn:aws:iam::111122223333:role/a*")), (true, true));
        assert_eq!(but(json!("arn:aws:iam::111122223333:*")), (false, true));
        assert_eq!(but(json!("*")), (false, false));
    }

    #[test]
    fn everything_is_everything_in_any_spelling() {
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
