//! Checks built trust policies, and changes of trust policies, against the evaluator.

use super::super::document::{PolicyDocument, Statement};
use super::super::trust::{self, Grant};
use super::super::trust_effects::{self, TrustEffects};
use super::dice::Dice;
use super::evaluator::Piece::{Exact, Folded};
use super::evaluator::{Context, Document, Key, Place, Request, Verdict, Who};
use super::{cases, read};
use crate::ids::ProviderArn;
use serde_json::json;
use std::collections::BTreeSet;

const PROVIDERS: [&str; 2] = [
    "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A",
    "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/a",
];
const AUDIENCES: [&str; 2] = ["sts.amazonaws.com", "other"];
const SUBJECTS: [&str; 5] = ["n:a", "n:b", "n:*", "n:?", "n:${aws:PrincipalTag/vpc}"];

const AUDIENCE_KEYS: [Key; 2] = [
    &[Folded("oidc.example.com"), Exact("/id/A"), Folded(":aud")],
    &[Folded("oidc.example.com"), Exact("/id/a"), Folded(":aud")],
];
const SUBJECT_KEYS: [Key; 2] = [
    &[Folded("oidc.example.com"), Exact("/id/A"), Folded(":sub")],
    &[Folded("oidc.example.com"), Exact("/id/a"), Folded(":sub")],
];
const VPC: Key = &[Folded("aws:SourceVpc")];
const VPC_TAG: Key = &[Folded("aws:PrincipalTag/"), Exact("vpc")];

/// Statements of other forms than `trust::build` writes.
fn others() -> Vec<serde_json::Value> {
    let (aud, sub) = ("oidc.example.com/id/A:aud", "oidc.example.com/id/A:sub");
    let web = "sts:AssumeRoleWithWebIdentity";
    let federated = json!({"Federated": PROVIDERS[0]});
    let audience = AUDIENCES[0];
    vec![
        json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}}),
        json!({"Effect": "Allow", "Action": "sts:assumerole", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}),
        // a `*` that is plain text, one that is a wildcard, and one beside a plain value
        json!({"Effect": "Allow", "Action": web, "Principal": federated,
            "Condition": {"StringEquals": {aud: audience, sub: "n:*"}}}),
        json!({"Effect": "Allow", "Action": web, "Principal": federated,
            "Condition": {"StringLike": {aud: audience, sub: "n:*"}}}),
        json!({"Effect": "Allow", "Action": web, "Principal": federated,
            "Condition": {"StringEquals": {aud: audience}, "StringLike": {sub: ["n:a", "n:*"]}}}),
        json!({"Effect": "Allow", "Action": "sts:*", "Principal": "*",
            "Condition": {"StringEquals": {"aws:SourceVpc": "${aws:PrincipalTag/vpc}"}}}),
        json!({"Effect": "Allow", "Action": web, "Principal": federated,
            "Condition": {"StringEquals": {aud: audience, sub: ["n:a", "n:b"], "aws:SourceVpc": "vpc-1"}}}),
        json!({"Effect": "Deny", "Action": "sts:*", "Principal": "*",
            "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}),
        json!({"Effect": "Deny", "Action": "sts:*", "Principal": "*",
            "Condition": {"StringEquals": {"aws:SourceVpc": "${aws:PrincipalTag/vpc}"}}}),
        json!({"Effect": "Deny", "Action": "sts:*", "NotPrincipal": {"Federated": PROVIDERS}}),
    ]
}

fn grants(dice: &mut Dice) -> BTreeSet<Grant> {
    let one = |dice: &mut Dice| Grant {
        provider: ProviderArn::parse(*dice.pick(&PROVIDERS)).unwrap(),
        audience: (*dice.pick(&[AUDIENCES[0], AUDIENCES[0], AUDIENCES[1]])).to_owned(),
        subject: (*dice.pick(&SUBJECTS)).to_owned(),
    };
    (0..dice.below(4)).map(|_| one(dice)).collect()
}

fn document(dice: &mut Dice) -> PolicyDocument {
    let others = others();
    let extra = (0..dice.below(3)).map(|_| Statement::parse(dice.pick(&others), None).unwrap()).collect::<Vec<_>>();
    let grants = grants(dice);
    if grants.is_empty() && extra.is_empty() {
        return document(dice);
    }
    let text = trust::build(&grants, &extra).text().to_owned();
    read(&if dice.below(4) == 0 { text.replace("2012-10-17", "2008-10-17") } else { text })
}

/// The claims of a token.
#[derive(Clone, Copy)]
struct Token {
    provider: usize,
    audience: Option<&'static str>,
    subject: Option<&'static str>,
}

