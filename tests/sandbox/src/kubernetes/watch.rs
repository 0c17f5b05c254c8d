//! Watches: the changes since a resourceVersion, as a stream of events.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>. The store keeps its
//! last changes. A watch that asks for older ones gets 410 in its first event, as from kube-apiserver's watch cache,
//! and must restart from a list. A watch locks the store only while it reads new changes.

use crate::kubernetes::list::ListOptions;
use crate::kubernetes::resource::Resource;
use crate::kubernetes::selector::{Fields, Labels};
use crate::kubernetes::status::Refusal;
use crate::kubernetes::store::Store;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// How many changes the store keeps.
const CHANGES_KEPT: usize = 10_000;

/// How long a watch without `timeoutSeconds` lasts. kube-apiserver picks a random time between this and twice this.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);

/// How often an idle watch that allows bookmarks gets one.
const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);

/// How long before its end a watch gets its last bookmark.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// One write: the object before and after it.
#[derive(Debug, Clone)]
struct Change {
    version: u64,
    resource: Resource,
    key: String,
    before: Option<Arc<Value>>,
    after: Option<Arc<Value>>,
}

/// The last changes of a store, and a channel that signals each new one.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    kept: VecDeque<Change>,
    /// The oldest resourceVersion that a watch can start from.
    floor: u64,
    bell: Arc<watch::Sender<u64>>,
}

impl Changes {
    pub(crate) fn from(version: u64) -> Self {
        Self { kept: VecDeque::new(), floor: version, bell: Arc::new(watch::Sender::new(version)) }
    }

    pub(crate) fn wrote(
        &mut self,
        version: u64,
        resource: Resource,
        key: String,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
    ) {
        if self.kept.len() == CHANGES_KEPT
            && let Some(oldest) = self.kept.pop_front()
        {
            self.floor = oldest.version;
        }
        self.kept.push_back(Change { version, resource, key, before, after });
        self.bell.send_replace(version);
    }

    /// Forgets all changes up to this resourceVersion.
    pub(crate) fn compact(&mut self, version: u64) {
        self.kept.clear();
        self.floor = version;
        self.bell.send_replace(version);
    }

    pub(crate) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }
}

/// The watch parameters that lists do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WatchOptions {
    /// `timeoutSeconds`
    pub(crate) timeout: Option<Duration>,
    /// `allowWatchBookmarks`
    pub(crate) bookmarks: bool,
    /// `sendInitialEvents`
    pub(crate) initial: Option<bool>,
    /// Sends only the objects' metadata.
    pub(crate) partial: bool,
}

/// A running watch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Watch {
    resource: Resource,
    prefix: String,
    labels: Labels,
    fields: Fields,
    options: WatchOptions,
    /// The resourceVersion up to which events were sent.
    version: u64,
    /// The initial events, which are sent first.
    pending: Vec<Value>,
}

fn event(kind: &str, object: &Value) -> Value {
    json!({"type": kind, "object": object})
}

