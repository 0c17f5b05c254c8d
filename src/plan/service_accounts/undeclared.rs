//! Plans undeclared ServiceAccounts that irsa manages. Deletes an object if irsa created it and nobody else uses or
//! manages it. Otherwise removes irsa's fields from it. Also handles objects that lost their owner label, because
//! irsa's fields would stay on them for ever.

use super::being_deleted;
use super::field_ownership::{FieldOwnership, MetaField};
use crate::ids::{Key, RoleArn};
use crate::model::address::{Address, Place};
use crate::model::call::{Call, KubernetesCall};
use crate::model::desired::Manage;
use crate::model::live::{LiveServiceAccount, Observed};
use crate::model::marks::{ADDRESS, CHAIN, CREATED, OWNER, ROLE_ARN, address_mark};
use crate::model::note::Severity;
use crate::model::refusal::{Refusal, RefusalKind};
use crate::model::resource::ServiceAccount;
use crate::plan::change::{Change, ResourceChange};
use crate::plan::context::{PlanContext, ServiceAccountRef};
use crate::plan::draft::Draft;
use crate::plan::iam::FORGET;
use std::collections::{HashMap, HashSet};

/// Labels and annotations by which Helm, Argo CD and Flux find their objects.
const FOREIGN_MARKS: [&str; 6] = [
    "meta.helm.sh/release-name",
    "argocd.argoproj.io/instance",
    "argocd.argoproj.io/tracking-id",
    "kustomize.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/name",
    "config.k8s.io/owning-inventory",
];

/// A live ServiceAccount that irsa manages.
struct Undeclared<'a> {
    address: Address,
    cluster: &'a Key,
    ownership: FieldOwnership<'a>,
    /// Whether a role trusts it by a binding with `manage = "none"`.
    trusted: bool,
}

impl Undeclared<'_> {
    fn annotation(&self, key: &str) -> Option<&str> {
        self.ownership.value(MetaField::Annotation(key))
    }

    /// Whether the address annotation names this object.
    fn has_own_address(&self) -> bool {
        self.annotation(ADDRESS) == Some(&address_mark(&self.address))
    }
}

/// Plans every undeclared ServiceAccount that irsa manages. With `--destroy`, also the declared ServiceAccounts.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    let (mut declared, mut trusted) = (HashSet::new(), HashSet::new());
    for (binding, reference) in context.exact_bindings().filter(|_| !context.options.destroy) {
        let set = if binding.manage == Manage::None { &mut trusted } else { &mut declared };
        set.insert(reference);
    }
    for key in context.desired.clusters.keys() {
        let Some(cluster) = context.cluster(key) else { continue };
        for ((namespace, name), live) in &cluster.service_accounts {
            let reference = ServiceAccountRef { cluster: key, namespace, name };
            if declared.contains(&reference) {
                continue;
            }
            let trusted = trusted.contains(&reference);
            let live = match live {
                Observed::Present(live) => live,
                Observed::Unknown(why) if !trusted => {
                    note_unknown(draft, &reference.address(), why);
                    continue;
                }
                Observed::Unknown(_) | Observed::Absent => continue,
            };
            let ownership = FieldOwnership::of(context, live);
            let labelled = live.labels.contains_key(OWNER);
            let may_be_ours =
                context.is_ours(&live.labels) || !labelled && ownership.is_own(MetaField::Annotation(ADDRESS));
            if !may_be_ours {
                continue;
            }
            let object = Undeclared { address: reference.address(), cluster: key, ownership, trusted };
            if labelled || object.has_own_address() {
                undeclared(context, draft, &object);
            }
        }
    }
}

/// Adds a note, and no `unknown` entry, for an object that could not be parsed. An `unknown` entry would stop every
/// plan, and everybody who can write ServiceAccounts could cause one.
fn note_unknown(draft: &mut Draft, address: &Address, why: &str) {
    let text = format!("irsa cannot tell whether it manages this object, or whether the object uses a role: {why}");
    draft.note(address, Severity::Medium, "orphans-unseen", None, text);
}

fn undeclared(context: &PlanContext<'_>, draft: &mut Draft, object: &Undeclared<'_>) {
    let Undeclared { address, ownership, .. } = object;
    if !ownership.live.labels.contains_key(OWNER) || ownership.is_own(MetaField::Label(OWNER)) {
        draft.count_as_managed(address, Place::Cluster(object.cluster.clone()));
    }
    if let Some(why) = being_deleted(ownership.live) {
        draft.wait(address, None, why);
    } else if context.desired.forget.iter().any(|(item, _)| item == address) {
        forget(context, draft, object);
    } else {
        remove(context, draft, object);
        refuse_foreign_cluster(context, draft, object);
    }
}

