//! Writes ServiceAccounts, by server-side apply as our own field manager
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>).
//!
//! An existing object is written only as the one that was planned for: its uid and the version at which each field of
//! ours was as planned go along, so that the API refuses everything else. Without the uid, an apply to an object that is
//! gone would make a new one.
//!
//! A new object is made by an apply too, mark and all in one request. `POST` would be refused where the object exists,
//! but the fields would then belong to our manager by `Update`, which is another owner than the same manager by `Apply`:
//! no later apply could take them off. An apply that names a version makes an object that is missing, and is refused for
//! any other version of one that is there
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>); [`NO_VERSION`] is none's.

use super::connect::Connection;
use super::failure::ApiFailure;
use super::live::{self, Managers};
use super::read::{built, collection, get, metadata};
use super::wire::Reply;
use crate::ids::{Namespace, ServiceAccountName};
use crate::model::call::KubernetesCall;
use crate::model::live::{FieldManager, LiveServiceAccount};
use crate::model::marks::{CREATED, OWNER};
use crate::model::resource::{ServiceAccount, StringMap, object};
use crate::world::{Answer, CallErrorKind, Written};
use kube::core::params::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// Makes one change; begins none any more once `halt` is cancelled.
pub(crate) async fn write(
    connection: &Connection,
    manager: &str,
    call: &KubernetesCall,
    version: Option<&str>,
    halt: &CancellationToken,
) -> Answer<Written> {
    let writer = Writer { connection, manager, halt };
    let written = match call {
        KubernetesCall::Create { service_account } => writer.create(service_account).await,
        KubernetesCall::Apply { uid, from, to, force } => {
            writer.change(uid, from, to, Way::Apply { force: *force }).await
        }
        KubernetesCall::Release { uid, from } => writer.release(uid, from).await,
        KubernetesCall::Remove { uid, from } => writer.remove(uid, from).await,
        KubernetesCall::Delete { uid, from } => writer.delete(uid, version, from).await,
    };
    written.map_err(|failure| failure.at(call.operation()))
}

struct Writer<'a> {
    connection: &'a Connection,
    manager: &'a str,
    halt: &'a CancellationToken,
}

/// Which object an apply is for, and in which version of it.
#[derive(Clone, Copy, Default)]
struct ApplyTarget<'a> {
    uid: Option<&'a str>,
    version: Option<&'a str>,
    force: bool,
}

/// A version that no object has: versions count up from 1 (etcd's revisions are 64-bit numbers).
const NO_VERSION: &str = "9223372036854775807";

/// How often an object is looked at that changes, or comes and goes, under our hands.
const LOOKS: usize = 3;

/// How an existing object is changed.
#[derive(Clone, Copy)]
enum Way {
    /// By an apply, which takes off only what our manager holds and nobody else does.
    Apply { force: bool },
    /// By a patch, which takes fields off whoever holds them.
    Patch,
}

