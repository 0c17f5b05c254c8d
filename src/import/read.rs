//! Reads what `import` needs. What cannot be read is listed in `Seen::unseen`, and does not hide the rest.

use super::{Scope, Seen, SeenAccount, SeenCluster, select};
use crate::event::{Event, Listen};
use crate::ids::{ClusterName, Key, PolicyArn, ProviderArn, Region};
use crate::model::desired::{Account, Cluster};
use crate::model::live::{Access, Identity, LivePolicy, LiveRole, LiveServiceAccount, RoleSummary};
use crate::model::refusal::Refusal;
use crate::world::{
    CallErrorKind, ClusterFacts, ListEks, MalformedServiceAccount, ReadAws, ReadKubernetes, RoleDetail,
    ServiceAccountList, ServiceAccountScope,
};
use futures::future::{join, join_all};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Semaphore;

/// Up to this many roles are read one by one, with four calls each. More are read in bulk, a thousand in one call.
const FEW_ROLES: usize = 30;

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
}

/// Reads clusters, then the roles that belong to them. Clusters that EKS does not know are in the second value.
pub async fn world(
    targets: Targets<'_>,
    scope: &Scope,
    aws: &(impl ReadAws + ListEks),
    kubernetes: &impl ReadKubernetes,
    listen: &dyn Listen,
) -> (Seen, Vec<Key>) {
    let Targets { accounts, identities, clusters, parallelism } = targets;
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
    let lists = join_all(granted.keys().map(|key| join(aws.roles(key), aws.providers(key))));
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
    let known = &seen.clusters;
    let reads = granted.iter().zip(lists).map(|((key, identity), (roles, providers))| async move {
        let mut unseen = Vec::new();
        let roles = roles.unwrap_or_else(|error| {
            unseen.push(format!("roles: {error}"));
            Vec::new().into()
        });
        unseen.extend(roles.malformed.iter().map(|entry| format!("role `{}`: {}", entry.name, entry.why)));
        let providers: Option<BTreeSet<ProviderArn>> = match providers {
            Ok(list) => Some(list.items.into_iter().collect()),
            Err(error) => {
                unseen.push(format!("OIDC providers: {error}"));
                None
            }
        };
        let listed_providers = providers.clone();
        let reader = AccountReader { key, aws, slots: Semaphore::new(parallelism.max(1)) };
        let selected = select::roles(&roles.items, identity, known, scope);
        let issuers: BTreeSet<&str> = known.values().map(|cluster| cluster.issuer.host_path()).collect();
        let providers = providers.into_iter().flatten().filter(|arn| issuers.contains(arn.host_path())).collect();
        let read = join(reader.roles(&selected), reader.providers(providers)).await;
        let ((roles, no_roles), (providers, no_providers)) = read;
        let attached: BTreeSet<&PolicyArn> =
            roles.iter().flat_map(|role| &role.role.attached).filter(|arn| arn.account() != "aws").collect();
        let (policies, no_policies) = reader.policies(attached).await;
        unseen.extend(no_roles.into_iter().chain(no_providers).chain(no_policies));
        let objects = roles.len() + policies.len() + providers.len();
        listen.on(&Event::PlaceRead { place: format!("account/{key}"), objects });
        let account = accounts.get(*key).cloned();
        let account = account.map(|account| SeenAccount {
            account,
            identity: (*identity).clone(),
            roles,
            policies,
            providers,
            listed_providers,
        });
        ((*key).clone(), account, unseen)
    });
    let reads = join_all(reads).await;
    for (key, account, unseen) in reads {
        seen.unseen.extend(unseen.into_iter().map(|why| format!("account `{key}`: {why}")));
        seen.accounts.extend(account.map(|account| (key, account)));
    }
    listen.on(&Event::ReadFinished);
    (seen, missing)
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
    let (associations, (service_accounts, mut unseen)) =
        join(associations, service_accounts(key, cluster, &facts, scope, kubernetes)).await;
    let associations = associations.unwrap_or_else(|error| {
        unseen.push(format!("pod identity associations: {error}"));
        Vec::new()
    });
    let cluster = cluster.clone();
    ClusterRead::Read(Box::new(SeenCluster { cluster, issuer, service_accounts, associations }), unseen)
}

