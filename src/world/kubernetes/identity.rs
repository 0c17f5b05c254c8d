//! The client certificate and key of a kubeconfig: what rustls can read, whatever its label says, and in words what it
//! cannot. Pure.
//!
//! Tools write keys under labels that are not theirs, and openssl puts `EC PARAMETERS` before them; OpenSSL and Go look at
//! the bytes, kube at the label.

use super::certificate;
use super::failure::ApiFailure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::PrivateKeyDer;

/// What the curve P-521 is called in a key: OID 1.3.132.0.35.
const P521: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

/// Certificate and key as base64 of PEM, in the form that kube reads.
///
/// # Errors
/// Which of the two cannot be used, and why.
pub(crate) fn readable(certificate: &str, key: &str) -> Result<(String, String), ApiFailure> {
    let wrong = |field: &str, why: &str| ApiFailure::credentials(format!("`{field}` of the kubeconfig's user {why}"));
    let chain = certificate::from_base64(certificate);
    let chain = chain.ok_or_else(|| wrong("client-certificate", "holds no certificate in PEM"))?;
    let wrong_key = |why: &str| wrong("client-key", why);
    let text = decoded(key).ok_or_else(|| wrong_key("is no text in base64"))?;
    if text.contains("ENCRYPTED") {
        return Err(wrong_key(
            "is encrypted, and irsa cannot ask for its password: store it decrypted, or use another way",
        ));
    }
    let keys = sections(&text);
    if keys.is_empty() {
        return Err(wrong_key("holds no private key in PEM"));
    }
    let Some(key) = keys.iter().find_map(|der| usable(der)) else {
        let is_p521 = keys.iter().any(|der| der.windows(P521.len()).any(|window| window == P521));
        return Err(wrong_key(if is_p521 {
            "is a key on the curve P-521, which irsa cannot use: it takes RSA, P-256, P-384 and Ed25519"
        } else {
            "holds no private key that can be used: irsa takes RSA, P-256, P-384 and Ed25519"
        }));
    };
    let certificates: String = chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
    Ok((STANDARD.encode(certificates), STANDARD.encode(key)))
}

fn decoded(text: &str) -> Option<String> {
    let text: String = text.split_whitespace().collect();
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

/// The content of every section that says it is a private key.
fn sections(text: &str) -> Vec<Vec<u8>> {
    let begins = text.split("-----BEGIN ").skip(1);
    let keys = begins.filter_map(|section| {
        let (label, rest) = section.split_once("-----")?;
        let (body, _) = rest.split_once("-----END ")?;
        let body: String = body.split_whitespace().collect();
        label.ends_with("PRIVATE KEY").then(|| STANDARD.decode(body).ok())?
    });
    keys.collect()
}

/// The key as PEM with the label of what it is, if it can be used.
fn usable(der: &[u8]) -> Option<String> {
    let forms: [(&str, PrivateKeyDer<'_>); 3] = [
        ("PRIVATE KEY", PrivateKeyDer::Pkcs8(der.into())),
        ("EC PRIVATE KEY", PrivateKeyDer::Sec1(der.into())),
        ("RSA PRIVATE KEY", PrivateKeyDer::Pkcs1(der.into())),
    ];
    let (label, _) = forms.into_iter().find(|(_, key)| any_supported_type(key).is_ok())?;
    Some(pem(label, der))
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn certificate(key: &KeyPair) -> String {
        STANDARD.encode(CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(key).unwrap().pem())
    }

    fn why(certificate: &str, key: &str) -> String {
        readable(certificate, &STANDARD.encode(key)).unwrap_err().message
    }

    #[test]
    fn a_key_is_what_its_bytes_are() {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate(&key);
        let der = key.serialize_der();
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ANY PRIVATE KEY"] {
            let text = format!(
                "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
                pem(label, &der)
            );
            let (_, read) = readable(&certificate, &STANDARD.encode(text)).unwrap();
            assert_eq!(decoded(&read).unwrap(), pem("PRIVATE KEY", &der), "{label}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_by_its_field() {
        let key = KeyPair::generate().unwrap();
        let (certificate, good) = (certificate(&key), key.serialize_pem());
        assert!(why("eA==", &good).starts_with("`client-certificate` of the kubeconfig's user holds no certificate"));
        for text in ["", "text", "-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n"] {
            assert!(
                why(&certificate, text)
                    .starts_with("`client-key` of the kubeconfig's user holds no private key in PEM")
            );
        }
        let curve = [&[0x30, 0x09][..], &P521].concat();
        assert!(why(&certificate, &pem("EC PRIVATE KEY", &curve)).contains("the curve P-521"));
        assert!(why(&certificate, &pem("PRIVATE KEY", b"x")).contains("RSA, P-256, P-384 and Ed25519"));
        assert!(why(&certificate, &pem("ENCRYPTED PRIVATE KEY", b"x")).contains("is encrypted"));
    }
}
