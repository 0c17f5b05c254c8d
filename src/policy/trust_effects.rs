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
    let (old, new) = (Parts::of(before), Parts::of(after));
    TrustEffects {
        loses: !old.allows_within(&new) || !within(&new.denies, &old.denies),
        gains: !new.allows_within(&old) || !within(&old.denies, &new.denies),
    }
}

/// A policy between two: it allows what both allow and denies what either denies. `None` if they have no allow in common,
/// or if one cannot be parsed or would mean something else in the current version of the policy language.
pub fn intersect(before: &PolicyDocument, after: &PolicyDocument) -> Option<PolicyDocument> {
    if !before.carries_over() || !after.carries_over() {
        return None;
    }
    let (old, new) = (Parts::of(before), Parts::of(after));
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
    let denies = known.flat_map(|document| Parts::of(document).denies);
    PolicyDocument::from_statements(&distinct(Statement::parse(&everyone, None).into_iter().chain(denies)))
}

/// The grants in statements of the form that `trust::build` writes.
pub fn grants(trust: &PolicyDocument) -> BTreeSet<Grant> {
    Parts::of(trust).grants
}

/// The statements of a trust policy, sorted by how they are compared.
#[derive(Default)]
struct Parts {
    grants: BTreeSet<Grant>,
    /// Allows of any other form.
    others: Vec<Statement>,
    denies: Vec<Statement>,
}

