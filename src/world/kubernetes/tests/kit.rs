//! Helpers for tests: clusters, declarations, readers and kubeconfigs.

use crate::context::Context;
use crate::ids::{ClusterName, IssuerUrl, Key, Namespace, ServiceAccountName};
use crate::model::desired::{self, ClusterState, KubernetesAccess, NamedKubeconfig};
use crate::model::live::{Access, LiveServiceAccount};
use crate::model::origin::Origin;
use crate::model::resource::{ServiceAccount, StringMap};
use crate::world::kubernetes::{KubernetesReader, KubernetesSettings, TokenSource};
use crate::world::{ClusterFacts, ReadKubernetes};
use irsa_sandbox::kubernetes::{Cluster, ClusterOptions, Resource, User, kubeconfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) const ROLE: &str = "eks.amazonaws.com/role-arn";
pub(super) const US: &str = "irsa-me";
pub(in crate::world::kubernetes) const SETTINGS: KubernetesSettings =
    KubernetesSettings { timeout: Duration::from_mins(2), parallelism: 4, interactive: false };

pub(in crate::world::kubernetes) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(super) fn namespace(text: &str) -> Namespace {
    Namespace::parse(text).unwrap()
}

pub(super) fn name(text: &str) -> ServiceAccountName {
    ServiceAccountName::parse(text).unwrap()
}

pub(in crate::world::kubernetes) async fn cluster(called: &str) -> Cluster {
    let options = ClusterOptions {
        name: called.to_owned(),
        issuer: format!("https://oidc.example.com/{called}"),
        ..ClusterOptions::default()
    };
    Cluster::start(options).await.unwrap()
}

/// What DescribeCluster reports.
pub(super) fn facts(cluster: &Cluster) -> ClusterFacts {
    ClusterFacts {
        issuer: Some(IssuerUrl::parse(cluster.issuer()).unwrap()),
        endpoint: Some(cluster.endpoint()),
        certificate_authority: Some(cluster.certificate_authority_data()),
        status: "ACTIVE".into(),
    }
}

/// The facts of a cluster that is declared by its issuer alone.
pub(super) fn issuer_only(cluster: &Cluster) -> ClusterFacts {
    ClusterFacts { endpoint: None, certificate_authority: None, ..facts(cluster) }
}

/// The declaration of an EKS cluster.
pub(super) fn declared(access: KubernetesAccess) -> desired::Cluster {
    desired::Cluster {
        account: key("default"),
        region: None,
        name: Some(ClusterName::parse("prod").unwrap()),
        issuer: None,
        state: ClusterState::Active,
        kubernetes: access,
        unmanaged: false,
        origin: Origin { file: "irsa.toml".into(), line: 1, column: 1, span: 0..0 },
    }
}

pub(super) fn access(kubeconfig: Option<PathBuf>, context: Option<&str>) -> KubernetesAccess {
    let named = |path: PathBuf| NamedKubeconfig { folder: path.parent().unwrap().to_owned(), path };
    KubernetesAccess { kubeconfig: kubeconfig.map(named), context: context.map(str::to_owned), unverified: false }
}

/// Always the same token, valid for an hour.
pub(in crate::world::kubernetes) fn tokens(token: &'static str) -> TokenSource {
    Arc::new(move |_| Box::pin(async move { Ok((token.into(), 3_600)) }))
}

/// The context of a run. `speed` divides its waits.
pub(in crate::world::kubernetes) fn context(environment: &[(&str, &str)], speed: u32) -> Context {
    let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Context::fixed(pairs.collect(), 0, speed)
}

pub(super) fn reader_of(access: KubernetesAccess, context: &Context, tokens: TokenSource) -> KubernetesReader {
    let clusters = BTreeMap::from([(key("prod"), declared(access))]);
    KubernetesReader::new(context, &crate::world::Transports::default(), &key("me"), &clusters, tokens, SETTINGS)
}

/// A reader that has verified the cluster by its endpoint, with this token.
pub(super) async fn reader_with(cluster: &Cluster, token: &'static str, speed: u32) -> KubernetesReader {
    let reader = reader_of(access(None, None), &context(&[], speed), tokens(token));
    assert_eq!(reader.connect(&key("prod"), &facts(cluster)).await, Access::Granted(()));
    reader
}

pub(super) async fn reader(cluster: &Cluster) -> KubernetesReader {
    reader_with(cluster, "admin-token", 1).await
}

/// Writes a kubeconfig with these clusters, each with this user. Returns its path.
pub(super) async fn kubeconfig_in(folder: &Path, clusters: &[&Cluster], user: &Value) -> PathBuf {
    let entries: Vec<_> = clusters
        .iter()
        .map(|cluster| {
            let mut entry = cluster.kubeconfig_entry("unused");
            entry.user = json!({"name": cluster.name(), "user": user});
            entry
        })
        .collect();
    let path = folder.join("config");
    tokio::fs::write(&path, kubeconfig(&entries)).await.unwrap();
    path
}

pub(super) fn admin() -> Value {
    json!({"token": "admin-token"})
}

pub(super) fn limit(cluster: &Cluster, grants: impl IntoIterator<Item = irsa_sandbox::kubernetes::Grant>) {
    cluster.set_token("less", User::limited("less", grants));
}

pub(super) fn pairs(list: &[(&str, &str)]) -> StringMap {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The ServiceAccount `a/worker` with irsa's label and these annotations.
pub(super) fn ours(annotations: &[(&str, &str)]) -> ServiceAccount {
    let labels = pairs(&[("irsa/owner", "me")]);
    ServiceAccount { namespace: namespace("a"), name: name("worker"), labels, annotations: pairs(annotations) }
}

/// The ServiceAccount `a/worker` without fields.
pub(super) fn nothing() -> ServiceAccount {
    ServiceAccount { labels: StringMap::new(), ..ours(&[]) }
}

pub(super) fn object(cluster: &Cluster) -> Option<Value> {
    cluster.with(|store| store.service_account("a", "worker").cloned())
}

pub(super) fn managers(object: &Value) -> Vec<String> {
    let list = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    list.iter().map(|entry| entry["manager"].as_str().unwrap().to_owned()).collect()
}

pub(super) fn uid(cluster: &Cluster) -> String {
    object(cluster).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// Creates the namespace `a`.
pub(super) fn with_namespace(cluster: &Cluster) {
    cluster.with(|store| store.ensure_namespace("a")).unwrap();
}

/// Changes the ServiceAccount `a/worker` as `manager` would.
pub(super) fn edit(cluster: &Cluster, manager: &str, change: impl FnOnce(&mut Value)) {
    cluster.with(|store| store.edit(Resource::ServiceAccounts, "a", "worker", manager, change)).unwrap();
}

pub(super) async fn read(reader: &KubernetesReader) -> Option<LiveServiceAccount> {
    reader.service_account(&key("prod"), &namespace("a"), &name("worker")).await.unwrap()
}
