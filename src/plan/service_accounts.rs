//! Plans declared ServiceAccounts. irsa sets labels and annotations on them. Other field managers may own other fields
//! of the same object, or own these fields too. The annotations `eks.amazonaws.com/*` are for the pod identity webhook
//! of EKS.

mod field_ownership;
pub(crate) mod undeclared;

use super::change::{Change, ResourceChange};
use super::context::{PlanContext, ServiceAccountRef, exact_bindings, provider_address};
use super::draft::{BlockedBy, Draft};
use super::field_diff::{FieldType, FieldTypes, FieldValue, PlanFields};
use super::other_shards::{Ready, role_ready};
use crate::ids::{Key, RoleArn};
use crate::model::address::{Address, Place};
use crate::model::call::{Call, KubernetesCall};
use crate::model::desired::{Binding, Manage, Role};
use crate::model::live::{LiveServiceAccount, NamespacePhase, Observed};
use crate::model::marks::{
    ADDRESS, AUDIENCE, CHAIN, CREATED, OWNER, ROLE_ARN, STS_REGIONAL_ENDPOINTS, TOKEN_EXPIRATION, address_mark,
};
use crate::model::note::Severity;
use crate::model::quoted::quoted;
use crate::model::refusal::{Refusal, RefusalKind};
use crate::model::resource::ServiceAccount;
use field_ownership::{Conflict, FieldOwnership, MetaField, UNTRACKED};

/// A declared ServiceAccount that irsa manages.
struct Declared<'a> {
    context: &'a PlanContext<'a>,
    address: Address,
    reference: ServiceAccountRef<'a>,
    role_key: &'a Key,
    role: &'a Role,
    role_arn: &'a RoleArn,
    binding: &'a Binding,
}

/// Plans every declared ServiceAccount, except those in clusters that are declared `gone`.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    draft.par_for_each_role(context.desired, |draft, role_key, role| {
        let Some(role_arn) = &context.role_arn(role) else { return };
        for (binding, reference) in exact_bindings(role) {
            let address = reference.address();
            if !context.is_gone(&binding.cluster) && binding.manage != Manage::None && context.plans(&address) {
                declared(draft, &Declared { context, address, reference, role_key, role, role_arn, binding });
            }
        }
    });
}

fn declared(draft: &mut Draft, item: &Declared<'_>) {
    let address = &item.address;
    let Some(cluster) = item.context.cluster(&item.binding.cluster) else {
        return draft.block(address, BlockedBy::Unknown);
    };
    let ServiceAccountRef { namespace, name, .. } = item.reference;
    let live = cluster.service_accounts.get(&(namespace.clone(), name.clone()));
    match (live, cluster.namespaces.get(namespace)) {
        (Some(Observed::Present(live)), _) => existing(draft, item, live),
        (Some(Observed::Unknown(why)), _) => draft.object_unknown(address, why.clone()),
        (_, Some(Observed::Absent)) => wait(draft, item, "its namespace does not exist yet"),
        (_, Some(Observed::Present(NamespacePhase::Terminating))) => {
            wait(draft, item, "its namespace is being deleted (`Terminating`), and takes no new objects");
        }
        (Some(Observed::Absent), _) => missing(draft, item),
        (None, _) if cluster.extent.shows_missing() => missing(draft, item),
        (None, Some(Observed::Unknown(why))) => draft.object_unknown(address, why.clone()),
        (None, Some(Observed::Present(NamespacePhase::Active)) | None) => {
            draft.object_unknown(address, format!("namespace `{namespace}` was not read"));
        }
    }
}

/// Why irsa does not change an object that is being deleted. None if it is not.
fn being_deleted(live: &LiveServiceAccount) -> Option<String> {
    let finalizers = quoted(live.deleting.as_ref()?);
    Some(match finalizers.len() {
        0 => "it is being deleted".to_owned(),
        1 => format!("it is being deleted, and waits for finalizer {} to be removed", finalizers[0]),
        _ => format!("it is being deleted, and waits for the finalizers {} to be removed", finalizers.join(", ")),
    })
}

fn wait(draft: &mut Draft, item: &Declared<'_>, why: &str) {
    draft.wait(&item.address, Some(&item.binding.origin), why);
}

fn missing(draft: &mut Draft, item: &Declared<'_>) {
    if item.binding.manage == Manage::Annotate {
        return wait(
            draft,
            item,
            "it does not exist yet; irsa annotates it once somebody has created it (`manage = \"annotate\"`)",
        );
    }
    let after = wanted(item, true);
    let call = KubernetesCall::Create { service_account: after.clone() };
    let reasons = vec![format!("declared at {}", item.binding.origin)];
    step(draft, item, Change::Create { after }, [call], reasons);
}

