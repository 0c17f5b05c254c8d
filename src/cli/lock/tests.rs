use super::*;
use crate::model::origin::Origin;

fn lock() -> Lock {
    Lock {
        cluster: "main".parse().unwrap(),
        namespace: "kube-system".parse().unwrap(),
        name: "irsa-me".parse().unwrap(),
        duration: 60,
        origin: Origin { file: "irsa.toml".into(), line: 1, column: 1, span: 0..0 },
    }
}

fn hold() -> LeaseRecord {
    let acquired = Some(1_767_323_045_600_006);
    let renewed = acquired.map(|time| time + 20_000_000);
    LeaseRecord { holder: "host/1/a".into(), seconds: Some(60), acquired, renewed, transitions: 0 }
}

#[test]
fn held_lock_names_the_holder_its_times_and_the_next_step() {
    let error = held(&lock(), &hold(), Duration::ZERO);
    assert_eq!(error.status, ExitStatus::Refused);
    assert_eq!(
        error.message,
        "the lock (Lease `kube-system/irsa-me` in cluster `main`) is held by `host/1/a` since 2026-01-02T03:04:05Z \
             until 2026-01-02T03:05:25Z, unless it is renewed; nothing was written"
    );
    assert!(error.hints[0].contains("--lock-timeout 5m") && error.hints[1].contains("--no-lock"), "{error:?}");
    let longer = held(&lock(), &hold(), Duration::from_mins(5));
    assert!(longer.hints[0].contains("still renews it"), "{longer:?}");
    let endless = held(&lock(), &LeaseRecord { seconds: None, ..hold() }, Duration::ZERO);
    assert!(endless.message.contains("since 2026-01-02T03:04:05Z, without an expiry"), "{endless:?}");
    assert!(endless.hints[0].contains("by hand"), "{endless:?}");
    let timeless = held(&lock(), &LeaseRecord { acquired: None, renewed: None, ..hold() }, Duration::ZERO);
    assert!(timeless.message.contains("held by `host/1/a`, 60s at a time"), "{timeless:?}");
}

#[test]
fn a_denied_lease_names_the_rule_to_add() {
    let error = |kind| CallError {
        operation: "create Lease".into(),
        kind,
        code: Some("Forbidden".into()),
        message: "no".into(),
        request_id: None,
    };
    let denied = failed(&lock(), &error(CallErrorKind::Denied));
    assert_eq!(denied.status, ExitStatus::Failure);
    assert!(denied.message.contains("create Lease: Forbidden: no"), "{denied:?}");
    assert!(denied.hints[0].contains("`get`, `create` and `update` on `leases`"), "{denied:?}");
    assert!(denied.hints[0].contains("namespace `kube-system` of cluster `main`"), "{denied:?}");
    let homeless = failed(&lock(), &error(CallErrorKind::NotFound));
    assert!(homeless.hints[0].contains("create namespace `kube-system`"), "{homeless:?}");
    // the message of an admission policy explains itself
    assert_eq!(failed(&lock(), &error(CallErrorKind::Rejected)).hints, ["`--no-lock` applies without the lock"]);
    assert_eq!(failed(&lock(), &error(CallErrorKind::Other)).hints, ["`--no-lock` applies without the lock"]);
}
