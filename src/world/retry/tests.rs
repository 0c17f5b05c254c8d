use super::*;

fn service(status: u16, code: &str, message: &str) -> Failure {
    Failure {
        class: Class::Service,
        status: Some(status),
        code: (!code.is_empty()).then(|| code.to_owned()),
        message: message.to_owned(),
        request_id: None,
    }
}

fn broken(class: Class) -> Failure {
    Failure { class, status: None, code: None, message: String::new(), request_id: None }
}

const NOTHING: Facts =
    Facts { made: false, policy: false, principal: false, detached: false, reached: false, again: false, once: false };

#[test]
fn the_table_of_decisions() {
    use Because::{Busy, Propagation, Throttled, Unavailable};
    let made = Facts { made: true, ..NOTHING };
    let principal = Facts { principal: true, ..NOTHING };
    let detached = Facts { detached: true, ..NOTHING };
    let reached = Facts { reached: true, ..NOTHING };
    let once = Facts { once: true, ..NOTHING };
    let policy = Facts { policy: true, ..NOTHING };
    let all =
        Facts { made: true, policy: true, principal: true, detached: true, reached: true, again: false, once: false };
    let unattachable = "Policy arn:aws:iam::111122223333:policy/a does not exist or is not attachable.";
    let bad_principal = "Invalid principal in policy: \"FEDERATED\":\"arn:aws:iam::1:oidc-provider/a\"";
    let rows: Vec<(Failure, Facts, Decision)> = vec![
        (service(400, "Throttling", "Rate exceeded"), NOTHING, Decision::Retry(Throttled)),
        (service(400, "Throttling", "Rate exceeded"), once, Decision::Retry(Throttled)),
        (service(429, "TooManyRequestsException", ""), NOTHING, Decision::Retry(Throttled)),
        (service(429, "Whatever", ""), NOTHING, Decision::Retry(Throttled)),
        (service(500, "ServiceFailure", ""), NOTHING, Decision::Retry(Unavailable)),
        (service(500, "ServiceFailure", ""), once, Decision::Final),
        (service(502, "", ""), NOTHING, Decision::Retry(Unavailable)),
        (service(503, "ServiceUnavailable", ""), NOTHING, Decision::Retry(Unavailable)),
        (broken(Class::Network), NOTHING, Decision::Retry(Unavailable)),
        (broken(Class::Network), once, Decision::Final),
        (broken(Class::Unreachable), NOTHING, Decision::Final),
        (broken(Class::Unreachable), reached, Decision::Retry(Unavailable)),
        (broken(Class::Credentials), all, Decision::Final),
        (broken(Class::Request), all, Decision::Final),
        (service(400, "MalformedPolicyDocument", bad_principal), principal, Decision::Retry(Propagation)),
        (service(400, "MalformedPolicyDocument", bad_principal), made, Decision::Final),
        (service(400, "MalformedPolicyDocument", "Syntax errors in policy."), all, Decision::Final),
        (service(404, "NoSuchEntity", ""), made, Decision::Retry(Propagation)),
        (service(404, "NoSuchEntity", ""), principal, Decision::Final),
        (service(404, "NoSuchEntity", "The role with name a cannot be found."), policy, Decision::Final),
        (service(404, "NoSuchEntity", unattachable), made, Decision::Final),
        (service(404, "NoSuchEntity", unattachable), policy, Decision::Retry(Propagation)),
        (service(404, "ResourceNotFoundException", ""), NOTHING, Decision::Final),
        (service(409, "ConcurrentModification", ""), NOTHING, Decision::Retry(Busy)),
        (service(409, "EntityTemporarilyUnmodifiable", ""), once, Decision::Retry(Busy)),
        (service(409, "DeleteConflict", ""), detached, Decision::Retry(Propagation)),
        (service(409, "DeleteConflict", ""), NOTHING, Decision::Final),
        (service(409, "EntityAlreadyExists", ""), all, Decision::Final),
        (service(403, "AccessDenied", ""), all, Decision::Final),
        (service(403, "ExpiredToken", ""), all, Decision::Final),
        (service(400, "ExpiredToken", ""), all, Decision::Final),
        (service(409, "LimitExceeded", ""), all, Decision::Final),
        (service(400, "ValidationError", ""), all, Decision::Final),
        (service(418, "Unheard", ""), all, Decision::Final),
    ];
    for (failure, facts, wanted) in rows {
        assert_eq!(decide(&failure, facts), wanted, "{failure:?} {facts:?}");
    }
}

#[test]
fn the_table_of_kinds() {
    for (status, code, wanted) in [
        (403, "AccessDenied", CallErrorKind::Denied),
        (403, "AccessDeniedException", CallErrorKind::Denied),
        (403, "", CallErrorKind::Denied),
        (403, "ExpiredToken", CallErrorKind::Credentials),
        (403, "InvalidClientTokenId", CallErrorKind::Credentials),
        (403, "SignatureDoesNotMatch", CallErrorKind::Credentials),
        (400, "UnrecognizedClientException", CallErrorKind::Credentials),
        (404, "NoSuchEntity", CallErrorKind::NotFound),
        (404, "ResourceNotFoundException", CallErrorKind::NotFound),
        // a proxy's 404 is not the service's word that something is gone
        (404, "", CallErrorKind::Other),
        (409, "EntityAlreadyExists", CallErrorKind::AlreadyExists),
        (409, "ConcurrentModification", CallErrorKind::Conflict),
        (409, "EntityTemporarilyUnmodifiable", CallErrorKind::Conflict),
        (409, "DeleteConflict", CallErrorKind::Conflict),
        (409, "LimitExceeded", CallErrorKind::Limit),
        (400, "LimitExceededException", CallErrorKind::Limit),
        (400, "Throttling", CallErrorKind::Throttled),
        (429, "", CallErrorKind::Throttled),
        (500, "", CallErrorKind::Unavailable),
        (503, "ServiceUnavailable", CallErrorKind::Unavailable),
        (400, "MalformedPolicyDocument", CallErrorKind::Invalid),
        (400, "ValidationError", CallErrorKind::Invalid),
        (400, "InvalidInput", CallErrorKind::Invalid),
        (418, "Unheard", CallErrorKind::Other),
    ] {
        assert_eq!(service(status, code, "").kind(), wanted, "{status} {code}");
    }
    assert_eq!(broken(Class::Network).kind(), CallErrorKind::Unavailable);
    assert_eq!(broken(Class::Credentials).kind(), CallErrorKind::Credentials);
}

#[test]
fn an_answer_without_words_still_says_something() {
    let error = service(502, "", "").into_error("iam:GetRole".to_owned());
    assert_eq!(error.message, "the service answered with HTTP status 502");
    assert_eq!(error.to_string(), "iam:GetRole: the service answered with HTTP status 502");
}

#[test]
fn backoff_doubles_up_to_five_seconds() {
    for (attempt, seconds) in [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (40, 5.0)] {
        assert_eq!(backoff(attempt, 1.0), Duration::from_secs_f64(seconds));
        assert_eq!(backoff(attempt, 0.0), Duration::ZERO);
    }
}
