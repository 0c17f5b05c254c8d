//! Gets objects and reads paged lists. A plan compares only metadata, so irsa reads only metadata
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>). `list_whole` reads whole
//! objects, for the command `verify`.

use super::KubernetesReader;
use super::connection::ClusterConnection;
use super::failure::ApiFailure;
use super::metadata::{self, FieldManagers};
use super::send::{HttpRequest, Reply};
use super::server_identity;
use crate::ids::{Key, Namespace, ServiceAccountName};
use crate::model::live::{Access, LiveServiceAccount, NamespacePhase};
use crate::model::marks::OWNER;
use crate::world::bounds::{Listing, ListingError, MAX_ITEMS};
use crate::world::{
    Answer, CallErrorKind, ClusterFacts, MalformedServiceAccount, ReadKubernetes, ServiceAccountList,
    ServiceAccountScope,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::core::Request as RequestBuilder;
use kube::core::params::{GetParams, ListParams};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use tokio::time::Instant;

const LIST: &str = "list ServiceAccounts";
const GET: &str = "get ServiceAccount";
pub(super) const LIST_NAMESPACES: &str = "list Namespaces";
const GET_NAMESPACE: &str = "get Namespace";
pub(super) const LIST_PODS: &str = "list Pods";

/// Selects the pods that have not ended
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>).
pub(super) const NOT_ENDED: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Objects in one page, the same as kubectl's.
const PAGE: u32 = 500;
/// The largest object that irsa parses, in bytes. The API server stores none of this size
/// (<https://etcd.io/docs/v3.5/dev-guide/limit/>).
const LARGEST: usize = 2 << 20;

impl ReadKubernetes for KubernetesReader {
    async fn connect(&self, cluster: &Key, facts: &ClusterFacts) -> Access<()> {
        match self.clusters.by_key.get(cluster) {
            Some(entry) => server_identity::verify(&self.clusters.run, cluster, entry, facts).await,
            None => Access::Unknown(format!("cluster `{cluster}` is not declared")),
        }
    }

    async fn service_accounts(&self, cluster: &Key, within: ServiceAccountScope<'_>) -> Answer<ServiceAccountList> {
        let connection = self.clusters.connection(cluster, LIST).await?;
        let (namespace, params) = match within {
            ServiceAccountScope::Cluster => (None, ListParams::default()),
            ServiceAccountScope::Namespace(namespace) => (Some(namespace), ListParams::default()),
            ServiceAccountScope::Owner(owner) => (None, ListParams::default().labels(&format!("{OWNER}={owner}"))),
        };
        let listed = service_accounts(&connection, namespace, params, i64::MAX).await;
        Ok(listed.map_err(|failure| failure.at(LIST))?.unwrap_or_default())
    }

    async fn service_accounts_unless_long(
        &self,
        cluster: &Key,
        max_remaining: i64,
    ) -> Answer<Option<ServiceAccountList>> {
        let connection = self.clusters.connection(cluster, LIST).await?;
        let listed = service_accounts(&connection, None, ListParams::default(), max_remaining).await;
        listed.map_err(|failure| failure.at(LIST))
    }

    async fn service_account(
        &self,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
    ) -> Answer<Option<LiveServiceAccount>> {
        let connection = self.clusters.connection(cluster, GET).await?;
        service_account(&connection, namespace, name).await.map_err(|failure| failure.at(GET))
    }

    async fn namespaces(&self, cluster: &Key) -> Answer<BTreeMap<Namespace, NamespacePhase>> {
        let connection = self.clusters.connection(cluster, LIST_NAMESPACES).await?;
        let phase = |object: &RawValue| {
            let BareObject { metadata } = serde_json::from_str(object.get()).ok()?;
            let phase = metadata.namespace_phase();
            Some((Namespace::parse(metadata.name?).ok()?, phase))
        };
        let listed = list(&connection, &collection(None, "namespaces"), &ListParams::default(), i64::MAX, phase).await;
        let listed = listed.map_err(|failure| failure.at(LIST_NAMESPACES))?.unwrap_or_default();
        Ok(listed.into_iter().flatten().collect())
    }

    async fn namespace(&self, cluster: &Key, namespace: &Namespace) -> Answer<Option<NamespacePhase>> {
        let connection = self.clusters.connection(cluster, GET_NAMESPACE).await?;
        let found = get::<BareObject>(&connection, &collection(None, "namespaces"), namespace.as_str()).await;
        let found = found.map_err(|failure| failure.at(GET_NAMESPACE))?;
        Ok(found.map(|object| object.metadata.namespace_phase()))
    }

