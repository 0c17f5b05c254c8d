//! Tests of watches: their events, the order of the events, and when they end.

use super::http::{Events, cluster, get, send};
use super::store;
use crate::kubernetes::list::ListOptions;
use crate::kubernetes::watch::{Watch, WatchOptions};
use crate::kubernetes::{Cluster, Preconditions, Resource, Store, WriteOptions};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

const ACCOUNTS: Resource = Resource::ServiceAccounts;

fn from(version: &str) -> ListOptions {
    ListOptions { namespace: Some("a".to_owned()), resource_version: version.to_owned(), ..ListOptions::default() }
}

fn start(store: &Store, list: &ListOptions) -> Watch {
    Watch::start(store, ACCOUNTS, list, WatchOptions::default()).unwrap()
}

/// The type and name of each event since the last call.
fn told(watch: &mut Watch, store: &Store) -> Vec<(String, String)> {
    let text = |event: &Value, at: &str| event.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    let events = watch.look(store).unwrap();
    events.iter().map(|event| (text(event, "/type"), text(event, "/object/metadata/name"))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned())).collect()
}

fn label(store: &mut Store, name: &str, value: &str) {
    store.edit(ACCOUNTS, "a", name, "t", |object| object["metadata"]["labels"] = json!({"l": value})).unwrap();
}

fn delete(store: &mut Store, name: &str) {
    store.delete(ACCOUNTS, "a", name, &Preconditions::default(), false).unwrap();
}

#[test]
fn events_come_in_order_from_the_requested_version() {
    let mut store = store();
    store.seed_service_account("a", "before", &[], "t").unwrap();
    let version = store.version().to_string();
    let mut all = start(&store, &from(""));
    assert_eq!(told(&mut all, &store), pairs(&[("ADDED", "before"), ("ADDED", "default")]), "the initial objects");
    let mut new = start(&store, &from(&version));
    assert_eq!(told(&mut new, &store), [], "nothing since");
    store.seed_service_account("a", "w", &[], "t").unwrap();
    label(&mut store, "w", "1");
    store.seed_service_account("b", "elsewhere", &[], "t").unwrap();
    store.seed_pod("a", "p", "w").unwrap();
    delete(&mut store, "w");
    let expected = pairs(&[("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")]);
    assert_eq!(told(&mut new, &store), expected);
    assert_eq!(told(&mut all, &store), expected);
    assert_eq!(
        told(&mut start(&store, &from(&version)), &store),
        expected,
        "a later watch from the same version gets the same events"
    );
    assert_eq!(told(&mut new, &store), [], "once");
    let last = start(&store, &from(&version)).look(&store).unwrap().pop().unwrap();
    assert_eq!(
        last["object"]["metadata"]["resourceVersion"],
        store.version().to_string(),
        "the version of the deletion"
    );
    assert_eq!(last["object"]["metadata"]["labels"], json!({"l": "1"}), "the last state of the object");
}

#[test]
fn an_object_that_starts_or_stops_matching_is_added_or_deleted() {
    let mut store = store();
    store.seed_service_account("a", "w", &[], "t").unwrap();
    let version = store.version().to_string();
    let mut labels = start(&store, &ListOptions { labels: "l=1".to_owned(), ..from(&version) });
    let mut fields = start(&store, &ListOptions { fields: "metadata.name=w".to_owned(), ..from(&version) });
    label(&mut store, "w", "1");
    store.seed_service_account("a", "other", &[], "t").unwrap();
    assert_eq!(told(&mut labels, &store), pairs(&[("ADDED", "w")]));
    assert_eq!(told(&mut fields, &store), pairs(&[("MODIFIED", "w")]));
    label(&mut store, "w", "2");
    assert_eq!(told(&mut labels, &store), pairs(&[("DELETED", "w")]));
    delete(&mut store, "w");
    assert_eq!(told(&mut labels, &store), []);
    assert_eq!(told(&mut fields, &store), pairs(&[("MODIFIED", "w"), ("DELETED", "w")]));
}

