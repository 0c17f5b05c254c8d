//! ServiceAccounts that carry our label and are no longer declared: deleted where they are ours alone, released
//! elsewhere.

use super::change::{Change, ResourceChange};
use super::draft::Draft;
use super::service_accounts::{Held, clone};
use super::site::{Site, Spot};
use crate::ids::Key;
use crate::model::address::{Address, Place};
use crate::model::call::{Call, KubernetesCall};
use crate::model::desired::Manage;
use crate::model::live::{LiveServiceAccount, Observed};
use crate::model::marks::{ADDRESS, CREATED, OWNER, address_mark};
use crate::model::note::Severity;
use crate::model::resource::{Pairs, ServiceAccount};
use std::collections::{BTreeSet, HashSet};

/// Marks by which other tools know their own objects: Helm, Argo CD and Flux.
const FOREIGN_MARKS: [&str; 6] = [
    "meta.helm.sh/release-name",
    "argocd.argoproj.io/instance",
    "argocd.argoproj.io/tracking-id",
    "kustomize.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/name",
    "config.k8s.io/owning-inventory",
];

/// Plans what is ours and undeclared, or everything that is ours when all goes away.
pub(crate) fn plan(site: &Site<'_>, draft: &mut Draft) {
    let (mut declared, mut trusted) = (HashSet::new(), HashSet::new());
    for (binding, spot) in site.exact_bindings().filter(|_| !site.options.destroy) {
        if binding.manage == Manage::None {
            trusted.insert(spot)
        } else {
            declared.insert(spot)
        };
    }
    let forgotten: BTreeSet<&Address> = site.desired.forget.iter().map(|(address, _)| address).collect();
    for key in site.desired.clusters.keys() {
        let Some(cluster) = site.cluster(key) else { continue };
        for ((namespace, name), seen) in &cluster.service_accounts {
            let spot = Spot { cluster: key, namespace, name };
            if declared.contains(&spot) {
                continue;
            }
            let live = match seen {
                Observed::Present(live) => live,
                Observed::Unknown(why) if !trusted.contains(&spot) => {
                    unclear(draft, &spot.address(), why);
                    continue;
                }
                Observed::Unknown(_) | Observed::Absent => continue,
            };
            if live.labels.get(OWNER).map(String::as_str) != Some(site.desired.owner.as_str()) {
                continue;
            }
            let address = spot.address();
            if Held::of(site, live).label(OWNER) {
                draft.ours.push((address.clone(), Place::Cluster(key.clone())));
            }
            if forgotten.contains(&address) {
                forget(site, draft, &address, key, live);
            } else {
                remove(site, draft, &address, key, live, trusted.contains(&spot));
                refuse_foreign(site, draft, &address, live);
            }
        }
    }
}

/// Says that nothing is done about one that was not understood, though it may be ours. It is no more than a note: whoever
/// may write ServiceAccounts can make one that nobody understands, and is not to hold everything up.
fn unclear(draft: &mut Draft, address: &Address, why: &str) {
    let text = format!("whether it is ours, or names a role, is not known: {why}");
    draft.note(address, Severity::Medium, "orphans-unseen", None, text);
}

/// Our fields on a live object: those that our manager holds.
fn ours(live: &LiveServiceAccount, held: &Held<'_>) -> ServiceAccount {
    let pick = |pairs: &Pairs, is_ours: &dyn Fn(&str) -> bool| -> Pairs {
        pairs.iter().filter(|(key, _)| is_ours(key)).map(clone).collect()
    };
    ServiceAccount {
        namespace: live.namespace.clone(),
        name: live.name.clone(),
        labels: pick(&live.labels, &|key| held.label(key)),
        annotations: pick(&live.annotations, &|key| held.annotation(key)),
    }
}

/// Takes the marks off and leaves the rest as it is.
fn forget(site: &Site<'_>, draft: &mut Draft, address: &Address, key: &Key, live: &LiveServiceAccount) {
    let held = Held::of(site, live);
    let before = ours(live, &held);
    let mut after = before.clone();
    after.labels.remove(OWNER);
    after.annotations.retain(|annotation, _| annotation != ADDRESS && annotation != CREATED);
    let Some(change) = Change::from_to(&before, &after) else {
        return stuck(draft, address, &held);
    };
    let call = KubernetesCall::Apply { uid: live.uid.clone(), from: before, to: after, force: false };
    let reasons = vec!["let go by `forget`: the marks go, the rest stays".to_owned()];
    let change = ResourceChange::ServiceAccount(change);
    draft.step(address, change, [Call::Kubernetes(key.clone(), call)], [], reasons);
}

