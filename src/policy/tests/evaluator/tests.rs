//! Tests of the evaluator against the AWS documentation.

use super::Piece::{Exact, Folded};
use super::*;
use serde_json::json;

const TEAM: Key = &[Folded("aws:PrincipalTag/"), Exact("Team")];
const USER: Key = &[Folded("aws:username")];
const TAGS: Key = &[Folded("aws:TagKeys")];
const SUBJECT: Key = &[Folded("oidc.example.com"), Exact("/id/A"), Folded(":sub")];

const ALICE: Who = Who::Aws("111122223333", "arn:aws:iam::111122223333:user/alice");

fn request(action: &'static str, resource: &'static str) -> Request {
    Request { who: ALICE, action, resource, context: Context::default() }
}

fn verdict(version: &str, statements: &Value, request: &Request) -> Verdict {
    let text = json!({"Version": version, "Statement": statements}).to_string();
    Document::of(&text).verdict(Place::Identity, request)
}

/// Whether a condition holds, under the current version.
fn holds(condition: &Value, context: &[(Key, &[&'static str])]) -> bool {
    let context = Context(context.iter().map(|(key, values)| (*key, values.to_vec())).collect());
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition});
    let request = Request { context, ..request("s3:GetObject", "b") };
    verdict("2012-10-17", &statement, &request) == Verdict::Allowed
}

#[test]
fn deny_overrides_allow_and_no_statement_is_no_permission() {
    let allow = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    let deny = json!({"Effect": "Deny", "Action": "s3:getOBJECT", "Resource": "b/secret*"});
    let both = json!([allow, deny]);
    let ask = |action, resource| verdict("2012-10-17", &both, &request(action, resource));
    assert_eq!(ask("s3:GetObject", "b/open"), Verdict::Allowed);
    assert_eq!(ask("s3:GetObject", "b/secret-1"), Verdict::Denied);
    assert_eq!(ask("s3:GetObject", "b/Secret-1"), Verdict::Allowed);
    assert_eq!(ask("sqs:SendMessage", "b/open"), Verdict::Nothing);
}

#[test]
fn not_elements_match_everything_else() {
    let statement = json!({"Effect": "Allow", "NotAction": "iam:*", "NotResource": ["a?", "b"]});
    let ask = |action, resource| verdict("2012-10-17", &statement, &request(action, resource));
    assert_eq!(ask("s3:GetObject", "c"), Verdict::Allowed);
    assert_eq!(ask("IAM:GetRole", "c"), Verdict::Nothing);
    assert_eq!(ask("s3:GetObject", "ax"), Verdict::Nothing);
    assert_eq!(ask("s3:GetObject", "a"), Verdict::Allowed);
}

#[test]
fn principals_match_in_each_spelling() {
    let meant = |principal: Value, who| meant(&principal, who);
    for everyone in [json!("*"), json!({"AWS": "*"}), json!({"AWS": ["x", "*"]})] {
        assert!(meant(everyone.clone(), ALICE) && meant(everyone, Who::Service("ec2.amazonaws.com")));
    }
    for account in ["111122223333", "arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:user/alice"] {
        assert!(meant(json!({"AWS": account}), ALICE));
    }
    for other in ["111122223334", "arn:aws:iam::111122223334:root", "arn:aws:iam::111122223333:user/Alice"] {
        assert!(!meant(json!({"AWS": other}), ALICE));
    }
    assert!(!meant(json!({"Service": "EC2.amazonaws.com"}), Who::Service("ec2.amazonaws.com")));
    assert!(!meant(json!({"Federated": "111122223333"}), ALICE));
    let nobody = Document::of(r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#);
    assert_eq!(nobody.verdict(Place::Trust, &request("s3:GetObject", "b")), Verdict::Nothing);
}

#[test]
fn variables_are_filled_in_only_in_the_current_version() {
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "b/${AWS:username}/*"});
    let of = |resource, name: Option<&'static str>| Request {
        context: Context(name.into_iter().map(|name| (USER, vec![name])).collect()),
        ..request("s3:GetObject", resource)
    };
    let ask = |version, request| verdict(version, &statement, &request) == Verdict::Allowed;
    assert!(ask("2012-10-17", of("b/alice/1", Some("alice"))));
    assert!(!ask("2012-10-17", of("b/bob/1", Some("alice"))));
    assert!(!ask("2012-10-17", of("b/alice/1", None)));
    assert!(!ask("2008-10-17", of("b/alice/1", Some("alice"))));
    assert!(ask("2008-10-17", of("b/${AWS:username}/1", Some("alice"))));
    // wildcards in the value of a variable are plain characters, and so are the three escapes
    assert!(!ask("2012-10-17", of("b/bob/1", Some("*"))));
    let star = json!({"Effect": "Allow", "Action": "*", "Resource": "b/${*}${aws:username, 'x'}"});
    assert_eq!(verdict("2012-10-17", &star, &request("s3:GetObject", "b/*x")), Verdict::Allowed);
    assert_eq!(verdict("2012-10-17", &star, &request("s3:GetObject", "b/yx")), Verdict::Nothing);
}

