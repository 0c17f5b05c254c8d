//! Makes a client that connects to a host name only at its public addresses. It does not check a host that is an IP
//! address: the caller does, with `internal`.

use super::client;
use super::internal::is_internal_address;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use kube::Config;
use kube::client::ConfigExt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tower::Service;

/// Why irsa does not contact a host.
pub(super) const INTERNAL: &str = "it has an internal address, which STS does not reach; irsa does not contact it";

/// A client for the host of `config`. It uses no proxy, because a proxy resolves names itself.
pub(super) fn client(config: &Config) -> Result<kube::Client, kube::Error> {
    resolved_by(config, PublicAddresses(GaiResolver::new()))
}

fn resolved_by<R>(config: &Config, resolver: R) -> Result<kube::Client, kube::Error>
where
    R: Service<Name, Error = io::Error> + Clone + Send + Sync + 'static,
    R::Response: Iterator<Item = SocketAddr>,
    R::Future: Send,
{
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    client::over(config, config.rustls_https_connector_with_connector(tcp)?)
}

/// Resolves with another resolver, and keeps only the public addresses.
#[derive(Clone)]
struct PublicAddresses<R>(R);

impl<R> Service<Name> for PublicAddresses<R>
where
    R: Service<Name, Error = io::Error>,
    R::Response: Iterator<Item = SocketAddr>,
    R::Future: Send + 'static,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.0.call(name);
        async move {
            let public: Vec<SocketAddr> = found.await?.filter(|address| !is_internal_address(address.ip())).collect();
            if public.is_empty() { Err(io::Error::other(INTERNAL)) } else { Ok(public.into_iter()) }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
