use super::*;
use crate::ids::{Key, PolicyArn, RoleName};
use crate::model::resource::{ServiceAccount, StringMap};

#[test]
fn hint_names_the_missing_permission_or_the_quota() {
    let name = RoleName::parse("r").unwrap();
    let arn = PolicyArn::parse("arn:aws:iam::aws:policy/A").unwrap();
    let call = Call::Iam(Key::parse("prod").unwrap(), IamCall::Attach { name, arn });
    let error = |kind| CallError {
        operation: "iam:AttachRolePolicy".into(),
        kind,
        code: None,
        message: "no".into(),
        request_id: None,
    };
    assert!(hint(&error(CallErrorKind::Denied), &call).unwrap().contains("`iam:AttachRolePolicy`"));
    assert!(hint(&error(CallErrorKind::Limit), &call).unwrap().contains("quota of attached managed policies"));
    assert!(hint(&error(CallErrorKind::Credentials), &call).unwrap().contains("sign in"));
    assert!(hint(&error(CallErrorKind::NotFound), &call).unwrap().contains("`arn:aws:iam::aws:policy/A` exists"));
    assert_eq!(hint(&error(CallErrorKind::Invalid), &call), None);
}

#[test]
fn admission_error_is_not_a_missing_permission() {
    let service_account = ServiceAccount {
        namespace: "shop".parse().unwrap(),
        name: "cart".parse().unwrap(),
        labels: StringMap::new(),
        annotations: StringMap::new(),
    };
    let call = Call::Kubernetes(Key::parse("prod").unwrap(), KubernetesCall::Create { service_account });
    let said = |kind, code: Option<&str>, message: &str| {
        let error = CallError {
            operation: "create ServiceAccount".into(),
            kind,
            code: code.map(str::to_owned),
            message: message.into(),
            request_id: None,
        };
        hint(&error, &call).unwrap()
    };
    let told = |kind, code| said(kind, code, "no");
    let webhook = "admission webhook \"a.b.c\" denied the request: no";
    let policy = said(CallErrorKind::Rejected, Some("Forbidden"), webhook);
    assert!(policy.contains("policy of cluster `prod`") && !policy.contains("allow"), "{policy}");
    // from an authorizer that is not RBAC, or an admission plugin
    let either = told(CallErrorKind::Rejected, Some("Forbidden"));
    assert!(either.contains("can-i create serviceaccounts -n shop") && either.contains("a policy"), "{either}");
    let gone = told(CallErrorKind::Rejected, Some("NamespaceTerminating"));
    assert!(gone.contains("namespace `shop` is deleted"), "{gone}");
    assert!(told(CallErrorKind::Denied, Some("Forbidden")).contains("`get`, `create` and `patch`"));
    assert!(
        told(CallErrorKind::Denied, None).contains("in front of the API"),
        "without a `Status`: not from the API server"
    );
    let field = told(CallErrorKind::Conflict, Some("FieldManagerConflict"));
    assert!(field.contains("--force-conflicts"), "{field}");
    // being deleted, recreated, another owner's label, or another version
    for code in [None, Some("Conflict"), Some("Invalid")] {
        let hint = told(CallErrorKind::Conflict, code);
        assert!(hint.ends_with("plan again") && !hint.contains("manager"), "{hint}");
    }
}