/// Every request for which the documents above can differ.
fn requests() -> Vec<(Option<Token>, Request)> {
    let mut list = Vec::new();
    for vpc in [None, Some("vpc-1"), Some("a"), Some("${aws:PrincipalTag/vpc}")] {
        for tag in [None, Some("vpc-1"), Some("a")] {
            let mut context = Context::default();
            context.0.extend(vpc.map(|value| (VPC, vec![value])));
            context.0.extend(tag.map(|value| (VPC_TAG, vec![value])));
            let role = Who::Aws("111122223333", "arn:aws:iam::111122223333:role/a");
            let request = Request { who: role, action: "sts:AssumeRole", resource: "", context: context.clone() };
            list.push((None, request));
            for (provider, arn) in PROVIDERS.into_iter().enumerate() {
                for audience in [None, Some(AUDIENCES[0]), Some(AUDIENCES[1]), Some("third")] {
                    for subject in [None, Some("n:a"), Some("n:b"), Some("n:ab"), Some("n:*"), Some(SUBJECTS[4])] {
                        let mut context = context.clone();
                        context.0.extend(audience.map(|value| (AUDIENCE_KEYS[provider], vec![value])));
                        context.0.extend(subject.map(|value| (SUBJECT_KEYS[provider], vec![value])));
                        let who = Who::Federated(arn);
                        let request = Request { who, action: "sts:AssumeRoleWithWebIdentity", resource: "", context };
                        list.push((Some(Token { provider, audience, subject }), request));
                    }
                }
            }
        }
    }
    list
}

/// Which requests are trusted.
fn trusted(document: &PolicyDocument, requests: &[(Option<Token>, Request)]) -> Vec<bool> {
    let document = Document::of(document.text());
    requests.iter().map(|(_, request)| document.verdict(Place::Trust, request) == Verdict::Allowed).collect()
}

fn within(narrow: &[bool], wide: &[bool]) -> bool {
    narrow.iter().zip(wide).all(|(narrow, wide)| !narrow || *wide)
}

#[test]
fn built_policy_trusts_exactly_its_grants() {
    let requests = requests();
    for case in 0..cases() / 40 {
        let grants = grants(&mut Dice::new(u64::from(case) | 3 << 32));
        if grants.is_empty() {
            continue;
        }
        let document = trust::build(&grants, &[]);
        for ((token, request), trusted) in requests.iter().zip(trusted(&document, &requests)) {
            let granted = token.is_some_and(|token| {
                let Token { provider, audience, subject } = token;
                grants.iter().any(|grant| {
                    grant.provider.as_str() == PROVIDERS[provider]
                        && audience == Some(grant.audience.as_str())
                        && subject.is_some_and(|subject| meant(&grant.subject, subject, &request.context))
                })
            });
            assert_eq!(trusted, granted, "case {case}: {} {request:?}", document.text());
        }
    }
}

/// Whether the subject of a grant matches that of a token.
fn meant(granted: &str, subject: &str, context: &Context) -> bool {
    let tag = context.0.iter().find(|(key, _)| *key == VPC_TAG).map(|(_, values)| values[0]);
    match granted {
        "n:*" => subject.starts_with("n:"),
        "n:?" => subject.starts_with("n:") && subject.len() == 3,
        "n:a" | "n:b" => granted == subject,
        _ => tag.is_some_and(|tag| subject == format!("n:{tag}")),
    }
}

#[test]
fn effects_and_intersection_agree_with_the_evaluator() {
    let requests = requests();
    let mut seen = [0; 4];
    let all = cases() / 20;
    for case in 0..all {
        let mut dice = Dice::new(u64::from(case) | 4 << 32);
        let before = document(&mut dice);
        let after = if dice.coin() { document(&mut dice) } else { neighbour(&before, &mut dice) };
        let (old, new) = (trusted(&before, &requests), trusted(&after, &requests));
        let told = format!("case {case}:\n{}\n{}", before.text(), after.text());
        match trust_effects::between(&before, &after) {
            TrustEffects { loses: false, gains: false } => assert!(within(&new, &old) && within(&old, &new), "{told}"),
            TrustEffects { loses: true, gains: false } => {
                seen[0] += 1;
                assert!(within(&new, &old), "{told}");
            }
            TrustEffects { loses: false, gains: true } => {
                seen[1] += 1;
                assert!(within(&old, &new), "{told}");
            }
            TrustEffects { loses: true, gains: true } => {
                let Some(middle) = trust_effects::intersect(&before, &after) else {
                    seen[3] += 1;
                    continue;
                };
                seen[2] += 1;
                let between = trusted(&middle, &requests);
                assert!(within(&between, &old) && within(&between, &new), "{told}\n{}", middle.text());
            }
        }
    }
    println!("{all} exchanges: {seen:?} narrow, widen, go through a third, are apart");
    assert!(all < 500 || seen.iter().all(|seen| *seen > all / 100), "{seen:?}");
}

/// The same document with one statement less, or in the other version.
fn neighbour(document: &PolicyDocument, dice: &mut Dice) -> PolicyDocument {
    let mut statements = document.statements().to_vec();
    if statements.len() == 1 || dice.below(3) == 0 {
        let (one, other) = if dice.coin() { ("2012-10-17", "2008-10-17") } else { ("2008-10-17", "2012-10-17") };
        return read(&document.text().replace(one, other));
    }
    statements.remove(dice.below(statements.len()));
    PolicyDocument::from_statements(&statements)
}
