//! Tests of the sandbox as a whole: its initial state, and changes to it while a client runs.

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
    assert!(sandbox.log().is_empty(), "the initial state is created without the gate");
}

#[tokio::test]
async fn clusters_are_added_removed_and_replaced() {
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
async fn direct_iam_changes_do_not_pass_the_gate() {
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

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:user/sandbox"},"Action":"sts:AssumeRole"}]}"#;

fn make_role(sandbox: &Sandbox, account: &str, name: &str, trust: &str) -> String {
    let fields = [("RoleName", name), ("AssumeRolePolicyDocument", trust)];
    sandbox.iam_call(account, "CreateRole", &fields).unwrap()
}

fn state(sandbox: &Sandbox) -> Value {
    let cluster = sandbox.cluster("shop-eu");
    let objects = |store: &mut crate::kubernetes::Store| {
        store.all(crate::kubernetes::Resource::ServiceAccounts).cloned().collect::<Vec<_>>()
    };
    serde_json::json!({
        "first": sandbox.iam(FIRST, |iam| iam.snapshot()),
        "second": sandbox.iam(SECOND, |iam| iam.snapshot()),
        "objects": cluster.with(objects),
        "role": sandbox.iam_call(FIRST, "GetRole", &[("RoleName", "kept")]).unwrap(),
    })
}

#[tokio::test]
async fn a_snapshot_can_be_restored_repeatedly() {
    let sandbox = Sandbox::start(SandboxOptions::demo()).await.unwrap();
    make_role(&sandbox, FIRST, "kept", TRUST);
    let before = state(&sandbox);
    let snapshot = sandbox.snapshot();
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(make_role(&sandbox, FIRST, "new", TRUST));
        sandbox.iam_call(FIRST, "DeleteRole", &[("RoleName", "kept")]).unwrap();
        make_role(&sandbox, "999988887777", "elsewhere", TRUST);
        sandbox.iam_call(SECOND, "DeleteUser", &[("UserName", "sandbox")]).unwrap();
        let cluster = sandbox.cluster("shop-eu");
        cluster.with(|store| store.seed_service_account("shop", "cart", &[], "someone")).unwrap();
        sandbox.stale_reads(2);
        sandbox.restore(&snapshot);
        assert_eq!(state(&sandbox), before);
        assert!(
            before["role"].as_str().unwrap().contains("user%2Fsandbox"),
            "the trust policy shows the principal again"
        );
        let names = sandbox.iam("999988887777", |iam| iam.role_names());
        assert_eq!(names, [""; 0], "an account created since the snapshot is empty again");
    }
    let id = |xml: &str| crate::aws::element(xml, "RoleId").unwrap().to_owned();
    assert_eq!(id(&made[0]), id(&made[2]), "the same history gives the same ids");
}

#[tokio::test]
async fn a_witness_sees_every_write_and_the_state_after_it() {
    let sandbox = Sandbox::start(SandboxOptions::demo()).await.unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&seen);
    sandbox.witness(Some(std::sync::Arc::new(move |written: crate::aws::Written<'_>| {
        let description = written.iam.snapshot()["roles"]["r"]["description"].clone();
        let given = written.field("Description").unwrap_or("-");
        let line = format!("{} {} {} {given} {description}", written.account, written.action, written.object);
        kept.lock().unwrap().push(line);
    })));
    make_role(&sandbox, FIRST, "r", TRUST);
    let update = [("RoleName", "r"), ("Description", "new")];
    sandbox.iam_call(FIRST, "UpdateRole", &update).unwrap();
    sandbox.iam_call(FIRST, "GetRole", &update[..1]).unwrap();
    sandbox.iam_call(FIRST, "DeleteRole", &[("RoleName", "nobody")]).unwrap_err();
    sandbox.iam_call(SECOND, "CreateUser", &[("UserName", "ada")]).unwrap();
    sandbox.witness(None);
    sandbox.iam_call(FIRST, "DeleteRole", &update[..1]).unwrap();
    let expected = [
        "111122223333 CreateRole r - \"\"",
        "111122223333 UpdateRole r new \"new\"",
        "444455556666 CreateUser ada - null",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn restore_brings_back_cluster_contents_and_keeps_clusters_running() {
    let mut sandbox = Sandbox::start(SandboxOptions::demo()).await.unwrap();
    sandbox.grant_access("shop-eu", "arn:aws:iam::444455556666:role/guest");
    let snapshot = sandbox.snapshot();
    let place = crate::aws::AccountRegion::new(FIRST, "eu-west-1");
    let entries = async |method: http::Method, path: &str, body: Value| {
        let body = bytes::Bytes::from(if body.is_null() { String::new() } else { body.to_string() });
        let route = crate::aws::Route::read(&method, path, &body).unwrap();
        sandbox.aws.eks_call(0, &place, &route, "", &body).await
    };
    let path = "/clusters/shop-eu/access-entries";
    let principal = "arn:aws:iam::444455556666:role/late";
    let made = entries(http::Method::POST, path, serde_json::json!({"principalArn": principal})).await;
    assert!(made.is_ok(), "{made:?}");
    sandbox.restore(&snapshot);
    let listed = entries(http::Method::GET, path, Value::Null).await.unwrap();
    assert_eq!(listed["accessEntries"], serde_json::json!([]));
    sandbox.gate().fault(crate::gate::Stage::Before, Match::any(), crate::aws::Fault::Deny, None);
    sandbox.cluster("data-eu").with(|store| store.ensure_namespace("lost")).unwrap();
    let replaced = sandbox.replace_cluster("shop-eu").await.unwrap();
    replaced.with(|store| store.ensure_namespace("its-own")).unwrap();
    sandbox.remove_cluster("shop-us").unwrap();
    sandbox.restore(&snapshot);
    let has = |cluster: &crate::kubernetes::Cluster, namespace: &str| {
        cluster.with(|store| store.get(crate::kubernetes::Resource::Namespaces, "", namespace).is_some())
    };
    assert!(!has(&sandbox.cluster("data-eu"), "lost"));
    assert!(has(&sandbox.cluster("shop-eu"), "its-own"), "restore does not touch a new cluster of the same name");
    assert!(sandbox.cluster_in(SECOND, "us-east-1", "shop-us").is_none());
}

#[tokio::test]
async fn aws_refuses_and_accepts_connections() {
    let sandbox = Sandbox::start(SandboxOptions::empty()).await.unwrap();
    let address = sandbox.endpoint().trim_start_matches("http://").to_owned();
    sandbox.refuse_connections(true).await.unwrap();
    let refused = tokio::net::TcpStream::connect(&address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    sandbox.refuse_connections(false).await.unwrap();
    tokio::net::TcpStream::connect(&address).await.unwrap();
}
