//! Tests of objects, their versions, lists and selectors.

use super::store;
use crate::kubernetes::{ListOptions, PatchType, Preconditions, Resource, Store, Strictness, WriteOptions};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ACCOUNTS: Resource = Resource::ServiceAccounts;

fn create(store: &mut Store, body: Value) -> Result<Value, crate::kubernetes::Refusal> {
    store.create(ACCOUNTS, "a", body, &WriteOptions::by("test")).map(|written| written.object)
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_cluster_starts_with_its_namespaces_and_their_accounts() {
    let store = store();
    for name in ["default", "kube-system", "kube-public", "kube-node-lease", "a"] {
        let namespace = store.get(Resource::Namespaces, "", name).unwrap();
        assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], name);
        assert_eq!(namespace["status"]["phase"], "Active");
        assert!(store.service_account(name, "default").is_some());
    }
    let uids: BTreeSet<&str> =
        store.all(ACCOUNTS).map(|account| account["metadata"]["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), 5);
    assert!(uids.iter().all(|uid| uid.len() == 36 && uid.as_bytes()[14] == b'4'), "{uids:?}");
}

#[test]
fn a_created_object_has_the_server_set_fields() {
    let mut store = store();
    let made = create(&mut store, json!({"metadata": {"generateName": "w-", "annotations": {}}})).unwrap();
    let metadata = made["metadata"].as_object().unwrap();
    assert!(metadata["name"].as_str().unwrap().starts_with("w-") && metadata["name"].as_str().unwrap().len() == 7);
    let keys: Vec<&str> = metadata.keys().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
    let expected =
        ["creationTimestamp", "generateName", "managedFields", "name", "namespace", "resourceVersion", "uid"];
    assert_eq!(keys, expected);
    assert_eq!((&made["kind"], &made["apiVersion"]), (&json!("ServiceAccount"), &json!("v1")));
}

#[test]
fn an_invalid_object_is_refused_with_the_servers_message() {
    let mut store = store();
    create(&mut store, json!({"metadata": {"name": "there"}})).unwrap();
    let long = "x".repeat(256 * 1024);
    let cases = [
        (json!({"metadata": {"name": "there"}}), 409, "serviceaccounts \"there\" already exists"),
        (json!({"metadata": {}}), 422, "metadata.name: Required value: name or generateName is required"),
        (json!({"metadata": {"name": "Up"}}), 422, "a lowercase RFC 1123 subdomain must consist of"),
        (json!({"metadata": {"name": "a", "labels": {"k": "a b"}}}), 422, "a valid label must be an empty string or"),
        (json!({"metadata": {"name": "a", "labels": {"/k": "v"}}}), 422, "prefix part must be non-empty"),
        (json!({"metadata": {"name": "a", "annotations": {"a/b/c": "v"}}}), 422, "a valid label key must consist of"),
        (json!({"metadata": {"name": "a", "annotations": {"k": long}}}), 422, "may not be more than 262144 bytes"),
        (json!({"metadata": {"name": "a", "annotations": {"k": 1}}}), 400, "cannot unmarshal number into Go struct"),
        (json!({"metadata": {"name": "a", "namespace": "b"}}), 400, "does not match the namespace sent on the request"),
        (json!({"metadata": {"name": "a", "resourceVersion": "1"}}), 500, "resourceVersion should not be set"),
        (json!({"kind": "Pod", "metadata": {"name": "a"}}), 400, "cannot be handled as a ServiceAccount"),
    ];
    for (body, code, text) in cases {
        let refusal = create(&mut store, body).unwrap_err();
        assert_eq!(refusal.code, code, "{refusal}");
        assert!(refusal.message.contains(text), "{refusal} lacks {text}");
    }
    let refusal = store.create(ACCOUNTS, "no", json!({"metadata": {"name": "a"}}), &WriteOptions::by("t")).unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (404, "namespaces \"no\" not found"));
    let body = json!({"metadata": {"name": "a"}, "other": 1, "spec": {}});
    let strict = WriteOptions { strictness: Strictness::Strict, ..WriteOptions::by("t") };
    let refusal = store.create(ACCOUNTS, "a", body.clone(), &strict).unwrap_err();
    assert!(refusal.message.contains("strict decoding error: unknown field \"other\", unknown field \"spec\""));
    let warn = WriteOptions { strictness: Strictness::Warn, ..WriteOptions::by("t") };
    let written = store.create(ACCOUNTS, "a", body, &warn).unwrap();
    assert_eq!(written.warnings, ["unknown field \"other\"", "unknown field \"spec\""]);
    assert_eq!(written.object.get("other"), None);
}

