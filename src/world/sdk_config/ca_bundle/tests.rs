use super::*;

fn certificate() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn bundle_without_a_usable_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let refusal = async |text: &[u8]| {
        tokio::fs::write(&file, text).await.unwrap();
        trust_only("`AWS_CA_BUNDLE`", &file).await.err()
    };
    assert!(trust_only("`AWS_CA_BUNDLE`", &folder.path().join("gone")).await.unwrap_err().contains("cannot be read"));
    for text in [
        &b""[..],
        b"\xff\xfe",
        b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n",
        to_pem("CERTIFICATE", b"x").as_bytes(),
    ] {
        assert!(refusal(text).await.unwrap().contains("contains no certificate"), "{text:?}");
    }
    assert_eq!(refusal(certificate().as_bytes()).await, None);
    let mixed = [to_pem("CERTIFICATE", b"x"), certificate(), certificate()].concat();
    assert_eq!((refusal(mixed.as_bytes()).await, authorities(mixed.as_bytes()).len()), (None, 2));
}
