//! The canonical form of documents and statements: what equality by meaning compares, and what the linter reads.
//!
//! Structural, not logical: sets are sets and case falls where AWS ignores it, but no wildcard is weighed and no
//! statement merged. Two documents of different meaning must never be equal; two of one meaning may be different, which
//! costs a needless update at worst.

mod arn;
mod fold;
mod read;

pub(crate) use arn::parts as arn_parts;
pub(crate) use read::{document, statement};

use std::sync::Arc;

/// In order, each once. Most have one or two items, and there is one for every few words of every policy: a tree would
/// be ten times as large, and slow to compare.
pub(crate) type Set<T> = Box<[T]>;

/// In the order of the keys, each once.
pub(crate) type Map<K, V> = Box<[(K, V)]>;

/// A set of these.
pub(crate) fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> Set<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items.dedup();
    items.into()
}

/// A document: its version and its statements as a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CanonicalDocument {
    pub version: Version,
    pub statements: Set<Arc<CanonicalStatement>>,
}

/// The version of the policy language: policy variables are texts in the old one, so the two are never equal
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// 2008-10-17, and what holds where none is named.
    Old,
    /// 2012-10-17.
    Current,
}

/// A statement without its `Sid`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CanonicalStatement {
    pub effect: Effect,
    /// `Principal` or `NotPrincipal`. None is never equal to everyone.
    pub principals: Option<Choice<Principal>>,
    /// `Action` or `NotAction`, in lower case.
    pub actions: Choice<String>,
    /// `Resource` or `NotResource`, as written.
    pub resources: Option<Choice<String>>,
    /// By operator, then by key.
    pub conditions: Map<Operator, Map<String, Set<String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// An element, or its counterpart with `Not`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Choice<T: Ord> {
    Only(Set<T>),
    AllBut(Set<T>),
}

/// Who is meant. Everyone is `Aws("*")`, an account is its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Principal {
    Aws(String),
    CanonicalUser(String),
    Federated(String),
    Service(String),
}

impl Principal {
    /// Who, whatever kind it is.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Aws(text) | Self::CanonicalUser(text) | Self::Federated(text) | Self::Service(text) => text,
        }
    }
}

/// A condition operator, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operator {
    pub quantifier: Quantifier,
    /// In lower case; as written where it is not known, which only a live document may have.
    pub base: String,
    pub if_exists: bool,
}

/// What stands before a condition operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantifier {
    One,
    ForAllValues,
    ForAnyValue,
}

#[cfg(test)]
mod tests;
