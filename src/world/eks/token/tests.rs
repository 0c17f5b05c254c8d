use super::*;
use std::collections::BTreeMap;

fn query(url: &str) -> BTreeMap<String, String> {
    let (_, query) = url.split_once('?').unwrap();
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    query.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (decode(k), decode(v))).collect()
}

fn sign_at(endpoint: &str, session: Option<&str>) -> String {
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", session.map(str::to_owned), None, "test");
    let region = Region::parse("eu-west-1").unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    presigned(&credentials, endpoint, &region, &ClusterName::parse("prod").unwrap(), now).unwrap()
}

#[test]
fn url_has_the_parameters_that_the_authenticator_checks() {
    let url = sign_at("https://sts.eu-west-1.amazonaws.com", Some("tok/en+=="));
    assert!(url.starts_with("https://sts.eu-west-1.amazonaws.com/?"), "{url}");
    let query = query(&url);
    assert_eq!(query["Action"], "GetCallerIdentity");
    assert_eq!(query["Version"], "2011-06-15");
    assert_eq!(query["X-Amz-Algorithm"], "AWS4-HMAC-SHA256");
    assert_eq!(query["X-Amz-Credential"], "AKIAIOSFODNN7EXAMPLE/20231114/eu-west-1/sts/aws4_request");
    assert_eq!(query["X-Amz-Date"], "20231114T221320Z");
    assert_eq!(query["X-Amz-Expires"], "60");
    assert_eq!(query["X-Amz-SignedHeaders"], "host;x-k8s-aws-id");
    assert_eq!(query["X-Amz-Security-Token"], "tok/en+==");
    assert_eq!(query["X-Amz-Signature"].len(), 64);
}

#[test]
fn signature_depends_on_the_host() {
    let one = query(&sign_at("https://sts.eu-west-1.amazonaws.com", None));
    let other = query(&sign_at("http://127.0.0.1:4566/", None));
    assert_ne!(one["X-Amz-Signature"], other["X-Amz-Signature"]);
    assert!(!one.contains_key("X-Amz-Security-Token"));
}