#[test]
fn a_watch_from_a_compacted_version_gets_410() {
    let mut store = store();
    let version = store.version();
    let mut watch = start(&store, &from(&version.to_string()));
    store.seed_service_account("a", "w", &[], "t").unwrap();
    store.compact();
    let refusal = start(&store, &from(&version.to_string())).look(&store).unwrap_err();
    let text = format!("too old resource version: {version} ({})", version + 1);
    assert_eq!((refusal.code, refusal.reason.as_str(), refusal.message), (410, "Expired", text));
    assert_eq!(watch.look(&store).unwrap_err().code, 410, "the watch had not read all compacted events");
    let mut new = start(&store, &from(&(version + 1).to_string()));
    store.seed_service_account("a", "x", &[], "t").unwrap();
    assert_eq!(told(&mut new, &store), pairs(&[("ADDED", "x")]));
    let earlier = store.clone();
    store.seed_service_account("a", "y", &[], "t").unwrap();
    let after = store.version();
    store.go_back_to(&earlier);
    assert!(store.version() > after && store.service_account("a", "y").is_none());
    assert_eq!(new.look(&store).unwrap_err().code, 410);
    for wrong in ["x", "-1"] {
        assert_eq!(Watch::start(&store, ACCOUNTS, &from(wrong), WatchOptions::default()).unwrap_err().code, 400);
    }
}

/// A watch that runs on a paused clock, and its store.
fn driven(options: WatchOptions) -> (Arc<Mutex<Store>>, mpsc::Receiver<Bytes>) {
    let store = Arc::new(Mutex::new(store()));
    let (client, events) = mpsc::channel(8);
    let watch = Watch::start(&store.lock().unwrap(), ACCOUNTS, &from("0"), options).unwrap();
    let bell = store.lock().unwrap().changes.bell();
    let objects = Arc::clone(&store);
    tokio::spawn(watch.drive(move |watch: &mut Watch| watch.look(&objects.lock().unwrap()), bell, client));
    (store, events)
}

