//! How one trust policy becomes another without ever trusting more than both ends do together.
//!
//! Works on single grants where a statement has the form that `trust::build` makes, and on whole statements elsewhere:
//! no reasoning about wildcards, so the answer may be narrower than needed but never wider.

use super::document::{PolicyDocument, Statement};
use super::trust::{self, Grant};
use crate::ids::ProviderArn;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How the second policy relates to the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It trusts no one new: it can be written before anything else changes.
    Narrows,
    /// It keeps everyone: it can be written after everything else has changed.
    Widens,
    /// Some go and some come: this policy trusts those who stay.
    Through(PolicyDocument),
    /// Nobody stays, or one of them cannot be read.
    Apart,
}

/// The way from `before` to `after`.
pub fn way(before: &PolicyDocument, after: &PolicyDocument) -> Way {
    if !before.is_parsed() || !after.is_parsed() {
        return Way::Apart;
    }
    let (old, new) = (Atoms::of(before), Atoms::of(after));
    if new.allows_within(&old) && within(&old.denies, &new.denies) {
        return Way::Narrows;
    }
    if old.allows_within(&new) && within(&new.denies, &old.denies) {
        return Way::Widens;
    }
    let grants: BTreeSet<Grant> = old.grants.intersection(&new.grants).cloned().collect();
    let mut others: Vec<Statement> = old.others.into_iter().filter(|item| new.others.contains(item)).collect();
    if grants.is_empty() && others.is_empty() {
        return Way::Apart;
    }
    for deny in old.denies.into_iter().chain(new.denies) {
        if !others.contains(&deny) {
            others.push(deny);
        }
    }
    Way::Through(trust::build(&grants, &others))
}

/// The part of a trust policy whose grants others have too; nothing if there is none.
pub fn kept(trust: &PolicyDocument, others: &[&PolicyDocument]) -> Option<PolicyDocument> {
    let own = Atoms::of(trust);
    let others: Vec<Atoms> = others.iter().map(|other| Atoms::of(other)).collect();
    let grants: BTreeSet<Grant> =
        own.grants.into_iter().filter(|grant| others.iter().any(|other| other.grants.contains(grant))).collect();
    if grants.is_empty() { None } else { Some(trust::build(&grants, &own.denies)) }
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
            if denies(statement.value()) {
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

/// Whether the statement denies, or cannot be told to allow.
pub(crate) fn denies(statement: &Value) -> bool {
    statement.get("Effect").and_then(Value::as_str) != Some("Allow")
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
    use serde_json::json;

    fn grant(subject: &str) -> Grant {
        Grant {
            provider: ProviderArn::parse("arn:aws:iam::111122223333:oidc-provider/oidc.example.com/a").unwrap(),
            audience: "sts.amazonaws.com".into(),
            subject: format!("system:serviceaccount:{subject}"),
        }
    }

    fn document(subjects: &[&str], extra: &[Value]) -> PolicyDocument {
        let extra: Vec<Statement> = extra.iter().map(|value| Statement::parse(value.clone(), None).unwrap()).collect();
        trust::build(&subjects.iter().map(|subject| grant(subject)).collect(), &extra)
    }

    #[test]
    fn fewer_subjects_narrow_and_more_widen() {
        let (one, two) = (document(&["a:a"], &[]), document(&["a:a", "b:b"], &[]));
        assert_eq!(way(&two, &one), Way::Narrows);
        assert_eq!(way(&one, &two), Way::Widens);
    }

    #[test]
    fn some_going_and_some_coming_pass_through_those_who_stay() {
        let before = document(&["a:a", "b:b", "w:*"], &[]);
        let after = document(&["a:a", "c:c", "w:*"], &[]);
        assert_eq!(way(&before, &after), Way::Through(document(&["a:a", "w:*"], &[])));
    }

    #[test]
    fn denies_of_both_ends_stay_on_the_way() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}});
        let before = document(&["a:a", "b:b"], &[]);
        let after = document(&["a:a"], std::slice::from_ref(&deny));
        assert_eq!(way(&before, &after), Way::Narrows);
        let after = document(&["a:a", "c:c"], std::slice::from_ref(&deny));
        assert_eq!(way(&before, &after), Way::Through(document(&["a:a"], &[deny])));
    }

    #[test]
    fn nothing_in_common_is_apart() {
        assert_eq!(way(&document(&["a:a"], &[]), &document(&["b:b"], &[])), Way::Apart);
        assert_eq!(way(&PolicyDocument::live("not json"), &document(&["b:b"], &[])), Way::Apart);
    }
}
