//! Compares two permission policies: which access a change takes and gives, and which document lies between the two.
//!
//! A statement stands for pairs of an action and a resource, under its conditions. A `NotAction` or `NotResource` list
//! is one item of such a pair. A pair is in another document only if one statement there certainly covers it: a
//! comparison may report an effect that does not exist, but never misses one.

pub mod pairs;

use super::canonical::{CanonicalStatement, Choice, Effect};
use super::condition::{Condition, conditions};
use super::document::{PolicyDocument, Statement};
use super::pattern::{Syntax, arn_covers, covers_as, overlap_as};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a change of a permission policy does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PermissionEffects {
    /// The new document lacks an allow of the old one.
    pub allow_leaves: bool,
    /// The new document has an allow that the old one lacks.
    pub allow_arrives: bool,
    /// The new document lacks a deny of the old one.
    pub deny_leaves: bool,
    /// The new document has a deny that the old one lacks.
    pub deny_arrives: bool,
}

impl PermissionEffects {
    /// Whether access may be lost: an allow leaves or a deny arrives.
    pub fn takes(self) -> bool {
        self.allow_leaves || self.deny_arrives
    }

    /// Whether access may be gained: an allow arrives or a deny leaves.
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

    /// The effects of detaching (`leaves`) or attaching (`arrives`) a document of unknown content.
    pub fn unknown(leaves: bool, arrives: bool) -> Self {
        Self { allow_leaves: leaves, allow_arrives: arrives, deny_leaves: leaves, deny_arrives: arrives }
    }
}

/// The effects of replacing `before` by `after`, where `None` is no policy at all. A document that cannot be parsed has
/// every effect, unless both are the same.
pub fn between(before: Option<&PolicyDocument>, after: Option<&PolicyDocument>) -> PermissionEffects {
    if before == after {
        return PermissionEffects::default();
    }
    if before.into_iter().chain(after).any(|document| !document.is_parsed()) {
        return PermissionEffects::unknown(before.is_some(), after.is_some());
    }
    let (old, new) = (compared_statements(before), compared_statements(after));
    let lacks = |effect, from: &[ComparedStatement<'_>], to: &[ComparedStatement<'_>]| {
        from.iter()
            .filter(|statement| statement.canonical.effect == effect)
            .any(|statement| !statement.is_covered_by(to))
    };
    PermissionEffects {
        allow_leaves: lacks(Effect::Allow, &old, &new),
        allow_arrives: lacks(Effect::Allow, &new, &old),
        deny_leaves: lacks(Effect::Deny, &old, &new),
        deny_arrives: lacks(Effect::Deny, &new, &old),
    }
}

/// A document between two: it allows what both allow and denies what either denies. Replacing `before` by it takes
/// access and gives none; replacing it by `after` gives access and takes none. `None` if one cannot be parsed, or if
/// `${…}` is a variable in one and plain text in the other.
pub fn intersect(before: Option<&PolicyDocument>, after: Option<&PolicyDocument>) -> Option<PolicyDocument> {
    let ends = || before.into_iter().chain(after);
    if ends().any(|document| !document.is_parsed()) {
        return None;
    }
    let current = ends().all(PolicyDocument::carries_over);
    if !current && ends().any(PolicyDocument::is_current) {
        return None;
    }
    let (old, new) = (compared_statements(before), compared_statements(after));
    let common_in_old = old.iter().filter(|one| one.allows()).flat_map(|one| one.covered_statements(&new));
    let common_in_new = new.iter().filter(|one| one.allows()).flat_map(|one| one.covered_statements(&old));
    let denies = old.iter().chain(&new).filter(|one| !one.allows());
    let denies = denies.map(|one| one.written.value_without_sid());
    let mut statements: Vec<Value> = Vec::new();
    for statement in common_in_old.chain(common_in_new).chain(denies) {
        if !statements.contains(&statement) {
            statements.push(statement);
        }
    }
    if statements.is_empty() {
        // a policy must have a statement, and a deny of this action has no effect
        // (<https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>)
        statements.push(json!({ "Effect": "Deny", "Action": "sts:GetCallerIdentity", "Resource": "*" }));
    }
    let version = if current { "2012-10-17" } else { "2008-10-17" };
    let document = PolicyDocument::live(&json!({ "Version": version, "Statement": statements }).to_string());
    let (first, second) = (between(before, Some(&document)), between(Some(&document), after));
    (document.is_parsed() && !first.gives() && !second.takes()).then_some(document)
}

