//! Turns SDK errors into [`AwsFailure`] and [`CallError`]: keeps what the service says and removes secrets.

use super::Action;
use crate::world::bounds::{is_too_large, too_large};
use crate::world::redact::clean;
use crate::world::retry::{AwsFailure, FailureClass};
use crate::world::sdk_config::CredentialsProblem;
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
use std::io;

/// No source of the credential chain has credentials.
const NO_CREDENTIALS: &str = "no AWS credentials found";
/// STS refused `AssumeRole`.
const NOT_ASSUMED: &str = "the role cannot be assumed";
/// STS refused `AssumeRoleWithWebIdentity`.
const NOT_BY_TOKEN: &str = "the token cannot assume the role";
/// HTTP status 407.
const PROXY_AUTHORIZATION: &str = "the proxy wants a user name and a password (HTTP status 407): give them in its \
    variable, for example `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`";

/// Reads an error of the SDK.
pub(crate) fn failure<E>(error: &SdkError<E, HttpResponse>) -> AwsFailure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let SdkError::DispatchFailure(_) = error
        && let Some(credentials) = chain(error).iter().find_map(|error| error.downcast_ref::<CredentialsError>())
    {
        // the failure of the sign-in says more than the failed call, and has its own request id
        return unsigned(credentials);
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    let (class, code, message) = match error {
        SdkError::ServiceError(_) if status == Some(407) => {
            (FailureClass::Permanent, None, PROXY_AUTHORIZATION.to_owned())
        }
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            (FailureClass::Service, meta.code().map(clean), clean(meta.message().unwrap_or_default()))
        }
        SdkError::ResponseError(_) if is_too_large(error) => (FailureClass::Response, None, too_large()),
        // the response broke off, but the service may have carried out the call
        SdkError::ResponseError(_) => (FailureClass::Network, None, texts(error)),
        SdkError::TimeoutError(_) => (FailureClass::Network, None, "no answer in time".to_owned()),
        SdkError::DispatchFailure(_) => return dispatch(error),
        _ => (FailureClass::Permanent, None, texts(error)),
    };
    AwsFailure { class, status, code, message, request_id: error.request_id().map(clean) }
}

fn dispatch(error: &(dyn Error + 'static)) -> AwsFailure {
    if let Some(permanent) = permanent(error) {
        return permanent;
    }
    let text = texts(error);
    let refused = chain(error)
        .iter()
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NetworkUnreachable));
    let class = if refused {
        FailureClass::Unreachable
    } else if text.contains("identity cache") || text.contains("identity resolver") {
        FailureClass::Credentials
    } else {
        FailureClass::Network
    };
    AwsFailure::local(class, text)
}

/// Why a call could not be signed. If STS could not assume a role because of a transient error, the failure is
/// transient too.
pub(crate) fn unsigned(error: &CredentialsError) -> AwsFailure {
    let chain = chain(error);
    let assumed = chain.iter().find_map(|error| {
        let by_role = error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>();
        let by_token = || error.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>();
        let by_role = by_role.map(|error| (failure(error), "sts:AssumeRole", NOT_ASSUMED));
        by_role.or_else(|| by_token().map(|error| (failure(error), "sts:AssumeRoleWithWebIdentity", NOT_BY_TOKEN)))
    });
    if let Some((below, operation, why)) = assumed {
        let transient = matches!(below.kind(), CallErrorKind::Throttled | CallErrorKind::Unavailable);
        if below.class != FailureClass::Service || transient {
            // `CallError::operation` is the call that could not be signed, so the message must name the call that failed
            let message = format!("{operation}: {}", below.message);
            return AwsFailure { message, ..below };
        }
        let message = format!("{why}: {}", below.message);
        return AwsFailure { class: FailureClass::Credentials, message, ..below };
    }
    if let Some(CredentialsProblem(why)) = chain.iter().find_map(|error| error.downcast_ref::<CredentialsProblem>()) {
        return AwsFailure::local(FailureClass::Permanent, why);
    }
    if let Some(permanent) = permanent(error) {
        return permanent;
    }
    // the providers of a profile are nested, so the innermost error says most
    let innermost = chain.iter().rev().find_map(|error| error.downcast_ref::<CredentialsError>());
    AwsFailure::local(FailureClass::Credentials, credentials_message(innermost.unwrap_or(error)))
}

