//! `trust`: the live trust policy, evaluated against the claims of the token: which statement lets it in, or which
//! condition of the nearest one fails.

mod evaluate_token;

use super::Verdict;
use super::case::Case;
use crate::ids::{IssuerUrl, ProviderArn};
use crate::model::evidence::TokenClaims;
use crate::model::live::Observed;
use crate::policy::pattern::matches;
use crate::policy::trust::SUBJECT_PREFIX;
use evaluate_token::{Decision, Request};

/// The ServiceAccounts that the row of a pattern names.
const NAMED: usize = 10;
const REPAIR: &str = "run `irsa apply`, which writes the declared trust policy; `irsa plan` shows the difference";

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let role = match &case.role {
        Observed::Present(role) => role,
        Observed::Absent => {
            return Verdict::failed(
                format!("account `{}` has no role `{}`", case.chain.role.account, case.chain.role.name),
                "run `irsa apply`, which creates it",
            );
        }
        Observed::Unknown(why) => return Verdict::unknown(why.clone()),
    };
    let Some(issuer) = case.issuer() else { return Verdict::unknown("the issuer is not known") };
    if case.chain.key().is_none() {
        return Verdict::not_applicable(pattern(case));
    }
    // without a token, the claims follow from the declaration
    let expected = || TokenClaims {
        issuer: issuer.to_string(),
        subject: case.chain.binding.subject.claim(),
        audiences: vec![case.audience().to_owned()],
        key_id: String::new(),
    };
    let claims = case.claims().cloned().unwrap_or_else(expected);
    let Ok(issuer) = IssuerUrl::parse(&claims.issuer) else {
        return Verdict::unknown(format!("the token's issuer `{}` has no provider ARN", claims.issuer));
    };
    let provider = ProviderArn::of(&case.account.partition, &case.account.id, &issuer);
    let trust = &role.role.trust;
    if let Some(problem) = trust.problem() {
        return Verdict::unknown(format!("irsa does not understand the trust policy of `{}`: {problem}", role.arn));
    }
    let declared = case.chain.role.extra_trust.as_slice();
    match evaluate_token::evaluate_token(
        trust,
        &Request { provider: provider.as_str(), host_path: issuer.host_path(), claims: &claims, declared },
    ) {
        Decision::Allowed(statement) => Verdict::ok(format!("{statement} lets `{}` in", claims.subject)),
        Decision::Denied(name, is_declared) => {
            let what = format!("{name} of the trust policy of `{}` denies `{}`", role.arn, claims.subject);
            // apply would write a declared one again
            if is_declared {
                let key = case.chain.role_key;
                let hint =
                    format!("`[[roles.{key}.trust]]` declares it: narrow or remove it there, then run `irsa apply`");
                Verdict::failed(what, hint)
            } else {
                Verdict::failed(what, REPAIR)
            }
        }
        Decision::Undecided(why) => Verdict::unknown(format!("the trust policy of `{}`: {why}", role.arn)),
        Decision::Refused(why) => {
            Verdict::failed(format!("the trust policy of `{}` does not let the token in: {why}", role.arn), REPAIR)
        }
    }
}

/// Which live ServiceAccounts a pattern matches, as `StringLike` reads it.
fn pattern(case: &Case<'_>) -> String {
    let unread = "a pattern has no token to evaluate it with; the ServiceAccounts that it matches were not all read";
    if !case.live_cluster.extent.shows_missing() {
        return unread.to_owned();
    }
    let pattern = case.chain.binding.subject.claim();
    let all = case.live_cluster.service_accounts.keys().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
    let names: Vec<String> = all
        .filter(|(namespace, name)| matches(&pattern, &format!("{SUBJECT_PREFIX}{namespace}:{name}")))
        .map(|(namespace, name)| format!("`{namespace}/{name}`"))
        .collect();
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = if names.is_empty() { "none".to_owned() } else { names[..names.len().min(NAMED)].join(", ") };
    format!(
        "a pattern has no token to evaluate it with; of the ServiceAccounts in the cluster it matches {shown}{more}"
    )
}
