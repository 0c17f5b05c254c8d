use super::*;

#[test]
fn addresses_inside_a_network_are_not_asked() {
    let is_internal = |host: &str| is_internal_host(&format!("https://{host}").parse().unwrap());
    let internal = [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "2130706433",
        "0x7f000001",
        "127.1",
    ];
    for host in internal {
        assert!(is_internal(host), "{host}");
    }
    for host in [
        "oidc.eks.eu-west-1.amazonaws.com",
        "203.0.113.7",
        "100.128.0.1",
        "[2001:db8::1]",
        "[64:ff9b::cb00:7107]",
        "10.example.com",
    ] {
        assert!(!is_internal(host), "{host}");
    }
}
