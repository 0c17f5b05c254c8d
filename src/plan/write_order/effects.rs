//! What a call takes and gives in the factors of a role that sees it.
//!
//! A role's factors are its trust, what its policies allow, what they deny, its boundary, its session length, its tags,
//! and whether the OIDC provider that it trusts is there. What anybody holds through the role is their product, so a
//! permission that is in neither end can only arise where one factor has given while another has not yet taken.

use super::mutant::{self, Mutant};
use crate::ids::PolicyArn;
use crate::model::call::IamCall;
use crate::model::marks::is_mark;
use crate::policy::permission_effects::{self, PermissionEffects};
use crate::policy::{PolicyDocument, trust_effects};
use std::collections::HashMap;

/// A factor of what a role gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    Trust,
    Allows,
    Denies,
    Boundary,
    Session,
    Tags,
    /// Whether the trusted OIDC provider is there and takes the audience.
    Provider,
}

/// Factors in which what takes must come before what gives in the same factor. Trust and session are one call each, or
/// split; allows arrive before they leave, so that nothing that moves from one policy to another is missing in between.
const WITHIN: [Factor; 3] = [Factor::Denies, Factor::Boundary, Factor::Tags];

impl Factor {
    const ALL: [Self; 7] =
        [Self::Trust, Self::Allows, Self::Denies, Self::Boundary, Self::Session, Self::Tags, Self::Provider];

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The factors in which a call takes, and those in which it gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Effects {
    takes: u8,
    gives: u8,
}

impl Effects {
    /// Takes and gives in the factor: what is done to it cannot be told.
    pub(super) fn both(factor: Factor) -> Self {
        Self { takes: factor.bit(), gives: factor.bit() }
    }

    /// Those of `factor`.
    pub(super) fn of(factor: Factor, takes: bool, gives: bool) -> Self {
        let bit = |on: bool| if on { factor.bit() } else { 0 };
        Self { takes: bit(takes), gives: bit(gives) }
    }

    /// Of a change of a document that the role has as a policy.
    pub(super) fn of_policy(document: PermissionEffects) -> Self {
        if mutant::is(Mutant::DenyIsAllow) {
            let (takes, gives) =
                (document.allow_leaves || document.deny_leaves, document.allow_arrives || document.deny_arrives);
            return Self::of(Factor::Allows, takes, gives);
        }
        Self::of(Factor::Allows, document.allow_leaves, document.allow_arrives).or(Self::of(
            Factor::Denies,
            document.deny_arrives,
            document.deny_leaves,
        ))
    }

    /// Of a change of the document of the role's boundary.
    pub(super) fn of_boundary(document: PermissionEffects) -> Self {
        Self::of(Factor::Boundary, document.takes(), document.gives())
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self { takes: self.takes | other.takes, gives: self.gives | other.gives }
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Those in factors that a session takes with it: who begins one while the role is denied everything has it afterwards.
    pub(super) fn outlasting(self) -> Self {
        let kept = [Factor::Trust, Factor::Session, Factor::Tags, Factor::Provider];
        let mask = kept.into_iter().fold(0, |mask, factor| mask | factor.bit());
        Self { takes: self.takes & mask, gives: self.gives & mask }
    }

    /// The half that takes.
    pub(super) fn taking(self) -> Self {
        Self { gives: 0, ..self }
    }

    /// The half that gives.
    pub(super) fn giving(self) -> Self {
        Self { takes: 0, ..self }
    }

    pub(super) fn takes_and_gives(self) -> bool {
        self.takes != 0 && self.gives != 0
    }

    /// Whether it gives in a factor other than `except`.
    pub(super) fn gives_beside(self, except: Factor) -> bool {
        self.gives & !except.bit() != 0
    }

    pub(super) fn takes_in(self, factor: Factor) -> bool {
        self.takes & factor.bit() != 0
    }

    pub(super) fn gives_in(self, factor: Factor) -> bool {
        self.gives & factor.bit() != 0
    }

    /// Whether a call with these effects must come before one with `other`: take before you give.
    pub(super) fn come_before(self, other: Self) -> bool {
        Factor::ALL.into_iter().filter(|factor| self.takes_in(*factor)).any(|factor| {
            (other.gives_beside(factor) && !is_overlooked(factor))
                || (WITHIN.contains(&factor) && other.gives_in(factor) && !mutant::is(Mutant::NoRuleTwo))
        })
    }
}

/// Factors that a broken rule 1 does not look at.
fn is_overlooked(factor: Factor) -> bool {
    match factor {
        Factor::Denies => mutant::is(Mutant::RuleOneWithoutDenies),
        Factor::Boundary => mutant::is(Mutant::RuleOneWithoutBoundary),
        Factor::Session | Factor::Tags => mutant::is(Mutant::RuleOneWithoutSettings),
        Factor::Trust | Factor::Allows | Factor::Provider => false,
    }
}

/// A managed policy that this plan makes, changes or deletes.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub before: Option<PolicyDocument>,
    pub after: Option<PolicyDocument>,
    pub effects: PermissionEffects,
}

/// The documents of managed policies, before and after the plan.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// As they are, where they were read.
    pub live: HashMap<PolicyArn, PolicyDocument>,
    pub changes: HashMap<PolicyArn, Exchange>,
}