    async fn pods(&self, cluster: &Key, namespace: &Namespace, name: &ServiceAccountName) -> Answer<Vec<String>> {
        let connection = self.clusters.connection(cluster, LIST_PODS).await?;
        let params = ListParams::default().fields(&format!("spec.serviceAccountName={name},{NOT_ENDED}"));
        // a pod without a readable name counts too
        let name = |object: &RawValue| {
            let read = serde_json::from_str(object.get()).ok();
            read.and_then(|BareObject { metadata }| metadata.name).unwrap_or_else(|| "?".to_owned())
        };
        let names = list(&connection, &collection(Some(namespace), "pods"), &params, i64::MAX, name).await;
        let mut names = names.map_err(|failure| failure.at(LIST_PODS))?.unwrap_or_default();
        names.sort();
        Ok(names)
    }
}

/// An object with all its metadata.
#[derive(serde::Deserialize)]
pub(crate) struct Object {
    pub(crate) metadata: ObjectMeta,
}

/// An object that only has to exist. Its other fields may be malformed.
#[derive(serde::Deserialize)]
struct BareObject {
    metadata: BareMetadata,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct BareMetadata {
    name: Option<String>,
    deletion_timestamp: Option<IgnoredAny>,
}

impl BareMetadata {
    fn namespace_phase(&self) -> NamespacePhase {
        if self.deletion_timestamp.is_some() { NamespacePhase::Terminating } else { NamespacePhase::Active }
    }
}

/// A page of a list. Its objects are parsed one by one, so that a malformed one does not hide the others.
#[derive(serde::Deserialize)]
struct ListPage<'a> {
    metadata: ListMeta,
    #[serde(borrow, deserialize_with = "items")]
    items: Vec<&'a RawValue>,
}

/// Reads at most one more than `MAX_ITEMS` objects. Go may write an empty list as `null`.
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
                if items.len() > MAX_ITEMS {
                    // the list will be refused, so the rest is not kept
                    while list.next_element::<IgnoredAny>()?.is_some() {}
                }
            }
            Ok(items)
        }
    }
    deserializer.deserialize_any(Items)
}

/// A collection of the core API group.
pub(crate) fn collection(namespace: Option<&Namespace>, plural: &str) -> RequestBuilder {
    RequestBuilder::new(match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/{plural}"),
        None => format!("/api/v1/{plural}"),
    })
}

/// The metadata of the object in a response.
pub(crate) fn metadata_of(reply: &Reply) -> Result<ObjectMeta, ApiFailure> {
    decode::<Object>(reply).map(|object| object.metadata)
}

pub(crate) fn decode<'a, T: Deserialize<'a>>(reply: &'a Reply) -> Result<T, ApiFailure> {
    serde_json::from_slice(&reply.body).map_err(|_| ApiFailure::malformed())
}

/// Converts the error of kube's request builder.
pub(crate) fn built(request: Result<HttpRequest, kube::core::request::Error>) -> Result<HttpRequest, ApiFailure> {
    request.map_err(|_| ApiFailure::unbuilt())
}

/// One ServiceAccount. None if the API says that it does not exist.
pub(crate) async fn service_account(
    connection: &ClusterConnection,
    namespace: &Namespace,
    name: &ServiceAccountName,
) -> Result<Option<LiveServiceAccount>, ApiFailure> {
    let found = get::<Object>(connection, &collection(Some(namespace), "serviceaccounts"), name.as_str()).await?;
    found.map(|object| metadata::service_account(object.metadata, &mut FieldManagers::default())).transpose()
}

pub(crate) async fn get<T: for<'a> Deserialize<'a>>(
    connection: &ClusterConnection,
    collection: &RequestBuilder,
    name: &str,
) -> Result<Option<T>, ApiFailure> {
    let request = built(collection.get_metadata(name, &GetParams::default()))?;
    find(connection, &request).await?.as_ref().map(decode).transpose()
}

