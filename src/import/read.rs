//! Reads what `import` needs. What cannot be read is listed in `Seen::unseen`, and does not hide the rest.

mod account;

use super::{Scope, Seen, SeenAssociation, SeenCluster};
use crate::event::{Event, Listen};
use crate::ids::{ClusterName, Key, Region};
use crate::model::desired::{Account, Cluster};
use crate::model::live::{Access, Identity, Observed};
use crate::model::pattern::Pattern;
use crate::model::refusal::Refusal;
use crate::world::{
    AssociationSummary, CallErrorKind, ClusterFacts, ListEks, MalformedServiceAccount, ReadAws, ReadAwsEvidence,
    ReadKubernetes, ServiceAccountList, ServiceAccountScope,
};
use account::{AccountRead, AccountReader};
use futures::future::{join, join_all, join3};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Semaphore;

/// At most this many associations are asked for their role, with one call each.
const ASKED_ASSOCIATIONS: usize = 8;

/// The names of the clusters in each account and region, and what could not be listed.
pub async fn cluster_names(
    regions: &[(Key, Region)],
    aws: &impl ListEks,
) -> (Vec<(Key, Region, ClusterName)>, Vec<String>) {
    let lists = join_all(regions.iter().map(|(account, region)| aws.cluster_names(account, region))).await;
    let (mut found, mut unseen) = (Vec::new(), Vec::new());
    for ((account, region), list) in regions.iter().zip(lists) {
        match list {
            Ok(names) => found.extend(names.into_iter().map(|name| (account.clone(), region.clone(), name))),
            Err(error) => unseen.push(format!("clusters of account `{account}` in {region}: {error}")),
        }
    }
    (found, unseen)
}

/// Where to read.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    /// The accounts.
    pub accounts: &'a BTreeMap<Key, Account>,
    /// Their identities.
    pub identities: &'a BTreeMap<Key, Access<Identity>>,
    /// The clusters.
    pub clusters: &'a BTreeMap<Key, Cluster>,
    /// How many objects of an account are read at the same time.
    pub parallelism: usize,
    /// Whether the configuration is new, so that a plan of it would delete what it does not declare and has the tag of
    /// its owner.
    pub is_new: bool,
}

/// Reads clusters, then the roles that belong to them. Clusters that EKS does not know are in the second value.
pub async fn world(
    targets: Targets<'_>,
    scope: &Scope,
    aws: &(impl ReadAws + ReadAwsEvidence + ListEks),
    kubernetes: &impl ReadKubernetes,
    listen: &dyn Listen,
) -> (Seen, Vec<Key>) {
    let Targets { accounts, identities, clusters, parallelism, is_new } = targets;
    let granted: BTreeMap<&Key, &Identity> = identities
        .iter()
        .filter_map(|(key, access)| match access {
            Access::Granted(identity) => Some((key, identity)),
            Access::Wrong(_) | Access::Unknown(_) => None,
        })
        .collect();
    listen.on(&Event::ReadStarted { places: clusters.len() + granted.len() });
    let mut seen = Seen::default();
    let mut missing = Vec::new();
    for (key, access) in identities {
        match access {
            Access::Granted(_) => {}
            Access::Wrong(Refusal { why, hint, .. }) => seen.unseen.push(format!("account `{key}`: {why}; {hint}")),
            Access::Unknown(why) => seen.unseen.push(format!("account `{key}`: {why}")),
        }
    }
    // the lists of roles do not wait for the clusters
    let policies = |key| async move { if is_new { Some(aws.policies(key).await) } else { None } };
    let lists = join_all(granted.keys().map(|key| join3(aws.roles(key), aws.providers(key), policies(key))));
    let read = clusters.iter().map(|(key, cluster)| async move {
        let read = one_cluster(key, cluster, scope, aws, kubernetes).await;
        let objects = match &read {
            ClusterRead::Read(cluster, _) => cluster.service_accounts.as_ref().map_or(0, Vec::len),
            ClusterRead::Missing | ClusterRead::Unknown(_) => 0,
        };
        listen.on(&Event::PlaceRead { place: format!("cluster/{key}"), objects });
        read
    });
    let (read, lists) = join(join_all(read), lists).await;
    for ((key, _), read) in clusters.iter().zip(read) {
        match read {
            ClusterRead::Read(cluster, unseen) => {
                seen.unseen.extend(unseen.into_iter().map(|why| format!("cluster `{key}`: {why}")));
                seen.clusters.insert(key.clone(), *cluster);
            }
            ClusterRead::Missing => missing.push(key.clone()),
            ClusterRead::Unknown(why) => seen.unseen.push(format!("cluster `{key}`: {why}")),
        }
    }
    associations(&mut seen, scope, aws).await;
    let known = &seen.clusters;
    let reads = granted.iter().zip(lists).map(|((key, identity), lists)| async move {
        let account = accounts.get(*key).cloned()?;
        let reader = AccountReader { key, identity, aws, scope, is_new, slots: Semaphore::new(parallelism.max(1)) };
        let read = reader.read(account, lists, known).await;
        let objects = read.account.roles.len() + read.account.policies.len() + read.account.providers.len();
        listen.on(&Event::PlaceRead { place: format!("account/{key}"), objects });
        Some(((*key).clone(), read))
    });
    let reads = join_all(reads).await;
    let mut namespaces = BTreeSet::new();
    for (key, AccountRead { account, unseen, trusted }) in reads.into_iter().flatten() {
        seen.unseen.extend(unseen.into_iter().map(|why| format!("account `{key}`: {why}")));
        seen.accounts.insert(key, account);
        namespaces.extend(trusted);
    }
    seen.unmatched = unmatched(&seen, scope, namespaces);
    listen.on(&Event::ReadFinished);
    (seen, missing)
}

