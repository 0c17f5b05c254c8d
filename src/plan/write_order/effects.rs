//! The effects of a call on a role: the factors in which it takes (removes access), and the factors in which it gives
//! (adds access).
//!
//! A role has seven factors: trust, allows, denies, boundary, session length, tags, and whether its OIDC provider
//! exists. All of them together decide what somebody can do through the role. So somebody can have a permission that
//! they have neither before nor after the plan only while one factor already has its wider new value and another factor
//! still has its wider old value.

use super::mutant::{self, Mutant};
use crate::ids::PolicyArn;
use crate::model::call::{FieldWrite, IamCall};
use crate::model::marks::is_mark;
use crate::policy::permission_effects::{self, PermissionEffects};
use crate::policy::{PolicyDocument, trust_effects};
use std::collections::HashMap;

/// A property that decides what somebody can do through a role, together with the other six.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    Trust,
    Allows,
    Denies,
    Boundary,
    Session,
    Tags,
    /// Whether the trusted OIDC provider exists and accepts the audience.
    Provider,
}

impl Factor {
    const ALL: [Self; 7] =
        [Self::Trust, Self::Allows, Self::Denies, Self::Boundary, Self::Session, Self::Tags, Self::Provider];

    /// Whether a call that takes must come before a call that gives within this factor. Trust and session length do not
    /// need that, because one call writes the whole value. Allows do not need it either: irsa adds new allows before it
    /// removes old ones, so that a permission that moves between two policies is never missing.
    fn takes_before_it_gives(self) -> bool {
        matches!(self, Self::Denies | Self::Boundary | Self::Tags) && !mutant::is_active(Mutant::NoRuleTwo)
    }

    /// Whether a session keeps the value that this factor has when the session starts. If so, a deny for everything
    /// does not help, because a session that starts during the deny outlasts it.
    fn outlasts_a_deny(self) -> bool {
        matches!(self, Self::Trust | Self::Session | Self::Tags | Self::Provider)
    }

