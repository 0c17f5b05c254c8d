//! Declared ServiceAccounts against live ones: some labels and annotations on objects that others may share.

use super::change::{Change, ResourceChange};
use super::context::{Issuer, PlanContext, ServiceAccountRef, exact};
use super::draft::{BlockedBy, Draft};
use super::field_ownership::{self, Conflict, Field, FieldOwnership, UNTRACKED, picked};
use super::other_shards::{self, Ready};
use crate::ids::{Key, RoleArn};
use crate::model::address::{Address, Place};
use crate::model::call::{Call, KubernetesCall};
use crate::model::desired::{Binding, Manage, Role};
use crate::model::live::{Extent, LiveCluster, LiveServiceAccount, NamespacePhase, Observed};
use crate::model::marks::{
    ADDRESS, AUDIENCE, CHAIN, CREATED, OWNER, ROLE_ARN, STS_REGIONAL_ENDPOINTS, TOKEN_EXPIRATION, address_mark,
};
use crate::model::note::Severity;
use crate::model::resource::{ServiceAccount, StringMap};
use std::borrow::Cow;

/// One declared object that irsa looks after.
struct Managed<'a> {
    reference: ServiceAccountRef<'a>,
    role_key: &'a Key,
    role: &'a Role,
    binding: &'a Binding,
    /// The role's; nothing if its account is not declared.
    arn: Option<RoleArn>,
}

/// The ServiceAccounts of a role that irsa looks after, in clusters that are there.
fn managed<'a>(context: &PlanContext<'_>, role_key: &'a Key, role: &'a Role) -> impl Iterator<Item = Managed<'a>> {
    let arn = context.role_arn(role);
    let here = |binding: &Binding| !matches!(context.issuer(&binding.cluster), Issuer::Gone(_));
    exact(role)
        .filter(move |(binding, _)| binding.manage != Manage::None && here(binding))
        .map(move |(binding, reference)| Managed { reference, role_key, role, binding, arn: arn.clone() })
}

/// Plans every declared ServiceAccount.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    draft.par_for_each_role(context.desired, |draft, role_key, role| {
        managed(context, role_key, role).for_each(|item| one(context, draft, &item));
    });
}

fn one(context: &PlanContext<'_>, draft: &mut Draft, item: &Managed<'_>) {
    let address = item.reference.address();
    if !context.has(&address) {
        return;
    }
    draft.depends(&address, [Address::role(item.role_key)]);
    let Some(cluster) = context.cluster(&item.binding.cluster) else {
        return draft.hold(&address, BlockedBy::Unknown);
    };
    match look(cluster, item.reference) {
        Presence::Present(live) => existing(context, draft, &address, item, live),
        Presence::Absent => missing(context, draft, &address, item),
        Presence::NoNamespace => wait(draft, &address, item, "its namespace is not there yet"),
        Presence::Terminating => {
            let why = "its namespace is being deleted (`Terminating`), and takes no new objects";
            wait(draft, &address, item, why);
        }
        Presence::Unknown(why) => draft.unseen(&address, why),
    }
}

enum Presence<'a> {
    Present(&'a LiveServiceAccount),
    Absent,
    NoNamespace,
    Terminating,
    Unknown(String),
}

fn look<'a>(
    cluster: &'a LiveCluster,
    ServiceAccountRef { namespace, name, .. }: ServiceAccountRef<'_>,
) -> Presence<'a> {
    let namespace_seen = cluster.namespaces.get(namespace);
    match cluster.service_accounts.get(&(namespace.clone(), name.clone())) {
        Some(Observed::Present(live)) => Presence::Present(live),
        Some(Observed::Unknown(why)) => Presence::Unknown(why.clone()),
        _ if matches!(namespace_seen, Some(Observed::Absent)) => Presence::NoNamespace,
        _ if matches!(namespace_seen, Some(Observed::Present(NamespacePhase::Terminating))) => Presence::Terminating,
        Some(Observed::Absent) => Presence::Absent,
        None if cluster.extent == Extent::Whole => Presence::Absent,
        None => Presence::Unknown(match namespace_seen {
            Some(Observed::Unknown(why)) => why.clone(),
            _ => format!("namespace `{namespace}` was not read"),
        }),
    }
}

