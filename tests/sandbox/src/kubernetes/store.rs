//! The objects of one cluster, their versions, and the controllers that act on them.
//!
//! One write is one atomic step. The verbs are in `write`, lists are in `list`.

use crate::kubernetes::admission::Admission;
use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::Refusal;
use crate::kubernetes::watch::Changes;
use crate::kubernetes::write::WriteOptions;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The time source.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub(crate) type Table = BTreeMap<String, Arc<Value>>;

/// How many list snapshots to keep for continue tokens. The oldest expires first.
const SNAPSHOTS: usize = 64;

/// The objects of one cluster.
#[derive(Clone)]
pub struct Store {
    tables: BTreeMap<Resource, Table>,
    version: u64,
    made: u64,
    seed: String,
    clock: Clock,
    snapshots: BTreeMap<(u64, Resource), Table>,
    pub(crate) changes: Changes,
    pub(crate) admission: Admission,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("version", &self.version).field("tables", &self.tables).finish_non_exhaustive()
    }
}

/// The storage key: `namespace/name`, or the name alone. As in etcd, the order of keys is the order of lists.
pub(crate) fn key(resource: Resource, namespace: &str, name: &str) -> String {
    if resource.namespaced() { format!("{namespace}/{name}") } else { name.to_owned() }
}

