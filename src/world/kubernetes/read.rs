//! Reading: ServiceAccounts page by page, namespaces, and the pods that run under a ServiceAccount.

use super::request::{Ask, Reply};
use super::{KubernetesReader, error, fields};
use crate::ids::{Key, Namespace, ServiceAccountName};
use crate::model::live::{Access, LiveServiceAccount};
use crate::world::{Answer, CallErrorKind, ClusterFacts, ReadKubernetes};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::collections::BTreeSet;

/// How many objects a page has, as kubectl asks
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>).
const PAGE: usize = 500;

impl KubernetesReader {
    /// All items of a list. A list whose place has expired (410) is begun anew, once.
    async fn list(&self, cluster: &Key, operation: &'static str, path: &str) -> Answer<Vec<Value>> {
        let mut items = Vec::new();
        let mut place: Option<String> = None;
        let mut again = true;
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let mut url = format!("{path}{joint}limit={PAGE}");
            if let Some(place) = &place {
                url.push_str(&format!("&continue={}", utf8_percent_encode(place, NON_ALPHANUMERIC)));
            }
            let reply = match self.inner.send(cluster, Ask::get(operation, url)).await {
                Err(gone) if again && place.is_some() && gone.code.as_deref() == Some("Expired") => {
                    (place, again) = (None, false);
                    items.clear();
                    continue;
                }
                other => other?,
            };
            let Reply { json, .. } = reply;
            items.extend(json.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
            let next = json.get("metadata").and_then(|metadata| metadata.get("continue")).and_then(Value::as_str);
            match next.filter(|next| !next.is_empty()) {
                Some(next) => place = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }

    /// An object, or nothing where the server says that there is none.
    async fn object(&self, cluster: &Key, operation: &'static str, path: String) -> Answer<Option<Value>> {
        match self.inner.send(cluster, Ask::get(operation, path)).await {
            Ok(reply) => Ok(Some(reply.json)),
            Err(error) if error.kind == CallErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether a namespace is there to stay.
fn lasts(namespace: &Value) -> bool {
    let phase = namespace.get("status").and_then(|status| status.get("phase")).and_then(Value::as_str);
    let deleted = namespace.get("metadata").and_then(|metadata| metadata.get("deletionTimestamp")).is_some();
    !deleted && phase != Some("Terminating")
}

fn name(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("name")?.as_str()
}

impl ReadKubernetes for KubernetesReader {
    async fn verify(&self, cluster: &Key, facts: &ClusterFacts) -> Access<()> {
        self.connect(cluster, facts).await
    }

    async fn service_accounts(
        &self,
        cluster: &Key,
        namespace: Option<&Namespace>,
    ) -> Answer<Vec<LiveServiceAccount>> {
        let operation = "list ServiceAccounts";
        let path = match namespace {
            Some(namespace) => format!("/api/v1/namespaces/{namespace}/serviceaccounts"),
            None => "/api/v1/serviceaccounts".to_owned(),
        };
        let items = self.list(cluster, operation, &path).await?;
        let read = items.iter().map(|item| {
            fields::service_account(item).map_err(|why| error(operation, CallErrorKind::Other, format!("an item is odd: {why}")))
        });
        read.collect()
    }

    async fn service_account(
        &self,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
    ) -> Answer<Option<LiveServiceAccount>> {
        let operation = "get ServiceAccount";
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}");
        let object = self.object(cluster, operation, path).await?;
        let read = object.as_ref().map(fields::service_account).transpose();
        read.map_err(|why| error(operation, CallErrorKind::Other, format!("the object is odd: {why}")))
    }

    async fn namespaces(&self, cluster: &Key) -> Answer<BTreeSet<Namespace>> {
        let items = self.list(cluster, "list Namespaces", "/api/v1/namespaces").await?;
        let names = items.iter().filter(|item| lasts(item)).filter_map(name);
        Ok(names.filter_map(|name| Namespace::parse(name).ok()).collect())
    }

    async fn namespace(&self, cluster: &Key, namespace: &Namespace) -> Answer<bool> {
        let object = self.object(cluster, "get Namespace", format!("/api/v1/namespaces/{namespace}")).await?;
        Ok(object.is_some_and(|object| lasts(&object)))
    }

    async fn pods(&self, cluster: &Key, namespace: &Namespace, account: &ServiceAccountName) -> Answer<Vec<String>> {
        let path = format!("/api/v1/namespaces/{namespace}/pods?fieldSelector=spec.serviceAccountName%3D{account}");
        let items = self.list(cluster, "list Pods", &path).await?;
        // a pod that has ended asks for no more tokens
        let ended = |pod: &Value| {
            let phase = pod.get("status").and_then(|status| status.get("phase")).and_then(Value::as_str);
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        Ok(items.iter().filter(|pod| !ended(pod)).filter_map(name).map(str::to_owned).collect())
    }
}
