use super::*;
use serde_json::Value;

const LOSES: TrustEffects = TrustEffects { loses: true, gains: false };
const GAINS: TrustEffects = TrustEffects { loses: false, gains: true };
const BOTH: TrustEffects = TrustEffects { loses: true, gains: true };

fn grant(subject: &str) -> Grant {
    Grant {
        provider: ProviderArn::parse("arn:aws:iam::111122223333:oidc-provider/oidc.example.com/a").unwrap(),
        audience: "sts.amazonaws.com".into(),
        subject: format!("system:serviceaccount:{subject}"),
    }
}

fn document(subjects: &[&str], extra: &[Value]) -> PolicyDocument {
    let extra: Vec<Statement> = extra.iter().map(|value| Statement::parse(value, None).unwrap()).collect();
    trust::build(&subjects.iter().map(|subject| grant(subject)).collect(), &extra)
}

#[test]
fn fewer_subjects_narrow_and_more_widen() {
    let (one, two) = (document(&["a:a"], &[]), document(&["a:a", "b:b"], &[]));
    assert_eq!(between(&two, &one), LOSES);
    assert_eq!(between(&one, &two), GAINS);
}

#[test]
fn lost_and_gained_subjects_intersect_in_the_common_ones() {
    let before = document(&["a:a", "b:b", "w:*"], &[]);
    let after = document(&["a:a", "c:c", "w:*"], &[]);
    assert_eq!(between(&before, &after), BOTH);
    assert_eq!(intersect(&before, &after), Some(document(&["a:a", "w:*"], &[])));
}

#[test]
fn intersection_has_the_denies_of_both() {
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}});
    let before = document(&["a:a", "b:b"], &[]);
    let after = document(&["a:a"], std::slice::from_ref(&deny));
    assert_eq!(between(&before, &after), LOSES);
    let after = document(&["a:a", "c:c"], std::slice::from_ref(&deny));
    assert_eq!(between(&before, &after), BOTH);
    assert_eq!(intersect(&before, &after), Some(document(&["a:a"], &[deny])));
}

#[test]
fn no_common_subject_or_unreadable_policy_has_no_intersection() {
    for before in [document(&["a:a"], &[]), PolicyDocument::live("not json")] {
        assert_eq!(between(&before, &document(&["b:b"], &[])), BOTH);
        assert_eq!(intersect(&before, &document(&["b:b"], &[])), None);
    }
}

#[test]
fn statements_of_other_forms_are_compared_as_a_whole() {
    let assume = |who: &str| json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": who}});
    let (one, two) = (assume("arn:aws:iam::111122223333:root"), assume("arn:aws:iam::444455556666:root"));
    let with = |extra: &[Value]| document(&["a:a"], extra);
    let both = with(&[one.clone(), two.clone()]);
    assert_eq!(between(&both, &with(std::slice::from_ref(&one))), LOSES);
    assert_eq!(between(&with(std::slice::from_ref(&one)), &both), GAINS);
    let (first, second) = (with(std::slice::from_ref(&one)), with(std::slice::from_ref(&two)));
    assert_eq!(between(&first, &second), BOTH);
    assert_eq!(intersect(&first, &second), Some(document(&["a:a"], &[])));
    let deny = json!({"Effect": "Deny", "Action": "sts:*", "Principal": "*"});
    assert_eq!(between(&with(std::slice::from_ref(&deny)), &with(&[])), GAINS);
    assert_eq!(intersect(&document(&[], &[one]), &document(&[], &[two])), None);
}

#[test]
fn old_version_with_a_variable_has_both_effects_and_no_intersection() {
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringNotEquals": {"aws:SourceVpc": "${aws:PrincipalTag/vpc}"}}});
    let current = document(&["a:a"], std::slice::from_ref(&deny));
    let of_old = |document: &PolicyDocument| PolicyDocument::live(&document.text().replace("2012-10-17", "2008-10-17"));
    for (before, after) in [(of_old(&current), document(&["a:a"], &[])), (current.clone(), of_old(&current))] {
        assert_eq!(between(&before, &after), BOTH);
        assert_eq!(intersect(&before, &after), None);
    }
    // without a variable the version changes nothing
    let (two, one) = (document(&["a:a", "b:b"], &[]), document(&["a:a"], &[]));
    assert_eq!(between(&of_old(&two), &one), LOSES);
    assert_eq!(intersect(&of_old(&two), &one), Some(one));
}

