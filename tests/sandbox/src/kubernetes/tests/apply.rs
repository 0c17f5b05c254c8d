//! Tests of server-side apply: conflicts, force, shared and dropped fields, and changes by other writers.

use super::{ROLE, applied, apply, apply_with, entry, fields, store};
use crate::kubernetes::{PatchType, Preconditions, Resource, Store, WriteOptions};
use serde_json::{Value, json};

fn annotated(value: &str) -> Value {
    json!({"annotations": {ROLE: value}})
}

fn live(store: &Store) -> Value {
    store.service_account("a", "worker").unwrap().clone()
}

fn annotate(store: &mut Store, value: &str) {
    let patch = json!({"metadata": {"annotations": {ROLE: value}}});
    let options = WriteOptions::by("kubectl-annotate");
    store.patch(Resource::ServiceAccounts, "a", "worker", PatchType::Merge, &patch, &options).unwrap();
}

#[test]
fn an_apply_creates_and_claims_only_what_it_names() {
    let mut store = store();
    let metadata = json!({"labels": {"irsa/owner": "me"}, "annotations": {ROLE: "r1"}, "finalizers": ["x.io/y"]});
    let written = apply(&mut store, "irsa-me", metadata).unwrap();
    assert!(written.created);
    let claimed = json!({"f:metadata": {
        "f:annotations": {format!("f:{ROLE}"): {}}, "f:labels": {"f:irsa/owner": {}}, "f:finalizers": {"v:\"x.io/y\"": {}},
    }});
    assert_eq!(fields(&written.object, "irsa-me", "Apply"), claimed);
    assert_eq!(written.object["metadata"]["managedFields"].as_array().unwrap().len(), 1);
}

#[test]
fn applying_another_managers_field_with_a_new_value_conflicts() {
    let mut store = store();
    apply(&mut store, "helm", annotated("r1")).unwrap();
    let before = live(&store);
    let refusal = apply(&mut store, "irsa-me", annotated("r2")).unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (409, "Conflict"));
    let path = ".metadata.annotations.eks.amazonaws.com/role-arn";
    assert_eq!(refusal.message, format!("Apply failed with 1 conflict: conflict with \"helm\": {path}"));
    let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"helm\"", "field": path});
    assert_eq!(refusal.details["causes"], json!([cause]));
    assert_eq!(live(&store), before);
}

#[test]
fn a_conflict_with_an_updater_names_its_version_and_time() {
    let mut store = store();
    apply(&mut store, "irsa-me", annotated("r1")).unwrap();
    annotate(&mut store, "r2");
    let object = live(&store);
    assert_eq!(object["metadata"]["annotations"][ROLE], "r2");
    assert_eq!(entry(&object, "irsa-me", "Apply"), None, "the manager lost its only field");
    let time = entry(&object, "kubectl-annotate", "Update").unwrap()["time"].as_str().unwrap().to_owned();
    let refusal = apply(&mut store, "irsa-me", annotated("r1")).unwrap_err();
    let message = format!("conflict with \"kubectl-annotate\" using v1 at {time}");
    assert_eq!(refusal.details["causes"][0]["message"], message);
}

#[test]
fn several_conflicts_are_grouped_by_manager() {
    let mut store = store();
    apply(&mut store, "helm", json!({"annotations": {"x": "1", "y": "1"}})).unwrap();
    apply(&mut store, "argo", json!({"labels": {"z": "1"}})).unwrap();
    let body = json!({"annotations": {"x": "2", "y": "2"}, "labels": {"z": "2"}});
    let refusal = apply(&mut store, "irsa-me", body).unwrap_err();
    let message = "Apply failed with 3 conflicts: conflicts with \"argo\":\n- .metadata.labels.z\nconflicts with \
                   \"helm\":\n- .metadata.annotations.x\n- .metadata.annotations.y";
    assert_eq!(refusal.message, message);
}

#[test]
fn force_takes_the_field_from_its_owner() {
    let mut store = store();
    apply(&mut store, "helm", json!({"annotations": {ROLE: "r1", "kept": "1"}})).unwrap();
    let options = WriteOptions::by("irsa-me").forced();
    let object = apply_with(&mut store, &options, applied(annotated("r2"))).unwrap().object;
    assert_eq!(object["metadata"]["annotations"], json!({ROLE: "r2", "kept": "1"}));
    assert_eq!(fields(&object, "helm", "Apply"), json!({"f:metadata": {"f:annotations": {"f:kept": {}}}}));
}

