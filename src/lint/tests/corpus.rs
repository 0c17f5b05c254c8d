//! Checks the corpus of policies: bad ones with their rule and severity, good ones without a finding of medium
//! severity.
//!
//! `tests/it/lint.rs` checks the same through the program.

use super::fixture::{Fixture, document};
use crate::ids::{IamPath, PolicyName};
use crate::model::note::{Note, Severity};
use crate::policy::Statement;
use serde_json::Value;
use std::fmt::Write as _;

const BAD_PERMISSIONS: &str = include_str!("../../../tests/fixtures/lint/bad/permissions.txt");
const BAD_TRUST: &str = include_str!("../../../tests/fixtures/lint/bad/trust.txt");
const GOOD_PERMISSIONS: &str = include_str!("../../../tests/fixtures/lint/good/permissions.txt");
const GOOD_TRUST: &str = include_str!("../../../tests/fixtures/lint/good/trust.txt");

/// The title of each case and its statements.
fn cases(text: &'static str) -> impl Iterator<Item = (&'static str, Value)> {
    text.split("### ").skip(1).map(|case| {
        let (title, body) = case.split_once('\n').expect("a title and a body");
        let body = body.replace("the-role", "app");
        (title, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{title}: {error}")))
    })
}

/// Findings on the statements as a declared inline policy, and as a live one that is not declared.
fn on_permissions(statements: &Value) -> [Vec<Note>; 2] {
    let name = || PolicyName::parse("x").unwrap();
    let mut fixture = Fixture::new();
    fixture.app().path = IamPath::parse("/irsa/team/").unwrap();
    let mut live = fixture.clone();
    fixture.app().inline.insert(name(), document(statements));
    live.live_role("app", |role| drop(role.inline.insert(name(), document(statements))));
    [fixture.declared(), live.live()]
}

/// Findings on the statement as declared and as live trust.
fn on_trust(statements: &Value) -> [Vec<Note>; 2] {
    let mut fixture = Fixture::new();
    fixture.app().extra_trust = vec![Statement::parse(statements, None).unwrap()];
    let mut live = Fixture::new();
    for issuer in ["token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io"] {
        live.provider(issuer, |provider| provider.tags.clear());
    }
    live.provider("login.example.com/realms/acme", |provider| provider.tags.clear());
    live.live_role("app", |role| role.trust = document(statements));
    [fixture.declared(), live.live()]
}

fn bad(text: &'static str, run: fn(&Value) -> [Vec<Note>; 2]) {
    let mut missed = String::new();
    for (title, statements) in cases(text) {
        let (wanted, _) = title.split_once(':').expect("`RULE SEVERITY: what`");
        for notes in run(&statements) {
            let found = |note: &Note| format!("{} {}", note.rule, note.severity.as_str()) == wanted;
            if !notes.iter().any(found) {
                let told: Vec<String> = notes
                    .iter()
                    .map(|note| format!("{} {}: {}", note.rule, note.severity.as_str(), note.text))
                    .collect();
                let _ = writeln!(missed, "{title}\n    {statements}\n    {told:#?}");
            }
        }
    }
    assert!(missed.is_empty(), "not found:\n{missed}");
}

fn good(text: &'static str, run: fn(&Value) -> [Vec<Note>; 2]) {
    let mut found = String::new();
    for (title, statements) in cases(text) {
        for note in run(&statements).into_iter().flatten().filter(|note| note.severity >= Severity::Medium) {
            let _ = writeln!(found, "{title}: {} {}: {}", note.rule, note.severity.as_str(), note.text);
        }
    }
    assert!(found.is_empty(), "false alarms:\n{found}");
}

#[test]
fn bad_permissions_are_found() {
    bad(BAD_PERMISSIONS, on_permissions);
}

#[test]
fn bad_trust_is_found() {
    bad(BAD_TRUST, on_trust);
}

#[test]
fn good_permissions_have_no_findings() {
    good(GOOD_PERMISSIONS, on_permissions);
}

#[test]
fn good_trust_has_no_findings() {
    good(GOOD_TRUST, on_trust);
}

#[test]
fn an_object_has_one_finding_for_each_rule() {
    for (title, statements) in cases(BAD_PERMISSIONS).chain(cases(BAD_TRUST)) {
        let run = if statements.get("Principal").is_some() { on_trust } else { on_permissions };
        for notes in run(&statements) {
            let same = |a: &Note, b: &Note| (&a.address, &a.rule) == (&b.address, &b.rule);
            assert!(!notes.windows(2).any(|pair| same(&pair[0], &pair[1])), "{title}: {notes:#?}");
            assert!(notes.iter().all(|note| note.text.len() < 800), "{title}: {notes:#?}");
        }
    }
}

#[test]
fn the_corpus_is_large_enough() {
    assert!(cases(BAD_PERMISSIONS).chain(cases(BAD_TRUST)).count() >= 150);
    assert!(cases(GOOD_PERMISSIONS).chain(cases(GOOD_TRUST)).count() >= 60);
}
