//! A token of `apps/app` at one trust policy after another.

use super::*;
use serde_json::{Value, json};

const HOST: &str = "oidc.example.com/id/A";
const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A";

fn at(statements: &Value) -> Decision {
    let trust = PolicyDocument::live(&json!({"Version": "2012-10-17", "Statement": statements}).to_string());
    let claims = TokenClaims {
        issuer: format!("https://{HOST}"),
        subject: "system:serviceaccount:apps:app".to_owned(),
        audiences: vec!["sts.amazonaws.com".to_owned()],
        key_id: String::new(),
    };
    evaluate_token(&trust, &Request { provider: PROVIDER, host_path: HOST, claims: &claims, declared: &[] })
}

fn statement(condition: &Value) -> Value {
    json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": PROVIDER},
        "Condition": condition})
}

#[track_caller]
fn refused(statements: &Value, what: &str) {
    match at(statements) {
        Decision::Refused(why) => assert!(why.contains(what), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn matching_statement_is_named() {
    let good = json!({"StringEquals": {format!("{HOST}:sub"): "system:serviceaccount:apps:app",
        format!("{HOST}:aud"): "sts.amazonaws.com"}});
    let other = statement(&json!({"StringEquals": {format!("{HOST}:sub"): "x"}}));
    assert_eq!(at(&json!([other, statement(&good)])), Decision::Allowed("statement 2".to_owned()));
    let mut named = statement(&good);
    named["Sid"] = json!("Pods");
    assert_eq!(at(&json!([named.clone()])), Decision::Allowed("statement `Pods`".to_owned()));
    named["Action"] = json!("sts:AssumeRole");
    refused(&json!([named]), "in statement `Pods`, `Action` is `sts:AssumeRole`, not `sts:AssumeRoleWithWebIdentity`");
    named.as_object_mut().expect("a statement").remove("Action");
    named["NotAction"] = json!(["sts:AssumeRoleWithWebIdentity"]);
    refused(&json!([named]), "`NotAction` leaves out `sts:AssumeRoleWithWebIdentity`");
    let like = json!({"StringLike": {format!("{HOST}:sub"): "system:serviceaccount:a*:?pp"}});
    assert_eq!(at(&json!(statement(&like))), Decision::Allowed("statement 1".to_owned()));
}

#[test]
fn failing_condition_is_named_with_both_values() {
    let sub = |operator: &str, value: &str| statement(&json!({operator: {format!("{HOST}:sub"): value}}));
    refused(
        &json!(sub("StringEquals", "system:serviceaccount:apps:other")),
        "wants `system:serviceaccount:apps:other`, the token has `system:serviceaccount:apps:app`",
    );
    refused(&json!(sub("StringEquals", "system:serviceaccount:apps:*")), "only `StringLike` reads them as wildcards");
    refused(&json!(sub("StringNotEquals", "system:serviceaccount:apps:app")), "refuses");
    refused(&json!(sub("ForAnyValue:StringEquals", "x")), "`sub` wants `x`");
    refused(&json!(statement(&json!({"StringEquals": {format!("{HOST}:aud"): "other"}}))), "`aud` wants `other`");
    refused(&json!(statement(&json!({"StringEquals": {"oidc.example.com/id/B:sub": "x"}}))), "is for another issuer");
    let mut other = sub("StringEquals", "x");
    other["Principal"]["Federated"] = json!("arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/B");
    refused(&json!(other), "it trusts `oidc.example.com/id/B`");
}

#[test]
fn deny_comes_first_and_unknown_is_never_an_answer() {
    let good = statement(&json!({"StringEquals": {format!("{HOST}:sub"): "system:serviceaccount:apps:app"}}));
    let mut deny = good.clone();
    deny["Effect"] = json!("Deny");
    assert_eq!(at(&json!([good, deny])), Decision::Denied("statement 2".to_owned(), false));
    deny["Condition"] = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
    assert!(matches!(at(&json!([good, deny])), Decision::Undecided(why) if why.contains("denies if")));
    let open = statement(&json!({"StringEquals": {format!("{HOST}:sub"): "system:serviceaccount:apps:app"},
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}));
    assert!(matches!(at(&json!([open])), Decision::Undecided(why) if why.contains("aws:sourceip")));
    let failing = statement(&json!({"StringEquals": {format!("{HOST}:sub"): "x"},
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}));
    refused(&json!([failing]), "`sub` wants `x`");
}
