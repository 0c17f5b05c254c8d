use super::*;
use rcgen::{CertificateParams, KeyPair};

fn certificate(key: &KeyPair) -> String {
    STANDARD.encode(CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(key).unwrap().pem())
}

fn why(certificate: &str, key: &str) -> String {
    for_kube(certificate, &STANDARD.encode(key)).unwrap_err().message
}

#[test]
fn key_gets_the_label_of_its_format() {
    let key = KeyPair::generate().unwrap();
    let certificate = certificate(&key);
    let der = key.serialize_der();
    for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ANY PRIVATE KEY"] {
        let text = format!(
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
            to_pem(label, &der)
        );
        let (_, read) = for_kube(&certificate, &STANDARD.encode(text)).unwrap();
        assert_eq!(decode_text(&read).unwrap(), to_pem("PRIVATE KEY", &der), "{label}");
    }
}

#[test]
fn unusable_certificate_or_key_is_named() {
    let key = KeyPair::generate().unwrap();
    let (certificate, good) = (certificate(&key), key.serialize_pem());
    assert!(why("eA==", &good).starts_with("`client-certificate` of the kubeconfig's user contains no certificate"));
    for text in ["", "text", "-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n"] {
        assert!(
            why(&certificate, text).starts_with("`client-key` of the kubeconfig's user contains no private key in PEM")
        );
    }
    let curve = [&[0x30, 0x09][..], &P521].concat();
    assert!(why(&certificate, &to_pem("EC PRIVATE KEY", &curve)).contains("the curve P-521"));
    assert!(why(&certificate, &to_pem("PRIVATE KEY", b"x")).contains("RSA, P-256, P-384 and Ed25519"));
    assert!(why(&certificate, &to_pem("ENCRYPTED PRIVATE KEY", b"x")).contains("is encrypted"));
}
