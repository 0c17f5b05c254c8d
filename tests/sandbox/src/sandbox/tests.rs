//! The sandbox as a whole: what it starts with, and how it changes under a running client.

use crate::aws::{Match, Refusal};
use crate::{ClusterSpec, Sandbox, SandboxOptions};
use serde_json::Value;

const FIRST: &str = "111122223333";
const SECOND: &str = "444455556666";

fn contexts(sandbox: &Sandbox) -> Vec<String> {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(sandbox.kubeconfig()).unwrap()).unwrap();
    let names = file["contexts"].as_array().unwrap().iter();
    names.map(|context| context["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_demo_has_two_accounts_and_three_clusters() {
    let sandbox = Sandbox::start(SandboxOptions::demo()).await.unwrap();
    let environment = sandbox.environment();
    assert_eq!(environment["AWS_ENDPOINT_URL"], sandbox.endpoint());
    assert_eq!(environment["KUBECONFIG"], sandbox.kubeconfig().display().to_string());
    let names = contexts(&sandbox);
    assert_eq!(names, ["shop-eu", "data-eu", "shop-us"]);
    for name in &names {
        assert!(!names.iter().any(|other| other != name && other.contains(name)), "{name} is part of another");
        assert_eq!(sandbox.cluster(name).name(), name);
    }
    for name in &names[..2] {
        assert!(sandbox.cluster_in(FIRST, &environment["AWS_REGION"], name).is_some(), "{name}");
    }
    let access = sandbox.iam(SECOND, |iam| iam.role_trust("OrganizationAccountAccessRole")).unwrap();
    assert_eq!(access.trust["Statement"][0]["Principal"]["AWS"], format!("arn:aws:iam::{FIRST}:root"));
    assert_eq!(sandbox.iam(FIRST, |iam| iam.role_names()), [""; 0]);
    assert!(sandbox.log().is_empty(), "what is there from the start passes no gate");
}

#[tokio::test]
async fn clusters_come_go_and_are_replaced() {
    let mut sandbox = Sandbox::start(SandboxOptions::empty()).await.unwrap();
    assert_eq!(contexts(&sandbox), [""; 0]);
    let spec = ClusterSpec::new("blue", FIRST, "eu-west-1").with_namespaces(&["shop"]);
    let old = sandbox.add_cluster(&spec).await.unwrap();
    assert!(sandbox.add_cluster(&spec).await.is_err(), "the name is taken");
    old.with(|store| store.seed_service_account("shop", "cart", &[], "someone")).unwrap();
    let new = sandbox.replace_cluster("blue").await.unwrap();
    assert_ne!(new.issuer(), old.issuer());
    assert_ne!(new.certificate_authority_data(), old.certificate_authority_data());
    assert!(new.with(|store| store.service_account("shop", "cart").is_none()));
    assert_eq!(contexts(&sandbox), ["blue"]);
    assert!(sandbox.token("blue", "shop", "cart", "sts.amazonaws.com").is_some());
    sandbox.remove_cluster("blue").unwrap();
    assert_eq!(contexts(&sandbox), [""; 0]);
    assert!(sandbox.cluster_in(FIRST, "eu-west-1", "blue").is_none());
    let own = ClusterSpec { issuer: Some("https://oidc.example.com/own".to_owned()), ..spec };
    assert_eq!(sandbox.add_cluster(&own).await.unwrap().issuer(), "https://oidc.example.com/own");
}

#[tokio::test]
async fn someone_else_changes_iam_past_the_gate() {
    let sandbox = Sandbox::start(SandboxOptions::empty()).await.unwrap();
    sandbox.gate().fault(crate::gate::Stage::Before, Match::any(), crate::aws::Fault::Deny, None);
    let made = sandbox.iam_call(
        SECOND,
        "CreatePolicy",
        &[
            ("PolicyName", "p"),
            (
                "PolicyDocument",
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#,
            ),
        ],
    );
    assert!(made.unwrap().contains("<Arn>arn:aws:iam::444455556666:policy/p</Arn>"));
    let refused = sandbox.iam_call(SECOND, "GetRole", &[("RoleName", "none")]).unwrap_err();
    assert_eq!(refused, Refusal::new(404, "NoSuchEntity", "The role with name none cannot be found."));
    assert!(sandbox.log().is_empty());
}
