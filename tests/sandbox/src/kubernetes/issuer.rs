//! The issuer of a cluster's ServiceAccount tokens: its key, what it signs, and what it publishes of itself.
//!
//! Tokens are signed with RS256, and the key is called by the digest of its public half, as kube-apiserver calls it:
//! <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>.
//! A token that is read here is not believed before it is verified.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// An issuer, and where its cluster's API is.
#[derive(Debug, Clone)]
pub(crate) struct Issuer {
    /// What tokens say in `iss`.
    pub(crate) url: String,
    pub(crate) key: Arc<IssuerKey>,
    /// The API server that publishes the key; known once it listens.
    endpoint: OnceLock<String>,
}

impl Issuer {
    pub(crate) fn new(url: String) -> Self {
        Self { url, key: Arc::default(), endpoint: OnceLock::new() }
    }

    /// Says once where the key is published.
    pub(crate) fn publish_at(&self, endpoint: String) {
        self.endpoint.get_or_init(|| endpoint);
    }

    /// `/.well-known/openid-configuration`
    pub(crate) fn configuration(&self) -> Value {
        let endpoint = self.endpoint.get().map_or("", String::as_str);
        json!({
            "issuer": self.url, "jwks_uri": format!("{endpoint}/openid/v1/jwks"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }
}

/// The key that an issuer signs with, made when it is first needed.
#[derive(Default)]
pub(crate) struct IssuerKey(OnceLock<Option<RsaKeyPair>>);

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuerKey")
    }
}

/// The first value of a DER encoding, and what follows it.
fn value(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (bytes.iter().try_fold(0_usize, |length, byte| length.checked_mul(256)?.checked_add(usize::from(*byte)))?, rest)
    };
    rest.split_at_checked(length)
}

/// A number as in a key set: big-endian, without the zero that DER puts before a high first bit.
fn number(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes.strip_prefix(&[0]).unwrap_or(bytes))
}

impl IssuerKey {
    fn pair(&self) -> Option<&RsaKeyPair> {
        self.0.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).ok()).as_ref()
    }

    /// `kid`: the digest of the public key in its X.509 form.
    fn id(pair: &RsaKeyPair) -> Option<String> {
        let public = pair.public_key().as_der().ok()?;
        Some(URL_SAFE_NO_PAD.encode(Sha256::digest(public.as_ref())))
    }

    /// A signed token with these claims; None if the machine cannot make one.
    pub(crate) fn sign(&self, claims: &Value) -> Option<String> {
        let pair = self.pair()?;
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&json!({"alg": "RS256", "kid": Self::id(pair)?})), encode(claims));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    pub(crate) fn verifies(&self, token: &Token<'_>) -> bool {
        self.pair().is_some_and(|pair| {
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
            token.header["alg"] == "RS256" && key.verify(token.text.as_bytes(), &token.signature).is_ok()
        })
    }

    /// `/openid/v1/jwks`: <https://www.rfc-editor.org/rfc/rfc7517>, <https://www.rfc-editor.org/rfc/rfc7518#section-6.3>.
    pub(crate) fn key_set(&self) -> Value {
        let key = self.pair().and_then(|pair| {
            let (sequence, _) = value(pair.public_key().as_ref())?;
            let (modulus, rest) = value(sequence)?;
            let (exponent, _) = value(rest)?;
            Some(json!({
                "use": "sig", "kty": "RSA", "kid": Self::id(pair)?, "alg": "RS256",
                "n": number(modulus), "e": number(exponent),
            }))
        });
        json!({"keys": key.into_iter().collect::<Vec<_>>()})
    }
}

/// A token, read but not believed.
pub(crate) struct Token<'a> {
    text: &'a str,
    header: Value,
    pub(crate) claims: Value,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(crate) fn read(token: &'a str) -> Option<Self> {
        let (text, signature) = token.rsplit_once('.')?;
        let (header, claims) = text.split_once('.')?;
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { text, header: json(header)?, claims: json(claims)?, signature })
    }

    pub(crate) fn audiences(&self) -> Vec<&str> {
        match &self.claims["aud"] {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        }
    }
}
