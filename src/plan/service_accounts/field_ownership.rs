//! Which field manager owns which label and annotation of a live ServiceAccount.

use crate::model::call::KubernetesCall;
use crate::model::live::{FieldManager, LiveServiceAccount};
use crate::model::resource::ServiceAccount;
use crate::plan::context::PlanContext;
use crate::plan::iam::pick;
use std::fmt;

/// The manager to which the API server assigns all fields of an object without `managedFields` when it is first applied
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply-to-server-side-apply>).
/// It stands for nobody, because the real writer is unknown.
pub(crate) const UNTRACKED: &str = "before-first-apply";

/// A label or an annotation, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetaField<'k> {
    Label(&'k str),
    Annotation(&'k str),
}

impl fmt::Display for MetaField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => write!(f, "label `{key}`"),
            Self::Annotation(key) => write!(f, "annotation `{key}`"),
        }
    }
}

impl MetaField<'_> {
    fn is_owned_by(self, manager: &FieldManager) -> bool {
        let (keys, name) = match self {
            Self::Label(key) => (&manager.labels, key),
            Self::Annotation(key) => (&manager.annotations, key),
        };
        // the keys are sorted, and a manager may have very many
        keys.binary_search_by(|owned| owned.as_str().cmp(name)).is_ok()
    }
}

/// A field that irsa sets, and that another manager owns with another value.
pub(crate) struct Conflict<'l> {
    pub manager: &'l str,
    pub field: MetaField<'l>,
    /// The live value.
    pub value: &'l str,
}

/// A live ServiceAccount with the owners of its fields.
#[derive(Clone, Copy)]
pub(crate) struct FieldOwnership<'a> {
    pub live: &'a LiveServiceAccount,
    /// The name of irsa's field manager.
    irsa: &'a str,
}

impl<'a> FieldOwnership<'a> {
    pub(crate) fn of(context: &'a PlanContext<'_>, live: &'a LiveServiceAccount) -> Self {
        Self { live, irsa: &context.field_manager }
    }

    /// The entries of irsa, or the entries of all other managers.
    fn entries(&self, own: bool) -> impl Iterator<Item = &'a FieldManager> {
        let irsa = self.irsa;
        self.live
            .managers
            .iter()
            .map(AsRef::as_ref)
            .filter(move |manager: &&FieldManager| (manager.name == irsa) == own)
    }

    /// All labels and annotations.
    pub(crate) fn fields(&self) -> impl Iterator<Item = MetaField<'a>> {
        let labels = self.live.labels.keys().map(|key| MetaField::Label(key));
        labels.chain(self.live.annotations.keys().map(|key| MetaField::Annotation(key)))
    }

    /// The live value.
    pub(crate) fn value(&self, field: MetaField<'_>) -> Option<&'a str> {
        let (fields, key) = match field {
            MetaField::Label(key) => (&self.live.labels, key),
            MetaField::Annotation(key) => (&self.live.annotations, key),
        };
        fields.get(key).map(String::as_str)
    }

    /// The object with only these fields.
    pub(crate) fn pick(&self, wanted: impl Fn(MetaField<'_>) -> bool) -> ServiceAccount {
        ServiceAccount {
            namespace: self.live.namespace.clone(),
            name: self.live.name.clone(),
            labels: pick(&self.live.labels, |key, _| wanted(MetaField::Label(key))),
            annotations: pick(&self.live.annotations, |key, _| wanted(MetaField::Annotation(key))),
        }
    }

    /// The call that removes these fields, whoever owns them. None if the object has none of them.
    pub(crate) fn remove(&self, which: impl Fn(MetaField<'_>) -> bool) -> Option<KubernetesCall> {
        let from = self.pick(which);
        let some = !(from.labels.is_empty() && from.annotations.is_empty());
        some.then(|| KubernetesCall::Remove { uid: self.live.uid.clone(), from })
    }

    /// Whether irsa owns the field.
    pub(crate) fn is_own(&self, field: MetaField<'_>) -> bool {
        self.entries(true).any(|manager| field.is_owned_by(manager))
    }

    /// Whether another manager owns the field too, so that a server-side apply without the field keeps it.
    pub(crate) fn is_shared(&self, field: MetaField<'_>) -> bool {
        self.entries(false).any(|manager| field.is_owned_by(manager))
    }

    /// The other managers that are known to own the field.
    pub(crate) fn other_owners(&self, field: MetaField<'_>) -> impl Iterator<Item = &'a str> {
        let known = move |manager: &&FieldManager| manager.name != UNTRACKED && field.is_owned_by(manager);
        self.entries(false).filter(known).map(|manager| manager.name.as_str())
    }

    /// Whether the object has no record of field managers.
    pub(crate) fn is_unrecorded(&self) -> bool {
        self.live.managers.is_empty()
    }

    /// Whether irsa is the only manager, and owns nothing but labels and annotations.
    pub(crate) fn is_exclusive(&self) -> bool {
        !self.is_unrecorded() && self.live.managers.iter().all(|manager| manager.name == self.irsa && !manager.others)
    }

    /// The names of the other managers that are known.
    pub(crate) fn other_managers(&self) -> Vec<&'a str> {
        self.entries(false).map(|manager| manager.name.as_str()).filter(|name| *name != UNTRACKED).collect()
    }

    /// The fields of `after` that other managers own with other values.
    pub(crate) fn conflicts<'l>(&self, after: &'l ServiceAccount) -> Vec<Conflict<'l>>
    where
        'a: 'l,
    {
        let labels = after.labels.iter().map(|(key, value)| (MetaField::Label(key), value));
        let annotations = after.annotations.iter().map(|(key, value)| (MetaField::Annotation(key), value));
        let mut conflicts = Vec::new();
        for (field, wanted) in labels.chain(annotations) {
            let Some(value) = self.value(field).filter(|value| value != wanted) else { continue };
            let owners = self.entries(false).filter(|manager| field.is_owned_by(manager));
            let unrecorded = self.is_unrecorded().then_some(UNTRACKED);
            let owners = owners.map(|manager| manager.name.as_str()).chain(unrecorded);
            conflicts.extend(owners.map(|manager| Conflict { manager, field, value }));
        }
        conflicts
    }
}
