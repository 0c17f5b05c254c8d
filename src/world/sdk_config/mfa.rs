//! Assumes a role with an MFA code: `mfa_serial` of a profile
//! (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-role.html#cli-configure-role-mfa>). The SDK leaves this to
//! the program.

use super::diagnose::CredentialsProblem;
use super::profile::Profile;
use crate::world::{AskUser, clean};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::credential_fn::provide_credentials_fn;
use aws_credential_types::provider::{self, SharedCredentialsProvider, error::CredentialsError};
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use std::time::SystemTime;

/// The role and the MFA device of a profile. None unless it has both.
pub(super) fn role_and_device(profile: &Profile) -> Option<(&str, &str)> {
    profile.get("role_arn").zip(profile.get("mfa_serial"))
}

/// The access key in the profile itself.
pub(super) fn own_keys(profile: &Profile) -> Option<Credentials> {
    let (id, secret) = profile.get("aws_access_key_id").zip(profile.get("aws_secret_access_key"))?;
    Some(Credentials::new(id, secret, profile.get("aws_session_token").map(str::to_owned), None, "profile"))
}

/// The credentials of the role. `sdk` has the settings of the profile, and `source` signs the call.
pub(super) fn provider(
    profile: &Profile,
    (role, device): (&str, &str),
    sdk: &SdkConfig,
    source: SharedCredentialsProvider,
    ask: Option<AskUser>,
) -> SharedCredentialsProvider {
    let sdk = sdk.clone().into_builder().credentials_provider(source).build();
    let request = aws_sdk_sts::Client::new(&sdk)
        .assume_role()
        .role_arn(role)
        .serial_number(device)
        .role_session_name(profile.get("role_session_name").unwrap_or("irsa"))
        .set_external_id(profile.get("external_id").map(str::to_owned))
        .set_duration_seconds(profile.get("duration_seconds").and_then(|text| text.parse().ok()));
    let (profile, device) = (clean(&profile.name), clean(device));
    let assume = move || assume(profile.clone(), device.clone(), request.clone(), ask.clone());
    SharedCredentialsProvider::new(provide_credentials_fn(assume))
}

async fn assume(
    profile: String,
    device: String,
    request: AssumeRoleFluentBuilder,
    ask: Option<AskUser>,
) -> provider::Result {
    let question = format!("MFA code of `{device}` for profile `{profile}`:");
    let code = tokio::task::spawn_blocking(move || ask.and_then(|ask| ask(&question))).await.ok().flatten();
    let Some(code) = code.map(|code| code.trim().to_owned()).filter(|code| !code.is_empty()) else {
        return Err(CredentialsError::invalid_configuration(CredentialsProblem(format!(
            "profile `{profile}` needs an MFA code of `{device}` (`mfa_serial`): run irsa in a terminal, so that it can \
             ask for the code, or give it the credentials of a session (`AWS_ACCESS_KEY_ID`, \
             `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`)"
        ))));
    };
    let answer = request.token_code(code).send().await.map_err(CredentialsError::provider_error)?;
    let made = answer.credentials.ok_or_else(|| CredentialsError::unhandled("STS gave no credentials"))?;
    let expires = SystemTime::try_from(made.expiration).ok();
    Ok(Credentials::new(made.access_key_id, made.secret_access_key, Some(made.session_token), expires, "mfa"))
}