/// Why there are no credentials. Never repeats the output of a credential process, which may contain secrets.
fn credentials_message(error: &CredentialsError) -> String {
    let text = texts(error);
    if text.contains("external process") {
        return "the profile's credential process failed".to_owned();
    }
    // the SDK's text is for programmers
    if text.contains("cargo feature") || text.contains("feature must be enabled") {
        return "irsa does not support the sign-in method of this profile".to_owned();
    }
    let none = matches!(error, CredentialsError::CredentialsNotLoaded(_)) || text.contains("IMDS");
    match (none, error.source()) {
        (false, _) => text,
        // "no providers in chain provided credentials" adds nothing
        (true, Some(source)) if !source.to_string().contains("in chain") => {
            format!("{NO_CREDENTIALS}: {}", texts(source))
        }
        (true, _) => NO_CREDENTIALS.to_owned(),
    }
}

/// A connection failure that a retry hardly ever solves: an untrusted certificate, a proxy that wants a password, a
/// host that DNS does not know. None for any other failure.
pub(crate) fn permanent(error: &(dyn Error + 'static)) -> Option<AwsFailure> {
    if let Some(tls) = chain(error).iter().find_map(|error| rustls_error(*error)) {
        let what = clean(&tls.to_string());
        let message = match tls {
            rustls::Error::InvalidCertificate(_) => format!(
                "the server's certificate is not trusted ({what}): name the PEM file of its authority in `AWS_CA_BUNDLE`, \
                 or in `ca_bundle` of the profile"
            ),
            _ => format!("no TLS connection can be made: {what}"),
        };
        return Some(AwsFailure::local(FailureClass::Permanent, message));
    }
    let text = texts(error);
    if text.contains("proxy authorization required") {
        return Some(AwsFailure::local(FailureClass::Permanent, PROXY_AUTHORIZATION));
    }
    let unresolved = text.contains("dns error") || text.contains("failed to lookup address");
    unresolved.then(|| AwsFailure::local(FailureClass::Unresolved, text))
}

/// Finds the rustls error in an IO error, whose `source` does not return it.
fn rustls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    let inside = error.downcast_ref::<io::Error>()?.get_ref()?;
    rustls_error(inside)
}

/// An error and its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| Error::source(*error)).collect()
}

/// Texts of SDK layers, left out if another error of the chain says more.
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

/// The texts of an error and its sources, each once.
fn texts(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in chain(error) {
        let text = match error.downcast_ref::<ErrorMetadata>() {
            // its own `Display` is for programmers
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

/// The SDK's text about an invalid endpoint URL, without the whole request that it prints there.
fn without_request(text: &str) -> &str {
    text.split_once(" to request `Request {").map_or(text, |(head, _)| head)
}

/// An error that no error code of the service describes.
pub(crate) fn other(action: Action, what: impl AsRef<str>) -> CallError {
    CallError {
        operation: action.to_string(),
        kind: CallErrorKind::Other,
        code: None,
        message: clean(what.as_ref()),
        request_id: None,
    }
}

/// A call that the configuration makes impossible.
pub(crate) fn invalid(action: Action, what: impl Into<String>) -> CallError {
    CallError { kind: CallErrorKind::Invalid, message: what.into(), ..other(action, "") }
}

impl CallError {
    /// The error, and what the user can do about it.
    pub(crate) fn with_hint(&self) -> String {
        let hint = self.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{self}{hint}")
    }

    /// What the user can do about the error. None if irsa does not know.
    pub fn hint(&self) -> Option<String> {
        match self.kind {
            CallErrorKind::Credentials if self.message.starts_with(NO_CREDENTIALS) => {
                Some("set `AWS_PROFILE`, log in with `aws sso login`, or give the account a `profile`".to_owned())
            }
            CallErrorKind::Credentials if self.message.starts_with(NOT_ASSUMED) => Some(
                "the role's trust policy and the policies of the identity that assumes it must both allow `sts:AssumeRole`"
                    .to_owned(),
            ),
            CallErrorKind::Credentials if self.message.starts_with(NOT_BY_TOKEN) => Some(
                "the role's trust policy must allow `sts:AssumeRoleWithWebIdentity` for the token's issuer, audience and \
                 subject"
                    .to_owned(),
            ),
            CallErrorKind::Credentials => Some("log in again, then repeat the command".to_owned()),
            CallErrorKind::Denied if self.operation.contains(':') => {
                Some(format!("give these credentials the permission `{}`", self.operation))
            }
            CallErrorKind::Limit => Some("an AWS quota is reached: see Service Quotas for the account".to_owned()),
            CallErrorKind::Throttled => Some("a lower `--parallelism` or a longer `--timeout` may help".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