/// The labels and annotations that irsa sets. `created`: whether irsa created the object.
fn wanted(item: &Declared<'_>, created: bool) -> ServiceAccount {
    let Binding { audience, token_expiration, sts_regional_endpoints, metadata, .. } = item.binding;
    let (mut labels, mut annotations) =
        metadata.as_ref().map(|metadata| (metadata.labels.clone(), metadata.annotations.clone())).unwrap_or_default();
    labels.insert(OWNER.to_owned(), item.context.desired.owner.to_string());
    let own = [
        (ROLE_ARN, Some(item.role_arn.to_string())),
        (ADDRESS, Some(address_mark(&item.address))),
        (AUDIENCE, audience.clone()),
        (TOKEN_EXPIRATION, token_expiration.map(|seconds| seconds.to_string())),
        (STS_REGIONAL_ENDPOINTS, sts_regional_endpoints.map(|on| on.to_string())),
        (CREATED, created.then(|| "true".to_owned())),
    ];
    annotations.extend(own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    let ServiceAccountRef { namespace, name, .. } = item.reference;
    ServiceAccount { namespace: namespace.clone(), name: name.clone(), labels, annotations }
}

fn has(fields: &ServiceAccount, field: MetaField<'_>) -> bool {
    match field {
        MetaField::Label(key) => fields.labels.contains_key(key),
        MetaField::Annotation(key) => fields.annotations.contains_key(key),
    }
}

/// A declared ServiceAccount, with its live object to compare.
struct Comparison<'a> {
    item: &'a Declared<'a>,
    wanted: ServiceAccount,
    ownership: FieldOwnership<'a>,
    /// Whether it has the owner label of this configuration.
    ours: bool,
}

/// What happens to a live label or annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is declared.
    Declared,
    /// It is not declared, and only irsa owns it. irsa leaves it out of the next server-side apply, so the API server
    /// removes it.
    GivenUp,
    /// It is not declared, and irsa removes it with a patch. A server-side apply would keep it, because
    /// `before-first-apply` owns it too. That manager stands for an unknown writer.
    Removed,
    /// It is not declared, but it stays, because another manager owns it too.
    Shared,
    /// An undeclared `eks.amazonaws.com/*` annotation that somebody set by hand. irsa removes it.
    Drift,
    /// An undeclared audience that the role does not trust, so that pods cannot assume the role. irsa refuses the
    /// change, or removes the annotation with `--force-conflicts`.
    Conflict,
    /// An undeclared `eks.amazonaws.com/*` annotation that stays, because it does no harm.
    Harmless,
    /// The field has nothing to do with irsa.
    Foreign,
}

impl Fate {
    /// Whether irsa removes the field with a patch.
    fn is_removed(self) -> bool {
        matches!(self, Self::Removed | Self::Drift | Self::Conflict)
    }
}

impl Comparison<'_> {
    fn fate(&self, field: MetaField<'_>) -> Fate {
        let own = self.ownership.is_own(field);
        if has(&self.wanted, field) {
            Fate::Declared
        } else if own && self.ownership.other_owners(field).next().is_none() {
            if self.ownership.is_shared(field) { Fate::Removed } else { Fate::GivenUp }
        } else if matches!(field, MetaField::Annotation(key) if key.starts_with(CHAIN)) {
            self.undeclared(field)
        } else if own {
            Fate::Shared
        } else {
            Fate::Foreign
        }
    }

    /// The fate of an `eks.amazonaws.com/*` annotation that is not declared. It is harmful if it is an audience that
    /// the role does not trust.
    ///
    /// - Harmless, and set by a manager that would set it again (Helm, `kubectl apply`, an admission policy): it stays.
    /// - Harmless, and irsa did not create the object: it stays, because it may be older than the owner label.
    /// - Otherwise, if a person or an unknown writer set it, on an object with this owner's label: it is drift.
    /// - Otherwise: it is a conflict.
    fn undeclared(&self, field: MetaField<'_>) -> Fate {
        let created = self.ours && self.ownership.is_own(MetaField::Annotation(CREATED));
        let by_hand = self.ownership.other_owners(field).all(is_interactive);
        // if other fields have recorded managers and this annotation has none, an admission policy sets it
        let by_policy = !self.ownership.is_shared(field) && !self.ownership.is_unrecorded();
        let trusted = Some(self.item.binding.effective_audience());
        let harmless = field != MetaField::Annotation(AUDIENCE) || self.ownership.value(field) == trusted;
        if harmless && (by_policy || !by_hand || !created) {
            Fate::Harmless
        } else if by_hand && self.ours {
            Fate::Drift
        } else {
            Fate::Conflict
        }
    }
}

