//! Assumes a role with a ServiceAccount token, as the SDK in a pod does, and asks STS for the ARN of the session.
//!
//! The credentials stay in this file. No error, log or output has them or the token.

use super::account::{AccountClient, Action, other};
use super::retry::RetryFacts;
use super::{Answer, IdentityToken, sts};
use crate::ids::{Region, RoleArn};
use crate::model::evidence::StsLag;
use aws_credential_types::Credentials;
use secrecy::ExposeSecret;

pub(crate) const ACTION: Action = Action { service: "sts", name: "AssumeRoleWithWebIdentity" };
/// The name of the session, which CloudTrail shows.
const SESSION: &str = "irsa-verify";
/// The shortest session, in seconds (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
const SHORTEST: i32 = 900;

/// Assumes the role. Returns the ARN of the session.
pub(crate) async fn assume(
    account: &AccountClient,
    region: Option<&Region>,
    role: &RoleArn,
    token: &IdentityToken,
    lag: StsLag,
) -> Answer<String> {
    let facts = RetryFacts { sts_lag: lag, ..RetryFacts::default() };
    let request = account.sts_in(region, None).assume_role_with_web_identity();
    let request = request.role_arn(role.as_str()).role_session_name(SESSION).duration_seconds(SHORTEST);
    let request = request.web_identity_token(token.secret.expose_secret());
    let answer = account.sender.call(ACTION, facts, || request.clone().send()).await?;
    let given = answer.credentials().ok_or_else(|| other(ACTION, "the answer has no credentials"))?;
    let credentials = Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        Some(given.session_token().to_owned()),
        None,
        SESSION,
    );
    let request = account.sts_in(region, Some(credentials)).get_caller_identity();
    let answer = account.sender.call(sts::ACTION, facts, || request.clone().send()).await?;
    Ok(answer.arn().unwrap_or_default().to_owned())
}
