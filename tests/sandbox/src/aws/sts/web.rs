//! AssumeRoleWithWebIdentity: exchanges a ServiceAccount token for a role session.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>. AWS fetches the issuer's
//! keys from the Internet. Here an issuer is a running cluster, whose key is read directly, or one whose documents were
//! published. A token that fails verification is rejected.

use super::{Wish, access_denied, write};
use crate::aws::Aws;
use crate::aws::evaluate::Facts;
use crate::aws::iam::{Answer, Checks};
use crate::aws::query::{AwsError, Params};
use crate::kubernetes::Token;

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidIdentityToken", message)
}

fn missing(claim: &str) -> AwsError {
    invalid(format!("Missing a required claim: {claim}"))
}

fn claim<'a>(token: &'a Token<'_>, name: &str) -> Result<&'a str, AwsError> {
    token.claims[name].as_str().ok_or_else(|| missing(name))
}

/// Checks the validity period. AWS documents IDPRejectedClaim for an invalid claim but does not say which claims it
/// means; the sandbox returns it for a token that is not valid yet.
fn check_validity_period(token: &Token<'_>, now: i64) -> Result<(), AwsError> {
    let expires = token.claims["exp"].as_i64().ok_or_else(|| missing("exp"))?;
    if expires <= now {
        let text = format!("Token expired: current date/time {now} must be before the expiration date/time {expires}");
        return Err(AwsError::new(400, "ExpiredTokenException", text));
    }
    match token.claims["nbf"].as_i64() {
        Some(begins) if begins > now => {
            Err(AwsError::new(403, "IDPRejectedClaim", format!("The token is not valid before {begins}")))
        }
        _ => Ok(()),
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
        let (issuer, subject, audiences) = (claim(&token, "iss")?, claim(&token, "sub")?, token.audiences());
        if audiences.is_empty() {
            return Err(missing("aud"));
        }
        let host_path = issuer
            .strip_prefix("https://")
            .ok_or_else(|| invalid("Issuer must be a valid URL that begins with https"))?;
        let found = wish.role(self)?;
        let Some((account, role)) = found else { return Err(not_authorized()) };
        let provider = account
            .iam()
            .provider(host_path)
            .ok_or_else(|| invalid(format!("No OpenIDConnect provider found in your account for {issuer}")))?;
        let (key, published) = (self.eks.issuer_key(issuer), self.published_keys(issuer));
        if key.is_none() && published.is_empty() {
            return Err(invalid(
                "Couldn't retrieve verification key from your identity provider,  please reference \
                 AssumeRoleWithWebIdentity documentation for requirements",
            ));
        }
        let verifies =
            key.map_or_else(|| published.iter().any(|key| token.is_signed_by(key)), |key| key.verifies(&token));
        if !verifies {
            return Err(invalid("The ID Token provided is not signed by the identity provider"));
        }
        check_validity_period(&token, (self.clock)().as_second())?;
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
