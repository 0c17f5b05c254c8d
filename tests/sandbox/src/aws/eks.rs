//! EKS: clusters, each with a running Kubernetes API, and their associations, add-ons and access entries.
//!
//! State is kept by account and region. A new cluster is ACTIVE at once, where AWS takes ten minutes, unless a test
//! asks for a number of describes that show it as CREATING. Its API accepts the tokens of users and roles of its own
//! account, who are all administrators there, and of principals of other accounts that have an access entry.

mod access_entry;
mod addon;
mod association;
mod cluster;
mod input;
mod page;
mod route;
mod saved;
mod tagging;
#[cfg(test)]
mod tests;

pub(crate) use cluster::NewCluster;
pub(crate) use route::Route;
pub(crate) use saved::SavedClusters;

use crate::aws::query::{AwsError, Params};
use crate::aws::{Aws, PARTITION};
use crate::gate::Stale;
use crate::kubernetes::{Cluster, IssuerKey};
use bytes::Bytes;
use cluster::EksCluster;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// An account and a region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountRegion {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl AccountRegion {
    pub(crate) fn new(account: &str, region: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned() }
    }

    fn arn(&self, resource: fmt::Arguments<'_>) -> String {
        format!("arn:{PARTITION}:eks:{}:{}:{resource}", self.region, self.account)
    }
}

/// The principals of other accounts that may use a cluster's API.
type Guests = Arc<RwLock<BTreeSet<String>>>;

#[derive(Debug, Default, Clone)]
struct Region {
    made: u64,
    clusters: BTreeMap<String, EksCluster>,
}

type Regions = BTreeMap<AccountRegion, Region>;

/// All clusters, by account and region.
#[derive(Debug, Default)]
pub(crate) struct Eks {
    regions: Mutex<Regions>,
    stale: Mutex<BTreeMap<AccountRegion, Stale<Region>>>,
    /// How many describes show a new cluster or add-on as CREATING.
    looks: AtomicU32,
}

/// How many more describes show the object as CREATING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Making(u32);

impl Making {
    /// The status for this describe. Counts it.
    fn look(&mut self) -> &'static str {
        if !self.goes_on() {
            return "ACTIVE";
        }
        self.0 -= 1;
        "CREATING"
    }

    fn goes_on(self) -> bool {
        self.0 > 0
    }
}

fn not_found(message: impl Into<String>) -> AwsError {
    AwsError::new(404, "ResourceNotFoundException", message)
}

fn in_use(message: impl Into<String>) -> AwsError {
    AwsError::new(409, "ResourceInUseException", message)
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidParameterException", message)
}

fn no_cluster(name: &str) -> AwsError {
    not_found(format!("No cluster found for name: {name}."))
}

/// A time as EKS returns it: seconds since 1970, with a fraction.
fn seconds(time: Timestamp) -> Value {
    json!(time.as_duration().as_secs_f64())
}

/// `count` characters of the alphabet, derived from the seed.
fn letters(seed: &str, alphabet: &[u8], count: usize) -> String {
    let digest = Sha256::digest(seed);
    digest.iter().take(count).map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
}

