use super::*;
use crate::world::CallErrorKind as Kind;
use serde_json::{Value, json};

fn answer(code: u16, body: &Value) -> ApiFailure {
    ApiFailure::of_answer(code, body.to_string().as_bytes(), Some("id".into()), 0)
}

#[test]
fn field_conflict_names_each_manager_and_field() {
    let cause = |message: &str, field: &str| json!({"reason": FIELD_CONFLICT, "message": message, "field": field});
    let failure = answer(
        409,
        &json!({
            "kind": "Status", "reason": "Conflict", "message": "Apply failed with 2 conflicts: …",
            "details": {"causes": [
                cause(r#"conflict with "helm" using v1 at 2026-01-02T03:04:05Z"#, ".metadata.annotations.eks.amazonaws.com/role-arn"),
                cause(r#"conflict with "a \"b\"""#, ".metadata.labels.irsa/owner"),
                cause("conflict with nobody", ".secrets"),
            ]},
        }),
    );
    assert!(failure.is_field_conflict() && !failure.is_stale());
    assert_eq!(
        failure.message,
        "manager `helm` holds annotation `eks.amazonaws.com/role-arn`, manager `a \"b\"` holds label `irsa/owner`, \
             manager `conflict with nobody` holds `.secrets`"
    );
    let error = failure.at("apply ServiceAccount");
    assert_eq!((error.kind, error.code.as_deref()), (Kind::Conflict, Some(FIELD_CONFLICT)));
    assert_eq!(error.request_id.as_deref(), Some("id"));
}

#[test]
fn status_code_and_reason_decide_the_kind_and_the_retry() {
    let status = |reason: &str, message: &str| json!({"reason": reason, "message": message});
    let terminating = json!({"reason": "Forbidden", "message": "x", "details": {"causes": [
        {"reason": "NamespaceTerminating", "message": "namespace a is being terminated", "field": "metadata.namespace"},
    ]}});
    let uid = json!({"reason": "Invalid", "message": "x", "details": {"causes": [
        {"reason": "FieldValueInvalid", "message": "field is immutable", "field": "metadata.uid"},
    ]}});
    for (code, body, kind) in [
        (401, status("Unauthorized", "Unauthorized"), Kind::Credentials),
        (403, status("Forbidden", r#"x "a" is forbidden: User "me" cannot get resource "x" in …"#), Kind::Denied),
        (403, status("Forbidden", r#"forbidden: User "me" cannot get path "/x""#), Kind::Denied),
        (403, json!({}), Kind::Denied),
        (403, status("Forbidden", r#"x "a" is forbidden: "#), Kind::Denied),
        (403, status("Forbidden", r#"x "a" is forbidden: RBAC: role.x "b" not found"#), Kind::Denied),
        (403, status("Forbidden", "x is forbidden: exceeded quota: q"), Kind::Limit),
        (403, status("Forbidden", "x is forbidden: unable to validate against any security context"), Kind::Rejected),
        (403, terminating, Kind::Rejected),
        (404, status("NotFound", "no"), Kind::NotFound),
        (409, status("AlreadyExists", "no"), Kind::AlreadyExists),
        (409, status("Conflict", "the object has been modified"), Kind::Conflict),
        (404, json!({}), Kind::Other),
        (404, status("", "not here"), Kind::Other),
        (410, status("Expired", "too old"), Kind::Other),
        (422, status("Invalid", "no"), Kind::Invalid),
        (422, uid, Kind::Conflict),
        (429, status("TooManyRequests", "slow down"), Kind::Throttled),
        (500, status("InternalError", "no"), Kind::Unavailable),
        (503, status("ServiceUnavailable", "no"), Kind::Unavailable),
    ] {
        let failure = answer(code, &body);
        let is_transient = matches!(kind, Kind::Throttled | Kind::Unavailable);
        let retry = if is_transient { Retry::UntilBudget } else { Retry::Never };
        assert_eq!((failure.kind, failure.retry), (kind, retry), "{code} {body}");
        assert!(!failure.is_field_conflict(), "{code}");
    }
    assert!(answer(409, &status("Conflict", "modified")).is_stale());
    assert!(!answer(409, &status("AlreadyExists", "no")).is_stale());
}

#[test]
fn admission_denial_is_rejected_with_its_whole_message_whatever_its_status() {
    let long = "each object needs a label `team` with one of the names that the platform team has given. ".repeat(40);
    let nested = r#"x "a" is forbidden: User "system:serviceaccount:gatekeeper" cannot get resource "x" in …"#;
    for why in [long.trim(), nested] {
        for by in [
            format!(r#"admission webhook "validation.gatekeeper.sh" denied the request: [team] {why}"#),
            format!(
                r#"serviceaccounts "a" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {why}"#
            ),
        ] {
            for (code, reason) in [
                (400, ""),
                (401, "Unauthorized"),
                (403, "Forbidden"),
                (404, "NotFound"),
                (409, "AlreadyExists"),
                (409, "Conflict"),
                (413, "RequestEntityTooLarge"),
                (422, "Invalid"),
            ] {
                let failure = answer(code, &json!({"reason": reason, "message": by}));
                assert_eq!((failure.kind, failure.retry), (Kind::Rejected, Retry::Never), "{code} {reason}");
                assert_eq!(failure.message, by);
            }
            // the policy itself may have failed
            let failure = answer(500, &json!({"message": by}));
            assert_eq!((failure.kind, failure.retry), (Kind::Unavailable, Retry::Briefly));
        }
    }
}

#[test]
fn failing_webhook_is_retried_briefly() {
    let why = r#"Internal error occurred: failed calling webhook "a.b.c": failed to call webhook: Post "https://a.b.svc:443/": EOF"#;
    let failure = answer(500, &json!({"reason": "InternalError", "message": why}));
    assert_eq!((failure.kind, failure.retry), (Kind::Unavailable, Retry::Briefly));
    let failure = answer(500, &json!({"reason": "InternalError", "message": "etcdserver: no leader"}));
    assert_eq!(failure.retry, Retry::UntilBudget);
}

#[test]
fn body_that_is_no_status_is_not_repeated() {
    for body in ["<html>secret</html>", r#"{"secret": 1}"#, ""] {
        let failure = ApiFailure::of_answer(502, body.as_bytes(), None, 7);
        assert_eq!((failure.message.as_str(), failure.code, failure.retry_after), ("HTTP status 502", None, 7));
    }
}

#[test]
fn secrets_in_a_message_are_hidden() {
    let message = "a\u{1b}[31m\r\n  webhook: Authorization: Bearer abc, token k8s-aws-v1.aHR0cHM6Ly9z refused";
    let failure = answer(500, &json!({"reason": "InternalError", "message": message}));
    assert_eq!(failure.message, "a [31m webhook: Authorization: Bearer *** token k8s-aws-v1.*** refused");
    let cause =
        json!({"reason": FIELD_CONFLICT, "message": "conflict with \"eyJhbGciOiJSUzI1NiJ9.eyJzdWIi\"", "field": ".x"});
    let failure = answer(409, &json!({"reason": "Conflict", "message": "x", "details": {"causes": [cause]}}));
    assert_eq!(failure.message, "manager `eyJ***` holds `.x`");
}
