//! Assumes a role with an MFA code: `mfa_serial` of a profile
//! (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-role.html#cli-configure-role-mfa>). The SDK leaves this to
//! the program.

use super::diagnose::Explanation;
use super::profile::Profile;
use crate::world::{AskUser, clean};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use std::fmt;
use std::time::SystemTime;

pub(super) struct MfaProvider {
    profile: String,
    role: String,
    serial: String,
    external_id: Option<String>,
    session: String,
    seconds: Option<i32>,
    sts: aws_sdk_sts::Client,
    ask: Option<AskUser>,
}

impl fmt::Debug for MfaProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MfaProvider").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// The role and the MFA device of a profile. None unless it has both.
pub(super) fn role_and_device(profile: &Profile) -> Option<(&str, &str)> {
    profile.get("role_arn").zip(profile.get("mfa_serial"))
}

/// The access key in the profile itself.
pub(super) fn own_keys(profile: &Profile) -> Option<Credentials> {
    let (id, secret) = profile.get("aws_access_key_id").zip(profile.get("aws_secret_access_key"))?;
    Some(Credentials::new(id, secret, profile.get("aws_session_token").map(str::to_owned), None, "profile"))
}

impl MfaProvider {
    /// `sdk` has the settings of the profile. `source` signs the call.
    pub(super) fn new(
        profile: &Profile,
        (role, serial): (&str, &str),
        sdk: &SdkConfig,
        source: SharedCredentialsProvider,
        ask: Option<AskUser>,
    ) -> Self {
        let sdk = sdk.clone().into_builder().credentials_provider(source).build();
        Self {
            profile: clean(&profile.name),
            role: role.to_owned(),
            serial: serial.to_owned(),
            external_id: profile.get("external_id").map(str::to_owned),
            session: profile.get("role_session_name").unwrap_or("irsa").to_owned(),
            seconds: profile.get("duration_seconds").and_then(|text| text.parse().ok()),
            sts: aws_sdk_sts::Client::new(&sdk),
            ask,
        }
    }

    async fn credentials(&self) -> provider::Result {
        let Self { profile, role, serial, external_id, session, seconds, sts, ask } = self;
        let question = format!("MFA code of `{}` for profile `{profile}`:", clean(serial));
        let ask = ask.clone();
        let code = tokio::task::spawn_blocking(move || ask.and_then(|ask| ask(&question))).await.ok().flatten();
        let Some(code) = code.map(|code| code.trim().to_owned()).filter(|code| !code.is_empty()) else {
            return Err(CredentialsError::invalid_configuration(Explanation(format!(
                "profile `{profile}` needs a code of `{}` (`mfa_serial`), and nobody gave one: run it on a terminal, or \
                 give irsa the credentials of a session (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, \
                 `AWS_SESSION_TOKEN`)",
                clean(serial)
            ))));
        };
        let request = sts
            .assume_role()
            .role_arn(role)
            .serial_number(serial)
            .token_code(code)
            .role_session_name(session)
            .set_external_id(external_id.clone())
            .set_duration_seconds(*seconds);
        let answer = request.send().await.map_err(CredentialsError::provider_error)?;
        let made = answer.credentials.ok_or_else(|| CredentialsError::unhandled("STS gave no credentials"))?;
        let expires = SystemTime::try_from(made.expiration).ok();
        Ok(Credentials::new(made.access_key_id, made.secret_access_key, Some(made.session_token), expires, "mfa"))
    }
}

impl ProvideCredentials for MfaProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
