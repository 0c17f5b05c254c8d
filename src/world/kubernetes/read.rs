//! Gets and paged lists, of metadata alone: it is all that is compared
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>).

use super::connect::Connection;
use super::failure::Failure;
use super::live::{self, Managers};
use super::wire::{Reply, Request};
use crate::ids::{Namespace, ServiceAccountName};
use crate::model::live::LiveServiceAccount;
use crate::model::marks::OWNER;
use crate::world::{Answer, CallErrorKind, Within};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::core::Request as Builder;
use kube::core::params::{GetParams, ListParams};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

pub(crate) const LIST: &str = "list ServiceAccounts";
pub(crate) const GET: &str = "get ServiceAccount";
pub(crate) const LIST_NAMESPACES: &str = "list Namespaces";
pub(crate) const GET_NAMESPACE: &str = "get Namespace";
pub(crate) const LIST_PODS: &str = "list Pods";

/// Objects in one page, as kubectl asks for them.
const PAGE: u32 = 500;

#[derive(Deserialize)]
struct Object {
    metadata: ObjectMeta,
}

#[derive(Deserialize)]
struct Page {
    metadata: ListMeta,
    /// Go writes an empty list as `null` at times.
    items: Option<Vec<Object>>,
}

/// The path of a collection in the core group.
pub(crate) fn collection(namespace: Option<&Namespace>, plural: &str) -> Builder {
    Builder::new(match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/{plural}"),
        None => format!("/api/v1/{plural}"),
    })
}

/// The metadata in the body of an answer.
pub(crate) fn metadata(reply: &Reply) -> Result<ObjectMeta, Failure> {
    decode::<Object>(reply).map(|object| object.metadata)
}

fn decode<T: DeserializeOwned>(reply: &Reply) -> Result<T, Failure> {
    serde_json::from_slice(&reply.body).map_err(|_| Failure::other("the API's answer is not what it should be"))
}

/// A request that kube has put together.
pub(crate) fn built(request: Result<Request, kube::core::request::Error>) -> Result<Request, Failure> {
    request.map_err(|_| Failure::invalid("the request could not be put together"))
}

/// All objects of a collection, each as `read` has it. A list whose token has expired is begun anew, once: the pages
/// would be of two states
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>).
async fn list<T>(
    connection: &Connection,
    collection: &Builder,
    select: ListParams,
    read: impl FnMut(ObjectMeta) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    // no list is longer than that
    Ok(list_unless_long(connection, collection, select, i64::MAX, read).await?.unwrap_or_default())
}

/// The same; nothing if the API server says that more than `patience` would be left after the first page. It says so of
/// lists without selectors alone
/// (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/list-meta/>: `remainingItemCount`).
async fn list_unless_long<T>(
    connection: &Connection,
    collection: &Builder,
    select: ListParams,
    patience: i64,
    mut read: impl FnMut(ObjectMeta) -> Result<T, Failure>,
) -> Result<Option<Vec<T>>, Failure> {
    let (mut all, mut token, mut again) = (Vec::new(), None::<String>, false);
    loop {
        let mut params = select.clone().limit(PAGE);
        params.continue_token.clone_from(&token);
        let reply = match connection.send(&built(collection.list_metadata(&params))?).await {
            Ok(reply) => reply,
            Err(failure) if failure.status == Some(410) && token.is_some() && !again => {
                (again, token) = (true, None);
                all.clear();
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let page: Page = decode(&reply)?;
        // as it is sent, an object takes ten times the room of what is kept of it
        for object in page.items.into_iter().flatten() {
            all.push(read(object.metadata)?);
        }
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(Some(all));
        }
        if page.metadata.remaining_item_count.is_some_and(|left| left > patience) {
            return Ok(None);
        }
    }
}

/// One object; nothing if there is none.
pub(crate) async fn get(
    connection: &Connection,
    collection: &Builder,
    name: &str,
) -> Result<Option<ObjectMeta>, Failure> {
    match connection.send(&built(collection.get_metadata(name, &GetParams::default()))?).await {
        Ok(reply) => metadata(&reply).map(Some),
        Err(failure) if failure.kind == CallErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn service_accounts(
    connection: &Connection,
    within: Within<'_>,
    us: &str,
) -> Answer<Vec<LiveServiceAccount>> {
    let (namespace, select) = match within {
        Within::Cluster => (None, ListParams::default()),
        Within::Namespace(namespace) => (Some(namespace), ListParams::default()),
        Within::Owner(owner) => (None, ListParams::default().labels(&format!("{OWNER}={owner}"))),
    };
    let mut seen = Managers::default();
    let read = |object| live::service_account(object, us, &mut seen);
    let listed = list(connection, &collection(namespace, "serviceaccounts"), select, read).await;
    listed.map_err(|failure| failure.at(LIST))
}

pub(crate) async fn service_accounts_unless_long(
    connection: &Connection,
    patience: i64,
    us: &str,
) -> Answer<Option<Vec<LiveServiceAccount>>> {
    let all = collection(None, "serviceaccounts");
    let mut seen = Managers::default();
    let read = |object| live::service_account(object, us, &mut seen);
    let listed = list_unless_long(connection, &all, ListParams::default(), patience, read).await;
    listed.map_err(|failure| failure.at(LIST))
}

pub(crate) async fn service_account(
    connection: &Connection,
    namespace: &Namespace,
    name: &ServiceAccountName,
    us: &str,
) -> Answer<Option<LiveServiceAccount>> {
    let found = get(connection, &collection(Some(namespace), "serviceaccounts"), name.as_str()).await;
    let found = found
        .and_then(|found| found.map(|object| live::service_account(object, us, &mut Managers::default())).transpose());
    found.map_err(|failure| failure.at(GET))
}

pub(crate) async fn namespaces(connection: &Connection) -> Answer<BTreeSet<Namespace>> {
    let there = |object: ObjectMeta| Ok(object.name.filter(|_| object.deletion_timestamp.is_none()));
    let names = list(connection, &collection(None, "namespaces"), ListParams::default(), there).await;
    let names = names.map_err(|failure| failure.at(LIST_NAMESPACES))?;
    Ok(names.into_iter().flatten().filter_map(|name| Namespace::parse(name).ok()).collect())
}

pub(crate) async fn namespace(connection: &Connection, namespace: &Namespace) -> Answer<bool> {
    let found = get(connection, &collection(None, "namespaces"), namespace.as_str()).await;
    let found = found.map_err(|failure| failure.at(GET_NAMESPACE))?;
    Ok(found.is_some_and(|object| object.deletion_timestamp.is_none()))
}

/// Pods that ended use nothing any more
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>).
pub(crate) async fn pods(
    connection: &Connection,
    namespace: &Namespace,
    name: &ServiceAccountName,
) -> Answer<Vec<String>> {
    let fields = format!("spec.serviceAccountName={name},status.phase!=Succeeded,status.phase!=Failed");
    let (pods, select) = (collection(Some(namespace), "pods"), ListParams::default().fields(&fields));
    let names = list(connection, &pods, select, |object| Ok(object.name)).await;
    let names = names.map_err(|failure| failure.at(LIST_PODS))?;
    let mut names: Vec<String> = names.into_iter().flatten().collect();
    names.sort();
    Ok(names)
}
