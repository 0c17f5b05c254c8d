//! What a change of a trust policy takes and gives, and the policy that both ends have in common.
//!
//! Works on single grants where a statement has the form that `trust::build` makes, and on whole statements elsewhere:
//! no reasoning about wildcards, so the answer may be narrower than needed but never wider.

use super::document::{PolicyDocument, Statement};
use super::trust::{self, Grant};
use crate::ids::ProviderArn;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What a change of trust takes and gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrustEffects {
    /// Somebody whom the first lets in is not let in by the second.
    pub loses: bool,
    /// Somebody whom the second lets in is not let in by the first.
    pub gains: bool,
}

/// The effects of replacing `before` by `after`. Both, where the statements of one cannot be read or would not mean the
/// same in the other.
pub fn between(before: &PolicyDocument, after: &PolicyDocument) -> TrustEffects {
    if before == after {
        return TrustEffects::default();
    }
    if !before.carries_over() || !after.carries_over() {
        return TrustEffects { loses: true, gains: true };
    }
    let (old, new) = (Atoms::of(before), Atoms::of(after));
    TrustEffects {
        loses: !old.allows_within(&new) || !within(&new.denies, &old.denies),
        gains: !new.allows_within(&old) || !within(&old.denies, &new.denies),
    }
}

/// The policy between two: it lets in whom both let in, and has the denies of either. `None` where that is nobody, or
/// where it cannot be told.
pub fn meet(before: &PolicyDocument, after: &PolicyDocument) -> Option<PolicyDocument> {
    if !before.carries_over() || !after.carries_over() {
        return None;
    }
    let (old, new) = (Atoms::of(before), Atoms::of(after));
    let grants: BTreeSet<Grant> = old.grants.intersection(&new.grants).cloned().collect();
    let mut others: Vec<Statement> = old.others.into_iter().filter(|item| new.others.contains(item)).collect();
    if grants.is_empty() && others.is_empty() {
        return None;
    }
    for deny in old.denies.into_iter().chain(new.denies) {
        if !others.contains(&deny) {
            others.push(deny);
        }
    }
    // both ends may use one `Sid`, which a document may have once
    let others: Vec<Statement> = others.iter().map(Statement::unnamed).collect();
    Some(trust::build(&grants, &others))
}

/// A policy between two that have nobody in common: it lets nobody in, and has the denies of either.
pub fn nobody(before: &PolicyDocument, after: &PolicyDocument) -> PolicyDocument {
    let actions = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];
    let everyone = json!({ "Effect": "Deny", "Principal": "*", "Action": actions });
    let mut denies: Vec<Statement> = Vec::new();
    let known = [before, after].into_iter().filter(|document| document.carries_over());
    let all = known.flat_map(|document| Atoms::of(document).denies).map(|deny| deny.unnamed());
    for deny in Statement::parse(&everyone, None).into_iter().chain(all) {
        if !denies.contains(&deny) {
            denies.push(deny);
        }
    }
    PolicyDocument::from_statements(&denies)
}

/// Whom a trust policy lets in by statements of the form that irsa writes.
pub fn grants(trust: &PolicyDocument) -> BTreeSet<Grant> {
    Atoms::of(trust).grants
}

/// A trust policy taken apart.
#[derive(Default)]
struct Atoms {
    grants: BTreeSet<Grant>,
    others: Vec<Statement>,
    denies: Vec<Statement>,
}

impl Atoms {
    fn of(document: &PolicyDocument) -> Self {
        let mut atoms = Self::default();
        for statement in document.statements() {
            if statement.denies() {
                atoms.denies.push(statement.clone());
            } else if let Some(grants) = grants_of(statement.value()) {
                atoms.grants.extend(grants);
            } else {
                atoms.others.push(statement.clone());
            }
        }
        atoms
    }

    fn allows_within(&self, wider: &Self) -> bool {
        self.grants.is_subset(&wider.grants) && within(&self.others, &wider.others)
    }
}

fn within(narrow: &[Statement], wide: &[Statement]) -> bool {
    narrow.iter().all(|statement| wide.contains(statement))
}

/// The grants of a statement of the form that `trust::build` makes; nothing for any other.
fn grants_of(statement: &Value) -> Option<BTreeSet<Grant>> {
    let object = statement.as_object()?;
    if object.keys().any(|key| !["Sid", "Effect", "Action", "Principal", "Condition"].contains(&key.as_str())) {
        return None;
    }
    let [action] = &texts(object.get("Action")?)?[..] else { return None };
    if !action.eq_ignore_ascii_case("sts:AssumeRoleWithWebIdentity") {
        return None;
    }
    let principal = object.get("Principal")?.as_object()?;
    if principal.len() != 1 {
        return None;
    }
    let [federated] = &texts(principal.get("Federated")?)?[..] else { return None };
    let provider = ProviderArn::parse(federated.as_str()).ok()?;
    let conditions = object.get("Condition")?.as_object()?;
    let (audiences, subjects) = claims(conditions, provider.host_path())?;
    let grants = audiences.iter().flat_map(|audience| {
        let provider = &provider;
        subjects.iter().map(move |subject| Grant {
            provider: provider.clone(),
            audience: audience.clone(),
            subject: subject.clone(),
        })
    });
    Some(grants.collect())
}

