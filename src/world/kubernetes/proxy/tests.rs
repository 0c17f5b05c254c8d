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
            assert!(failure.message.starts_with(what) && !failure.message.contains("hunter2"), "{}", failure.message);
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