    /// Whether rule 1 is broken on purpose for this factor.
    fn is_overlooked(self) -> bool {
        match self {
            Self::Denies => mutant::is_active(Mutant::RuleOneWithoutDenies),
            Self::Boundary => mutant::is_active(Mutant::RuleOneWithoutBoundary),
            Self::Session | Self::Tags => mutant::is_active(Mutant::RuleOneWithoutSettings),
            Self::Trust | Self::Allows | Self::Provider => false,
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The factors in which a call takes, and the factors in which it gives, as sets of bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Effects {
    takes: u8,
    gives: u8,
}

impl Effects {
    pub(super) fn of(factor: Factor, takes: bool, gives: bool) -> Self {
        let bit = |on: bool| if on { factor.bit() } else { 0 };
        Self { takes: bit(takes), gives: bit(gives) }
    }

    /// The effects of changing a document that the role has as a policy.
    pub(super) fn of_policy(document: PermissionEffects) -> Self {
        let PermissionEffects { allow_leaves, allow_arrives, deny_leaves, deny_arrives } = document;
        if mutant::is_active(Mutant::DenyIsAllow) {
            return Self::of(Factor::Allows, allow_leaves || deny_leaves, allow_arrives || deny_arrives);
        }
        Self::of(Factor::Allows, allow_leaves, allow_arrives).or(Self::of(Factor::Denies, deny_arrives, deny_leaves))
    }

    /// The effects of changing the document of the role's boundary.
    pub(super) fn of_boundary(document: PermissionEffects) -> Self {
        Self::of(Factor::Boundary, document.takes(), document.gives())
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self { takes: self.takes | other.takes, gives: self.gives | other.gives }
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// The effects that still matter while the role denies everything.
    pub(super) fn outlasting_a_deny(self) -> Self {
        let kept = Factor::ALL.into_iter().filter(|factor| factor.outlasts_a_deny());
        let mask = kept.fold(0, |mask, factor| mask | factor.bit());
        Self { takes: self.takes & mask, gives: self.gives & mask }
    }

    pub(super) fn only_takes(self) -> Self {
        Self { gives: 0, ..self }
    }

    pub(super) fn only_gives(self) -> Self {
        Self { takes: 0, ..self }
    }

    pub(super) fn takes_and_gives(self) -> bool {
        self.takes != 0 && self.gives != 0
    }

    pub(super) fn takes_in(self, factor: Factor) -> bool {
        self.takes & factor.bit() != 0
    }

    pub(super) fn gives_in(self, factor: Factor) -> bool {
        self.gives & factor.bit() != 0
    }

    /// Whether a call with these effects must come before a call with the effects `other`, by rules 1 and 2.
    pub(super) fn come_before(self, other: Self) -> bool {
        Factor::ALL.into_iter().filter(|factor| self.takes_in(*factor)).any(|factor| {
            let gives_in_others = other.gives & !factor.bit() != 0;
            (gives_in_others && !factor.is_overlooked()) || (other.gives_in(factor) && factor.takes_before_it_gives())
        })
    }
}

/// The document of a managed policy that this plan creates, changes or deletes.
#[derive(Debug, Clone)]
pub(super) struct DocumentChange {
    pub before: Option<PolicyDocument>,
    pub after: Option<PolicyDocument>,
    pub effects: PermissionEffects,
}

/// The documents of managed policies, before and after the plan.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// The live documents, as far as irsa read them.
    pub live: HashMap<PolicyArn, PolicyDocument>,
    pub changes: HashMap<PolicyArn, DocumentChange>,
}

impl Documents {
    /// Every document that the policy may have at the moment when a role attaches it (`attach`) or detaches it. `None`
    /// is a document that was not read. A role attaches a policy after the document loses permissions, and detaches a
    /// policy before the document gains permissions.
    pub(super) fn possible(&self, arn: &PolicyArn, attach: bool) -> Vec<Option<&PolicyDocument>> {
        let Some(change) = self.changes.get(arn) else { return vec![self.live.get(arn)] };
        let (before, after) = (change.before.as_ref().map(Some), change.after.as_ref().map(Some));
        let (likely, other, ordered) =
            if attach { (after, before, change.effects.takes()) } else { (before, after, change.effects.gives()) };
        match likely {
            Some(document) if ordered => vec![document],
            likely => likely.into_iter().chain(other).collect(),
        }
    }

    fn attachment(&self, arn: &PolicyArn, attach: bool) -> Effects {
        let effects = self.possible(arn, attach).into_iter().map(|document| match document {
            None => PermissionEffects::unknown(!attach, attach),
            Some(document) if attach => permission_effects::between(None, Some(document)),
            Some(document) => permission_effects::between(Some(document), None),
        });
        Effects::of_policy(effects.fold(PermissionEffects::default(), PermissionEffects::or))
    }

    fn boundary_replaced(&self, from: &PolicyArn, to: &PolicyArn) -> Effects {
        let mut all = PermissionEffects::default();
        for old in self.possible(from, false) {
            for new in self.possible(to, true) {
                all = all.or(match (old, new) {
                    (Some(old), Some(new)) => permission_effects::between(Some(old), Some(new)),
                    _ => PermissionEffects::unknown(true, true),
                });
            }
        }
        Effects::of_boundary(all)
    }

    /// The effects of a call on its own role. `CreateRole` and `DeleteRole` have none, because they are the first and
    /// the last call of a role, and nobody can use it before or after.
    pub(super) fn effects(&self, call: &IamCall) -> Effects {
        match call.write() {
            FieldWrite::Trust(from, to) => {
                let trust = trust_effects::between(from, to);
                Effects::of(Factor::Trust, trust.loses, trust.gains)
            }
            FieldWrite::Settings(from, to) => {
                let (from, to) = (from.max_session_duration, to.max_session_duration);
                Effects::of(Factor::Session, to < from, to > from)
            }
            FieldWrite::Boundary(Some(from), Some(to)) => self.boundary_replaced(from, to),
            FieldWrite::Boundary(from, to) => Effects::of(Factor::Boundary, to.is_some(), from.is_some()),
            FieldWrite::Inline(_, from, to) => Effects::of_policy(permission_effects::between(from, to)),
            FieldWrite::Attach(arn) => self.attachment(arn, true),
            FieldWrite::Detach(arn) => self.attachment(arn, false),
            FieldWrite::SetTags(_, tags) | FieldWrite::RemoveTags(tags) => {
                let others = tags.keys().any(|key| !is_mark(key));
                Effects::of(Factor::Tags, others, others)
            }
            FieldWrite::Create(_)
            | FieldWrite::Delete
            | FieldWrite::Document(..)
            | FieldWrite::DeleteVersion(_)
            | FieldWrite::AddAudience(_) => Effects::default(),
        }
    }
}