/// Removes irsa's label and annotations, and keeps the object.
fn forget(context: &PlanContext<'_>, draft: &mut Draft, object: &Undeclared<'_>) {
    let own = [MetaField::Label(OWNER), MetaField::Annotation(ADDRESS), MetaField::Annotation(CREATED)];
    let removal = Removal::of(context, object, |field| own.contains(&field));
    let to = removal.after.clone();
    let uid = object.ownership.live.uid.clone();
    let give_up =
        (removal.own != to).then(|| KubernetesCall::Apply { uid, from: removal.own.clone(), to, force: false });
    removal.step(draft, object, give_up, vec![FORGET.to_owned()]);
}

/// Deletes the object, or removes all fields of irsa.
fn remove(context: &PlanContext<'_>, draft: &mut Draft, object: &Undeclared<'_>) {
    let Undeclared { address, cluster, ownership, trusted } = object;
    let uid = ownership.live.uid.clone();
    let objections = delete_objections(object);
    if objections.is_empty() {
        let before = ownership.pick(|field| ownership.is_own(field));
        let call = Call::Kubernetes((*cluster).clone(), KubernetesCall::Delete { uid, from: before.clone() });
        let change = ResourceChange::ServiceAccount(Change::Delete { before });
        let reasons = vec!["no longer declared, and irsa created it".to_owned()];
        return draft.step(address, change, [call], [], reasons);
    }
    let of_irsa = |field: MetaField<'_>| match field {
        MetaField::Label(key) => key == OWNER,
        MetaField::Annotation(key) => key == ADDRESS || key == CREATED || key.starts_with(CHAIN),
    };
    let removal = Removal::of(context, object, |field| of_irsa(field) || ownership.is_own(field));
    if !trusted && removal.kept.contains(&MetaField::Annotation(ROLE_ARN)) {
        note_role_kept(context, draft, object);
    }
    let why = if *trusted { "declared `manage = \"none\"`" } else { "no longer declared" };
    let mut reasons = vec![format!("{why}: irsa removes its labels and annotations")];
    reasons.extend(objections.into_iter().map(|why| format!("not deleted: {why}")));
    let owns_any = ownership.fields().any(|field| ownership.is_own(field));
    let give_up = owns_any.then(|| KubernetesCall::Release { uid, from: removal.own.clone() });
    removal.step(draft, object, give_up, reasons);
}

/// How irsa removes fields of a live object.
struct Removal<'a> {
    /// irsa's fields, and the fields of other managers that irsa removes.
    before: ServiceAccount,
    after: ServiceAccount,
    /// irsa's fields before the change.
    own: ServiceAccount,
    /// The patch that removes the fields which a server-side apply would keep, because another manager owns them too.
    patch: Option<KubernetesCall>,
    /// Fields that stay because of other owners.
    kept: Vec<MetaField<'a>>,
}

impl<'a> Removal<'a> {
    /// Removes the fields that `to_remove` selects.
    ///
    /// - Only irsa owns the field: irsa leaves it out of a server-side apply, so the API server removes it.
    /// - Its other owner is not known (the object was restored, or its record of managers was reset): irsa removes it
    ///   with a patch, if irsa is an owner or the address annotation names the object.
    /// - Another manager owns it: irsa removes it with a patch, but only with `--force-conflicts`.
    ///
    /// If the role ARN annotation may name a role of somebody else, no patch removes an `eks.amazonaws.com/*`
    /// annotation.
    fn of(context: &PlanContext<'_>, object: &Undeclared<'a>, to_remove: impl Fn(MetaField<'_>) -> bool) -> Self {
        let ownership = object.ownership;
        let has_own_address = object.has_own_address();
        let may_be_foreign = object.annotation(ROLE_ARN).is_some_and(|arn| may_be_foreign_role(context, arn));
        let patchable = |field: MetaField<'_>| {
            let is_kept = may_be_foreign && matches!(field, MetaField::Annotation(key) if key.starts_with(CHAIN));
            let unowned = ownership.other_owners(field).next().is_none();
            !is_kept && (context.options.force_conflicts || unowned && (has_own_address || ownership.is_own(field)))
        };
        let alone = |field: MetaField<'_>| ownership.is_own(field) && !ownership.is_shared(field);
        let removed = |field: MetaField<'_>| to_remove(field) && (alone(field) || patchable(field));
        Self {
            before: ownership.pick(|field| ownership.is_own(field) || removed(field)),
            after: ownership.pick(|field| ownership.is_own(field) && !removed(field)),
            own: ownership.pick(|field| ownership.is_own(field)),
            patch: ownership.remove(|field| removed(field) && !alone(field)),
            kept: ownership.fields().filter(|field| to_remove(*field) && !removed(*field)).collect(),
        }
    }