impl Parts {
    fn of(document: &PolicyDocument) -> Self {
        let mut parts = Self::default();
        for statement in document.statements() {
            if statement.denies() {
                parts.denies.push(statement.clone());
            } else if let Some(grants) = grants_of(statement.canonical()) {
                parts.grants.extend(grants);
            } else {
                parts.others.push(statement.clone());
            }
        }
        parts
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
mod tests {
    use super::*;
    use serde_json::Value;

    const LOSES: TrustEffects = TrustEffects { loses: true, gains: false };
    const GAINS: TrustEffects = TrustEffects { loses: false, gains: true };
    const BOTH: TrustEffects = TrustEffects { loses: true, gains: true };

    fn grant(subject: &str) -> Grant {
        Grant {
            provider: ProviderArn::parse("arn:aws:iam::111122223333:oidc-provider/oidc.example.com/a").unwrap(),
            audience: "sts.amazonaws.com".into(),
            subject: format!("system:serviceaccount:{subject}"),
        }
    }

    fn document(subjects: &[&str], extra: &[Value]) -> PolicyDocument {
        let extra: Vec<Statement> = extra.iter().map(|value| Statement::parse(value, None).unwrap()).collect();
        trust::build(&subjects.iter().map(|subject| grant(subject)).collect(), &extra)
    }

    #[test]
    fn fewer_subjects_narrow_and_more_widen() {
        let (one, two) = (document(&["a:a"], &[]), document(&["a:a", "b:b"], &[]));
        assert_eq!(between(&two, &one), LOSES);
        assert_eq!(between(&one, &two), GAINS);
    }

    #[test]
    fn lost_and_gained_subjects_intersect_in_the_common_ones() {
        let before = document(&["a:a", "b:b", "w:*"], &[]);
        let after = document(&["a:a", "c:c", "w:*"], &[]);
        assert_eq!(between(&before, &after), BOTH);
        assert_eq!(intersect(&before, &after), Some(document(&["a:a", "w:*"], &[])));
    }

    #[test]
    fn intersection_has_the_denies_of_both() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}});
        let before = document(&["a:a", "b:b"], &[]);
        let after = document(&["a:a"], std::slice::from_ref(&deny));
        assert_eq!(between(&before, &after), LOSES);
        let after = document(&["a:a", "c:c"], std::slice::from_ref(&deny));
        assert_eq!(between(&before, &after), BOTH);
        assert_eq!(intersect(&before, &after), Some(document(&["a:a"], &[deny])));
    }

    #[test]
    fn no_common_subject_or_unreadable_policy_has_no_intersection() {
        for before in [document(&["a:a"], &[]), PolicyDocument::live("not json")] {
            assert_eq!(between(&before, &document(&["b:b"], &[])), BOTH);
            assert_eq!(intersect(&before, &document(&["b:b"], &[])), None);
        }
    }

    #[test]
    fn statements_of_other_forms_are_compared_as_a_whole() {
        let assume = |who: &str| json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": who}});
        let (one, two) = (assume("arn:aws:iam::111122223333:root"), assume("arn:aws:iam::444455556666:root"));
        let with = |extra: &[Value]| document(&["a:a"], extra);
        let both = with(&[one.clone(), two.clone()]);
        assert_eq!(between(&both, &with(std::slice::from_ref(&one))), LOSES);
        assert_eq!(between(&with(std::slice::from_ref(&one)), &both), GAINS);
        let (first, second) = (with(std::slice::from_ref(&one)), with(std::slice::from_ref(&two)));
        assert_eq!(between(&first, &second), BOTH);
        assert_eq!(intersect(&first, &second), Some(document(&["a:a"], &[])));
        let deny = json!({"Effect": "Deny", "Action": "sts:*", "Principal": "*"});
        assert_eq!(between(&with(std::slice::from_ref(&deny)), &with(&[])), GAINS);
        assert_eq!(intersect(&document(&[], &[one]), &document(&[], &[two])), None);
    }

    #[test]
    fn old_version_with_a_variable_has_both_effects_and_no_intersection() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringNotEquals": {"aws:SourceVpc": "${aws:PrincipalTag/vpc}"}}});
        let current = document(&["a:a"], std::slice::from_ref(&deny));
        let of_old =
            |document: &PolicyDocument| PolicyDocument::live(&document.text().replace("2012-10-17", "2008-10-17"));
        for (before, after) in [(of_old(&current), document(&["a:a"], &[])), (current.clone(), of_old(&current))] {
            assert_eq!(between(&before, &after), BOTH);
            assert_eq!(intersect(&before, &after), None);
        }
        // without a variable the version changes nothing
        let (two, one) = (document(&["a:a", "b:b"], &[]), document(&["a:a"], &[]));
        assert_eq!(between(&of_old(&two), &one), LOSES);
        assert_eq!(intersect(&of_old(&two), &one), Some(one));
    }

    #[test]
    fn deny_everyone_only_loses_first_and_only_gains_afterwards() {
        let (before, after) = (document(&["a:a"], &[]), document(&["b:b"], &[]));
        let nobody = deny_everyone(&before, &after);
        assert_eq!(between(&before, &nobody), LOSES);
        assert_eq!(between(&nobody, &after), GAINS);
        assert!(grants(&nobody).is_empty());
    }

    #[test]
    fn denies_with_the_same_sid_lose_it() {
        let deny = |vpc: &str| {
            json!({"Sid": "Vpc", "Effect": "Deny", "Principal": "*", "Action": "sts:*",
            "Condition": {"StringEquals": {"aws:SourceVpc": vpc}}})
        };
        let both = intersect(&document(&["a:a"], &[deny("vpc-1")]), &document(&["a:a"], &[deny("vpc-2")])).unwrap();
        assert_eq!(both.statements().len(), 3);
        assert!(both.statements().iter().all(|statement| statement.sid().is_none()), "{}", both.text());
    }

    #[test]
    fn only_statements_of_the_built_form_have_grants() {
        let built = document(&["a:a"], &[]).statements()[0].to_value();
        let grants_of = |statement: &Value| grants_of(Statement::parse(statement, None).ok()?.canonical());
        assert!(grants_of(&built).is_some());
        let issuer = "oidc.example.com/a";
        let (aud, sub) = (format!("{issuer}:aud"), format!("{issuer}:sub"));
        let subject = "system:serviceaccount:a:a";
        let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/a";
        for (element, value) in [
            ("Action", json!("sts:AssumeRole")),
            ("Action", json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"])),
            ("Action", json!("sts:*")),
            ("Resource", json!("*")),
            ("NotPrincipal", json!({"AWS": "111122223333"})),
            ("Principal", json!("*")),
            ("Principal", json!({"Federated": provider, "AWS": "111122223333"})),
            ("Principal", json!({"Federated": [provider, provider.replace("/a", "/b")]})),
            ("Principal", json!({"Federated": "cognito-identity.amazonaws.com"})),
            ("Principal", json!({"Federated": provider.replace("example", "example2")})),
            ("Condition", json!({})),
            ("Condition", json!({"StringEquals": {&aud: "x"}})),
            ("Condition", json!({"StringEquals": {&sub: subject}})),
            ("Condition", json!({"StringEquals": {&aud: "x", &sub: subject, "aws:SourceVpc": "vpc-1"}})),
            ("Condition", json!({"StringEquals": {&aud: "x", &sub: "system:serviceaccount:a:*"}})),
            ("Condition", json!({"StringEquals": {&aud: "x", &sub: [subject, "system:serviceaccount:a:?"]}})),
            ("Condition", json!({"StringEquals": {&aud: "x"}, "StringLike": {&sub: subject}})),
            ("Condition", json!({"StringEquals": {&aud: "x"}, "StringLike": {&sub: ["a*", subject]}})),
            ("Condition", json!({"StringEquals": {&aud: "x"}, "StringLike": {&sub: "a*", "aws:SourceVpc": "vpc-*"}})),
            ("Condition", json!({"StringEquals": {&aud: "x", "aws:SourceVpc": "v"}, "StringLike": {&sub: "a*"}})),
            ("Condition", json!({"StringEquals": {&aud: "x", &sub: subject}, "Bool": {"aws:SecureTransport": true}})),
            ("Condition", json!({"StringEquals": {&aud: "x"}, "StringLike": {&sub: "a*"}, "Null": {&aud: false}})),
            ("Condition", json!({"StringEquals": {&aud: "x"}, "StringNotLike": {&sub: "a*"}})),
            ("Condition", json!({"StringEqualsIfExists": {&aud: "x", &sub: subject}})),
        ] {
            let mut other = built.clone();
            other[element] = value;
            assert_eq!(grants_of(&other), None, "{other}");
        }
        // lists, repeated values, and elements without a meaning
        let mut other = built.clone();
        other["Sid"] = json!("x");
        other["Action"] = json!(["STS:assumeRoleWithWebIdentity"]);
        other["Principal"]["Federated"] = json!([provider, provider]);
        other["Condition"]["StringEquals"] = json!({&aud: ["sts.amazonaws.com", "x"], &sub: [subject, "b"]});
        assert_eq!(grants_of(&other).unwrap().len(), 4);
    }
}