impl Writer<'_> {
    async fn create(&self, wanted: &ServiceAccount) -> Result<Written, ApiFailure> {
        let missing = ApplyTarget { version: Some(NO_VERSION), ..ApplyTarget::default() };
        let mut refused = None;
        for _ in 0..LOOKS {
            match self.apply_once(wanted, missing).await {
                // it is there: our own lost answer, another run of ours, or someone else made it
                Err(failure) if failure.is_stale() || failure.is_field_conflict() => refused = Some(failure),
                written => return written,
            }
            match self.share(wanted).await {
                Ok(None) => {}
                Ok(Some(written)) => return Ok(written),
                Err(failure) if failure.is_stale() => refused = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        Err(refused.unwrap_or_else(|| ApiFailure::conflict("it comes and goes")))
    }

    /// Applies our fields to an object that was to be made and is there. Who made it, its mark says: the mark stays where
    /// it is ours, and is not put on what someone else made. None if the object is gone again.
    async fn share(&self, wanted: &ServiceAccount) -> Result<Option<Written>, ApiFailure> {
        let found = get(self.connection, &collection(Some(&wanted.namespace), PLURAL), wanted.name.as_str()).await?;
        let Some(object) = found else { return Ok(None) };
        let live = live::service_account(object, &mut Managers::default())?;
        if live.deleting.is_some() {
            return Err(ApiFailure::conflict("it is there and is being deleted"));
        }
        if let Some(other) = live.labels.get(OWNER).filter(|owner| wanted.labels.get(OWNER) != Some(*owner)) {
            let owner = super::failure::clean(other);
            return Err(ApiFailure::conflict(format!("someone made it with the label of owner `{owner}`")));
        }
        let mut wanted = wanted.clone();
        if !self.ours(&live).any(|manager| manager.annotations.iter().any(|key| key == CREATED)) {
            wanted.annotations.remove(CREATED);
        }
        if self.done(&live, &wanted) {
            return Ok(Some(Written { request_id: None, already_done: true }));
        }
        let target = ApplyTarget { uid: Some(&live.uid), version: Some(&live.resource_version), force: false };
        self.apply_once(&wanted, target).await.map(Some)
    }

    async fn release(&self, uid: &str, from: &ServiceAccount) -> Result<Written, ApiFailure> {
        or_gone(self.change(uid, from, &nothing(from), Way::Apply { force: false }).await)
    }

    async fn remove(&self, uid: &str, from: &ServiceAccount) -> Result<Written, ApiFailure> {
        or_gone(self.change(uid, from, &nothing(from), Way::Patch).await)
    }

    /// Makes a change of an existing object at a version of it that is as planned.
    async fn change(
        &self,
        uid: &str,
        from: &ServiceAccount,
        to: &ServiceAccount,
        way: Way,
    ) -> Result<Written, ApiFailure> {
        let gone = || ApiFailure::not_found("it is no longer there");
        let mut again = false;
        loop {
            let live = self.read(uid, to).await?.ok_or_else(gone)?;
            planned(&live, from, to)?;
            let done = match way {
                Way::Apply { .. } => self.done(&live, to),
                Way::Patch => !has_any(&live, from),
            };
            if done {
                return Ok(Written { request_id: None, already_done: true });
            }
            let version = live.resource_version.as_str();
            let sent = match way {
                Way::Apply { force } => {
                    self.send(to, ApplyTarget { uid: Some(uid), version: Some(version), force }).await
                }
                Way::Patch => self.take_off(from, uid, version).await,
            };
            match sent {
                Ok(reply) => return self.stored(reply, from, to),
                // someone changed something, or our own answer was lost: look again
                Err(failure) if failure.is_stale() && !again => again = true,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Takes fields from all managers that hold them. The version in a merge patch is a precondition
    /// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply>).
    async fn take_off(&self, fields: &ServiceAccount, uid: &str, version: &str) -> Result<Reply, ApiFailure> {
        let mut metadata = json!({"uid": uid, "resourceVersion": version});
        for (field, pairs) in [("labels", &fields.labels), ("annotations", &fields.annotations)] {
            if !pairs.is_empty() {
                metadata[field] = pairs.keys().map(|key| (key.clone(), Value::Null)).collect();
            }
        }
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let params = PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() };
        let request = collection(Some(&fields.namespace), PLURAL).patch(fields.name.as_str(), &params, &patch);
        self.connection.send_unless(&built(request)?, self.halt).await
    }

    async fn delete(&self, uid: &str, version: Option<&str>, from: &ServiceAccount) -> Result<Written, ApiFailure> {
        let resource_version = version.map(str::to_owned);
        let only = Preconditions { uid: Some(uid.to_owned()), resource_version };
        let params = DeleteParams::background().preconditions(only);
        let request = collection(Some(&from.namespace), PLURAL).delete(from.name.as_str(), &params);
        let sent = self.connection.send_unless(&built(request)?, self.halt).await;
        or_gone(sent.map(|reply| Written { request_id: reply.request_id, already_done: false }))
    }

    /// The object, if it is there and still the same.
    async fn read(&self, uid: &str, item: &ServiceAccount) -> Result<Option<LiveServiceAccount>, ApiFailure> {
        let ServiceAccount { namespace, name, .. } = item;
        let found = get(self.connection, &collection(Some(namespace), PLURAL), name.as_str()).await?;
        match found {
            Some(object) if object.deletion_timestamp.is_some() => Err(ApiFailure::conflict("it is being deleted")),
            Some(object) if object.uid.as_deref() != Some(uid) => {
                Err(ApiFailure::conflict("it was deleted and made anew since it was read"))
            }
            Some(object) => live::service_account(object, &mut Managers::default()).map(Some),
            None => Ok(None),
        }
    }

    /// The entries of our manager.
    fn ours<'l>(&'l self, live: &'l LiveServiceAccount) -> impl Iterator<Item = &'l FieldManager> + Clone {
        live.managers.iter().map(AsRef::as_ref).filter(|manager| manager.name == self.manager)
    }

    /// Whether we hold exactly what is wanted, and it has the wanted values.
    fn done(&self, live: &LiveServiceAccount, to: &ServiceAccount) -> bool {
        let ours = self.ours(live);
        let labels: BTreeSet<&String> = ours.clone().flat_map(|manager| &manager.labels).collect();
        let annotations: BTreeSet<&String> = ours.clone().flat_map(|manager| &manager.annotations).collect();
        labels == to.labels.keys().collect()
            && annotations == to.annotations.keys().collect()
            && to.labels.iter().all(|(key, value)| live.labels.get(key) == Some(value))
            && to.annotations.iter().all(|(key, value)| live.annotations.get(key) == Some(value))
            && !ours.clone().any(|manager| manager.others)
    }

    /// What came of a change, by the object that the API stored. A mutating admission webhook or policy may have changed
    /// our fields on their way
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#mutation>): then each run would
    /// write them anew, for nothing.
    fn stored(&self, reply: Reply, from: &ServiceAccount, to: &ServiceAccount) -> Result<Written, ApiFailure> {
        let live = live::service_account(metadata(&reply)?, &mut Managers::default())?;
        let theirs = || live.managers.iter().filter(|manager| manager.name != self.manager);
        let mut altered = Vec::new();
        let labels: BTreeSet<&String> = theirs().flat_map(|manager| &manager.labels).collect();
        let annotations: BTreeSet<&String> = theirs().flat_map(|manager| &manager.annotations).collect();
        for (word, live, from, to, theirs) in [
            ("label", &live.labels, &from.labels, &to.labels, labels),
            ("annotation", &live.annotations, &from.annotations, &to.annotations, annotations),
        ] {
            let clean = super::failure::clean;
            for (key, value) in to.iter().filter(|(key, value)| live.get(*key) != Some(*value)) {
                let is = live.get(key).map_or("not there".to_owned(), |value| format!("`{}`", clean(value)));
                altered.push(format!("{word} `{key}` is {is}, `{}` was sent", clean(value)));
            }
            // what another manager holds too stays
            let stays = |key: &&String| !to.contains_key(*key) && live.contains_key(*key) && !theirs.contains(*key);
            altered.extend(
                from.keys().filter(stays).map(|key| format!("{word} `{key}` is still there, and was taken off")),
            );
        }
        if altered.is_empty() {
            return Ok(Written { request_id: reply.request_id, already_done: false });
        }
        let why = format!("the API stored something else than what was sent: {}", altered.join("; "));
        Err(ApiFailure { request_id: reply.request_id, ..ApiFailure::altered(why) })
    }

    async fn apply_once(&self, item: &ServiceAccount, target: ApplyTarget<'_>) -> Result<Written, ApiFailure> {
        let reply = self.send(item, target).await?;
        self.stored(reply, &nothing(item), item)
    }

    async fn send(&self, item: &ServiceAccount, target: ApplyTarget<'_>) -> Result<Reply, ApiFailure> {
        let mut params = PatchParams::apply(self.manager);
        params.force = target.force;
        let patch = Patch::Apply(body(item, &target));
        let request = collection(Some(&item.namespace), PLURAL).patch(item.name.as_str(), &params, &patch);
        self.connection.send_unless(&built(request)?, self.halt).await
    }
}

/// The object without any field of ours.
fn nothing(item: &ServiceAccount) -> ServiceAccount {
    ServiceAccount { labels: StringMap::new(), annotations: StringMap::new(), ..item.clone() }
}

/// Whether one of these fields is there.
fn has_any(live: &LiveServiceAccount, fields: &ServiceAccount) -> bool {
    fields.labels.keys().any(|key| live.labels.contains_key(key))
        || fields.annotations.keys().any(|key| live.annotations.contains_key(key))
}

/// For a change that an object which is gone does not need any more.
fn or_gone(written: Result<Written, ApiFailure>) -> Result<Written, ApiFailure> {
    match written {
        Err(failure) if failure.kind == CallErrorKind::NotFound => {
            Ok(Written { request_id: failure.request_id, already_done: true })
        }
        written => written,
    }
}

const PLURAL: &str = "serviceaccounts";

/// Exactly what we want to hold.
fn body(item: &ServiceAccount, target: &ApplyTarget<'_>) -> Value {
    let ServiceAccount { namespace, name, labels, annotations } = item;
    let (namespace, name): (&Namespace, &ServiceAccountName) = (namespace, name);
    let mut metadata = json!({"name": name.as_str(), "namespace": namespace.as_str()});
    for (field, pairs) in [("labels", labels), ("annotations", annotations)] {
        if !pairs.is_empty() {
            metadata[field] = object(pairs);
        }
    }
    for (field, value) in [("uid", target.uid), ("resourceVersion", target.version)] {
        if let Some(value) = value {
            metadata[field] = json!(value);
        }
    }
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
}

/// Whether each field of ours is as it was when the change was planned, or already as it is to be.
fn planned(live: &LiveServiceAccount, from: &ServiceAccount, to: &ServiceAccount) -> Result<(), ApiFailure> {
    let mut changed = Vec::new();
    for (word, live, from, to) in [
        ("label", &live.labels, &from.labels, &to.labels),
        ("annotation", &live.annotations, &from.annotations, &to.annotations),
    ] {
        let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
        let other = |key: &&&String| ![from.get(**key), to.get(**key)].contains(&live.get(**key));
        changed.extend(keys.iter().filter(other).map(|key| format!("{word} `{key}`")));
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(ApiFailure::conflict(format!("someone changed {} since it was read", changed.join(", "))))
}