    /// Adds the step. If other owners keep every field, adds a note instead.
    fn step(self, draft: &mut Draft, object: &Undeclared<'_>, give_up: Option<KubernetesCall>, reasons: Vec<String>) {
        let Some(change) = Change::update(&self.before, &self.after) else {
            return note_label_kept(draft, object);
        };
        let calls = give_up.into_iter().chain(self.patch).map(|call| Call::Kubernetes(object.cluster.clone(), call));
        draft.step(&object.address, ResourceChange::ServiceAccount(change), calls, [], reasons);
    }
}

/// Whether this may be the ARN of a role that irsa does not manage. True if irsa could not read the role or its
/// account.
fn may_be_foreign_role(context: &PlanContext<'_>, arn: &str) -> bool {
    let Ok(arn) = RoleArn::parse(arn) else { return false };
    let mut accounts = context.accounts();
    let Some((_, live)) =
        accounts.find(|(key, _)| context.desired.accounts.get(*key).is_some_and(|it| it.id.as_str() == arn.account()))
    else {
        return true;
    };
    let lower_case = arn.name().to_lowercase();
    match live.roles.get(&lower_case) {
        Some(Observed::Present(role)) => !context.is_ours(&role.role.tags),
        Some(Observed::Unknown(_)) => true,
        Some(Observed::Absent) | None => {
            live.role_list.present().is_none_or(|all| all.iter().any(|role| role.name.lower_case() == lower_case))
        }
    }
}

/// Refuses the step if the address annotation names a cluster that is not declared, because another configuration may
/// have the same owner.
fn refuse_foreign_cluster(context: &PlanContext<'_>, draft: &mut Draft, object: &Undeclared<'_>) {
    // a long address is cut, so it does not parse
    let rest = object.annotation(ADDRESS).and_then(|address| address.strip_prefix("service-account/"));
    let cluster = rest.and_then(|rest| rest.split_once('/')).and_then(|(cluster, _)| Key::parse(cluster).ok());
    let Some(cluster) = cluster else { return };
    if !context.desired.clusters.contains_key(&cluster) && !context.options.report_only {
        let why = format!("its annotation `{ADDRESS}` names cluster `{cluster}`, which is not declared");
        let hint = "check the key of the cluster, and check that no other configuration uses this `owner`";
        draft.refuse_step(&object.address, RefusalKind::OtherConfiguration.because(why, hint));
    }
}

/// Notes that the annotation stays, so that pods still ask for the role.
fn note_role_kept(context: &PlanContext<'_>, draft: &mut Draft, object: &Undeclared<'_>) {
    let Some(arn) = object.annotation(ROLE_ARN).filter(|arn| !may_be_foreign_role(context, arn)) else { return };
    let why = why_it_stays(object, MetaField::Annotation(ROLE_ARN));
    let text = format!(
        "annotation `{ROLE_ARN}` stays, because {why}. Pods of this ServiceAccount still ask for `{arn}`, and fail if \
         it no longer trusts them. Remove the annotation where it is set, or use `--force-conflicts`"
    );
    draft.note(&object.address, Severity::Medium, "annotation-held", None, text);
}

/// Notes that irsa can remove none of its fields.
fn note_label_kept(draft: &mut Draft, object: &Undeclared<'_>) {
    let why = why_it_stays(object, MetaField::Label(OWNER));
    let text = format!("it still has irsa's label `{OWNER}`, because {why}; `--force-conflicts` removes the label");
    draft.noted.push(object.address.clone());
    draft.note(&object.address, Severity::Low, "label-held", None, text);
}

/// Why irsa does not remove a field of its own.
fn why_it_stays(object: &Undeclared<'_>, field: MetaField<'_>) -> String {
    match object.ownership.other_owners(field).collect::<Vec<_>>()[..] {
        [] => format!("no owner of it is recorded, and annotation `{ADDRESS}` does not name this object"),
        ref names => format!("it also belongs to `{}`", names.join("`, `")),
    }
}