/// Whether the field manager is a kubectl command that a person runs by hand. Commands that read manifests set their
/// fields again each time (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers>).
fn is_interactive(manager: &str) -> bool {
    const MANIFESTS: [&str; 4] = ["client-side-apply", "create", "last-applied", "replace"];
    manager.strip_prefix("kubectl-").is_some_and(|command| !MANIFESTS.contains(&command))
}

fn existing(draft: &mut Draft, item: &Declared<'_>, live: &LiveServiceAccount) {
    let address = &item.address;
    let ownership = FieldOwnership::of(item.context, live);
    let ours = item.context.is_ours(&live.labels);
    // everybody who can write in the namespace can set the label, so the guards count only objects whose label irsa
    // owns
    if ours && ownership.is_own(MetaField::Label(OWNER)) {
        draft.count_as_managed(address, Place::Cluster(item.binding.cluster.clone()));
        draft.declared_live = true;
    }
    if let Some(why) = being_deleted(live) {
        let then = if item.binding.manage == Manage::Annotate {
            "irsa annotates it once somebody has created it again"
        } else {
            "irsa creates it again when it is gone"
        };
        return wait(draft, item, &format!("{why}; {then}"));
    }
    if let Some(owner) = live.labels.get(OWNER).filter(|_| !ours) {
        let hint = format!("release it in the configuration of owner `{owner}` first (`forget`)");
        let why = format!("it carries the label of owner `{owner}`");
        return draft.refuse(address, RefusalKind::OwnerLabel.because(why, hint));
    }
    // only the `CREATED` annotation shows that irsa created the object: an object without other managers may still be
    // somebody else's
    let wanted = wanted(item, ownership.is_own(MetaField::Annotation(CREATED)));
    let comparison = Comparison { item, wanted, ownership, ours };
    let fates: Vec<(MetaField<'_>, Fate)> = ownership.fields().map(|field| (field, comparison.fate(field))).collect();
    for (field, fate) in &fates {
        let origin = Some(&item.binding.origin);
        match fate {
            Fate::Harmless => {
                let by = set_by(ownership.other_owners(*field));
                let value = ownership.value(*field).unwrap_or_default();
                let text = format!("{field} with the value `{value}`{by} is not declared, and is left as it is");
                draft.note(address, Severity::Info, "annotation-undeclared", origin, text);
            }
            Fate::Shared => {
                let owners: Vec<&str> = ownership.other_owners(*field).collect();
                let owners = owners.join("`, `");
                let text =
                    format!("{field} is no longer declared, but it stays, because it also belongs to `{owners}`");
                draft.note(address, Severity::Info, "field-shared", origin, text);
            }
            Fate::Declared | Fate::GivenUp | Fate::Removed | Fate::Drift | Fate::Conflict | Fate::Foreign => {}
        }
    }
    let to = &comparison.wanted;
    let has_values = to.labels.iter().all(|(key, value)| live.labels.get(key) == Some(value))
        && to.annotations.iter().all(|(key, value)| live.annotations.get(key) == Some(value));
    let applied = has_values && !fates.iter().any(|(_, fate)| matches!(fate, Fate::GivenUp | Fate::Removed));
    if applied && !fates.iter().any(|(_, fate)| fate.is_removed()) {
        return draft.unchanged(address);
    }
    update(draft, &comparison, &fates, applied);
}

/// Adds the step that changes the object, or refuses it. `applied`: whether a server-side apply is not needed, because
/// the live object already has the fields that irsa sets, and no other field that only irsa owns.
fn update(draft: &mut Draft, comparison: &Comparison<'_>, fates: &[(MetaField<'_>, Fate)], applied: bool) {
    let Comparison { item, wanted, ownership, ours } = comparison;
    let live = ownership.live;
    let options = item.context.options;
    let conflicts = ownership.conflicts(wanted);
    let marked = *ours && live.annotations.get(ADDRESS) == Some(&address_mark(&item.address));
    let is_drift = |conflict: &&Conflict<'_>| {
        *ours && conflict.manager.starts_with("kubectl") || marked && conflict.manager == UNTRACKED
    };
    let conflict = conflicts.iter().find(|conflict| !is_drift(conflict));
    if let Some(refusal) = refusal(ownership, fates, conflict, options.report_only)
        && !options.force_conflicts
    {
        return draft.refuse(&item.address, refusal);
    }
    let is_own = |field: MetaField<'_>| has(wanted, field) || ownership.is_own(field);
    let fate = |field: MetaField<'_>| fates.iter().find(|(other, _)| *other == field).map(|(_, fate)| *fate);
    let is_removed = |field: MetaField<'_>| fate(field).is_some_and(Fate::is_removed);
    let is_kept =
        |field: MetaField<'_>| ownership.is_own(field) && matches!(fate(field), Some(Fate::Shared | Fate::Harmless));
    let before = ownership.pick(|field| is_own(field) || is_removed(field));
    let kept = ownership.pick(is_kept);
    let mut after = wanted.clone();
    after.labels.extend(kept.labels);
    after.annotations.extend(kept.annotations);
    let mut reasons = vec![format!("declared at {}", item.binding.origin)];
    for Conflict { field, manager, .. } in &conflicts {
        reasons.push(format!("irsa takes {field} over from `{manager}`"));
    }
    for (field, _) in fates.iter().filter(|(_, fate)| fate.is_removed()) {
        let by = set_by(ownership.other_owners(*field));
        reasons.push(format!("{field}{by} is not declared, and is removed"));
    }
    let force = options.force_conflicts || !conflicts.is_empty();
    let (uid, to, from) = (live.uid.clone(), wanted.clone(), ownership.pick(is_own));
    let apply = (!applied).then_some(KubernetesCall::Apply { uid, from, to, force });
    let remove = ownership.remove(is_removed);
    step(draft, item, Change::Update { before, after }, apply.into_iter().chain(remove), reasons);
}

