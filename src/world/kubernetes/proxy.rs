//! Chooses the proxy for a Kubernetes API by the rules of Go programs
//! (<https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>). Does no IO.

use super::failure::ApiFailure;
use crate::context::Context;
use http::Uri;
use std::net::IpAddr;

/// The proxy for `url`: `proxy_url` of the kubeconfig, or else the one in the environment. None if neither names one.
pub(crate) fn choose(proxy_url: Option<&str>, url: &Uri, context: &Context) -> Result<Option<Uri>, ApiFailure> {
    let either = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, context.variable(name)?)));
    let chosen = match proxy_url.filter(|own| !own.is_empty()) {
        Some(own) => Some(("proxy-url", own)),
        None if is_exempt(url, either(["NO_PROXY", "no_proxy"]).map_or("", |(_, list)| list)) => None,
        None if url.scheme_str() == Some("https") => either(["HTTPS_PROXY", "https_proxy"]),
        None => either(["HTTP_PROXY", "http_proxy"]),
    };
    let Some((what, text)) = chosen else { return Ok(None) };
    // the message does not repeat the text, which may contain a password
    let wrong = || {
        let forms = "`http://HOST:PORT`, `https://HOST:PORT` or `socks5://HOST:PORT`";
        ApiFailure::invalid(format!("`{what}` is not a proxy URL: it must have the form {forms}"))
    };
    parse(text.trim()).map(Some).ok_or_else(wrong)
}

/// Without a scheme, the proxy is an HTTP proxy. irsa always lets a SOCKS proxy resolve host names, so `socks5` and
/// `socks5h` are the same.
fn parse(text: &str) -> Option<Uri> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => "http",
        "https" => "https",
        "socks5" | "socks5h" => "socks5",
        _ => return None,
    };
    let url: Uri = format!("{scheme}://{rest}").parse().ok()?;
    url.host().is_some_and(|host| !host.is_empty()).then_some(url)
}

/// The host in lower case, without the brackets of an IPv6 address.
pub(crate) fn host(url: &Uri) -> String {
    url.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase()
}

pub(crate) fn is_loopback(url: &Uri) -> bool {
    let host = host(url);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether requests to the URL use no proxy: its host is this machine, or `NO_PROXY` lists it.
fn is_exempt(url: &Uri, list: &str) -> bool {
    let host = host(url);
    let address: Option<IpAddr> = host.parse().ok();
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
    let mut entries = list.split(',').map(|entry| entry.trim().to_ascii_lowercase());
    is_loopback(url) || entries.any(|entry| covers(&entry, &host, address, port))
}

/// Whether an entry of `NO_PROXY` covers a host.
fn covers(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry.is_empty() {
        return false;
    }
    if entry == "*" {
        return true;
    }
    if let (Some((network, bits)), Some(address)) = (entry.split_once('/'), address) {
        let (network, bits) = (network.parse().ok(), bits.parse().ok());
        return network.zip(bits).is_some_and(|(network, bits)| within(address, network, bits));
    }
    let entry = match entry.rsplit_once(':') {
        Some((name, number)) if !name.contains(':') && number.parse() == Ok(port) => name,
        Some((name, number)) if !name.contains(':') && number.parse::<u16>().is_ok() => return false,
        _ => entry,
    };
    if let Some(address) = address {
        return entry.parse() == Ok(address);
    }
    let domain = entry.trim_start_matches('*');
    match domain.strip_prefix('.') {
        Some(_) => host.ends_with(domain),
        None => host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
    }
}

/// Whether the first `bits` bits of both addresses are the same.
fn within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (address.to_bits().into(), network.to_bits().into(), 32),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let differing: u128 = address ^ network;
    bits <= width && differing.checked_shr(width - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests;
