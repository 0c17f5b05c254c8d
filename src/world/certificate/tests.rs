use super::*;

#[test]
fn only_a_certificate_with_ca_false_is_a_leaf() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    let key = KeyPair::generate().unwrap();
    for (is_ca, leaf) in [
        (IsCa::Ca(BasicConstraints::Unconstrained), false),
        (IsCa::Ca(BasicConstraints::Constrained(1)), false),
        (IsCa::ExplicitNoCa, true),
        (IsCa::NoCa, false),
    ] {
        let mut params = CertificateParams::new(vec!["x".to_owned()]).unwrap();
        params.is_ca = is_ca;
        assert_eq!(is_leaf(params.self_signed(&key).unwrap().der()), leaf, "{is_ca:?}");
    }
    assert!(!is_leaf(b"x"));
}

fn pem(der: &[u8]) -> String {
    to_pem("CERTIFICATE", der)
}

#[test]
fn all_certificates_of_a_text_are_read_with_text_between_them() {
    let text = format!("# old\n{}# new\n{}\n", pem(b"one"), pem(b"two").replace('\n', "\r\n"));
    assert_eq!(from_pem(&text), Some(vec![b"one".to_vec(), b"two".to_vec()]));
    assert_eq!(from_base64(&STANDARD.encode(&text)), from_pem(&text));
}

#[test]
fn certificate_beside_an_encrypted_key_is_read_and_the_key_is_ignored() {
    use rcgen::{CertificateParams, IsCa, KeyPair};
    let mut params = CertificateParams::new(vec!["x".to_owned()]).unwrap();
    params.is_ca = IsCa::ExplicitNoCa;
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let key = to_pem("ENCRYPTED PRIVATE KEY", b"key");
    for (text, labels) in [
        (pem(certificate.der()) + &key, ["CERTIFICATE", "ENCRYPTED PRIVATE KEY"]),
        (key.clone() + &pem(certificate.der()), ["ENCRYPTED PRIVATE KEY", "CERTIFICATE"]),
    ] {
        assert_eq!(sections(&text).map(|(label, _)| label).collect::<Vec<_>>(), labels);
        let read = from_pem(&text).unwrap();
        assert_eq!(read, [certificate.der().to_vec()]);
        assert!(is_leaf(&read[0]));
    }
    assert_eq!(from_pem(&key), None);
}

#[test]
fn text_without_a_readable_certificate_is_refused() {
    let begin = "-----BEGIN CERTIFICATE-----";
    for text in ["", "text", &format!("{begin}\nb25l\n"), &pem(b"x").replace("eA==", "*"), &pem(b"")] {
        assert_eq!(from_pem(text), None, "{text}");
    }
    assert_eq!(from_base64("*"), None);
}
