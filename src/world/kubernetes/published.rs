//! Reads what an issuer's host publishes: its discovery document and its keys, as STS does
//! (<https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig>).
//!
//! The host is the issuer's, not the API's. It gets no credentials. TLS is checked with the system's authorities
//! (`SSL_CERT_FILE` replaces them), a proxy is taken from the environment, and redirects are not followed.

use super::failure::{clean, of_kube};
use super::proxy::host;
use super::{RunState, target};
use crate::ids::IssuerUrl;
use crate::model::evidence::Published;
use crate::world::bounds::is_too_large;
use http::Uri;
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;

const DISCOVERY: &str = "/.well-known/openid-configuration";
/// How long one document may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest document, in bytes.
const LARGEST: usize = 1 << 20;

pub(super) async fn read(run: &RunState, issuer: &IssuerUrl) -> Published {
    match documents(run, issuer).await {
        Ok(documents) => documents,
        Err(other) => other,
    }
}

/// The error is what is published instead.
async fn documents(run: &RunState, issuer: &IssuerUrl) -> Result<Published, Published> {
    let url = format!("{issuer}{DISCOVERY}");
    let document = get(run, &url).await?;
    let text = |field: &str| document.get(field).and_then(Value::as_str).map(str::to_owned);
    let named = text("issuer").ok_or_else(|| Published::Broken(format!("`{url}` names no issuer")))?;
    let keys_url = text("jwks_uri").ok_or_else(|| Published::Broken(format!("`{url}` names no `jwks_uri`")))?;
    let keys = get(run, &keys_url).await?;
    let keys = keys.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let ids = keys.iter().filter_map(|key| key.get("kid")?.as_str().map(clean)).collect();
    Ok(Published::Documents { issuer: clean(&named), keys: ids })
}

/// Whether a host is this machine, or an address inside a network. Otherwise whoever writes a discovery document could make
/// irsa ask any server near it. Names are not looked up.
fn is_internal(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    let v4 = |address: Ipv4Addr| {
        let [first, second, ..] = address.octets();
        let is_shared = first == 100 && second & 0xc0 == 64;
        address.is_private() || address.is_loopback() || address.is_link_local() || first == 0 || is_shared
    };
    match host.parse() {
        Ok(IpAddr::V4(address)) => v4(address),
        Ok(IpAddr::V6(address)) => {
            let is_local = address.is_unique_local() || address.is_unicast_link_local();
            let mapped = address.to_ipv4_mapped().is_some_and(v4);
            is_local || mapped || address.is_loopback() || address.is_unspecified()
        }
        // resolvers take numbers with fewer parts, or in another base, for addresses too
        Err(_) => {
            let last = host.rsplit('.').next().unwrap_or_default();
            let is_number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
            is_number || host == "localhost" || host.ends_with(".localhost")
        }
    }
}

async fn get(run: &RunState, url: &str) -> Result<Value, Published> {
    let not_seen = |why: String| Published::NotSeen(format!("`{}`: {why}", clean(url)));
    let broken = |why: &str| Published::Broken(format!("`{}` {why}", clean(url)));
    let uri: Option<Uri> = url.parse().ok();
    let Some(uri) = uri.filter(|uri| uri.scheme_str() == Some("https") && uri.authority().is_some()) else {
        return Err(broken("is not an `https` URL"));
    };
    if is_internal(&host(&uri)) {
        return Err(not_seen("it is an internal address, which STS does not reach; irsa does not ask it".to_owned()));
    }
    let origin = format!("https://{}", uri.authority().map_or("", http::uri::Authority::as_str));
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let config = target::base(&origin, None, &run.context).map_err(|failure| not_seen(failure.message))?;
    let client = run.transports.kubernetes(config).map_err(|error| not_seen(of_kube(&error).message))?;
    let request = http::Request::get(path).body(Body::empty()).map_err(|_| broken("is not a URL"))?;
    run.requests.fetch_add(1, Ordering::Relaxed);
    let answered = async {
        let response = client.send(request).await.map_err(|error| not_seen(of_kube(&error).message))?;
        let status = response.status().as_u16();
        match status {
            200 => {}
            404 | 410 => return Err(broken(&format!("is not served (HTTP status {status})"))),
            _ => return Err(not_seen(format!("it answered with HTTP status {status}"))),
        }
        match Limited::new(response.into_body(), LARGEST).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if is_too_large(error.as_ref()) => Err(broken("is larger than 1 MiB")),
            Err(_) => Err(not_seen("the connection was lost in the middle of the answer".to_owned())),
        }
    };
    let patience = run.context.scaled(PATIENCE);
    let body = timeout(patience, answered).await.map_err(|_| not_seen("no answer in time".to_owned()))??;
    serde_json::from_slice(&body).map_err(|_| broken("is not JSON"))
}

#[cfg(test)]
mod tests;
