//! What to do about a failed AWS call: pure decisions, keyed by what happened and by what this run did before.
//!
//! Never blanket: a typo in a policy must fail in a second, while the same code after a create of this run is only
//! IAM telling its replicas. Codes are matched as they stand on the wire, since the SDK models several of them for no
//! operation. The waiting itself is `aws::caller`'s.

use super::{CallError, CallErrorKind};
use std::time::Duration;

/// One failed call, freed of SDK types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    /// The HTTP status, where there was an answer.
    pub(crate) status: Option<u16>,
    /// The service's code.
    pub(crate) code: Option<String>,
    /// The service's words, scrubbed.
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
}

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The service said no.
    Service,
    /// No connection could be made at all: connection refused.
    Unreachable,
    /// Nobody knows the host's name: at the second try neither.
    Unresolved,
    /// The way there or back broke: reset, timeout, half an answer. It may have been done.
    Network,
    /// There were no credentials to sign with.
    Credentials,
    /// It could not be put together.
    Request,
    /// There is an answer, which irsa does not take.
    Answer,
}

/// What this run knows that the service may not know yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each the key of one rule")]
pub(crate) struct Facts {
    /// This run made the object that the call is about.
    pub(crate) made: bool,
    /// This run made the policy that the call attaches or sets as boundary.
    pub(crate) policy: bool,
    /// This run made a principal that the policy names.
    pub(crate) principal: bool,
    /// This run took something off the object.
    pub(crate) detached: bool,
    /// The service answered before in this run.
    pub(crate) reached: bool,
    /// It was tried before.
    pub(crate) again: bool,
    /// A second try would do it twice: an unclear outcome goes back to the caller.
    pub(crate) once: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again, for this reason.
    Retry(Because),
    /// That is the answer.
    Final,
}

/// Why a second try may go better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// It was too fast.
    Throttled,
    /// The service or the way to it failed.
    Unavailable,
    /// The service has yet to learn of what this run did.
    Propagation,
    /// Someone else changes the object right now.
    Busy,
}

impl Because {
    /// As it is told to the user.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unavailable => "no answer",
            Self::Propagation => "waiting for AWS to see what was just changed",
            Self::Busy => "the object is being changed by someone else",
        }
    }
}

/// Codes that say "too fast".
const THROTTLES: [&str; 11] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "ProvisionedThroughputExceededException",
    "SlowDown",
    "PriorRequestNotComplete",
];
/// Codes of a service that is not well.
const UNWELL: [&str; 10] = [
    "ServiceFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalFailure",
    "InternalError",
    "InternalServerError",
    "ServerException",
    "RequestTimeout",
    "RequestTimeoutException",
    "IDPCommunicationError",
];
/// Codes of credentials that are expired, unknown or wrong.
const CREDENTIALS: [&str; 11] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
];
/// Codes of an object that is being changed.
const BUSY: [&str; 3] = ["ConcurrentModification", "ConcurrentModificationException", "EntityTemporarilyUnmodifiable"];

impl Failure {
    fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// What to make of it when it is final.
    pub(crate) fn kind(&self) -> CallErrorKind {
        match self.class {
            Class::Unreachable | Class::Unresolved | Class::Network => return CallErrorKind::Unavailable,
            Class::Credentials => return CallErrorKind::Credentials,
            Class::Request => return CallErrorKind::Invalid,
            Class::Answer => return CallErrorKind::Other,
            Class::Service => {}
        }
        match self.code() {
            code if THROTTLES.contains(&code) => CallErrorKind::Throttled,
            code if CREDENTIALS.contains(&code) => CallErrorKind::Credentials,
            code if UNWELL.contains(&code) => CallErrorKind::Unavailable,
            code if BUSY.contains(&code) => CallErrorKind::Conflict,
            "DeleteConflict" => CallErrorKind::Conflict,
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "OptInRequired" => {
                CallErrorKind::Denied
            }
            "NoSuchEntity" | "NoSuchEntityException" | "ResourceNotFoundException" => CallErrorKind::NotFound,
            "EntityAlreadyExists" | "EntityAlreadyExistsException" | "ResourceInUseException" => {
                CallErrorKind::AlreadyExists
            }
            "LimitExceeded"
            | "LimitExceededException"
            | "ResourceLimitExceededException"
            | "ServiceQuotaExceededException" => CallErrorKind::Limit,
            "ValidationError"
            | "ValidationException"
            | "InvalidInput"
            | "InvalidParameterException"
            | "InvalidParameterValue"
            | "InvalidRequestException"
            | "MalformedPolicyDocument"
            | "PolicyNotAttachable"
            | "UnmodifiableEntity"
            | "InvalidAction" => CallErrorKind::Invalid,
            _ => self.kind_by_status(),
        }
    }

    /// Proxies and load balancers answer without a code.
    fn kind_by_status(&self) -> CallErrorKind {
        match self.status {
            Some(429) => CallErrorKind::Throttled,
            Some(403) => CallErrorKind::Denied,
            Some(500..=599) => CallErrorKind::Unavailable,
            _ => CallErrorKind::Other,
        }
    }

    /// The error of `operation`.
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

/// What to do about a failure.
pub(crate) fn decide(failure: &Failure, facts: Facts) -> Decision {
    let retry_if =
        |condition: bool, because: Because| if condition { Decision::Retry(because) } else { Decision::Final };
    match failure.class {
        Class::Credentials | Class::Request | Class::Answer => return Decision::Final,
        // a wrong endpoint or no network should not take the whole budget to be told
        Class::Unreachable => return retry_if(facts.reached, Because::Unavailable),
        Class::Unresolved => return retry_if(!facts.again, Because::Unavailable),
        Class::Network => return retry_if(!facts.once, Because::Unavailable),
        Class::Service => {}
    }
    match (failure.code(), failure.kind()) {
        (_, CallErrorKind::Throttled) => Decision::Retry(Because::Throttled),
        (_, CallErrorKind::Unavailable) => retry_if(!facts.once, Because::Unavailable),
        ("MalformedPolicyDocument", _) => retry_if(
            facts.principal && failure.message.to_ascii_lowercase().contains("invalid principal in policy"),
            Because::Propagation,
        ),
        ("DeleteConflict", _) => retry_if(facts.detached, Because::Propagation),
        // "… does not exist or is not attachable" speaks of the policy, everything else of the object itself: a typo in
        // an ARN fails at once even on a role that is new
        (_, CallErrorKind::NotFound) if failure.message.contains("attachable") => {
            retry_if(facts.policy, Because::Propagation)
        }
        (_, CallErrorKind::NotFound) => retry_if(facts.made, Because::Propagation),
        (code, _) if BUSY.contains(&code) => Decision::Retry(Because::Busy),
        _ => Decision::Final,
    }
}

/// Full jitter (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>): anything between nothing
/// and twice the last bound, from half a second up to five. `random` is in `0.0..1.0`.
pub(crate) fn backoff(attempt: u32, random: f64) -> Duration {
    let bound = 0.5 * f64::from(2_u32.saturating_pow(attempt.min(10)));
    Duration::from_secs_f64(bound.min(5.0) * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
