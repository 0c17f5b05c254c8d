use super::*;

fn reply(body: &Value) -> Reply {
    Reply { body: body.to_string().into_bytes(), request_id: None }
}

#[test]
fn unknown_fields_are_written_back_unchanged() {
    let theirs = json!({
        "apiVersion": API, "kind": "Lease",
        "metadata": {"name": "l", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
        "spec": {
            "holderIdentity": "x", "leaseDurationSeconds": 15, "leaseTransitions": 3, "strategy": "OldestEmulationVersion",
            "acquireTime": "2026-01-02T03:04:05.000006Z", "renewTime": "2026-01-02T03:04:06Z",
        },
    });
    let lease = decode(&reply(&theirs)).unwrap();
    let hold = LeaseRecord {
        holder: "x".into(),
        seconds: Some(15),
        acquired: Some(1_767_323_045_000_006),
        renewed: Some(1_767_323_046_000_000),
        transitions: 3,
    };
    assert_eq!(lease.hold, hold);
    let sent = body(&lease.object, &LeaseRecord { holder: "y".into(), transitions: 4, ..hold }).unwrap();
    let mut expected = theirs;
    expected["spec"]["holderIdentity"] = json!("y");
    expected["spec"]["leaseTransitions"] = json!(4);
    expected["spec"]["renewTime"] = json!("2026-01-02T03:04:06.000000Z");
    assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), expected);
}

#[test]
fn lease_without_spec_is_accepted_and_without_uid_or_version_refused() {
    let bare = json!({"metadata": {"uid": "u", "resourceVersion": "7"}});
    assert_eq!(decode(&reply(&bare)).unwrap().hold, LeaseRecord::default());
    for broken in [json!({"metadata": {"uid": "u"}}), json!({"metadata": {"resourceVersion": "7"}}), json!([])] {
        assert!(decode(&reply(&broken)).is_err(), "{broken}");
    }
}