/// A unique id as at the end of the ARN of an add-on or access entry.
fn unique_id(seed: &str) -> String {
    let text = letters(seed, b"0123456789abcdef", 32);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

impl Eks {
    /// Keeps later clusters and add-ons in CREATING for this many describes each.
    pub(crate) fn keep_creating(&self, looks: u32) {
        self.looks.store(looks, Ordering::SeqCst);
    }

    fn making(&self) -> Making {
        Making(self.looks.load(Ordering::SeqCst))
    }

    fn regions(&self) -> MutexGuard<'_, Regions> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Kubernetes API of a cluster.
    pub(crate) fn kubernetes(&self, place: &AccountRegion, name: &str) -> Option<Arc<Cluster>> {
        self.regions().get(place)?.clusters.get(name).map(|cluster| Arc::clone(&cluster.kubernetes))
    }

    /// The Kubernetes API that listens on this address.
    pub(crate) fn serving(&self, address: SocketAddr) -> Option<Arc<Cluster>> {
        let regions = self.regions();
        let mut clusters = regions.values().flat_map(|region| region.clusters.values());
        clusters.find(|cluster| cluster.kubernetes.address() == address).map(|cluster| Arc::clone(&cluster.kubernetes))
    }

    /// The names of all clusters, each with its account and region.
    pub(crate) fn names(&self) -> Vec<(AccountRegion, String)> {
        let regions = self.regions();
        let names = |(place, region): (&AccountRegion, &Region)| -> Vec<_> {
            region.clusters.keys().map(|name| (place.clone(), name.clone())).collect()
        };
        regions.iter().flat_map(names).collect()
    }

    /// The issuers of all running clusters.
    pub(crate) fn issuers(&self) -> Vec<String> {
        let regions = self.regions();
        let clusters = regions.values().flat_map(|region| region.clusters.values());
        clusters.map(|cluster| cluster.kubernetes.issuer().to_owned()).collect()
    }

    /// The token signing key of the running cluster with this issuer.
    pub(crate) fn issuer_key(&self, issuer: &str) -> Option<Arc<IssuerKey>> {
        let regions = self.regions();
        let mut clusters = regions.values().flat_map(|region| region.clusters.values());
        clusters.find(|cluster| cluster.kubernetes.issuer() == issuer).map(|cluster| cluster.kubernetes.issuer_key())
    }

    /// Gives a principal of another account access to a cluster's API. Returns false if the cluster does not exist.
    pub(crate) fn grant_access(&self, place: &AccountRegion, name: &str, principal: &str) -> bool {
        let regions = self.regions();
        let cluster = regions.get(place).and_then(|region| region.clusters.get(name));
        cluster.map(|cluster| cluster.grant_access(principal)).is_some()
    }

    /// Removes a cluster and stops its API. Returns false if the cluster does not exist.
    pub(crate) fn remove(&self, place: &AccountRegion, name: &str) -> bool {
        self.regions().get_mut(place).is_some_and(|region| region.delete(name).is_ok())
    }
}

impl Aws {
    /// Executes one EKS operation.
    pub(crate) async fn eks_call(
        self: &Arc<Self>,
        number: u64,
        place: &AccountRegion,
        route: &Route,
        query: &str,
        body: &Bytes,
    ) -> Result<Value, AwsError> {
        let body: Value = if body.is_empty() {
            json!({})
        } else {
            serde_json::from_slice(body)
                .map_err(|error| AwsError::new(400, "SerializationException", error.to_string()))?
        };
        if route.action == "CreateCluster" {
            return self.create_cluster(place, &body).await;
        }
        let now = (self.clock)();
        let role_exists = |arn: &str| self.has_role(place, arn);
        let context = Context { place, now, making: self.eks.making(), role_exists: &role_exists };
        let mut regions = self.eks.regions();
        let region = regions.entry(place.clone()).or_default();
        match route.action {
            "ListClusters" => return region.list(&Params::parse(query.as_bytes())),
            "DescribeCluster" => return region.describe(&route.cluster),
            "DeleteCluster" => return region.delete(&route.cluster),
            _ => {}
        }
        let part = |region: &mut Region| region.part_call(&context, route, query, &body);
        let mut stale = self.eks.stale();
        let stale = stale.entry(place.clone()).or_default();
        if route.changes() {
            return stale.write(self.stale_reads(), region, part);
        }
        // A stale read shows an older state only of a cluster that exists in both states.
        let known = |region: &Region| route.cluster.starts_with("arn:") || region.clusters.contains_key(&route.cluster);
        match stale.read().filter(|before| known(before) && known(region)) {
            None => part(region),
            Some(before) => {
                self.gate.record_fault(number, "stale");
                part(before)
            }
        }
    }

    /// Whether the account has a role of this name. EKS ignores the role's path.
    fn has_role(&self, place: &AccountRegion, arn: &str) -> bool {
        let own = arn.starts_with(&format!("arn:{PARTITION}:iam::{}:role/", place.account));
        let name = arn.rsplit('/').next().unwrap_or_default();
        let found = if own { self.account(&place.account).iam().role_trust(name) } else { None };
        found.is_some_and(|role| !self.principals.is_unsettled(&role.arn))
    }
}

/// What operations on a cluster need from outside the cluster.
struct Context<'a> {
    place: &'a AccountRegion,
    now: Timestamp,
    making: Making,
    role_exists: &'a dyn Fn(&str) -> bool,
}

impl Region {
    /// Executes an operation on a cluster's associations, add-ons, access entries or tags.
    fn part_call(
        &mut self,
        context: &Context<'_>,
        route: &Route,
        query: &str,
        body: &Value,
    ) -> Result<Value, AwsError> {
        if matches!(route.action, "TagResource" | "UntagResource" | "ListTagsForResource") {
            return self.tagging(route, query, body);
        }
        let parameters = Params::parse(query.as_bytes());
        let cluster = self.cluster(&route.cluster)?;
        if cluster.making.goes_on() && route.action.starts_with("Create") {
            let text = format!("Cluster '{}' is not in ACTIVE status", route.cluster);
            return Err(AwsError::new(400, "InvalidRequestException", text));
        }
        match route.action {
            "CreatePodIdentityAssociation" => cluster.create_association(context, body),
            "ListPodIdentityAssociations" => cluster.list_associations(&parameters),
            "DescribePodIdentityAssociation" => cluster.describe_association(&route.item),
            "UpdatePodIdentityAssociation" => cluster.update_association(context, &route.item, body),
            "DeletePodIdentityAssociation" => cluster.delete_association(&route.item),
            "CreateAddon" => cluster.create_addon(context, body),
            "ListAddons" => cluster.list_addons(&parameters),
            "UpdateAddon" => cluster.update_addon(context, &route.item, body),
            "DescribeAddon" => cluster.describe_addon(&route.item),
            "DeleteAddon" => cluster.delete_addon(&route.item, &parameters),
            "CreateAccessEntry" => cluster.create_entry(context, body),
            "ListAccessEntries" => cluster.list_entries(&parameters),
            "DescribeAccessEntry" => cluster.describe_entry(&route.item),
            _ => cluster.delete_entry(&route.item),
        }
    }
}