/// Sends a get. None if the object does not exist.
pub(crate) async fn find(connection: &ClusterConnection, request: &HttpRequest) -> Result<Option<Reply>, ApiFailure> {
    match connection.send(request).await {
        Ok(reply) => Ok(Some(reply)),
        Err(failure) if failure.kind == CallErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// See `list` for `max_remaining`.
async fn service_accounts(
    connection: &ClusterConnection,
    namespace: Option<&Namespace>,
    params: ListParams,
    max_remaining: i64,
) -> Result<Option<ServiceAccountList>, ApiFailure> {
    let mut known = FieldManagers::default();
    let parse = |object: &RawValue| parse(object, &mut known);
    let listed = list(connection, &collection(namespace, "serviceaccounts"), &params, max_remaining, parse).await?;
    Ok(listed.map(|objects| {
        let mut list = ServiceAccountList::default();
        for object in objects {
            match object {
                Ok(item) => list.items.push(item),
                Err(malformed) => list.malformed.push(malformed),
            }
        }
        list
    }))
}

fn parse(object: &RawValue, known: &mut FieldManagers) -> Result<LiveServiceAccount, MalformedServiceAccount> {
    let is_too_large = object.get().len() > LARGEST;
    let read = if is_too_large {
        Err(ApiFailure::other(format!("the API returned an object above {} MiB", LARGEST >> 20)))
    } else {
        serde_json::from_str::<Object>(object.get()).map_err(|error| parse_failure(&error))
    };
    read.and_then(|object| metadata::service_account(object.metadata, known))
        .map_err(|failure| metadata::malformed(if is_too_large { RawValue::NULL } else { object }, failure.message))
}

/// The failure to parse an object. Its message repeats nothing from the object.
fn parse_failure(error: &serde_json::Error) -> ApiFailure {
    ApiFailure::other(if error.to_string().starts_with("recursion limit exceeded") {
        "the API returned an object that is nested too deeply"
    } else {
        "the API returned a malformed object"
    })
}

/// Reads all pages of a list. If a page token has expired, the list starts again, once, because the pages would
/// otherwise show two states
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>).
///
/// None if more than `max_remaining` objects remain after the first page. The API server says how many remain
/// (`remainingItemCount` in <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/list-meta/>), but
/// only for lists without selectors.
pub(crate) async fn list<T>(
    connection: &ClusterConnection,
    collection: &RequestBuilder,
    params: &ListParams,
    max_remaining: i64,
    parse: impl FnMut(&RawValue) -> T,
) -> Result<Option<Vec<T>>, ApiFailure> {
    pages(connection, |params| built(collection.list_metadata(params)), params, max_remaining, parse).await
}

/// Like `list`, with the whole objects.
pub(crate) async fn list_whole<T>(
    connection: &ClusterConnection,
    collection: &RequestBuilder,
    params: &ListParams,
    parse: impl FnMut(&RawValue) -> T,
) -> Result<Vec<T>, ApiFailure> {
    let listed = pages(connection, |params| built(collection.list(params)), params, i64::MAX, parse).await;
    Ok(listed?.unwrap_or_default())
}

async fn pages<T>(
    connection: &ClusterConnection,
    request: impl Fn(&ListParams) -> Result<HttpRequest, ApiFailure>,
    params: &ListParams,
    max_remaining: i64,
    mut parse: impl FnMut(&RawValue) -> T,
) -> Result<Option<Vec<T>>, ApiFailure> {
    let failed = |error: ListingError| ApiFailure::other(error.to_string());
    let mut listing = Listing::new(connection.run.budget());
    let (mut all, mut token, mut restarted) = (Vec::new(), None::<String>, false);
    loop {
        let mut params = params.clone().limit(PAGE);
        params.continue_token.clone_from(&token);
        let request = request(&params)?;
        let reply = match listing.within(connection.send(&request)).await.map_err(failed)? {
            Ok(reply) => reply,
            Err(failure) if failure.status == Some(410) && token.is_some() && !restarted => {
                (restarted, token) = (true, None);
                all.clear();
                listing.restart();
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let ListPage { metadata, items } = decode(&reply)?;
        token = metadata.continue_.filter(|token| !token.is_empty());
        listing.page(Instant::now(), items.len(), reply.body.len(), token.as_deref()).map_err(failed)?;
        // page by page, since the text of an object is ten times larger than the parsed form
        all.extend(items.into_iter().map(&mut parse));
        if token.is_none() {
            return Ok(Some(all));
        }
        if metadata.remaining_item_count.is_some_and(|left| left > max_remaining) {
            return Ok(None);
        }
    }
}
