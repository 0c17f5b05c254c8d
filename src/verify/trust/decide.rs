//! Evaluates a trust policy for one token (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>).
//!
//! Known are the provider, the action and the claims `sub` and `aud`. Conditions on anything else, and operators that
//! need more, are undecided. An undecided condition never turns into yes or no.

use crate::model::evidence::TokenClaims;
use crate::policy::canonical::{CanonicalStatement, Choice, Principal, Quantifier, condition_key};
use crate::policy::condition::{Condition, conditions};
use crate::policy::pattern::{covers, is_wild, matches};
use crate::policy::{PolicyDocument, Statement};

const ACTION: &str = "sts:assumerolewithwebidentity";

/// A token at the door.
pub(super) struct Request<'a> {
    pub provider: &'a str,
    /// Host and path of the issuer, with which its condition keys begin.
    pub host_path: &'a str,
    pub claims: &'a TokenClaims,
}

/// What a trust policy says to a token. The texts name the statement, or what fails.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed(String),
    Denied(String),
    Undecided(String),
    Refused(String),
}

/// One of the two answers, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    Unknown,
}

pub(super) fn decide(trust: &PolicyDocument, request: &Request<'_>) -> Decision {
    let all: Vec<(String, &Statement, Answer, Vec<String>)> = trust
        .statements()
        .iter()
        .enumerate()
        .filter(|(_, statement)| has_action(statement.canonical()))
        .map(|(number, statement)| {
            let (answer, failing) = of_statement(statement.canonical(), request);
            (name(number, statement), statement, answer, failing)
        })
        .collect();
    let denies = |answer: Answer| all.iter().find(move |(_, one, of, _)| one.denies() && *of == answer);
    let allows = |answer: Answer| all.iter().find(move |(_, one, of, _)| !one.denies() && *of == answer);
    if let Some((name, ..)) = denies(Answer::Yes) {
        return Decision::Denied(name.clone());
    }
    if let Some((name, .., open)) = denies(Answer::Unknown) {
        return Decision::Undecided(format!("{name} denies if {}", open.join(" and ")));
    }
    if let Some((name, ..)) = allows(Answer::Yes) {
        return Decision::Allowed(name.clone());
    }
    if let Some((name, .., open)) = allows(Answer::Unknown) {
        return Decision::Undecided(format!("{name} allows if {}", open.join(" and ")));
    }
    let near = all.iter().filter(|(_, one, ..)| !one.denies() && trusts(one.canonical(), request.provider));
    match near.min_by_key(|(.., failing)| failing.len()) {
        Some((name, .., failing)) => Decision::Refused(format!("in {name}, {}", failing.join(", and "))),
        None => {
            let others = trust.federated_issuers();
            let others: Vec<String> = others.iter().map(|issuer| format!("`{issuer}`")).collect();
            let others = if others.is_empty() { "no issuer".to_owned() } else { others.join(", ") };
            Decision::Refused(format!("no statement trusts `{}`; it trusts {others}", request.host_path))
        }
    }
}

fn name(number: usize, statement: &Statement) -> String {
    match statement.sid() {
        Some(sid) => format!("statement `{sid}`"),
        None => format!("statement {}", number + 1),
    }
}

fn has_action(statement: &CanonicalStatement) -> bool {
    let named = statement.actions.items().iter().any(|action| matches(action, ACTION));
    match statement.actions {
        Choice::Only(_) => named,
        Choice::AllBut(_) => !named,
    }
}

fn trusts(statement: &CanonicalStatement, provider: &str) -> bool {
    let is_it = |principal: &Principal| match principal {
        Principal::Federated(text) => text == provider,
        Principal::Aws(text) => text == "*",
        Principal::CanonicalUser(_) | Principal::Service(_) => false,
    };
    match &statement.principals {
        None => false,
        Some(Choice::Only(all)) => all.iter().any(is_it),
        Some(Choice::AllBut(all)) => !all.iter().any(is_it),
    }
}

/// Whether a statement applies. With `No` the conditions that fail, with `Unknown` those that are open.
fn of_statement(statement: &CanonicalStatement, request: &Request<'_>) -> (Answer, Vec<String>) {
    if !trusts(statement, request.provider) {
        return (Answer::No, vec!["the principal is another".to_owned()]);
    }
    let mut failing = Vec::new();
    let mut open = Vec::new();
    for condition in conditions(statement) {
        match of_condition(&condition, request) {
            Answer::Yes => {}
            Answer::No => failing.push(why_not(&condition, request)),
            Answer::Unknown => open.push(format!("`{}`", shown(&condition))),
        }
    }
    match (failing.is_empty(), open.is_empty()) {
        (false, _) => (Answer::No, failing),
        (true, false) => (Answer::Unknown, open),
        (true, true) => (Answer::Yes, Vec::new()),
    }
}

