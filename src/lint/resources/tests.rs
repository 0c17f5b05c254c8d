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
        ("arn:aws:secretsmanager:*:*:secret:app-??????", resource_type("secretsmanager", "secret:?*-??????"), false),
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
