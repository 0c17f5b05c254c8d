//! Gets and paged lists, of metadata alone: it is all that is compared
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>).

use super::connect::Connection;
use super::failure::ApiFailure;
use super::live::{self, Managers};
use super::wire::{Reply, Request};
use crate::ids::{Namespace, ServiceAccountName};
use crate::model::live::{LiveServiceAccount, NamespacePhase};
use crate::model::marks::OWNER;
use crate::world::bounds::{Endless, ITEMS, Listing};
use crate::world::{Answer, CallErrorKind, MalformedServiceAccount, ServiceAccountList, ServiceAccountScope};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::core::Request as Builder;
use kube::core::params::{GetParams, ListParams};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use tokio::time::Instant;

pub(crate) const LIST: &str = "list ServiceAccounts";
pub(crate) const GET: &str = "get ServiceAccount";
pub(crate) const LIST_NAMESPACES: &str = "list Namespaces";
pub(crate) const GET_NAMESPACE: &str = "get Namespace";
pub(crate) const LIST_PODS: &str = "list Pods";

/// Objects in one page, as kubectl asks for them.
const PAGE: u32 = 500;
/// The bytes of an object. The API server keeps none as large (<https://etcd.io/docs/v3.5/dev-guide/limit/>).
const LARGEST: usize = 2 << 20;

/// An object of which everything that is compared is read.
#[derive(serde::Deserialize)]
struct Object {
    metadata: ObjectMeta,
}

/// An object of which it is read whether it is there. What else is in it may be odd.
#[derive(serde::Deserialize)]
struct Bare {
    metadata: BareMetadata,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct BareMetadata {
    name: Option<String>,
    deletion_timestamp: Option<IgnoredAny>,
}

impl BareMetadata {
    /// Of a namespace.
    fn phase(&self) -> NamespacePhase {
        if self.deletion_timestamp.is_some() { NamespacePhase::Terminating } else { NamespacePhase::Active }
    }
}

/// A page, its objects still as they were sent: each is judged by itself.
#[derive(serde::Deserialize)]
struct Page<'a> {
    metadata: ListMeta,
    #[serde(borrow, deserialize_with = "items")]
    items: Vec<&'a RawValue>,
}

/// Go writes an empty list as `null` at times; there is always one or the other.
fn items<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<&'a RawValue>, D::Error> {
    struct Items;
    impl<'a> Visitor<'a> for Items {
        type Value = Vec<&'a RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = list.next_element()? {
                items.push(item);
                if items.len() > ITEMS {
                    // what comes behind is not needed to refuse the list
                    while list.next_element::<IgnoredAny>()?.is_some() {}
                }
            }
            Ok(items)
        }
    }
    deserializer.deserialize_any(Items)
}

/// The path of a collection in the core group.
pub(crate) fn collection(namespace: Option<&Namespace>, plural: &str) -> Builder {
    Builder::new(match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/{plural}"),
        None => format!("/api/v1/{plural}"),
    })
}

/// The metadata in the body of an answer.
pub(crate) fn metadata(reply: &Reply) -> Result<ObjectMeta, ApiFailure> {
    decode::<Object>(reply).map(|object| object.metadata)
}

fn decode<'a, T: Deserialize<'a>>(reply: &'a Reply) -> Result<T, ApiFailure> {
    serde_json::from_slice(&reply.body).map_err(|_| ApiFailure::other("the API's answer is not what it should be"))
}

/// A request that kube has put together.
pub(crate) fn built(request: Result<Request, kube::core::request::Error>) -> Result<Request, ApiFailure> {
    request.map_err(|_| ApiFailure::invalid("the request could not be put together"))
}

