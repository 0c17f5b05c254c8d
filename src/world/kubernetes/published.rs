//! Reads what an issuer's host publishes: its discovery document and its keys, as STS does
//! (<https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig>).
//!
//! The host is the issuer's, not the API's. It gets no credentials. TLS is checked with the system's authorities
//! (`SSL_CERT_FILE` replaces them). If the certificate is not trusted, irsa tries the authorities in `AWS_CA_BUNDLE`. The
//! proxy is the one of the environment. irsa follows no redirect. Without a proxy, irsa contacts only public addresses.

use super::client;
use super::failure::{ApiFailure, clean, of_kube};
use super::internal::is_internal_host;
use super::public_client::{self, INTERNAL};
use super::{RunState, kubeconfig_context};
use crate::ids::IssuerUrl;
use crate::model::evidence::{KeyNumbers, Published, PublishedKey};
use crate::world::bounds::is_too_large;
use crate::world::sdk_config::ca_bundle;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use http_body_util::{BodyExt, Limited};
use kube::Config;
use kube::client::Body;
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;

const DISCOVERY: &str = "/.well-known/openid-configuration";
/// How long irsa waits for one document, both attempts together.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest document, in bytes.
const LARGEST: usize = 1 << 20;

pub(super) async fn read(run: &RunState, issuer: &IssuerUrl) -> Published {
    match documents(run, issuer).await {
        Ok(documents) => documents,
        Err(other) => other,
    }
}

/// `Err` only ends the read early: it has `Broken` or `NotSeen`, which `read` returns as the result.
async fn documents(run: &RunState, issuer: &IssuerUrl) -> Result<Published, Published> {
    let url = format!("{issuer}{DISCOVERY}");
    let document = get(run, &url).await?;
    let text = |field: &str| document.get(field).and_then(Value::as_str).map(str::to_owned);
    let named = text("issuer").ok_or_else(|| Published::Broken(format!("`{url}` names no issuer")))?;
    let keys_url = text("jwks_uri").ok_or_else(|| Published::Broken(format!("`{url}` names no `jwks_uri`")))?;
    let keys = get(run, &keys_url).await?;
    let keys = keys.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(Published::Documents { issuer: clean(&named), keys: keys.iter().filter_map(published_key).collect() })
}

/// None without a `kid`, by which STS finds the key of a token.
fn published_key(key: &Value) -> Option<PublishedKey> {
    let text = |field: &str| key.get(field)?.as_str();
    let number = |field: &str| URL_SAFE_NO_PAD.decode(text(field)?).ok();
    let numbers = || match text("kty")? {
        "RSA" => Some(KeyNumbers::Rsa { modulus: number("n")?, exponent: number("e")? }),
        "EC" => Some(KeyNumbers::Curve { name: text("crv")?.to_owned(), x: number("x")?, y: number("y")? }),
        _ => None,
    };
    Some(PublishedKey { id: clean(text("kid")?), numbers: numbers().unwrap_or(KeyNumbers::Other) })
}

async fn send(run: &RunState, config: Config, path: &str) -> Result<http::Response<Body>, ApiFailure> {
    let is_direct = config.proxy_url.is_none() && run.transports.kubernetes.is_none();
    let client = if is_direct { public_client::client(&config) } else { client::of(&run.transports, config) };
    let client = client.map_err(|error| of_kube(&error))?;
    let request = http::Request::get(path).body(Body::empty()).map_err(|_| ApiFailure::invalid("it is not a URL"))?;
    run.requests.fetch_add(1, Ordering::Relaxed);
    client.send(request).await.map_err(|error| {
        let failure = of_kube(&error);
        if failure.message.contains(INTERNAL) { ApiFailure::other(INTERNAL) } else { failure }
    })
}

async fn get(run: &RunState, url: &str) -> Result<Value, Published> {
    let not_seen = |why: String| Published::NotSeen(format!("`{}`: {why}", clean(url)));
    let broken = |why: &str| Published::Broken(format!("`{}` {why}", clean(url)));
    let uri: Option<Uri> = url.parse().ok();
    let Some(uri) = uri.filter(|uri| uri.scheme_str() == Some("https") && uri.authority().is_some()) else {
        return Err(broken("is not an `https` URL"));
    };
    if is_internal_host(&uri) {
        return Err(not_seen(INTERNAL.to_owned()));
    }
    let origin = format!("https://{}", uri.authority().map_or("", http::uri::Authority::as_str));
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut config =
        kubeconfig_context::bare_config(&origin, None, &run.context).map_err(|failure| not_seen(failure.message))?;
    let answered = async {
        let mut sent = send(run, config.clone(), path).await;
        if let Err(failure) = &mut sent
            && failure.is_untrusted()
        {
            match ca_bundle::of_environment(&run.context).await {
                Some(Ok(authorities)) => {
                    config.root_cert = Some(authorities);
                    sent = send(run, config, path).await;
                }
                Some(Err(why)) => failure.message = format!("{}; {why}", failure.message),
                None => {}
            }
        }
        let response = sent.map_err(|failure| not_seen(failure.message))?;
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