/// Asks for the roles of the first selected associations.
async fn associations(seen: &mut Seen, scope: &Scope, aws: &impl ReadAwsEvidence) {
    let all = seen
        .clusters
        .iter_mut()
        .flat_map(|(key, cluster)| cluster.associations.iter_mut().map(move |item| (key, item)));
    let selected = all.filter(|(_, item)| scope.has_namespace(&item.summary.namespace)).take(ASKED_ASSOCIATIONS);
    let asked = selected.map(|(key, item)| async move {
        let answer = aws.association_role(key, &item.summary.id).await;
        let unseen = answer.as_ref().err().map(|error| {
            format!("cluster `{key}`: the role of pod identity association `{}`: {error}", item.summary.id)
        });
        item.role = match answer {
            Ok(Some(role)) => Observed::Present(role),
            Ok(None) => Observed::Absent,
            Err(error) => Observed::Unknown(error.to_string()),
        };
        unseen
    });
    let unseen: Vec<String> = join_all(asked).await.into_iter().flatten().collect();
    seen.unseen.extend(unseen);
}

/// The options with a glob that selects nothing. Empty if something could not be read.
fn unmatched(seen: &Seen, scope: &Scope, trusted: BTreeSet<String>) -> Vec<String> {
    let is_whole = seen.unseen.is_empty() && seen.clusters.values().all(|cluster| cluster.service_accounts.is_some());
    if !is_whole {
        return Vec::new();
    }
    let mut namespaces = trusted;
    for cluster in seen.clusters.values() {
        namespaces.extend(cluster.service_accounts.iter().flatten().map(|item| item.namespace.to_string()));
        namespaces.extend(cluster.associations.iter().map(|item| item.summary.namespace.clone()));
    }
    let names: Vec<&str> =
        seen.accounts.values().flat_map(|account| &account.roles).map(|role| role.role.name.as_str()).collect();
    let none_of = |pattern: &&Pattern, texts: &[&str]| !texts.iter().any(|text| pattern.matches(text));
    let all: Vec<&str> = namespaces.iter().map(String::as_str).collect();
    let of_namespaces = scope.namespaces.iter().filter(|pattern| none_of(pattern, &all));
    let of_namespaces = of_namespaces.map(|pattern| format!("--namespace '{}'", pattern.as_str()));
    let of_roles = scope.roles.iter().filter(|pattern| none_of(pattern, &names));
    of_namespaces.chain(of_roles.map(|pattern| format!("--role '{}'", pattern.as_str()))).collect()
}

enum ClusterRead {
    /// The cluster, and what of it could not be read.
    Read(Box<SeenCluster>, Vec<String>),
    Missing,
    Unknown(String),
}

