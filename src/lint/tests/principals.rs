//! Rules on principals other than OIDC providers of clusters.

use super::fixture::{EAST, Fixture, document, on_trust, provider};
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

/// Whether a statement that trusts the cluster's provider under these conditions has such a finding.
fn on_token(conditions: &Value, words: &str) -> bool {
    let mut statement = allow(&json!({"Federated": provider(EAST)}), "sts:AssumeRoleWithWebIdentity");
    statement["Condition"] = conditions.clone();
    found(&statement, words)
}

#[test]
fn claims_of_other_providers_are_not_checked() {
    let mut saml = allow(&json!({"Federated": SAML}), "sts:AssumeRoleWithSAML");
    saml["Condition"] = json!({"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}});
    assert_eq!(rules(&saml), [""; 0]);
}

#[test]
fn principal_that_may_be_anyone_needs_no_certain_action() {
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
fn only_subject_patterns_count_as_open_subjects() {
    let open = |conditions: Value| on_token(&conditions, "is every ServiceAccount of the cluster");
    let (sub, aud) = (format!("{EAST}:sub"), format!("{EAST}:aud"));
    let web = "system:serviceaccount:apps:web";
    assert!(open(json!({"StringLike": {&sub: "*", &aud: "sts.amazonaws.com"}})));
    assert!(!open(json!({"StringLike": {&aud: "*"}, "StringEquals": {&sub: web}})), "another claim");
    assert!(!open(json!({"StringEquals": {&sub: "*", &aud: "sts.amazonaws.com"}})), "the text `*`");
}

#[test]
fn default_service_account_is_reported_only_where_it_is_let_in() {
    let told = |conditions: Value| on_token(&conditions, "IRSA023");
    let (sub, aud) = (format!("{EAST}:sub"), format!("{EAST}:aud"));
    let (web, default) = ("system:serviceaccount:apps:web", "system:serviceaccount:apps:default");
    assert!(told(json!({"StringEquals": {&sub: [web, default], &aud: "sts.amazonaws.com"}})));
    let but = json!({"StringEquals": {&sub: web, &aud: "sts.amazonaws.com"}, "StringNotEquals": {&sub: default}});
    assert!(!told(but), "all but that one");
    assert!(!told(json!({"StringEquals": {&sub: web, &aud: default}})), "another claim");
}

#[test]
fn changed_live_policy_with_the_owner_tag_is_checked() {
    let everything = || document(&json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
    let mut fixture = Fixture::new();
    fixture.live_role("app", |_| {});
    fixture.policy("x", document(&json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})));
    fixture.live_policy("x", everything());
    let notes = fixture.live();
    assert!(notes.iter().any(|note| note.address == "policy/default/x" && note.text.starts_with("live policy")));
    fixture.policy("x", everything());
    assert_eq!(fixture.live(), [], "as declared");
}
