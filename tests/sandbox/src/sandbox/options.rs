//! The options of a sandbox: its accounts, clusters and settings.

use crate::kubernetes::Clock;
use std::fmt;
use std::sync::Arc;

/// A cluster to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// The name in EKS and of the kubeconfig context.
    pub name: String,
    /// The account ID.
    pub account: String,
    /// The region.
    pub region: String,
    /// The issuer URL of its tokens. None makes EKS generate one.
    pub issuer: Option<String>,
    /// Namespaces to create in addition to those of every cluster.
    pub namespaces: Vec<String>,
}

impl ClusterSpec {
    /// A cluster with a generated issuer.
    pub fn new(name: &str, account: &str, region: &str) -> Self {
        Self {
            name: name.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            issuer: None,
            namespaces: Vec::new(),
        }
    }

    /// Sets the namespaces to create.
    #[must_use]
    pub fn with_namespaces(mut self, names: &[&str]) -> Self {
        self.namespaces.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }
}

/// The options of a sandbox.
#[derive(Clone)]
pub struct SandboxOptions {
    /// The account IDs. Each ID is an access key of its account; `test` is an access key of the first account.
    pub accounts: Vec<String>,
    /// `AWS_REGION`.
    pub region: String,
    /// The clusters.
    pub clusters: Vec<ClusterSpec>,
    /// Whether every account but the first has a role `OrganizationAccountAccessRole` that the first one may assume.
    pub access_roles: bool,
    /// The port of the AWS endpoint on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// The time source.
    pub clock: Clock,
}

impl fmt::Debug for SandboxOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxOptions")
            .field("accounts", &self.accounts)
            .field("region", &self.region)
            .field("clusters", &self.clusters)
            .finish_non_exhaustive()
    }
}

const FIRST: &str = "111122223333";
const SECOND: &str = "444455556666";
const HOME: &str = "eu-west-1";

impl SandboxOptions {
    /// Two accounts without clusters.
    pub fn empty() -> Self {
        Self {
            accounts: vec![FIRST.to_owned(), SECOND.to_owned()],
            region: HOME.to_owned(),
            clusters: Vec::new(),
            access_roles: false,
            port: 0,
            clock: Arc::new(jiff::Timestamp::now),
        }
    }

    /// Two accounts with three clusters. Two of the clusters are in the first account and in `AWS_REGION`. The first
    /// account reaches the second through its `OrganizationAccountAccessRole`.
    pub fn demo() -> Self {
        let cluster = |name, account, region| ClusterSpec::new(name, account, region);
        Self {
            clusters: vec![
                cluster("shop-eu", FIRST, HOME).with_namespaces(&["shop", "payments"]),
                cluster("data-eu", FIRST, HOME).with_namespaces(&["reporting"]),
                cluster("shop-us", SECOND, "us-east-1").with_namespaces(&["shop"]),
            ],
            access_roles: true,
            ..Self::empty()
        }
    }
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self::empty()
    }
}
