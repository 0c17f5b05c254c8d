use super::*;

#[test]
fn address_needs_a_scheme_and_a_host() {
    for address in ["http://127.0.0.1:4566", "https://sts.example.com/", "http://[::1]:80", "http://u:p@h"] {
        assert!(is_http_url(address), "{address}");
    }
    for address in ["", "foo", "127.0.0.1:4566", "http://", "https:///x", "ftp://x", "http://x ", "http://[::bad"] {
        assert!(!is_http_url(address), "{address}");
    }
}