#[test]
fn a_replace_with_an_old_version_is_refused_and_without_one_accepted() {
    let mut store = store();
    let first = create(&mut store, json!({"metadata": {"name": "w", "labels": {"a": "1"}}})).unwrap();
    let mut next = first.clone();
    next["metadata"]["labels"] = json!({"a": "2"});
    let options = WriteOptions::by("t");
    store.replace(ACCOUNTS, "a", "w", next.clone(), &options).unwrap();
    let refusal = store.replace(ACCOUNTS, "a", "w", next.clone(), &options).unwrap_err();
    let message = "Operation cannot be fulfilled on serviceaccounts \"w\": the object has been modified; please apply \
                   your changes to the latest version and try again";
    assert_eq!((refusal.code, refusal.message.as_str()), (409, message));
    next["metadata"]["resourceVersion"] = Value::Null;
    next["metadata"]["labels"] = Value::Null;
    let object = store.replace(ACCOUNTS, "a", "w", next.clone(), &options).unwrap().object;
    assert_eq!(object["metadata"].get("labels"), None);
    next["metadata"]["uid"] = json!("other");
    let refusal = store.replace(ACCOUNTS, "a", "w", next, &options).unwrap_err();
    assert!(refusal.message.contains("Precondition failed: UID in precondition: other"), "{refusal}");
    let refusal = store.replace(ACCOUNTS, "a", "x", first, &options).unwrap_err();
    assert_eq!(refusal.message, "the name of the object (w) does not match the name on the URL (x)");
}

#[test]
fn a_patch_without_change_keeps_the_version() {
    let mut store = store();
    create(&mut store, json!({"metadata": {"name": "w", "labels": {"a": "1"}}})).unwrap();
    let version = store.version();
    for kind in [PatchType::Merge, PatchType::Strategic] {
        let patch = json!({"metadata": {"labels": {"a": "1"}}});
        store.patch(ACCOUNTS, "a", "w", kind, &patch, &WriteOptions::by("t")).unwrap();
    }
    assert_eq!(store.version(), version);
}

#[test]
fn deletes_respect_preconditions_and_finalizers() {
    let mut store = store();
    let made = create(&mut store, json!({"metadata": {"name": "w", "finalizers": ["x.io/y"]}})).unwrap();
    let mut preconditions = Preconditions { uid: Some("other".to_owned()), ..Preconditions::default() };
    let refusal = store.delete(ACCOUNTS, "a", "w", &preconditions, false).unwrap_err();
    assert_eq!(refusal.code, 409);
    assert!(refusal.message.contains("the UID in the precondition (other) does not match"), "{refusal}");
    preconditions.uid = made["metadata"]["uid"].as_str().map(str::to_owned);
    preconditions.resource_version = Some("1".to_owned());
    assert_eq!(store.delete(ACCOUNTS, "a", "w", &preconditions, false).unwrap_err().code, 409);
    preconditions.resource_version = None;
    let waiting = store.delete(ACCOUNTS, "a", "w", &preconditions, false).unwrap();
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    assert!(store.service_account("a", "w").is_some());
    store.edit(ACCOUNTS, "a", "w", "t", |object| object["metadata"]["finalizers"] = json!([])).unwrap();
    assert_eq!(store.service_account("a", "w"), None);
    assert_eq!(store.delete(ACCOUNTS, "a", "w", &preconditions, false).unwrap_err().code, 404);
}

#[test]
fn deleting_a_namespace_deletes_its_contents() {
    let mut store = store();
    create(&mut store, json!({"metadata": {"name": "w"}})).unwrap();
    create(&mut store, json!({"metadata": {"name": "held", "finalizers": ["x.io/y"]}})).unwrap();
    store.seed_pod("a", "p", "w").unwrap();
    store.delete(Resource::Namespaces, "", "a", &Preconditions::default(), false).unwrap();
    assert_eq!(store.get(Resource::Pods, "a", "p"), None);
    assert_eq!(store.get(Resource::Namespaces, "", "a").unwrap()["status"]["phase"], "Terminating");
    let refusal = create(&mut store, json!({"metadata": {"name": "new"}})).unwrap_err();
    assert_eq!(refusal.code, 403);
    assert!(refusal.message.contains("because it is being terminated"), "{refusal}");
    store.edit(ACCOUNTS, "a", "held", "t", |object| object["metadata"]["finalizers"] = Value::Null).unwrap();
    assert_eq!(store.get(Resource::Namespaces, "", "a"), None);
    let refusal = store.delete(Resource::Namespaces, "", "default", &Preconditions::default(), false).unwrap_err();
    assert_eq!(refusal.code, 403);
}