/// Refuses what is marked as of a cluster that is not declared: a guard, for writing.
fn refuse_foreign(site: &Site<'_>, draft: &mut Draft, address: &Address, live: &LiveServiceAccount) {
    if let Some(cluster) = live.annotations.get(ADDRESS).and_then(|mark| marked_cluster(mark))
        && !site.desired.clusters.contains_key(&cluster)
        && !site.options.report_only
    {
        let why = format!("it is marked as of cluster `{cluster}`, which this configuration lacks");
        let hint = "check that `owner` is this configuration's alone, and the key of the cluster";
        draft.refuse_step(address, why, hint);
    }
}

fn remove(site: &Site<'_>, draft: &mut Draft, address: &Address, key: &Key, live: &LiveServiceAccount, trusted: bool) {
    let held = Held::of(site, live);
    let before = ours(live, &held);
    let reasons_to_keep = keep(address, live, &held, trusted);
    if reasons_to_keep.is_empty() {
        let call = KubernetesCall::Delete { uid: live.uid.clone(), from: before.clone() };
        let change = ResourceChange::ServiceAccount(Change::Delete { before });
        let reasons = vec!["no longer declared, and irsa made it".to_owned()];
        return draft.step(address, change, [Call::Kubernetes(key.clone(), call)], [], reasons);
    }
    let after = ServiceAccount {
        namespace: before.namespace.clone(),
        name: before.name.clone(),
        labels: before.labels.iter().filter(|(key, _)| held.shared_label(key)).map(clone).collect(),
        annotations: before.annotations.iter().filter(|(key, _)| held.shared(key)).map(clone).collect(),
    };
    let Some(change) = Change::between(Some(before.clone()), Some(after)) else {
        return stuck(draft, address, &held);
    };
    let why = if trusted { "declared `manage = \"none\"`" } else { "no longer declared" };
    let mut reasons = vec![format!("{why}: our fields are released")];
    reasons.extend(reasons_to_keep.into_iter().map(|why| format!("not deleted: {why}")));
    let call = KubernetesCall::Release { uid: live.uid.clone(), from: before };
    let change = ResourceChange::ServiceAccount(change);
    draft.step(address, change, [Call::Kubernetes(key.clone(), call)], [], reasons);
}

/// The cluster of the address that a ServiceAccount is marked with, also where the mark is too long to be whole.
fn marked_cluster(mark: &str) -> Option<Key> {
    let (cluster, _) = mark.strip_prefix("service-account/")?.split_once('/')?;
    Key::parse(cluster).ok()
}

/// Says that our label is held by others alone, so that nothing of it can be given up by us.
fn stuck(draft: &mut Draft, address: &Address, held: &Held<'_>) {
    let text = format!("it carries our label, which only {} can take off", held.others().join(", "));
    draft.know(address);
    draft.note(address, Severity::Low, "label-held", None, text);
}

/// Why the object must not be deleted; empty if it may.
fn keep(address: &Address, live: &LiveServiceAccount, held: &Held<'_>, trusted: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    if trusted {
        reasons.push("its trust is still declared".to_owned());
    }
    if live.annotations.get(CREATED).map(String::as_str) != Some("true") {
        reasons.push("someone else made it".to_owned());
    }
    if live.annotations.get(ADDRESS) != Some(&address_mark(address)) {
        reasons.push(format!("annotation `{ADDRESS}` names another object"));
    }
    if !held.alone() {
        reasons.push(match held.others().join(", ") {
            others if others.is_empty() => "nobody is known to manage it".to_owned(),
            others => format!("others manage it too: {others}"),
        });
    }
    if !live.owner_references.is_empty() {
        reasons.push(format!("it is owned by {}", live.owner_references.join(", ")));
    }
    let managed_by_helm = live.labels.get("app.kubernetes.io/managed-by").is_some_and(|value| value == "Helm");
    let marks = FOREIGN_MARKS
        .iter()
        .filter(|mark| live.labels.contains_key(**mark) || live.annotations.contains_key(**mark))
        .copied()
        .chain(managed_by_helm.then_some("app.kubernetes.io/managed-by"));
    reasons.extend(marks.map(|mark| format!("it carries `{mark}`")));
    match &live.pods {
        Observed::Present(pods) if pods.is_empty() => {}
        Observed::Absent => {}
        Observed::Present(pods) => reasons.push(format!("{} pods use it, for example `{}`", pods.len(), pods[0])),
        Observed::Unknown(why) => reasons.push(format!("its pods could not be read: {why}")),
    }
    reasons
}
