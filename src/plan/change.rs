//! One change of one object. A change that changes nothing cannot be made.

use crate::model::resource::{ManagedPolicy, Provider, Role, ServiceAccount};
use serde_json::Value;

/// What happens to one object. The two sides are `before` and `after` everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// It is made.
    Create {
        /// What it will be.
        after: T,
    },
    /// It is changed, or (a `ServiceAccount`) let go of.
    Update {
        /// What it is.
        before: T,
        /// What it will be.
        after: T,
    },
    /// It is deleted.
    Delete {
        /// What it is.
        before: T,
    },
    /// It is taken over, and made to be as declared.
    Adopt {
        /// What it is.
        before: T,
        /// What it will be.
        after: T,
    },
}

impl<T: PartialEq> Change<T> {
    /// The change from one look to the wanted state; nothing if there is none.
    pub fn between(before: Option<T>, after: Option<T>) -> Option<Self> {
        match (before, after) {
            (None, None) => None,
            (None, Some(after)) => Some(Self::Create { after }),
            (Some(before), None) => Some(Self::Delete { before }),
            (Some(before), Some(after)) => (before != after).then_some(Self::Update { before, after }),
        }
    }
}

impl<T: PartialEq + Clone> Change<T> {
    /// The change from what is there to what is wanted; nothing, and nothing copied, if they are the same.
    pub(crate) fn from_to(before: &T, after: &T) -> Option<Self> {
        (before != after).then(|| Self::Update { before: before.clone(), after: after.clone() })
    }
}

impl<T> Change<T> {
    /// What the object is, if it is there.
    pub fn before(&self) -> Option<&T> {
        match self {
            Self::Create { .. } => None,
            Self::Update { before, .. } | Self::Delete { before } | Self::Adopt { before, .. } => Some(before),
        }
    }

    /// What it will be, if it will be there.
    pub fn after(&self) -> Option<&T> {
        match self {
            Self::Delete { .. } => None,
            Self::Create { after } | Self::Update { after, .. } | Self::Adopt { after, .. } => Some(after),
        }
    }

    /// The verb.
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
    /// `+`
    Create,
    /// `~`
    Update,
    /// `-`
    Delete,
    /// `!`
    Adopt,
}

impl Action {
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

/// A change of one of the kinds of object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceChange {
    /// Of an OIDC provider.
    Provider(Change<Provider>),
    /// Of a customer managed policy.
    Policy(Change<ManagedPolicy>),
    /// Of a role.
    Role(Box<Change<Role>>),
    /// Of a `ServiceAccount`.
    ServiceAccount(Change<ServiceAccount>),
}

impl ResourceChange {
    /// Whether the object is there before and after the change.
    pub fn stays(&self) -> bool {
        matches!(self.action(), Action::Update | Action::Adopt)
    }

    /// The verb.
    pub fn action(&self) -> Action {
        match self {
            Self::Provider(change) => change.action(),
            Self::Policy(change) => change.action(),
            Self::Role(change) => change.action(),
            Self::ServiceAccount(change) => change.action(),
        }
    }
}

/// One field that differs, in the form of the plan file: `trust`, `tags.team`, `inline.queue`, `attached`, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The path of the field.
    pub path: String,
    /// Its value before, `null` if there is none.
    pub before: Value,
    /// Its value after, `null` if there is none.
    pub after: Value,
}
