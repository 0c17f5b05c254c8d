//! Decides whether a host or an IP address is internal: this machine's, private, link-local or shared. STS cannot reach
//! it. irsa does not contact it either, because a forged discovery document could make irsa send requests into the
//! internal network. Does no IO.

use super::proxy::host;
use http::Uri;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the host of a URL is this machine, or an internal address. Other names are not looked up.
pub(super) fn is_internal_host(url: &Uri) -> bool {
    let host = host(url);
    let host = host.trim_end_matches('.');
    if let Ok(address) = host.parse() {
        return is_internal_address(address);
    }
    // resolvers also accept an IPv4 address with fewer parts, or with numbers in another base
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
    is_number || host == "localhost" || host.ends_with(".localhost")
}

/// Whether an address is this machine's, private, link-local (for example, instance metadata) or shared.
pub(super) fn is_internal_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            address.is_private() || address.is_loopback() || address.is_link_local() || first == 0 || is_shared
        }
        IpAddr::V6(address) => {
            let is_local = address.is_unique_local() || address.is_unicast_link_local();
            let embedded = address.to_ipv4_mapped().or_else(|| translated(address));
            let is_embedded = embedded.is_some_and(|address| is_internal_address(address.into()));
            is_local || is_embedded || address.is_loopback() || address.is_unspecified()
        }
    }
}

/// The IPv4 address behind an address that DNS64 made (<https://www.rfc-editor.org/rfc/rfc6052#section-2.1>).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests;
