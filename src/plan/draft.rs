//! The unfinished plan: steps, refused and unknown objects, and the objects that this run does not change.

use super::change::ResourceChange;
use super::types::{Part, Refused, Step, UnknownObject};
use crate::ids::Key;
use crate::model::address::{Address, Place};
use crate::model::call::Call;
use crate::model::desired::{Desired, Role};
use crate::model::note::{Note, Severity};
use crate::model::origin::Origin;
use crate::model::refusal::Refusal;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Why this run does not bring an object to its declared state. Objects that depend on it may have to wait too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlockedBy {
    /// The change is refused.
    Refused,
    /// The object could not be read.
    Unknown,
    /// The object waits for another object, for this reason.
    Waits(String),
    /// `--only` does not select the object.
    NotSelected,
}

/// Everything decided so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub steps: BTreeMap<Address, Step>,
    pub refused: BTreeSet<Refused>,
    pub unknown: BTreeSet<UnknownObject>,
    pub notes: Vec<Note>,
    pub waiting: BTreeSet<Address>,
    /// Declared objects that match their declaration.
    pub unchanged: Vec<Address>,
    /// Objects that this run does not bring to their declared state.
    pub blocked: HashMap<Address, BlockedBy>,
    /// The known steps of blocked objects. This run does not make them, but calls on other objects may have to wait for
    /// them.
    pub deferred: BTreeMap<Address, Step>,
    /// The objects whose deferred step the plan shows as refused.
    pub refused_steps: BTreeSet<Address>,
    /// Roles whose declared trust is unknown, because a cluster is unknown or missing. They keep their trust policy,
    /// and may lose permissions but not get any.
    pub trust_unknown: BTreeSet<Address>,
    /// Objects that have a note and no step. `--only` may select them.
    pub noted: Vec<Address>,
    /// Live objects that irsa manages, each with its account or cluster.
    pub managed: Vec<(Address, Place<Key>)>,
    /// Whether irsa manages any live object that is declared.
    pub declared_live: bool,
}

impl Draft {
    /// Adds a step. If the step has calls, `write_order` later sets its needs anew: the objects whose calls must come
    /// before one of its calls.
    pub(crate) fn step(
        &mut self,
        address: &Address,
        change: ResourceChange,
        calls: impl IntoIterator<Item = Call>,
        needs: impl IntoIterator<Item = Address>,
        reasons: Vec<String>,
    ) {
        self.steps.insert(address.clone(), step(address, change, calls, needs, reasons));
    }

    /// Records a step that this run does not make. The caller must also block the object.
    pub(crate) fn add_deferred(
        &mut self,
        address: &Address,
        change: ResourceChange,
        calls: impl IntoIterator<Item = Call>,
    ) {
        self.deferred.insert(address.clone(), step(address, change, calls, [], Vec::new()));
    }

    /// Moves the step of an object from `steps` to `deferred`. Returns whether the object had a step.
    pub(crate) fn defer(&mut self, address: &Address) -> bool {
        let step = self.steps.remove(address);
        step.is_some_and(|step| {
            self.deferred.insert(address.clone(), step);
            true
        })
    }

    /// Refuses an object, and blocks it.
    pub(crate) fn refuse(&mut self, address: &Address, refusal: Refusal) {
        self.block(address, BlockedBy::Refused);
        self.add_refused(address.to_string(), refusal);
    }

    /// Refuses an object and its step, if it has one. The plan still shows the step.
    pub(crate) fn refuse_step(&mut self, address: &Address, refusal: Refusal) {
        if self.defer(address) {
            self.refused_steps.insert(address.clone());
        }
        self.refuse(address, refusal);
    }

    /// Adds the entry for a refused object, account or cluster. Blocks nothing.
    pub(crate) fn add_refused(&mut self, address: String, Refusal { why, hint, kind }: Refusal) {
        self.refused.insert(Refused { address, why, hint, kind });
    }

