//! Checks the signature of a JSON web token with a published key, as STS does. Does no IO.

use crate::model::evidence::KeyNumbers;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;

/// The sizes of an RSA modulus, in bytes, with which ring can check a signature.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Whether the key verifies the token. None if the token has no readable header, or if irsa does not support the key or
/// the algorithm (<https://www.rfc-editor.org/rfc/rfc7518#section-3.1>).
pub(super) fn verifies(token: &str, key: &KeyNumbers) -> Option<bool> {
    let (text, signature) = token.rsplit_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header: Value = serde_json::from_slice(&decode(text.split('.').next()?)?).ok()?;
    let Some(signature) = decode(signature) else { return Some(false) };
    match (header.get("alg")?.as_str()?, key) {
        (_, KeyNumbers::Other) => None,
        (algorithm @ ("RS256" | "RS384" | "RS512"), KeyNumbers::Rsa { modulus, exponent }) => {
            let algorithm = match algorithm {
                "RS256" => &RSA_PKCS1_2048_8192_SHA256,
                "RS384" => &RSA_PKCS1_2048_8192_SHA384,
                _ => &RSA_PKCS1_2048_8192_SHA512,
            };
            let (n, e) = (without_zeros(modulus), without_zeros(exponent));
            let verifies = || RsaPublicKeyComponents { n, e }.verify(algorithm, text.as_bytes(), &signature).is_ok();
            MODULUS.contains(&n.len()).then(verifies)
        }
        (algorithm @ ("ES256" | "ES384"), KeyNumbers::Curve { name, x, y }) => {
            let (algorithm, curve) = match algorithm {
                "ES256" => (&ECDSA_P256_SHA256_FIXED, "P-256"),
                _ => (&ECDSA_P384_SHA384_FIXED, "P-384"),
            };
            // an uncompressed point (SEC 1, section 2.3.3)
            let point = [&[4], x.as_slice(), y].concat();
            Some(name == curve && UnparsedPublicKey::new(algorithm, point).verify(text.as_bytes(), &signature).is_ok())
        }
        ("RS256" | "RS384" | "RS512" | "ES256" | "ES384", _) => Some(false),
        _ => None,
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests;
