//! Reads clusters: issuer and endpoint, ServiceAccounts, and the namespaces and pods that the plan needs.

use super::{ReadOptions, is_ours, observed};
use crate::ids::{IssuerUrl, Key, Namespace, ServiceAccountName};
use crate::model::desired::{Cluster, Desired, Manage, Subject};
use crate::model::live::{Access, Extent, Identity, LiveCluster, LiveServiceAccount, Observed};
use crate::model::marks::{CREATED, ROLE_ARN};
use crate::world::{
    Answer, CallErrorKind, ClusterFacts, MalformedServiceAccount, ReadKubernetes, ServiceAccountList,
    ServiceAccountScope,
};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Up to this many namespaces, irsa reads them one by one. For more, one list is cheaper.
const FEW_NAMESPACES: usize = 3;

/// Up to this many declared ServiceAccounts are read by name if the list of all is long.
const FEW_DECLARED: usize = 10;

/// A list is long if more than this many objects remain after its first page: ten pages, which irsa must request one
/// after the other.
const LONG_LIST: i64 = 5_000;

/// The facts of a cluster, checked against its declaration.
#[derive(Clone)]
pub(super) struct Described {
    pub(super) facts: Observed<ClusterFacts>,
    /// The issuer that EKS shows, if it is not the declared one. `facts` are then unknown.
    other_issuer: Option<IssuerUrl>,
}

/// The issuer and endpoint of a cluster, from DescribeCluster (`describe_call`). Its issuer is compared with the declared
/// one.
pub(super) async fn describe(
    cluster: &Cluster,
    identity: Option<&Access<Identity>>,
    describe_call: impl Future<Output = Answer<Option<ClusterFacts>>>,
) -> Described {
    let facts = match without_call(cluster, identity) {
        Some(facts) => facts,
        None => match observed(describe_call.await) {
            Observed::Present(ClusterFacts { issuer: None, status, .. }) => {
                Observed::Unknown(format!("EKS shows no issuer for it, its status is `{status}`"))
            }
            other => other,
        },
    };
    let live = facts.present().and_then(|facts| facts.issuer.clone());
    match live.zip(cluster.issuer.as_ref()) {
        Some((live, declared)) if live != *declared => {
            let why = format!("EKS says that its issuer is `{live}`, but the declared issuer is `{declared}`");
            Described { facts: Observed::Unknown(why), other_issuer: Some(live) }
        }
        _ => Described { facts, other_issuer: None },
    }
}

/// The facts of a cluster for which irsa does not call DescribeCluster: the declared issuer if the cluster has no EKS
/// name, unknown if its account was not read. None if irsa must call DescribeCluster.
fn without_call(cluster: &Cluster, identity: Option<&Access<Identity>>) -> Option<Observed<ClusterFacts>> {
    if cluster.name.is_none() {
        return Some(match &cluster.issuer {
            Some(issuer) => Observed::Present(ClusterFacts {
                issuer: Some(issuer.clone()),
                endpoint: None,
                certificate_authority: None,
                status: String::new(),
            }),
            None => Observed::Unknown("it has neither a name nor an issuer".to_owned()),
        });
    }
    match identity {
        Some(Access::Granted(_)) => None,
        // the account itself reports the reason
        Some(Access::Wrong(_) | Access::Unknown(_)) | None => {
            Some(Observed::Unknown(format!("its account `{}` was not read", cluster.account)))
        }
    }
}

type NamespacedName = (Namespace, ServiceAccountName);
type ServiceAccounts = BTreeMap<NamespacedName, Observed<LiveServiceAccount>>;

/// What all reads of one cluster's API share.
struct ClusterReader<'a, K> {
    key: &'a Key,
    desired: &'a Desired,
    kubernetes: &'a K,
    /// Whether the plan deletes everything.
    destroy: bool,
    /// The declared ServiceAccounts, each with whether irsa manages the object.
    declared: BTreeMap<NamespacedName, bool>,
}

/// What is known of a cluster before irsa reads its API, or if irsa does not read it.
pub(super) fn unread(Described { facts, other_issuer }: &Described) -> LiveCluster {
    let (issuer, api) = match facts {
        Observed::Present(facts) => {
            (facts.issuer.clone().map_or(Observed::Absent, Observed::Present), "irsa does not read its Kubernetes API")
        }
        Observed::Absent => (Observed::Absent, "EKS has no such cluster"),
        Observed::Unknown(why) => (Observed::Unknown(why.clone()), why.as_str()),
    };
    LiveCluster {
        issuer,
        other_issuer: other_issuer.clone(),
        api: Access::Unknown(api.to_owned()),
        extent: Extent::Named,
        namespaces: BTreeMap::new(),
        service_accounts: BTreeMap::new(),
    }
}

