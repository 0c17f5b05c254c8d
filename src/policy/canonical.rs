//! The canonical form of policies: what equality compares, and what the linter and the comparisons read.
//!
//! Lists become sets, and letters become lower case where AWS ignores case. Nothing is inferred: no wildcard is
//! interpreted and no statements are merged. Documents with different meanings must never be equal. Documents with the
//! same meaning may differ, which costs an unneeded update.

mod arn;
mod fold;
mod read;

pub(crate) use fold::{condition_key, is_account_id};
pub(crate) use read::{document, statement};

use std::sync::Arc;

/// Sorted, without duplicates. A list, because most have one or two items: a tree would take ten times the memory.
pub(crate) type Set<T> = Box<[T]>;

/// Sorted by key, each key once.
pub(crate) type Map<K, V> = Box<[(K, V)]>;

pub(crate) fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> Set<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items.dedup();
    items.into()
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CanonicalDocument {
    pub version: Version,
    pub statements: Set<Arc<CanonicalStatement>>,
}

/// The version of the policy language. Documents of different versions are never equal, because policy variables are
/// plain text in the old one
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// 2008-10-17, or no `Version` element.
    Old,
    /// 2012-10-17.
    Current,
}

/// A statement without its `Sid`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CanonicalStatement {
    pub effect: Effect,
    /// `Principal` or `NotPrincipal`. `None` (no element) never equals everyone.
    pub principals: Option<Choice<Principal>>,
    /// `Action` or `NotAction`, in lower case.
    pub actions: Choice<String>,
    /// `Resource` or `NotResource`, as written.
    pub resources: Option<Choice<String>>,
    /// Values by operator and condition key.
    pub conditions: Map<Operator, Map<String, Set<String>>>,
}

impl CanonicalStatement {
    /// The principals under `Principal`.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.principals.iter().flat_map(Choice::named)
    }

    /// The `Federated` principals, as written.
    pub(crate) fn federated(&self) -> impl Iterator<Item = &str> {
        self.principals().filter_map(|principal| match principal {
            Principal::Federated(text) => Some(text.as_str()),
            Principal::Aws(_) | Principal::CanonicalUser(_) | Principal::Service(_) => None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// The list of an element (`Action`) or of its negation (`NotAction`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Choice<T: Ord> {
    Only(Set<T>),
    AllBut(Set<T>),
}

impl<T: Ord> Choice<T> {
    /// The items of `Only`. Empty for `AllBut`.
    pub(crate) fn named(&self) -> &[T] {
        match self {
            Self::Only(set) => set,
            Self::AllBut(_) => &[],
        }
    }

    /// The items of either list.
    pub(crate) fn items(&self) -> &[T] {
        let (Self::Only(set) | Self::AllBut(set)) = self;
        set
    }
}

/// A principal. Everyone is `Aws("*")`; an account is its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Principal {
    Aws(String),
    CanonicalUser(String),
    Federated(String),
    Service(String),
}

impl Principal {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Aws(text) | Self::CanonicalUser(text) | Self::Federated(text) | Self::Service(text) => text,
        }
    }
}

/// A condition operator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operator {
    pub quantifier: Quantifier,
    /// In lower case, without prefix and suffix. As written if unknown, which only a live document may have.
    pub base: String,
    pub if_exists: bool,
}

/// The prefix of a condition operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantifier {
    /// No prefix.
    One,
    ForAllValues,
    ForAnyValue,
}

#[cfg(test)]
mod tests;
