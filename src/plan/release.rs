//! ServiceAccounts that carry our label and are no longer declared: deleted where they are ours alone, released
//! elsewhere. One of which someone took the label off is released: our fields would be left on it for ever.

use super::change::{Change, ResourceChange};
use super::context::{Owner, PlanContext, ServiceAccountRef};
use super::draft::Draft;
use super::field_ownership::{self, Field, FieldOwnership, UNTRACKED, picked};
use super::parts;
use super::service_accounts::going;
use crate::ids::{Key, RoleArn};
use crate::model::address::{Address, Place};
use crate::model::call::{Call, KubernetesCall};
use crate::model::desired::Manage;
use crate::model::live::{LiveServiceAccount, Observed};
use crate::model::marks::{ADDRESS, CHAIN, CREATED, OWNER, ROLE_ARN, address_mark};
use crate::model::note::Severity;
use crate::model::resource::ServiceAccount;
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
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    let (mut declared, mut trusted) = (HashSet::new(), HashSet::new());
    for (binding, reference) in context.exact_bindings().filter(|_| !context.options.destroy) {
        if binding.manage == Manage::None {
            trusted.insert(reference)
        } else {
            declared.insert(reference)
        };
    }
    let forgotten: BTreeSet<&Address> = context.desired.forget.iter().map(|(address, _)| address).collect();
    for key in context.desired.clusters.keys() {
        let Some(cluster) = context.cluster(key) else { continue };
        for ((namespace, name), seen) in &cluster.service_accounts {
            let reference = ServiceAccountRef { cluster: key, namespace, name };
            if declared.contains(&reference) {
                continue;
            }
            let live = match seen {
                Observed::Present(live) => live,
                Observed::Unknown(why) if !trusted.contains(&reference) => {
                    unclear(draft, &reference.address(), why);
                    continue;
                }
                Observed::Unknown(_) | Observed::Absent => continue,
            };
            if !may_be_ours(context, live) {
                continue;
            }
            let address = reference.address();
            let unlabelled = !live.labels.contains_key(OWNER);
            if unlabelled && live.annotations.get(ADDRESS) != Some(&address_mark(&address)) {
                continue;
            }
            if unlabelled || FieldOwnership::of(context, live).holds(Field::Label(OWNER)) {
                draft.ours.push((address.clone(), Place::Cluster(key.clone())));
            }
            if let Some(why) = going(live) {
                draft.wait(&address, None, why);
                continue;
            }
            if forgotten.contains(&address) {
                forget(context, draft, &address, key, live);
            } else {
                remove(context, draft, &address, key, live, trusted.contains(&reference));
                refuse_foreign(context, draft, &address, live);
            }
        }
    }
}

/// Whether it carries our label; or none, while our field manager holds its address: someone took the label off.
fn may_be_ours(context: &PlanContext<'_>, live: &LiveServiceAccount) -> bool {
    match live.labels.get(OWNER) {
        Some(owner) => owner == context.desired.owner.as_str(),
        None => FieldOwnership::of(context, live).holds(Field::Annotation(ADDRESS)),
    }
}

/// Says that nothing is done about one that was not understood, though it may be ours. It is no more than a note: whoever
/// may write ServiceAccounts can make one that nobody understands, and is not to hold everything up.
fn unclear(draft: &mut Draft, address: &Address, why: &str) {
    let text = format!("whether it is ours, or names a role, is not known: {why}");
    draft.note(address, Severity::Medium, "orphans-unseen", None, text);
}

/// How our fields come off a live object.
struct Withdrawal<'a> {
    /// What we hold of it and what is taken from others, before and after.
    before: ServiceAccount,
    after: ServiceAccount,
    /// What we hold.
    held: ServiceAccount,
    /// What goes by a patch, since giving it up leaves it there.
    removed: ServiceAccount,
    /// Fields that others hold, and so stay.
    kept: Vec<Field<'a>>,
}

/// Takes `ours` off. What we hold alone goes when we give it up. What nobody is known to hold, for the object was
/// restored or its record of managers was reset, is taken off where the marks say that it is ours; what others hold, only
/// by force.
fn withdraw<'a>(
    context: &PlanContext<'_>,
    address: &Address,
    live: &'a LiveServiceAccount,
    ours: impl Fn(Field<'_>) -> bool,
) -> Withdrawal<'a> {
    let held = FieldOwnership::of(context, live);
    let marked = live.annotations.get(ADDRESS) == Some(&address_mark(address));
    let others_role = live.annotations.get(ROLE_ARN).is_some_and(|arn| is_others_role(context, arn));
    let takes = |field: Field<'_>| {
        let of_others = others_role && matches!(field, Field::Annotation(key) if key.starts_with(CHAIN));
        let known = !held.holders(field).is_empty();
        !of_others && (context.options.force_conflicts || !known && (marked || held.holds(field)))
    };
    let alone = |field: Field<'_>| held.holds(field) && !held.shared(field);
    let goes = |field: Field<'_>| ours(field) && (alone(field) || takes(field));
    Withdrawal {
        before: picked(live, |field| held.holds(field) || goes(field)),
        after: picked(live, |field| held.holds(field) && !goes(field)),
        held: picked(live, |field| held.holds(field)),
        removed: picked(live, |field| goes(field) && !alone(field)),
        kept: field_ownership::fields(live).filter(|field| ours(*field) && !goes(*field)).collect(),
    }
}

