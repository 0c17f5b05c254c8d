use super::*;
use serde_json::{Value, json};

fn grant(provider: &str, audience: &str, subject: &str) -> Grant {
    Grant {
        provider: ProviderArn::parse(format!("arn:aws:iam::111122223333:oidc-provider/{provider}")).unwrap(),
        audience: audience.into(),
        subject: subject.into(),
    }
}

fn statement(provider: &str, condition: &Value) -> Value {
    let provider = format!("arn:aws:iam::111122223333:oidc-provider/{provider}");
    json!({"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition})
}

#[test]
fn exact_and_wildcard_subjects_get_separate_statements() {
    let grants = [
        grant("a.b/1", "x", "n:b"),
        grant("a.b/1", "x", "n:a"),
        grant("a.b/1", "x", "n:*"),
        grant("a.b/1", "x", "n:?"),
        grant("a.b/1", "y", "n:a"),
        grant("a.b/2", "x", "n:*"),
    ];
    let extra = Statement::parse(
        &json!({"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"Null": {"a.b/1:sub": true}}}),
        None,
    );
    let built = build(&grants.into(), &[extra.unwrap()]);
    let expected = json!({"Version": "2012-10-17", "Statement": [
        statement("a.b/1", &json!({"StringEquals": {"a.b/1:aud": "x", "a.b/1:sub": ["n:a", "n:b"]}})),
        statement("a.b/1", &json!({"StringEquals": {"a.b/1:aud": "x"}, "StringLike": {"a.b/1:sub": ["n:*", "n:?"]}})),
        statement("a.b/1", &json!({"StringEquals": {"a.b/1:aud": "y", "a.b/1:sub": "n:a"}})),
        statement("a.b/2", &json!({"StringEquals": {"a.b/2:aud": "x"}, "StringLike": {"a.b/2:sub": "n:*"}})),
        {"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"Null": {"a.b/1:sub": true}}},
    ]});
    assert_eq!(built.to_value(), expected);
    assert_eq!(built.text(), expected.to_string());
}
