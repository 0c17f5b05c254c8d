//! What a sandbox is made of.

use crate::kubernetes::Clock;
use std::fmt;
use std::sync::Arc;

/// A cluster to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Its name in EKS, and that of its kubeconfig context.
    pub name: String,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The issuer of its tokens; None has EKS make one up.
    pub issuer: Option<String>,
    /// Namespaces beside those that every cluster has.
    pub namespaces: Vec<String>,
}

impl ClusterSpec {
    /// A cluster with an issuer of EKS' own.
    pub fn new(name: &str, account: &str, region: &str) -> Self {
        Self {
            name: name.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            issuer: None,
            namespaces: Vec::new(),
        }
    }

    /// With these namespaces.
    #[must_use]
    pub fn with_namespaces(mut self, names: &[&str]) -> Self {
        self.namespaces.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }
}

/// What a sandbox is made of.
#[derive(Clone)]
pub struct SandboxOptions {
    /// The accounts; the first one answers to the key `test`, each to its own twelve digits.
    pub accounts: Vec<String>,
    /// `AWS_REGION`.
    pub region: String,
    /// The clusters.
    pub clusters: Vec<ClusterSpec>,
    /// Whether every account but the first has a role `OrganizationAccountAccessRole` that the first one may assume.
    pub access_roles: bool,
    /// The port of AWS on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Where the time comes from.
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
    /// Two accounts with nothing in them.
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

    /// Two accounts with three clusters, two of them in the first account and in `AWS_REGION`; the second account is
    /// reached by its `OrganizationAccountAccessRole`.
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
