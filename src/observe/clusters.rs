//! Clusters: what identifies them, and their ServiceAccounts.

use super::limiter::Limiter;
use super::{ReadOptions, is_ours, observed};
use crate::ids::{Key, Namespace, ServiceAccountName};
use crate::model::desired::{Cluster, Desired, Manage, Subject};
use crate::model::live::{Access, Extent, Identity, LiveCluster, LiveServiceAccount, Observed};
use crate::model::marks::{CREATED, ROLE_ARN};
use crate::world::{
    Answer, CallErrorKind, ClusterFacts, MalformedServiceAccount, ReadKubernetes, ServiceAccountList,
    ServiceAccountScope,
};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Above so many namespaces to ask for, one list is cheaper than a look at each.
const FEW_NAMESPACES: usize = 3;

/// So many declared ServiceAccounts are asked for by name where the list of all is long: in two rounds, the label's list
/// and what it lacks.
const HANDFUL: usize = 10;

/// A list is long if more than so many objects are left after its first page: ten pages, each after the other.
const LONG: i64 = 5_000;

/// What identifies a cluster: from EKS, which is what `described` asks, or from the file where the cluster has only an
/// issuer.
pub(super) async fn facts(
    cluster: &Cluster,
    identity: Option<&Access<Identity>>,
    described: impl Future<Output = Answer<Option<ClusterFacts>>>,
) -> Observed<ClusterFacts> {
    if cluster.name.is_none() {
        return match &cluster.issuer {
            Some(issuer) => Observed::Present(ClusterFacts {
                issuer: Some(issuer.clone()),
                endpoint: None,
                certificate_authority: None,
                status: String::new(),
            }),
            None => Observed::Unknown("it has neither a name nor an issuer".to_owned()),
        };
    }
    match identity {
        Some(Access::Granted(_)) => {}
        // why, the account's own entry says
        Some(Access::Wrong(..) | Access::Unknown(_)) | None => {
            return Observed::Unknown(format!("its account `{}` was not read", cluster.account));
        }
    }
    match observed(described.await) {
        Observed::Present(facts) => checked(cluster, facts),
        other => other,
    }
}

fn checked(cluster: &Cluster, facts: ClusterFacts) -> Observed<ClusterFacts> {
    match (&facts.issuer, &cluster.issuer) {
        (None, _) => Observed::Unknown(format!("EKS shows no issuer for it, its status is `{}`", facts.status)),
        (Some(told), Some(declared)) if told != declared => {
            Observed::Unknown(format!("EKS says that its issuer is `{told}`, declared is `{declared}`"))
        }
        _ => Observed::Present(facts),
    }
}

/// A ServiceAccount's place in a cluster.
type NamespacedName = (Namespace, ServiceAccountName);

/// Everything that one cluster's API is asked for.
struct ClusterReader<'a, K> {
    key: &'a Key,
    desired: &'a Desired,
    kubernetes: &'a K,
    limiter: Limiter,
    /// The declared ServiceAccounts, and whether irsa looks after the object.
    declared: BTreeMap<NamespacedName, bool>,
}

/// Reads the cluster. Every active one that has an API is listed, whether or not a binding names it: what is left over
/// must be found.
pub(super) async fn read<K: ReadKubernetes>(
    key: &Key,
    desired: &Desired,
    facts: Observed<ClusterFacts>,
    kubernetes: &K,
    looks: &ReadOptions,
) -> LiveCluster {
    let mut live = LiveCluster {
        issuer: Observed::Absent,
        api: Access::Unknown("EKS has no such cluster".to_owned()),
        extent: Extent::Named,
        namespaces: BTreeMap::new(),
        service_accounts: BTreeMap::new(),
    };
    let facts = match facts {
        Observed::Present(facts) => facts,
        Observed::Absent => return live,
        Observed::Unknown(why) => {
            live.issuer = Observed::Unknown(why.clone());
            live.api = Access::Unknown(why);
            return live;
        }
    };
    if let Some(issuer) = &facts.issuer {
        live.issuer = Observed::Present(issuer.clone());
    }
    if !desired.clusters.get(key).is_some_and(Cluster::has_api) {
        live.api = Access::Unknown("nothing in it is looked at".to_owned());
        return live;
    }
    live.api = kubernetes.verify(key, &facts).await;
    if live.api != Access::Granted(()) {
        return live;
    }
    let limiter = Limiter::new(looks.parallelism);
    let reader = ClusterReader { key, desired, kubernetes, limiter, declared: declared(key, desired) };
    reader.service_accounts(&mut live, looks.destroy).await;
    if live.api == Access::Granted(()) {
        reader.namespaces(&mut live).await;
        reader.pods(&mut live, looks.destroy).await;
    }
    live
}