/// Why nothing is done about an object that is being deleted, if it is.
pub(crate) fn going(live: &LiveServiceAccount) -> Option<String> {
    let finalizers = live.deleting.as_ref()?;
    let held: Vec<String> = finalizers.iter().map(|finalizer| format!("`{finalizer}`")).collect();
    Some(match held.len() {
        0 => "it is being deleted".to_owned(),
        1 => format!("it is being deleted, once finalizer {} is taken off it", held[0]),
        _ => format!("it is being deleted, once the finalizers {} are taken off it", held.join(", ")),
    })
}

fn wait(draft: &mut Draft, address: &Address, item: &Managed<'_>, why: &str) {
    draft.wait(address, Some(&item.binding.origin), why);
}

fn missing(context: &PlanContext<'_>, draft: &mut Draft, address: &Address, item: &Managed<'_>) {
    if item.binding.manage == Manage::Annotate {
        return wait(draft, address, item, "it is annotated once its maker has made it");
    }
    let Some(wanted) = wanted(address, item, true) else { return };
    let after = wanted.service_account(context, item);
    let call =
        Call::Kubernetes(item.binding.cluster.clone(), KubernetesCall::Create { service_account: after.clone() });
    let reasons = vec![format!("declared at {}", item.binding.origin)];
    let change = ResourceChange::ServiceAccount(Change::Create { after });
    point(context, draft, address, item, (change, vec![call], reasons));
}

/// What it should have from us: labels beside that of our owner, annotations of our own, and others.
struct Wanted<'a> {
    labels: Option<&'a StringMap>,
    own: [(&'static str, Option<Cow<'a, str>>); 6],
    annotations: Option<&'a StringMap>,
}

fn wanted<'a>(address: &Address, item: &'a Managed<'_>, created: bool) -> Option<Wanted<'a>> {
    let arn = item.arn.as_ref()?;
    let Binding { audience, token_expiration, sts_regional_endpoints, metadata, .. } = item.binding;
    Some(Wanted {
        labels: metadata.as_ref().map(|metadata| &metadata.labels),
        own: [
            (ROLE_ARN, Some(arn.as_str().into())),
            (ADDRESS, Some(address_mark(address).into())),
            (AUDIENCE, audience.as_deref().map(Cow::from)),
            (TOKEN_EXPIRATION, token_expiration.map(|seconds| seconds.to_string().into())),
            (STS_REGIONAL_ENDPOINTS, sts_regional_endpoints.map(|on| on.to_string().into())),
            (CREATED, created.then(|| "true".into())),
        ],
        annotations: metadata.as_ref().map(|metadata| &metadata.annotations),
    })
}

fn texts(pairs: Option<&StringMap>) -> impl Iterator<Item = (&str, &str)> {
    pairs.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
}

impl Wanted<'_> {
    fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.own.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        own.chain(texts(self.annotations))
    }

    fn has(&self, field: Field<'_>) -> bool {
        match field {
            Field::Label(key) => key == OWNER || texts(self.labels).any(|(wanted, _)| wanted == key),
            Field::Annotation(key) => self.annotations().any(|(wanted, _)| wanted == key),
        }
    }

    /// Whether our part of a live object that carries our label is so: most are, and need no copy of it.
    fn is(&self, live: &LiveServiceAccount, held: &FieldOwnership<'_>) -> bool {
        self.annotations().all(|(key, value)| live.annotations.get(key).is_some_and(|live| live == value))
            && texts(self.labels).all(|(key, value)| live.labels.get(key).is_some_and(|live| live == value))
            && !field_ownership::fields(live)
                .any(|field| held.holds(field) && !self.has(field) && held.holders(field).is_empty())
    }

    fn service_account(&self, context: &PlanContext<'_>, item: &Managed<'_>) -> ServiceAccount {
        fn own<'t>((key, value): (&'t str, &'t str)) -> (String, String) {
            (key.to_owned(), value.to_owned())
        }
        let ServiceAccountRef { namespace, name, .. } = item.reference;
        let owner = (OWNER.to_owned(), context.desired.owner.to_string());
        ServiceAccount {
            namespace: namespace.clone(),
            name: name.clone(),
            labels: texts(self.labels).map(own).chain([owner]).collect(),
            annotations: self.annotations().map(own).collect(),
        }
    }
}

