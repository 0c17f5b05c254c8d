//! Declared ServiceAccounts against live ones: some labels and annotations on objects that others may share.

use super::change::{Change, ResourceChange};
use super::draft::{Draft, Hold};
use super::elsewhere::{self, Ready};
use super::site::{Issuer, Site, Spot, exact};
use crate::ids::{Key, RoleArn};
use crate::model::address::{Address, Place};
use crate::model::call::{Call, KubernetesCall};
use crate::model::desired::{Binding, Manage, Role};
use crate::model::live::{Extent, FieldManager, LiveCluster, LiveServiceAccount, Observed};
use crate::model::marks::{
    ADDRESS, AUDIENCE, CREATED, OWNER, ROLE_ARN, STS_REGIONAL_ENDPOINTS, TOKEN_EXPIRATION, address_mark,
};
use crate::model::resource::{Pairs, ServiceAccount};
use std::borrow::Cow;
use std::sync::Arc;

/// One declared object that irsa looks after.
struct Managed<'a> {
    spot: Spot<'a>,
    role_key: &'a Key,
    role: &'a Role,
    binding: &'a Binding,
    /// The role's; nothing if its account is not declared.
    arn: Option<RoleArn>,
}

/// The ServiceAccounts of a role that irsa looks after, in clusters that are there.
fn managed<'a>(site: &Site<'_>, role_key: &'a Key, role: &'a Role) -> impl Iterator<Item = Managed<'a>> {
    let arn = site.role_arn(role);
    let here = |binding: &Binding| !matches!(site.issuer(&binding.cluster), Issuer::Gone(_));
    exact(role)
        .filter(move |(binding, _)| binding.manage != Manage::None && here(binding))
        .map(move |(binding, spot)| Managed { spot, role_key, role, binding, arn: arn.clone() })
}

/// Plans every declared ServiceAccount.
pub(crate) fn plan(site: &Site<'_>, draft: &mut Draft) {
    draft.each(site.desired, |draft, role_key, role| {
        managed(site, role_key, role).for_each(|item| one(site, draft, &item));
    });
}

fn one(site: &Site<'_>, draft: &mut Draft, item: &Managed<'_>) {
    let address = item.spot.address();
    if !site.has(&address) {
        return;
    }
    draft.depends(&address, [Address::role(item.role_key)]);
    let Some(cluster) = site.cluster(&item.binding.cluster) else {
        return draft.hold(&address, Hold::Unknown);
    };
    match look(cluster, item.spot) {
        Look::Present(live) => existing(site, draft, &address, item, live),
        Look::Absent => missing(site, draft, &address, item),
        Look::NoNamespace => wait(draft, &address, item, "its namespace is not there yet"),
        Look::Unknown(why) => draft.unseen(&address, why),
    }
}

enum Look<'a> {
    Present(&'a LiveServiceAccount),
    Absent,
    NoNamespace,
    Unknown(String),
}

fn look<'a>(cluster: &'a LiveCluster, Spot { namespace, name, .. }: Spot<'_>) -> Look<'a> {
    let namespace_seen = cluster.namespaces.get(namespace);
    match cluster.service_accounts.get(&(namespace.clone(), name.clone())) {
        Some(Observed::Present(live)) => Look::Present(live),
        Some(Observed::Unknown(why)) => Look::Unknown(why.clone()),
        _ if matches!(namespace_seen, Some(Observed::Absent)) => Look::NoNamespace,
        Some(Observed::Absent) => Look::Absent,
        None if cluster.extent == Extent::Whole => Look::Absent,
        None => Look::Unknown(match namespace_seen {
            Some(Observed::Unknown(why)) => why.clone(),
            _ => format!("namespace `{namespace}` was not read"),
        }),
    }
}

fn wait(draft: &mut Draft, address: &Address, item: &Managed<'_>, why: &str) {
    draft.wait(address, Some(&item.binding.origin), why);
}

fn missing(site: &Site<'_>, draft: &mut Draft, address: &Address, item: &Managed<'_>) {
    if item.binding.manage == Manage::Annotate {
        return wait(draft, address, item, "it is annotated once its maker has made it");
    }
    let Some(wanted) = wanted(address, item, true) else { return };
    let after = wanted.service_account(site, item);
    let call =
        Call::Kubernetes(item.binding.cluster.clone(), KubernetesCall::Create { service_account: after.clone() });
    let reasons = vec![format!("declared at {}", item.binding.origin)];
    let change = ResourceChange::ServiceAccount(Change::Create { after });
    point(site, draft, address, item, (change, call, reasons));
}

