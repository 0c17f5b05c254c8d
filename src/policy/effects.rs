//! What a change of a permission policy takes and gives, and the document that both ends have in common.
//!
//! A document is taken apart into atoms: one action (or one `NotAction` list) on one resource (or one `NotResource`
//! list) under the conditions of its statement. An atom may stand for another only where a pattern covers it without
//! doubt, so an answer may name an effect that is none, and never misses one.

use super::canonical::{CanonicalStatement, Choice, Effect};
use super::document::{PolicyDocument, Statement};
use super::cover::{Syntax, arn_covers, covers, disjoint};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What one document has less or more than another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentEffects {
    /// An allow of the first is not in the second.
    pub allow_leaves: bool,
    /// An allow of the second is not in the first.
    pub allow_arrives: bool,
    /// A deny of the first is not in the second.
    pub deny_leaves: bool,
    /// A deny of the second is not in the first.
    pub deny_arrives: bool,
}

impl DocumentEffects {
    /// Whether something is taken: an allow leaves or a deny arrives.
    pub fn takes(self) -> bool {
        self.allow_leaves || self.deny_arrives
    }

    /// Whether something is given: an allow arrives or a deny leaves.
    pub fn gives(self) -> bool {
        self.allow_arrives || self.deny_leaves
    }

    /// The effects of either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            allow_leaves: self.allow_leaves || other.allow_leaves,
            allow_arrives: self.allow_arrives || other.allow_arrives,
            deny_leaves: self.deny_leaves || other.deny_leaves,
            deny_arrives: self.deny_arrives || other.deny_arrives,
        }
    }

    /// Those of a document of which nothing is known but that it comes (`arrives`) or goes.
    pub fn unknown(leaves: bool, arrives: bool) -> Self {
        Self { allow_leaves: leaves, allow_arrives: arrives, deny_leaves: leaves, deny_arrives: arrives }
    }
}

/// The effects of replacing `before` by `after`; `None` is no document at all. A document that could not be parsed has
/// every effect, unless both are the same.
pub fn between(before: Option<&PolicyDocument>, after: Option<&PolicyDocument>) -> DocumentEffects {
    if before == after {
        return DocumentEffects::default();
    }
    if before.into_iter().chain(after).any(|document| !document.is_parsed()) {
        return DocumentEffects::unknown(before.is_some(), after.is_some());
    }
    let (old, new) = (atoms(before), atoms(after));
    let leaves = |effect, from: &[Atoms<'_>], to: &[Atoms<'_>]| {
        from.iter().filter(|part| part.canonical.effect == effect).any(|part| !part.is_covered(to))
    };
    DocumentEffects {
        allow_leaves: leaves(Effect::Allow, &old, &new),
        allow_arrives: leaves(Effect::Allow, &new, &old),
        deny_leaves: leaves(Effect::Deny, &old, &new),
        deny_arrives: leaves(Effect::Deny, &new, &old),
    }
}

/// The document between two: the allows that both have, the denies that either has. Going from `before` to it only
/// takes, going from it to `after` only gives. `None` where one could not be parsed, or where `${…}` means a variable in
/// one and a text in the other.
pub fn meet(before: Option<&PolicyDocument>, after: Option<&PolicyDocument>) -> Option<PolicyDocument> {
    let ends = || before.into_iter().chain(after);
    if ends().any(|document| !document.is_parsed()) {
        return None;
    }
    let current = ends().all(PolicyDocument::carries_over);
    if !current && ends().any(PolicyDocument::is_current) {
        return None;
    }
    let (old, new) = (atoms(before), atoms(after));
    let of = |atoms: &'_ &Atoms<'_>, effect| atoms.canonical.effect == effect;
    let common = |from: &[Atoms<'_>], to: &[Atoms<'_>]| -> Vec<Value> {
        from.iter().filter(|part| of(part, Effect::Allow)).flat_map(|part| part.covered_parts(to)).collect()
    };
    let denies = old.iter().chain(&new).filter(|part| of(part, Effect::Deny)).map(Atoms::unnamed);
    let mut statements: Vec<Value> = Vec::new();
    for statement in common(&old, &new).into_iter().chain(common(&new, &old)).chain(denies) {
        if !statements.contains(&statement) {
            statements.push(statement);
        }
    }
    if statements.is_empty() {
        statements.push(nothing());
    }
    let version = if current { "2012-10-17" } else { "2008-10-17" };
    let document = PolicyDocument::live(&json!({ "Version": version, "Statement": statements }).to_string());
    let (first, second) = (between(before, Some(&document)), between(Some(&document), after));
    (document.is_parsed() && !first.gives() && !second.takes()).then_some(document)
}

/// A statement that changes nothing, for a policy may not be empty: a deny of this action has no effect
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>).
fn nothing() -> Value {
    json!({ "Effect": "Deny", "Action": "sts:GetCallerIdentity", "Resource": "*" })
}

/// A document that denies everything.
pub fn deny_everything() -> PolicyDocument {
    let statement = json!({ "Effect": "Deny", "Action": "*", "Resource": "*" });
    PolicyDocument::live(&json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string())
}

/// One statement, as the atoms that it stands for.
struct Atoms<'a> {
    statement: &'a Statement,
    canonical: &'a CanonicalStatement,
    syntax: Syntax,
}

