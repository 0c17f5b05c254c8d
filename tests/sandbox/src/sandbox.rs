//! A sandbox: accounts, their clusters and one AWS endpoint, with a kubeconfig to go with them.
//!
//! It starts servers on loopback ports and writes one folder of its own; both end with it. What a test wants to change
//! as someone else would, it changes here, past HTTP and the gates.

mod options;
#[cfg(test)]
mod tests;

pub use options::{ClusterSpec, SandboxOptions};

use crate::aws::{self, Aws, Gate, Iam, Item, NewCluster, Place, Record, Refusal, Server, Snapshot, Witness};
use crate::kubernetes::{Cluster, KubeconfigEntry, kubeconfig};
use crate::wire;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::DuplexStream;

/// The static token of every cluster's administrator, which the kubeconfig holds.
const ADMIN: &str = "admin-token";

/// The role by which the first account reaches the others.
const ACCESS_ROLE: &str = "OrganizationAccountAccessRole";

/// A running sandbox. It ends when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    aws: Arc<Aws>,
    server: Server,
    folder: tempfile::TempDir,
    options: SandboxOptions,
    /// Whose contexts the kubeconfig has: those that were not made over HTTP.
    clusters: Vec<(Place, String)>,
}

fn refused(refusal: impl Into<Refusal>) -> io::Error {
    let Refusal { code, message, .. } = refusal.into();
    io::Error::other(format!("{code}: {message}"))
}

