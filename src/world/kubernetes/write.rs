//! Writes ServiceAccounts: server-side apply as irsa's own field manager
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>), merge patch to remove fields, and delete.
//!
//! A write to an existing object carries its uid and the resourceVersion at which irsa's fields were as planned, so that the
//! API refuses the write if either has changed. Without the uid, an apply to a deleted object would create a new one.
//!
//! A new object is created by an apply too, with its marks in the same request. A `POST` would make irsa own the fields
//! with operation `Update`. Kubernetes counts that as another owner than the same manager with `Apply`, so no later
//! apply could remove the fields. An apply with a resourceVersion creates a missing object, and is refused if the
//! object exists with another version
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>). No object has [`NO_VERSION`].

use super::KubernetesWriter;
use super::connection::ClusterConnection;
use super::failure::{ApiFailure, clean};
use super::metadata::{self, FieldManagers};
use super::read::{built, collection, metadata_of, service_account};
use super::send::Reply;
use crate::ids::Key;
use crate::model::call::KubernetesCall;
use crate::model::live::{FieldManager, LiveServiceAccount};
use crate::model::marks::{CREATED, OWNER};
use crate::model::resource::{ServiceAccount, StringMap, object};
use crate::world::{Answer, CallErrorKind, WriteKubernetes, Written};
use kube::core::params::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const PLURAL: &str = "serviceaccounts";
/// A resourceVersion that no object has: the largest 64-bit number. etcd counts its revisions up from 1.
const NO_VERSION: &str = "9223372036854775807";
/// How often to try to create an object that others create and delete at the same time.
const CREATE_ATTEMPTS: usize = 3;

impl WriteKubernetes for KubernetesWriter {
    async fn write(&self, cluster: &Key, call: &KubernetesCall, version: Option<&str>) -> Answer<Written> {
        let connection = self.clusters.connection(cluster, call.operation()).await?;
        let writer = Writer { connection: &connection, manager: &self.clusters.manager, halt: &self.halt };
        let written = match call {
            KubernetesCall::Create { service_account } => writer.create(service_account).await,
            KubernetesCall::Apply { uid, from, to, force } => {
                writer.change(uid, from, to, Method::Apply { force: *force }).await
            }
            KubernetesCall::Release { uid, from } => {
                done_if_gone(writer.change(uid, from, &without_fields(from), Method::Apply { force: false }).await)
            }
            KubernetesCall::Remove { uid, from } => {
                done_if_gone(writer.change(uid, from, &without_fields(from), Method::MergePatch).await)
            }
            KubernetesCall::Delete { uid, from } => done_if_gone(writer.delete(uid, version, from).await),
        };
        written.map_err(|failure| failure.at(call.operation()))
    }
}

struct Writer<'a> {
    connection: &'a ClusterConnection,
    manager: &'a str,
    halt: &'a CancellationToken,
}

/// How to change an existing object.
#[derive(Clone, Copy)]
enum Method {
    /// Removes only fields that no other manager owns.
    Apply { force: bool },
    /// Removes fields even if another manager owns them too.
    MergePatch,
}