#[test]
fn deny_everyone_only_loses_first_and_only_gains_afterwards() {
    let (before, after) = (document(&["a:a"], &[]), document(&["b:b"], &[]));
    let nobody = deny_everyone(&before, &after);
    assert_eq!(between(&before, &nobody), LOSES);
    assert_eq!(between(&nobody, &after), GAINS);
    assert!(grants(&nobody).is_empty());
}

#[test]
fn denies_with_the_same_sid_lose_it() {
    let deny = |vpc: &str| {
        json!({"Sid": "Vpc", "Effect": "Deny", "Principal": "*", "Action": "sts:*",
        "Condition": {"StringEquals": {"aws:SourceVpc": vpc}}})
    };
    let both = intersect(&document(&["a:a"], &[deny("vpc-1")]), &document(&["a:a"], &[deny("vpc-2")])).unwrap();
    assert_eq!(both.statements().len(), 3);
    assert!(both.statements().iter().all(|statement| statement.sid().is_none()), "{}", both.text());
}

#[test]
fn only_statements_of_the_built_form_have_grants() {
    let built = document(&["a:a"], &[]).statements()[0].to_value();
    let grants_of = |statement: &Value| grants_of(Statement::parse(statement, None).ok()?.canonical());
    assert!(grants_of(&built).is_some());
    let issuer = "oidc.example.com/a";
    let (aud, sub) = (format!("{issuer}:aud"), format!("{issuer}:sub"));
    let subject = "system:serviceaccount:a:a";
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/a";
    for (element, value) in [
        ("Action", json!("sts:AssumeRole")),
        ("Action", json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"])),
        ("Action", json!("sts:*")),
        ("Resource", json!("*")),
        ("NotPrincipal", json!({"AWS": "111122223333"})),
        ("Principal", json!("*")),
        ("Principal", json!({"Federated": provider, "AWS": "111122223333"})),
        ("Principal", json!({"Federated": [provider, provider.replace("/a", "/b")]})),
        ("Principal", json!({"Federated": "cognito-identity.amazonaws.com"})),
        ("Principal", json!({"Federated": provider.replace("example", "example2")})),
        ("Condition", json!({})),
        ("Condition", json!({"StringEquals": {&aud: "x"}})),
        ("Condition", json!({"StringEquals": {&sub: subject}})),
        ("Condition", json!({"StringEquals": {&aud: "x", &sub: subject, "aws:SourceVpc": "vpc-1"}})),
        ("Condition", json!({"StringEquals": {&aud: "x", &sub: "system:serviceaccount:a:*"}})),
        ("Condition", json!({"StringEquals": {&aud: "x", &sub: [subject, "system:serviceaccount:a:?"]}})),
        ("Condition", json!({"StringEquals": {&aud: "x"}, "StringLike": {&sub: subject}})),
        ("Condition", json!({"StringEquals": {&aud: "x"}, "StringLike": {&sub: ["a*", subject]}})),
        ("Condition", json!({"StringEquals": {&aud: "x"}, "StringLike": {&sub: "a*", "aws:SourceVpc": "vpc-*"}})),
        ("Condition", json!({"StringEquals": {&aud: "x", "aws:SourceVpc": "v"}, "StringLike": {&sub: "a*"}})),
        ("Condition", json!({"StringEquals": {&aud: "x", &sub: subject}, "Bool": {"aws:SecureTransport": true}})),
        ("Condition", json!({"StringEquals": {&aud: "x"}, "StringLike": {&sub: "a*"}, "Null": {&aud: false}})),
        ("Condition", json!({"StringEquals": {&aud: "x"}, "StringNotLike": {&sub: "a*"}})),
        ("Condition", json!({"StringEqualsIfExists": {&aud: "x", &sub: subject}})),
    ] {
        let mut other = built.clone();
        other[element] = value;
        assert_eq!(grants_of(&other), None, "{other}");
    }
    // lists, repeated values, and elements without a meaning
    let mut other = built.clone();
    other["Sid"] = json!("x");
    other["Action"] = json!(["STS:assumeRoleWithWebIdentity"]);
    other["Principal"]["Federated"] = json!([provider, provider]);
    other["Condition"]["StringEquals"] = json!({&aud: ["sts.amazonaws.com", "x"], &sub: [subject, "b"]});
    assert_eq!(grants_of(&other).unwrap().len(), 4);
}