/// Why irsa must not delete the object. Empty if it may.
fn delete_objections(object: &Undeclared<'_>) -> Vec<String> {
    let Undeclared { ownership, trusted, .. } = object;
    let live = ownership.live;
    let mut reasons = Vec::new();
    if *trusted {
        reasons.push("the configuration still lets a role trust it (`manage = \"none\"`)".to_owned());
    }
    if object.annotation(CREATED) != Some("true") {
        reasons.push("someone else created it".to_owned());
    }
    if object.annotation(ADDRESS).is_none() {
        reasons.push(format!("annotation `{ADDRESS}` is missing"));
    } else if !object.has_own_address() {
        reasons.push(format!("annotation `{ADDRESS}` names another object"));
    }
    if !live.labels.contains_key(OWNER) {
        reasons.push(format!("someone removed label `{OWNER}`"));
    }
    if !ownership.is_exclusive() {
        reasons.push(match ownership.other_managers()[..] {
            [] => "who manages it is not recorded".to_owned(),
            ref others => format!("others manage it too: {}", others.join(", ")),
        });
    }
    if !live.owner_references.is_empty() {
        reasons.push(format!("it is owned by {}", live.owner_references.join(", ")));
    }
    let managed_by_helm = live.labels.get("app.kubernetes.io/managed-by").is_some_and(|value| value == "Helm");
    let marks = FOREIGN_MARKS
        .into_iter()
        .filter(|mark| live.labels.contains_key(*mark) || live.annotations.contains_key(*mark))
        .chain(managed_by_helm.then_some("app.kubernetes.io/managed-by"))
        // irsa itself may have set the mark, as a declared label or annotation
        .filter(|mark| {
            ![MetaField::Label(mark), MetaField::Annotation(mark)].iter().any(|field| ownership.is_own(*field))
        });
    reasons.extend(marks.map(|mark| format!("it carries `{mark}`")));
    match &live.pods {
        Some(Observed::Present(pods)) if pods.len() == 1 => reasons.push(format!("pod `{}` uses it", pods[0])),
        Some(Observed::Present(pods)) if !pods.is_empty() => {
            reasons.push(format!("{} pods use it, for example `{}`", pods.len(), pods[0]));
        }
        Some(Observed::Unknown(why)) => reasons.push(format!("its pods could not be read: {why}")),
        // `observe` reads pods only if nothing else forbids the deletion
        None if reasons.is_empty() => reasons.push("its pods were not read".to_owned()),
        Some(Observed::Present(_) | Observed::Absent) | None => {}
    }
    reasons
}

/// ServiceAccounts by the role in their annotation, except those that are being deleted.
pub(crate) type RoleUsers<'a> = HashMap<&'a str, Vec<(&'a Key, &'a LiveServiceAccount)>>;

/// The ServiceAccounts of these roles.
pub(crate) fn users<'a>(context: &PlanContext<'a>, roles: impl Iterator<Item = &'a RoleArn>) -> RoleUsers<'a> {
    let mut users: RoleUsers<'a> = roles.map(|role| (role.as_str(), Vec::new())).collect();
    if users.is_empty() {
        return users;
    }
    for (key, cluster) in &context.live.clusters {
        let live = cluster.service_accounts.values().filter_map(Observed::present);
        for live in live.filter(|live| live.deleting.is_none()) {
            let role = live.annotations.get(ROLE_ARN);
            if let Some(users) = role.and_then(|role| users.get_mut(role.as_str())) {
                users.push((key, live));
            }
        }
    }
    users
}

/// The steps that remove the annotation with this role from ServiceAccounts. Refuses if a ServiceAccount keeps the
/// annotation.
pub(crate) fn steps_that_remove(
    context: &PlanContext<'_>,
    draft: &Draft,
    role: &RoleArn,
    users: &RoleUsers<'_>,
) -> Result<Vec<Address>, Refusal> {
    let mut steps = Vec::new();
    for (cluster, live) in users.get(role.as_str()).into_iter().flatten() {
        let (namespace, name) = (&live.namespace, &live.name);
        let address = ServiceAccountRef { cluster, namespace, name }.address();
        let change = draft.steps.get(&address).and_then(|step| step.change.as_service_account());
        let removes = change.is_some_and(|change| removes(change, role));
        if !removes {
            let ownership = FieldOwnership::of(context, live);
            let hint = match ownership.other_owners(MetaField::Annotation(ROLE_ARN)).collect::<Vec<_>>()[..] {
                [] => format!(
                    "no other owner of the annotation is recorded: remove it with `kubectl annotate serviceaccount -n \
                     {namespace} {name} {ROLE_ARN}-` in cluster `{cluster}`, then plan again"
                ),
                ref names => format!(
                    "remove `{ROLE_ARN}` where it is set by `{}` (Helm values, Git), then plan again",
                    names.join("`, `")
                ),
            };
            return Err(RefusalKind::StillAnnotated.because(format!("`{address}` still points at it"), hint));
        }
        steps.push(address);
    }
    Ok(steps)
}

/// Whether a change removes the annotation with this role: it deletes the object, writes another value, or removes the
/// annotation. `before` has an annotation of another manager only if irsa writes or removes it.
fn removes(change: &Change<ServiceAccount>, role: &RoleArn) -> bool {
    let value = |item: &ServiceAccount| item.annotations.get(ROLE_ARN).cloned();
    let names_role = |item: &ServiceAccount| value(item).as_deref() == Some(role.as_str());
    change
        .after()
        .is_none_or(|after| !names_role(after) && (value(after).is_some() || change.before().is_some_and(names_role)))
}
