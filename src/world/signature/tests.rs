use super::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

/// A key on P-256, and the numbers that it publishes.
fn curve_key() -> (EcdsaKeyPair, KeyNumbers) {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let numbers = KeyNumbers::Curve { name: "P-256".to_owned(), x: x.to_vec(), y: y.to_vec() };
    (pair, numbers)
}

fn token(algorithm: &str, pair: &EcdsaKeyPair) -> String {
    let encode = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    let header = json!({"alg": algorithm, "kid": "k"}).to_string();
    let text = format!("{}.{}", encode(header.as_bytes()), encode(b"{\"sub\":\"x\"}"));
    let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", encode(signature.as_ref()))
}

#[test]
fn only_the_key_that_signed_verifies() {
    let (pair, numbers) = curve_key();
    let (_, other) = curve_key();
    let good = token("ES256", &pair);
    assert_eq!(verifies(&good, &numbers), Some(true));
    assert_eq!(verifies(&good, &other), Some(false));
    let forged =
        good.replacen(&URL_SAFE_NO_PAD.encode(b"{\"sub\":\"x\"}"), &URL_SAFE_NO_PAD.encode(b"{\"sub\":\"y\"}"), 1);
    assert_ne!(forged, good);
    assert_eq!(verifies(&forged, &numbers), Some(false));
    assert_eq!(verifies(&format!("{}.*", good.rsplit_once('.').unwrap().0), &numbers), Some(false));
    // a key of another kind under the token's id
    let rsa = KeyNumbers::Rsa { modulus: vec![0xff; 256], exponent: vec![1, 0, 1] };
    assert_eq!(verifies(&good, &rsa), Some(false));
    assert_eq!(verifies(&token("RS256", &pair), &numbers), Some(false));
    assert_eq!(verifies(&token("RS256", &pair), &rsa), Some(false));
}

#[test]
fn unknown_keys_and_algorithms_are_not_judged() {
    let (pair, numbers) = curve_key();
    assert_eq!(verifies(&token("ES256", &pair), &KeyNumbers::Other), None);
    assert_eq!(verifies(&token("ES512", &pair), &numbers), None);
    let short = KeyNumbers::Rsa { modulus: vec![0xff; 128], exponent: vec![1, 0, 1] };
    assert_eq!(verifies(&token("RS256", &pair), &short), None);
    for text in ["", "a.b", "e30.e30.e30"] {
        assert_eq!(verifies(text, &numbers), None, "{text}");
    }
}
