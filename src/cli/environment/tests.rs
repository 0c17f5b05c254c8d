use super::*;

#[test]
fn only_blank_settings_are_removed() {
    for (name, value, counts) in [
        ("AWS_PROFILE", "", true),
        ("AWS_ENDPOINT_URL_STS", " \n", true),
        ("IRSA_CONFIG", "", true),
        ("KUBECONFIG", "", true),
        ("AWS_REGION", "eu-west-1 ", false),
        ("HOME", "", false),
        ("NO_PROXY", "", false),
    ] {
        assert_eq!(is_setting(name.as_ref()) && is_blank(value.as_ref()), counts, "{name}={value:?}");
    }
}
