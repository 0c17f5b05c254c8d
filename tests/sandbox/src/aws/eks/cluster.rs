//! Clusters: create, describe, list and delete.

use super::access_entry::AccessEntry;
use super::addon::Addon;
use super::association::Association;
use super::page::page;
use super::{AccountRegion, Guests, Making, Region, in_use, input, invalid, letters, no_cluster, seconds};
use crate::aws::query::{AwsError, Params};
use crate::aws::{Aws, PARTITION};
use crate::kubernetes::{Authenticate, Cluster, ClusterOptions, Resource};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, PoisonError};

/// The Kubernetes version of a cluster whose request names none.
const VERSION: &str = "1.33";

/// A cluster.
#[derive(Debug, Clone)]
pub(super) struct EksCluster {
    pub(super) name: String,
    pub(super) place: AccountRegion,
    pub(super) arn: String,
    created: Timestamp,
    new: NewCluster,
    pub(super) kubernetes: Arc<Cluster>,
    guests: Guests,
    pub(super) making: Making,
    /// How many associations, add-ons and access entries were created so far. Their ids derive from it.
    pub(super) made: u64,
    pub(super) associations: BTreeMap<String, Association>,
    pub(super) addons: BTreeMap<String, Addon>,
    pub(super) entries: BTreeMap<String, AccessEntry>,
}

/// The parameters of CreateCluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewCluster {
    name: String,
    /// None makes the server generate one.
    issuer: Option<String>,
    version: String,
    role_arn: String,
    network: Value,
    mode: String,
    tags: BTreeMap<String, String>,
    request_token: Option<String>,
}

impl NewCluster {
    /// A cluster with default settings.
    pub(crate) fn named(name: &str, place: &AccountRegion, issuer: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            issuer,
            version: VERSION.to_owned(),
            role_arn: format!("arn:{PARTITION}:iam::{}:role/eks-cluster", place.account),
            network: json!({"subnetIds": ["subnet-0a", "subnet-0b"]}),
            mode: "API_AND_CONFIG_MAP".to_owned(),
            tags: BTreeMap::new(),
            request_token: None,
        }
    }

    fn read(body: &Value) -> Result<Self, AwsError> {
        let name = input::required(body, "name")?;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if name.len() > 100
            || !name.starts_with(|first: char| first.is_ascii_alphanumeric())
            || !name.chars().all(plain)
        {
            return Err(invalid(format!(
                "The cluster name '{name}' must be 1 to 100 characters and match ^[0-9A-Za-z][A-Za-z0-9\\-_]*$."
            )));
        }
        let role_arn = input::required(body, "roleArn")?;
        if !(role_arn.starts_with("arn:") && role_arn.contains(":role/")) {
            return Err(invalid("The roleArn is invalid."));
        }
        let subnets = body["resourcesVpcConfig"]["subnetIds"].as_array().map_or(0, Vec::len);
        if subnets < 2 {
            return Err(invalid("Subnets specified must be in at least two different AZs."));
        }
        let mode = input::text(&body["accessConfig"], "authenticationMode").unwrap_or("CONFIG_MAP");
        if !["API", "API_AND_CONFIG_MAP", "CONFIG_MAP"].contains(&mode) {
            return Err(invalid(format!("The authenticationMode {mode} is invalid.")));
        }
        Ok(Self {
            name: name.to_owned(),
            issuer: None,
            version: input::text(body, "version").unwrap_or(VERSION).to_owned(),
            role_arn: role_arn.to_owned(),
            network: body["resourcesVpcConfig"].clone(),
            mode: mode.to_owned(),
            tags: input::tags(body)?,
            request_token: input::text(body, "clientRequestToken").map(str::to_owned),
        })
    }
}

impl EksCluster {
    pub(super) fn show(&self) -> Value {
        let mut shown = self.show_creating();
        shown["status"] = json!("ACTIVE");
        shown["endpoint"] = json!(self.kubernetes.endpoint());
        shown["certificateAuthority"] = json!({"data": self.kubernetes.certificate_authority_data()});
        shown["identity"] = json!({"oidc": {"issuer": self.kubernetes.issuer()}});
        shown
    }