async fn next(events: &mut mpsc::Receiver<Bytes>) -> Option<Value> {
    events.recv().await.map(|line| serde_json::from_slice(&line).unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_idle_watch_gets_bookmarks_and_ends_at_its_timeout() {
    let options = WatchOptions { timeout: Some(Duration::from_secs(150)), bookmarks: true, ..WatchOptions::default() };
    let (store, mut events) = driven(options);
    let began = Instant::now();
    assert_eq!(next(&mut events).await.unwrap()["object"]["metadata"]["name"], "default");
    store.lock().unwrap().seed_pod("a", "p", "default").unwrap();
    let version = store.lock().unwrap().version().to_string();
    let metadata = json!({"resourceVersion": version, "creationTimestamp": null});
    let bookmark =
        json!({"type": "BOOKMARK", "object": {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": metadata}});
    for seconds in [60, 120, 148] {
        assert_eq!(next(&mut events).await, Some(bookmark.clone()));
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
    assert_eq!(next(&mut events).await, None);
    assert_eq!(began.elapsed().as_secs(), 150);
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_timeout_lasts_half_an_hour_without_bookmarks() {
    let (store, mut events) = driven(WatchOptions::default());
    let began = Instant::now();
    assert_eq!(next(&mut events).await.unwrap()["type"], "ADDED");
    store.lock().unwrap().seed_service_account("a", "w", &[], "t").unwrap();
    assert_eq!(next(&mut events).await.unwrap()["object"]["metadata"]["name"], "w");
    assert_eq!(began.elapsed().as_secs(), 0);
    assert_eq!(next(&mut events).await, None);
    assert_eq!(began.elapsed().as_secs(), 30 * 60);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_an_error_when_its_version_is_compacted() {
    let (store, mut events) = driven(WatchOptions::default());
    assert_eq!(next(&mut events).await.unwrap()["type"], "ADDED");
    let earlier = store.lock().unwrap().clone();
    store.lock().unwrap().go_back_to(&earlier);
    let error = next(&mut events).await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!((&error["object"]["kind"], &error["object"]["reason"]), (&json!("Status"), &json!("Expired")));
    assert_eq!(next(&mut events).await, None);
}

async fn create(cluster: &Cluster, path: &str, name: &str) {
    let body = json!({"metadata": {"name": name}}).to_string();
    assert_eq!(send(cluster, "POST", path, "root", "application/json", &body).await.unwrap().0, 201);
}

#[tokio::test]
async fn events_are_streamed_over_http() {
    let cluster = cluster().await;
    let namespaces = "/api/v1/namespaces";
    let accounts = "/api/v1/namespaces/reporting/serviceaccounts";
    let leases = "/apis/coordination.k8s.io/v1/namespaces/reporting/leases";
    let (_, list) = get(&cluster, accounts, "root").await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let json = "application/json";
    let path = |of: &str| format!("{of}?watch=true&resourceVersion={version}");
    let mut one = Events::of(&cluster, &path(accounts), "root", json).await;
    let mut other = Events::of(&cluster, &path(leases), "root", json).await;
    let mut third = Events::of(&cluster, &path(namespaces), "root", json).await;
    let metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
    let mut partial = Events::of(&cluster, &path("/api/v1/serviceaccounts"), "root", metadata).await;
    create(&cluster, accounts, "w").await;
    create(&cluster, leases, "lock").await;
    create(&cluster, namespaces, "new").await;
    for (events, kind, name) in
        [(&mut one, "ServiceAccount", "w"), (&mut other, "Lease", "lock"), (&mut third, "Namespace", "new")]
    {
        let event = events.next().await.unwrap();
        assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!(kind)));
        assert_eq!(event["object"]["metadata"]["name"], name);
    }
    let event = partial.next().await.unwrap();
    assert_eq!((&event["object"]["kind"], event["object"].get("spec")), (&json!("PartialObjectMetadata"), None));
    assert_eq!(send(&cluster, "DELETE", &format!("{accounts}/w"), "root", json, "").await.unwrap().0, 200);
    let gone = one.next().await.unwrap();
    assert_eq!((&gone["type"], &gone["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("w")));
    let mut old = Events::of(&cluster, &format!("{accounts}?watch=true&resourceVersion=1"), "root", json).await;
    let error = old.next().await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(old.next().await, None);
    assert_eq!(cluster.gate().log()[1].call.verb, "watch");
    // Permission to list does not include permission to watch.
    assert_eq!(get(&cluster, &format!("{accounts}?watch=1"), "less").await.0, 403);
}

#[tokio::test]
async fn a_list_can_be_streamed() {
    let cluster = cluster().await;
    let path =
        "/api/v1/namespaces/reporting/serviceaccounts?watch=true&sendInitialEvents=true&allowWatchBookmarks=true";
    let good = format!("{path}&resourceVersionMatch=NotOlderThan");
    let mut events = Events::of(&cluster, &good, "root", "application/json").await;
    assert_eq!(events.next().await.unwrap()["object"]["metadata"]["name"], "default");
    let end = events.next().await.unwrap();
    assert_eq!(end["type"], "BOOKMARK");
    assert_eq!(end["object"]["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    let (code, status) = get(&cluster, path, "root").await;
    let message = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires \
                   setting resourceVersionMatch to NotOlderThan";
    assert_eq!((code, status["message"].as_str()), (422, Some(message)));
    let path = "/api/v1/namespaces?resourceVersionMatch=Exact";
    let (code, status) = get(&cluster, path, "root").await;
    assert_eq!(code, 422);
    assert!(status["message"].as_str().unwrap().contains("forbidden unless resourceVersion is provided"), "{status}");
}

#[test]
fn a_dry_run_sends_no_event() {
    let mut store = store();
    store.seed_service_account("a", "w", &[], "t").unwrap();
    let mut watch = start(&store, &from(&store.version().to_string()));
    let options = WriteOptions { dry_run: true, ..WriteOptions::by("t") };
    store.create(ACCOUNTS, "a", json!({"metadata": {"name": "x"}}), &options).unwrap();
    store.delete(ACCOUNTS, "a", "w", &Preconditions::default(), true).unwrap();
    assert_eq!(told(&mut watch, &store), []);
}