/// Whether it is known to be the ARN of somebody else's role.
fn is_others_role(context: &PlanContext<'_>, arn: &str) -> bool {
    let Ok(arn) = RoleArn::parse(arn) else { return false };
    let mut accounts = context.desired.accounts.iter().filter(|(_, account)| account.id.as_str() == arn.account());
    let Some(live) = accounts.find_map(|(key, _)| context.account(key)) else {
        return true;
    };
    let folded = arn.name().to_lowercase();
    match live.roles.get(&folded) {
        Some(Observed::Present(role)) => context.owner(&role.role.tags) != Owner::Ours,
        Some(Observed::Unknown(_)) => true,
        Some(Observed::Absent) | None => {
            live.role_list.present().is_none_or(|all| all.iter().any(|role| role.name.case_insensitive() == folded))
        }
    }
}

/// Takes the marks off and leaves the rest as it is.
fn forget(context: &PlanContext<'_>, draft: &mut Draft, address: &Address, key: &Key, live: &LiveServiceAccount) {
    let is_mark = |field: Field<'_>| {
        [Field::Label(OWNER), Field::Annotation(ADDRESS), Field::Annotation(CREATED)].contains(&field)
    };
    let Withdrawal { before, after, held, removed, .. } = withdraw(context, address, live, is_mark);
    let Some(change) = Change::from_to(&before, &after) else {
        return stuck(context, draft, address, live);
    };
    let to = ServiceAccount { labels: after.labels.clone(), annotations: after.annotations.clone(), ..held.clone() };
    let give_up = Change::from_to(&held, &to).map(|_| KubernetesCall::Apply {
        uid: live.uid.clone(),
        from: held,
        to,
        force: false,
    });
    let reasons = vec![parts::FORGET.to_owned()];
    draft.step(address, ResourceChange::ServiceAccount(change), calls(key, live, give_up, removed), [], reasons);
}

fn calls(
    key: &Key,
    live: &LiveServiceAccount,
    give_up: Option<KubernetesCall>,
    removed: ServiceAccount,
) -> impl Iterator<Item = Call> {
    let some = !(removed.labels.is_empty() && removed.annotations.is_empty());
    let remove = some.then(|| KubernetesCall::Remove { uid: live.uid.clone(), from: removed });
    give_up.into_iter().chain(remove).map(|call| Call::Kubernetes(key.clone(), call))
}

/// Refuses what is marked as of a cluster that is not declared: a guard, for writing.
fn refuse_foreign(context: &PlanContext<'_>, draft: &mut Draft, address: &Address, live: &LiveServiceAccount) {
    if let Some(cluster) = live.annotations.get(ADDRESS).and_then(|mark| marked_cluster(mark))
        && !context.desired.clusters.contains_key(&cluster)
        && !context.options.report_only
    {
        let why = format!("it is marked as of cluster `{cluster}`, which this configuration lacks");
        let hint = "check that `owner` is this configuration's alone, and the key of the cluster";
        draft.refuse_step(address, why, hint);
    }
}

fn remove(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    key: &Key,
    live: &LiveServiceAccount,
    trusted: bool,
) {
    let held = FieldOwnership::of(context, live);
    let reasons_to_keep = keep(address, live, &held, trusted);
    if reasons_to_keep.is_empty() {
        let before = picked(live, |field| held.holds(field));
        let call = KubernetesCall::Delete { uid: live.uid.clone(), from: before.clone() };
        let change = ResourceChange::ServiceAccount(Change::Delete { before });
        let reasons = vec!["no longer declared, and irsa made it".to_owned()];
        return draft.step(address, change, [Call::Kubernetes(key.clone(), call)], [], reasons);
    }
    let is_ours = |field: Field<'_>| {
        let own = match field {
            Field::Label(key) => key == OWNER,
            Field::Annotation(key) => key == ADDRESS || key == CREATED || key.starts_with(CHAIN),
        };
        own || held.holds(field)
    };
    let Withdrawal { before, after, held: ours, removed, kept } = withdraw(context, address, live, is_ours);
    if !trusted && kept.contains(&Field::Annotation(ROLE_ARN)) {
        left_pointing(context, draft, address, live);
    }
    let Some(change) = Change::between(Some(before), Some(after)) else {
        return stuck(context, draft, address, live);
    };
    let why = if trusted { "declared `manage = \"none\"`" } else { "no longer declared" };
    let mut reasons = vec![format!("{why}: our fields are released")];
    reasons.extend(reasons_to_keep.into_iter().map(|why| format!("not deleted: {why}")));
    let some = !(ours.labels.is_empty() && ours.annotations.is_empty());
    let give_up = some.then(|| KubernetesCall::Release { uid: live.uid.clone(), from: ours });
    draft.step(address, ResourceChange::ServiceAccount(change), calls(key, live, give_up, removed), [], reasons);
}

