use super::*;

#[test]
fn user_is_read_only_from_a_socks_proxy_with_a_user_name() {
    let of = |proxy: &str| user(Some(&proxy.parse().unwrap()));
    assert_eq!(of("socks5://proxy:1080"), None);
    assert_eq!(of("http://me:secret@proxy:1080"), None);
    assert_eq!(of("socks5://me@proxy"), Some(("me".into(), String::new())));
    assert_eq!(of("socks5://me:a%40b%3A@proxy:1080"), Some(("me".into(), "a@b:".into())));
}
