//! Which permissions a change gives, and how risky that is.

use super::examples::field;
use crate::plan::change::Action;
use crate::view::document_diff::{DocumentDiff, is_permissions};
use crate::view::risk::{Risk, RiskLevel};
use serde_json::{Value, json};

fn risk(path: &str, before: Value, after: Value) -> (RiskLevel, String) {
    let field = field(path, before, after);
    let diff = is_permissions(path).then(|| DocumentDiff::of(&field.before, &field.after)).flatten();
    let risk = Risk::of(Action::Update, &[(&field, diff)], &[], &[]);
    (risk.level, risk.line())
}

fn document(effect: &str, key: &str, actions: &Value) -> Value {
    json!({ "Statement": [{ "Effect": effect, key: actions, "Resource": "*" }] })
}

#[test]
fn permissions_that_a_change_gives_are_listed_the_severe_ones_first() {
    let allow = |actions: &[&str]| document("Allow", "Action", &json!(actions));
    for (path, before, after, weight, words) in [
        ("description", json!("a"), json!("b"), RiskLevel::Other, ""),
        ("inline.a", Value::Null, allow(&["s3:GetObject"]), RiskLevel::Permissions, "gives `s3:GetObject`"),
        (
            "inline.a",
            Value::Null,
            allow(&["s3:GetObject", "iam:PassRole"]),
            RiskLevel::Severe,
            "gives `iam:PassRole`, `s3:GetObject`",
        ),
        ("document", Value::Null, allow(&["*"]), RiskLevel::Severe, "gives `*`"),
        ("document", Value::Null, allow(&["s3:*"]), RiskLevel::Severe, "gives `s3:*`"),
        (
            "document",
            Value::Null,
            document("Allow", "NotAction", &json!("s3:*")),
            RiskLevel::Severe,
            "gives `everything but s3:*`",
        ),
        ("document", Value::Null, json!("{"), RiskLevel::Severe, "gives `a policy that is not understood`"),
        (
            "document",
            allow(&["s3:A"]),
            allow(&["s3:A", "s3:B"]),
            RiskLevel::Permissions,
            "gives `s3:B`; changes policy `document`",
        ),
        ("document", allow(&["s3:A", "s3:B"]), allow(&["s3:A"]), RiskLevel::Permissions, "changes policy `document`"),
        ("inline.a", allow(&["s3:A"]), Value::Null, RiskLevel::Other, ""),
        (
            "inline.a",
            document("Deny", "Action", &json!("*")),
            Value::Null,
            RiskLevel::Permissions,
            "removes a deny of `inline.a`",
        ),
        ("inline.a", Value::Null, document("Deny", "Action", &json!("*")), RiskLevel::Other, ""),
        // one of two equal denies
        (
            "inline.a",
            json!({ "Statement": [{ "Effect": "Deny", "Action": "*", "Resource": "*" }, { "Effect": "Deny", "Action": "*", "Resource": "*" }] }),
            document("Deny", "Action", &json!("*")),
            RiskLevel::Permissions,
            "changes policy `inline.a`",
        ),
        (
            "attached",
            json!(["arn:aws:iam::aws:policy/A"]),
            json!(["arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/AdministratorAccess"]),
            RiskLevel::Severe,
            "gives `arn:aws:iam::aws:policy/AdministratorAccess`",
        ),
        ("permissions-boundary", json!("arn"), Value::Null, RiskLevel::Permissions, "changes its permissions boundary"),
    ] {
        assert_eq!(risk(path, before, after), (weight, words.to_owned()), "{path}");
    }
}

#[test]
fn more_than_six_names_are_counted_and_long_names_are_cut() {
    let actions: Vec<String> = (0..9).map(|index| format!("s3:{index}{}", "x".repeat(200))).collect();
    let (_, words) = risk("inline.a", Value::Null, document("Allow", "Action", &json!(actions)));
    assert!(words.starts_with("gives `s3:0xxx") && words.ends_with("x…`, 3 more"), "{words}");
    assert!(words.len() < 1_000, "{words}");
}

#[test]
fn high_finding_makes_an_adoption_severe_and_a_delete_is_a_loss() {
    let risk = Risk::of(Action::Adopt, &[], &[], &["high IRSA010".to_owned()]);
    assert_eq!((risk.level, risk.line()), (RiskLevel::Severe, "high IRSA010".to_owned()));
    assert_eq!(Risk::of(Action::Delete, &[], &[], &[]).level, RiskLevel::Loss);
}