/// The annotations that it should have from us, beside the label of our owner.
struct Wanted<'a>([(&'static str, Option<Cow<'a, str>>); 6]);

fn wanted<'a>(address: &Address, item: &'a Managed<'_>, created: bool) -> Option<Wanted<'a>> {
    let arn = item.arn.as_ref()?;
    let Binding { audience, token_expiration, sts_regional_endpoints, .. } = item.binding;
    Some(Wanted([
        (ROLE_ARN, Some(arn.as_str().into())),
        (ADDRESS, Some(address_mark(address).into())),
        (AUDIENCE, audience.as_deref().map(Cow::from)),
        (TOKEN_EXPIRATION, token_expiration.map(|seconds| seconds.to_string().into())),
        (STS_REGIONAL_ENDPOINTS, sts_regional_endpoints.map(|on| on.to_string().into())),
        (CREATED, created.then(|| "true".into())),
    ]))
}

impl Wanted<'_> {
    fn annotations(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)))
    }

    /// Whether our part of a live object that carries our label is so: most are, and need no copy of it.
    fn is(&self, live: &LiveServiceAccount, held: &Held<'_>) -> bool {
        let given_up = |key: &String| held.annotation(key) && !self.annotations().any(|(wanted, _)| wanted == key);
        self.annotations().all(|(key, value)| live.annotations.get(key).is_some_and(|live| live == value))
            && !live.annotations.keys().any(given_up)
    }

    fn service_account(&self, site: &Site<'_>, item: &Managed<'_>) -> ServiceAccount {
        let Spot { namespace, name, .. } = item.spot;
        ServiceAccount {
            namespace: namespace.clone(),
            name: name.clone(),
            labels: Pairs::from_iter([(OWNER.to_owned(), site.desired.owner.to_string())]),
            annotations: self.annotations().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }
    }
}

fn existing(site: &Site<'_>, draft: &mut Draft, address: &Address, item: &Managed<'_>, live: &LiveServiceAccount) {
    let held = Held::of(site, live);
    // never inferred: an object that someone made bare has no managers but us, and was not made by us all the same
    let Some(wanted) = wanted(address, item, held.annotation(CREATED)) else { return };
    let owner = site.desired.owner.as_str();
    let labelled = live.labels.get(OWNER).map(String::as_str);
    let ours = labelled == Some(owner);
    // anyone in the namespace can set the label: what the guards count is what our field manager holds
    if ours && held.label(OWNER) {
        draft.ours.push((address.clone(), Place::Cluster(item.binding.cluster.clone())));
        draft.declared_live = true;
    }
    if let Some(other) = labelled.filter(|_| !ours) {
        let hint = format!("let the configuration of owner `{other}` go of it first (`forget`)");
        return draft.refuse(address, format!("it carries the label of owner `{other}`"), hint);
    }
    if ours && wanted.is(live, &held) {
        return draft.matches(address);
    }
    let after = wanted.service_account(site, item);
    let before = view(live, &held, &after);
    let conflicts = held.conflicts(live, &after);
    let (drifted, foreign): (Vec<&Conflict>, Vec<&Conflict>) =
        conflicts.iter().partition(|conflict| ours && conflict.manager.starts_with("kubectl"));
    if let Some(conflict) = foreign.first()
        && !site.options.force_conflicts
    {
        let why =
            format!("manager `{}` holds {} with the value `{}`", conflict.manager, conflict.field, conflict.value);
        let flag = if site.options.report_only { "" } else { ", or take it with `--force-conflicts`" };
        let hint = format!("take the field out of what that manager applies{flag}");
        return draft.refuse(address, why, hint);
    }
    let change = Change::Update { before: before.clone(), after: after.clone() };
    let mut reasons = vec![format!("declared at {}", item.binding.origin)];
    let taken = if drifted.is_empty() { &foreign } else { &drifted };
    reasons
        .extend(taken.iter().map(|conflict| format!("{} is taken back from `{}`", conflict.field, conflict.manager)));
    let force = site.options.force_conflicts;
    let call =
        KubernetesCall::Apply { uid: live.uid.clone(), from: before, to: after, force: force || !conflicts.is_empty() };
    let call = Call::Kubernetes(item.binding.cluster.clone(), call);
    point(site, draft, address, item, (ResourceChange::ServiceAccount(change), call, reasons));
}