#[test]
fn an_equal_value_is_shared_until_its_last_owner_drops_it() {
    let mut store = store();
    apply(&mut store, "helm", annotated("r1")).unwrap();
    let shared = apply(&mut store, "irsa-me", annotated("r1")).unwrap().object;
    assert_eq!(fields(&shared, "helm", "Apply"), fields(&shared, "irsa-me", "Apply"));
    let dropped = apply(&mut store, "irsa-me", json!({})).unwrap().object;
    assert_eq!(dropped["metadata"]["annotations"][ROLE], "r1");
    assert_eq!(entry(&dropped, "irsa-me", "Apply"), None);
    let gone = apply(&mut store, "helm", json!({})).unwrap().object;
    assert_eq!(gone["metadata"].get("annotations"), None);
    assert_eq!(gone["metadata"].get("managedFields"), None);
}

#[test]
fn a_dropped_field_is_removed_and_the_rest_stays() {
    let mut store = store();
    apply(&mut store, "irsa-me", json!({"annotations": {ROLE: "r1", "b": "2"}, "labels": {"l": "1"}})).unwrap();
    let object = apply(&mut store, "irsa-me", json!({"annotations": {"b": "2"}})).unwrap().object;
    assert_eq!(object["metadata"]["annotations"], json!({"b": "2"}));
    assert_eq!(object["metadata"].get("labels"), None);
    assert_eq!(object["metadata"]["name"], "worker");
}

#[test]
fn a_field_of_the_creator_survives_when_an_applier_drops_it() {
    let mut store = store();
    store.seed_service_account("a", "worker", &[("team", "x")], "terraform").unwrap();
    let own = json!({"f:metadata": {"f:annotations": {".": {}, "f:team": {}}}});
    assert_eq!(fields(&live(&store), "terraform", "Update"), own);
    apply(&mut store, "irsa-me", annotated("r1")).unwrap();
    let released = apply(&mut store, "irsa-me", json!({})).unwrap().object;
    assert_eq!(released["metadata"]["annotations"], json!({"team": "x"}));
    assert_eq!(fields(&released, "terraform", "Update"), own);
}

#[test]
fn an_update_with_the_applied_value_takes_no_ownership() {
    let mut store = store();
    apply(&mut store, "irsa-me", annotated("r1")).unwrap();
    let before = live(&store);
    annotate(&mut store, "r1");
    assert_eq!(live(&store), before);
}

#[test]
fn an_unchanged_apply_keeps_version_and_time() {
    let mut store = store();
    let first = apply(&mut store, "irsa-me", annotated("r1")).unwrap();
    let version = store.version();
    let second = apply(&mut store, "irsa-me", annotated("r1")).unwrap();
    assert!(!second.created);
    assert_eq!(second.object, first.object);
    assert_eq!(store.version(), version);
}

#[test]
fn sharing_a_field_keeps_the_times() {
    let mut store = store();
    let first = apply(&mut store, "helm", annotated("r1")).unwrap().object;
    let second = apply(&mut store, "irsa-me", annotated("r1")).unwrap().object;
    assert_ne!(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
    assert_eq!(entry(&first, "helm", "Apply").unwrap()["time"], entry(&second, "helm", "Apply").unwrap()["time"]);
    assert_eq!(entry(&second, "irsa-me", "Apply").unwrap().get("time"), None);
}

#[test]
fn lists_are_owned_by_key_or_as_a_whole() {
    let mut store = store();
    let body = |secrets: Value, pull: Value| {
        let mut body = applied(json!({"ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u-1"},
        ]}));
        body["secrets"] = secrets;
        body["imagePullSecrets"] = pull;
        body["automountServiceAccountToken"] = json!(false);
        body
    };
    let first = body(json!([{"name": "one"}, {"name": "two"}]), json!([{"name": "p"}]));
    let object = apply_with(&mut store, &WriteOptions::by("m"), first).unwrap().object;
    let claimed = json!({
        "f:automountServiceAccountToken": {}, "f:imagePullSecrets": {},
        "f:metadata": {"f:ownerReferences": {"k:{\"uid\":\"u-1\"}": {}}},
        "f:secrets": {"k:{\"name\":\"one\"}": {}, "k:{\"name\":\"two\"}": {}},
    });
    assert_eq!(fields(&object, "m", "Apply"), claimed);
    let second = body(json!([{"name": "two"}]), json!([{"name": "q"}]));
    let object = apply_with(&mut store, &WriteOptions::by("m"), second).unwrap().object;
    assert_eq!(object["secrets"], json!([{"name": "two"}]));
    assert_eq!(object["imagePullSecrets"], json!([{"name": "q"}]));
}