impl Store {
    pub(crate) fn new(seed: &str, clock: Clock) -> Result<Self, Refusal> {
        let version = 1000;
        let mut store = Self {
            tables: BTreeMap::new(),
            version,
            made: 0,
            seed: seed.to_owned(),
            clock,
            snapshots: BTreeMap::new(),
            changes: Changes::from(version),
            admission: Admission::default(),
        };
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            store.create(
                Resource::Namespaces,
                "",
                json!({"metadata": {"name": name}}),
                &WriteOptions::by("kube-apiserver"),
            )?;
        }
        Ok(store)
    }

    /// The resourceVersion of the last write.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// One object.
    pub fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<&Value> {
        self.table(resource)?.get(&key(resource, namespace, name)).map(Arc::as_ref)
    }

    /// All objects of a kind, in list order.
    pub fn all(&self, resource: Resource) -> impl Iterator<Item = &Value> {
        self.table(resource).into_iter().flat_map(BTreeMap::values).map(Arc::as_ref)
    }

    /// A ServiceAccount.
    pub fn service_account(&self, namespace: &str, name: &str) -> Option<&Value> {
        self.get(Resource::ServiceAccounts, namespace, name)
    }

    /// Creates a namespace if it does not exist, as `kubectl create namespace` would.
    pub fn ensure_namespace(&mut self, name: &str) -> Result<(), Refusal> {
        if self.get(Resource::Namespaces, "", name).is_none() {
            let options = WriteOptions::by("kubectl-create");
            self.create(Resource::Namespaces, "", json!({"metadata": {"name": name}}), &options)?;
        }
        Ok(())
    }

    /// Creates a ServiceAccount as a POST by `manager` would, and its namespace if needed.
    pub fn seed_service_account(
        &mut self,
        namespace: &str,
        name: &str,
        annotations: &[(&str, &str)],
        manager: &str,
    ) -> Result<Value, Refusal> {
        self.ensure_namespace(namespace)?;
        let annotations: BTreeMap<&str, &str> = annotations.iter().copied().collect();
        let body = json!({"metadata": {"name": name, "annotations": annotations}});
        self.create(Resource::ServiceAccounts, namespace, body, &WriteOptions::by(manager)).map(|made| made.object)
    }

    /// Creates a running pod under an existing ServiceAccount.
    pub fn seed_pod(&mut self, namespace: &str, name: &str, service_account: &str) -> Result<Value, Refusal> {
        let body = json!({
            "metadata": {"name": name},
            "spec": {"serviceAccountName": service_account, "containers": [{"name": "main", "image": "pause"}]},
            "status": {"phase": "Running"},
        });
        let options = WriteOptions::by("kube-controller-manager");
        self.create(Resource::Pods, namespace, body, &options).map(|made| made.object)
    }

    /// Creates an object as a POST by `manager` would.
    pub fn seed(&mut self, resource: Resource, namespace: &str, body: Value, manager: &str) -> Result<Value, Refusal> {
        self.create(resource, namespace, body, &WriteOptions::by(manager)).map(|made| made.object)
    }

    /// Changes an object as `manager` would with a GET and a PUT.
    pub fn edit(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
        manager: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, Refusal> {
        let mut object =
            self.get(resource, namespace, name).cloned().ok_or_else(|| Refusal::not_found(resource, name))?;
        change(&mut object);
        self.replace(resource, namespace, name, object, &WriteOptions::by(manager)).map(|made| made.object)
    }

    /// Changes an object in storage, without checks and without a managedFields entry. The resourceVersion still moves.
    pub fn tamper(&mut self, resource: Resource, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(mut object) = self.get(resource, namespace, name).cloned() else { return false };
        change(&mut object);
        self.put(resource, namespace, name, object);
        true
    }

    /// Forgets old versions, as etcd's compaction does. Continue tokens expire, and watches must restart from a new
    /// list.
    pub fn compact(&mut self) {
        self.snapshots.clear();
        self.changes.compact(self.version);
        self.version += 1;
    }

    /// Restores the objects of another state. Versions never repeat: continue tokens and watches expire, as after an
    /// etcd restore that bumps the revision.
    pub(crate) fn go_back_to(&mut self, before: &Self) {
        let (version, made) = (self.version.max(before.version), self.made.max(before.made));
        let changes = self.changes.clone();
        self.clone_from(before);
        (self.version, self.made, self.changes) = (version + 1, made, changes);
        self.snapshots.clear();
        self.changes.compact(self.version);
    }

    pub(crate) fn time(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn now(&self) -> String {
        let now = self.time();
        let seconds = Timestamp::from_second(now.as_second()).unwrap_or(now);
        seconds.to_string()
    }

    pub(crate) fn table(&self, resource: Resource) -> Option<&Table> {
        self.tables.get(&resource)
    }

    pub(crate) fn snapshot(&mut self, resource: Resource) {
        if let Some(table) = self.tables.get(&resource) {
            self.snapshots.insert((self.version, resource), table.clone());
        }
        while self.snapshots.len() > SNAPSHOTS {
            self.snapshots.pop_first();
        }
    }

    /// Exchanges the list snapshots behind continue tokens with another store.
    pub(crate) fn swap_pages(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.snapshots, &mut other.snapshots);
    }

    pub(crate) fn snapshot_at(&self, resource: Resource, version: u64) -> Option<&Table> {
        self.snapshots.get(&(version, resource))
    }

    /// Stores an object under the next resourceVersion and returns it.
    pub(crate) fn put(&mut self, resource: Resource, namespace: &str, name: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let key = key(resource, namespace, name);
        let stored = Arc::new(object.clone());
        let before = self.tables.entry(resource).or_default().insert(key.clone(), Arc::clone(&stored));
        self.changes.wrote(self.version, resource, key, before, Some(stored));
        object
    }

    pub(crate) fn take(&mut self, resource: Resource, namespace: &str, name: &str) -> Option<Value> {
        self.version += 1;
        let key = key(resource, namespace, name);
        let object = self.tables.get_mut(&resource)?.remove(&key)?;
        self.changes.wrote(self.version, resource, key, Some(Arc::clone(&object)), None);
        Some((*object).clone())
    }

    fn digest(&mut self, what: &str) -> [u8; 32] {
        self.made += 1;
        Sha256::digest(format!("{}/{what}/{}", self.seed, self.made)).into()
    }

    /// A UUID in version 4 format. It is deterministic: the same cluster history gives the same UUID.
    pub(crate) fn uid(&mut self) -> String {
        let mut bytes = self.digest("uid");
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let number = bytes[..16].iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        let hex = format!("{number:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// A name from a prefix, as `generateName` creates it.
    pub(crate) fn generate_name(&mut self, prefix: &str) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let bytes = self.digest("name");
        let suffix = bytes[..5].iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        prefix.chars().take(58).chain(suffix).collect()
    }

    /// Runs the controllers after a write: every active namespace gets a `default` ServiceAccount, and an empty
    /// terminating namespace is removed.
    pub(crate) fn settle(&mut self, namespace: &str) -> Result<(), Refusal> {
        let Some(object) = self.get(Resource::Namespaces, "", namespace) else { return Ok(()) };
        if object.pointer("/metadata/deletionTimestamp").is_none() {
            if self.service_account(namespace, "default").is_none() {
                let body = json!({"metadata": {"name": "default"}});
                let options = WriteOptions::by("kube-controller-manager");
                self.create(Resource::ServiceAccounts, namespace, body, &options)?;
            }
            return Ok(());
        }
        let prefix = format!("{namespace}/");
        let left = Resource::in_namespaces()
            .filter_map(|resource| self.table(resource))
            .any(|table| table.keys().any(|key| key.starts_with(&prefix)));
        if !left {
            self.take(Resource::Namespaces, "", namespace);
        }
        Ok(())
    }

    /// Whether a namespace is terminating.
    pub(crate) fn is_terminating(&self, namespace: &str) -> bool {
        let object = self.get(Resource::Namespaces, "", namespace);
        object.is_some_and(|object| object.pointer("/metadata/deletionTimestamp").is_some())
    }

    /// The names of the objects of a kind in a namespace.
    pub(crate) fn names(&self, resource: Resource, namespace: &str) -> Vec<String> {
        let prefix = format!("{namespace}/");
        self.table(resource)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .filter_map(|key| key.strip_prefix(&prefix).map(str::to_owned))
            .collect()
    }
}