/// Has the ServiceAccount point at its role: behind the role's own step, or if another share has the role, once it is
/// ready for it.
fn point(
    site: &Site<'_>,
    draft: &mut Draft,
    address: &Address,
    item: &Managed<'_>,
    (change, call, reasons): (ResourceChange, Call, Vec<String>),
) {
    let role = Address::role(item.role_key);
    let provider = Address::OidcProvider { account: item.role.account.clone(), cluster: item.binding.cluster.clone() };
    let needs = match elsewhere::ready(site, item.role_key, item.role, item.binding) {
        Ready::Ours => vec![role],
        Ready::Yes => vec![role, provider],
        Ready::No(why) => return draft.wait(address, Some(&item.binding.origin), why),
        Ready::Unknown(why) => return draft.unseen(address, why),
    };
    draft.step(address, change, [call], needs, reasons);
}

/// Our part of a live object: what we want to set and what we hold.
fn view(live: &LiveServiceAccount, held: &Held, after: &ServiceAccount) -> ServiceAccount {
    let annotations =
        live.annotations.iter().filter(|(key, _)| after.annotations.contains_key(*key) || held.annotation(key));
    ServiceAccount {
        namespace: live.namespace.clone(),
        name: live.name.clone(),
        labels: live.labels.iter().filter(|(key, _)| *key == OWNER).map(clone).collect(),
        annotations: annotations.map(clone).collect(),
    }
}

/// A label or annotation of one's own.
pub(crate) fn clone((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// The manager to which the API server gives all that an object without `managedFields` has, when it is first applied
/// to (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply-to-server-side-apply>).
const UNTRACKED: &str = "before-first-apply";

/// A field of ours that another manager holds with another value.
struct Conflict {
    manager: String,
    field: String,
    value: String,
}

/// What our field manager holds on an object, and what the others do.
pub(crate) struct Held<'a> {
    us: &'a str,
    managers: &'a [Arc<FieldManager>],
}

impl<'a> Held<'a> {
    pub(crate) fn of(site: &'a Site<'_>, live: &'a LiveServiceAccount) -> Self {
        Self { us: &site.field_manager, managers: &live.managers }
    }

    fn ours(&self) -> impl Iterator<Item = &'a FieldManager> {
        self.managers.iter().map(AsRef::as_ref).filter(|manager| manager.name == self.us)
    }

    fn theirs(&self) -> impl Iterator<Item = &'a FieldManager> {
        self.managers.iter().map(AsRef::as_ref).filter(|manager| manager.name != self.us)
    }

    /// Whether we hold the label.
    pub(crate) fn label(&self, label: &str) -> bool {
        holds(self.ours(), |manager| &manager.labels, label)
    }

    /// Whether we hold the annotation.
    pub(crate) fn annotation(&self, annotation: &str) -> bool {
        holds(self.ours(), |manager| &manager.annotations, annotation)
    }

    /// Whether nobody else holds anything, and we nothing but labels and annotations.
    pub(crate) fn alone(&self) -> bool {
        self.theirs().next().is_none() && self.ours().next().is_some() && !self.ours().any(|manager| manager.others)
    }

    /// Whether another manager holds the annotation too, so that it stays when we give it up.
    pub(crate) fn shared(&self, annotation: &str) -> bool {
        holds(self.theirs(), |manager| &manager.annotations, annotation)
    }

    /// Whether another manager holds the label too.
    pub(crate) fn shared_label(&self, label: &str) -> bool {
        holds(self.theirs(), |manager| &manager.labels, label)
    }

    /// The names of the other managers.
    pub(crate) fn others(&self) -> Vec<&str> {
        self.theirs().map(|manager| manager.name.as_str()).collect()
    }

    fn conflicts(&self, live: &LiveServiceAccount, after: &ServiceAccount) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        for (key, value) in &after.annotations {
            let Some(current) = live.annotations.get(key).filter(|current| *current != value) else { continue };
            let holders = self.theirs().filter(|manager| manager.annotations.contains(key));
            let mut holders: Vec<String> = holders.map(|manager| manager.name.clone()).collect();
            if live.managers.is_empty() {
                holders.push(UNTRACKED.to_owned());
            }
            conflicts.extend(holders.into_iter().map(|manager| Conflict {
                manager,
                field: format!("annotation `{key}`"),
                value: current.clone(),
            }));
        }
        conflicts
    }
}

/// Whether one of them holds the field of this name. Someone may hold very many.
fn holds<'a>(
    mut managers: impl Iterator<Item = &'a FieldManager>,
    fields: fn(&FieldManager) -> &[String],
    name: &str,
) -> bool {
    managers.any(|manager| fields(manager).binary_search_by(|field| field.as_str().cmp(name)).is_ok())
}
