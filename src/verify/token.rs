//! `token`: TokenRequest with the audience gives a token with the claims that the trust policy expects.

use super::Verdict;
use super::case::Case;
use crate::ids::IssuerUrl;
use crate::model::live::Observed;

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    if let Err(verdict) = case.service_account() {
        return verdict;
    }
    let Some(evidence) = case.token else { return Verdict::unknown("no token was asked for") };
    let claims = match &evidence.token {
        Observed::Present(claims) => claims,
        Observed::Unknown(why) => return Verdict::unknown(why.clone()),
        Observed::Absent => return Verdict::unknown("no token was issued"),
    };
    let subject = case.chain.binding.subject.claim();
    let audience = &evidence.audience;
    let issuer = case.issuer().map(IssuerUrl::as_str);
    let differs = if issuer.is_some_and(|issuer| issuer != claims.issuer) {
        format!("`iss` is `{}`", claims.issuer)
    } else if claims.subject != subject {
        format!("`sub` is `{}`, not `{subject}`", claims.subject)
    } else if !claims.audiences.contains(audience) {
        format!("`aud` is `{}`, not `{audience}`", claims.audiences.join("`, `"))
    } else {
        return Verdict::ok(format!("a token of `{subject}` for `{audience}`"));
    };
    Verdict::failed(
        format!("the API issues a token with other claims: {differs}"),
        "look at `--service-account-issuer` and `--api-audiences` of the API server, and at proxies in front of it",
    )
}
