//! Ordinary configurations have no findings.

use super::fixture::{Fixture, attached, binding, document, exact, key, role, wild};
use crate::ids::PolicyName;
use crate::model::desired::Subject;
use crate::model::note::Severity;
use proptest::prelude::*;
use serde_json::{Value, json};

const CLUSTERS: [&str; 2] = ["east", "west"];

fn subject() -> impl Strategy<Value = Subject> {
    ("[a-z][a-z0-9]{0,8}", "[a-z][a-z0-9]{0,8}")
        .prop_filter("nobody binds that by accident", |(_, name)| name != "default")
        .prop_map(|(namespace, name)| exact(&namespace, &name))
}

fn pattern() -> impl Strategy<Value = Subject> {
    ("[a-z]{1,5}(-\\*)?", "[a-z]{0,5}\\*").prop_map(|(namespace, name)| wild(&namespace, &name))
}

fn permission() -> impl Strategy<Value = Value> {
    let name = "[a-z]{1,6}";
    prop_oneof![
        name.prop_map(|name| json!({"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": format!("arn:aws:s3:::{name}/*")})),
        name.prop_map(|name| json!({"Effect": "Allow", "Action": "sqs:*",
            "Resource": format!("arn:aws:sqs:eu-west-1:111122223333:{name}")})),
        name.prop_map(|name| json!({"Effect": "Allow", "Action": "sts:AssumeRole",
            "Resource": format!("arn:aws:iam::111122223333:role/{name}")})),
        Just(json!({"Effect": "Allow", "Action": ["ec2:Describe*", "s3:ListAllMyBuckets"], "Resource": "*"})),
        Just(
            json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": false}}})
        ),
    ]
}

/// Roles with bindings, and their live state after an apply.
fn fixture(wildcards: bool) -> impl Strategy<Value = Fixture> {
    let subject = if wildcards { prop_oneof![subject(), pattern()].boxed() } else { subject().boxed() };
    let bindings = prop::collection::vec((prop::sample::select(&CLUSTERS[..]), subject), 1..6);
    let one = (bindings, prop::collection::vec(permission(), 1..4), any::<bool>());
    prop::collection::btree_map("[a-z]{1,6}", one, 1..4).prop_map(|roles| {
        let mut fixture = Fixture::new();
        fixture.desired.roles.clear();
        for (name, (bindings, statements, with_audience)) in roles {
            let mut made = role(&name);
            made.bindings = bindings.into_iter().map(|(cluster, subject)| binding(cluster, subject)).collect();
            if with_audience {
                made.bindings[0].audience = Some("vault".into());
            }
            made.inline.insert(PolicyName::parse("work").unwrap(), document(&Value::Array(statements.clone())));
            made.attach.insert(attached("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"));
            fixture.policy(&name, document(&Value::Array(statements)));
            fixture.desired.roles.insert(key(&name), made);
            fixture.live_role(&name, |_| {});
        }
        for provider in fixture.account().providers.values_mut() {
            if let crate::model::live::Observed::Present(provider) = provider {
                provider.provider.audiences.insert("vault".into());
            }
        }
        fixture
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ordinary_configuration_has_no_findings(fixture in fixture(false)) {
        prop_assert_eq!(fixture.declared(), []);
        // many subjects may come near the quota, and only the other cluster may use an audience
        let told = fixture.live().into_iter().filter(|note| !matches!(note.rule.as_str(), "IRSA020" | "IRSA045"));
        prop_assert_eq!(told.collect::<Vec<_>>(), []);
    }

    #[test]
    fn wildcard_bindings_fail_no_run_and_have_no_live_findings(fixture in fixture(true)) {
        prop_assert!(fixture.declared().iter().all(|note| note.severity < Severity::High), "{:?}", fixture.declared());
        let told = fixture.live().into_iter().filter(|note| !matches!(note.rule.as_str(), "IRSA020" | "IRSA045"));
        prop_assert_eq!(told.collect::<Vec<_>>(), []);
    }

    #[test]
    fn findings_are_sorted_and_distinct(fixture in fixture(true)) {
        let mut fixture = fixture;
        fixture.account().providers.clear();
        for notes in [fixture.declared(), fixture.live()] {
            prop_assert!(notes.is_sorted_by(|a, b| (&a.address, &a.rule, &a.origin, &a.text) < (&b.address, &b.rule, &b.origin, &b.text)));
        }
    }
}
