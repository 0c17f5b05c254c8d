//! The pairs of an action and a resource in which two sets of documents differ.

use super::{ComparedStatement, Item, compared_statements, includes, is_within};
use crate::policy::canonical::{Choice, Effect, Quantifier};
use crate::policy::condition::conditions;
use crate::policy::document::{PolicyDocument, Statement};
use crate::policy::evaluate::KnownKeys;
use crate::policy::pattern::{Syntax, arn_covers, covers_as, overlap_as, without_variables};
use serde_json::Value;

/// The most combinations of condition values that are looked at one by one.
const MAX_COMBINATIONS: usize = 8;

/// An action on a resource, under the conditions of one or more statements.
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    action: Item<'a>,
    resource: Item<'a>,
    /// What `${…}` means in the resource.
    syntax: Syntax,
    /// The statement that has it. With the deny that it meets, if one decides too. All their conditions must hold.
    pub statements: Vec<&'a Statement>,
    /// Another statement that has the names of the item.
    named_in: Option<&'a Statement>,
}

/// All pairs that the documents allow.
pub fn allowed<'a>(documents: &[&'a PolicyDocument]) -> Vec<Pair<'a>> {
    lacking(Effect::Allow, documents, &[])
}

/// The pairs that `from` allows and no allow of `to` certainly covers.
pub fn allows_lacking<'a>(from: &[&'a PolicyDocument], to: &[&'a PolicyDocument]) -> Vec<Pair<'a>> {
    lacking(Effect::Allow, from, to)
}

/// The pairs that `from` denies and no deny of `to` certainly covers.
pub fn denies_lacking<'a>(from: &[&'a PolicyDocument], to: &[&'a PolicyDocument]) -> Vec<Pair<'a>> {
    lacking(Effect::Deny, from, to)
}

/// The pairs that the documents deny.
pub fn denied<'a>(documents: &[&'a PolicyDocument]) -> Vec<Pair<'a>> {
    lacking(Effect::Deny, documents, &[])
}

fn lacking<'a>(effect: Effect, from: &[&'a PolicyDocument], to: &[&'a PolicyDocument]) -> Vec<Pair<'a>> {
    let compared = |documents: &[&'a PolicyDocument]| -> Vec<ComparedStatement<'a>> {
        documents.iter().flat_map(|document| compared_statements(Some(*document))).collect()
    };
    let (from, to) = (compared(from), compared(to));
    let mut pairs = Vec::new();
    for statement in from.iter().filter(|statement| statement.canonical.effect == effect) {
        let statement = statement.without_denied(&from);
        let (written, resources) = (statement.written, statement.resources());
        for (action, row) in statement.actions().into_iter().zip(statement.coverage(&to)) {
            let lacking = resources.iter().zip(row).filter(|(_, covered)| !covered);
            let pair = |(resource, _): (&Item<'a>, bool)| Pair {
                action,
                resource: *resource,
                syntax: statement.syntax,
                statements: vec![written],
                named_in: statement.deny,
            };
            pairs.extend(lacking.map(pair).flat_map(|pair| pair.without_all_but(&to)));
        }
    }
    pairs
}

impl ComparedStatement<'_> {
    /// `*`, limited by a deny without conditions: `Allow *` and `Deny iam:*` allow `everything but iam:*`.
    fn without_denied(&self, all: &[Self]) -> Self {
        let Self { written, canonical, syntax, .. } = *self;
        let is_star = canonical.effect == Effect::Allow && canonical.actions.named() == ["*"];
        let limits = |deny: &&Self| {
            let of_resource = |item: Item<'_>| {
                let choice = deny.canonical.resources.as_ref();
                choice.is_none_or(|choice| is_within((item, syntax), (choice, deny.syntax), arn_covers))
            };
            deny.canonical.effect == Effect::Deny
                && deny.canonical.conditions.is_empty()
                && !deny.canonical.actions.named().is_empty()
                && self.resources().into_iter().all(of_resource)
        };
        let deny = all.iter().find(limits).filter(|_| is_star).map(|deny| deny.written);
        Self { written, canonical, syntax, deny }
    }
}

