//! A sandbox: AWS accounts and EKS clusters behind one AWS endpoint, with a kubeconfig for the clusters.
//!
//! The sandbox starts servers on loopback ports and writes one temporary folder. Dropping it stops the servers and
//! deletes the folder. Tests use its methods to change objects as another actor would, without HTTP and the gates.

mod options;
#[cfg(test)]
mod tests;

pub use options::{ClusterSpec, SandboxOptions};

use crate::aws::{
    self, AccountRegion, Aws, Gate, Iam, Issuers, Item, NewCluster, Record, Refusal, Server, Snapshot, Witness,
};
use crate::kubernetes::{Cluster, KubeconfigEntry, kubeconfig};
use crate::wire;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::DuplexStream;

/// The static token of every cluster's administrator. The kubeconfig contains it.
const ADMIN: &str = "admin-token";

/// The role that lets the first account reach the others.
const ACCESS_ROLE: &str = "OrganizationAccountAccessRole";

/// The file with the authority of the issuers' certificates.
const AUTHORITY: &str = "issuers.pem";

/// A running sandbox. Dropping it stops everything.
#[derive(Debug)]
pub struct Sandbox {
    aws: Arc<Aws>,
    server: Server,
    issuers: Issuers,
    folder: tempfile::TempDir,
    options: SandboxOptions,
    /// The clusters with a context in the kubeconfig: those that were not created over HTTP.
    clusters: Vec<(AccountRegion, String)>,
}

fn refused(refusal: impl Into<Refusal>) -> io::Error {
    let Refusal { code, message, .. } = refusal.into();
    io::Error::other(format!("{code}: {message}"))
}