#[test]
fn condition_keys_ignore_case_except_for_tag_keys_and_issuer_paths() {
    let tag = |key: &str| holds(&json!({"StringEquals": {key: "x"}}), &[(TEAM, &["x"])]);
    assert!(tag("aws:PrincipalTag/Team") && tag("AWS:principaltag/Team"));
    assert!(!tag("aws:PrincipalTag/team") && !tag("aws:PrincipalTag/Teams") && !tag("aws:PrincipalTag"));
    let subject = |key: &str| holds(&json!({"StringLike": {key: "x*"}}), &[(SUBJECT, &["x"])]);
    assert!(subject("oidc.example.com/id/A:sub") && subject("OIDC.example.com/id/A:SUB"));
    assert!(!subject("oidc.example.com/id/a:sub") && !subject("oidc.example.com/id/A:aud"));
}

#[test]
fn missing_key_depends_on_the_operator() {
    for (operator, expected) in [
        ("StringEquals", false),
        ("StringNotEquals", true),
        ("StringEqualsIfExists", true),
        ("StringNotEqualsIfExists", true),
        ("ForAllValues:StringEquals", true),
        ("ForAnyValue:StringEquals", false),
        ("ForAnyValue:StringNotEquals", false),
        ("ForAnyValue:StringEqualsIfExists", true),
        ("Null", false),
    ] {
        assert_eq!(holds(&json!({operator: {"aws:TagKeys": "x"}}), &[]), expected, "{operator}");
    }
    assert!(holds(&json!({"Null": {"aws:TagKeys": true}}), &[]));
    assert!(holds(&json!({"Null": {"aws:TagKeys": "false"}}), &[(TAGS, &["x"])]));
}

#[test]
fn several_request_values_against_several_policy_values() {
    let with = |operator: &str, given: &[&'static str]| {
        holds(&json!({operator: {"aws:tagKEYS": ["a", "b"]}}), &[(TAGS, given)])
    };
    assert!(with("ForAllValues:StringEquals", &["a", "b"]) && !with("ForAllValues:StringEquals", &["a", "c"]));
    assert!(with("ForAnyValue:StringEquals", &["a", "c"]) && !with("ForAnyValue:StringEquals", &["c", "d"]));
    assert!(with("ForAllValues:StringNotEquals", &["c"]) && !with("ForAllValues:StringNotEquals", &["a", "c"]));
    assert!(with("ForAnyValue:StringNotEquals", &["a", "c"]) && !with("ForAnyValue:StringNotEquals", &["a"]));
    assert!(with("StringEquals", &["a"]) && with("StringNotEquals", &["c"]) && !with("StringNotEquals", &["b"]));
}

#[test]
fn each_operator_type_compares_values_its_own_way() {
    const KEY: Key = &[Folded("aws:x")];
    for (operator, wanted, given, expected) in [
        ("StringEquals", "a*", "a*", true),
        ("StringEquals", "a*", "ab", false),
        ("StringEqualsIgnoreCase", "Ab", "aB", true),
        ("StringLike", "a?c*", "abcd", true),
        ("StringLike", "A*", "ab", false),
        ("StringNotLike", "a*", "ab", false),
        ("Bool", "TRUE", "true", true),
        ("Bool", "false", "true", false),
        ("NumericEquals", "10", "10.0", true),
        ("NumericLessThan", "10", "9", true),
        ("NumericLessThanEquals", "9", "10", false),
        ("NumericGreaterThan", "x", "10", false),
        ("NumericNotEquals", "9", "10", true),
        ("DateLessThan", "2024-01-01T00:00:00Z", "2023-12-31T23:59:59Z", true),
        ("DateGreaterThanEquals", "1704067200", "2024-01-01T00:00:00Z", true),
        ("DateNotEquals", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", false),
        ("IpAddress", "203.0.113.0/24", "203.0.113.9", true),
        ("IpAddress", "203.0.113.0/24", "203.0.114.9", false),
        ("NotIpAddress", "203.0.113.7", "203.0.113.7", false),
        ("IpAddress", "2001:db8::/32", "2001:db8::1", true),
        ("IpAddress", "0.0.0.0/0", "203.0.113.9", true),
        ("ArnEquals", "arn:aws:iam::*:role/a", "arn:aws:iam::111122223333:role/a", true),
        ("ArnLike", "arn:*:role/a", "arn:aws:iam::111122223333:role/a", false),
        ("ArnNotLike", "arn:aws:iam::1?:role/*", "arn:aws:iam::11:role/a:b", false),
        ("BinaryEquals", "YQ==", "YQ==", true),
    ] {
        let condition = json!({operator: {"aws:x": wanted}});
        assert_eq!(holds(&condition, &[(KEY, &[given])]), expected, "{operator} {wanted} {given}");
    }
    // a boolean and a number count as text
    assert!(holds(&json!({"Bool": {"aws:x": true}}), &[(KEY, &["true"])]));
    assert!(holds(&json!({"NumericLessThan": {"aws:x": [1, 5]}}), &[(KEY, &["4"])]));
}