impl Sandbox {
    /// Starts everything; needs a tokio runtime.
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        let aws = Arc::new(Aws::new(&options.accounts, Arc::clone(&options.clock)));
        let server = Server::start(Arc::clone(&aws), options.port).await?;
        let folder = tempfile::Builder::new().prefix("irsa-sandbox-").tempdir()?;
        let specs = options.clusters.clone();
        let mut sandbox = Self { aws, server, folder, options, clusters: Vec::new() };
        if sandbox.options.access_roles {
            sandbox.make_access_roles()?;
        }
        for spec in &specs {
            sandbox.make_cluster(spec).await?;
        }
        sandbox.write_kubeconfig()?;
        Ok(sandbox)
    }

    /// In every account but the first, a role that the first one may assume.
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
        let place = Place::new(&spec.account, &spec.region);
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

    /// Of two clusters of one name, only the first one has a context.
    fn write_kubeconfig(&self) -> io::Result<()> {
        let mut names = BTreeSet::new();
        let clusters = self.clusters.iter().filter(|(_, name)| names.insert(name.clone()));
        let entries: Vec<KubeconfigEntry> = clusters
            .filter_map(|(place, name)| Some(self.aws.eks().kubernetes(place, name)?.kubeconfig_entry(ADMIN)))
            .collect();
        std::fs::write(self.kubeconfig(), kubeconfig(&entries))
    }

    /// The path of the kubeconfig: a context for every cluster that was not made over HTTP, called as the cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// What a program must have in its environment to use the sandbox as the first account.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let kubeconfig = self.kubeconfig().display().to_string();
        [
            ("AWS_ENDPOINT_URL", self.endpoint().as_str()),
            ("AWS_REGION", &self.options.region),
            // Which boto3 and the aws CLI of version 1 read in its place.
            ("AWS_DEFAULT_REGION", &self.options.region),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("KUBECONFIG", &kubeconfig),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// A connection to the AWS endpoint in memory: the way in for a client on a paused clock.
    pub fn connect(&self) -> DuplexStream {
        let aws = Arc::clone(&self.aws);
        wire::in_memory(|stream| aws::connection(stream, aws))
    }

    /// The Kubernetes API that is served at this `host:port`.
    pub fn cluster_at(&self, address: &str) -> Option<Arc<Cluster>> {
        self.aws.eks().serving(address.parse().ok()?)
    }

    fn place_of(&self, name: &str) -> Option<Place> {
        let known = self.clusters.iter().chain(&self.aws.eks().names()).find(|(_, one)| one == name).cloned();
        known.map(|(place, _)| place)
    }

    fn must_place(&self, name: &str) -> Place {
        self.place_of(name).unwrap_or_else(|| panic!("no cluster is called `{name}`"))
    }

    /// The Kubernetes API of a cluster, by its EKS name. Panics if there is none.
    pub fn cluster(&self, name: &str) -> Arc<Cluster> {
        let place = self.must_place(name);
        self.cluster_in(&place.account, &place.region, name).unwrap_or_else(|| panic!("no cluster is called `{name}`"))
    }

    /// The same, where a name is not unique.
    pub fn cluster_in(&self, account: &str, region: &str, name: &str) -> Option<Arc<Cluster>> {
        self.aws.eks().kubernetes(&Place::new(account, region), name)
    }

    /// Adds a cluster; the kubeconfig gets its context.
    pub async fn add_cluster(&mut self, spec: &ClusterSpec) -> io::Result<Arc<Cluster>> {
        let cluster = self.make_cluster(spec).await?;
        self.write_kubeconfig()?;
        Ok(cluster)
    }

    /// Takes a cluster away: EKS knows it no more and its API ends. Panics if there is none.
    pub fn remove_cluster(&mut self, name: &str) -> io::Result<()> {
        self.take(name);
        self.write_kubeconfig()
    }

    fn take(&mut self, name: &str) -> Place {
        let place = self.must_place(name);
        self.aws.eks().remove(&place, name);
        self.clusters.retain(|(at, one)| (at, one.as_str()) != (&place, name));
        place
    }

    /// Deletes a cluster and makes another of its name, empty and with another issuer. Panics if there is none.
    pub async fn replace_cluster(&mut self, name: &str) -> io::Result<Arc<Cluster>> {
        let place = self.take(name);
        self.add_cluster(&ClusterSpec::new(name, &place.account, &place.region)).await
    }

    /// Lets a user or role of another account use a cluster's API. Panics if there is no such cluster.
    pub fn welcome(&self, cluster: &str, principal_arn: &str) {
        self.aws.eks().welcome(&self.must_place(cluster), cluster, principal_arn);
    }

    /// A token of a ServiceAccount, as the cluster's issuer signs it for pods; good for an hour. None if the machine
    /// cannot make a key. Panics if there is no such cluster.
    pub fn token(&self, cluster: &str, namespace: &str, service_account: &str, audience: &str) -> Option<String> {
        let issuer = self.cluster(cluster).issuer().to_owned();
        let now = (self.options.clock)().as_second();
        self.aws.eks().issuer_key(&issuer)?.sign(&json!({
            "iss": issuer, "sub": format!("system:serviceaccount:{namespace}:{service_account}"), "aud": [audience],
            "iat": now, "nbf": now, "exp": now + 3600,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": service_account}},
        }))
    }

    /// Clusters and add-ons that are made from now on are CREATING for so many DescribeCluster or DescribeAddon; 0, the
    /// default, makes them ACTIVE at once.
    pub fn eks_takes(&self, describes: u32) {
        self.aws.eks().take_time(describes);
    }

    /// Works on an account's IAM itself; no request of the account runs meanwhile.
    pub fn iam<T>(&self, account: &str, work: impl FnOnce(&mut Iam) -> T) -> T {
        self.aws.with_iam(account, work)
    }

    /// One IAM operation as someone else would do it, past HTTP and the gate; the answer's XML.
    pub fn iam_call(&self, account: &str, action: &str, fields: &[(&str, &str)]) -> Result<String, Refusal> {
        self.aws.iam_call(account, action, fields)
    }

    /// After every write over HTTP from now on, so many reads do not see it: IAM's in the account, EKS' of what hangs on
    /// the clusters of the account and region, Kubernetes' in the cluster. Writes always see what there is. 0 turns it
    /// off.
    pub fn stale_reads(&self, reads: u32) {
        self.aws.set_stale_reads(reads);
    }

    /// After every write to this item of an account's IAM from now on, so many reads over HTTP that would show it answer
    /// as if that write had not been; everything else they show as it is. 0 ends it for the item, `stale_reads(0)` for
    /// all.
    pub fn stale_item(&self, account: &str, item: Item, reads: u32) {
        self.aws.set_late(Some(account), item, reads);
    }

    /// From now on this is shown every write to IAM right after it is done, in the order in which they are done; None
    /// shows them to nobody. It must not ask the sandbox for that account.
    pub fn witness(&self, witness: Option<Witness>) {
        self.aws.set_witness(witness);
    }

    /// The state of all accounts, of EKS and of the objects in all clusters. Nothing should be under way.
    pub fn snapshot(&self) -> Snapshot {
        self.aws.snapshot()
    }

    /// Goes back to a state of this sandbox; new accounts are gone. Clusters are neither made nor ended: one that was
    /// added or replaced since stays as it is, one that was removed stays away. Faults, logs, stale reads' number and
    /// sessions stay as they are.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.aws.restore(snapshot);
    }

    /// Ends all connections to AWS and refuses new ones, or takes them again on the same port.
    pub async fn refuse_connections(&self, refuse: bool) -> io::Result<()> {
        self.server.refuse_connections(refuse).await
    }

    /// Where AWS' faults are set.
    pub fn gate(&self) -> &Gate {
        self.aws.gate()
    }

    /// All requests to AWS, in order of arrival.
    pub fn log(&self) -> Vec<Record> {
        self.gate().log()
    }
}