    /// The cluster as CreateCluster returns it, without the fields that exist only later.
    fn show_creating(&self) -> Value {
        let NewCluster { version, role_arn, network, mode, tags, .. } = &self.new;
        let list = |name: &str| network[name].as_array().cloned().unwrap_or_default();
        let switch = |name: &str, otherwise: bool| network[name].as_bool().unwrap_or(otherwise);
        json!({
            "name": self.name,
            "arn": self.arn,
            "createdAt": seconds(self.created),
            "version": version,
            "roleArn": role_arn,
            "resourcesVpcConfig": {
                "subnetIds": list("subnetIds"),
                "securityGroupIds": list("securityGroupIds"),
                "vpcId": format!("vpc-{}", letters(&self.arn, b"0123456789abcdef", 17)),
                "endpointPublicAccess": switch("endpointPublicAccess", true),
                "endpointPrivateAccess": switch("endpointPrivateAccess", false),
                "publicAccessCidrs": ["0.0.0.0/0"],
            },
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4"},
            "logging": {"clusterLogging": []},
            "status": "CREATING",
            "platformVersion": "eks.1",
            "tags": tags,
            "accessConfig": {"authenticationMode": mode},
        })
    }

    pub(super) fn tags(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.new.tags
    }

    pub(super) fn mode(&self) -> &str {
        &self.new.mode
    }

    pub(super) fn grant_access(&self, principal: &str) {
        self.guests.write().unwrap_or_else(PoisonError::into_inner).insert(principal.to_owned());
    }

    pub(super) fn guests(&self) -> BTreeSet<String> {
        self.guests.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_guests(&self, guests: BTreeSet<String>) {
        *self.guests.write().unwrap_or_else(PoisonError::into_inner) = guests;
    }

    pub(super) fn turn_away(&self, principal: &str) {
        self.guests.write().unwrap_or_else(PoisonError::into_inner).remove(principal);
    }
}

impl Region {
    pub(super) fn cluster(&mut self, name: &str) -> Result<&mut EksCluster, AwsError> {
        self.clusters.get_mut(name).ok_or_else(|| no_cluster(name))
    }

    fn check_name_is_free(&self, name: &str) -> Result<(), AwsError> {
        match self.clusters.get(name) {
            None => Ok(()),
            Some(_) => Err(in_use(format!("Cluster already exists with name: {name}"))),
        }
    }

    /// DescribeCluster. Each call counts towards the cluster becoming ACTIVE.
    pub(super) fn describe(&mut self, name: &str) -> Result<Value, AwsError> {
        let cluster = self.cluster(name)?;
        let shown = if cluster.making.look() == "ACTIVE" { cluster.show() } else { cluster.show_creating() };
        Ok(json!({"cluster": shown}))
    }

    pub(super) fn list(&self, query: &Params) -> Result<Value, AwsError> {
        page("clusters", &self.clusters, query, |name, _| Some(json!(name)))
    }

    pub(super) fn delete(&mut self, name: &str) -> Result<Value, AwsError> {
        if self.cluster(name)?.making.goes_on() {
            return Err(in_use(format!("Cannot delete because cluster {name} currently is being created")));
        }
        let cluster = self.clusters.remove(name).ok_or_else(|| no_cluster(name))?;
        cluster.kubernetes.stop();
        let mut shown = cluster.show();
        shown["status"] = json!("DELETING");
        Ok(json!({"cluster": shown}))
    }
}

impl Aws {
    pub(super) async fn create_cluster(
        self: &Arc<Self>,
        place: &AccountRegion,
        body: &Value,
    ) -> Result<Value, AwsError> {
        let new = NewCluster::read(body)?;
        let name = new.name.clone();
        // A retry with the same client request token gets the same answer.
        let again = |cluster: &&mut EksCluster| cluster.new.request_token.is_some() && cluster.new == new;
        if let Some(made) = self.eks.regions().entry(place.clone()).or_default().cluster(&name).ok().filter(again) {
            return Ok(json!({"cluster": made.show_creating()}));
        }
        self.add_cluster(place, new).await?;
        let mut regions = self.eks.regions();
        let made = regions.entry(place.clone()).or_default().cluster(&name)?;
        Ok(json!({"cluster": made.show_creating()}))
    }