/// Reads the cluster. Every active cluster with an API is read, even without a binding, to find undeclared
/// ServiceAccounts.
pub(super) async fn read<K: ReadKubernetes>(
    key: &Key,
    desired: &Desired,
    described: Described,
    kubernetes: &K,
    options: &ReadOptions,
) -> LiveCluster {
    let mut live = unread(&described);
    let Observed::Present(facts) = described.facts else { return live };
    if !desired.clusters.get(key).is_some_and(Cluster::has_api) {
        return live;
    }
    live.api = kubernetes.connect(key, &facts).await;
    if live.api != Access::Granted(()) {
        return live;
    }
    let declared = declared(key, desired);
    let reader = ClusterReader { key, desired, kubernetes, destroy: options.destroy, declared };
    reader.read_service_accounts(&mut live).await;
    if live.api == Access::Granted(()) {
        reader.read_namespaces(&mut live).await;
        reader.read_pods(&mut live).await;
    }
    live
}

/// Lists all ServiceAccounts of a cluster of which irsa has read only its own and the declared ones.
pub(super) async fn read_rest<K: ReadKubernetes>(key: &Key, kubernetes: &K, live: &mut LiveCluster) {
    match kubernetes.service_accounts(key, ServiceAccountScope::Cluster).await {
        Ok(list) => {
            live.extent = extent(&list);
            // keeps the ServiceAccounts that were read before, because their pods were read too
            for (name, seen) in by_name(list, may_name_role) {
                live.service_accounts.entry(name).or_insert(seen);
            }
        }
        Err(error) => live.api = Access::Unknown(error.to_string()),
    }
}

fn declared(key: &Key, desired: &Desired) -> BTreeMap<NamespacedName, bool> {
    let bindings = desired.roles.values().flat_map(|role| &role.bindings).filter(|binding| &binding.cluster == key);
    bindings
        .filter_map(|binding| match &binding.subject {
            Subject::Exact(namespace, name) => {
                Some(((namespace.clone(), name.clone()), binding.manage != Manage::None))
            }
            Subject::Wildcard { .. } => None,
        })
        .collect()
}

