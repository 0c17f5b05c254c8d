//! Who is trusted in other ways than through an OIDC provider, and what is said of them.

use super::kit::{EAST, Kit, document, on_trust, provider};
use serde_json::{Value, json};

const SAML: &str = "arn:aws:iam::111122223333:saml-provider/example";

fn rules(statement: &Value) -> Vec<String> {
    on_trust(statement).into_iter().map(|note| format!("{}: {}", note.rule, note.text)).collect()
}

fn found(statement: &Value, words: &str) -> bool {
    rules(statement).iter().any(|note| note.contains(words))
}

fn allow(principal: &Value, action: &str) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": action})
}

/// Whether this is said of tokens of the cluster's provider under these conditions.
fn on_token(conditions: &Value, words: &str) -> bool {
    let mut statement = allow(&json!({"Federated": provider(EAST)}), "sts:AssumeRoleWithWebIdentity");
    statement["Condition"] = conditions.clone();
    found(&statement, words)
}

#[test]
fn rules_on_the_claims_of_a_provider_leave_other_federations_alone() {
    let mut saml = allow(&json!({"Federated": SAML}), "sts:AssumeRoleWithSAML");
    saml["Condition"] = json!({"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}});
    assert_eq!(rules(&saml), [""; 0]);
}

#[test]
fn whoever_may_be_anyone_may_come_in_any_way() {
    let cannot = "no principal can use";
    for way in ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"] {
        for kind in ["AWS", "Federated"] {
            let anyone = allow(&json!({kind: "*"}), way);
            assert!(!found(&anyone, cannot) && !found(&anyone, "can assume a role by"), "{kind} {way}");
        }
    }
    assert!(found(&allow(&json!({"AWS": "111122223333"}), "sts:AssumeRoleWithSAML"), cannot));
    let wrong = allow(&json!({"Federated": SAML}), "sts:AssumeRole");
    assert!(found(&wrong, &format!("`{SAML}` can assume a role by `sts:AssumeRoleWithSAML` only")));
}

#[test]
fn only_patterns_of_the_subject_are_taken_for_open_subjects() {
    let open = |conditions: Value| on_token(&conditions, "is every ServiceAccount of the cluster");
    let (sub, aud) = (format!("{EAST}:sub"), format!("{EAST}:aud"));
    let web = "system:serviceaccount:apps:web";
    assert!(open(json!({"StringLike": {&sub: "*", &aud: "sts.amazonaws.com"}})));
    assert!(!open(json!({"StringLike": {&aud: "*"}, "StringEquals": {&sub: web}})), "another claim");
    assert!(!open(json!({"StringEquals": {&sub: "*", &aud: "sts.amazonaws.com"}})), "the text `*`");
}

#[test]
fn only_who_is_let_in_as_the_default_service_account_is_told_of() {
    let told = |conditions: Value| on_token(&conditions, "IRSA023");
    let (sub, aud) = (format!("{EAST}:sub"), format!("{EAST}:aud"));
    let (web, default) = ("system:serviceaccount:apps:web", "system:serviceaccount:apps:default");
    assert!(told(json!({"StringEquals": {&sub: [web, default], &aud: "sts.amazonaws.com"}})));
    let but = json!({"StringEquals": {&sub: web, &aud: "sts.amazonaws.com"}, "StringNotEquals": {&sub: default}});
    assert!(!told(but), "all but that one");
    assert!(!told(json!({"StringEquals": {&sub: web, &aud: default}})), "another claim");
}

#[test]
fn a_live_policy_of_ours_that_is_not_as_declared_is_looked_at() {
    let everything = || document(&json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
    let mut kit = Kit::new();
    kit.live_role("app", |_| {});
    kit.policy("x", document(&json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})));
    kit.live_policy("x", everything());
    let notes = kit.live();
    assert!(notes.iter().any(|note| note.address == "policy/default/x" && note.text.starts_with("live policy")));
    kit.policy("x", everything());
    assert_eq!(kit.live(), [], "what is declared is not said again");
}