async fn service_accounts(
    key: &Key,
    cluster: &Cluster,
    facts: &ClusterFacts,
    scope: &Scope,
    kubernetes: &impl ReadKubernetes,
) -> (Option<Vec<LiveServiceAccount>>, Vec<String>) {
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
        Ok(ServiceAccountList { items, malformed }) => {
            let name = |item: &MalformedServiceAccount| match &item.object {
                Some((namespace, name)) => format!("ServiceAccount `{namespace}/{name}`"),
                None => "a ServiceAccount".to_owned(),
            };
            let unseen = malformed.iter().map(|item| format!("{}: {}", name(item), item.why)).collect();
            (Some(items), unseen)
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

struct AccountReader<'a, A> {
    key: &'a Key,
    aws: &'a A,
    slots: Semaphore,
}

/// The objects that were read, and what could not be read.
type Objects<T> = (T, Vec<String>);

impl<A: ReadAws> AccountReader<'_, A> {
    async fn object<T>(&self, read: impl Future<Output = T>) -> T {
        // never closed
        let _slot = self.slots.acquire().await;
        read.await
    }

    /// Reads the roles in full, in bulk if they are many.
    async fn roles(&self, selected: &[&RoleSummary]) -> Objects<Vec<LiveRole>> {
        let mut bulk = if selected.len() > FEW_ROLES { self.bulk(selected).await } else { BTreeMap::new() };
        let mut roles = Vec::new();
        let mut left = Vec::new();
        for summary in selected {
            match bulk.remove(&summary.name.lower_case()).map(|detail| detail.joined(summary)) {
                Some(Ok(role)) => roles.push(role),
                Some(Err(_)) | None => left.push(*summary),
            }
        }
        let none = BTreeSet::new();
        let read = left.iter().map(|summary| self.object(self.aws.role(self.key, &summary.name, &none)));
        let mut unseen = Vec::new();
        for (summary, read) in left.iter().zip(join_all(read).await) {
            match read {
                Ok(role) => roles.extend(role),
                Err(error) => unseen.push(format!("role `{}`: {error}", summary.name)),
            }
        }
        (roles, unseen)
    }

    /// The pages of GetAccountAuthorizationDetails, up to the last selected role. Stops at the first error: the roles that
    /// are missing are read one by one.
    async fn bulk(&self, selected: &[&RoleSummary]) -> BTreeMap<String, RoleDetail> {
        let names: BTreeSet<String> = selected.iter().map(|summary| summary.name.lower_case()).collect();
        let mut found = BTreeMap::new();
        let mut page = None;
        while let Ok(read) = self.aws.bulk_page(self.key, page.as_deref()).await {
            let roles = read.roles.into_iter().map(|role| (role.name.lower_case(), role));
            found.extend(roles.filter(|(name, _)| names.contains(name)));
            page = read.next;
            if page.is_none() || found.len() == names.len() {
                break;
            }
        }
        found
    }

    async fn providers(&self, arns: Vec<ProviderArn>) -> Objects<BTreeMap<ProviderArn, BTreeSet<String>>> {
        let read = join_all(arns.iter().map(|arn| self.object(self.aws.provider(self.key, arn)))).await;
        let (mut providers, mut unseen) = (BTreeMap::new(), Vec::new());
        for (arn, read) in arns.into_iter().zip(read) {
            match read {
                Ok(Some(live)) => drop(providers.insert(arn, live.provider.audiences)),
                Ok(None) => {}
                Err(error) => unseen.push(format!("`{arn}`: {error}")),
            }
        }
        (providers, unseen)
    }

    async fn policies(&self, arns: BTreeSet<&PolicyArn>) -> Objects<BTreeMap<PolicyArn, LivePolicy>> {
        let read = join_all(arns.iter().map(|arn| self.object(self.aws.policy(self.key, arn)))).await;
        let (mut policies, mut unseen) = (BTreeMap::new(), Vec::new());
        for (arn, read) in arns.into_iter().zip(read) {
            match read {
                Ok(Some(live)) => drop(policies.insert(arn.clone(), live)),
                Ok(None) => {}
                Err(error) => unseen.push(format!("policy `{arn}`: {error}; roles attach it by its ARN")),
            }
        }
        (policies, unseen)
    }
}