/// Reads the rest of a cluster of which ours alone was read.
pub(super) async fn widen<K: ReadKubernetes>(key: &Key, kubernetes: &K, live: &mut LiveCluster) {
    match kubernetes.service_accounts(key, ServiceAccountScope::Cluster).await {
        Ok(list) => {
            live.extent = extent(&list);
            // what was read before was looked at closely
            for (spot, seen) in by_spot(list.items).chain(odd(list.odd, may_point)) {
                live.service_accounts.entry(spot).or_insert(seen);
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
    /// All ServiceAccounts; of a huge cluster in which few are declared, those and ours; where a list of all is
    /// forbidden, those of the declared namespaces, or the declared ones one by one.
    async fn service_accounts(&self, live: &mut LiveCluster, destroy: bool) {
        let patience = if destroy || self.declared.len() > HANDFUL { i64::MAX } else { LONG };
        match self.limiter.run(self.kubernetes.service_accounts_unless_long(self.key, patience)).await {
            Ok(Some(list)) => {
                live.extent = extent(&list);
                live.service_accounts = self.taken(list, |_| true).await;
            }
            Ok(None) => self.ours(live).await,
            Err(error) if error.kind == CallErrorKind::Denied => {
                let namespaces: BTreeSet<&Namespace> = self.declared.keys().map(|(namespace, _)| namespace).collect();
                let asked = namespaces.into_iter().map(|namespace| self.namespaced(namespace));
                live.service_accounts = join_all(asked).await.into_iter().flatten().collect();
            }
            Err(error) => live.api = Access::Unknown(error.to_string()),
        }
    }

    /// What a list says of those within it. Of what was not understood, the declared ones are unknown, and those that may
    /// be ours or may name a role. Where one cannot even be told from others, the missing ones are asked for by name.
    async fn taken(
        &self,
        list: ServiceAccountList,
        within: impl Fn(&NamespacedName) -> bool,
    ) -> BTreeMap<NamespacedName, Observed<LiveServiceAccount>> {
        let nameless = list.odd.iter().any(|item| item.spot.is_none());
        let ours = |item: &MalformedServiceAccount| {
            item.labels.as_ref().is_none_or(|labels| is_ours(self.desired, labels))
                || may_point(item)
                || item.spot.as_ref().is_some_and(|spot| self.declared.contains_key(spot))
        };
        let mut read: BTreeMap<_, _> = by_spot(list.items).chain(odd(list.odd, ours)).collect();
        if nameless {
            let missing = self.declared.keys().filter(|spot| within(spot) && !read.contains_key(*spot));
            let asked: Vec<_> = join_all(missing.map(|spot| self.named(spot))).await;
            read.extend(asked);
        }
        read
    }

    /// The ServiceAccounts that carry our label, and the declared ones, which may not carry it yet.
    async fn ours(&self, live: &mut LiveCluster) {
        tracing::info!(
            "cluster/{}: it has more than {LONG} ServiceAccounts: ours are listed, and the {} declared ones",
            self.key,
            self.declared.len()
        );
        match self
            .limiter
            .run(self.kubernetes.service_accounts(self.key, ServiceAccountScope::Owner(&self.desired.owner)))
            .await
        {
            Ok(ServiceAccountList { items, odd: unclear }) => {
                live.service_accounts = by_spot(items).chain(odd(unclear, |_| true)).collect();
            }
            Err(error) => {
                live.api = Access::Unknown(error.to_string());
                return;
            }
        }
        live.extent = Extent::Ours;
        let missing = self.declared.keys().filter(|spot| !live.service_accounts.contains_key(spot));
        let asked: Vec<_> = join_all(missing.map(|spot| self.named(spot))).await;
        live.service_accounts.extend(asked);
    }

    /// One declared ServiceAccount.
    async fn named(&self, spot: &NamespacedName) -> (NamespacedName, Observed<LiveServiceAccount>) {
        let (namespace, name) = spot;
        let look = self.kubernetes.service_account(self.key, namespace, name);
        (spot.clone(), observed(self.limiter.run(look).await))
    }

    /// The ServiceAccounts of one declared namespace.
    async fn namespaced(&self, namespace: &Namespace) -> BTreeMap<NamespacedName, Observed<LiveServiceAccount>> {
        let declared = self.declared.keys().filter(|(declared, _)| declared == namespace);
        match self
            .limiter
            .run(self.kubernetes.service_accounts(self.key, ServiceAccountScope::Namespace(namespace)))
            .await
        {
            Ok(list) => {
                let read = self.taken(list, |(of, _)| of == namespace).await;
                let absent = declared.map(|spot| (spot.clone(), Observed::Absent));
                absent.chain(read).collect()
            }
            Err(error) if error.kind == CallErrorKind::Denied => {
                join_all(declared.map(|spot| self.named(spot))).await.into_iter().collect()
            }
            Err(error) => declared.map(|spot| (spot.clone(), Observed::Unknown(error.to_string()))).collect(),
        }
    }

    /// Whether the namespaces are there in which a ServiceAccount is missing.
    async fn namespaces(&self, live: &mut LiveCluster) {
        let missing = self.declared.iter().filter(|(spot, managed)| {
            **managed
                && match live.service_accounts.get(*spot) {
                    Some(Observed::Absent) => true,
                    Some(Observed::Present(_) | Observed::Unknown(_)) => false,
                    None => matches!(live.extent, Extent::Whole | Extent::Understood),
                }
        });
        let wanted: BTreeSet<&Namespace> = missing.map(|((namespace, _), _)| namespace).collect();
        if wanted.len() > FEW_NAMESPACES {
            match self.limiter.run(self.kubernetes.namespaces(self.key)).await {
                Ok(there) => {
                    let look = |name: &Namespace| there.get(name).map_or(Observed::Absent, |it| Observed::Present(*it));
                    live.namespaces = wanted.into_iter().map(|name| (name.clone(), look(name))).collect();
                    return;
                }
                Err(error) if error.kind == CallErrorKind::Denied => {}
                Err(error) => {
                    let unknown = || Observed::Unknown(error.to_string());
                    live.namespaces = wanted.into_iter().map(|name| (name.clone(), unknown())).collect();
                    return;
                }
            }
        }
        let asked = wanted.into_iter().map(|namespace| async move {
            let look = self.limiter.run(self.kubernetes.namespace(self.key, namespace));
            (namespace.clone(), observed(look.await))
        });
        live.namespaces = join_all(asked).await.into_iter().collect();
    }

    /// Which pods run under the ServiceAccounts that may be deleted: ours, made by irsa, and no longer declared.
    async fn pods(&self, live: &mut LiveCluster, destroy: bool) {
        let asked = live.service_accounts.iter_mut().filter_map(|(spot, seen)| {
            let Observed::Present(item) = seen else { return None };
            let made = item.annotations.get(CREATED).is_some_and(|value| value == "true");
            let may_go = made && is_ours(self.desired, &item.labels) && (destroy || !self.declared.contains_key(spot));
            may_go.then_some(async move {
                let look = self.kubernetes.pods(self.key, &item.namespace, &item.name);
                item.pods = Some(observed(self.limiter.run(look).await.map(Some)));
            })
        });
        join_all(asked).await;
    }
}

fn by_spot(list: Vec<LiveServiceAccount>) -> impl Iterator<Item = (NamespacedName, Observed<LiveServiceAccount>)> {
    list.into_iter().map(|item| ((item.namespace.clone(), item.name.clone()), Observed::Present(item)))
}

/// Those that were not understood and are `wanted`, as far as it can be told which they are.
fn odd(
    list: Vec<MalformedServiceAccount>,
    wanted: impl Fn(&MalformedServiceAccount) -> bool,
) -> impl Iterator<Item = (NamespacedName, Observed<LiveServiceAccount>)> {
    list.into_iter().filter(move |item| wanted(item)).filter_map(|item| Some((item.spot?, Observed::Unknown(item.why))))
}

/// Whether it may name a role, as far as can be told.
fn may_point(item: &MalformedServiceAccount) -> bool {
    item.spot.is_none() || item.annotations.as_ref().is_none_or(|annotations| annotations.contains_key(ROLE_ARN))
}

/// How far a list of all tells who names which role.
fn extent(list: &ServiceAccountList) -> Extent {
    if list.odd.iter().any(may_point) { Extent::Understood } else { Extent::Whole }
}

/// How many ServiceAccounts of the cluster are ours.
pub(super) fn ours(desired: &Desired, live: &LiveCluster) -> usize {
    let seen = live.service_accounts.values().filter_map(Observed::present);
    seen.filter(|item| is_ours(desired, &item.labels)).count()
}
