//! From an error of the SDK to a `Failure` or a `CallError`: what the services say, and nothing that must not be said.

use super::Action;
use crate::world::bounds::{is_too_large, too_large};
use crate::world::connect::Explanation;
use crate::world::retry::{Class, Failure};
use crate::world::scrub::clean;
use crate::world::{CallError, CallErrorKind};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;

/// What is said when the whole chain of credential sources is empty.
const NO_CREDENTIALS: &str = "no AWS credentials found";
/// What is said when STS refuses.
const NOT_ASSUMED: &str = "the role cannot be assumed";
/// The same, where a token was shown instead of credentials.
const NOT_BY_TOKEN: &str = "the token does not let the role be assumed";

/// Reads an error of the SDK.
pub(crate) fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let SdkError::DispatchFailure(_) = error
        && let Some(credentials) = chain(error).iter().find_map(|error| error.downcast_ref::<CredentialsError>())
    {
        // with the id of the request that was to bring them
        return unsigned(credentials);
    }
    let request_id = error.request_id().map(clean);
    let status = error.raw_response().map(|response| response.status().as_u16());
    let (class, code, message) = match error {
        SdkError::ServiceError(_) if status == Some(407) => (Class::Request, None, WHO_ASKS.to_owned()),
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            (Class::Service, meta.code().map(clean), clean(meta.message().unwrap_or_default()))
        }
        SdkError::ResponseError(_) if is_too_large(error) => (Class::Answer, None, too_large()),
        // half an answer to a call that may have been done
        SdkError::ResponseError(_) => (Class::Network, None, spelled(error)),
        SdkError::TimeoutError(_) => (Class::Network, None, "no answer in time".to_owned()),
        SdkError::DispatchFailure(_) => dispatch(error),
        _ => (Class::Request, None, spelled(error)),
    };
    Failure { class, status, code, message, request_id }
}

fn dispatch<E>(error: &SdkError<E, HttpResponse>) -> (Class, Option<String>, String)
where
    E: Error + 'static,
{
    let chain = chain(error);
    let text = spelled(error);
    if let Some(Failure { class, message, .. }) = hopeless(error) {
        return (class, None, message);
    }
    let refused = chain.iter().filter_map(|error| error.downcast_ref::<std::io::Error>()).any(|error| {
        matches!(error.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NetworkUnreachable)
    });
    if refused {
        return (Class::Unreachable, None, text);
    }
    if text.contains("identity cache") || text.contains("identity resolver") {
        return (Class::Credentials, None, text);
    }
    (Class::Network, None, text)
}

/// Why a call could not be signed. A role that could not be assumed for a passing trouble on the way stays a passing
/// trouble.
pub(crate) fn unsigned(error: &CredentialsError) -> Failure {
    let chain = chain(error);
    let assumed = chain.iter().find_map(|error| {
        let by_role = error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>();
        let by_token = || error.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>();
        let by_role = by_role.map(|error| (failure(error), NOT_ASSUMED));
        by_role.or_else(|| by_token().map(|error| (failure(error), NOT_BY_TOKEN)))
    });
    if let Some((below, why)) = assumed {
        let passing = matches!(below.kind(), CallErrorKind::Throttled | CallErrorKind::Unavailable);
        if below.class != Class::Service || passing {
            // the call that waits for it is another one
            let message = format!("sts:AssumeRole: {}", below.message);
            return Failure { message, ..below };
        }
        let message = format!("{why}: {}", below.message);
        return Failure { class: Class::Credentials, message, ..below };
    }
    if let Some(Explanation(why)) = chain.iter().find_map(|error| error.downcast_ref::<Explanation>()) {
        return Failure { class: Class::Request, status: None, code: None, message: why.clone(), request_id: None };
    }
    if let Some(hopeless) = hopeless(error) {
        return hopeless;
    }
    // the deepest one knows best: a profile's providers are nested
    let deepest = chain.iter().rev().find_map(|error| error.downcast_ref::<CredentialsError>());
    let message = credentials_message(deepest.unwrap_or(error));
    Failure { class: Class::Credentials, status: None, code: None, message, request_id: None }
}

