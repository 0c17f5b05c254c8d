//! Writes ServiceAccounts, by server-side apply as our own field manager
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>).
//!
//! An existing object is written only as the one that was planned for: its uid and the version at which each field of
//! ours was as planned go along, so that the API refuses everything else. Without the uid, an apply to an object that is
//! gone would make a new one.

use super::connect::Connection;
use super::failure::Failure;
use super::live::{self, Managers};
use super::read::{built, collection, get, metadata};
use super::wire::Reply;
use crate::ids::{Namespace, ServiceAccountName};
use crate::model::call::KubernetesCall;
use crate::model::live::LiveServiceAccount;
use crate::model::marks::CREATED;
use crate::model::resource::{Pairs, ServiceAccount, object};
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
    halt: &CancellationToken,
) -> Answer<Written> {
    let writer = Writer { connection, manager, halt };
    let written = match call {
        KubernetesCall::Create { service_account } => writer.create(service_account).await,
        KubernetesCall::Apply { uid, from, to, force } => writer.apply(uid, from, to, *force).await,
        KubernetesCall::Release { uid, from } => writer.release(uid, from).await,
        KubernetesCall::Delete { uid, from } => writer.delete(uid, from).await,
    };
    written.map_err(|failure| failure.at(call.operation()))
}

struct Writer<'a> {
    connection: &'a Connection,
    manager: &'a str,
    halt: &'a CancellationToken,
}

/// Which object an apply is for, and in which version of it.
#[derive(Default)]
struct Target<'a> {
    uid: Option<&'a str>,
    version: Option<&'a str>,
    force: bool,
}

impl Writer<'_> {
    async fn create(&self, wanted: &ServiceAccount) -> Result<Written, Failure> {
        let mut unmarked = wanted.clone();
        let mark = unmarked.annotations.remove(CREATED);
        let reply = match self.send(&unmarked, Target::default()).await {
            // someone makes or changes it at this very moment: then it is there
            Err(failure) if failure.kind == CallErrorKind::AlreadyExists || failure.is_stale() => {
                self.send(&unmarked, Target::default()).await?
            }
            reply => reply?,
        };
        let object = metadata(&reply)?;
        if object.deletion_timestamp.is_some() {
            return Err(Failure::conflict("it is there and is being deleted"));
        }
        let made = reply.status == 201 || (reply.lost && live::fresh(&object, self.manager));
        if !made || mark.is_none() {
            return Ok(Written { request_id: reply.request_id, already_done: false });
        }
        let target = Target { uid: object.uid.as_deref(), ..Target::default() };
        // the second half of a write that is under way
        let marked = self.send_unless(wanted, target, &CancellationToken::new()).await.map_err(|failure| Failure {
            message: format!("it was made, but could not be marked `{CREATED}`: {}", failure.message),
            ..failure
        })?;
        Ok(Written { request_id: marked.request_id, already_done: false })
    }

    async fn apply(
        &self,
        uid: &str,
        from: &ServiceAccount,
        to: &ServiceAccount,
        force: bool,
    ) -> Result<Written, Failure> {
        let gone = || Failure::not_found("it is no longer there");
        let mut again = false;
        loop {
            let live = self.read(uid, to).await?.ok_or_else(gone)?;
            planned(&live, from, to)?;
            if self.done(&live, to) {
                return Ok(Written { request_id: None, already_done: true });
            }
            let target = Target { uid: Some(uid), version: Some(&live.resource_version), force };
            match self.send(to, target).await {
                Ok(reply) => return Ok(Written { request_id: reply.request_id, already_done: false }),
                // someone changed something, or our own answer was lost: look again
                Err(failure) if failure.is_stale() && !again => again = true,
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn release(&self, uid: &str, from: &ServiceAccount) -> Result<Written, Failure> {
        let nothing = ServiceAccount { labels: Pairs::new(), annotations: Pairs::new(), ..from.clone() };
        match self.apply(uid, from, &nothing, false).await {
            Err(failure) if failure.kind == CallErrorKind::NotFound => {
                Ok(Written { request_id: failure.request_id, already_done: true })
            }
            written => written,
        }
    }

    async fn delete(&self, uid: &str, from: &ServiceAccount) -> Result<Written, Failure> {
        let only = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams::background().preconditions(only);
        let request = collection(Some(&from.namespace), PLURAL).delete(from.name.as_str(), &params);
        match self.connection.send_unless(&built(request)?, self.halt).await {
            Ok(reply) => Ok(Written { request_id: reply.request_id, already_done: false }),
            Err(failure) if failure.kind == CallErrorKind::NotFound => {
                Ok(Written { request_id: failure.request_id, already_done: true })
            }
            Err(failure) => Err(failure),
        }
    }

    /// The object, if it is there and still the same.
    async fn read(&self, uid: &str, item: &ServiceAccount) -> Result<Option<LiveServiceAccount>, Failure> {
        let ServiceAccount { namespace, name, .. } = item;
        let found = get(self.connection, &collection(Some(namespace), PLURAL), name.as_str()).await?;
        match found {
            Some(object) if object.deletion_timestamp.is_some() => Err(Failure::conflict("it is being deleted")),
            Some(object) if object.uid.as_deref() != Some(uid) => {
                Err(Failure::conflict("it was deleted and made anew since it was read"))
            }
            Some(object) => live::service_account(object, self.manager, &mut Managers::default()).map(Some),
            None => Ok(None),
        }
    }

    /// Whether we hold exactly what is wanted, and it has the wanted values.
    fn done(&self, live: &LiveServiceAccount, to: &ServiceAccount) -> bool {
        let ours: Vec<_> = live.managers.iter().filter(|manager| manager.name == self.manager).collect();
        let labels: BTreeSet<&String> = ours.iter().flat_map(|manager| &manager.labels).collect();
        let annotations: BTreeSet<&String> = ours.iter().flat_map(|manager| &manager.annotations).collect();
        labels == to.labels.keys().collect()
            && annotations == to.annotations.keys().collect()
            && to.labels.iter().all(|(key, value)| live.labels.get(key) == Some(value))
            && to.annotations.iter().all(|(key, value)| live.annotations.get(key) == Some(value))
            && !ours.iter().any(|manager| manager.others)
    }

    async fn send(&self, item: &ServiceAccount, target: Target<'_>) -> Result<Reply, Failure> {
        self.send_unless(item, target, self.halt).await
    }

    async fn send_unless(
        &self,
        item: &ServiceAccount,
        target: Target<'_>,
        halt: &CancellationToken,
    ) -> Result<Reply, Failure> {
        let mut params = PatchParams::apply(self.manager);
        params.force = target.force;
        let patch = Patch::Apply(body(item, &target));
        let request = collection(Some(&item.namespace), PLURAL).patch(item.name.as_str(), &params, &patch);
        self.connection.send_unless(&built(request)?, halt).await
    }
}

const PLURAL: &str = "serviceaccounts";

/// Exactly what we want to hold.
fn body(item: &ServiceAccount, target: &Target<'_>) -> Value {
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
fn planned(live: &LiveServiceAccount, from: &ServiceAccount, to: &ServiceAccount) -> Result<(), Failure> {
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
    Err(Failure::conflict(format!("someone changed {} since it was read", changed.join(", "))))
}