impl Watch {
    /// Starts to watch a collection.
    pub(crate) fn start(
        store: &Store,
        resource: Resource,
        list: &ListOptions,
        options: WatchOptions,
    ) -> Result<Self, Refusal> {
        let from = list.resource_version.as_str();
        let wrong = || Refusal::bad_request(format!("strconv.ParseUint: parsing {from:?}: invalid syntax"));
        let asked: u64 = if from.is_empty() { 0 } else { from.parse().map_err(|_| wrong())? };
        let mut watch = Self {
            resource,
            prefix: list.namespace.as_ref().map_or(String::new(), |namespace| format!("{namespace}/")),
            labels: Labels::parse(&list.labels)?,
            fields: Fields::parse(resource, &list.fields)?,
            options,
            version: if asked == 0 || options.initial == Some(true) { store.version() } else { asked },
            pending: Vec::new(),
        };
        if options.initial.unwrap_or(asked == 0) {
            watch.pending = store
                .table(resource)
                .into_iter()
                .flatten()
                .filter(|(key, object)| watch.wants(key, object))
                .map(|(_, object)| watch.shown("ADDED", object))
                .collect();
        }
        if options.initial == Some(true) && options.bookmarks {
            let mut end = watch.bookmark();
            end["object"]["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
            watch.pending.push(end);
        }
        Ok(watch)
    }

    fn wants(&self, key: &str, object: &Value) -> bool {
        key.starts_with(&self.prefix) && self.labels.matches(object) && self.fields.matches(object)
    }

    fn shown(&self, kind: &str, object: &Value) -> Value {
        if self.options.partial {
            let partial = json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
            });
            return event(kind, &partial);
        }
        event(kind, object)
    }

    fn bookmark(&self) -> Value {
        let object = json!({
            "kind": self.resource.kind(), "apiVersion": self.resource.api_version(),
            "metadata": {"resourceVersion": self.version.to_string(), "creationTimestamp": null},
        });
        self.shown("BOOKMARK", &object)
    }

    /// The event of a change for this watch. An object that starts to match the selectors is ADDED, one that no longer
    /// matches is DELETED.
    fn event_of(&self, change: &Change) -> Option<Value> {
        let wanted = |object: &Option<Arc<Value>>| object.clone().filter(|object| self.wants(&change.key, object));
        match (wanted(&change.before), wanted(&change.after)) {
            (None, None) => None,
            (None, Some(after)) => Some(self.shown("ADDED", &after)),
            (Some(_), Some(after)) => Some(self.shown("MODIFIED", &after)),
            (Some(before), None) => {
                let mut last = (*before).clone();
                last["metadata"]["resourceVersion"] = json!(change.version.to_string());
                Some(self.shown("DELETED", &last))
            }
        }
    }

    /// The events since the last call.
    pub(crate) fn look(&mut self, store: &Store) -> Result<Vec<Value>, Refusal> {
        let mut events = std::mem::take(&mut self.pending);
        let changes = &store.changes;
        if self.version < changes.floor {
            let text = format!("too old resource version: {} ({})", self.version, changes.floor);
            return Err(Refusal::new(410, "Expired", text));
        }
        let new = changes.kept.partition_point(|change| change.version <= self.version);
        let theirs = changes.kept.range(new..).filter(|change| change.resource == self.resource);
        events.extend(theirs.filter_map(|change| self.event_of(change)));
        self.version = self.version.max(store.version());
        Ok(events)
    }

    /// Sends events until the watch ends or the client disconnects. `look` calls [`Watch::look`] under the store's
    /// lock.
    pub(crate) async fn drive(
        mut self,
        look: impl Fn(&mut Self) -> Result<Vec<Value>, Refusal>,
        mut bell: watch::Receiver<u64>,
        client: mpsc::Sender<Bytes>,
    ) {
        let line = |event: &Value| Bytes::from(format!("{event}\n"));
        let end = Instant::now() + self.options.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let mut bookmark = first_bookmark(end);
        loop {
            bell.borrow_and_update();
            let (events, over) = match look(&mut self) {
                Ok(events) => (events, false),
                Err(refusal) => (vec![event("ERROR", &refusal.body())], true),
            };
            for event in &events {
                if client.send(line(event)).await.is_err() {
                    return;
                }
            }
            if over {
                return;
            }
            tokio::select! {
                rung = bell.changed() => if rung.is_err() { return },
                () = sleep_until(bookmark), if self.options.bookmarks && bookmark < end => {
                    if client.send(line(&self.bookmark())).await.is_err() {
                        return;
                    }
                    bookmark = next_bookmark(end);
                }
                () = sleep_until(end) => return,
                () = client.closed() => return,
            }
        }
    }
}

/// When to send the first bookmark: after the regular interval, or shortly before the end if that is sooner.
fn first_bookmark(end: Instant) -> Instant {
    let now = Instant::now();
    (now + BOOKMARK_INTERVAL).min(end.checked_sub(LAST_BOOKMARK).unwrap_or(now).max(now))
}

/// When to send the next bookmark. Returns `end`, which means never, once the last one was sent.
fn next_bookmark(end: Instant) -> Instant {
    let last = end.checked_sub(LAST_BOOKMARK).unwrap_or(end);
    if Instant::now() >= last { end } else { (Instant::now() + BOOKMARK_INTERVAL).min(last) }
}