fn existing(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    item: &Managed<'_>,
    live: &LiveServiceAccount,
) {
    let held = FieldOwnership::of(context, live);
    // never inferred: an object that someone made bare has no managers but us, and was not made by us all the same
    let Some(wanted) = wanted(address, item, held.holds(Field::Annotation(CREATED))) else { return };
    let owner = context.desired.owner.as_str();
    let labelled = live.labels.get(OWNER).map(String::as_str);
    let ours = labelled == Some(owner);
    // anyone in the namespace can set the label: what the guards count is what our field manager holds
    if ours && held.holds(Field::Label(OWNER)) {
        draft.ours.push((address.clone(), Place::Cluster(item.binding.cluster.clone())));
        draft.declared_live = true;
    }
    if let Some(why) = going(live) {
        return wait(draft, address, item, &format!("{why}; it is made anew when it is gone"));
    }
    if let Some(other) = labelled.filter(|_| !ours) {
        let hint = format!("let the configuration of owner `{other}` go of it first (`forget`)");
        return draft.refuse(address, format!("it carries the label of owner `{other}`"), hint);
    }
    let undeclared = undeclared(context, item, live, &wanted);
    for Undeclared { field, value, .. } in undeclared.iter().filter(|item| item.fate == Fate::Stays) {
        let by = by(&held.holders(*field));
        let text = format!("{field} with the value `{value}`{by} is not declared, and is left as it is");
        draft.note(address, Severity::Info, "annotation-undeclared", Some(&item.binding.origin), text);
    }
    let goes = |field: Field<'_>| {
        // given up, it would stay: nobody is known to hold it, and nobody would take it off
        let lingers = held.holds(field) && !wanted.has(field) && held.shared(field) && held.holders(field).is_empty();
        lingers || undeclared.iter().any(|item| item.field == field && item.fate != Fate::Stays)
    };
    let stays =
        |field: Field<'_>| held.holds(field) && !wanted.has(field) && !held.holders(field).is_empty() && !goes(field);
    for field in field_ownership::fields(live)
        .filter(|field| stays(*field) && !undeclared.iter().any(|item| item.field == *field))
    {
        let text =
            format!("{field} is no longer declared, and stays: `{}` holds it too", held.holders(field).join("`, `"));
        draft.note(address, Severity::Info, "field-shared", Some(&item.binding.origin), text);
    }
    let as_wanted = ours && wanted.is(live, &held);
    let gone: Vec<Field<'_>> = field_ownership::fields(live).filter(|field| goes(*field)).collect();
    if as_wanted && gone.is_empty() {
        return draft.matches(address);
    }
    let to = wanted.service_account(context, item);
    let conflicts = held.conflicts(live, &to);
    let marked = ours && live.annotations.get(ADDRESS) == Some(&address_mark(address));
    let drifted = |conflict: &&Conflict<'_>| {
        ours && conflict.manager.starts_with("kubectl") || marked && conflict.manager == UNTRACKED
    };
    let conflict = conflicts.iter().find(|conflict| !drifted(conflict));
    if let Some((why, hint)) = refusal(&held, &undeclared, conflict, context.options.report_only)
        && !context.options.force_conflicts
    {
        return draft.refuse(address, why, hint);
    }
    let ours_of = |field: Field<'_>| field == Field::Label(OWNER) || wanted.has(field) || held.holds(field);
    let before = picked(live, |field| ours_of(field) || goes(field));
    let mut after = to.clone();
    let kept = picked(live, stays);
    after.labels.extend(kept.labels);
    after.annotations.extend(kept.annotations);
    let mut reasons = vec![format!("declared at {}", item.binding.origin)];
    reasons.extend(
        conflicts.iter().map(|conflict| format!("{} is taken back from `{}`", conflict.field, conflict.manager)),
    );
    for field in &gone {
        reasons.push(format!("{field}{} is not declared, and is taken off", by(&held.holders(*field))));
    }
    let uid = || live.uid.clone();
    let force = context.options.force_conflicts || !conflicts.is_empty();
    let from = picked(live, ours_of);
    let apply = (!as_wanted).then(|| KubernetesCall::Apply { uid: uid(), from, to, force });
    let remove = (!gone.is_empty()).then(|| KubernetesCall::Remove { uid: uid(), from: picked(live, goes) });
    let calls = apply.into_iter().chain(remove).map(|call| Call::Kubernetes(item.binding.cluster.clone(), call));
    let change = ResourceChange::ServiceAccount(Change::Update { before, after });
    point(context, draft, address, item, (change, calls.collect(), reasons));
}

/// `, set by …`, as far as it is known.
fn by(holders: &[&str]) -> String {
    let names: Vec<String> = holders.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { String::new() } else { format!(", set by {},", names.join(", ")) }
}

/// An annotation for the pod identity webhook that is not declared.
struct Undeclared<'l> {
    field: Field<'l>,
    value: &'l str,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is drift, and taken off.
    Drift,
    /// Someone else meant it, and pods cannot assume the role with it: refused, or taken off by force.
    Conflict,
    /// Someone else meant it, and it does no harm.
    Stays,
}

