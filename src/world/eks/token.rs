//! Bearer tokens for the API of an EKS cluster: a presigned sts:GetCallerIdentity URL that names the cluster.
//!
//! aws-iam-authenticator defines the format
//! (<https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster>): `k8s-aws-v1.`
//! and the URL in base64url without padding, signed over the header `x-k8s-aws-id`. The server accepts a token for 15
//! minutes whatever `X-Amz-Expires` says; irsa uses it for 14. Making a token sends requests only to fetch credentials
//! that are missing or about to expire.

use crate::ids::{ClusterName, Region};
use crate::world::Answer;
use crate::world::account::{AccountClient, Action, invalid, other, unsigned};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A bearer token for the API of an EKS cluster.
#[derive(Debug, Clone)]
pub struct EksToken {
    /// The token.
    pub token: SecretString,
    /// When to replace it, in seconds since 1970.
    pub expires: i64,
}

/// The signed operation. It needs no permission.
pub(crate) const ACTION: Action = Action { service: "sts", name: "GetCallerIdentity" };
const PREFIX: &str = "k8s-aws-v1.";
const CLUSTER_HEADER: &str = "x-k8s-aws-id";
const SIGNED_FOR: Duration = Duration::from_mins(1);
const LIFETIME: Duration = Duration::from_mins(14);

/// Makes a token from the credentials of the cluster's account.
pub(crate) async fn token(account: &AccountClient, region: &Region, name: &ClusterName) -> Answer<EksToken> {
    let provider =
        account.sdk.credentials_provider().ok_or_else(|| invalid(ACTION, "no credentials are configured"))?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| unsigned(&error).into_error(ACTION.to_string()))?;
    let endpoint = endpoint(account, region).await?;
    let now = account.clock.now();
    let url =
        presigned(&credentials, &endpoint, region, name, now).map_err(|error| other(ACTION, error.to_string()))?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url));
    let token = SecretString::from(token);
    let expires = now + LIFETIME;
    Ok(EksToken { token, expires: seconds(credentials.expiry().map_or(expires, |end| end.min(expires))) })
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The configured STS endpoint, or the one of the cluster's region. Never the dual-stack endpoint, which older
/// authenticators reject.
async fn endpoint(account: &AccountClient, region: &Region) -> Answer<String> {
    if let Some(url) = &account.sts_endpoint {
        return Ok(url.clone());
    }
    let params = Params::builder().region(region.as_str()).use_fips(account.sdk.use_fips().unwrap_or(false));
    let params = params.build().map_err(|error| other(ACTION, error.to_string()))?;
    let resolver = DefaultResolver::new();
    let endpoint = ResolveEndpoint::resolve_endpoint(&resolver, &params).await;
    endpoint.map(|endpoint| endpoint.url().to_owned()).map_err(|error| other(ACTION, error.to_string()))
}

fn presigned(
    credentials: &Credentials,
    endpoint: &str,
    region: &Region,
    name: &ClusterName,
    now: SystemTime,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let url = format!("{}/?Action=GetCallerIdentity&Version=2011-06-15", endpoint.trim_end_matches('/'));
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(SIGNED_FOR);
    let identity = credentials.clone().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name("sts")
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let headers = std::iter::once((CLUSTER_HEADER, name.as_str()));
    let request = SignableRequest::new("GET", url.as_str(), headers, SignableBody::Bytes(&[]))?;
    let (instructions, _) = sign(request, &params)?.into_parts();
    let mut request = http::Request::builder().uri(url).body(())?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

#[cfg(test)]
mod tests;
