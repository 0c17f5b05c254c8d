//! Converts the client certificate and key of a kubeconfig to the form that kube reads, or says why irsa cannot use
//! them. Does no IO.
//!
//! Some tools write a key under the label of another format, and openssl writes a section `EC PARAMETERS` before a key.
//! OpenSSL and Go ignore the labels. kube trusts them, so irsa writes the key again with the right label only.

use super::failure::ApiFailure;
use crate::world::certificate::{self, decode_text, to_pem};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::PrivateKeyDer;

/// The identifier of the curve P-521 in a key: OID 1.3.132.0.35.
const P521: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

/// Converts certificate and key, both base64 of PEM before and after.
///
/// # Errors
/// Which of the two cannot be used, and why.
pub(crate) fn for_kube(certificate: &str, key: &str) -> Result<(String, String), ApiFailure> {
    let wrong = |field: &str, why: &str| ApiFailure::credentials(format!("`{field}` of the kubeconfig's user {why}"));
    let chain = certificate::from_base64(certificate);
    let chain = chain.ok_or_else(|| wrong("client-certificate", "contains no certificate in PEM"))?;
    let wrong_key = |why: &str| wrong("client-key", why);
    let text = decode_text(key).ok_or_else(|| wrong_key("is not text in base64"))?;
    if text.contains("ENCRYPTED") {
        return Err(wrong_key(
            "is encrypted, and irsa cannot ask for its password: store it decrypted, or use a token or an exec plugin",
        ));
    }
    let keys = private_keys(&text);
    if keys.is_empty() {
        return Err(wrong_key("contains no private key in PEM"));
    }
    let Some(key) = keys.iter().find_map(|der| relabelled(der)) else {
        let is_p521 = keys.iter().any(|der| der.windows(P521.len()).any(|window| window == P521));
        return Err(wrong_key(if is_p521 {
            "is a key on the curve P-521, which irsa cannot use: it supports RSA, P-256, P-384 and Ed25519"
        } else {
            "contains no private key that can be used: irsa supports RSA, P-256, P-384 and Ed25519"
        }));
    };
    let certificates: String = chain.iter().map(|der| to_pem("CERTIFICATE", der)).collect();
    Ok((STANDARD.encode(certificates), STANDARD.encode(key)))
}

/// The content of each section whose label ends with `PRIVATE KEY`.
fn private_keys(text: &str) -> Vec<Vec<u8>> {
    let keys = certificate::sections(text).filter(|(label, _)| label.ends_with("PRIVATE KEY"));
    keys.filter_map(|(_, rest)| certificate::decode(rest.split_once("-----END ")?.0)).collect()
}

/// The key as PEM with the label of its real format. None if rustls cannot use it.
fn relabelled(der: &[u8]) -> Option<String> {
    let forms: [(&str, PrivateKeyDer<'_>); 3] = [
        ("PRIVATE KEY", PrivateKeyDer::Pkcs8(der.into())),
        ("EC PRIVATE KEY", PrivateKeyDer::Sec1(der.into())),
        ("RSA PRIVATE KEY", PrivateKeyDer::Pkcs1(der.into())),
    ];
    let (label, _) = forms.into_iter().find(|(_, key)| any_supported_type(key).is_ok())?;
    Some(to_pem(label, der))
}

#[cfg(test)]
mod tests;