/// One action or resource of a statement, or a list of which all but these are meant.
#[derive(Clone, Copy)]
enum Item<'a> {
    One(&'a str),
    AllBut(&'a [String]),
}

fn atoms(document: Option<&PolicyDocument>) -> Vec<Atoms<'_>> {
    let Some(document) = document else { return Vec::new() };
    let syntax = if document.is_current() { Syntax::Variables } else { Syntax::Literal };
    let part = |statement| Atoms { statement, canonical: Statement::canonical(statement), syntax };
    document.statements().iter().map(part).collect()
}

fn items(choice: &Choice<String>) -> Vec<Item<'_>> {
    match choice {
        Choice::Only(list) => list.iter().map(|item| Item::One(item)).collect(),
        Choice::AllBut(list) => vec![Item::AllBut(list)],
    }
}

/// Whether all that `item` means is among what `choice` means.
fn within(item: Item<'_>, choice: &Choice<String>, covers: impl Fn(&str, &str) -> bool, syntax: Syntax) -> bool {
    match (item, choice) {
        (Item::One(item), Choice::Only(list)) => list.iter().any(|pattern| covers(pattern, item)),
        (Item::One(item), Choice::AllBut(list)) => list.iter().all(|pattern| disjoint(pattern, item, syntax)),
        (Item::AllBut(_), Choice::Only(list)) => list.iter().any(|pattern| pattern == "*"),
        (Item::AllBut(narrow), Choice::AllBut(wide)) => {
            wide.iter().all(|excepted| narrow.iter().any(|pattern| covers(pattern, excepted)))
        }
    }
}

impl<'a> Atoms<'a> {
    fn resources(&self) -> Vec<Item<'a>> {
        self.canonical.resources.as_ref().map_or_else(|| vec![Item::One("*")], items)
    }

    /// Whether the conditions of `self` are those of `other` and perhaps more: each must hold, so more let less through.
    fn is_conditioned_as(&self, other: &Self) -> bool {
        let variables = self.syntax != other.syntax && self.statement.text().contains("${");
        self.canonical.principals == other.canonical.principals
            && (!variables || other.canonical.conditions.is_empty())
            && other.canonical.conditions.iter().all(|(operator, keys)| {
                self.canonical.conditions.iter().any(|(own, own_keys)| {
                    own == operator && keys.iter().all(|entry| own_keys.iter().any(|own| own == entry))
                })
            })
    }

    /// For each action the places of the resources on which `others` have it too.
    fn covered(&self, others: &[Self]) -> Vec<Vec<bool>> {
        let others: Vec<&Self> = others
            .iter()
            .filter(|other| other.canonical.effect == self.canonical.effect && self.is_conditioned_as(other))
            .collect();
        let resources = self.resources();
        let has_resource: Vec<Vec<bool>> = others
            .iter()
            .map(|other| {
                let covers = |pattern: &str, item: &str| arn_covers(pattern, other.syntax, item, self.syntax);
                let has = |item: &Item<'_>| match &other.canonical.resources {
                    Some(choice) => within(*item, choice, covers, self.syntax),
                    None => true,
                };
                resources.iter().map(has).collect()
            })
            .collect();
        let row = |action: &Item<'_>| {
            let mut row = vec![false; resources.len()];
            for (other, has) in others.iter().zip(&has_resource) {
                let covers = |pattern: &str, item: &str| covers(pattern, Syntax::Literal, item, Syntax::Literal);
                if within(*action, &other.canonical.actions, covers, Syntax::Literal) {
                    row.iter_mut().zip(has).for_each(|(all, one)| *all |= *one);
                }
            }
            row
        };
        items(&self.canonical.actions).iter().map(row).collect()
    }

    fn is_covered(&self, others: &[Self]) -> bool {
        self.covered(others).iter().flatten().all(|covered| *covered)
    }

    /// The statement without its name, which must be unique in a document.
    fn unnamed(&self) -> Value {
        self.statement.unnamed().value().clone()
    }

    /// The atoms that `others` have too, as statements.
    fn covered_parts(&self, others: &[Self]) -> Vec<Value> {
        let covered = self.covered(others);
        if covered.iter().flatten().all(|covered| *covered) {
            return vec![self.unnamed()];
        }
        // actions with the same resources stand together
        let mut parts: BTreeMap<Vec<bool>, Vec<Item<'_>>> = BTreeMap::new();
        for (action, row) in items(&self.canonical.actions).into_iter().zip(covered) {
            if row.contains(&true) {
                parts.entry(row).or_default().push(action);
            }
        }
        let resources = self.resources();
        let statement = |(row, actions): (Vec<bool>, Vec<Item<'_>>)| {
            let kept: Vec<Item<'_>> =
                resources.iter().zip(row).filter(|(_, kept)| *kept).map(|(resource, _)| *resource).collect();
            let mut value = self.unnamed();
            if let Some(object) = value.as_object_mut() {
                put(object, "Action", &actions);
                put(object, "Resource", &kept);
            }
            value
        };
        parts.into_iter().map(statement).collect()
    }
}

/// Leaves these of an element; one of all but some is kept as it is written.
fn put(object: &mut Map<String, Value>, name: &str, items: &[Item<'_>]) {
    let named: Vec<&str> = items
        .iter()
        .filter_map(|item| match item {
            Item::One(item) => Some(*item),
            Item::AllBut(_) => None,
        })
        .collect();
    if named.len() == items.len() {
        object.insert(name.to_owned(), json!(named));
    }
}

#[cfg(test)]
mod tests;
