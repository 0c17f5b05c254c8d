//! Tests of the Kubernetes stand-in, mostly on the store and partly over TLS and HTTP.

mod admission;
mod apply;
mod faults;
pub(crate) mod http;
mod leases;
mod objects;
mod ownership;
mod reviews;
mod tokens;
mod watches;
mod writes;

use crate::kubernetes::{Refusal, Resource, Store, WriteOptions, Written};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const ROLE: &str = "eks.amazonaws.com/role-arn";

/// A store whose clock advances a second each time it is read.
fn store() -> Store {
    let seconds = AtomicI64::new(1_700_000_000);
    let clock = move || Timestamp::from_second(seconds.fetch_add(1, Ordering::SeqCst)).unwrap();
    let mut store = Store::new("test", Arc::new(clock)).unwrap();
    store.ensure_namespace("a").unwrap();
    store
}

fn applied(metadata: Value) -> Value {
    let mut body = json!({"apiVersion": "v1", "kind": "ServiceAccount"});
    body["metadata"] = metadata;
    body["metadata"]["name"] = json!("worker");
    body
}

fn apply_with(store: &mut Store, options: &WriteOptions, body: Value) -> Result<Written, Refusal> {
    store.apply(Resource::ServiceAccounts, "a", "worker", body, options, || Ok(()))
}

fn apply(store: &mut Store, manager: &str, metadata: Value) -> Result<Written, Refusal> {
    apply_with(store, &WriteOptions::by(manager), applied(metadata))
}

/// The managedFields entry of a manager.
fn entry(object: &Value, manager: &str, operation: &str) -> Option<Value> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    entries.iter().find(|entry| entry["manager"] == manager && entry["operation"] == operation).cloned()
}

fn fields(object: &Value, manager: &str, operation: &str) -> Value {
    entry(object, manager, operation).map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}