impl Sandbox {
    /// Starts all servers. Needs a tokio runtime.
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        let aws = Arc::new(Aws::new(&options.accounts, Arc::clone(&options.clock)));
        let server = Server::start(Arc::clone(&aws), options.port).await?;
        let issuers = Issuers::start(Arc::clone(&aws)).await?;
        let folder = tempfile::Builder::new().prefix("irsa-sandbox-").tempdir()?;
        let specs = options.clusters.clone();
        std::fs::write(folder.path().join(AUTHORITY), issuers.authority_pem())?;
        let mut sandbox = Self { aws, server, issuers, folder, options, clusters: Vec::new() };
        if sandbox.options.access_roles {
            sandbox.make_access_roles()?;
        }
        for spec in &specs {
            sandbox.make_cluster(spec).await?;
        }
        sandbox.write_kubeconfig()?;
        Ok(sandbox)
    }

    /// Creates, in every account but the first, a role that the first account may assume.
    fn make_access_roles(&self) -> io::Result<()> {
        let Some((first, others)) = self.options.accounts.split_first() else { return Ok(()) };
        let statement = json!({
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": format!("arn:aws:iam::{first}:root")},
        });
        let trust = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        for account in others {
            let role = [("RoleName", ACCESS_ROLE), ("AssumeRolePolicyDocument", &trust)];
            let administrator =
                [("RoleName", ACCESS_ROLE), ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")];
            self.iam_call(account, "CreateRole", &role).map_err(refused)?;
            self.iam_call(account, "AttachRolePolicy", &administrator).map_err(refused)?;
        }
        Ok(())
    }

    async fn make_cluster(&mut self, spec: &ClusterSpec) -> io::Result<Arc<Cluster>> {
        let place = AccountRegion::new(&spec.account, &spec.region);
        let new = NewCluster::named(&spec.name, &place, spec.issuer.clone());
        let cluster = self.aws.add_cluster(&place, new).await.map_err(refused)?;
        for namespace in &spec.namespaces {
            cluster
                .with(|store| store.ensure_namespace(namespace))
                .map_err(|refusal| io::Error::other(refusal.message))?;
        }
        self.clusters.push((place, spec.name.clone()));
        Ok(cluster)
    }

    /// If two clusters have one name, only the first one gets a context.
    fn write_kubeconfig(&self) -> io::Result<()> {
        let mut names = BTreeSet::new();
        let clusters = self.clusters.iter().filter(|(_, name)| names.insert(name.clone()));
        let entries: Vec<KubeconfigEntry> = clusters
            .filter_map(|(place, name)| Some(self.aws.eks().kubernetes(place, name)?.kubeconfig_entry(ADMIN)))
            .collect();
        std::fs::write(self.kubeconfig(), kubeconfig(&entries))
    }

    /// The path of the kubeconfig. It has a context, named like the cluster, for every cluster that was not created
    /// over HTTP.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// The environment variables that make a program use the sandbox as the first account.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let kubeconfig = self.kubeconfig().display().to_string();
        [
            ("AWS_ENDPOINT_URL", self.endpoint().as_str()),
            ("AWS_REGION", &self.options.region),
            // boto3 and version 1 of the aws CLI read this variable instead.
            ("AWS_DEFAULT_REGION", &self.options.region),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("KUBECONFIG", &kubeconfig),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// The environment variables that make a program also read the discovery documents of the clusters' issuers from the
    /// sandbox: it uses the sandbox as its proxy for `https`, and trusts the sandbox's authority.
    pub fn issuer_environment(&self) -> BTreeMap<String, String> {
        let authority = self.folder.path().join(AUTHORITY).display().to_string();
        [
            ("HTTPS_PROXY", format!("http://{}", self.issuers.address())),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
            ("SSL_CERT_FILE", authority),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Replaces what an issuer's host answers at this URL: a status and a body. None removes the replacement.
    pub fn publish(&self, url: &str, answer: Option<(u16, String)>) {
        self.issuers.replace(url, answer);
    }

    /// The URLs of issuers that were asked for, in order.
    pub fn published_reads(&self) -> Vec<String> {
        self.issuers.asked()
    }

    /// An in-memory connection to the AWS endpoint, for clients that run on tokio's paused clock.
    pub fn connect(&self) -> DuplexStream {
        let aws = Arc::clone(&self.aws);
        wire::in_memory(|stream| aws::connection(stream, aws))
    }

    /// The Kubernetes API that listens on this `host:port`.
    pub fn cluster_at(&self, address: &str) -> Option<Arc<Cluster>> {
        self.aws.eks().serving(address.parse().ok()?)
    }

    fn place_of(&self, name: &str) -> Option<AccountRegion> {
        let known = self.clusters.iter().chain(&self.aws.eks().names()).find(|(_, one)| one == name).cloned();
        known.map(|(place, _)| place)
    }

    fn existing_place(&self, name: &str) -> AccountRegion {
        self.place_of(name).unwrap_or_else(|| panic!("no cluster is called `{name}`"))
    }

    /// The Kubernetes API of a cluster, by its EKS name. Panics if no such cluster exists.
    pub fn cluster(&self, name: &str) -> Arc<Cluster> {
        let place = self.existing_place(name);
        self.cluster_in(&place.account, &place.region, name).unwrap_or_else(|| panic!("no cluster is called `{name}`"))
    }

    /// The same by account and region, for names that are not unique.
    pub fn cluster_in(&self, account: &str, region: &str, name: &str) -> Option<Arc<Cluster>> {
        self.aws.eks().kubernetes(&AccountRegion::new(account, region), name)
    }

    /// Adds a cluster and its kubeconfig context.
    pub async fn add_cluster(&mut self, spec: &ClusterSpec) -> io::Result<Arc<Cluster>> {
        let cluster = self.make_cluster(spec).await?;
        self.write_kubeconfig()?;
        Ok(cluster)
    }

    /// Removes a cluster from EKS and stops its API. Panics if no such cluster exists.
    pub fn remove_cluster(&mut self, name: &str) -> io::Result<()> {
        self.delete_from_eks(name);
        self.write_kubeconfig()
    }

    fn delete_from_eks(&mut self, name: &str) -> AccountRegion {
        let place = self.existing_place(name);
        self.aws.eks().remove(&place, name);
        self.clusters.retain(|(at, one)| (at, one.as_str()) != (&place, name));
        place
    }

    /// Deletes a cluster and creates another of the same name, empty and with a new issuer. Panics if no such cluster
    /// exists.
    pub async fn replace_cluster(&mut self, name: &str) -> io::Result<Arc<Cluster>> {
        let place = self.delete_from_eks(name);
        self.add_cluster(&ClusterSpec::new(name, &place.account, &place.region)).await
    }

    /// Gives a user or role of another account access to a cluster's API. Panics if no such cluster exists.
    pub fn grant_access(&self, cluster: &str, principal_arn: &str) {
        self.aws.eks().grant_access(&self.existing_place(cluster), cluster, principal_arn);
    }

    /// A ServiceAccount token, signed by the cluster's issuer as for a pod and valid for an hour. None if the machine
    /// cannot create a key. Panics if no such cluster exists.
    pub fn token(&self, cluster: &str, namespace: &str, service_account: &str, audience: &str) -> Option<String> {
        let issuer = self.cluster(cluster).issuer().to_owned();
        let now = (self.options.clock)().as_second();
        self.aws.eks().issuer_key(&issuer)?.sign(&json!({
            "iss": issuer, "sub": format!("system:serviceaccount:{namespace}:{service_account}"), "aud": [audience],
            "iat": now, "nbf": now, "exp": now + 3600,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": service_account}},
        }))
    }

    /// Keeps later clusters and add-ons in CREATING for this many DescribeCluster or DescribeAddon calls each. 0, the
    /// default, makes them ACTIVE at once.
    pub fn eks_takes(&self, describes: u32) {
        self.aws.eks().keep_creating(describes);
    }

    /// Reads or changes an account's IAM directly. No request of that account runs meanwhile.
    pub fn iam<T>(&self, account: &str, work: impl FnOnce(&mut Iam) -> T) -> T {
        self.aws.with_iam(account, work)
    }

    /// Calls one IAM operation as another actor would, without HTTP and the gate. Returns the response XML.
    pub fn iam_call(&self, account: &str, action: &str, fields: &[(&str, &str)]) -> Result<String, Refusal> {
        self.aws.iam_call(account, action, fields)
    }

    /// Hides every later HTTP write from the next `reads` reads after it. For IAM this covers the account, for EKS the
    /// add-ons, associations and access entries in the account and region, for Kubernetes the cluster. Writes always
    /// act on the current state. 0 turns this off.
    pub fn stale_reads(&self, reads: u32) {
        self.aws.set_stale_reads(reads);
    }

    /// Hides every later write to one IAM item from the next `reads` HTTP reads that would show it. These reads still
    /// show the current state of everything else. 0 turns it off for the item; `stale_reads(0)` turns it off for all
    /// items.
    pub fn stale_item(&self, account: &str, item: Item, reads: u32) {
        self.aws.set_late(Some(account), item, reads);
    }

    /// Calls `witness` for every later IAM write, right after the write and in the order of the writes. None removes
    /// it. The witness must not ask the sandbox about the written account, whose lock is held.
    pub fn witness(&self, witness: Option<Witness>) {
        self.aws.set_witness(witness);
    }

    /// Saves the state of all accounts, of EKS and of the objects in all clusters. No request should be running.
    pub fn snapshot(&self) -> Snapshot {
        self.aws.snapshot()
    }

    /// Restores a saved state of this sandbox and forgets accounts that were created since. It neither creates nor
    /// deletes clusters: one that was added or replaced since stays as it is, and one that was removed stays removed.
    /// Faults, logs, the stale read setting and sessions stay as they are.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.aws.restore(snapshot);
    }

    /// With true, breaks all AWS connections and refuses new ones. With false, accepts them again on the same port.
    pub async fn refuse_connections(&self, refuse: bool) -> io::Result<()> {
        self.server.refuse_connections(refuse).await
    }

    /// The gate of the AWS endpoint, where tests set faults.
    pub fn gate(&self) -> &Gate {
        self.aws.gate()
    }

    /// All requests to AWS, in order of arrival.
    pub fn log(&self) -> Vec<Record> {
        self.gate().log()
    }
}