impl Writer<'_> {
    async fn create(&self, wanted: &ServiceAccount) -> Result<Written, ApiFailure> {
        let mut refused = None;
        for _ in 0..CREATE_ATTEMPTS {
            match self.apply_once(wanted, None, NO_VERSION).await {
                // the object exists: the answer to an earlier attempt was lost, or another run or somebody else created
                // it
                Err(failure) if failure.is_stale() || failure.is_field_conflict() => refused = Some(failure),
                written => return written,
            }
            match self.apply_to_existing(wanted).await {
                Ok(None) => {}
                Ok(Some(written)) => return Ok(written),
                Err(failure) if failure.is_stale() => refused = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        Err(refused.unwrap_or_else(|| ApiFailure::conflict("someone else creates and deletes it again and again")))
    }

    /// Applies irsa's fields to an object that irsa should create but that already exists. None if it is gone again.
    ///
    /// Keeps the `created` mark if irsa owns it. Otherwise somebody else created the object, so irsa leaves the mark
    /// out.
    async fn apply_to_existing(&self, wanted: &ServiceAccount) -> Result<Option<Written>, ApiFailure> {
        let Some(live) = service_account(self.connection, &wanted.namespace, &wanted.name).await? else {
            return Ok(None);
        };
        if live.deleting.is_some() {
            return Err(ApiFailure::conflict("it exists and is being deleted"));
        }
        if let Some(other) = live.labels.get(OWNER).filter(|owner| wanted.labels.get(OWNER) != Some(*owner)) {
            let owner = clean(other);
            return Err(ApiFailure::conflict(format!("someone created it with the label of owner `{owner}`")));
        }
        let mut wanted = wanted.clone();
        if !owned(self.own_entries(&live)).contains(&Field::Annotation(CREATED)) {
            wanted.annotations.remove(CREATED);
        }
        if self.is_done(&live, &wanted) {
            return Ok(Some(Written { request_id: None, already_done: true }));
        }
        self.apply_once(&wanted, Some(&live.uid), &live.resource_version).await.map(Some)
    }

    /// Changes an object whose fields are still as in `from`.
    async fn change(
        &self,
        uid: &str,
        from: &ServiceAccount,
        to: &ServiceAccount,
        method: Method,
    ) -> Result<Written, ApiFailure> {
        let mut again = false;
        loop {
            let live = self.read(uid, to).await?;
            check_unchanged(&live, from, to)?;
            let done = match method {
                Method::Apply { .. } => self.is_done(&live, to),
                Method::MergePatch => {
                    let live = fields(&live.labels, &live.annotations);
                    fields(&from.labels, &from.annotations).keys().all(|field| !live.contains_key(field))
                }
            };
            if done {
                return Ok(Written { request_id: None, already_done: true });
            }
            let version = live.resource_version.as_str();
            let sent = match method {
                Method::Apply { force } => self.apply(to, Some(uid), version, force).await,
                Method::MergePatch => self.remove_fields(from, uid, version).await,
            };
            match sent {
                Ok(reply) => return self.check_stored(reply, from, to),
                // someone changed another field, or the answer to the first attempt was lost, so the next turn reads
                // again
                Err(failure) if failure.is_stale() && !again => again = true,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Removes fields even if another manager owns them too. The version in a merge patch is a precondition
    /// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply>).
    async fn remove_fields(&self, item: &ServiceAccount, uid: &str, version: &str) -> Result<Reply, ApiFailure> {
        let mut metadata = json!({"uid": uid, "resourceVersion": version});
        for (field, pairs) in [("labels", &item.labels), ("annotations", &item.annotations)] {
            if !pairs.is_empty() {
                metadata[field] = pairs.keys().map(|key| (key.clone(), Value::Null)).collect();
            }
        }
        let params = PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() };
        self.patch(item, &params, &Patch::Merge(json!({"metadata": metadata}))).await
    }

    async fn delete(&self, uid: &str, version: Option<&str>, from: &ServiceAccount) -> Result<Written, ApiFailure> {
        let resource_version = version.map(str::to_owned);
        let only = Preconditions { uid: Some(uid.to_owned()), resource_version };
        let params = DeleteParams::background().preconditions(only);
        let request = collection(Some(&from.namespace), PLURAL).delete(from.name.as_str(), &params);
        let reply = self.connection.send_with_admission(&built(request)?, self.halt).await?;
        Ok(Written { request_id: reply.request_id, already_done: false })
    }

    /// Reads the object. Fails if it is gone, is being deleted, or was deleted and created again since the plan.
    async fn read(&self, uid: &str, item: &ServiceAccount) -> Result<LiveServiceAccount, ApiFailure> {
        match service_account(self.connection, &item.namespace, &item.name).await? {
            None => Err(ApiFailure::new(CallErrorKind::NotFound, "it is no longer there")),
            Some(live) if live.deleting.is_some() => Err(ApiFailure::conflict("it is being deleted")),
            Some(live) if live.uid != uid => {
                Err(ApiFailure::conflict("it was deleted and recreated since it was read"))
            }
            Some(live) => Ok(live),
        }
    }

    /// The managedFields entries of irsa's manager.
    fn own_entries<'l>(&'l self, live: &'l LiveServiceAccount) -> impl Iterator<Item = &'l Arc<FieldManager>> {
        live.managers.iter().filter(|manager| manager.name == self.manager)
    }

    /// Whether irsa owns exactly the wanted fields, with the wanted values.
    fn is_done(&self, live: &LiveServiceAccount, to: &ServiceAccount) -> bool {
        let wanted = fields(&to.labels, &to.annotations);
        let values = fields(&live.labels, &live.annotations);
        owned(self.own_entries(live)) == wanted.keys().copied().collect()
            && wanted.iter().all(|(field, value)| values.get(field) == Some(value))
            && !self.own_entries(live).any(|manager| manager.others)
    }

    /// Compares the stored object with what was sent. A mutating admission webhook or policy may have changed irsa's
    /// fields (<https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#mutation>): without this
    /// check, every run would write them again, in vain.
    fn check_stored(&self, reply: Reply, from: &ServiceAccount, to: &ServiceAccount) -> Result<Written, ApiFailure> {
        let live = metadata::service_account(metadata_of(&reply)?, &mut FieldManagers::default())?;
        let others = owned(live.managers.iter().filter(|manager| manager.name != self.manager));
        let stored = fields(&live.labels, &live.annotations);
        let (from, to) = (fields(&from.labels, &from.annotations), fields(&to.labels, &to.annotations));
        let changed = to.iter().filter(|(field, value)| stored.get(*field) != Some(*value)).map(|(field, value)| {
            let is = stored.get(field).map_or("not there".to_owned(), |value| format!("`{}`", clean(value)));
            format!("{field} is {is}, irsa sent `{}`", clean(value))
        });
        // a field that another manager also owns stays, as expected
        let kept = from
            .keys()
            .filter(|field| !to.contains_key(*field) && stored.contains_key(*field) && !others.contains(*field));
        let altered: Vec<String> =
            changed.chain(kept.map(|field| format!("{field} is still there, although irsa removed it"))).collect();
        if altered.is_empty() {
            return Ok(Written { request_id: reply.request_id, already_done: false });
        }
        let why = format!("the API stored other values than irsa sent: {}", altered.join("; "));
        Err(ApiFailure { request_id: reply.request_id, ..ApiFailure::new(CallErrorKind::Altered, why) })
    }

    async fn apply_once(&self, item: &ServiceAccount, uid: Option<&str>, version: &str) -> Result<Written, ApiFailure> {
        let reply = self.apply(item, uid, version, false).await?;
        self.check_stored(reply, &without_fields(item), item)
    }

    async fn apply(
        &self,
        item: &ServiceAccount,
        uid: Option<&str>,
        version: &str,
        force: bool,
    ) -> Result<Reply, ApiFailure> {
        let params = PatchParams { force, ..PatchParams::apply(self.manager) };
        self.patch(item, &params, &Patch::Apply(apply_body(item, uid, version))).await
    }

    async fn patch(
        &self,
        item: &ServiceAccount,
        params: &PatchParams,
        patch: &Patch<Value>,
    ) -> Result<Reply, ApiFailure> {
        let request = collection(Some(&item.namespace), PLURAL).patch(item.name.as_str(), params, patch);
        self.connection.send_with_admission(&built(request)?, self.halt).await
    }
}

/// The same object without labels and annotations.
fn without_fields(item: &ServiceAccount) -> ServiceAccount {
    ServiceAccount { labels: StringMap::new(), annotations: StringMap::new(), ..item.clone() }
}

/// For a change that only removes something: if the object is gone, the change is done.
fn done_if_gone(written: Result<Written, ApiFailure>) -> Result<Written, ApiFailure> {
    match written {
        Err(failure) if failure.kind == CallErrorKind::NotFound => {
            Ok(Written { request_id: failure.request_id, already_done: true })
        }
        written => written,
    }
}

/// The object with only the fields that irsa must own.
fn apply_body(item: &ServiceAccount, uid: Option<&str>, version: &str) -> Value {
    let ServiceAccount { namespace, name, labels, annotations } = item;
    let mut metadata = json!({"name": name.as_str(), "namespace": namespace.as_str(), "resourceVersion": version});
    for (field, pairs) in [("labels", labels), ("annotations", annotations)] {
        if !pairs.is_empty() {
            metadata[field] = object(pairs);
        }
    }
    if let Some(uid) = uid {
        metadata["uid"] = json!(uid);
    }
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
}

/// A label or an annotation, by its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field<'k> {
    Label(&'k str),
    Annotation(&'k str),
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => write!(f, "label `{key}`"),
            Self::Annotation(key) => write!(f, "annotation `{key}`"),
        }
    }
}

/// Labels and annotations in one map.
fn fields<'a>(labels: &'a StringMap, annotations: &'a StringMap) -> BTreeMap<Field<'a>, &'a str> {
    let labels = labels.iter().map(|(key, value)| (Field::Label(key), value.as_str()));
    labels.chain(annotations.iter().map(|(key, value)| (Field::Annotation(key), value.as_str()))).collect()
}

/// The labels and annotations that these managers own.
fn owned<'a>(managers: impl Iterator<Item = &'a Arc<FieldManager>>) -> BTreeSet<Field<'a>> {
    let of_manager = |manager: &'a Arc<FieldManager>| {
        let labels = manager.labels.iter().map(|key| Field::Label(key));
        labels.chain(manager.annotations.iter().map(|key| Field::Annotation(key)))
    };
    managers.flat_map(of_manager).collect()
}

/// Checks that each field is as it was when the change was planned, or already as wanted.
fn check_unchanged(live: &LiveServiceAccount, from: &ServiceAccount, to: &ServiceAccount) -> Result<(), ApiFailure> {
    let live = fields(&live.labels, &live.annotations);
    let (from, to) = (fields(&from.labels, &from.annotations), fields(&to.labels, &to.annotations));
    let planned: BTreeSet<&Field<'_>> = from.keys().chain(to.keys()).collect();
    let is_changed = |field: &&Field<'_>| ![from.get(*field), to.get(*field)].contains(&live.get(*field));
    let changed: Vec<String> = planned.into_iter().filter(is_changed).map(ToString::to_string).collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(ApiFailure::conflict(format!("someone changed {} since it was read", changed.join(", "))))
}
