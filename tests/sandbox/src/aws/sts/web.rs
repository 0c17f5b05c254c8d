//! AssumeRoleWithWebIdentity: a ServiceAccount's token for a role's session.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>. AWS fetches the issuer's
//! keys from the Internet; here an issuer is a cluster that runs, and its key is asked for in process. A token that
//! does not verify opens nothing.

use super::evaluate::Facts;
use super::{Wish, access_denied, write};
use crate::aws::Aws;
use crate::aws::iam::{Answer, Checks};
use crate::aws::query::{AwsError, Params};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fmt;
use std::sync::OnceLock;

/// The key that an issuer signs with, made when it is first needed.
#[derive(Default)]
pub(crate) struct IssuerKey(OnceLock<Option<RsaKeyPair>>);

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuerKey")
    }
}

impl IssuerKey {
    fn pair(&self) -> Option<&RsaKeyPair> {
        self.0.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).ok()).as_ref()
    }

    /// A signed token with these claims; None if the machine cannot make one.
    pub(crate) fn sign(&self, claims: &Value) -> Option<String> {
        let pair = self.pair()?;
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&json!({"alg": "RS256", "typ": "JWT"})), encode(claims));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn verifies(&self, token: &Token<'_>) -> bool {
        self.pair().is_some_and(|pair| {
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
            token.header["alg"] == "RS256" && key.verify(token.text.as_bytes(), &token.signature).is_ok()
        })
    }
}

/// A token, read but not believed.
struct Token<'a> {
    text: &'a str,
    header: Value,
    claims: Value,
    signature: Vec<u8>,
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidIdentityToken", message)
}

fn missing(claim: &str) -> AwsError {
    invalid(format!("Missing a required claim: {claim}"))
}

impl<'a> Token<'a> {
    fn read(token: &'a str) -> Option<Self> {
        let (text, signature) = token.rsplit_once('.')?;
        let (header, claims) = text.split_once('.')?;
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { text, header: json(header)?, claims: json(claims)?, signature })
    }

    fn claim(&self, name: &str) -> Result<&str, AwsError> {
        self.claims[name].as_str().ok_or_else(|| missing(name))
    }

    /// Times are whole numbers.
    fn time(&self, name: &str) -> Result<i64, AwsError> {
        self.claims[name].as_i64().ok_or_else(|| missing(name))
    }

    fn audiences(&self) -> Result<Vec<&str>, AwsError> {
        let audiences: Vec<&str> = match &self.claims["aud"] {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        if audiences.is_empty() { Err(missing("aud")) } else { Ok(audiences) }
    }

    /// AWS documents IDPRejectedClaim as a claim that is not valid, and does not say which ones it means; here it is a
    /// token before its time.
    fn in_force(&self, now: i64) -> Result<(), AwsError> {
        let expires = self.time("exp")?;
        if expires <= now {
            let text =
                format!("Token expired: current date/time {now} must be before the expiration date/time {expires}");
            return Err(AwsError::new(400, "ExpiredTokenException", text));
        }
        match self.claims["nbf"].as_i64() {
            Some(begins) if begins > now => {
                Err(AwsError::new(403, "IDPRejectedClaim", format!("The token is not valid before {begins}")))
            }
            _ => Ok(()),
        }
    }
}

impl Aws {
    pub(super) fn assume_role_with_web_identity(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let wish = Wish::read(&mut checks);
        let token = checks.required("WebIdentityToken", 4, 20_000);
        checks.finish()?;
        let token = Token::read(token).ok_or_else(|| {
            invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
        })?;
        let (issuer, subject, audiences) = (token.claim("iss")?, token.claim("sub")?, token.audiences()?);
        let host_path = issuer
            .strip_prefix("https://")
            .ok_or_else(|| invalid("Issuer must be a valid URL that begins with https"))?;
        let found = wish.role(self)?;
        let Some((account, role)) = found else { return Err(not_authorized()) };
        let provider = account
            .iam()
            .provider(host_path)
            .ok_or_else(|| invalid(format!("No OpenIDConnect provider found in your account for {issuer}")))?;
        let key = self.eks.issuer_key(issuer).ok_or_else(|| {
            invalid(
                "Couldn't retrieve verification key from your identity provider,  please reference \
                 AssumeRoleWithWebIdentity documentation for requirements",
            )
        })?;
        if !key.verifies(&token) {
            return Err(invalid("The ID Token provided is not signed by the identity provider"));
        }
        token.in_force((self.clock)().as_second())?;
        if !audiences.iter().any(|audience| provider.client_ids.iter().any(|known| known == audience)) {
            return Err(invalid("Incorrect token audience"));
        }
        let mut facts = Facts::federated(&provider.arn);
        facts.set(&format!("{host_path}:sub"), [subject]);
        facts.set(&format!("{host_path}:aud"), audiences.iter().copied());
        facts.set("sts:RoleSessionName", [wish.session]);
        if !facts.allowed_by(&role.trust, "sts:AssumeRoleWithWebIdentity") {
            return Err(not_authorized());
        }
        wish.fits(&role, false)?;
        let mut xml = write(&wish.grant(self, &account, &role));
        xml.element("SubjectFromWebIdentityToken", subject)
            .element("Audience", audiences.join(","))
            .element("Provider", &provider.arn);
        Ok(Some(xml))
    }
}

fn not_authorized() -> AwsError {
    access_denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
}