/// `, set by …,`. Empty if no owner is known.
fn set_by<'a>(owners: impl Iterator<Item = &'a str>) -> String {
    let owners: Vec<&str> = owners.collect();
    if owners.is_empty() { String::new() } else { format!(", set by `{}`,", owners.join("`, `")) }
}

/// Why irsa does not change the object: another manager owns a field that irsa would set, or an undeclared annotation
/// would keep pods from assuming the role.
fn refusal(
    ownership: &FieldOwnership<'_>,
    fates: &[(MetaField<'_>, Fate)],
    conflict: Option<&Conflict<'_>>,
    report_only: bool,
) -> Option<Refusal> {
    if let Some(Conflict { manager, field, value }) = conflict {
        let forced = if report_only { "" } else { ", or let irsa take it over with `--force-conflicts`" };
        let hint = format!("stop that manager from setting the field{forced}");
        let why = format!("manager `{manager}` holds {field} with the value `{value}`");
        return Some(RefusalKind::FieldConflict.because(why, hint));
    }
    let (field, _) = fates.iter().find(|(_, fate)| *fate == Fate::Conflict)?;
    let value = ownership.value(*field)?;
    let (kind, why) = match ownership.other_owners(*field).next() {
        Some(manager) => (
            RefusalKind::FieldConflict,
            format!("manager `{manager}` holds {field} with the value `{value}`, which is not declared"),
        ),
        None => (
            RefusalKind::UnrecordedManager,
            format!("{field} with the value `{value}` is not declared, and who set it is not recorded"),
        ),
    };
    // a command that writes nothing has no `--force-conflicts`
    let hint = if report_only {
        "declare it, or remove it where it is set"
    } else {
        "declare it, remove it where it is set, or let irsa remove it with `--force-conflicts`"
    };
    Some(kind.because(why, hint))
}

/// Adds a step that comes after the role's step. A role of another shard must trust the ServiceAccount already.
fn step(
    draft: &mut Draft,
    item: &Declared<'_>,
    change: Change<ServiceAccount>,
    calls: impl IntoIterator<Item = KubernetesCall>,
    reasons: Vec<String>,
) {
    let cluster = &item.binding.cluster;
    let mut needs = vec![Address::role(item.role_key)];
    if !item.context.plans(&needs[0]) {
        match role_ready(item.context, &needs[0], item.role, item.binding) {
            Ready::Yes => needs.push(provider_address(&item.role.account, cluster)),
            Ready::No(why) => return wait(draft, item, &why),
            Ready::Unknown(why) => return draft.object_unknown(&item.address, why),
        }
    }
    let calls = calls.into_iter().map(|call| Call::Kubernetes(cluster.clone(), call));
    draft.step(&item.address, ResourceChange::ServiceAccount(change), calls, needs, reasons);
}

impl PlanFields for ServiceAccount {
    const FIELD_TYPES: FieldTypes = &[
        ("namespace", FieldType::Text),
        ("name", FieldType::Text),
        ("labels", FieldType::StringMap),
        ("annotations", FieldType::StringMap),
    ];

    fn values(&self) -> Vec<FieldValue<'_>> {
        let Self { namespace, name, labels, annotations } = self;
        let [namespace, name] = [namespace.as_str(), name.as_str()].map(FieldValue::Text);
        vec![namespace, name, FieldValue::strings(labels), FieldValue::strings(annotations)]
    }
}