/// All objects of a collection, each as `read` has it. A list whose token has expired is begun anew, once: the pages
/// would be of two states
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>).
async fn list<T>(
    connection: &Connection,
    collection: &Builder,
    select: ListParams,
    read: impl FnMut(&RawValue) -> T,
) -> Result<Vec<T>, ApiFailure> {
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
    mut read: impl FnMut(&RawValue) -> T,
) -> Result<Option<Vec<T>>, ApiFailure> {
    let endless = |endless: Endless| ApiFailure::other(endless.to_string());
    let mut listing = Listing::new(connection.run.budget());
    let (mut all, mut token, mut again) = (Vec::new(), None::<String>, false);
    loop {
        let mut params = select.clone().limit(PAGE);
        params.continue_token.clone_from(&token);
        let request = built(collection.list_metadata(&params))?;
        let reply = match listing.within(connection.send(&request)).await.map_err(endless)? {
            Ok(reply) => reply,
            Err(failure) if failure.status == Some(410) && token.is_some() && !again => {
                (again, token) = (true, None);
                all.clear();
                listing.restart();
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let Page { metadata, items } = decode(&reply)?;
        token = metadata.continue_.filter(|token| !token.is_empty());
        listing.page(Instant::now(), items.len(), reply.body.len(), token.as_deref()).map_err(endless)?;
        // as it is sent, an object takes ten times the room of what is kept of it
        all.extend(items.into_iter().map(&mut read));
        if token.is_none() {
            return Ok(Some(all));
        }
        if metadata.remaining_item_count.is_some_and(|left| left > patience) {
            return Ok(None);
        }
    }
}

/// One object; nothing if there is none.
pub(crate) async fn get(
    connection: &Connection,
    collection: &Builder,
    name: &str,
) -> Result<Option<ObjectMeta>, ApiFailure> {
    let found = found(connection, collection, name).await?;
    found.map(|reply| metadata(&reply)).transpose()
}

async fn found(connection: &Connection, collection: &Builder, name: &str) -> Result<Option<Reply>, ApiFailure> {
    match connection.send(&built(collection.get_metadata(name, &GetParams::default()))?).await {
        Ok(reply) => Ok(Some(reply)),
        Err(failure) if failure.kind == CallErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn service_accounts(
    connection: &Connection,
    within: ServiceAccountScope<'_>,
) -> Answer<ServiceAccountList> {
    let (namespace, select) = match within {
        ServiceAccountScope::Cluster => (None, ListParams::default()),
        ServiceAccountScope::Namespace(namespace) => (Some(namespace), ListParams::default()),
        ServiceAccountScope::Owner(owner) => (None, ListParams::default().labels(&format!("{OWNER}={owner}"))),
    };
    let (mut seen, mut odd) = (Managers::default(), Vec::new());
    let read = |object: &RawValue| judged(object, &mut seen, &mut odd);
    let listed = list(connection, &collection(namespace, "serviceaccounts"), select, read).await;
    let items = listed.map_err(|failure| failure.at(LIST))?.into_iter().flatten().collect();
    Ok(ServiceAccountList { items, malformed: odd })
}

pub(crate) async fn service_accounts_unless_long(
    connection: &Connection,
    patience: i64,
) -> Answer<Option<ServiceAccountList>> {
    let all = collection(None, "serviceaccounts");
    let (mut seen, mut odd) = (Managers::default(), Vec::new());
    let read = |object: &RawValue| judged(object, &mut seen, &mut odd);
    let listed = list_unless_long(connection, &all, ListParams::default(), patience, read).await;
    let listed = listed.map_err(|failure| failure.at(LIST))?;
    Ok(listed.map(|items| ServiceAccountList { items: items.into_iter().flatten().collect(), malformed: odd }))
}

/// An object of a list, by itself: one that is not understood goes into `odd`.
fn judged(
    object: &RawValue,
    seen: &mut Managers,
    odd: &mut Vec<MalformedServiceAccount>,
) -> Option<LiveServiceAccount> {
    let read = if object.get().len() > LARGEST {
        Err(ApiFailure::other(format!("the API gave an object above {} MiB", LARGEST >> 20)))
    } else {
        serde_json::from_str::<Object>(object.get()).map_err(|error| ApiFailure::other(form(&error)))
    };
    match read.and_then(|object| live::service_account(object.metadata, seen)) {
        Ok(live) => Some(live),
        Err(failure) => {
            let small = if object.get().len() > LARGEST { RawValue::NULL } else { object };
            odd.push(live::odd(small, failure.message));
            None
        }
    }
}

/// What is wrong with an object, without a word of it.
fn form(error: &serde_json::Error) -> String {
    if error.to_string().starts_with("recursion limit exceeded") {
        return "the API gave an object that is nested deeper than irsa reads".to_owned();
    }
    "the API gave an object that is not what it should be".to_owned()
}

pub(crate) async fn service_account(
    connection: &Connection,
    namespace: &Namespace,
    name: &ServiceAccountName,
) -> Answer<Option<LiveServiceAccount>> {
    let found = get(connection, &collection(Some(namespace), "serviceaccounts"), name.as_str()).await;
    let found =
        found.and_then(|found| found.map(|object| live::service_account(object, &mut Managers::default())).transpose());
    found.map_err(|failure| failure.at(GET))
}

pub(crate) async fn namespaces(connection: &Connection) -> Answer<BTreeMap<Namespace, NamespacePhase>> {
    let there = |object: &RawValue| {
        let Bare { metadata } = serde_json::from_str(object.get()).ok()?;
        let phase = metadata.phase();
        Some((Namespace::parse(metadata.name?).ok()?, phase))
    };
    let all = list(connection, &collection(None, "namespaces"), ListParams::default(), there).await;
    Ok(all.map_err(|failure| failure.at(LIST_NAMESPACES))?.into_iter().flatten().collect())
}

pub(crate) async fn namespace(connection: &Connection, namespace: &Namespace) -> Answer<Option<NamespacePhase>> {
    let look = async {
        let found = found(connection, &collection(None, "namespaces"), namespace.as_str()).await?;
        found.map(|reply| decode(&reply).map(|Bare { metadata }| metadata.phase())).transpose()
    };
    look.await.map_err(|failure: ApiFailure| failure.at(GET_NAMESPACE))
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
    // a pod without a name uses it all the same
    let name = |object: &RawValue| {
        let read = serde_json::from_str(object.get()).ok();
        read.and_then(|Bare { metadata }| metadata.name).unwrap_or_else(|| "?".to_owned())
    };
    let names = list(connection, &pods, select, name).await;
    let mut names = names.map_err(|failure| failure.at(LIST_PODS))?;
    names.sort();
    Ok(names)
}