impl Documents {
    /// Every document that the policy may have while a role takes it (`comes`) or leaves it; `None` is one that was not
    /// read. Who takes a policy does so after the document takes, and who leaves it before the document gives.
    pub(super) fn met(&self, arn: &PolicyArn, comes: bool) -> Vec<Option<&PolicyDocument>> {
        let Some(change) = self.changes.get(arn) else { return vec![self.live.get(arn)] };
        let (before, after) = (change.before.as_ref().map(Some), change.after.as_ref().map(Some));
        let only = if comes { change.effects.takes() } else { change.effects.gives() };
        let (first, second) = if comes { (after, before) } else { (before, after) };
        let mut met: Vec<_> = first.into_iter().collect();
        if !only || met.is_empty() {
            met.extend(second);
        }
        met
    }

    /// What attaching (`comes`) or detaching does.
    fn attachment(&self, arn: &PolicyArn, comes: bool) -> Effects {
        let effects = self.met(arn, comes).into_iter().map(|document| match document {
            None => PermissionEffects::unknown(!comes, comes),
            Some(document) if comes => permission_effects::between(None, Some(document)),
            Some(document) => permission_effects::between(Some(document), None),
        });
        Effects::of_policy(effects.fold(PermissionEffects::default(), PermissionEffects::or))
    }

    /// What exchanging one boundary for another does.
    fn boundaries(&self, from: &PolicyArn, to: &PolicyArn) -> Effects {
        let mut all = PermissionEffects::default();
        for old in self.met(from, false) {
            for new in self.met(to, true) {
                all = all.or(match (old, new) {
                    (Some(old), Some(new)) => permission_effects::between(Some(old), Some(new)),
                    _ => PermissionEffects::unknown(true, true),
                });
            }
        }
        Effects::of_boundary(all)
    }

    /// What a call on a role does to that role. Creation and deletion have no effects: before the one and after the other
    /// nobody holds anything through the role, and each stands at its own end of the role's calls.
    pub(super) fn effects(&self, call: &IamCall) -> Effects {
        match call {
            IamCall::UpdateTrust { from, to, .. } => {
                let trust = trust_effects::between(from, to);
                Effects::of(Factor::Trust, trust.loses, trust.gains)
            }
            IamCall::UpdateRole { from, to, .. } => Effects::of(
                Factor::Session,
                to.max_session_duration < from.max_session_duration,
                to.max_session_duration > from.max_session_duration,
            ),
            IamCall::PutBoundary { from: None, .. } => Effects::of(Factor::Boundary, true, false),
            IamCall::PutBoundary { from: Some(from), to, .. } => self.boundaries(from, to),
            IamCall::DeleteBoundary { .. } => Effects::of(Factor::Boundary, false, true),
            IamCall::PutInline { from, to, .. } => {
                Effects::of_policy(permission_effects::between(from.as_ref(), Some(to)))
            }
            IamCall::DeleteInline { from, .. } => Effects::of_policy(permission_effects::between(Some(from), None)),
            IamCall::Attach { arn, .. } => self.attachment(arn, true),
            IamCall::Detach { arn, .. } => self.attachment(arn, false),
            IamCall::TagRole { to: tags, .. } | IamCall::UntagRole { from: tags, .. } => {
                let others = tags.keys().any(|key| !is_mark(key));
                Effects::of(Factor::Tags, others, others)
            }
            IamCall::CreateRole { .. }
            | IamCall::DeleteRole { .. }
            | IamCall::CreateProvider { .. }
            | IamCall::AddAudience { .. }
            | IamCall::TagProvider { .. }
            | IamCall::UntagProvider { .. }
            | IamCall::DeleteProvider { .. }
            | IamCall::CreatePolicy { .. }
            | IamCall::CreatePolicyVersion { .. }
            | IamCall::DeletePolicyVersion { .. }
            | IamCall::TagPolicy { .. }
            | IamCall::UntagPolicy { .. }
            | IamCall::DeletePolicy { .. } => Effects::default(),
        }
    }
}