#[test]
fn versions_and_uids_are_preconditions_of_an_apply() {
    let mut store = store();
    let made = apply(&mut store, "irsa-me", annotated("r1")).unwrap().object;
    let with = |field: &str, value: Value, arn: &str| {
        let mut metadata = annotated(arn);
        metadata[field] = value;
        metadata
    };
    let uid = made["metadata"]["uid"].clone();
    let fits = apply(&mut store, "irsa-me", with("uid", uid.clone(), "r2")).unwrap().object;
    assert_eq!(fits["metadata"]["annotations"][ROLE], "r2");
    let stale = with("resourceVersion", made["metadata"]["resourceVersion"].clone(), "r3");
    let refusal = apply(&mut store, "irsa-me", stale).unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (409, "Conflict"));
    assert!(refusal.message.ends_with("please apply your changes to the latest version and try again"), "{refusal}");
    let refusal = apply(&mut store, "irsa-me", with("uid", json!("other"), "r3")).unwrap_err();
    let message = "ServiceAccount \"worker\" is invalid: metadata.uid: Invalid value: \"other\": field is immutable";
    assert_eq!((refusal.code, refusal.message.as_str()), (422, message));
    store.delete(Resource::ServiceAccounts, "a", "worker", &Preconditions::default(), false).unwrap();
    let refusal = apply(&mut store, "irsa-me", with("uid", uid.clone(), "r3")).unwrap_err();
    let why = format!("uid mismatch: the provided object specified uid {}, and no existing", uid.as_str().unwrap());
    assert_eq!(refusal.code, 409);
    assert!(refusal.message.contains(&why), "{refusal}");
}

#[test]
fn a_malformed_apply_is_refused() {
    let mut store = store();
    let refusal = apply(&mut store, "", annotated("r")).unwrap_err();
    assert_eq!(refusal.code, 422);
    assert!(refusal.message.contains("fieldManager: Required value: is required for apply patch"), "{refusal}");
    let refusal = apply(&mut store, "m", json!({"managedFields": []})).unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (400, "metadata.managedFields must be nil"));
    assert!(apply(&mut store, "m", json!({"managedFields": null})).is_ok());
    let refusal = apply(&mut store, "m", json!({"annotation": {}})).unwrap_err();
    assert!(refusal.message.ends_with(".metadata.annotation: field not declared in schema"), "{refusal}");
    let body = applied(json!({}));
    let refusal =
        store.apply(Resource::ServiceAccounts, "b", "worker", body, &WriteOptions::by("m"), || Ok(())).unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (404, "namespaces \"b\" not found"));
}

#[test]
fn cleared_entries_become_before_first_apply() {
    let mut store = store();
    store.seed_service_account("a", "worker", &[(ROLE, "r1")], "terraform").unwrap();
    let forget = |object: &mut Value| object["metadata"]["managedFields"] = json!([]);
    let object = store.edit(Resource::ServiceAccounts, "a", "worker", "someone", forget).unwrap();
    assert_eq!(object["metadata"].get("managedFields"), None);
    let refusal = apply(&mut store, "irsa-me", annotated("r2")).unwrap_err();
    assert!(refusal.message.contains("conflict with \"before-first-apply\" using v1"), "{refusal}");
    let object = apply(&mut store, "irsa-me", json!({"labels": {"l": "1"}})).unwrap().object;
    let old = json!({"f:metadata": {"f:annotations": {".": {}, format!("f:{ROLE}"): {}}}});
    assert_eq!(fields(&object, "before-first-apply", "Update"), old);
}

#[test]
fn more_than_ten_updaters_are_merged() {
    let mut store = store();
    store.seed_service_account("a", "worker", &[], "m").unwrap();
    for number in 0..14 {
        let change = |object: &mut Value| object["metadata"]["annotations"][format!("k{number}")] = json!("v");
        let manager = format!("updater-{number}");
        if number == 0 {
            // An object without owned fields is not tracked until its first apply.
            apply(&mut store, "irsa-me", annotated("r")).unwrap();
        }
        store.edit(Resource::ServiceAccounts, "a", "worker", &manager, change).unwrap();
    }
    let object = live(&store);
    let updaters: Vec<Value> = object["metadata"]["managedFields"].as_array().unwrap().clone();
    assert_eq!(updaters.iter().filter(|entry| entry["operation"] == "Update").count(), 10);
    let old = fields(&object, "ancient-changes", "Update");
    assert_eq!(old["f:metadata"]["f:annotations"].as_object().unwrap().len(), 5);
}

#[test]
fn a_dry_run_apply_returns_the_result_and_stores_nothing() {
    let mut store = store();
    let options = WriteOptions { dry_run: true, ..WriteOptions::by("irsa-me") };
    let written = apply_with(&mut store, &options, applied(annotated("r1"))).unwrap();
    assert!(written.created);
    assert_eq!(store.service_account("a", "worker"), None);
}
