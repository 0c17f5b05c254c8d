//! Tests of webhooks and quotas: their order, and the errors of a denial.

use super::{ROLE, applied, apply, store};
use crate::kubernetes::{Policy, Preconditions, Refusal, Resource, Store, WriteOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const ACCOUNTS: Resource = Resource::ServiceAccounts;

fn deny(operation: &'static str, status: Value) -> Policy {
    Arc::new(move |request| {
        let hit = request["operation"] == operation;
        if hit { json!({"allowed": false, "status": status}) } else { json!({"allowed": true}) }
    })
}

fn create(store: &mut Store, name: &str) -> Result<Value, Refusal> {
    let body = json!({"metadata": {"name": name}});
    store.create(ACCOUNTS, "a", body, &WriteOptions::by("t")).map(|made| made.object)
}

#[test]
fn a_webhook_denial_keeps_its_own_code() {
    for (status, code, message) in [
        (json!({"code": 403, "reason": "Forbidden", "message": "no"}), 403, ": no"),
        (json!({"code": 422, "reason": "Invalid"}), 422, ": Invalid"),
        (json!({"code": 404, "message": "no"}), 404, ": no"),
        (json!({"code": 200, "message": "no"}), 400, ": no"),
        (Value::Null, 400, " without explanation"),
    ] {
        let mut store = store();
        create(&mut store, "worker").unwrap();
        for operation in ["CREATE", "UPDATE", "DELETE"] {
            store.admit_all();
            store.ask_webhook("x.y.z", false, deny(operation, status.clone()));
            let refusal = match operation {
                "CREATE" => create(&mut store, "new").unwrap_err(),
                "UPDATE" => apply(&mut store, "me", json!({"labels": {"l": "1"}})).unwrap_err(),
                _ => store.delete(ACCOUNTS, "a", "worker", &Preconditions::default(), false).unwrap_err(),
            };
            let words = format!("admission webhook \"x.y.z\" denied the request{message}");
            assert_eq!((refusal.code, refusal.message), (code, words));
        }
        assert!(store.service_account("a", "worker").unwrap()["metadata"]["labels"].is_null());
    }
}

#[test]
fn mutating_webhooks_run_before_validating_ones() {
    let mut store = store();
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let judged = Arc::clone(&seen);
    store.ask_webhook(
        "judge.y.z",
        false,
        Arc::new(move |request| {
            judged.lock().unwrap().push(request["object"]["metadata"]["annotations"][ROLE].clone());
            json!({"allowed": true})
        }),
    );
    let patch = json!([{"op": "add", "path": "/metadata/annotations", "value": {ROLE: "theirs"}}]);
    let patch = STANDARD.encode(patch.to_string());
    store.ask_webhook("change.y.z", true, Arc::new(move |_| json!({"allowed": true, "patch": patch})));
    let made = apply(&mut store, "me", json!({"annotations": {ROLE: "ours"}})).unwrap().object;
    assert_eq!(made["metadata"]["annotations"], json!({ROLE: "theirs"}));
    // The manager that applied the field still owns it, with the webhook's value.
    assert_eq!(
        super::fields(&made, "me", "Apply"),
        json!({"f:metadata": {"f:annotations": {format!("f:{ROLE}"): {}}}})
    );
    let again = store.apply(
        ACCOUNTS,
        "a",
        "worker",
        applied(json!({"annotations": {ROLE: "ours"}})),
        &WriteOptions::by("me"),
        || Ok(()),
    );
    assert_eq!(again.unwrap().object["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    assert_eq!(*seen.lock().unwrap(), ["theirs", "theirs"]);
}

#[test]
fn a_quota_counts_existing_objects() {
    let mut store = store();
    store.set_quota("few", "a", ACCOUNTS, 2);
    create(&mut store, "one").unwrap();
    let refusal = create(&mut store, "two").unwrap_err();
    let words = "serviceaccounts \"two\" is forbidden: exceeded quota: few, requested: count/serviceaccounts=1, used: \
                 count/serviceaccounts=2, limited: count/serviceaccounts=2";
    assert_eq!((refusal.code, refusal.message.as_str()), (403, words));
    // The quota is checked before the name, so a name that exists also gets 403.
    assert_eq!(create(&mut store, "one").unwrap_err().code, 403);
    apply(&mut store, "me", json!({})).unwrap_err();
    store.delete(ACCOUNTS, "a", "one", &Preconditions::default(), false).unwrap();
    create(&mut store, "two").unwrap();
}