/// Whether both documents may allow the same request. True if in doubt.
pub fn may_overlap(one: &PolicyDocument, other: &PolicyDocument) -> bool {
    if !one.is_parsed() || !other.is_parsed() {
        return true;
    }
    let (ones, others) = (compared_statements(Some(one)), compared_statements(Some(other)));
    let mut allows = ones.iter().filter(|statement| statement.allows());
    allows.any(|one| others.iter().filter(|statement| statement.allows()).any(|other| one.may_overlap(other)))
}

/// A document that denies everything.
pub fn deny_everything() -> PolicyDocument {
    let statement = json!({ "Effect": "Deny", "Action": "*", "Resource": "*" });
    PolicyDocument::live(&json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string())
}

/// One statement of a document.
struct ComparedStatement<'a> {
    written: &'a Statement,
    canonical: &'a CanonicalStatement,
    /// What `${…}` means in the document.
    syntax: Syntax,
    /// A deny of the same documents that limits `*` to all actions but its own.
    deny: Option<&'a Statement>,
}

/// An action or a resource of a statement, or a whole `NotAction` or `NotResource` list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item<'a> {
    One(&'a str),
    AllBut(&'a [String]),
}

fn compared_statements(document: Option<&PolicyDocument>) -> Vec<ComparedStatement<'_>> {
    let Some(document) = document else { return Vec::new() };
    let syntax = if document.is_current() { Syntax::Variables } else { Syntax::Literal };
    let statements = document.statements().iter();
    statements
        .map(|written| ComparedStatement { written, canonical: written.canonical(), syntax, deny: None })
        .collect()
}

fn items(choice: &Choice<String>) -> Vec<Item<'_>> {
    match choice {
        Choice::Only(list) => list.iter().map(|item| Item::One(item)).collect(),
        Choice::AllBut(list) => vec![Item::AllBut(list)],
    }
}

/// Compares two patterns, each with the syntax of its document.
type ComparePatterns = fn(&str, Syntax, &str, Syntax) -> bool;