/// Why there are no credentials. The output of a credential process is never repeated: it may hold any secret.
fn credentials_message(error: &CredentialsError) -> String {
    let text = spelled(error);
    if text.contains("external process") {
        return "the profile's credential process failed".to_owned();
    }
    // the SDK speaks to programmers there
    if text.contains("cargo feature") || text.contains("feature must be enabled") {
        return "the profile signs in in a way that irsa does not know".to_owned();
    }
    let nowhere = matches!(error, CredentialsError::CredentialsNotLoaded(_)) || text.contains("IMDS");
    match (nowhere, error.source()) {
        (false, _) => text,
        // the end of the chain: that it was not left out says nothing new
        (true, Some(source)) if !source.to_string().contains("in chain") => {
            format!("{NO_CREDENTIALS}: {}", spelled(source))
        }
        (true, _) => NO_CREDENTIALS.to_owned(),
    }
}

/// A way that does not get better by being taken again, or hardly: a certificate that is not trusted, a proxy that wants to
/// know who asks, a name that nobody knows.
pub(crate) fn hopeless(error: &(dyn Error + 'static)) -> Option<Failure> {
    let chain = chain(error);
    let made = |class, message| Some(Failure { class, status: None, code: None, message, request_id: None });
    if let Some(tls) = chain.iter().find_map(|error| rustls_error(*error)) {
        let what = clean(&tls.to_string());
        return made(
            Class::Request,
            match tls {
                rustls::Error::InvalidCertificate(_) => format!(
                    "the server's certificate is not trusted ({what}): name the PEM file of its authority in `AWS_CA_BUNDLE`, \
                     or in `ca_bundle` of the profile"
                ),
                _ => format!("no TLS connection can be made: {what}"),
            },
        );
    }
    let text = spelled(error);
    if text.contains("proxy authorization required") {
        return made(Class::Request, WHO_ASKS.to_owned());
    }
    let unknown = text.contains("dns error") || text.contains("failed to lookup address");
    if unknown { made(Class::Unresolved, text) } else { None }
}

/// What is said of HTTP status 407.
const WHO_ASKS: &str = "the proxy wants a user name and a password (HTTP status 407): give them in its variable, for example \
                        `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`";

/// What rustls says, which stands in an error of IO that does not count it as its source.
fn rustls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    let inside = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    rustls_error(inside)
}

/// An error and everything below it.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut all = vec![error];
    let mut below = error.source();
    while let Some(error) = below {
        all.push(error);
        below = error.source();
    }
    all
}

/// Layers of the SDK that say nothing where something more is said below.
const LAYERS: [&str; 8] = [
    "dispatch failure",
    "io error",
    "other",
    "service error",
    "response error",
    "unhandled error",
    "an error occurred while loading credentials",
    "failed to construct request",
];

/// The texts of an error and everything below it, each once.
fn spelled(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in chain(error) {
        let text = match error.downcast_ref::<ErrorMetadata>() {
            // what it says itself is for programmers
            Some(meta) => clean(&[meta.code(), meta.message()].into_iter().flatten().collect::<Vec<_>>().join(": ")),
            None => clean(without_request(&error.to_string())),
        };
        if !text.is_empty() && !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
    }
    let is_layer = |text: &String| LAYERS.contains(&text.as_str()) || text.starts_with("unhandled error (");
    if !texts.iter().all(is_layer) {
        texts.retain(|text| !is_layer(text));
    }
    clean(&texts.join(": "))
}

/// The text of an endpoint that is no URL, without the whole request that the SDK prints in it.
fn without_request(text: &str) -> &str {
    text.split_once(" to request `Request {").map_or(text, |(head, _)| head)
}