impl<'a> Pair<'a> {
    /// What both stand for, under the conditions of both. Too much if they only overlap in part.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let literal = |item| (item, Syntax::Literal);
        let (action, _) = narrower(literal(self.action), literal(other.action))?;
        let (resource, syntax) = narrower((self.resource, self.syntax), (other.resource, other.syntax))?;
        let mut statements = self.statements.clone();
        statements.extend(&other.statements);
        Some(Self { action, resource, syntax, statements, named_in: self.named_in.or(other.named_in) })
    }

    /// Only what is excepted in `to` and not here, if a statement of `to` covers the rest: `everything but A` lacks `B`
    /// in `everything but A and B`.
    fn without_all_but(self, to: &[ComparedStatement<'a>]) -> Vec<Self> {
        let own = self.statements[0].canonical();
        let same = to.iter().filter(|other| {
            let other = other.canonical;
            other.effect == own.effect && other.conditions == own.conditions && other.principals == own.principals
        });
        let more = |own: &[String], wide: &'a [String]| -> Vec<Item<'a>> {
            wide.iter().filter(|name| !own.contains(name)).map(|name| Item::One(name)).collect()
        };
        for other in same.filter(|other| other.syntax == self.syntax) {
            let resources = other.canonical.resources.as_ref();
            match (self.action, &other.canonical.actions, self.resource, resources) {
                (Item::AllBut(own), Choice::AllBut(wide), ..) if other.resources().contains(&self.resource) => {
                    let named_in = Some(other.written);
                    return more(own, wide)
                        .into_iter()
                        .map(|action| Self { action, named_in, ..self.clone() })
                        .collect();
                }
                (_, _, Item::AllBut(own), Some(Choice::AllBut(wide))) if other.actions().contains(&self.action) => {
                    return more(own, wide).into_iter().map(|resource| Self { resource, ..self.clone() }).collect();
                }
                _ => {}
            }
        }
        vec![self]
    }

    /// What is known of the condition keys of requests for which the conditions hold: the values that they require, in
    /// each combination. One without any known key if there are too many.
    pub fn keys(&self) -> Vec<KnownKeys> {
        let mut all = vec![KnownKeys::none()];
        for condition in self.statements.iter().flat_map(|statement| conditions(statement.canonical())) {
            let operator = condition.operator;
            let requires =
                operator.base == "stringequals" && operator.quantifier == Quantifier::One && !operator.if_exists;
            if !requires || condition.values.iter().any(|value| value.contains("${")) {
                continue;
            }
            let with = |keys: &KnownKeys| {
                condition.values.iter().map(|value| keys.clone().with(condition.key, [value])).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
            if all.len() > MAX_COMBINATIONS {
                return vec![KnownKeys::none()];
            }
        }
        all
    }

    /// Whether this pair says all that `other` says: it covers it, and has no condition that `other` lacks.
    pub fn covers(&self, other: &Self) -> bool {
        let conditions = |pair: &Self| -> Vec<_> {
            pair.statements.iter().map(|statement| &statement.canonical().conditions).collect()
        };
        let (own, others) = (conditions(self), conditions(other));
        own.iter().all(|block| block.is_empty() || others.contains(block)) && self.includes(other)
    }

    /// Whether this pair has every action and resource of `other`, whatever the conditions.
    pub fn includes(&self, other: &Self) -> bool {
        includes((self.action, Syntax::Literal), (other.action, Syntax::Literal), covers_as)
            && includes((self.resource, self.syntax), (other.resource, other.syntax), arn_covers)
    }

    /// A pattern without variables that matches every action of the pair.
    pub fn action_pattern(&self) -> &'a str {
        self.action.pattern()
    }

    /// A pattern without variables that matches every resource of the pair.
    pub fn resource_pattern(&self) -> String {
        without_variables(self.resource.pattern(), self.syntax)
    }

    /// The action as it is written, or `everything but ACTIONS`.
    pub fn action_text(&self) -> String {
        // the canonical form has lower case
        let sources: Vec<Value> =
            self.statements.iter().copied().chain(self.named_in).map(Statement::to_value).collect();
        let written = |name: &str| {
            let mut all = sources.iter().flat_map(|source| ["Action", "NotAction"].map(|key| texts(&source[key])));
            let same = |list: Vec<String>| list.into_iter().find(|text| text.eq_ignore_ascii_case(name));
            all.find_map(same).unwrap_or_else(|| name.to_owned())
        };
        match self.action {
            Item::One(name) => written(name),
            Item::AllBut(names) => all_but(names.iter().map(|name| written(name))),
        }
    }

    /// Whether the action is all but a list, whose text has commas.
    pub fn is_all_but(&self) -> bool {
        matches!(self.action, Item::AllBut(_))
    }

    /// The resource, or `everything but RESOURCES`.
    pub fn resource_text(&self) -> String {
        match self.resource {
            Item::One(name) => name.to_owned(),
            Item::AllBut(names) => all_but(names.iter().cloned()),
        }
    }
}

fn all_but(names: impl Iterator<Item = String>) -> String {
    format!("everything but {}", names.collect::<Vec<_>>().join(", "))
}

/// The texts of an element, which has one or a list.
fn texts(element: &Value) -> Vec<String> {
    let list = element.as_array().map_or_else(|| std::slice::from_ref(element), Vec::as_slice);
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl<'a> Item<'a> {
    fn pattern(self) -> &'a str {
        match self {
            Self::One(pattern) => pattern,
            Self::AllBut(_) => "*",
        }
    }
}

/// The narrower of two items, or the first if they overlap only in part. `None` if they have nothing in common.
fn narrower<'a>(one: (Item<'a>, Syntax), other: (Item<'a>, Syntax)) -> Option<(Item<'a>, Syntax)> {
    let disjoint = match (one.0, other.0) {
        (Item::One(a), Item::One(b)) => !overlap_as(a, one.1, b, other.1),
        (Item::One(single), Item::AllBut(excepted)) => {
            excepted.iter().any(|pattern| covers_as(pattern, other.1, single, one.1))
        }
        (Item::AllBut(excepted), Item::One(single)) => {
            excepted.iter().any(|pattern| covers_as(pattern, one.1, single, other.1))
        }
        (Item::AllBut(_), Item::AllBut(_)) => false,
    };
    if disjoint {
        return None;
    }
    Some(if includes(one, other, covers_as) { other } else { one })
}