/// The values of the key in this request. None for a key that is not known.
fn values<'r>(key: &str, request: &Request<'r>) -> Option<Vec<&'r str>> {
    let is_claim = |claim: &str| key == condition_key(&format!("{}:{claim}", request.host_path));
    if is_claim("sub") {
        Some(vec![request.claims.subject.as_str()])
    } else if is_claim("aud") {
        Some(request.claims.audiences.iter().map(String::as_str).collect())
    } else {
        None
    }
}

/// The host and path of an issuer whose `sub` or `aud` the key names, if it is not the token's: then the key is absent.
fn is_claim_of_another(key: &str, request: &Request<'_>) -> bool {
    let Some((issuer, claim)) = key.rsplit_once(':') else { return false };
    let host = issuer.split('/').next().unwrap_or_default();
    matches!(claim, "sub" | "aud") && host.contains('.') && values(key, request).is_none()
}

fn of_condition(condition: &Condition<'_>, request: &Request<'_>) -> Answer {
    let operator = condition.operator;
    let negated = operator.base.contains("not");
    let answer = |holds: bool| if holds { Answer::Yes } else { Answer::No };
    let Some(found) = values(condition.key, request) else {
        if !is_claim_of_another(condition.key, request) {
            return Answer::Unknown;
        }
        let may_be_absent = operator.if_exists || operator.quantifier == Quantifier::ForAllValues || negated;
        let is_null = operator.base == "null" && condition.values.iter().any(|value| value == "true");
        return answer(may_be_absent || is_null);
    };
    if operator.base == "null" {
        return answer(condition.values.iter().any(|value| value == "false"));
    }
    if condition.values.iter().any(|value| value.contains("${")) {
        return Answer::Unknown;
    }
    let compare: fn(&str, &str) -> bool = match operator.base.as_str() {
        "stringequals" | "stringnotequals" => |wanted, found| wanted == found,
        "stringequalsignorecase" | "stringnotequalsignorecase" => |wanted, found| wanted.eq_ignore_ascii_case(found),
        "stringlike" | "stringnotlike" => covers,
        _ => return Answer::Unknown,
    };
    let one = |found: &&str| condition.values.iter().any(|wanted| compare(wanted, found)) != negated;
    match operator.quantifier {
        Quantifier::ForAllValues => answer(found.iter().all(one)),
        Quantifier::ForAnyValue => answer(found.iter().any(one)),
        // a negated operator must hold for every value
        Quantifier::One if negated => answer(found.iter().all(one)),
        Quantifier::One => answer(found.iter().any(one)),
    }
}

fn shown(condition: &Condition<'_>) -> String {
    format!("{} {} {}", written(&condition.operator.base), condition.key, condition.values.join(", "))
}

/// The operator as AWS writes it.
fn written(base: &str) -> &str {
    match base {
        "stringequals" => "StringEquals",
        "stringnotequals" => "StringNotEquals",
        "stringequalsignorecase" => "StringEqualsIgnoreCase",
        "stringnotequalsignorecase" => "StringNotEqualsIgnoreCase",
        "stringlike" => "StringLike",
        "stringnotlike" => "StringNotLike",
        "null" => "Null",
        other => other,
    }
}

fn why_not(condition: &Condition<'_>, request: &Request<'_>) -> String {
    let (operator, key) = (written(&condition.operator.base), condition.key);
    let wanted = condition.values.join("`, `");
    let Some(found) = values(key, request) else {
        return format!("`{operator}` on `{key}` is for another issuer than the token's, `{}`", request.host_path);
    };
    let found = found.join("`, `");
    let claim = key.rsplit_once(':').map_or(key, |(_, claim)| claim);
    let is_plain = operator.starts_with("StringEquals") || operator.starts_with("StringNotEquals");
    let wild = if is_plain && condition.values.iter().any(|value| is_wild(value)) {
        "; `*` and `?` are plain characters there, only `StringLike` reads them as wildcards"
    } else {
        ""
    };
    let wants = if operator.contains("Not") { "refuses" } else { "wants" };
    format!("`{operator}` on `{claim}` {wants} `{wanted}`, the token has `{found}`{wild}")
}

#[cfg(test)]
mod tests;
