//! Decides whether to retry a failed AWS call, and maps AWS error codes to [`CallErrorKind`]. `account::call_sender`
//! does the waiting.
//!
//! Some codes are retried only if an earlier write of this run can be the cause. `NoSuchEntity` right after a create of
//! this run means that IAM has not propagated the object yet. Otherwise the object does not exist, and a typo in a
//! policy must fail within a second.

use super::{CallError, CallErrorKind};
use crate::model::evidence::StsLag;
use std::time::Duration;

/// A failed AWS call, without SDK types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsFailure {
    pub(crate) class: FailureClass,
    /// The HTTP status. None if no response arrived.
    pub(crate) status: Option<u16>,
    /// The service's error code.
    pub(crate) code: Option<String>,
    /// The service's message, without secrets and control characters.
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
}

/// Where a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// The service returned an error.
    Service,
    /// The connection was refused, or no network leads to the host.
    Unreachable,
    /// DNS does not know the host. A second lookup rarely does better.
    Unresolved,
    /// The connection broke or timed out, maybe after the service carried out the call.
    Network,
    /// No credentials to sign the request with.
    Credentials,
    /// A retry cannot help: the request could not be built, or a setting, a certificate or the proxy is wrong.
    Permanent,
    /// The response is not acceptable, for example too large.
    Response,
}

/// What this run knows about a call when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RetryFacts {
    /// This run created the object that the call reads or writes.
    pub(crate) created: bool,
    /// This run created the policy that the call attaches or sets as the boundary.
    pub(crate) policy_created: bool,
    /// This run created a principal that the trust policy names.
    pub(crate) principal_created: bool,
    /// This run detached something from the object.
    pub(crate) detached: bool,
    /// This run wrote the trust policy or the OIDC provider by which STS decides, so STS may still see the old one.
    pub(crate) sts_lag: StsLag,
    /// The service has answered in this run.
    pub(crate) reached: bool,
    /// This is not the first attempt.
    pub(crate) retried: bool,
    /// An attempt with an unclear outcome must not be repeated, because the caller checks whether it took effect.
    pub(crate) must_not_repeat: bool,
}

/// Why a retry may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryReason {
    /// The service throttled the call.
    Throttled,
    /// The service or the network failed.
    Unavailable,
    /// The service has not propagated an earlier write of this run.
    Propagation,
    /// Somebody else is changing the object.
    Busy,
}

impl RetryReason {
    /// The reason as the user sees it.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unavailable => "the service failed or did not answer",
            Self::Propagation => "AWS does not show yet what this run has just changed",
            Self::Busy => "the object is being changed by someone else",
        }
    }
}

/// Error codes as they appear on the wire, separated by spaces. The SDK has no typed error for some of them.
const CODES: [(CallErrorKind, &str); 9] = [
    (
        CallErrorKind::Throttled,
        "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException \
         TooManyRequestsException RequestLimitExceeded BandwidthLimitExceeded ProvisionedThroughputExceededException \
         SlowDown PriorRequestNotComplete",
    ),
    (
        CallErrorKind::Unavailable,
        "ServiceFailure ServiceUnavailable ServiceUnavailableException InternalFailure InternalError InternalServerError \
         ServerException RequestTimeout RequestTimeoutException IDPCommunicationError",
    ),
    (
        CallErrorKind::Credentials,
        "ExpiredToken ExpiredTokenException InvalidClientTokenId InvalidAccessKeyId UnrecognizedClientException \
         SignatureDoesNotMatch InvalidSignatureException IncompleteSignature MissingAuthenticationToken \
         MissingAuthenticationTokenException RequestExpired",
    ),
    (
        CallErrorKind::Conflict,
        "ConcurrentModification ConcurrentModificationException EntityTemporarilyUnmodifiable DeleteConflict",
    ),
    (CallErrorKind::Denied, "AccessDenied AccessDeniedException UnauthorizedOperation OptInRequired"),
    (CallErrorKind::NotFound, "NoSuchEntity NoSuchEntityException ResourceNotFoundException"),
    (CallErrorKind::AlreadyExists, "EntityAlreadyExists EntityAlreadyExistsException ResourceInUseException"),
    (
        CallErrorKind::Limit,
        "LimitExceeded LimitExceededException ResourceLimitExceededException ServiceQuotaExceededException",
    ),
    (
        CallErrorKind::Invalid,
        "ValidationError ValidationException InvalidInput InvalidParameterException InvalidParameterValue \
         InvalidRequestException MalformedPolicyDocument PolicyNotAttachable UnmodifiableEntity InvalidAction",
    ),
];

