use super::*;
use serde_json::json;

fn entry(fields: &Value) -> FieldManager {
    let entry = json!({"manager": "m", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields});
    field_manager(&serde_json::from_value(entry).unwrap())
}

fn keys(list: &[&str]) -> Vec<String> {
    list.iter().map(|key| (*key).to_owned()).collect()
}

#[test]
fn owned_labels_and_annotations_are_listed_and_other_fields_are_flagged() {
    let both = entry(&json!({"f:metadata": {
        "f:annotations": {".": {}, "f:eks.amazonaws.com/role-arn": {}, "f:f:odd": {}},
        "f:labels": {"f:irsa/owner": {}},
    }}));
    assert_eq!(both.annotations, keys(&["eks.amazonaws.com/role-arn", "f:odd"]));
    assert_eq!(both.labels, keys(&["irsa/owner"]));
    assert!(!both.others);
    for (fields, others) in [
        (json!({}), false),
        (json!({"f:metadata": {}}), false),
        (json!({"f:metadata": {".": {}, "f:annotations": {".": {}}, "f:labels": {}}}), false),
        (json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"x\"": {}}}}), true),
        (json!({"f:metadata": {"f:ownerReferences": {"k:{\"uid\":\"1\"}": {}}}}), true),
        (json!({"f:secrets": {".": {}, "k:{\"name\":\"s\"}": {"f:name": {}}}}), true),
        (json!({"f:imagePullSecrets": {}}), true),
        (json!({"f:automountServiceAccountToken": {}}), true),
        (json!("text"), true),
    ] {
        let manager = entry(&fields);
        assert_eq!(manager.others, others, "{fields}");
        assert!(manager.labels.is_empty() && manager.annotations.is_empty(), "{fields}");
    }
    let unknown = json!({"manager": "m", "operation": "Update", "fieldsType": "FieldsV2", "fieldsV1": {}});
    assert!(field_manager(&serde_json::from_value(unknown).unwrap()).others);
    let bare = field_manager(&serde_json::from_value(json!({"manager": "m", "operation": "Update"})).unwrap());
    assert!(!bare.others);
}

#[test]
fn field_manager_shared_by_two_objects_is_kept_once() {
    let object = |name: &str| {
        let entry = json!({"manager": "irsa-me", "operation": "Apply", "fieldsType": "FieldsV1",
                               "fieldsV1": {"f:metadata": {"f:labels": {"f:irsa/owner": {}}}}});
        serde_json::from_value::<ObjectMeta>(json!({
            "namespace": "a", "name": name, "uid": "u", "resourceVersion": "1", "managedFields": [entry],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Thing", "name": "t", "uid": "1"}],
            "deletionTimestamp": (name == "goes").then_some("2026-01-01T00:00:00Z"),
            "finalizers": ["example.com/hold"],
        }))
        .unwrap()
    };
    let mut known = FieldManagers::default();
    let [one, other] = ["stays", "goes"].map(|name| service_account(object(name), &mut known).unwrap());
    assert!(Arc::ptr_eq(&one.managers[0], &other.managers[0]));
    assert_eq!(one.owner_references, ["Thing/t"]);
    assert_eq!((one.deleting, other.deleting), (None, Some(vec!["example.com/hold".to_owned()])));
}
