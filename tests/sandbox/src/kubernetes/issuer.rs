//! The issuer of a cluster's ServiceAccount tokens: its signing key, its tokens and its discovery documents.
//!
//! Tokens are signed with RS256. As in kube-apiserver, the key id is the digest of the public key:
//! <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>.
//! Parsing a token does not verify it; callers must verify it before they trust it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// An issuer and the API server that publishes its key.
#[derive(Debug, Clone)]
pub(crate) struct Issuer {
    /// The issuer URL, which tokens contain as `iss`.
    pub(crate) url: String,
    pub(crate) key: Arc<IssuerKey>,
    /// The URL of the API server that publishes the key. Set once the server listens.
    endpoint: OnceLock<String>,
}

impl Issuer {
    pub(crate) fn new(url: String) -> Self {
        Self { url, key: Arc::default(), endpoint: OnceLock::new() }
    }

    /// Sets, once, the URL of the API server that publishes the key.
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

/// RSA private keys in PKCS#1 DER format, created for the sandbox. They protect nothing. Issuers use them in turn, so
/// that consecutive issuers have different keys and no test waits for key generation.
const KEYS: [&[u8]; 4] = [
    include_bytes!("keys/1.der"),
    include_bytes!("keys/2.der"),
    include_bytes!("keys/3.der"),
    include_bytes!("keys/4.der"),
];

/// The X.509 prefix of a 2,048 bit RSA public key: the algorithm and the bit string header
/// (<https://www.rfc-editor.org/rfc/rfc3279#section-2.3.1>).
const X509: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    0x03, 0x82, 0x01, 0x0f, 0x00,
];

/// An issuer's signing key, parsed when it is first needed.
pub(crate) struct IssuerKey {
    der: &'static [u8],
    pair: OnceLock<Option<RsaKeyPair>>,
}

impl Default for IssuerKey {
    fn default() -> Self {
        static NEXT_KEY: AtomicUsize = AtomicUsize::new(0);
        let turn = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        Self { der: KEYS[turn % KEYS.len()], pair: OnceLock::new() }
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuerKey")
    }
}

impl IssuerKey {
    fn pair(&self) -> Option<&RsaKeyPair> {
        self.pair.get_or_init(|| RsaKeyPair::from_der(self.der).ok()).as_ref()
    }

    /// The `kid`: the digest of the public key in X.509 format.
    fn id(pair: &RsaKeyPair) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::new().chain_update(X509).chain_update(pair.public_key()).finalize())
    }

    /// Signs a token with these claims. None if the machine cannot create a signature.
    pub(crate) fn sign(&self, claims: &Value) -> Option<String> {
        let pair = self.pair()?;
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&json!({"alg": "RS256", "kid": Self::id(pair)})), encode(claims));
        let mut signature = vec![0; pair.public().modulus_len()];
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
        let key = self.pair().map(|pair| {
            let public: PublicKeyComponents<Vec<u8>> = pair.public().into();
            json!({
                "use": "sig", "kty": "RSA", "kid": Self::id(pair), "alg": "RS256",
                "n": URL_SAFE_NO_PAD.encode(public.n), "e": URL_SAFE_NO_PAD.encode(public.e),
            })
        });
        json!({"keys": key.into_iter().collect::<Vec<_>>()})
    }
}

/// A parsed but unverified token.
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

    /// Whether a published key verifies the token: RS256, or ES256 as kube-apiserver signs with a key on P-256.
    pub(crate) fn is_signed_by(&self, key: &Value) -> bool {
        let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap_or_default()).unwrap_or_default();
        let text = self.text.as_bytes();
        let verified = match (self.header["alg"].as_str(), key["kty"].as_str()) {
            _ if self.header["kid"] != key["kid"] => return false,
            (Some("RS256"), Some("RSA")) => RsaPublicKeyComponents { n: number("n"), e: number("e") }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                text,
                &self.signature,
            ),
            (Some("ES256"), Some("EC")) => {
                let point = [vec![4], number("x"), number("y")].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, &self.signature)
            }
            _ => return false,
        };
        verified.is_ok()
    }

    pub(crate) fn audiences(&self) -> Vec<&str> {
        match &self.claims["aud"] {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        }
    }
}
