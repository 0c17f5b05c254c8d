//! The types of a finished plan: its options, its steps with their calls, and what it refuses, could not read or leaves
//! waiting.

use super::change::{Action, ResourceChange};
use super::field_diff::FieldChange;
use crate::ids::Key;
use crate::model::address::{Address, Place};
use crate::model::call::Call;
use crate::model::note::Note;
use crate::model::refusal::{RefusalKind, with_word};
use crate::model::shard::Shard;
use crate::policy::PolicyDocument;
use std::collections::BTreeMap;

/// The command line options that shape the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `--only`: globs over addresses. Empty selects everything.
    pub only: Vec<String>,
    /// `--destroy`: delete every selected object.
    pub destroy: bool,
    /// `--adopt`: take over objects without an owner tag.
    pub adopt: bool,
    /// `--force`: ignore the limits of `[guard]`.
    pub force: bool,
    /// `--force-conflicts`: take fields of ServiceAccounts from other field managers.
    pub force_conflicts: bool,
    /// `--allow-incomplete`: apply the plan although some objects could not be read.
    pub allow_incomplete: bool,
    /// `--skip-refused`: apply the plan although some changes are refused.
    pub skip_refused: bool,
    /// `--shard`: plan only the objects of this shard.
    pub shard: Option<Shard>,
    /// Set by `drift`, which only reports the plan. Guards protect writes, so they are off.
    pub report_only: bool,
    /// The current time, in seconds since 1970.
    pub now: i64,
}

/// The steps to make, in apply order, and everything that is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The owner of the configuration.
    pub owner: Key,
    /// The digest of the configuration.
    pub config_digest: String,
    /// The options of the run.
    pub options: Options,
    /// The steps, in apply order.
    pub steps: Vec<Step>,
    /// Refused objects, sorted by address.
    pub refused: Vec<Refused>,
    /// The steps of refused objects. irsa shows and never makes them. Sorted by address.
    pub refused_steps: Vec<Step>,
    /// Objects that could not be read, sorted by address.
    pub unknown: Vec<UnknownObject>,
    /// Warnings and information, sorted.
    pub notes: Vec<Note>,
    /// The findings that the configuration ignores, with the reasons.
    pub ignored: Vec<Note>,
    /// The declared objects that match their declaration.
    pub unchanged: Vec<Address>,
    /// Objects that wait, sorted. A ServiceAccount waits until its namespace exists, until somebody creates it
    /// (`annotate`), or until its deletion ends. An object of any kind can also wait for an object of another shard, or
    /// outside `--only`, that must change first.
    pub waiting: Vec<Address>,
    /// The globs of `--only` that select nothing.
    pub unmatched: Vec<String>,
    /// Keys by issuer, role ARN and account id, and documents by policy ARN.
    pub names: ConfigKeys,
}

/// What views need and a plan file lacks: the keys of clusters, roles and accounts, the documents of managed policies that
/// were read, and where objects are declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigKeys {
    /// The declared clusters, by host and path of their issuer.
    pub clusters: BTreeMap<String, Key>,
    /// The declared roles, by ARN.
    pub roles: BTreeMap<String, Key>,
    /// The declared accounts, by id.
    pub accounts: BTreeMap<String, Key>,
    /// The documents of live managed policies that were read, by ARN.
    pub documents: BTreeMap<String, PolicyDocument>,
    /// `file:line` of the declared objects, accounts and clusters that the plan refuses, could not read or has a note on,
    /// by address.
    pub origins: BTreeMap<String, String>,
}

/// The change of one object, and its API calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The object.
    pub address: Address,
    /// The change.
    pub change: ResourceChange,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
    /// Why irsa makes this change, as text for the user.
    pub reasons: Vec<String>,
    /// The calls, in write order. Each call begins after the call before it has succeeded.
    pub parts: Vec<Part>,
    /// The objects whose steps have a call that must succeed before a call of this step.
    pub needs: Vec<Address>,
}

impl Step {
    /// The account or cluster that its calls are sent to. None for a step without calls.
    pub fn place(&self) -> Option<Place<&Key>> {
        self.parts.first().map(|part| part.call.place())
    }
}

/// One call of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The call.
    pub call: Call,
    /// Calls of other steps that must succeed first.
    pub after: Vec<PartId>,
}

/// Identifies one call of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartId {
    /// The object of the step.
    pub address: Address,
    /// The index among the parts of the step.
    pub part: usize,
}

impl From<Call> for Part {
    fn from(call: Call) -> Self {
        Self { call, after: Vec::new() }
    }
}

/// A change that irsa does not make, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The object, or `account/<key>` or `cluster/<key>` for everything in it.
    pub address: String,
    /// Why.
    pub why: String,
    /// What to do next.
    pub hint: String,
    /// The kind, with the word that `irsa explain` takes.
    pub kind: RefusalKind,
}

impl Refused {
    /// The reason, which ends with the word that `irsa explain` takes.
    pub fn reason(&self) -> String {
        with_word(&self.why, Some(self.kind.word()))
    }
}

/// An object that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownObject {
    /// The object, or `account/<key>` or `cluster/<key>` for everything in it.
    pub address: String,
    /// Why.
    pub why: String,
}

/// The counts that the last line of a plan prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each counts the objects with that action or state")]
pub struct Summary {
    pub create: usize,
    pub update: usize,
    pub delete: usize,
    pub adopt: usize,
    pub unchanged: usize,
    pub refused: usize,
    pub waiting: usize,
}

impl Plan {
    /// Whether every object could be read.
    pub fn complete(&self) -> bool {
        self.unknown.is_empty()
    }

    /// Whether the plan has refusals and the user did not set `--skip-refused`.
    pub fn is_stopped_by_refusals(&self) -> bool {
        !self.refused.is_empty() && !self.options.skip_refused
    }

    /// The steps, then the steps of refused objects.
    pub fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.refused_steps)
    }

    /// Whether the plan has changes, made or refused, or an IAM object that differs and waits.
    pub fn differs(&self) -> bool {
        self.changes().next().is_some() || self.has_waiting_iam()
    }

    /// Whether the plan has no steps.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether an IAM object differs, but this run does not change it, because it waits for another object.
    pub fn has_waiting_iam(&self) -> bool {
        self.waiting.iter().any(|address| !address.is_in_cluster())
    }

    /// The counts. A refused change counts as refused and as its action.
    pub fn summary(&self) -> Summary {
        let count = |action| self.changes().filter(|step| step.change.action() == action).count();
        Summary {
            create: count(Action::Create),
            update: count(Action::Update),
            delete: count(Action::Delete),
            adopt: count(Action::Adopt),
            unchanged: self.unchanged.len(),
            refused: self.refused.len(),
            waiting: self.waiting.len(),
        }
    }
}
