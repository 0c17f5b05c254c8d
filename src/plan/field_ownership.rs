//! Who holds which label and annotation of a live ServiceAccount.

use super::context::PlanContext;
use crate::model::live::{FieldManager, LiveServiceAccount};
use crate::model::resource::{ServiceAccount, StringMap};
use std::fmt;
use std::sync::Arc;

/// The manager to which the API server gives all that an object without `managedFields` has, when it is first applied
/// to (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply-to-server-side-apply>).
/// It stands for nobody: who wrote those fields is not known.
pub(crate) const UNTRACKED: &str = "before-first-apply";

/// A label or an annotation, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'k> {
    Label(&'k str),
    Annotation(&'k str),
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => write!(f, "label `{key}`"),
            Self::Annotation(key) => write!(f, "annotation `{key}`"),
        }
    }
}

impl Field<'_> {
    fn is_held_by(self, manager: &FieldManager) -> bool {
        let (keys, name) = match self {
            Self::Label(key) => (&manager.labels, key),
            Self::Annotation(key) => (&manager.annotations, key),
        };
        // sorted, and someone may hold very many
        keys.binary_search_by(|held| held.as_str().cmp(name)).is_ok()
    }

    /// Its value on the live object.
    pub(crate) fn of(self, live: &LiveServiceAccount) -> Option<&String> {
        match self {
            Self::Label(key) => live.labels.get(key),
            Self::Annotation(key) => live.annotations.get(key),
        }
    }
}

/// All labels and annotations of a live object.
pub(crate) fn fields(live: &LiveServiceAccount) -> impl Iterator<Item = Field<'_>> {
    let labels = live.labels.keys().map(|key| Field::Label(key));
    labels.chain(live.annotations.keys().map(|key| Field::Annotation(key)))
}

/// These fields of a live object.
pub(crate) fn picked(live: &LiveServiceAccount, wanted: impl Fn(Field<'_>) -> bool) -> ServiceAccount {
    fn pick(pairs: &StringMap, wanted: impl Fn(&str) -> bool) -> StringMap {
        pairs.iter().filter(|(key, _)| wanted(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
    ServiceAccount {
        namespace: live.namespace.clone(),
        name: live.name.clone(),
        labels: pick(&live.labels, |key| wanted(Field::Label(key))),
        annotations: pick(&live.annotations, |key| wanted(Field::Annotation(key))),
    }
}

/// What our field manager holds on an object, and what the others do.
#[derive(Clone, Copy)]
pub(crate) struct FieldOwnership<'a> {
    us: &'a str,
    managers: &'a [Arc<FieldManager>],
}

impl<'a> FieldOwnership<'a> {
    pub(crate) fn of(context: &'a PlanContext<'_>, live: &'a LiveServiceAccount) -> Self {
        Self { us: &context.field_manager, managers: &live.managers }
    }

    fn ours(&self) -> impl Iterator<Item = &'a FieldManager> {
        let us = self.us;
        self.managers.iter().map(AsRef::as_ref).filter(move |manager| manager.name == us)
    }

    fn theirs(&self) -> impl Iterator<Item = &'a FieldManager> {
        let us = self.us;
        self.managers.iter().map(AsRef::as_ref).filter(move |manager| manager.name != us)
    }

    /// Whether we hold the field.
    pub(crate) fn holds(&self, field: Field<'_>) -> bool {
        self.ours().any(|manager| field.is_held_by(manager))
    }

    /// Whether the field is in the record of another manager, so that it stays when we give it up.
    pub(crate) fn shared(&self, field: Field<'_>) -> bool {
        self.theirs().any(|manager| field.is_held_by(manager))
    }

    /// The other managers that are known to hold the field.
    pub(crate) fn holders(&self, field: Field<'_>) -> Vec<&'a str> {
        let known = |manager: &&FieldManager| manager.name != UNTRACKED && field.is_held_by(manager);
        self.theirs().filter(known).map(|manager| manager.name.as_str()).collect()
    }

    /// Whether nobody is recorded to hold any field.
    pub(crate) fn is_unrecorded(&self) -> bool {
        self.managers.is_empty()
    }

    /// Whether nobody else holds anything, and we nothing but labels and annotations.
    pub(crate) fn alone(&self) -> bool {
        self.theirs().next().is_none() && self.ours().next().is_some() && !self.ours().any(|manager| manager.others)
    }

    /// The names of the other managers.
    pub(crate) fn others(&self) -> Vec<&'a str> {
        self.theirs().map(|manager| manager.name.as_str()).collect()
    }

    /// The fields of ours that other managers hold with other values: who, which, and the value.
    pub(crate) fn conflicts<'l>(&self, live: &'l LiveServiceAccount, after: &'l ServiceAccount) -> Vec<Conflict<'l>>
    where
        'a: 'l,
    {
        let labels = after.labels.iter().map(|(key, value)| (Field::Label(key), value));
        let annotations = after.annotations.iter().map(|(key, value)| (Field::Annotation(key), value));
        let mut conflicts = Vec::new();
        for (field, value) in labels.chain(annotations) {
            let Some(value) = field.of(live).filter(|current| *current != value) else { continue };
            let holders = self.theirs().filter(|manager| field.is_held_by(manager));
            let unrecorded = self.is_unrecorded().then_some(UNTRACKED);
            let holders = holders.map(|manager| manager.name.as_str()).chain(unrecorded);
            conflicts.extend(holders.map(|manager| Conflict { manager, field, value }));
        }
        conflicts
    }
}

/// A field of ours that another manager holds with another value.
pub(crate) struct Conflict<'l> {
    pub manager: &'l str,
    pub field: Field<'l>,
    pub value: &'l str,
}
