use super::*;
use crate::policy::Statement;
use serde_json::{Value, json};

fn restriction(operator: &str, key: &str, value: &Value, universe: &str) -> Restriction {
    let statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
        "Condition": {operator: {key: value}}});
    let statement = Statement::parse(&statement, None).unwrap();
    let conditions: Vec<Condition<'_>> = conditions(statement.canonical()).collect();
    let [condition] = conditions[..] else { panic!("{conditions:?}") };
    condition.restriction(&[universe], |variable| variable.starts_with("aws:PrincipalTag/"))
}

#[test]
fn condition_that_takes_every_value_requires_the_key_at_most() {
    for (operator, key, value) in [
        ("StringLike", "aws:SourceVpc", json!("*")),
        ("StringLike", "aws:SourceVpc", json!(["vpc-1", "?*"])),
        ("StringLike", "aws:SourceVpc", json!(["?", "??*"])),
        ("ForAnyValue:StringLike", "aws:TagKeys", json!("**")),
        ("ArnLike", "aws:PrincipalArn", json!("arn:*")),
        ("ArnEquals", "aws:PrincipalArn", json!("arn:aws:iam::*:role/*")),
        ("StringLike", "aws:PrincipalArn", json!("${aws:principalARN}")),
        ("StringEquals", "aws:PrincipalArn", json!("${aws:PrincipalArn}")),
        ("StringEquals", "aws:PrincipalArn", json!("${aws:PrincipalArn, 'x'}")),
        ("StringEquals", "aws:PrincipalArn", json!("${aws:PrincipalTag/who}")),
        ("StringLike", "aws:PrincipalArn", json!("arn:aws:iam::*:role/${aws:PrincipalTag/who}")),
        ("Bool", "aws:SecureTransport", json!([true, "false"])),
        ("IpAddress", "aws:SourceIp", json!("0.0.0.0/0")),
        ("NumericLessThan", "aws:MultiFactorAuthAge", json!("999999999")),
        ("NumericGreaterThan", "s3:max-keys", json!("-1")),
        ("DateGreaterThan", "aws:CurrentTime", json!("2020-01-01T00:00:00Z")),
        ("DateLessThan", "aws:CurrentTime", json!("2999-12-31T00:00:00Z")),
        ("DateGreaterThan", "aws:EpochTime", json!("0")),
        ("Null", "aws:PrincipalArn", json!(false)),
    ] {
        let universe = if key == "aws:PrincipalArn" { "arn:aws:iam::????????????:role/?*" } else { "?*" };
        assert_eq!(restriction(operator, key, &value, universe), Restriction::Present, "{operator} {value}");
        if !matches!(operator, "Null" | "ForAnyValue:StringLike") {
            let operator = format!("{operator}IfExists");
            assert_eq!(restriction(&operator, key, &value, universe), Restriction::None, "{operator} {value}");
        }
    }
}

#[test]
fn condition_that_names_values() {
    for (operator, key, value) in [
        ("StringLike", "aws:SourceVpc", json!("vpc-*")),
        ("StringEquals", "aws:SourceVpc", json!("*")),
        ("StringEquals", "aws:SourceVpc", json!("${aws:SourceVpce}")),
        ("StringEquals", "aws:SourceVpc", json!("x${aws:SourceVpc}")),
        ("StringLike", "aws:SourceVpc", json!("x${aws:PrincipalTag/vpc}")),
        ("Bool", "aws:SecureTransport", json!(true)),
        ("IpAddress", "aws:SourceIp", json!("10.0.0.0/8")),
        ("NumericLessThan", "aws:MultiFactorAuthAge", json!("3600")),
        ("DateLessThan", "aws:CurrentTime", json!("2030-01-01T00:00:00Z")),
    ] {
        assert_eq!(restriction(operator, key, &value, "?*"), Restriction::Names, "{operator} {value}");
        let operator = format!("ForAllValues:{operator}");
        assert_eq!(restriction(&operator, key, &value, "?*"), Restriction::NamesIfPresent, "{operator} {value}");
    }
}

#[test]
fn condition_that_excludes_values() {
    for operator in ["StringNotEquals", "StringNotLike", "ArnNotLike", "NotIpAddress", "StringNotEqualsIfExists"] {
        assert_eq!(restriction(operator, "aws:PrincipalArn", &json!("x"), "?*"), Restriction::Excludes, "{operator}");
    }
    assert_eq!(restriction("Null", "aws:SourceVpc", &json!("true"), "?*"), Restriction::Excludes);
    assert_eq!(restriction("Null", "aws:SourceVpc", &json!(["true", "false"]), "?*"), Restriction::None);
}
