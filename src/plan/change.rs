//! `Change`: the change of one object, with its state before and after. A change without a difference cannot be made.

use crate::model::resource::{ManagedPolicy, Provider, Role, ServiceAccount};
use serde_json::Value;

/// The change of one object: `before` is its live state, `after` the state once the plan is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are described once, on the enum")]
pub enum Change<T> {
    /// irsa creates the object.
    Create { after: T },
    /// irsa changes the object, or releases a `ServiceAccount`.
    Update { before: T, after: T },
    /// irsa deletes the object.
    Delete { before: T },
    /// irsa takes the object over and brings it to its declared state.
    Adopt { before: T, after: T },
}

impl<T: PartialEq + Clone> Change<T> {
    /// The update from the live state to the wanted one. None if they are equal.
    pub(crate) fn update(before: &T, after: &T) -> Option<Self> {
        (before != after).then(|| Self::Update { before: before.clone(), after: after.clone() })
    }
}

impl<T> Change<T> {
    /// The live state. None if the object does not exist.
    pub fn before(&self) -> Option<&T> {
        match self {
            Self::Create { .. } => None,
            Self::Update { before, .. } | Self::Delete { before } | Self::Adopt { before, .. } => Some(before),
        }
    }

    /// The state after the change. None if the object is deleted.
    pub fn after(&self) -> Option<&T> {
        match self {
            Self::Delete { .. } => None,
            Self::Create { after } | Self::Update { after, .. } | Self::Adopt { after, .. } => Some(after),
        }
    }

    /// The kind of change, without the states.
    pub fn action(&self) -> Action {
        match self {
            Self::Create { .. } => Action::Create,
            Self::Update { .. } => Action::Update,
            Self::Delete { .. } => Action::Delete,
            Self::Adopt { .. } => Action::Adopt,
        }
    }
}

/// The verb of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Printed as `+`.
    Create,
    /// Printed as `~`.
    Update,
    /// Printed as `-`.
    Delete,
    /// Printed as `!`.
    Adopt,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Delete, Self::Adopt];

    /// The action of a word in JSON. None for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Adopt => "adopt",
        }
    }
}

/// The change of an object of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named for the kinds")]
pub enum ResourceChange {
    Provider(Change<Provider>),
    Policy(Change<ManagedPolicy>),
    Role(Box<Change<Role>>),
    ServiceAccount(Change<ServiceAccount>),
}

impl ResourceChange {
    /// The kind of change, without the states.
    pub fn action(&self) -> Action {
        match self {
            Self::Provider(change) => change.action(),
            Self::Policy(change) => change.action(),
            Self::Role(change) => change.action(),
            Self::ServiceAccount(change) => change.action(),
        }
    }

    /// The change, if it is one of a role.
    pub(crate) fn of_role(&self) -> Option<&Change<Role>> {
        match self {
            Self::Role(change) => Some(change),
            Self::Provider(_) | Self::Policy(_) | Self::ServiceAccount(_) => None,
        }
    }
}

/// One field that differs, in the form of the plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The path of the field: `trust`, `tags.team`, `inline.queue`, `attached`, …
    pub path: String,
    /// Its value before; `null` if it has none.
    pub before: Value,
    /// Its value after; `null` if it has none.
    pub after: Value,
}