async fn one_cluster(
    key: &Key,
    cluster: &Cluster,
    scope: &Scope,
    aws: &(impl ReadAws + ListEks),
    kubernetes: &impl ReadKubernetes,
) -> ClusterRead {
    let facts = match (&cluster.name, &cluster.issuer) {
        (Some(_), _) => aws.cluster(key).await,
        (None, issuer) => Ok(Some(ClusterFacts {
            issuer: issuer.clone(),
            endpoint: None,
            certificate_authority: None,
            status: String::new(),
        })),
    };
    let facts = match facts {
        Ok(Some(facts)) => facts,
        Ok(None) => return ClusterRead::Missing,
        Err(error) => return ClusterRead::Unknown(error.to_string()),
    };
    let Some(issuer) = facts.issuer.clone() else {
        return ClusterRead::Unknown(format!("EKS shows no issuer for it (its status is `{}`)", facts.status));
    };
    let associations = async {
        match &cluster.name {
            Some(_) => aws.associations(key).await,
            None => Ok(Vec::new()),
        }
    };
    let (associations, (list, mut unseen)) =
        join(associations, service_accounts(key, cluster, &facts, scope, kubernetes)).await;
    let associations = associations.unwrap_or_else(|error| {
        unseen.push(format!("pod identity associations: {error}"));
        Vec::new()
    });
    let unasked = |summary: AssociationSummary| {
        let name = cluster.name.as_ref().map_or(key.as_str(), ClusterName::as_str);
        let region = cluster.region.as_ref().map(|region| format!(" --region {region}")).unwrap_or_default();
        let why = format!(
            "irsa asks for {ASKED_ASSOCIATIONS}; see `aws eks describe-pod-identity-association --cluster-name {name}{region} \
             --association-id {}`",
            summary.id
        );
        SeenAssociation { summary, role: Observed::Unknown(why) }
    };
    let associations = associations.into_iter().map(unasked).collect();
    let malformed = list.iter().flat_map(|list| &list.malformed).map(|item| item.object.clone()).collect();
    let service_accounts = list.map(|list| list.items);
    let cluster = cluster.clone();
    ClusterRead::Read(Box::new(SeenCluster { cluster, issuer, service_accounts, malformed, associations }), unseen)
}

async fn service_accounts(
    key: &Key,
    cluster: &Cluster,
    facts: &ClusterFacts,
    scope: &Scope,
    kubernetes: &impl ReadKubernetes,
) -> (Option<ServiceAccountList>, Vec<String>) {
    if cluster.unmanaged {
        return (None, Vec::new());
    }
    if !cluster.has_api() {
        return (None, vec!["nothing says how to reach its API".to_owned()]);
    }
    match kubernetes.connect(key, facts).await {
        Access::Granted(()) => {}
        Access::Wrong(Refusal { why, hint, .. }) => return (None, vec![format!("{why}; {hint}")]),
        Access::Unknown(why) => return (None, vec![why]),
    }
    let list = match kubernetes.service_accounts(key, ServiceAccountScope::Cluster).await {
        Err(error) if error.kind == CallErrorKind::Denied => in_namespaces(key, scope, kubernetes).await.ok_or(error),
        other => other,
    };
    match list {
        Ok(list) => {
            let name = |item: &MalformedServiceAccount| match &item.object {
                Some((namespace, name)) => format!("ServiceAccount `{namespace}/{name}`"),
                None => "a ServiceAccount".to_owned(),
            };
            let unseen = list.malformed.iter().map(|item| format!("{}: {}", name(item), item.why)).collect();
            (Some(list), unseen)
        }
        Err(error) => (None, vec![error.to_string()]),
    }
}

/// The ServiceAccounts of the namespaces that `--namespace` names, where irsa may not list the whole cluster. None if
/// one is a pattern or cannot be listed.
async fn in_namespaces(key: &Key, scope: &Scope, kubernetes: &impl ReadKubernetes) -> Option<ServiceAccountList> {
    let namespaces = scope.namespaces.iter().map(|pattern| crate::ids::Namespace::parse(pattern.as_str()).ok());
    let namespaces: Vec<_> = namespaces.collect::<Option<_>>()?;
    if namespaces.is_empty() {
        return None;
    }
    let lists = namespaces.iter().map(|name| kubernetes.service_accounts(key, ServiceAccountScope::Namespace(name)));
    let mut all = ServiceAccountList::default();
    for list in join_all(lists).await {
        let list = list.ok()?;
        all.items.extend(list.items);
        all.malformed.extend(list.malformed);
    }
    Some(all)
}
