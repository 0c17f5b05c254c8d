//! Certificates from PEM: enough of RFC 7468 to compare and to trust authorities. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a PEM text in DER; None if it has none or one of them cannot be read.
pub(crate) fn from_pem(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for part in text.split(BEGIN).skip(1) {
        let (body, _) = part.split_once(END)?;
        let body: String = body.split_whitespace().collect();
        all.push(STANDARD.decode(body).ok().filter(|bytes| !bytes.is_empty())?);
    }
    (!all.is_empty()).then_some(all)
}

/// The same from base64 of PEM, as DescribeCluster and kubeconfigs have it.
pub(crate) fn from_base64(text: &str) -> Option<Vec<Vec<u8>>> {
    let text: String = text.split_whitespace().collect();
    from_pem(&String::from_utf8(STANDARD.decode(text).ok()?).ok()?)
}

/// Whether a certificate says that it signs no others: basic constraints (OID 2.5.29.19) without `cA`
/// (<https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.9>). One without the extension says nothing.
pub(crate) fn is_leaf(der: &[u8]) -> bool {
    const CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
    const TRUE: [u8; 3] = [0x01, 0x01, 0xff];
    let Some(at) = der.windows(CONSTRAINTS.len()).position(|window| window == CONSTRAINTS) else { return false };
    let rest = &der[at + CONSTRAINTS.len()..];
    // the extension may be critical; its value is a sequence in an octet string
    let value = rest.strip_prefix(&TRUE).unwrap_or(rest);
    match value {
        [0x04, _, 0x30, 0x00, ..] => true,
        [0x04, _, 0x30, _, inside @ ..] => !inside.starts_with(&TRUE),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_told_from_an_authority() {
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

    fn pem(der: &[u8], line: &str) -> String {
        format!("{BEGIN}{line}{}{line}{END}{line}", STANDARD.encode(der))
    }

    #[test]
    fn all_certificates_are_read_whatever_stands_between_them() {
        let text = format!("# old\n{}# new\n{}\n", pem(b"one", "\n"), pem(b"two", "\r\n"));
        assert_eq!(from_pem(&text), Some(vec![b"one".to_vec(), b"two".to_vec()]));
        assert_eq!(from_base64(&STANDARD.encode(&text)), from_pem(&text));
    }

    #[test]
    fn what_cannot_be_read_is_no_authority() {
        for text in ["", "text", &format!("{BEGIN}\nb25l\n"), &format!("{BEGIN}\n*\n{END}"), &pem(b"", "\n")] {
            assert_eq!(from_pem(text), None, "{text}");
        }
        assert_eq!(from_base64("*"), None);
    }
}