#[test]
fn a_deleted_default_service_account_is_recreated() {
    let mut store = store();
    let old = store.service_account("a", "default").unwrap()["metadata"]["uid"].clone();
    store.delete(ACCOUNTS, "a", "default", &Preconditions::default(), false).unwrap();
    assert_ne!(store.service_account("a", "default").unwrap()["metadata"]["uid"], old);
}

#[test]
fn pages_of_two_thousand_accounts_show_one_version() {
    let mut store = store();
    for number in 0..2000 {
        store.seed_service_account(&format!("n{}", number % 7), &format!("w{number:04}"), &[], "t").unwrap();
    }
    let total = store.all(ACCOUNTS).count();
    let mut options = ListOptions { limit: 300, ..ListOptions::default() };
    let (mut seen, mut pages, mut version) = (Vec::new(), 0, None);
    loop {
        let page = store.list(ACCOUNTS, &options).unwrap();
        seen.extend(names(&page));
        pages += 1;
        let first = version.get_or_insert_with(|| page["metadata"]["resourceVersion"].clone());
        assert_eq!(page["metadata"]["resourceVersion"], *first);
        let Some(token) = page["metadata"].get("continue") else { break };
        assert_eq!(page["metadata"]["remainingItemCount"], total - seen.len());
        token.as_str().unwrap().clone_into(&mut options.continue_token);
        // The later pages do not show an object that is created between pages.
        store.seed_service_account("n6", &format!("zz{pages}"), &[], "t").unwrap();
    }
    assert_eq!((seen.len(), pages), (total, total.div_ceil(300)));
    let one =
        store.list(ACCOUNTS, &ListOptions { namespace: Some("n3".to_owned()), ..ListOptions::default() }).unwrap();
    assert_eq!(one["items"].as_array().unwrap().len(), 2000 / 7 + 1 + 1);
    assert_eq!((&one["kind"], one["items"][0].get("kind")), (&json!("ServiceAccountList"), None));
}

#[test]
fn an_expired_list_returns_a_new_continue_token() {
    let mut store = store();
    let first = store.list(ACCOUNTS, &ListOptions { limit: 2, ..ListOptions::default() }).unwrap();
    store.compact();
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    let mut options = ListOptions { continue_token: token, ..ListOptions::default() };
    let refusal = store.list(ACCOUNTS, &options).unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (410, "Expired"));
    options.continue_token = refusal.continue_token.unwrap();
    assert_eq!(store.list(ACCOUNTS, &options).unwrap()["items"].as_array().unwrap().len(), 3);
    options.continue_token = "%".to_owned();
    assert_eq!(store.list(ACCOUNTS, &options).unwrap_err().code, 400);
}

#[test]
fn selectors_apply_before_the_limit() {
    let mut store = store();
    for (name, owner) in [("a", "me"), ("b", "you"), ("c", "me"), ("d", "me")] {
        create(&mut store, json!({"metadata": {"name": name, "labels": {"irsa/owner": owner}}})).unwrap();
    }
    let options = ListOptions { labels: "irsa/owner=me".to_owned(), limit: 2, ..ListOptions::default() };
    let page = store.list(ACCOUNTS, &options).unwrap();
    assert_eq!(names(&page), ["a", "c"]);
    assert_eq!(page["metadata"].get("remainingItemCount"), None);
    let token = page["metadata"]["continue"].as_str().unwrap().to_owned();
    let rest = store.list(ACCOUNTS, &ListOptions { continue_token: token, ..options }).unwrap();
    assert_eq!(names(&rest), ["d"]);
    store.seed_pod("a", "p", "b").unwrap();
    let by_account =
        |account: &str| ListOptions { fields: format!("spec.serviceAccountName={account}"), ..ListOptions::default() };
    assert_eq!(names(&store.list(Resource::Pods, &by_account("b")).unwrap()), ["p"]);
    assert!(names(&store.list(Resource::Pods, &by_account("a")).unwrap()).is_empty());
    let refusal = store.seed_pod("a", "q", "nobody").unwrap_err();
    assert!(refusal.message.contains("error looking up service account a/nobody"), "{refusal}");
}
