//! Writing: server-side apply of our own fields, and deletes of what is ours alone.
//!
//! An apply to an existing object carries its uid and resourceVersion, so that it cannot land on another object of the
//! name, nor on one that has changed since it was looked at.

use super::request::{Ask, Reply};
use super::{KubernetesWriter, error, fields};
use crate::ids::Key;
use crate::model::call::KubernetesCall;
use crate::model::live::LiveServiceAccount;
use crate::model::marks::CREATED;
use crate::model::resource::{Pairs, ServiceAccount};
use crate::world::{Answer, CallErrorKind, WriteKubernetes, Written};
use serde_json::{Value, json};

const CREATE: &str = "create ServiceAccount";
const APPLY: &str = "apply ServiceAccount";
const RELEASE: &str = "release ServiceAccount";
const DELETE: &str = "delete ServiceAccount";

impl WriteKubernetes for KubernetesWriter {
    async fn write(&self, cluster: &Key, call: &KubernetesCall) -> Answer<Written> {
        match call {
            KubernetesCall::Create { service_account } => self.create(cluster, service_account).await,
            KubernetesCall::Apply { uid, from, to, force } => {
                self.change(cluster, APPLY, uid, (from, to), *force, &body(to)).await
            }
            KubernetesCall::Release { uid, from } => {
                let nothing = ServiceAccount { labels: Pairs::new(), annotations: Pairs::new(), ..from.clone() };
                self.change(cluster, RELEASE, uid, (from, &nothing), false, &body(&nothing)).await
            }
            KubernetesCall::Delete { uid, from } => self.delete(cluster, uid, from).await,
        }
    }
}

impl KubernetesWriter {
    fn path(&self, account: &ServiceAccount) -> String {
        format!("/api/v1/namespaces/{}/serviceaccounts/{}", account.namespace, account.name)
    }

    async fn apply(
        &self,
        cluster: &Key,
        operation: &'static str,
        account: &ServiceAccount,
        body: &Value,
        force: bool,
    ) -> Answer<Reply> {
        let manager = &self.inner.manager;
        let path = format!("{}?fieldManager={manager}&force={force}&fieldValidation=Strict", self.path(account));
        self.inner.send(cluster, Ask::apply(operation, path, body)).await
    }

    /// Makes the object without its mark `irsa/created`, and adds that only if it was this that made it: an object that
    /// came into being meanwhile is somebody else's.
    async fn create(&self, cluster: &Key, account: &ServiceAccount) -> Answer<Written> {
        let mut bare = account.clone();
        let mark = bare.annotations.remove(CREATED);
        let reply = self.apply(cluster, CREATE, account, &body(&bare), false).await?;
        let made = fields::service_account(&reply.json).map_err(|why| error(CREATE, CallErrorKind::Other, why))?;
        // a reply that was lost is answered with 200 the second time
        let ours_alone = made.managers.iter().all(|manager| manager.name == self.inner.manager);
        let ours = reply.status.as_u16() == 201 || (ours_alone && fields::made_by(&reply.json, &self.inner.manager));
        if mark.is_none() || !ours {
            return Ok(Written { request_id: reply.request_id, already_done: false });
        }
        let mut whole = body(account);
        whole["metadata"]["uid"] = made.uid.clone().into();
        let reply = self.apply(cluster, CREATE, account, &whole, false).await?;
        Ok(Written { request_id: reply.request_id, already_done: false })
    }

    /// Applies to the object of this uid, as it is now; once more if it changed meanwhile in what is not ours.
    async fn change(
        &self,
        cluster: &Key,
        operation: &'static str,
        uid: &str,
        (from, to): (&ServiceAccount, &ServiceAccount),
        force: bool,
        body: &Value,
    ) -> Answer<Written> {
        let mut again = true;
        loop {
            let live = self.look(cluster, operation, from, uid).await?;
            if !unchanged(&live, from, to) {
                let message = "its fields of ours have changed since they were looked at";
                return Err(error(operation, CallErrorKind::Conflict, message));
            }
            let mut body = body.clone();
            body["metadata"]["uid"] = live.uid.clone().into();
            body["metadata"]["resourceVersion"] = live.resource_version.clone().into();
            match self.apply(cluster, operation, from, &body, force).await {
                Ok(reply) => return Ok(Written { request_id: reply.request_id, already_done: false }),
                // a field that another manager holds stays held; a version that is too old is looked up anew
                Err(wrong) if again && wrong.kind == CallErrorKind::Conflict && !wrong.message.starts_with("manager `") => {
                    again = false;
                }
                Err(wrong) => return Err(wrong),
            }
        }
    }

    async fn look(
        &self,
        cluster: &Key,
        operation: &'static str,
        account: &ServiceAccount,
        uid: &str,
    ) -> Answer<LiveServiceAccount> {
        let reply = self.inner.send(cluster, Ask::get(operation, self.path(account))).await?;
        let live = fields::service_account(&reply.json).map_err(|why| error(operation, CallErrorKind::Other, why))?;
        if live.uid == uid {
            return Ok(live);
        }
        let message = "another object has this name now: it was deleted and made anew";
        Err(error(operation, CallErrorKind::Conflict, message))
    }

    async fn delete(&self, cluster: &Key, uid: &str, account: &ServiceAccount) -> Answer<Written> {
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        });
        match self.inner.send(cluster, Ask::delete(DELETE, self.path(account), &options)).await {
            Ok(reply) => Ok(Written { request_id: reply.request_id, already_done: false }),
            Err(gone) if gone.kind == CallErrorKind::NotFound => {
                Ok(Written { request_id: gone.request_id, already_done: true })
            }
            Err(wrong) => Err(wrong),
        }
    }
}

/// The applied configuration: our fields and nothing else.
fn body(account: &ServiceAccount) -> Value {
    let mut metadata = json!({"name": account.name.as_str(), "namespace": account.namespace.as_str()});
    if !account.labels.is_empty() {
        metadata["labels"] = json!(account.labels);
    }
    if !account.annotations.is_empty() {
        metadata["annotations"] = json!(account.annotations);
    }
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
}

/// Whether every field that is ours is as it was looked at, or already as it should be.
fn unchanged(live: &LiveServiceAccount, from: &ServiceAccount, to: &ServiceAccount) -> bool {
    let same = |live: &Pairs, from: &Pairs, to: &Pairs| {
        from.keys().chain(to.keys()).all(|key| live.get(key) == from.get(key) || live.get(key) == to.get(key))
    };
    same(&live.labels, &from.labels, &to.labels) && same(&live.annotations, &from.annotations, &to.annotations)
}
