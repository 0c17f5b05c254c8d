//! Makes HTTP clients, also through a SOCKS proxy with user name and password. Of SOCKS proxies, kube supports only
//! those without a password.

use crate::world::Transports;
use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::{Body, ConfigExt};
use percent_encoding::percent_decode_str;
use tower::{BoxError, ServiceBuilder};

/// The client for `config`, with its proxy and credentials.
pub(super) fn of(transports: &Transports, config: Config) -> Result<kube::Client, kube::Error> {
    match (user(config.proxy_url.as_ref()), &config.proxy_url) {
        (Some((name, password)), Some(proxy)) if transports.kubernetes.is_none() => {
            let mut tcp = HttpConnector::new();
            tcp.enforce_http(false);
            let through = SocksV5::new(proxy.clone(), tcp).with_auth(name, password);
            over(&config, config.rustls_https_connector_with_connector(through)?)
        }
        _ => transports.kubernetes(config),
    }
}

/// The same client as kube's, except for the connector.
pub(super) fn over(
    config: &Config,
    connector: impl Connect + Clone + Send + Sync + 'static,
) -> Result<kube::Client, kube::Error> {
    let client = Client::builder(TokioExecutor::new()).build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}

/// The user name and password of a SOCKS proxy. None for another proxy, and for one without a user name.
fn user(proxy: Option<&Uri>) -> Option<(String, String)> {
    let proxy = proxy.filter(|proxy| proxy.scheme_str() == Some("socks5"))?;
    let (user, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((decoded(name), decoded(password)))
}

#[cfg(test)]
mod tests;
