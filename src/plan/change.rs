//! `Change`: the change of one object, with its state before and after. `ResourceChange` has one for each kind of
//! object.

use super::field_diff::{self, FieldChange, FieldType, FieldTypes, PlanFields};
use crate::model::address::{Address, OrphanKind};
use crate::model::marks::ROLE_ARN;
use crate::model::resource::{ManagedPolicy, Provider, Role, ServiceAccount};
use serde_json::Value;

/// The change of one object: `before` is its live state, `after` the state once the plan is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are described once, on the enum")]
pub enum Change<T> {
    /// irsa creates the object.
    Create { after: T },
    /// irsa changes the object. A release is an update too: irsa removes its own tags, labels and annotations, and
    /// keeps the object.
    Update { before: T, after: T },
    /// irsa deletes the object.
    Delete { before: T },
    /// irsa takes the object over and brings it to its declared state.
    Adopt { before: T, after: T },
}

impl<T: PartialEq + Clone> Change<T> {
    /// The update from the live state to the wanted state. None if they are equal.
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

    /// The action that this JSON word names. None if no action has this word.
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

/// Evaluates an expression for the change of an object of any kind.
macro_rules! of_any_kind {
    ($resource:expr, $change:ident => $value:expr) => {
        match $resource {
            ResourceChange::Provider($change) => $value,
            ResourceChange::Policy($change) => $value,
            ResourceChange::Role($change) => $value,
            ResourceChange::ServiceAccount($change) => $value,
        }
    };
}

impl ResourceChange {
    /// The kind of change, without the states.
    pub fn action(&self) -> Action {
        of_any_kind!(self, change => change.action())
    }

    /// The whole object before and after, as JSON. `null` if it does not exist.
    pub(crate) fn sides(&self) -> (Value, Value) {
        of_any_kind!(self, change => {
            (change.before().map_or(Value::Null, field_diff::json), change.after().map_or(Value::Null, field_diff::json))
        })
    }

    /// The fields that differ, sorted by path. An object that is created or deleted differs in all fields.
    pub(crate) fn fields(&self) -> Vec<FieldChange> {
        of_any_kind!(self, change => field_diff::differences(change.before(), change.after()))
    }

    /// The change, if the object is a role.
    pub(crate) fn as_role(&self) -> Option<&Change<Role>> {
        if let Self::Role(change) = self { Some(change) } else { None }
    }

    /// The role ARNs in the annotation of a ServiceAccount, before and after the change.
    pub(crate) fn pod_roles(&self) -> [Option<&String>; 2] {
        let change = self.as_service_account();
        let ends = [change.and_then(Change::before), change.and_then(Change::after)];
        ends.map(|end| end?.annotations.get(ROLE_ARN))
    }

    /// The change, if the object is a `ServiceAccount`.
    pub(crate) fn as_service_account(&self) -> Option<&Change<ServiceAccount>> {
        if let Self::ServiceAccount(change) = self { Some(change) } else { None }
    }
}

/// The sort key of a change. Creates and updates: provider, policy, role, ServiceAccount. Deletes come after them,
/// in reverse order. A ServiceAccount has the same key for both, in the middle.
pub(crate) fn rank(address: &Address, action: Action) -> u8 {
    let rank = match address {
        Address::OidcProvider { .. } | Address::Orphan { kind: OrphanKind::OidcProvider, .. } => 0,
        Address::Policy { .. } | Address::Orphan { kind: OrphanKind::Policy, .. } => 1,
        Address::Role { .. } | Address::Orphan { kind: OrphanKind::Role, .. } => 2,
        Address::ServiceAccount { .. } => 3,
    };
    if action == Action::Delete { 6 - rank } else { rank }
}

/// The names and types of the fields of an object with this address.
pub(crate) fn field_types(address: &Address) -> FieldTypes {
    match address {
        Address::OidcProvider { .. } | Address::Orphan { kind: OrphanKind::OidcProvider, .. } => Provider::FIELD_TYPES,
        Address::Policy { .. } | Address::Orphan { kind: OrphanKind::Policy, .. } => ManagedPolicy::FIELD_TYPES,
        Address::Role { .. } | Address::Orphan { kind: OrphanKind::Role, .. } => Role::FIELD_TYPES,
        Address::ServiceAccount { .. } => ServiceAccount::FIELD_TYPES,
    }
}

/// Whether the field of this name is a map (`tags`, `labels`, `annotations`, `inline`). Each of its keys counts as a
/// field.
pub(crate) fn is_map(field: &str) -> bool {
    let all = [Provider::FIELD_TYPES, ManagedPolicy::FIELD_TYPES, Role::FIELD_TYPES, ServiceAccount::FIELD_TYPES]
        .into_iter()
        .flatten();
    all.into_iter().any(|(name, kind)| *name == field && matches!(kind, FieldType::StringMap | FieldType::Documents))
}
