//! Evaluates a trust policy for a token. Says which statement decides, or which condition of the nearest statement
//! fails.

use crate::model::evidence::TokenClaims;
use crate::model::quoted::quoted;
use crate::policy::evaluate::{self, Applied, Covered, DecidingCondition, Truth, evaluate};
use crate::policy::pattern::is_wild;
use crate::policy::trust::WITH_WEB_IDENTITY;
use crate::policy::{PolicyDocument, Statement};
use serde_json::Value;

/// The token, and what its evaluation needs.
pub(super) struct Request<'a> {
    pub provider: &'a str,
    /// Host and path of the issuer, with which its condition keys begin.
    pub host_path: &'a str,
    pub claims: &'a TokenClaims,
    /// The statements that the configuration declares verbatim.
    pub declared: &'a [Statement],
}

/// The result for a token. The texts name the statement that decides, or the conditions that fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed(String),
    /// The second value says whether the statement is a declared one.
    Denied(String, bool),
    Undecided(String),
    Refused(String),
}

pub(super) fn evaluate_token(trust: &PolicyDocument, request: &Request<'_>) -> Decision {
    let Request { provider, host_path, claims, declared } = *request;
    let token = evaluate::Request::with_token(provider, host_path, &claims.audiences, &claims.subject);
    let evaluation = evaluate(trust, &token);
    let first = |list: &[Applied<'_>], truth: Truth| {
        list.iter().find(|one| one.found.truth() == truth).map(|one| (one.name(), open(&one.found.open)))
    };
    if let Some(deny) = evaluation.denies.iter().find(|one| one.found.truth() == Truth::True) {
        return Decision::Denied(deny.name(), declared.contains(deny.statement));
    }
    if let Some((name, open)) = first(&evaluation.denies, Truth::Unknown) {
        return Decision::Undecided(format!("{name} denies if {open}"));
    }
    if let Some((name, _)) = first(&evaluation.allows, Truth::True) {
        return Decision::Allowed(name);
    }
    if let Some((name, open)) = first(&evaluation.allows, Truth::Unknown) {
        return Decision::Undecided(format!("{name} allows if {open}"));
    }
    if let Some(nearest) = evaluation.nearest.filter(|nearest| nearest.found.caller) {
        let conditions = nearest.found.failed.iter().map(|one| why_not(one, host_path));
        let failed: Vec<String> = wrong_actions(&nearest).into_iter().chain(conditions).collect();
        if !failed.is_empty() {
            return Decision::Refused(format!("in {}, {}", nearest.name(), failed.join(", and ")));
        }
    }
    let others = quoted(trust.federated_issuers());
    let others = if others.is_empty() { "no issuer".to_owned() } else { others.join(", ") };
    Decision::Refused(format!("no statement trusts `{host_path}` with `{WITH_WEB_IDENTITY}`; it trusts {others}"))
}

/// What is wrong with the actions of a statement that means the caller.
fn wrong_actions(applied: &Applied<'_>) -> Option<String> {
    if applied.found.actions != Covered::Nothing {
        return None;
    }
    let statement = applied.statement.to_value();
    let named = match &statement["Action"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => return Some(format!("`NotAction` leaves out `{WITH_WEB_IDENTITY}`")),
    };
    Some(format!("`Action` is `{}`, not `{WITH_WEB_IDENTITY}`", named.join("`, `")))
}

fn open(conditions: &[DecidingCondition]) -> String {
    let texts = quoted(conditions);
    if texts.is_empty() { "something unknown holds".to_owned() } else { texts.join(" and ") }
}

/// The operator as AWS writes it. Operators that conditions on claims seldom use stay in lower case, which AWS accepts
/// too.
fn written(operator: &str) -> &str {
    match operator {
        "stringequals" => "StringEquals",
        "stringnotequals" => "StringNotEquals",
        "stringequalsignorecase" => "StringEqualsIgnoreCase",
        "stringlike" => "StringLike",
        "stringnotlike" => "StringNotLike",
        other => other,
    }
}

fn why_not(condition: &DecidingCondition, host_path: &str) -> String {
    let DecidingCondition { operator, key, wanted, given } = condition;
    let is_of_token = key.strip_prefix(host_path).is_some_and(|rest| rest.starts_with(':'));
    let given = given.as_deref().unwrap_or_default();
    let shown = written(operator);
    if given.is_empty() && !is_of_token && key.contains('.') {
        return format!("`{shown}` on `{key}` is for another issuer than the token's, `{host_path}`");
    }
    let claim = if is_of_token { key.rsplit_once(':').map_or(key.as_str(), |(_, claim)| claim) } else { key };
    let is_plain = ["stringequals", "stringnotequals"].iter().any(|plain| operator.contains(plain));
    let wild = if is_plain && wanted.iter().any(|value| is_wild(value)) {
        "; `*` and `?` are plain characters there; only `StringLike` reads them as wildcards"
    } else {
        ""
    };
    let wants = if operator.contains("not") { "refuses" } else { "wants" };
    let given = if given.is_empty() { "lacks it".to_owned() } else { format!("has `{}`", given.join("`, `")) };
    format!("`{shown}` on `{claim}` {wants} `{}`, the token {given}{wild}", wanted.join("`, `"))
}

#[cfg(test)]
mod tests;