    /// Records that an object could not be read, and blocks it.
    pub(crate) fn object_unknown(&mut self, address: &Address, why: impl Into<String>) {
        self.block(address, BlockedBy::Unknown);
        self.add_unknown(address.to_string(), why);
    }

    /// Adds the entry for an object, an account or a cluster that could not be read. Blocks nothing.
    pub(crate) fn add_unknown(&mut self, address: String, why: impl Into<String>) {
        self.unknown.insert(UnknownObject { address, why: why.into() });
    }

    /// Makes an object wait, with a note that says for what.
    pub(crate) fn wait(&mut self, address: &Address, origin: Option<&Origin>, why: impl Into<String>) {
        let why = why.into();
        self.block(address, BlockedBy::Waits(why.clone()));
        self.waiting.insert(address.clone());
        self.note(address, Severity::Info, "waiting", origin, why);
    }

    /// Marks an object as blocked, without an entry in the plan. Objects that depend on it then do not change.
    pub(crate) fn block(&mut self, address: &Address, blocked_by: BlockedBy) {
        self.blocked.insert(address.clone(), blocked_by);
    }

    /// Counts a declared object as unchanged.
    pub(crate) fn unchanged(&mut self, address: &Address) {
        self.unchanged.push(address.clone());
    }

    /// Counts a live object as managed by irsa.
    pub(crate) fn count_as_managed(&mut self, address: &Address, place: Place<Key>) {
        self.managed.push((address.clone(), place));
    }

    /// Adds a note about an object, an account or a cluster.
    pub(crate) fn note(
        &mut self,
        address: &impl ToString,
        severity: Severity,
        rule: &str,
        origin: Option<&Origin>,
        text: impl Into<String>,
    ) {
        self.notes.push(Note {
            address: address.to_string(),
            severity,
            rule: rule.to_owned(),
            origin: origin.map(ToString::to_string).unwrap_or_default(),
            text: text.into(),
            ignored: None,
        });
    }

    /// Calls `decide` for every role, in parallel. A decision must not depend on the decision about another role.
    pub(crate) fn par_for_each_role(&mut self, desired: &Desired, decide: impl Fn(&mut Self, &Key, &Role) + Sync) {
        let roles: Vec<(&Key, &Role)> = desired.roles.iter().collect();
        let chunk = roles.len().div_ceil(rayon::current_num_threads()).max(1);
        let drafts = roles.par_chunks(chunk).map(|roles| {
            let mut draft = Self::default();
            for (key, role) in roles {
                decide(&mut draft, key, role);
            }
            draft
        });
        let drafts: Vec<Self> = drafts.collect();
        for draft in drafts {
            self.merge(draft);
        }
    }

    /// Adds the decisions of a parallel worker, which are about other objects.
    pub(crate) fn merge(&mut self, mut other: Self) {
        self.steps.append(&mut other.steps);
        self.refused.append(&mut other.refused);
        self.unknown.append(&mut other.unknown);
        self.notes.append(&mut other.notes);
        self.waiting.append(&mut other.waiting);
        self.unchanged.append(&mut other.unchanged);
        self.blocked.extend(other.blocked);
        self.deferred.append(&mut other.deferred);
        self.refused_steps.append(&mut other.refused_steps);
        self.trust_unknown.append(&mut other.trust_unknown);
        self.noted.append(&mut other.noted);
        self.managed.append(&mut other.managed);
        self.declared_live |= other.declared_live;
    }
}

fn step(
    address: &Address,
    change: ResourceChange,
    calls: impl IntoIterator<Item = Call>,
    needs: impl IntoIterator<Item = Address>,
    reasons: Vec<String>,
) -> Step {
    Step {
        address: address.clone(),
        fields: change.fields(),
        change,
        reasons,
        parts: calls.into_iter().map(Part::from).collect(),
        needs: needs.into_iter().filter(|need| need != address).collect(),
    }
}
