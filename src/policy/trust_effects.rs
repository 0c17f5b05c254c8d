//! Compares two trust policies: whether a change removes or adds principals, and which policy lies between the two.
//!
//! A statement of the form that `trust::build` writes is compared grant by grant, any other statement as a whole. No
//! wildcard is interpreted, so the policy between may trust fewer principals than it could, but never more.

use super::canonical::{CanonicalStatement, Choice, Effect, Map, Operator, Principal, Quantifier, Set, condition_key};
use super::document::{PolicyDocument, Statement};
use super::trust::{self, Grant};
use crate::ids::ProviderArn;
use serde_json::json;
use std::collections::BTreeSet;

/// What a change of a trust policy does to the principals that it trusts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrustEffects {
    /// A principal that the old policy trusts may not be trusted by the new one.
    pub loses: bool,
    /// A principal that the new policy trusts may not be trusted by the old one.
    pub gains: bool,
}

/// The effects of replacing `before` by `after`. Both, if one of them cannot be parsed or if its statements would mean
/// something else in the current version of the policy language.
pub fn between(before: &PolicyDocument, after: &PolicyDocument) -> TrustEffects {
    if before == after {
        return TrustEffects::default();
    }
    if !before.carries_over() || !after.carries_over() {
        return TrustEffects { loses: true, gains: true };
    }
    let (old, new) = (TrustStatements::of(before), TrustStatements::of(after));
    TrustEffects {
        loses: !old.allows_within(&new) || !within(&new.denies, &old.denies),
        gains: !new.allows_within(&old) || !within(&old.denies, &new.denies),
    }
}

/// A policy between two: it allows what both allow and denies what either denies. `None` if they have no allow in
/// common, or if one cannot be parsed or would mean something else in the current version of the policy language.
pub fn intersect(before: &PolicyDocument, after: &PolicyDocument) -> Option<PolicyDocument> {
    if !before.carries_over() || !after.carries_over() {
        return None;
    }
    let (old, new) = (TrustStatements::of(before), TrustStatements::of(after));
    let grants: BTreeSet<Grant> = old.grants.intersection(&new.grants).cloned().collect();
    let mut others: Vec<Statement> = old.others.into_iter().filter(|item| new.others.contains(item)).collect();
    if grants.is_empty() && others.is_empty() {
        return None;
    }
    others.extend(old.denies.into_iter().chain(new.denies));
    Some(trust::build(&grants, &distinct(others)))
}

/// A policy between two that have no principal in common: it trusts nobody and has the denies of both.
pub fn deny_everyone(before: &PolicyDocument, after: &PolicyDocument) -> PolicyDocument {
    let actions = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];
    let everyone = json!({ "Effect": "Deny", "Principal": "*", "Action": actions });
    let known = [before, after].into_iter().filter(|document| document.carries_over());
    let denies = known.flat_map(|document| TrustStatements::of(document).denies);
    PolicyDocument::from_statements(&distinct(Statement::parse(&everyone, None).into_iter().chain(denies)))
}

/// The grants in statements of the form that `trust::build` writes.
pub fn grants(trust: &PolicyDocument) -> BTreeSet<Grant> {
    TrustStatements::of(trust).grants
}

/// The statements of a trust policy, by how they are compared.
#[derive(Default)]
struct TrustStatements {
    grants: BTreeSet<Grant>,
    /// Allows of any other form.
    others: Vec<Statement>,
    denies: Vec<Statement>,
}

impl TrustStatements {
    fn of(document: &PolicyDocument) -> Self {
        let mut sorted = Self::default();
        for statement in document.statements() {
            if statement.denies() {
                sorted.denies.push(statement.clone());
            } else if let Some(grants) = grants_of(statement.canonical()) {
                sorted.grants.extend(grants);
            } else {
                sorted.others.push(statement.clone());
            }
        }
        sorted
    }

    fn allows_within(&self, wider: &Self) -> bool {
        self.grants.is_subset(&wider.grants) && within(&self.others, &wider.others)
    }
}

fn within(narrow: &[Statement], wide: &[Statement]) -> bool {
    narrow.iter().all(|statement| wide.contains(statement))
}

/// Each statement once, and without its `Sid`: both policies may use the same one, and a document only once.
fn distinct(statements: impl IntoIterator<Item = Statement>) -> Vec<Statement> {
    let mut distinct: Vec<Statement> = Vec::new();
    for statement in statements {
        if !distinct.contains(&statement) {
            distinct.push(statement.without_sid());
        }
    }
    distinct
}

/// The grants of a statement of the form that `trust::build` writes. `None` for any other form.
fn grants_of(statement: &CanonicalStatement) -> Option<BTreeSet<Grant>> {
    let CanonicalStatement {
        effect: Effect::Allow,
        principals: Some(Choice::Only(principals)),
        actions: Choice::Only(actions),
        resources: None,
        conditions,
    } = statement
    else {
        return None;
    };
    let ([Principal::Federated(provider)], [action]) = (&principals[..], &actions[..]) else { return None };
    if action != "sts:assumerolewithwebidentity" {
        return None;
    }
    let provider = ProviderArn::parse(provider.as_str()).ok()?;
    let (audiences, subjects) = claims(conditions, provider.host_path())?;
    let pairs = audiences.iter().flat_map(|audience| subjects.iter().map(move |subject| (audience, subject)));
    let grant = |(audience, subject): (&String, &String)| Grant {
        provider: provider.clone(),
        audience: audience.clone(),
        subject: subject.clone(),
    };
    Some(pairs.map(grant).collect())
}

/// The audiences and subjects in conditions of the form that `trust::build` writes.
fn claims<'a>(
    conditions: &'a Map<Operator, Map<String, Set<String>>>,
    issuer: &str,
) -> Option<(&'a Set<String>, &'a Set<String>)> {
    let names = |key: &str, claim: &str| key == condition_key(&format!("{issuer}:{claim}"));
    let is = |operator: &Operator, base: &str| {
        operator.quantifier == Quantifier::One && operator.base == base && !operator.if_exists
    };
    let is_wild = |subject: &String| subject.contains(['*', '?']);
    // operators and keys are sorted
    let (audience, subject, wild) = match &conditions[..] {
        [(equals, claims)] if is(equals, "stringequals") => match &claims[..] {
            [audience, subject] => (audience, subject, false),
            _ => return None,
        },
        [(equals, audience), (like, subject)] if is(equals, "stringequals") && is(like, "stringlike") => {
            match (&audience[..], &subject[..]) {
                ([audience], [subject]) => (audience, subject, true),
                _ => return None,
            }
        }
        _ => return None,
    };
    // a `*` under `StringEquals` is a plain character, which `trust::build` would turn into a wildcard
    let built = names(&audience.0, "aud")
        && names(&subject.0, "sub")
        && subject.1.iter().all(|subject| is_wild(subject) == wild);
    built.then_some((&audience.1, &subject.1))
}

#[cfg(test)]
mod tests;
