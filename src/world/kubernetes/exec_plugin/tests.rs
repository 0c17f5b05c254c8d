use super::*;

#[test]
fn credentials_are_parsed_from_json_and_yaml() {
    let json = br#"{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
            "status": {"token": "abc", "expirationTimestamp": "2026-01-02T03:04:05Z"}}"#;
    let yaml = b"kind: ExecCredential\napiVersion: client.authentication.k8s.io/v1\nstatus:\n  token: abc\n  \
            expirationTimestamp: \"2026-01-02T03:04:05Z\"\n";
    for output in [&json[..], &yaml[..]] {
        let issued = parse(output).unwrap();
        assert_eq!(issued.token.unwrap().expose_secret(), "abc");
        assert_eq!(issued.expires, Some(1_767_323_045));
        assert!(issued.certificate_and_key.is_none());
    }
    let identity = br#"{"status": {"clientCertificateData": "C", "clientKeyData": "K"}}"#;
    let (certificate, key) = parse(identity).unwrap().certificate_and_key.unwrap();
    assert_eq!((certificate.as_str(), key.expose_secret()), ("C", "K"));
}

#[test]
fn other_output_is_no_credential() {
    for output in
        ["", "{}", "please sign in", r#"{"status": {}}"#, r#"{"status": {"clientCertificateData": "C"}}"#, "\u{0}"]
    {
        assert!(parse(output.as_bytes()).is_none(), "{output}");
    }
}