/// Whether `wide` certainly includes `narrow`, each with the syntax of its document, given how single patterns compare.
fn includes(
    (wide, syntax): (Item<'_>, Syntax),
    (narrow, narrow_syntax): (Item<'_>, Syntax),
    covers: ComparePatterns,
) -> bool {
    match (wide, narrow) {
        (Item::One(pattern), Item::One(item)) => covers(pattern, syntax, item, narrow_syntax),
        (Item::One(pattern), Item::AllBut(_)) => pattern == "*",
        (Item::AllBut(excepted), Item::One(item)) => {
            !excepted.iter().any(|pattern| overlap_as(pattern, syntax, item, narrow_syntax))
        }
        // whatever `wide` excepts, `narrow` must except too
        (Item::AllBut(wide), Item::AllBut(narrow)) => {
            wide.iter().all(|excepted| narrow.iter().any(|pattern| covers(pattern, narrow_syntax, excepted, syntax)))
        }
    }
}

/// Whether one item of `choice` certainly includes `item`.
fn is_within(item: (Item<'_>, Syntax), (choice, syntax): (&Choice<String>, Syntax), covers: ComparePatterns) -> bool {
    match choice {
        Choice::Only(list) => list.iter().any(|pattern| includes((Item::One(pattern), syntax), item, covers)),
        Choice::AllBut(list) => includes((Item::AllBut(list), syntax), item, covers),
    }
}

impl<'a> ComparedStatement<'a> {
    fn allows(&self) -> bool {
        self.canonical.effect == Effect::Allow
    }

    fn actions(&self) -> Vec<Item<'a>> {
        match self.deny {
            Some(deny) => vec![Item::AllBut(deny.canonical().actions.named())],
            None => items(&self.canonical.actions),
        }
    }

    fn resources(&self) -> Vec<Item<'a>> {
        self.canonical.resources.as_ref().map_or_else(|| vec![Item::One("*")], items)
    }

    /// Whether `other` has no condition that may fail where the conditions of `self` hold.
    fn conditions_imply_those_of(&self, other: &Self) -> bool {
        let implied =
            |wide: Condition<'_>| conditions(self.canonical).any(|own| own.implies(self.syntax, &wide, other.syntax));
        self.canonical.principals == other.canonical.principals && conditions(other.canonical).all(implied)
    }

    /// For each action, which resources `others` cover for that action.
    fn coverage(&self, others: &[Self]) -> Vec<Vec<bool>> {
        let comparable =
            |other: &&Self| other.canonical.effect == self.canonical.effect && self.conditions_imply_those_of(other);
        let others: Vec<&Self> = others.iter().filter(comparable).collect();
        let resources = self.resources();
        let covers_resource = |other: &Self, item: Item<'_>| {
            let choice = other.canonical.resources.as_ref();
            choice.is_none_or(|choice| is_within((item, self.syntax), (choice, other.syntax), arn_covers))
        };
        let covers_action = |other: &Self, item: Item<'_>| {
            let actions = (&other.canonical.actions, Syntax::Literal);
            is_within((item, Syntax::Literal), actions, covers_as)
        };
        let by_resource: Vec<(&Self, Vec<bool>)> = others
            .into_iter()
            .map(|other| (other, resources.iter().map(|item| covers_resource(other, *item)).collect()))
            .collect();
        let row = |action: Item<'_>| {
            let mut row = vec![false; resources.len()];
            for (_, covered) in by_resource.iter().filter(|(other, _)| covers_action(other, action)) {
                row.iter_mut().zip(covered).for_each(|(all, one)| *all |= *one);
            }
            row
        };
        self.actions().into_iter().map(row).collect()
    }

    fn is_covered_by(&self, others: &[Self]) -> bool {
        self.coverage(others).iter().flatten().all(|covered| *covered)
    }

    fn may_overlap(&self, other: &Self) -> bool {
        let overlap = |(ones, syntax): (&[Item<'_>], Syntax), (others, other_syntax): (&[Item<'_>], Syntax)| {
            let mut pairs = ones.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
            pairs.any(|pair| match pair {
                (Item::One(one), Item::One(other)) => overlap_as(one, syntax, other, other_syntax),
                (Item::AllBut(_), _) | (_, Item::AllBut(_)) => true,
            })
        };
        overlap((&self.actions(), Syntax::Literal), (&other.actions(), Syntax::Literal))
            && overlap((&self.resources(), self.syntax), (&other.resources(), other.syntax))
    }

    /// The pairs that `others` cover, as statements without a `Sid`, which must be unique in a document.
    fn covered_statements(&self, others: &[Self]) -> Vec<Value> {
        let coverage = self.coverage(others);
        let whole = self.written.value_without_sid();
        if coverage.iter().flatten().all(|covered| *covered) {
            return vec![whole];
        }
        // actions that keep the same resources share a statement
        let mut actions_by_row: BTreeMap<Vec<bool>, Vec<Item<'_>>> = BTreeMap::new();
        for (action, row) in self.actions().into_iter().zip(coverage) {
            if row.contains(&true) {
                actions_by_row.entry(row).or_default().push(action);
            }
        }
        let resources = self.resources();
        let statement = |(row, actions): (Vec<bool>, Vec<Item<'_>>)| {
            let kept = resources.iter().zip(row).filter(|(_, kept)| *kept).map(|(resource, _)| *resource);
            let mut value = whole.clone();
            replace(&mut value, "Action", &actions);
            replace(&mut value, "Resource", &kept.collect::<Vec<_>>());
            value
        };
        actions_by_row.into_iter().map(statement).collect()
    }
}

/// Replaces the list of an element. A `NotAction` or `NotResource` list stays as it is.
fn replace(statement: &mut Value, element: &str, items: &[Item<'_>]) {
    let list: Option<Vec<&str>> = items
        .iter()
        .map(|item| match item {
            Item::One(item) => Some(*item),
            Item::AllBut(_) => None,
        })
        .collect();
    if let Some(list) = list {
        statement[element] = json!(list);
    }
}

#[cfg(test)]
mod tests;
