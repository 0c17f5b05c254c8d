//! `trust`: the live trust policy, evaluated against the claims of the token: which statement lets it in, or which
//! condition of the nearest one fails.

mod evaluate_token;

use super::case::Case;
use super::{Status, Verdict};
use crate::ids::{IssuerUrl, ProviderArn};
use crate::model::evidence::TokenClaims;
use crate::model::live::{LiveRole, Observed};
use crate::policy::Statement;
use crate::policy::pattern::matches;
use crate::policy::trust::SUBJECT_PREFIX;
use evaluate_token::{Decision, Request};

/// The ServiceAccounts that the row of a pattern names.
const NAMED: usize = 10;
/// What `*` of a pattern stands for in the names that the trust policy is evaluated with: one character, and several kinds.
const EXAMPLES: [&str; 2] = ["x", "any-name-0"];
const REPAIR: &str = "run `irsa apply`, which writes the declared trust policy; `irsa plan` shows the difference";

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    if let Some(why) = case.no_cluster() {
        return Verdict::not_applicable(why);
    }
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
        return pattern(case, role, issuer);
    }
    // without a token, the claims follow from the declaration
    let expected = || claims_of(case, issuer, case.chain.binding.subject.claim());
    let claims = case.claims().cloned().unwrap_or_else(expected);
    token(case, role, &claims)
}

/// The claims of a token of this subject, as the declaration has them.
fn claims_of(case: &Case<'_>, issuer: &IssuerUrl, subject: String) -> TokenClaims {
    let audiences = vec![case.audience().to_owned()];
    TokenClaims { issuer: issuer.to_string(), subject, audiences, key_id: String::new() }
}

/// Whether the live trust policy lets a token with these claims in.
fn token(case: &Case<'_>, role: &LiveRole, claims: &TokenClaims) -> Verdict {
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
        &Request { provider: provider.as_str(), host_path: issuer.host_path(), claims, declared },
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
            let hint = if case.other_audience().is_some() { super::OTHER_AUDIENCE } else { REPAIR };
            Verdict::failed(format!("the trust policy of `{}` does not let the token in: {why}", role.arn), hint)
        }
    }
}

/// Whether the live trust policy lets in what a pattern stands for: names of our own, and the ServiceAccounts in the cluster
/// that match it, as `StringLike` reads it.
fn pattern(case: &Case<'_>, role: &LiveRole, issuer: &IssuerUrl) -> Verdict {
    let pattern = case.chain.binding.subject.claim();
    let all = case.live_cluster.service_accounts.keys().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
    let live: Vec<(String, String)> = all
        .map(|(namespace, name)| (format!("{SUBJECT_PREFIX}{namespace}:{name}"), format!("`{namespace}/{name}`")))
        .filter(|(subject, _)| matches(&pattern, subject))
        .collect();
    let judged = |subject: &str| token(case, role, &claims_of(case, issuer, subject.to_owned()));
    let examples = EXAMPLES.map(|example| pattern.replace('*', example));
    if let Some(verdict) = examples.iter().map(|subject| judged(subject)).find(|one| one.status != Status::Ok) {
        let text = format!("for a ServiceAccount that matches `{pattern}`: {}", verdict.text);
        return Verdict { text, ..verdict };
    }
    let broken = live
        .iter()
        .find_map(|(subject, name)| Some((name, judged(subject))).filter(|(_, one)| one.status != Status::Ok));
    if let Some((name, verdict)) = broken {
        let text = format!("for {name}, which matches `{pattern}`: {}", verdict.text);
        return Verdict { text, ..verdict };
    }
    let lets_in = format!("the trust policy of `{}` lets in what matches `{pattern}`", role.arn);
    if !case.live_cluster.extent.shows_missing() {
        let unread = "the ServiceAccounts in the cluster that it matches were not all read";
        return if role.role.trust.statements().iter().any(Statement::denies) {
            Verdict::unknown(format!("{lets_in}, but it also denies, and {unread}"))
        } else {
            Verdict::ok(format!("{lets_in}; {unread}"))
        };
    }
    let more = live.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let names: Vec<&str> = live.iter().take(NAMED).map(|(_, name)| name.as_str()).collect();
    let shown = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Verdict::ok(format!("{lets_in}; of the ServiceAccounts in the cluster it matches {shown}{more}"))
}