/// An answer that cannot be what the service documents.
pub(crate) fn odd(action: Action, what: impl AsRef<str>) -> CallError {
    CallError {
        operation: action.to_string(),
        kind: CallErrorKind::Other,
        code: None,
        message: clean(what.as_ref()),
        request_id: None,
    }
}

/// A call that cannot be made for what the configuration says.
pub(crate) fn invalid(action: Action, what: impl Into<String>) -> CallError {
    CallError { kind: CallErrorKind::Invalid, message: what.into(), ..odd(action, "") }
}

impl CallError {
    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self.kind {
            CallErrorKind::Credentials if self.message.starts_with(NO_CREDENTIALS) => {
                Some("set `AWS_PROFILE`, log in with `aws sso login`, or give the account a `profile`".to_owned())
            }
            CallErrorKind::Credentials if self.message.starts_with(NOT_ASSUMED) => Some(
                "the role's trust policy and the policies of the credentials below it must both allow `sts:AssumeRole`"
                    .to_owned(),
            ),
            CallErrorKind::Credentials if self.message.starts_with(NOT_BY_TOKEN) => Some(
                "the role's trust policy must allow `sts:AssumeRoleWithWebIdentity` to the token's issuer, audience and \
                 subject"
                    .to_owned(),
            ),
            CallErrorKind::Credentials => Some("log in again, then repeat the command".to_owned()),
            CallErrorKind::Denied if self.operation.contains(':') => {
                Some(format!("allow `{}` to these credentials", self.operation))
            }
            CallErrorKind::Limit => Some("an AWS quota is reached: see Service Quotas for the account".to_owned()),
            CallErrorKind::Throttled => Some("a lower `--parallelism` or a longer `--timeout` may help".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::client::result::ConnectorError;

    type Sdk = SdkError<ErrorMetadata, HttpResponse>;

    fn dispatch_of(source: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
        let error: Sdk = SdkError::dispatch_failure(ConnectorError::other(source.into(), None));
        failure(&error)
    }

    #[test]
    fn missing_credentials_are_told_plainly_and_with_a_hint() {
        let failure = dispatch_of(CredentialsError::not_loaded("no providers in chain provided credentials"));
        assert_eq!(failure.class, Class::Credentials);
        let error = failure.into_error("sts:GetCallerIdentity".to_owned());
        assert_eq!(error.to_string(), "sts:GetCallerIdentity: no AWS credentials found");
        assert!(error.hint().unwrap().contains("AWS_PROFILE"));
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_told_without_the_request() {
        let text = "failed to apply endpoint `foo` to request `Request { body: \"x\", headers: {} }`";
        assert_eq!(without_request(text), "failed to apply endpoint `foo`");
        assert_eq!(without_request("anything else"), "anything else");
    }

    #[test]
    fn a_profile_without_credentials_and_forbidden_metadata_are_told_too() {
        let failure = dispatch_of(CredentialsError::not_loaded("profile `x` was not defined"));
        assert_eq!(failure.message, "no AWS credentials found: profile `x` was not defined");
        let failure = dispatch_of(CredentialsError::provider_error("IMDS is disabled"));
        assert_eq!(failure.message, "no AWS credentials found: IMDS is disabled");
        let base = CredentialsError::not_loaded("no providers in chain provided credentials");
        let below: Sdk = SdkError::dispatch_failure(ConnectorError::other(base.into(), None));
        let failure = dispatch_of(CredentialsError::provider_error(below));
        assert_eq!(failure.message, "no AWS credentials found");
    }

    #[test]
    fn a_credential_process_never_speaks_through_us() {
        let failure = dispatch_of(CredentialsError::provider_error(
            "Error retrieving credentials: external process exited with code 1. Stderr: hunter2",
        ));
        assert_eq!(failure.class, Class::Credentials);
        assert!(!failure.message.contains("hunter2"), "{}", failure.message);
    }

    #[test]
    fn why_a_role_was_not_assumed_is_told() {
        let refusal = |status: u16, code: &str| {
            let raw = http::Response::builder().status(status).body(aws_smithy_types::body::SdkBody::empty()).unwrap();
            let meta = ErrorMetadata::builder().code(code).message("not authorized to perform: sts:AssumeRole").build();
            let raw = HttpResponse::try_from(raw).unwrap();
            let below: SdkError<AssumeRoleError, _> = SdkError::service_error(AssumeRoleError::generic(meta), raw);
            dispatch_of(CredentialsError::provider_error(below)).into_error("iam:GetRole".to_owned())
        };
        let error = refusal(403, "AccessDenied");
        let wanted = "iam:GetRole: AccessDenied: the role cannot be assumed: not authorized to perform: sts:AssumeRole";
        assert_eq!((error.kind, error.to_string().as_str()), (CallErrorKind::Credentials, wanted));
        assert!(error.hint().unwrap().contains("trust policy"));
        assert_eq!(refusal(503, "ServiceUnavailable").kind, CallErrorKind::Unavailable);
    }

    #[test]
    fn what_a_service_says_is_told_in_its_words_and_not_in_those_of_a_program() {
        let meta = || ErrorMetadata::builder().code("ValidationError").message("roleArn is too short").build();
        let raw = || http::Response::builder().status(400).body(aws_smithy_types::body::SdkBody::empty()).unwrap();
        let raw = HttpResponse::try_from(raw()).unwrap();
        let below = SdkError::service_error(AssumeRoleWithWebIdentityError::generic(meta()), raw);
        let error = dispatch_of(CredentialsError::provider_error(below)).into_error("iam:GetRole".to_owned());
        let wanted = "iam:GetRole: ValidationError: the token does not let the role be assumed: roleArn is too short";
        assert_eq!(error.to_string(), wanted);
        assert!(error.hint().unwrap().contains("`sts:AssumeRoleWithWebIdentity`"));
        let other = dispatch_of(CredentialsError::provider_error(AssumeRoleError::generic(meta())));
        assert_eq!(other.message, "ValidationError: roleArn is too short");
    }

    #[test]
    fn refused_is_not_reset() {
        let io = |kind| std::io::Error::new(kind, "tcp");
        let refused: Sdk =
            SdkError::dispatch_failure(ConnectorError::io(io(std::io::ErrorKind::ConnectionRefused).into()));
        assert_eq!(failure(&refused).class, Class::Unreachable);
        let reset: Sdk = SdkError::dispatch_failure(ConnectorError::io(io(std::io::ErrorKind::ConnectionReset).into()));
        assert_eq!(failure(&reset).class, Class::Network);
        let hang: Sdk = SdkError::timeout_error("operation timed out");
        assert_eq!(failure(&hang).class, Class::Network);
    }

    #[test]
    fn the_services_words_come_without_secrets() {
        let raw = http::Response::builder()
            .status(403)
            .header("x-amzn-requestid", "r-1")
            .body(aws_smithy_types::body::SdkBody::empty())
            .unwrap();
        let meta = ErrorMetadata::builder()
            .code("SignatureDoesNotMatch")
            .message("canonical:\nx-amz-security-token:IQoJb3JpZ2luEXAMPLE\nend")
            .build();
        let error: Sdk = SdkError::service_error(meta, HttpResponse::try_from(raw).unwrap());
        let failure = failure(&error);
        assert_eq!((failure.status, failure.request_id.as_deref()), (Some(403), Some("r-1")));
        assert_eq!(failure.message, "canonical: x-amz-security-token:*** end");
        assert_eq!(failure.kind(), CallErrorKind::Credentials);
    }

    #[test]
    fn a_denied_call_names_the_permission() {
        let error = CallError { kind: CallErrorKind::Denied, ..odd(Action::iam("ListRoles"), "no") };
        assert_eq!(error.hint().unwrap(), "allow `iam:ListRoles` to these credentials");
    }
}