impl<K: ReadKubernetes> ClusterReader<'_, K> {
    /// Reads all ServiceAccounts. If the list is long ([`LONG_LIST`]) and few are declared, reads only the declared
    /// ones and this owner's (not with `--destroy`). Without permission to list the cluster, lists the ServiceAccounts
    /// of each declared namespace. Without permission for that too, reads the declared ServiceAccounts one by one.
    async fn read_service_accounts(&self, live: &mut LiveCluster) {
        let max_remaining = if self.destroy || self.declared.len() > FEW_DECLARED { i64::MAX } else { LONG_LIST };
        match self.kubernetes.service_accounts_unless_long(self.key, max_remaining).await {
            Ok(Some(list)) => {
                live.extent = extent(&list);
                live.service_accounts = self.relevant(list, |_| true).await;
            }
            Ok(None) => self.read_ours(live).await,
            Err(error) if error.kind == CallErrorKind::Denied => {
                let namespaces: BTreeSet<&Namespace> = self.declared.keys().map(|(namespace, _)| namespace).collect();
                let read = namespaces.into_iter().map(|namespace| self.in_namespace(namespace));
                live.service_accounts = join_all(read).await.into_iter().flatten().collect();
            }
            Err(error) => live.api = Access::Unknown(error.to_string()),
        }
    }

    /// The ServiceAccounts of a list. `within` says which names the list covers. Keeps an entry that irsa cannot parse
    /// if it is declared, may have this owner's label or may name a role. An entry without a readable name may be any
    /// declared ServiceAccount, so irsa then reads each missing declared one by name.
    async fn relevant(&self, list: ServiceAccountList, within: impl Fn(&NamespacedName) -> bool) -> ServiceAccounts {
        let has_nameless = list.malformed.iter().any(|item| item.object.is_none());
        let is_relevant = |item: &MalformedServiceAccount| {
            item.labels.as_ref().is_none_or(|labels| is_ours(self.desired, labels))
                || may_name_role(item)
                || item.object.as_ref().is_some_and(|name| self.declared.contains_key(name))
        };
        let mut read: ServiceAccounts = by_name(list, is_relevant).collect();
        if has_nameless {
            let missing = self.declared.keys().filter(|name| within(name) && !read.contains_key(*name));
            let missing = join_all(missing.map(|name| self.one(name))).await;
            read.extend(missing);
        }
        read
    }

    /// Reads the ServiceAccounts with this owner's label, and the declared ones, which may not have it yet.
    async fn read_ours(&self, live: &mut LiveCluster) {
        tracing::info!(
            "cluster/{}: it has more than {LONG_LIST} ServiceAccounts, so irsa reads only its own and the {} declared ones",
            self.key,
            self.declared.len()
        );
        let ours = ServiceAccountScope::Owner(&self.desired.owner);
        match self.kubernetes.service_accounts(self.key, ours).await {
            Ok(list) => live.service_accounts = by_name(list, |_| true).collect(),
            Err(error) => {
                live.api = Access::Unknown(error.to_string());
                return;
            }
        }
        live.extent = Extent::Ours;
        let missing = self.declared.keys().filter(|name| !live.service_accounts.contains_key(name));
        let missing = join_all(missing.map(|name| self.one(name))).await;
        live.service_accounts.extend(missing);
    }

    async fn one(&self, object: &NamespacedName) -> (NamespacedName, Observed<LiveServiceAccount>) {
        let (namespace, name) = object;
        (object.clone(), observed(self.kubernetes.service_account(self.key, namespace, name).await))
    }

    /// The ServiceAccounts of one declared namespace.
    async fn in_namespace(&self, namespace: &Namespace) -> ServiceAccounts {
        let declared = self.declared.keys().filter(|(declared, _)| declared == namespace);
        match self.kubernetes.service_accounts(self.key, ServiceAccountScope::Namespace(namespace)).await {
            Ok(list) => {
                let read = self.relevant(list, |(of, _)| of == namespace).await;
                let absent = declared.map(|name| (name.clone(), Observed::Absent));
                absent.chain(read).collect()
            }
            Err(error) if error.kind == CallErrorKind::Denied => {
                join_all(declared.map(|name| self.one(name))).await.into_iter().collect()
            }
            Err(error) => declared.map(|name| (name.clone(), Observed::Unknown(error.to_string()))).collect(),
        }
    }

    /// Reads the namespaces in which a managed ServiceAccount is missing.
    async fn read_namespaces(&self, live: &mut LiveCluster) {
        let missing = self.declared.iter().filter(|(name, managed)| {
            **managed
                && match live.service_accounts.get(*name) {
                    Some(Observed::Absent) => true,
                    Some(Observed::Present(_) | Observed::Unknown(_)) => false,
                    None => live.extent.shows_missing(),
                }
        });
        let needed: BTreeSet<&Namespace> = missing.map(|((namespace, _), _)| namespace).collect();
        if needed.len() > FEW_NAMESPACES {
            let listed = self.kubernetes.namespaces(self.key).await;
            if !listed.as_ref().is_err_and(|error| error.kind == CallErrorKind::Denied) {
                let phase = |name: &Namespace| match &listed {
                    Ok(listed) => listed.get(name).map_or(Observed::Absent, |phase| Observed::Present(*phase)),
                    Err(error) => Observed::Unknown(error.to_string()),
                };
                live.namespaces = needed.into_iter().map(|name| (name.clone(), phase(name))).collect();
                return;
            }
        }
        let read = needed.into_iter().map(|namespace| async move {
            (namespace.clone(), observed(self.kubernetes.namespace(self.key, namespace).await))
        });
        live.namespaces = join_all(read).await.into_iter().collect();
    }

    /// Reads the pods of the ServiceAccounts that may be deleted: created by irsa, with this owner's label, and no
    /// longer declared (with `--destroy`, declared ones too).
    async fn read_pods(&self, live: &mut LiveCluster) {
        let read = live.service_accounts.iter_mut().filter_map(|(name, seen)| {
            let Observed::Present(item) = seen else { return None };
            let created = item.annotations.get(CREATED).is_some_and(|value| value == "true");
            let undeclared = self.destroy || !self.declared.contains_key(name);
            (created && undeclared && is_ours(self.desired, &item.labels)).then_some(async move {
                let pods = self.kubernetes.pods(self.key, &item.namespace, &item.name).await;
                item.pods = Some(observed(pods.map(Some)));
            })
        });
        join_all(read).await;
    }
}

/// The entries of a list by name. Those that irsa cannot parse are unknown if they have a name and are `relevant`.
fn by_name(
    list: ServiceAccountList,
    relevant: impl Fn(&MalformedServiceAccount) -> bool,
) -> impl Iterator<Item = (NamespacedName, Observed<LiveServiceAccount>)> {
    let items = list.items.into_iter();
    let items = items.map(|item| ((item.namespace.clone(), item.name.clone()), Observed::Present(item)));
    let malformed = list.malformed.into_iter().filter(move |item| relevant(item));
    items.chain(malformed.filter_map(|item| Some((item.object?, Observed::Unknown(item.why)))))
}

/// Whether a ServiceAccount that irsa cannot parse may name a role.
fn may_name_role(item: &MalformedServiceAccount) -> bool {
    item.object.is_none() || item.annotations.as_ref().is_none_or(|annotations| annotations.contains_key(ROLE_ARN))
}

/// Whether the list shows every ServiceAccount of the cluster that names a role.
fn extent(list: &ServiceAccountList) -> Extent {
    if list.malformed.iter().any(may_name_role) { Extent::Understood } else { Extent::Whole }
}

/// The number of ServiceAccounts of the cluster with this owner's label.
pub(super) fn count_ours(desired: &Desired, live: &LiveCluster) -> usize {
    let seen = live.service_accounts.values().filter_map(Observed::present);
    seen.filter(|item| is_ours(desired, &item.labels)).count()
}
