//! Against a Kubernetes API over TLS in process.

use super::{KubernetesReader, KubernetesSettings, TokenSource, error};
use crate::context::Context;
use crate::ids::{IssuerUrl, Key, Namespace, ServiceAccountName};
use crate::model::call::KubernetesCall;
use crate::model::desired::{Cluster, ClusterState, KubernetesAccess};
use crate::model::live::Access;
use crate::model::marks::{ADDRESS, CREATED, OWNER, ROLE_ARN};
use crate::model::origin::Origin;
use crate::model::resource::{Pairs, ServiceAccount};
use crate::world::{CallErrorKind, ClusterFacts, ReadKubernetes, WriteKubernetes};
use futures::FutureExt;
use irsa_sandbox::kubernetes::{self as sandbox, ClusterOptions, Fault, Grant, Match, User};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

struct Bench {
    server: sandbox::Cluster,
    folder: tempfile::TempDir,
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn pairs(list: &[(&str, &str)]) -> Pairs {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn account(annotations: &[(&str, &str)]) -> ServiceAccount {
    ServiceAccount {
        namespace: Namespace::parse("shop").unwrap(),
        name: ServiceAccountName::parse("cart").unwrap(),
        labels: pairs(&[(OWNER, "me")]),
        annotations: pairs(annotations),
    }
}

impl Bench {
    async fn new() -> Self {
        let tokens = BTreeMap::from([
            ("admin-token".to_owned(), User::admin("admin")),
            ("one-token".to_owned(), User::limited("one", [Grant::in_namespaces(&["shop"], &["serviceaccounts"], &["get", "list"])])),
        ]);
        let options = ClusterOptions { name: "main".to_owned(), tokens, ..ClusterOptions::default() };
        let server = sandbox::Cluster::start(options).await.unwrap();
        let bench = Self { server, folder: tempfile::tempdir().unwrap() };
        bench.write_kubeconfig(json!({"token": "admin-token"}));
        bench
    }

    fn write_kubeconfig(&self, user: serde_json::Value) {
        let entry = self.server.kubeconfig_entry("admin-token");
        let config = json!({"apiVersion": "v1", "kind": "Config", "clusters": [entry.cluster], "contexts": [entry.context],
            "users": [{"name": "main", "user": user}]});
        std::fs::write(self.folder.path().join("config"), config.to_string()).unwrap();
    }

    fn reader(&self, context: Option<&str>, timeout: Duration) -> KubernetesReader {
        let cluster = Cluster {
            account: key("default"),
            region: None,
            name: None,
            issuer: None,
            state: ClusterState::Active,
            kubernetes: KubernetesAccess {
                kubeconfig: context.map(|_| self.folder.path().join("config")),
                context: context.map(str::to_owned),
                unverified: false,
            },
            origin: Origin { file: "irsa.toml".into(), line: 1, column: 1, span: 0..0 },
        };
        let tokens: TokenSource = Arc::new(|_| async { Ok(("admin-token".to_owned().into(), i64::MAX)) }.boxed());
        let settings = KubernetesSettings { timeout, parallelism: 4, interactive: false };
        let context = Context::fixed(BTreeMap::new(), 0, 1);
        KubernetesReader::new(&context, &key("me"), &BTreeMap::from([(key("main"), cluster)]), tokens, settings)
    }

    fn facts(&self) -> ClusterFacts {
        ClusterFacts {
            issuer: IssuerUrl::parse(self.server.issuer()).ok(),
            endpoint: Some(self.server.endpoint()),
            certificate_authority: Some(self.server.certificate_authority_data()),
            status: "ACTIVE".to_owned(),
        }
    }

    async fn connected(&self) -> KubernetesReader {
        let reader = self.reader(Some("main"), Duration::from_secs(5));
        assert_eq!(reader.verify(&key("main"), &self.facts()).await, Access::Granted(()));
        reader
    }

    async fn live(&self, reader: &KubernetesReader) -> crate::model::live::LiveServiceAccount {
        let item = account(&[]);
        reader.service_account(&key("main"), &item.namespace, &item.name).await.unwrap().unwrap()
    }

    fn namespace(&self, name: &str) {
        self.server.with(|store| store.ensure_namespace(name)).unwrap();
    }

    /// Somebody else makes a ServiceAccount.
    fn seed(&self, name: &str, annotations: &[(&str, &str)]) {
        self.server.with(|store| store.seed_service_account("shop", name, annotations, "helm")).unwrap();
    }
}

const ARN: &str = "arn:aws:iam::111122223333:role/irsa/me/app";

#[tokio::test]
async fn the_apis_of_the_declared_cluster_are_told_from_others() {
    let bench = Bench::new().await;
    // by the endpoint of EKS, by a kubeconfig with its server and authority, by its issuer
    let by_endpoint = bench.reader(None, Duration::from_secs(5));
    assert_eq!(by_endpoint.verify(&key("main"), &bench.facts()).await, Access::Granted(()));
    assert!(by_endpoint.namespaces(&key("main")).await.is_ok());
    let by_issuer = ClusterFacts { endpoint: None, certificate_authority: None, ..bench.facts() };
    let reader = bench.reader(Some("main"), Duration::from_secs(5));
    assert_eq!(reader.verify(&key("main"), &by_issuer).await, Access::Granted(()));
    let other = ClusterFacts { issuer: IssuerUrl::parse("https://oidc.example.com/other").ok(), ..by_issuer };
    let Access::Wrong(why, hint) = reader.verify(&key("main"), &other).await else { panic!("it is another cluster") };
    assert!(why.contains("oidc.example.com/other") && why.contains(bench.server.issuer()), "{why}");
    assert!(hint.contains("unverified"));
    // what was found wrong is not used
    assert!(reader.namespaces(&key("main")).await.is_err());
    assert!(matches!(bench.reader(Some("no-such"), Duration::from_secs(5)).verify(&key("main"), &other).await,
        Access::Unknown(why) if why.contains("`no-such`")));
}

#[tokio::test]
async fn lists_are_read_to_the_last_page() {
    let bench = Bench::new().await;
    bench.namespace("shop");
    for number in 0..1203 {
        bench.seed(&format!("sa-{number:04}"), &[]);
    }
    let reader = bench.connected().await;
    let before = reader.requests();
    let list = reader.service_accounts(&key("main"), None).await.unwrap();
    let ours = |list: &[crate::model::live::LiveServiceAccount]| {
        list.iter().filter(|item| item.name.as_str().starts_with("sa-")).count()
    };
    assert_eq!(ours(&list), 1203);
    assert_eq!(reader.requests() - before, 3);
    let shop = Namespace::parse("shop").unwrap();
    assert_eq!(ours(&reader.service_accounts(&key("main"), Some(&shop)).await.unwrap()), 1203);
}

#[tokio::test]
async fn what_is_made_gets_its_mark_and_what_was_there_does_not() {
    let bench = Bench::new().await;
    let reader = bench.connected().await;
    let wanted = account(&[(ROLE_ARN, ARN), (ADDRESS, "service-account/main/shop/cart"), (CREATED, "true")]);
    let create = KubernetesCall::Create { service_account: wanted.clone() };
    let missing = reader.writer().write(&key("main"), &create).await.unwrap_err();
    assert_eq!(missing.kind, CallErrorKind::NotFound, "there is no namespace");
    bench.namespace("shop");
    reader.writer().write(&key("main"), &create).await.unwrap();
    let live = bench.live(&reader).await;
    assert_eq!(live.annotations, wanted.annotations);
    assert_eq!(live.managers.len(), 1);
    assert_eq!(live.managers[0].name, "irsa-me");
    // a second one, as after a lost reply, changes nothing
    reader.writer().write(&key("main"), &create).await.unwrap();
    assert_eq!(bench.live(&reader).await.uid, live.uid);

    let delete = KubernetesCall::Delete { uid: "another".to_owned(), from: wanted.clone() };
    assert_eq!(reader.writer().write(&key("main"), &delete).await.unwrap_err().kind, CallErrorKind::Conflict);
    let delete = KubernetesCall::Delete { uid: live.uid, from: wanted.clone() };
    assert!(!reader.writer().write(&key("main"), &delete).await.unwrap().already_done);
    assert!(reader.writer().write(&key("main"), &delete).await.unwrap().already_done);

    // somebody else was faster
    bench.seed("cart", &[("a", "b")]);
    reader.writer().write(&key("main"), &create).await.unwrap();
    assert!(!bench.live(&reader).await.annotations.contains_key(CREATED));
}

#[tokio::test]
async fn an_apply_gives_up_what_is_dropped_and_a_release_everything() {
    let bench = Bench::new().await;
    bench.namespace("shop");
    bench.seed("cart", &[("theirs", "x")]);
    let reader = bench.connected().await;
    let (one, two) = (account(&[(ROLE_ARN, ARN), ("eks.amazonaws.com/audience", "a")]), account(&[(ROLE_ARN, ARN)]));
    let nothing = ServiceAccount { labels: Pairs::new(), annotations: Pairs::new(), ..one.clone() };
    let uid = bench.live(&reader).await.uid;
    let apply = |from: &ServiceAccount, to: &ServiceAccount| KubernetesCall::Apply {
        uid: uid.clone(), from: from.clone(), to: to.clone(), force: false,
    };
    let writer = reader.writer();
    writer.write(&key("main"), &apply(&nothing, &one)).await.unwrap();
    writer.write(&key("main"), &apply(&one, &two)).await.unwrap();
    assert_eq!(bench.live(&reader).await.annotations, pairs(&[("theirs", "x"), (ROLE_ARN, ARN)]));
    // what has changed since it was looked at is not overwritten
    let stale = writer.write(&key("main"), &apply(&account(&[(ROLE_ARN, "other")]), &account(&[(ROLE_ARN, "new")]))).await;
    assert_eq!(stale.unwrap_err().kind, CallErrorKind::Conflict);
    writer.write(&key("main"), &KubernetesCall::Release { uid: uid.clone(), from: two }).await.unwrap();
    let live = bench.live(&reader).await;
    assert_eq!(live.annotations, pairs(&[("theirs", "x")]));
    assert!(live.labels.is_empty() && live.managers.iter().all(|manager| manager.name != "irsa-me"));
}

#[tokio::test]
async fn a_held_field_names_its_manager_and_force_takes_it() {
    let bench = Bench::new().await;
    bench.namespace("shop");
    bench.seed("cart", &[(ROLE_ARN, "theirs")]);
    let reader = bench.connected().await;
    let uid = bench.live(&reader).await.uid;
    let (from, to) = (account(&[(ROLE_ARN, "theirs")]), account(&[(ROLE_ARN, ARN)]));
    let from = ServiceAccount { labels: Pairs::new(), ..from };
    let call = |force| KubernetesCall::Apply { uid: uid.clone(), from: from.clone(), to: to.clone(), force };
    let refused = reader.writer().write(&key("main"), &call(false)).await.unwrap_err();
    assert!(refused.kind == CallErrorKind::Conflict && refused.message.starts_with("manager `"), "{refused}");
    reader.writer().write(&key("main"), &call(true)).await.unwrap();
    assert_eq!(bench.live(&reader).await.annotations, pairs(&[(ROLE_ARN, ARN)]));
}

#[tokio::test]
async fn what_may_not_be_read_is_denied_and_not_absent() {
    let bench = Bench::new().await;
    bench.namespace("shop");
    bench.write_kubeconfig(json!({"token": "one-token"}));
    let reader = bench.connected().await;
    assert_eq!(reader.service_accounts(&key("main"), None).await.unwrap_err().kind, CallErrorKind::Denied);
    let shop = Namespace::parse("shop").unwrap();
    assert!(reader.service_accounts(&key("main"), Some(&shop)).await.is_ok());
    bench.write_kubeconfig(json!({"token": "nobody-knows"}));
    let reader = bench.connected().await;
    assert_eq!(reader.namespaces(&key("main")).await.unwrap_err().kind, CallErrorKind::Credentials);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_ends_in_time() {
    let bench = Bench::new().await;
    let reader = bench.connected().await;
    let gate = bench.server.gate();
    gate.fault(sandbox::Stage::Before, Match::any(), Fault::Drop, Some(1));
    assert!(reader.namespaces(&key("main")).await.is_ok());
    let hasty = bench.reader(Some("main"), Duration::from_millis(300));
    assert_eq!(hasty.verify(&key("main"), &bench.facts()).await, Access::Granted(()));
    gate.fault(sandbox::Stage::Before, Match::any(), Fault::Hang, None);
    let failed = hasty.namespaces(&key("main")).await.unwrap_err();
    assert_eq!(failed.kind, CallErrorKind::Unavailable);
    assert_eq!(failed.operation, "list Namespaces");
}

#[tokio::test]
async fn exec_plugins_never_ask_and_are_never_quoted() {
    let bench = Bench::new().await;
    let script = bench.folder.path().join("plugin");
    let plugin = |body: &str| {
        std::fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    bench.write_kubeconfig(json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": script,
        "env": [{"name": "SECRET", "value": "canary-environment"}], "interactiveMode": "IfAvailable"}}));
    plugin(r#"echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"admin-token"}}'"#);
    let reader = bench.connected().await;
    assert!(reader.namespaces(&key("main")).await.is_ok());
    for body in ["echo canary-output; echo canary-error >&2; exit 3", "echo canary-output", "exit 0"] {
        plugin(body);
        let reader = bench.reader(Some("main"), Duration::from_secs(5));
        let told = match reader.verify(&key("main"), &bench.facts()).await {
            Access::Unknown(why) => why,
            other => match reader.namespaces(&key("main")).await {
                Err(error) => error.to_string(),
                Ok(_) => panic!("{body}: {other:?}"),
            },
        };
        assert!(told.contains("exec plugin") && !told.contains("canary"), "{body}: {told}");
    }
    let never = error("x", CallErrorKind::Other, "y");
    assert!(!format!("{never:?}").contains("canary"));
}
