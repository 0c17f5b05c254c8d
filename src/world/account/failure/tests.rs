use super::*;
use aws_smithy_runtime_api::client::result::ConnectorError;

type Sdk = SdkError<ErrorMetadata, HttpResponse>;

fn dispatch_of(source: impl Into<Box<dyn Error + Send + Sync>>) -> AwsFailure {
    let error: Sdk = SdkError::dispatch_failure(ConnectorError::other(source.into(), None));
    failure(&error)
}

#[test]
fn missing_credentials_are_reported_with_a_hint() {
    let failure = dispatch_of(CredentialsError::not_loaded("no providers in chain provided credentials"));
    assert_eq!(failure.class, FailureClass::Credentials);
    let error = failure.into_error("sts:GetCallerIdentity".to_owned());
    assert_eq!(error.to_string(), "sts:GetCallerIdentity: no AWS credentials found");
    assert!(error.hint().unwrap().contains("AWS_PROFILE"));
}

#[test]
fn invalid_endpoint_is_reported_without_the_request() {
    let text = "failed to apply endpoint `foo` to request `Request { body: \"x\", headers: {} }`";
    assert_eq!(without_request(text), "failed to apply endpoint `foo`");
    assert_eq!(without_request("anything else"), "anything else");
}

#[test]
fn undefined_profile_and_disabled_metadata_are_reported_as_missing_credentials() {
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
fn output_of_a_credential_process_is_not_repeated() {
    let failure = dispatch_of(CredentialsError::provider_error(
        "Error retrieving credentials: external process exited with code 1. Stderr: hunter2",
    ));
    assert_eq!(failure.class, FailureClass::Credentials);
    assert!(!failure.message.contains("hunter2"), "{}", failure.message);
}

#[test]
fn refused_assume_role_is_reported_with_its_reason() {
    let refusal = |status: u16, code: &str| {
        let raw = http::Response::builder().status(status).body(aws_smithy_types::body::SdkBody::empty()).unwrap();
        let meta = ErrorMetadata::builder().code(code).message("not authorized to perform: sts:AssumeRole").build();
        let raw = HttpResponse::try_from(raw).unwrap();
        let below: SdkError<AssumeRoleError, _> = SdkError::service_error(AssumeRoleError::generic(meta), raw);
        dispatch_of(CredentialsError::provider_error(below)).into_error("iam:GetRole".to_owned())
    };
    let error = refusal(403, "AccessDenied");
    let expected = "iam:GetRole: AccessDenied: the role cannot be assumed: not authorized to perform: sts:AssumeRole";
    assert_eq!((error.kind, error.to_string().as_str()), (CallErrorKind::Credentials, expected));
    assert!(error.hint().unwrap().contains("trust policy"));
    assert_eq!(refusal(503, "ServiceUnavailable").kind, CallErrorKind::Unavailable);
}

#[test]
fn web_identity_refusal_is_reported_in_the_words_of_sts() {
    let meta = || ErrorMetadata::builder().code("ValidationError").message("roleArn is too short").build();
    let raw = || http::Response::builder().status(400).body(aws_smithy_types::body::SdkBody::empty()).unwrap();
    let raw = HttpResponse::try_from(raw()).unwrap();
    let below = SdkError::service_error(AssumeRoleWithWebIdentityError::generic(meta()), raw);
    let error = dispatch_of(CredentialsError::provider_error(below)).into_error("iam:GetRole".to_owned());
    let expected = "iam:GetRole: ValidationError: the token cannot assume the role: roleArn is too short";
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains("`sts:AssumeRoleWithWebIdentity`"));
    let other = dispatch_of(CredentialsError::provider_error(AssumeRoleError::generic(meta())));
    assert_eq!(other.message, "ValidationError: roleArn is too short");
}

#[test]
fn refused_connection_is_unreachable_and_reset_connection_is_a_network_failure() {
    let io = |kind| std::io::Error::new(kind, "tcp");
    let refused: Sdk = SdkError::dispatch_failure(ConnectorError::io(io(std::io::ErrorKind::ConnectionRefused).into()));
    assert_eq!(failure(&refused).class, FailureClass::Unreachable);
    let reset: Sdk = SdkError::dispatch_failure(ConnectorError::io(io(std::io::ErrorKind::ConnectionReset).into()));
    assert_eq!(failure(&reset).class, FailureClass::Network);
    let hang: Sdk = SdkError::timeout_error("operation timed out");
    assert_eq!(failure(&hang).class, FailureClass::Network);
}

#[test]
fn secrets_in_a_message_are_masked() {
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
fn hint_of_a_denied_call_names_the_permission() {
    let error = CallError { kind: CallErrorKind::Denied, ..other(Action::iam("ListRoles"), "no") };
    assert_eq!(error.hint().unwrap(), "give these credentials the permission `iam:ListRoles`");
}