/// Whether someone set it by hand: a manager of one of kubectl's commands, but for those that read manifests, which set it
/// again each time
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers>).
fn is_hand(manager: &str) -> bool {
    const MANIFESTS: [&str; 4] = ["client-side-apply", "create", "last-applied", "replace"];
    manager.strip_prefix("kubectl-").is_some_and(|command| !MANIFESTS.contains(&command))
}

/// The `eks.amazonaws.com/*` annotations that are not declared, but for those that go as they are given up. On an object
/// with our label they are drift where a hand set them, or where nobody is recorded. What another manager set, say Helm or
/// `kubectl apply`, it would set again: it stays, unless it is an audience that the role does not trust. So does what does
/// no harm on an object that someone else made: it may be older than our label.
fn undeclared<'l>(
    context: &PlanContext<'_>,
    item: &Managed<'_>,
    live: &'l LiveServiceAccount,
    wanted: &Wanted<'_>,
) -> Vec<Undeclared<'l>> {
    let held = FieldOwnership::of(context, live);
    let ours = live.labels.get(OWNER).map(String::as_str) == Some(context.desired.owner.as_str());
    let made = ours && held.holds(Field::Annotation(CREATED));
    let mut list = Vec::new();
    for (key, value) in live.annotations.iter().filter(|(key, _)| key.starts_with(CHAIN)) {
        let field = Field::Annotation(key);
        let given_up = held.holds(field) && held.holders(field).is_empty();
        if given_up || wanted.has(field) {
            continue;
        }
        let by_hand = held.holders(field).iter().all(|manager| is_hand(manager));
        // an admission policy leaves no record of itself where others do, and sets it again
        let by_policy = !held.shared(field) && !held.is_unrecorded();
        let harmless = key != AUDIENCE || value == item.binding.effective_audience();
        let fate = if harmless && (by_policy || !by_hand || !made) {
            Fate::Stays
        } else if by_hand && ours {
            Fate::Drift
        } else {
            Fate::Conflict
        };
        list.push(Undeclared { field, value, fate });
    }
    list
}

/// Why the object is not changed: another manager holds a field of ours, or set an annotation that is not declared.
fn refusal(
    held: &FieldOwnership<'_>,
    undeclared: &[Undeclared<'_>],
    conflict: Option<&Conflict<'_>>,
    report_only: bool,
) -> Option<(String, String)> {
    // a command that writes nothing has no such flag
    let by_force = |words: &str| (!report_only).then(|| format!("{words} with `--force-conflicts`"));
    let or = |ways: &[&str], forced: Option<String>| {
        let ways: Vec<&str> = ways.iter().copied().chain(forced.as_deref()).collect();
        match &ways[..] {
            [ways @ .., last] if !ways.is_empty() => format!("{}, or {last}", ways.join(", ")),
            ways => ways.concat(),
        }
    };
    if let Some(Conflict { manager, field, value }) = conflict {
        let hint = or(&["take the field out of what that manager applies"], by_force("take it"));
        return Some((format!("manager `{manager}` holds {field} with the value `{value}`"), hint));
    }
    let Undeclared { field, value, .. } = undeclared.iter().find(|item| item.fate == Fate::Conflict)?;
    let why = match held.holders(*field)[..] {
        [manager, ..] => format!("manager `{manager}` holds {field} with the value `{value}`, which is not declared"),
        [] => format!("{field} with the value `{value}` is not declared, and who set it is not recorded"),
    };
    Some((why, or(&["declare it", "take it out where it is set"], by_force("have it taken off"))))
}

/// Has the ServiceAccount point at its role: behind the role's own step, or if another shard has the role, once it is
/// ready for it.
fn point(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    item: &Managed<'_>,
    (change, calls, reasons): (ResourceChange, Vec<Call>, Vec<String>),
) {
    let role = Address::role(item.role_key);
    let provider = Address::OidcProvider { account: item.role.account.clone(), cluster: item.binding.cluster.clone() };
    let needs = match other_shards::ready(context, item.role_key, item.role, item.binding) {
        Ready::Ours => vec![role],
        Ready::Yes => vec![role, provider],
        Ready::No(why) => return draft.wait(address, Some(&item.binding.origin), why),
        Ready::Unknown(why) => return draft.unseen(address, why),
    };
    draft.step(address, change, calls, needs, reasons);
}
