use super::*;

#[test]
fn printed_address_parses_to_itself() {
    for text in [
        "oidc-provider/prod/prod-eu",
        "policy/prod/read-bucket",
        "role/reports",
        "service-account/prod-eu/reporting/worker",
        "orphan/prod/oidc-provider/oidc.example.com/id/ABC",
        "orphan/prod/role/old",
    ] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    for bad in ["role", "role/", "roles/x", "policy/x", "service-account/a/b", "orphan/a/user/x", ""] {
        assert!(bad.parse::<Address>().is_err(), "{bad}");
    }
}
