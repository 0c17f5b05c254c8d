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

#[cfg(test)]
mod tests {
    use super::*;

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
