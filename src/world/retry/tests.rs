use super::*;

fn failed(status: u16, code: &str, message: &str) -> AwsFailure {
    AwsFailure {
        class: FailureClass::Service,
        status: Some(status),
        code: (!code.is_empty()).then(|| code.to_owned()),
        message: message.to_owned(),
        request_id: None,
    }
}

fn broken(class: FailureClass) -> AwsFailure {
    AwsFailure::local(class, "")
}

#[test]
fn failures_are_retried_only_if_facts_of_this_run_explain_them() {
    use RetryReason::{Busy, Propagation, Throttled, Unavailable};
    let none = RetryFacts::default();
    let created = RetryFacts { created: true, ..none };
    let principal = RetryFacts { principal_created: true, ..none };
    let detached = RetryFacts { detached: true, ..none };
    let reached = RetryFacts { reached: true, ..none };
    let once = RetryFacts { must_not_repeat: true, ..none };
    let policy = RetryFacts { policy_created: true, ..none };
    let lags = RetryFacts { sts_lag: StsLag::All, ..none };
    let open = RetryFacts { sts_lag: StsLag::NotDenials, ..none };
    let all = RetryFacts {
        created: true,
        policy_created: true,
        principal_created: true,
        detached: true,
        sts_lag: StsLag::None,
        reached: true,
        retried: false,
        must_not_repeat: false,
    };
    let unattachable = "Policy arn:aws:iam::111122223333:policy/a does not exist or is not attachable.";
    let bad_principal = "Invalid principal in policy: \"FEDERATED\":\"arn:aws:iam::1:oidc-provider/a\"";
    let rows: Vec<(AwsFailure, RetryFacts, Option<RetryReason>)> = vec![
        (failed(400, "Throttling", "Rate exceeded"), none, Some(Throttled)),
        (failed(400, "Throttling", "Rate exceeded"), once, Some(Throttled)),
        (failed(429, "TooManyRequestsException", ""), none, Some(Throttled)),
        (failed(429, "Whatever", ""), none, Some(Throttled)),
        (failed(500, "ServiceFailure", ""), none, Some(Unavailable)),
        (failed(500, "ServiceFailure", ""), once, None),
        (failed(502, "", ""), none, Some(Unavailable)),
        (failed(503, "ServiceUnavailable", ""), none, Some(Unavailable)),
        (broken(FailureClass::Network), none, Some(Unavailable)),
        (broken(FailureClass::Network), once, None),
        (broken(FailureClass::Unreachable), none, None),
        (broken(FailureClass::Unreachable), reached, Some(Unavailable)),
        (broken(FailureClass::Credentials), all, None),
        (broken(FailureClass::Permanent), all, None),
        (failed(400, "MalformedPolicyDocument", bad_principal), principal, Some(Propagation)),
        (failed(400, "MalformedPolicyDocument", bad_principal), created, None),
        (failed(400, "MalformedPolicyDocument", "Syntax errors in policy."), all, None),
        (failed(404, "NoSuchEntity", ""), created, Some(Propagation)),
        (failed(404, "NoSuchEntity", ""), principal, None),
        (failed(404, "NoSuchEntity", "The role with name a cannot be found."), policy, None),
        (failed(404, "NoSuchEntity", unattachable), created, None),
        (failed(404, "NoSuchEntity", unattachable), policy, Some(Propagation)),
        (failed(404, "ResourceNotFoundException", ""), none, None),
        (failed(409, "ConcurrentModification", ""), none, Some(Busy)),
        (failed(409, "EntityTemporarilyUnmodifiable", ""), once, Some(Busy)),
        (failed(409, "DeleteConflict", ""), detached, Some(Propagation)),
        (failed(409, "DeleteConflict", ""), none, None),
        (failed(409, "EntityAlreadyExists", ""), all, None),
        (failed(403, "AccessDenied", ""), all, None),
        (failed(403, "AccessDenied", ""), lags, Some(Propagation)),
        (failed(400, "InvalidIdentityToken", ""), lags, Some(Propagation)),
        (failed(400, "InvalidIdentityToken", ""), all, None),
        (failed(403, "InvalidClientTokenId", ""), lags, Some(Propagation)),
        (failed(403, "AccessDenied", ""), open, None),
        (failed(400, "InvalidIdentityToken", ""), open, Some(Propagation)),
        (failed(403, "InvalidClientTokenId", ""), all, None),
        (failed(403, "IDPRejectedClaim", ""), lags, None),
        (failed(403, "ExpiredToken", ""), all, None),
        (failed(400, "ExpiredToken", ""), all, None),
        (failed(409, "LimitExceeded", ""), all, None),
        (failed(400, "ValidationError", ""), all, None),
        (failed(418, "Unheard", ""), all, None),
    ];
    for (failure, facts, expected) in rows {
        assert_eq!(retry_reason(&failure, facts), expected, "{failure:?} {facts:?}");
    }
}

#[test]
fn codes_and_statuses_have_error_kinds() {
    for (status, code, expected) in [
        (403, "AccessDenied", CallErrorKind::Denied),
        (403, "AccessDeniedException", CallErrorKind::Denied),
        (403, "", CallErrorKind::Denied),
        (403, "ExpiredToken", CallErrorKind::Credentials),
        (403, "InvalidClientTokenId", CallErrorKind::Credentials),
        (403, "SignatureDoesNotMatch", CallErrorKind::Credentials),
        (400, "UnrecognizedClientException", CallErrorKind::Credentials),
        (404, "NoSuchEntity", CallErrorKind::NotFound),
        (404, "ResourceNotFoundException", CallErrorKind::NotFound),
        // a proxy's 404 does not mean that the object is gone
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
        assert_eq!(failed(status, code, "").kind(), expected, "{status} {code}");
    }
    assert_eq!(broken(FailureClass::Network).kind(), CallErrorKind::Unavailable);
    assert_eq!(broken(FailureClass::Credentials).kind(), CallErrorKind::Credentials);
}

#[test]
fn response_without_a_message_is_reported_with_its_status() {
    let error = failed(502, "", "").into_error("iam:GetRole".to_owned());
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
