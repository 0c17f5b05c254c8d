//! A plan in the making: steps, and what holds others back.

use super::change::ResourceChange;
use super::fields;
use super::step::{Part, Refused, Step, UnknownObject};
use crate::ids::Key;
use crate::model::address::{Address, Place};
use crate::model::call::Call;
use crate::model::desired::{Desired, Role};
use crate::model::note::{Note, Severity};
use crate::model::origin::Origin;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Why an object that others may depend on is not brought to its declared state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlockedBy {
    /// It is refused.
    Refused,
    /// It could not be seen.
    Unknown,
    /// Others come first: why.
    Waits(String),
    /// It is outside `--only`.
    NotSelected,
}

/// What has been decided so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub steps: BTreeMap<Address, Step>,
    pub refused: BTreeSet<Refused>,
    pub unknown: BTreeSet<UnknownObject>,
    pub notes: Vec<Note>,
    pub waiting: BTreeSet<Address>,
    /// Declared objects that are as they should be.
    pub matching: Vec<Address>,
    /// Objects that are not brought to their declared state.
    pub held: HashMap<Address, BlockedBy>,
    /// What would be done to those of them of which that can be told: others may have to come after it.
    pub held_back: BTreeMap<Address, Step>,
    /// Refused objects whose steps, held back, the plan shows.
    pub shown: BTreeSet<Address>,
    /// Roles whose trust is left as it is, since it cannot be told what it should be: they may lose permissions and may
    /// not get any.
    pub trust_unknown: BTreeSet<Address>,
    /// Whether `--only` is to select among it all.
    pub selecting: bool,
    /// Everything that has an address, if it is to be selected from.
    pub known: HashSet<Address>,
    /// Live objects that are ours, and the account or cluster that holds them.
    pub ours: Vec<(Address, Place<Key>)>,
    /// Whether any declared object exists live and is ours.
    pub declared_live: bool,
    /// What an address depends on, whether or not that changes in this plan, if it is to be selected from.
    pub dependencies: HashMap<Address, BTreeSet<Address>>,
}

impl Draft {
    /// Adds a step; the needs that do not change in this plan fall away when the plan is put in order.
    pub(crate) fn step(
        &mut self,
        address: &Address,
        change: ResourceChange,
        calls: impl IntoIterator<Item = Call>,
        needs: impl IntoIterator<Item = Address>,
        reasons: Vec<String>,
    ) {
        self.know(address);
        self.steps.insert(address.clone(), step(address, change, calls, needs, reasons));
    }

    /// Records what would be done to an object that is refused.
    pub(crate) fn would_do(
        &mut self,
        address: &Address,
        change: ResourceChange,
        calls: impl IntoIterator<Item = Call>,
    ) {
        self.held_back.insert(address.clone(), step(address, change, calls, [], Vec::new()));
    }

    /// Takes an object's step out of the plan. What must come after it has to wait as well.
    pub(crate) fn hold_back(&mut self, address: &Address) -> bool {
        let step = self.steps.remove(address);
        step.is_some_and(|step| {
            self.held_back.insert(address.clone(), step);
            true
        })
    }

    /// Refuses an object.
    pub(crate) fn refuse(&mut self, address: &Address, why: impl Into<String>, hint: impl Into<String>) {
        self.know(address);
        self.held.insert(address.clone(), BlockedBy::Refused);
        self.refused.insert(Refused { address: address.to_string(), why: why.into(), hint: hint.into() });
    }

    /// Refuses the step that an object has. The plan still shows what it would do.
    pub(crate) fn refuse_step(&mut self, address: &Address, why: impl Into<String>, hint: impl Into<String>) {
        if self.hold_back(address) {
            self.shown.insert(address.clone());
        }
        self.refuse(address, why, hint);
    }

    /// Refuses an account or a cluster.
    pub(crate) fn refuse_place(&mut self, place: String, why: impl Into<String>, hint: impl Into<String>) {
        self.refused.insert(Refused { address: place, why: why.into(), hint: hint.into() });
    }

    /// Says that an object could not be seen.
    pub(crate) fn unseen(&mut self, address: &Address, why: impl Into<String>) {
        self.hold(address, BlockedBy::Unknown);
        self.unknown.insert(UnknownObject { address: address.to_string(), why: why.into() });
    }

    /// Has an object wait for others.
    pub(crate) fn wait(&mut self, address: &Address, origin: Option<&Origin>, why: impl Into<String>) {
        let why = why.into();
        self.hold(address, BlockedBy::Waits(why.clone()));
        self.waiting.insert(address.clone());
        self.note(address, Severity::Info, "waiting", origin, why);
    }

    /// Holds an object back whose account or cluster has its own entry.
    pub(crate) fn hold(&mut self, address: &Address, hold: BlockedBy) {
        self.know(address);
        self.held.insert(address.clone(), hold);
    }

    /// Counts a declared object as it should be.
    pub(crate) fn matches(&mut self, address: &Address) {
        self.know(address);
        self.matching.push(address.clone());
    }

    /// Says something about an object.
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
        });
    }

    /// Decides of roles, or of what is theirs, side by side: none may depend on what another comes to.
    pub(crate) fn par_for_each_role(&mut self, desired: &Desired, decide: impl Fn(&mut Self, &Key, &Role) + Sync) {
        let roles: Vec<(&Key, &Role)> = desired.roles.iter().collect();
        let part = roles.len().div_ceil(rayon::current_num_threads()).max(1);
        let parts = roles.par_chunks(part).map(|roles| {
            let mut draft = self.fork();
            for (key, role) in roles {
                decide(&mut draft, key, role);
            }
            draft
        });
        let parts: Vec<Self> = parts.collect();
        for part in parts {
            self.merge(part);
        }
    }

    /// One for what is decided beside it, in which nothing is decided yet.
    pub(crate) fn fork(&self) -> Self {
        Self { selecting: self.selecting, ..Self::default() }
    }

    /// Takes in what was decided of other objects.
    pub(crate) fn merge(&mut self, mut others: Self) {
        self.steps.append(&mut others.steps);
        self.refused.append(&mut others.refused);
        self.unknown.append(&mut others.unknown);
        self.notes.append(&mut others.notes);
        self.waiting.append(&mut others.waiting);
        self.matching.append(&mut others.matching);
        self.held.extend(others.held);
        self.held_back.append(&mut others.held_back);
        self.shown.append(&mut others.shown);
        self.trust_unknown.append(&mut others.trust_unknown);
        self.known.extend(others.known);
        self.ours.append(&mut others.ours);
        self.declared_live |= others.declared_live;
        for (address, on) in others.dependencies {
            self.depends(&address, on);
        }
    }

    /// Records that there is such an object.
    pub(crate) fn know(&mut self, address: &Address) {
        if self.selecting {
            self.known.insert(address.clone());
        }
    }

    /// Records what an object depends on.
    pub(crate) fn depends(&mut self, address: &Address, on: impl IntoIterator<Item = Address>) {
        if self.selecting {
            self.dependencies.entry(address.clone()).or_default().extend(on);
        }
    }
}

fn step(
    address: &Address,
    change: ResourceChange,
    calls: impl IntoIterator<Item = Call>,
    needs: impl IntoIterator<Item = Address>,
    reasons: Vec<String>,
) -> Step {
    let fields = fields::changes(&change);
    Step {
        address: address.clone(),
        change,
        fields,
        reasons,
        parts: calls.into_iter().map(Part::from).collect(),
        needs: needs.into_iter().filter(|need| need != address).collect(),
    }
}