/// Says that pods go on asking for a role that no longer trusts them.
fn left_pointing(context: &PlanContext<'_>, draft: &mut Draft, address: &Address, live: &LiveServiceAccount) {
    let Some(arn) = live.annotations.get(ROLE_ARN).filter(|arn| !is_others_role(context, arn)) else { return };
    let who = holder(context, live, Field::Annotation(ROLE_ARN));
    let text = format!(
        "annotation `{ROLE_ARN}` stays: {who}. Its pods are no longer trusted by `{arn}`, and cannot assume it: take the \
         annotation out where it is set, or have it taken off with `--force-conflicts`"
    );
    draft.note(address, Severity::Medium, "annotation-held", None, text);
}

/// Who has a field that we cannot take off.
fn holder(context: &PlanContext<'_>, live: &LiveServiceAccount, field: Field<'_>) -> String {
    match FieldOwnership::of(context, live).holders(field)[..] {
        [] => format!("nobody is recorded to hold it, and annotation `{ADDRESS}` does not say that it is ours"),
        ref names => format!("only {} can take it off", names.join(", ")),
    }
}

/// The cluster of the address that a ServiceAccount is marked with, also where the mark is too long to be whole.
fn marked_cluster(mark: &str) -> Option<Key> {
    let (cluster, _) = mark.strip_prefix("service-account/")?.split_once('/')?;
    Key::parse(cluster).ok()
}

/// Says that nothing that is ours by its marks can be taken off by us.
fn stuck(context: &PlanContext<'_>, draft: &mut Draft, address: &Address, live: &LiveServiceAccount) {
    let who = holder(context, live, Field::Label(OWNER));
    let text = format!("it carries our label `{OWNER}`: {who}; `--force-conflicts` takes it off all the same");
    draft.know(address);
    draft.note(address, Severity::Low, "label-held", None, text);
}

/// Why the object must not be deleted; empty if it may.
fn keep(address: &Address, live: &LiveServiceAccount, held: &FieldOwnership<'_>, trusted: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    if trusted {
        reasons.push("its trust is still declared".to_owned());
    }
    if live.annotations.get(CREATED).map(String::as_str) != Some("true") {
        reasons.push("someone else made it".to_owned());
    }
    match live.annotations.get(ADDRESS) {
        None => reasons.push(format!("annotation `{ADDRESS}` is missing")),
        Some(mark) if *mark != address_mark(address) => {
            reasons.push(format!("annotation `{ADDRESS}` names another object"));
        }
        Some(_) => {}
    }
    if !live.labels.contains_key(OWNER) {
        reasons.push(format!("someone took label `{OWNER}` off it"));
    }
    if !held.alone() {
        let others: Vec<&str> = held.others().into_iter().filter(|name| *name != UNTRACKED).collect();
        reasons.push(match others[..] {
            [] => "who manages it is not recorded".to_owned(),
            _ => format!("others manage it too: {}", others.join(", ")),
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
        .chain(managed_by_helm.then_some("app.kubernetes.io/managed-by"))
        // one that is declared as a label or annotation of ours is no tool's
        .filter(|mark| ![Field::Label(mark), Field::Annotation(mark)].iter().any(|field| held.holds(*field)));
    reasons.extend(marks.map(|mark| format!("it carries `{mark}`")));
    match &live.pods {
        Some(Observed::Present(pods)) if pods.len() == 1 => reasons.push(format!("pod `{}` uses it", pods[0])),
        Some(Observed::Present(pods)) if !pods.is_empty() => {
            reasons.push(format!("{} pods use it, for example `{}`", pods.len(), pods[0]));
        }
        Some(Observed::Unknown(why)) => reasons.push(format!("its pods could not be read: {why}")),
        // they are asked for only where nothing else is known to speak against it
        None if reasons.is_empty() => reasons.push("whether pods use it was not asked".to_owned()),
        Some(Observed::Present(_) | Observed::Absent) | None => {}
    }
    reasons
}
