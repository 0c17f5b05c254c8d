//! The plan itself, and what it is made of.

use super::change::{Action, FieldChange, ResourceChange};
use super::config_keys::ConfigKeys;
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::call::Call;
use crate::model::note::Note;
use crate::model::shard::Shard;

/// What the user asked of this run, as far as it shapes the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `--only`: globs over addresses; empty for everything.
    pub only: Vec<String>,
    /// `--destroy`: everything that is selected goes away.
    pub destroy: bool,
    /// `--adopt`: objects of no owner are taken over.
    pub adopt: bool,
    /// `--force`: past the guard.
    pub force: bool,
    /// `--force-conflicts`: take any field from any manager.
    pub force_conflicts: bool,
    /// `--allow-incomplete`: what could not be seen does not refuse the rest.
    pub allow_incomplete: bool,
    /// `--skip-refused`: refusals do not hold the rest back.
    pub skip_refused: bool,
    /// `--shard`: only the objects of this shard.
    pub shard: Option<Shard>,
    /// `drift`: the plan is only reported. Guards are for writing, so none of them holds.
    pub report_only: bool,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// What would be done, in apply order, and what would not.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The configuration's owner.
    pub owner: Key,
    /// The digest of the configuration that it was made from.
    pub config_digest: String,
    /// What was asked.
    pub options: Options,
    /// The changes, in an order in which they may be made.
    pub steps: Vec<Step>,
    /// What is declared, or would follow, and is refused; sorted by address.
    pub refused: Vec<Refused>,
    /// The changes that are refused, for the reader: no run makes them. Sorted by address.
    pub withheld: Vec<Step>,
    /// What could not be seen; sorted by address.
    pub unknown: Vec<UnknownObject>,
    /// Everything else worth saying; sorted.
    pub notes: Vec<Note>,
    /// How many declared objects are as they should be.
    pub unchanged: usize,
    /// What waits for others: `ServiceAccount`s for their namespace or their maker, and in a shard whatever needs an
    /// object of another shard first; sorted.
    pub waiting: Vec<Address>,
    /// The addresses of the declared objects that are as they should be.
    pub settled: Vec<Address>,
    /// The globs of `--only` that select nothing.
    pub unmatched: Vec<String>,
    /// What the configuration calls what live objects name by URL and ARN.
    pub names: ConfigKeys,
}

/// One change and the calls that make it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The object.
    pub address: Address,
    /// What happens to it.
    pub change: ResourceChange,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
    /// Why, for the reader.
    pub reasons: Vec<String>,
    /// The calls, in write order: one begins once the one before has succeeded.
    pub parts: Vec<Part>,
    /// The steps of this plan that have a call which must have succeeded before one of these.
    pub needs: Vec<Address>,
}

/// One call of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The call.
    pub call: Call,
    /// Calls of other steps that must have succeeded before.
    pub after: Vec<PartId>,
}

/// A call of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartId {
    /// The step's object.
    pub address: Address,
    /// The position among the parts of the step.
    pub part: usize,
}

impl From<Call> for Part {
    fn from(call: Call) -> Self {
        Self { call, after: Vec::new() }
    }
}

/// Something that is not done although it is declared or would follow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The object, or `account/<key>` or `cluster/<key>` for everything in it.
    pub address: String,
    /// Why.
    pub why: String,
    /// What to do next.
    pub hint: String,
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownObject {
    /// The object, or `account/<key>` or `cluster/<key>` for everything in it.
    pub address: String,
    /// Why.
    pub why: String,
}

/// The counts under a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Objects to create.
    pub create: usize,
    /// Objects to update.
    pub update: usize,
    /// Objects to delete.
    pub delete: usize,
    /// Objects to take over.
    pub adopt: usize,
    /// Objects that match.
    pub unchanged: usize,
    /// Refusals.
    pub refused: usize,
    /// Objects that wait for others.
    pub waiting: usize,
}

impl Plan {
    /// A plan of nothing.
    pub fn new(owner: Key, config_digest: String, options: Options) -> Self {
        Self {
            owner,
            config_digest,
            options,
            steps: Vec::new(),
            refused: Vec::new(),
            withheld: Vec::new(),
            unknown: Vec::new(),
            notes: Vec::new(),
            unchanged: 0,
            waiting: Vec::new(),
            settled: Vec::new(),
            unmatched: Vec::new(),
            names: ConfigKeys::default(),
        }
    }

    /// Whether everything could be seen.
    pub fn complete(&self) -> bool {
        self.unknown.is_empty()
    }

    /// All changes: those to be made, then those that are refused.
    pub fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.withheld)
    }

    /// Whether something differs from its declaration, also what this run does not mend.
    pub fn differs(&self) -> bool {
        self.changes().next().is_some() || self.leaves()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether an IAM object differs and waits for others: a difference that this run leaves.
    pub fn leaves(&self) -> bool {
        self.waiting.iter().any(|address| !matches!(address, Address::ServiceAccount { .. }))
    }

    /// The counts. A change that is refused is counted among the changes of its action too.
    pub fn summary(&self) -> Summary {
        let count = |action| self.changes().filter(|step| step.change.action() == action).count();
        Summary {
            create: count(Action::Create),
            update: count(Action::Update),
            delete: count(Action::Delete),
            adopt: count(Action::Adopt),
            unchanged: self.unchanged,
            refused: self.refused.len(),
            waiting: self.waiting.len(),
        }
    }
}
