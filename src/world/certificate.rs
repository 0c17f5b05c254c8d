//! Reads and writes PEM, and says whether a certificate is marked as not an authority. Does no IO.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The certificates of a PEM text in DER. None if it has none, or if one of them cannot be read.
pub(crate) fn from_pem(text: &str) -> Option<Vec<Vec<u8>>> {
    let certificates = sections(text).filter(|(label, _)| *label == "CERTIFICATE");
    let all: Option<Vec<Vec<u8>>> = certificates
        .map(|(_, rest)| decode(rest.split_once("-----END CERTIFICATE-----")?.0).filter(|der| !der.is_empty()))
        .collect();
    all.filter(|all| !all.is_empty())
}

/// The sections of a PEM text, of any kind: the label of each, and the text after its first line.
pub(crate) fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("-----BEGIN ").skip(1).filter_map(|section| section.split_once("-----"))
}

/// Decodes base64 that may have line breaks.
pub(crate) fn decode(base64: &str) -> Option<Vec<u8>> {
    let base64: String = base64.split_whitespace().collect();
    STANDARD.decode(base64).ok()
}

/// Like `from_pem`, from base64 of PEM: the form in DescribeCluster and kubeconfigs.
pub(crate) fn from_base64(text: &str) -> Option<Vec<Vec<u8>>> {
    from_pem(&decode_text(text)?)
}

/// Decodes base64 that may have line breaks to text.
pub(crate) fn decode_text(base64: &str) -> Option<String> {
    String::from_utf8(decode(base64)?).ok()
}

/// One section of PEM.
pub(crate) fn to_pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// Whether the certificate is marked as not an authority: its basic constraints (OID 2.5.29.19) lack `cA`
/// (<https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.9>). False for a certificate without the extension.
pub(crate) fn is_leaf(der: &[u8]) -> bool {
    const CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
    const TRUE: [u8; 3] = [0x01, 0x01, 0xff];
    let Some(at) = der.windows(CONSTRAINTS.len()).position(|window| window == CONSTRAINTS) else { return false };
    let rest = &der[at + CONSTRAINTS.len()..];
    // the extension may be critical; its value is a sequence in an octet string
    match rest.strip_prefix(&TRUE).unwrap_or(rest) {
        [0x04, _, 0x30, 0x00, ..] => true,
        [0x04, _, 0x30, _, inside @ ..] => !inside.starts_with(&TRUE),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
