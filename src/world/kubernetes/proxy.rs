//! Chooses the proxy for a Kubernetes API by the rules of Go programs
//! (<https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>). Pure.

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

/// Without a scheme, the proxy is an HTTP proxy. A SOCKS proxy always resolves host names itself, so `socks5h` is the same
/// as `socks5`.
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

/// Whether requests to the URL use no proxy: it is on the loopback, or `NO_PROXY` lists it.
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
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn chosen(own: Option<&str>, url: &str, environment: &[(&str, &str)]) -> Option<String> {
        let environment: BTreeMap<String, String> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let context = Context::fixed(environment, 0, 1);
        choose(own, &url.parse().unwrap(), &context).unwrap().map(|uri| uri.to_string())
    }

    const EKS: &str = "https://ABC.gr7.eu-west-1.eks.amazonaws.com";
    const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://proxy:3128/");

    #[test]
    fn proxy_url_takes_precedence_over_the_environment() {
        assert_eq!(chosen(None, EKS, &[]), None);
        assert_eq!(chosen(None, EKS, &[PROXY]).as_deref(), Some("http://proxy:3128/"));
        assert_eq!(chosen(Some(""), EKS, &[PROXY]).as_deref(), Some("http://proxy:3128/"));
        assert_eq!(chosen(Some("http://own:1/"), EKS, &[PROXY]).as_deref(), Some("http://own:1/"));
        let everywhere = [PROXY, ("NO_PROXY", "*")];
        assert_eq!(chosen(Some("http://own:1/"), EKS, &everywhere).as_deref(), Some("http://own:1/"));
        assert_eq!(chosen(None, "http://a.example", &[PROXY]), None);
        assert_eq!(chosen(None, "http://a.example", &[("http_proxy", "http://p/")]).as_deref(), Some("http://p/"));
    }

    #[test]
    fn forms_that_go_accepts_are_parsed_and_others_are_refused() {
        for (text, url) in [
            ("proxy:3128", "http://proxy:3128/"),
            ("127.0.0.1:1", "http://127.0.0.1:1/"),
            (" http://u:p@proxy:1 ", "http://u:p@proxy:1/"),
            ("HTTPS://proxy", "https://proxy/"),
            ("socks5h://proxy:1080", "socks5://proxy:1080/"),
        ] {
            assert_eq!(chosen(None, EKS, &[("HTTPS_PROXY", text)]).as_deref(), Some(url), "{text}");
        }
        for text in ["ftp://proxy", "http://", "http://u:hunter2@[::bad", "socks4://proxy"] {
            for (own, environment) in [(Some(text), &[][..]), (None, &[("https_proxy", text)])] {
                let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
                let context = Context::fixed(environment.collect(), 0, 1);
                let failure = choose(own, &EKS.parse().unwrap(), &context).unwrap_err();
                let what = if own.is_some() { "`proxy-url`" } else { "`https_proxy`" };
                assert!(
                    failure.message.starts_with(what) && !failure.message.contains("hunter2"),
                    "{}",
                    failure.message
                );
            }
        }
    }

    #[test]
    fn no_proxy_exempts_hosts_domains_and_networks() {
        for (list, url, exempt) in [
            ("", EKS, false),
            ("*", EKS, true),
            ("eks.amazonaws.com", EKS, true),
            (".eks.amazonaws.com", EKS, true),
            ("*.eks.amazonaws.com", EKS, true),
            ("other, .amazonaws.com:443", EKS, true),
            (".amazonaws.com:8443", EKS, false),
            ("ks.amazonaws.com", EKS, false),
            (".example.com", "https://example.com", false),
            ("10.0.0.0/8", "https://10.1.2.3:6443", true),
            ("10.0.0.0/16", "https://10.1.2.3:6443", false),
            ("0.0.0.0/0", "https://10.1.2.3", true),
            ("10.1.2.3", "https://10.1.2.3", true),
            ("fd00::/8", "https://[fd12::1]:6443", true),
            ("fd00::/8", "https://10.1.2.3", false),
            ("", "https://127.0.0.1:6443", true),
            ("", "https://localhost:6443", true),
            ("", "https://[::1]:6443", true),
        ] {
            let proxy = chosen(None, url, &[PROXY, ("NO_PROXY", list)]);
            assert_eq!(proxy.is_none(), exempt, "{list} {url}");
        }
    }
}