/// Audiences and subjects of a generated condition block.
fn claims(conditions: &Map<String, Value>, issuer: &str) -> Option<(Vec<String>, Vec<String>)> {
    let aud = format!("{issuer}:aud");
    let sub = format!("{issuer}:sub");
    let equals = conditions.get("StringEquals")?.as_object()?;
    let audiences = texts(equals.get(&aud)?)?;
    match conditions.get("StringLike") {
        None if conditions.len() == 1 && equals.len() == 2 => {
            let subjects = texts(equals.get(&sub)?)?;
            // a star under StringEquals is a literal star, and would become a wildcard when built anew
            (!subjects.iter().any(|subject| subject.contains(['*', '?']))).then_some((audiences, subjects))
        }
        Some(like) if conditions.len() == 2 && equals.len() == 1 => {
            let like = like.as_object()?;
            let subjects = texts(like.get(&sub)?)?;
            (like.len() == 1 && subjects.iter().all(|subject| subject.contains(['*', '?'])))
                .then_some((audiences, subjects))
        }
        _ => None,
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn some_going_and_some_coming_pass_through_those_who_stay() {
        let before = document(&["a:a", "b:b", "w:*"], &[]);
        let after = document(&["a:a", "c:c", "w:*"], &[]);
        assert_eq!(between(&before, &after), BOTH);
        assert_eq!(meet(&before, &after), Some(document(&["a:a", "w:*"], &[])));
    }

    #[test]
    fn denies_of_both_ends_stay_on_the_way() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}});
        let before = document(&["a:a", "b:b"], &[]);
        let after = document(&["a:a"], std::slice::from_ref(&deny));
        assert_eq!(between(&before, &after), LOSES);
        let after = document(&["a:a", "c:c"], std::slice::from_ref(&deny));
        assert_eq!(between(&before, &after), BOTH);
        assert_eq!(meet(&before, &after), Some(document(&["a:a"], &[deny])));
    }

    #[test]
    fn nothing_in_common_is_apart() {
        for before in [document(&["a:a"], &[]), PolicyDocument::live("not json")] {
            assert_eq!(between(&before, &document(&["b:b"], &[])), BOTH);
            assert_eq!(meet(&before, &document(&["b:b"], &[])), None);
        }
    }

    #[test]
    fn statements_of_other_forms_count_as_they_stand() {
        let assume = |who: &str| json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": who}});
        let (one, two) = (assume("arn:aws:iam::111122223333:root"), assume("arn:aws:iam::444455556666:root"));
        let with = |extra: &[Value]| document(&["a:a"], extra);
        let both = with(&[one.clone(), two.clone()]);
        assert_eq!(between(&both, &with(std::slice::from_ref(&one))), LOSES);
        assert_eq!(between(&with(std::slice::from_ref(&one)), &both), GAINS);
        let (first, second) = (with(std::slice::from_ref(&one)), with(std::slice::from_ref(&two)));
        assert_eq!(between(&first, &second), BOTH);
        assert_eq!(meet(&first, &second), Some(document(&["a:a"], &[])));
        let deny = json!({"Effect": "Deny", "Action": "sts:*", "Principal": "*"});
        assert_eq!(between(&with(std::slice::from_ref(&deny)), &with(&[])), GAINS);
        assert_eq!(meet(&document(&[], &[one]), &document(&[], &[two])), None);
    }

    #[test]
    fn a_text_that_would_become_a_variable_is_not_carried_over() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringNotEquals": {"aws:SourceVpc": "${aws:PrincipalTag/vpc}"}}});
        let current = document(&["a:a"], std::slice::from_ref(&deny));
        let of_old =
            |document: &PolicyDocument| PolicyDocument::live(&document.text().replace("2012-10-17", "2008-10-17"));
        for (before, after) in [(of_old(&current), document(&["a:a"], &[])), (current.clone(), of_old(&current))] {
            assert_eq!(between(&before, &after), BOTH);
            assert_eq!(meet(&before, &after), None);
        }
        // without a variable the version changes nothing
        let (two, one) = (document(&["a:a", "b:b"], &[]), document(&["a:a"], &[]));
        assert_eq!(between(&of_old(&two), &one), LOSES);
        assert_eq!(meet(&of_old(&two), &one), Some(one));
    }

    #[test]
    fn nobody_lies_between_two_that_have_nobody_in_common() {
        let (before, after) = (document(&["a:a"], &[]), document(&["b:b"], &[]));
        let nobody = nobody(&before, &after);
        assert_eq!(between(&before, &nobody), LOSES);
        assert_eq!(between(&nobody, &after), GAINS);
        assert!(grants(&nobody).is_empty());
    }

    #[test]
    fn denies_of_one_name_stand_side_by_side() {
        let deny = |vpc: &str| {
            json!({"Sid": "Vpc", "Effect": "Deny", "Principal": "*", "Action": "sts:*",
            "Condition": {"StringEquals": {"aws:SourceVpc": vpc}}})
        };
        let both = meet(&document(&["a:a"], &[deny("vpc-1")]), &document(&["a:a"], &[deny("vpc-2")])).unwrap();
        assert_eq!(both.statements().len(), 3);
        assert!(both.statements().iter().all(|statement| statement.sid().is_none()), "{}", both.text());
    }

    /// The grants of a statement of another form cannot be told: each of these is taken as a whole.
    #[test]
    fn only_statements_of_the_built_form_are_taken_apart() {
        let built = document(&["a:a"], &[]).statements()[0].value().clone();
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
            ("Principal", json!({"Federated": [provider, provider]})),
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
        // a list of one, several of each, and what means nothing
        let mut other = built.clone();
        other["Sid"] = json!("x");
        other["Action"] = json!(["STS:assumeRoleWithWebIdentity"]);
        other["Principal"]["Federated"] = json!([provider]);
        other["Condition"]["StringEquals"] = json!({&aud: ["sts.amazonaws.com", "x"], &sub: [subject, "b"]});
        assert_eq!(grants_of(&other).unwrap().len(), 4);
    }
}
