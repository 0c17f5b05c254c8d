//! Tests of the pure parts. `tests/it/import.rs` has those of the whole.

use super::trust::{ProviderState, Providers, ServiceAccountId, reason, split};
use super::{ClusterKeys, account_key, keys, makers, text};
use crate::ids::{AccountId, ClusterName, Key, Namespace, ProviderArn, Region, ServiceAccountName};
use crate::model::live::LiveServiceAccount;
use crate::model::resource::StringMap;
use crate::policy::PolicyDocument;
use serde_json::json;
use std::collections::BTreeSet;

const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/a";

fn map(pairs: &[(&str, &str)]) -> StringMap {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn maker_is_named_by_the_tags_that_it_documents() {
    let stack = |name: &'static str| ("aws:cloudformation:stack-name", name);
    let cases = [
        (&[("alpha.eksctl.io/cluster-name", "prod"), stack("s1")][..], "eksctl, stack `s1`"),
        (&[stack("s2"), ("aws:cloudformation:logical-id", "WorkerRole")], "CloudFormation, stack `s2`"),
        (&[stack("s3"), ("aws:cloudformation:logical-id", "WorkerRole0A1B2C3D")], "CDK, stack `s3`"),
        (
            &[("services.k8s.aws/controller-version", "iam-1"), ("services.k8s.aws/namespace", "a")],
            "ACK, namespace `a`",
        ),
        (&[("crossplane-name", "x"), ("crossplane-kind", "role.iam.aws.upbound.io")], "Crossplane, object `x`"),
        (
            &[("service-account.kops.k8s.io/name", "web"), ("KubernetesCluster", "k.example.com")],
            "kOps, cluster `k.example.com`",
        ),
        (&[("ManagedBy", "Terraform")], "Terraform, as its tags say"),
        (&[("terraform", "true")], "Terraform, as its tags say"),
        (&[("alpha.eksctl.io/cluster-name", "prod")], "eksctl, as its tags say"),
        // Terraform code copies the tags of eksctl
        (&[("alpha.eksctl.io/cluster-name", "prod"), ("by", "terraform")], "Terraform, as its tags say"),
    ];
    for (tags, text) in cases {
        let found = makers::of_tags(&map(tags)).expect(text);
        assert_eq!(found.who, text, "{tags:?}");
        assert!(text.starts_with(found.release.program) && !found.release.recreates, "{found:?}");
    }
    for tags in [&[("team", "a")][..], &[("terraform", "false")], &[("KubernetesCluster", "a")]] {
        assert_eq!(makers::of_tags(&map(tags)), None, "{tags:?}");
    }
}

fn service_account(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> LiveServiceAccount {
    LiveServiceAccount {
        namespace: Namespace::parse("apps").unwrap(),
        name: ServiceAccountName::parse("web").unwrap(),
        uid: String::new(),
        resource_version: String::new(),
        labels: map(labels),
        annotations: map(annotations),
        owner_references: Vec::new(),
        managers: Vec::new(),
        deleting: None,
        pods: None,
    }
}

#[test]
fn only_tools_that_would_create_a_service_account_again_are_left_to_it() {
    let recreates = |labels: &[(&str, &str)], annotations: &[(&str, &str)]| {
        makers::of_service_account(&service_account(labels, annotations)).map(|maker| maker.release.recreates)
    };
    assert_eq!(recreates(&[("app.kubernetes.io/managed-by", "Helm")], &[]), Some(true));
    assert_eq!(recreates(&[], &[("argocd.argoproj.io/tracking-id", "a")]), Some(true));
    assert_eq!(recreates(&[("kustomize.toolkit.fluxcd.io/name", "a")], &[]), Some(true));
    assert_eq!(recreates(&[("app.kubernetes.io/managed-by", "eksctl")], &[]), Some(false));
    assert_eq!(recreates(&[("app", "web")], &[]), None);
}

#[test]
fn keys_are_valid_and_unique() {
    let key = |text: &str| Key::parse(text).unwrap();
    let taken: BTreeSet<Key> = [key("a-b"), key("a-b-2")].into();
    assert_eq!(keys::unique(&["a=b".to_owned()], |key| taken.contains(key)), key("a-b-3"));
    assert_eq!(keys::unique(&["=+,".to_owned()], |_| false), key("unnamed"));
    assert_eq!(keys::unique(&["x".repeat(64)], |_| false).as_str().len(), 63);
    assert_eq!(account_key(Some("prod admin"), &BTreeSet::new()), key("prod-admin"));
    let (name, account) = (ClusterName::parse("main").unwrap(), AccountId::parse("111122223333").unwrap());
    let mut keys = ClusterKeys::default();
    let mut chosen = |region: &str| keys.choose(&name, &Region::parse(region).unwrap(), &account).to_string();
    assert_eq!(
        [chosen("eu-west-1"), chosen("us-east-1"), chosen("us-east-1")],
        ["main", "main-us-east-1", "main-us-east-1-111122223333"]
    );
}

#[test]
fn long_documents_and_braces_are_read_back_as_they_were() {
    let document = PolicyDocument::live(
        &json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::b/x{{{% y"}})
            .to_string(),
    );
    let text = text::json(&document).expect("a file");
    assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
    let order = ["Version", "Statement", "Effect", "Action", "Resource"].map(|element| text.find(element));
    assert!(order.is_sorted(), "{text}");
    let statements = text::statements(&document, 1_000).map(|value| value.to_string()).expect("TOML");
    assert!(statements.contains(r#""arn:aws:s3:::b/x{{ '{' }}{{ '{' }}{{ '{' }}% y""#), "{statements}");
    assert_eq!(text::json(&PolicyDocument::live("{\"Statement\": 1}")), None);
}

/// A statement for these subjects, with the operator and the audience.
fn statement(operator: &str, audience: &str, subjects: &[&str]) -> serde_json::Value {
    let subjects: Vec<String> = subjects.iter().map(|name| format!("system:serviceaccount:apps:{name}")).collect();
    json!({
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": PROVIDER},
        "Condition": {operator: {"oidc.example.com/a:aud": audience, "oidc.example.com/a:sub": subjects}},
    })
}

#[test]
fn only_statements_that_irsa_would_generate_become_bindings() {
    let (provider, cluster) = (ProviderArn::parse(PROVIDER).unwrap(), Key::parse("prod").unwrap());
    let audiences: BTreeSet<String> = ["sts.amazonaws.com".to_owned()].into();
    let providers: Providers<'_> = [(&provider, (&cluster, &audiences))].into();
    let taken = |subject: &ServiceAccountId| subject.2.as_str() != "taken";
    let parts = |statements: &[serde_json::Value]| {
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let parts = split(&PolicyDocument::live(&text), &providers, taken);
        (parts.bindings.len() + parts.patterns.len(), parts.verbatim.len())
    };
    let usual = statement("StringEquals", "sts.amazonaws.com", &["a", "b"]);
    assert_eq!(parts(std::slice::from_ref(&usual)), (2, 0));
    assert_eq!(parts(&[statement("StringLike", "sts.amazonaws.com", &["a"])]), (0, 1));
    assert_eq!(parts(&[statement("StringEquals", "other", &["a"])]), (0, 1), "the provider does not accept it");
    assert_eq!(parts(&[statement("StringEquals", "sts.amazonaws.com", &["a", "taken"])]), (0, 1));
    let [taken, free] = ["taken", "c"].map(|name| statement("StringEquals", "sts.amazonaws.com", &[name]));
    assert_eq!(parts(&[taken, free]), (1, 1));
    let mut wild = statement("StringEquals", "sts.amazonaws.com", &["a*", "?"]);
    let subjects = wild["Condition"]["StringEquals"]["oidc.example.com/a:sub"].take();
    wild["Condition"] = json!({
        "StringEquals": {"oidc.example.com/a:aud": "sts.amazonaws.com"}, "StringLike": {"oidc.example.com/a:sub": subjects},
    });
    assert_eq!(parts(&[usual.clone(), wild.clone()]), (4, 0));
    wild["Condition"]["StringLike"]["oidc.example.com/a:sub"] = json!("system:serviceaccount:apps:A*");
    assert_eq!(parts(&[wild.clone()]), (0, 1), "no ServiceAccount has such a name");
    wild["Condition"]["StringLike"]["oidc.example.com/a:sub"] = json!("system:serviceaccount:*");
    assert_eq!(parts(&[wild]), (0, 1));
    // irsa would merge these two into one statement
    assert_eq!(parts(&[usual, statement("StringEquals", "sts.amazonaws.com", &["c"])]), (2, 1));
}

#[test]
fn reason_names_the_first_difference_from_a_generated_statement() {
    let provider = ProviderArn::parse(PROVIDER).unwrap();
    let audiences: BTreeSet<String> = ["sts.amazonaws.com".to_owned()].into();
    let subject = |name: &str| {
        let [cluster, namespace] = ["prod", "apps"];
        (Key::parse(cluster).unwrap(), Namespace::parse(namespace).unwrap(), ServiceAccountName::parse(name).unwrap())
    };
    let taken = |other: &ServiceAccountId| other.2.as_str() == "taken";
    let with = |state: ProviderState<'_>, statements: &[serde_json::Value]| {
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        reason(&PolicyDocument::live(&text), (&provider, state), &subject("a"), taken)
    };
    let usual = |subjects: &[&str]| statement("StringEquals", "sts.amazonaws.com", subjects);
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut statement = usual(&["a"]);
        change(&mut statement);
        statement
    };
    let sub = "oidc.example.com/a:sub";
    let cases = [
        (
            vec![changed(&|s| s["Principal"] = json!({"Service": "ec2.amazonaws.com"}))],
            "it does not trust the OIDC provider",
        ),
        (vec![usual(&["b"])], "no statement names it"),
        (
            vec![changed(&|s| s["Condition"]["StringEquals"][sub] = json!("system:serviceaccount:apps:*"))],
            "only the wildcard `system:serviceaccount:apps:*` lets it in",
        ),
        (
            vec![changed(&|s| {
                s["Condition"] = json!({"StringEquals": {"oidc.example.com/a:aud": "sts.amazonaws.com"}});
            })],
            "a statement has no condition on `sub`",
        ),
        (vec![changed(&|s| s["Effect"] = json!("Deny"))], "its statement denies"),
        (
            vec![changed(&|s| s["Principal"]["Federated"] = json!([PROVIDER, format!("{PROVIDER}b")]))],
            "its statement names further principals",
        ),
        (
            vec![changed(&|s| s["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]))],
            "its statement has the action `sts:TagSession`",
        ),
        (vec![statement("StringLike", "sts.amazonaws.com", &["a"])], "its statement has the condition `StringLike` on"),
        (
            vec![changed(&|s| s["Condition"]["IpAddress"] = json!({"aws:SourceIp": "10.0.0.0/8"}))],
            "its statement has the condition `IpAddress` on `aws:SourceIp`",
        ),
        (
            vec![changed(&|s| s["Condition"]["StringEquals"] = json!({sub: "system:serviceaccount:apps:a"}))],
            "its statement has no condition on `aud`",
        ),
        (
            vec![changed(&|s| {
                s["Condition"]["StringEquals"]["oidc.example.com/a:aud"] = json!(["sts.amazonaws.com", "b"]);
            })],
            "its statement accepts several audiences",
        ),
        (vec![statement("StringEquals", "b", &["a"])], "the OIDC provider does not accept the audience `b`"),
        (vec![usual(&["a", "a"])], "its statement names `system:serviceaccount:apps:a` twice"),
        (vec![usual(&["a", "taken"])], "its statement also lets in `apps/taken`, which has another role"),
        (
            vec![usual(&["a", "b*"])],
            "its statement takes the wildcard in `system:serviceaccount:apps:b*` as plain text",
        ),
        (vec![usual(&["a", "B"])], "its statement also names `system:serviceaccount:apps:B`, which is no"),
        (vec![usual(&["b"]), usual(&["a"])], "irsa would merge two statements"),
    ];
    for (statements, expected) in cases {
        let found = with(ProviderState::Read(&audiences), &statements);
        assert!(found.as_ref().is_some_and(|found| found.starts_with(expected)), "{found:?} for {statements:?}");
    }
    let missing = with(ProviderState::Missing, &[usual(&["a"])]);
    assert_eq!(missing, Some(format!("the OIDC provider `{PROVIDER}` does not exist, and irsa would create it")));
    let unread = with(ProviderState::Unread, &[usual(&["a"])]);
    assert_eq!(unread, Some(format!("the OIDC provider `{PROVIDER}` could not be read")));
    assert_eq!(with(ProviderState::Read(&audiences), &[usual(&["a", "b"])]), None);
}