    /// Creates a cluster and starts its API.
    pub(crate) async fn add_cluster(
        self: &Arc<Self>,
        place: &AccountRegion,
        new: NewCluster,
    ) -> Result<Arc<Cluster>, AwsError> {
        let arn = place.arn(format_args!("cluster/{}", new.name));
        let issuer = {
            let mut regions = self.eks.regions();
            let region = regions.entry(place.clone()).or_default();
            region.check_name_is_free(&new.name)?;
            region.made += 1;
            let id = letters(&format!("{arn}/{}", region.made), b"0123456789ABCDEF", 32);
            let made_up = || format!("https://oidc.eks.{}.amazonaws.com/id/{id}", place.region);
            new.issuer.clone().unwrap_or_else(made_up)
        };
        let guests = Guests::default();
        let started = self.start_kubernetes(place, &new.name, issuer, Arc::clone(&guests)).await;
        let kubernetes = Arc::new(started.map_err(|error| AwsError::new(500, "ServerException", error.to_string()))?);
        let webhook = webhook(&kubernetes.certificate_authority_data());
        let seeded = kubernetes.with(|store| store.seed(Resource::MutatingWebhooks, "", webhook, "eks-webhook"));
        seeded.map_err(|refusal| AwsError::new(500, "ServerException", refusal.message))?;
        kubernetes.stale_reads(self.stale_reads());
        let cluster = EksCluster {
            name: new.name.clone(),
            place: place.clone(),
            arn,
            created: (self.clock)(),
            kubernetes: Arc::clone(&kubernetes),
            guests,
            making: self.eks.making(),
            made: 0,
            associations: BTreeMap::new(),
            addons: BTreeMap::new(),
            entries: BTreeMap::new(),
            new,
        };
        let mut regions = self.eks.regions();
        let region = regions.entry(place.clone()).or_default();
        // Another request may have created the name while the API started.
        region.check_name_is_free(&cluster.name)?;
        region.clusters.insert(cluster.name.clone(), cluster);
        Ok(kubernetes)
    }

    async fn start_kubernetes(
        self: &Arc<Self>,
        place: &AccountRegion,
        name: &str,
        issuer: String,
        guests: Guests,
    ) -> io::Result<Cluster> {
        let (aws, account, own_name) = (Arc::downgrade(self), place.account.clone(), name.to_owned());
        let authenticate: Authenticate = Arc::new(move |token| {
            let caller = aws.upgrade()?.token_holder(token, &own_name)?;
            let guest = || guests.read().unwrap_or_else(PoisonError::into_inner).contains(&caller.principal);
            (caller.account == account || guest()).then_some(caller.principal)
        });
        let options = ClusterOptions {
            name: name.to_owned(),
            issuer,
            authenticate: Some(authenticate),
            clock: Arc::clone(&self.clock),
            ..ClusterOptions::default()
        };
        Cluster::start(options).await
    }
}

/// The configuration of the pod identity webhook, as EKS creates it in each cluster. The webhook runs in the control
/// plane, with a certificate of the cluster's authority
/// (<https://github.com/aws/amazon-eks-pod-identity-webhook>).
fn webhook(authority: &str) -> Value {
    json!({
        "metadata": {"name": "pod-identity-webhook"},
        "webhooks": [{
            "name": "iam-for-pods.amazonaws.com",
            "admissionReviewVersions": ["v1beta1"],
            "clientConfig": {"url": "https://127.0.0.1:23443/mutate", "caBundle": authority},
            "failurePolicy": "Ignore", "matchPolicy": "Equivalent", "reinvocationPolicy": "IfNeeded",
            "namespaceSelector": {},
            "objectSelector": {
                "matchExpressions": [{"key": "eks.amazonaws.com/skip-pod-identity-webhook", "operator": "DoesNotExist"}],
            },
            "rules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"},
            ],
            "sideEffects": "None", "timeoutSeconds": 10,
        }],
    })
}