impl AwsFailure {
    /// A failure without a response.
    pub(crate) fn local(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, status: None, code: None, message: message.into(), request_id: None }
    }

    fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// The kind of error if the call is not retried.
    pub(crate) fn kind(&self) -> CallErrorKind {
        match self.class {
            FailureClass::Unreachable | FailureClass::Unresolved | FailureClass::Network => CallErrorKind::Unavailable,
            FailureClass::Credentials => CallErrorKind::Credentials,
            FailureClass::Permanent => CallErrorKind::Invalid,
            FailureClass::Response => CallErrorKind::Other,
            FailureClass::Service => {
                let known = CODES.iter().find(|(_, codes)| codes.split(' ').any(|code| code == self.code()));
                known.map_or_else(|| self.kind_of_status(), |(kind, _)| *kind)
            }
        }
    }

    /// The kind by HTTP status, because proxies and load balancers answer without an error code.
    fn kind_of_status(&self) -> CallErrorKind {
        match self.status {
            Some(429) => CallErrorKind::Throttled,
            Some(403) => CallErrorKind::Denied,
            Some(500..=599) => CallErrorKind::Unavailable,
            _ => CallErrorKind::Other,
        }
    }

    /// The error that `operation` returns.
    pub(crate) fn into_error(self, operation: String) -> CallError {
        let kind = self.kind();
        let Self { status, code, mut message, request_id, .. } = self;
        if message.is_empty() {
            message = match status {
                Some(status) => format!("the service answered with HTTP status {status}"),
                None => "no answer".to_owned(),
            };
        }
        CallError { operation, kind, code, message, request_id }
    }
}

/// Why to retry the call. None if the failure is final.
pub(crate) fn retry_reason(failure: &AwsFailure, facts: RetryFacts) -> Option<RetryReason> {
    match failure.class {
        FailureClass::Credentials | FailureClass::Permanent | FailureClass::Response => return None,
        // a wrong endpoint or a missing network must not cost the whole retry budget
        FailureClass::Unreachable => return facts.reached.then_some(RetryReason::Unavailable),
        FailureClass::Unresolved => return (!facts.retried).then_some(RetryReason::Unavailable),
        FailureClass::Network => return (!facts.must_not_repeat).then_some(RetryReason::Unavailable),
        FailureClass::Service => {}
    }
    let propagates = match (failure.code(), failure.kind()) {
        (_, CallErrorKind::Throttled) => return Some(RetryReason::Throttled),
        (_, CallErrorKind::Unavailable) => return (!facts.must_not_repeat).then_some(RetryReason::Unavailable),
        ("MalformedPolicyDocument", _) => {
            facts.principal_created && failure.message.to_ascii_lowercase().contains("invalid principal in policy")
        }
        ("DeleteConflict", _) => facts.detached,
        // IAM replicates changes with a delay, so STS may still decide by the state before a change
        // (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency);
        // a call with the credentials of a new session may fail for the same reason
        ("AccessDenied", _) => facts.sts_lag == StsLag::All,
        ("InvalidIdentityToken" | "InvalidClientTokenId", _) => facts.sts_lag != StsLag::None,
        (_, CallErrorKind::Conflict) => return Some(RetryReason::Busy),
        // "… does not exist or is not attachable" is about the policy, any other message is about the object itself. So
        // a typo in a policy ARN fails at once, even on a new role
        (_, CallErrorKind::NotFound) if failure.message.contains("attachable") => facts.policy_created,
        (_, CallErrorKind::NotFound) => facts.created,
        _ => false,
    };
    propagates.then_some(RetryReason::Propagation)
}

/// A random time to wait before retry number `attempt`, where 0 is the first: between zero and a bound that doubles
/// from half a second to five (full jitter,
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>). `random` is in `0.0..1.0`.
pub(crate) fn backoff(attempt: u32, random: f64) -> Duration {
    let bound = 0.5 * f64::from(2_u32.saturating_pow(attempt.min(10)));
    Duration::from_secs_f64(bound.min(5.0) * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
