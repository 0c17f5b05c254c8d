//! Which call runs when: after all that must come before it, beside those of other objects as far as there is room in the
//! account or cluster, and never beside one that writes to the same object.

use super::Pace;
use super::outage::Outages;
use super::report::{Failure, Outcome, Report, StepOutcome, Stop};
use super::step::{Progress, Runner};
use crate::event::Event;
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::call::{Call, Target};
use crate::plan::{Plan, Step};
use crate::world::{ReadAws, ReadKubernetes, WriteAws, WriteKubernetes};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Where a step states.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StepState {
    /// For its first call, or between two calls.
    Waiting,
    Running,
    Over(Outcome),
}

/// A cluster or else an account, whose room a step takes.
pub(super) type Endpoint = (bool, Key);

/// A call: the positions of its step and of its part.
type CallRef = (usize, usize);

/// All steps, and who is under way. What is kept beside the states tells what a call that ends sets free, so that a plan
/// of many steps takes no longer a step than one of few.
struct Scheduler<'p> {
    plan: &'p Plan,
    states: Vec<StepState>,
    /// For each step how many of its calls are done.
    done: Vec<usize>,
    /// For each call how many of those that must come before it, in other steps, are not done.
    pending: Vec<Vec<usize>>,
    /// For each call those of other steps that must come after it.
    dependents: Vec<Vec<Vec<CallRef>>>,
    /// For each step the first call that will not be begun, and why.
    blocked: Vec<Option<(usize, String)>>,
    /// Steps whose next call is one that will not be begun.
    ending: BTreeSet<usize>,
    /// For each step the objects that its calls write to.
    objects: Vec<BTreeSet<String>>,
    /// The objects that are being written to.
    busy: BTreeSet<String>,
    /// For each step the place of its account or cluster in `slots`.
    slots_of: Vec<usize>,
    slots: Vec<Slots>,
    /// How many steps may be under way in each.
    limit: usize,
    outages: Outages,
}

/// An account or cluster.
#[derive(Debug, Default)]
struct Slots {
    /// How many of its steps are under way.
    taken: usize,
    /// Its steps that wait for nothing but room, or for an object that is being written to.
    ready: BTreeSet<usize>,
}

/// Runs all steps.
pub(super) async fn run<RA, WA, RK, WK>(plan: &Plan, runner: &Runner<'_, RA, WA, RK, WK>, pace: &Pace) -> Report
where
    RA: ReadAws,
    WA: WriteAws,
    RK: ReadKubernetes,
    WK: WriteKubernetes,
{
    let mut scheduler = Scheduler::new(plan, *pace);
    let progress: Vec<Progress<'_>> = plan.steps.iter().map(Progress::new).collect();
    let over = runner.over(pace.grace);
    tokio::pin!(over);
    let mut running = FuturesUnordered::new();
    loop {
        scheduler.end_what_will_not_run(runner, &progress);
        for (position, parts) in scheduler.start() {
            let progress = &progress[position];
            running.push(async move { (position, runner.run(progress, parts).await) });
        }
        let ended = tokio::select! {
            biased;
            ended = running.next() => ended,
            () = &mut over => break,
        };
        let Some((position, outcome)) = ended else { break };
        if let Some(outcome) = scheduler.end(position, progress[position].done(), outcome) {
            finished(runner, plan, position, &outcome);
        }
        if let Some(failure) = progress[position].outage() {
            scheduler.failed_for_all(position, failure);
        }
    }
    scheduler.end_what_will_not_run(runner, &progress);
    for position in scheduler.that_stand(&StepState::Running) {
        let progress = &progress[position];
        scheduler.end(position, progress.done(), Some(progress.unanswered()));
    }
    scheduler.report(runner.stopped())
}

fn finished<RA, WA, RK, WK>(runner: &Runner<'_, RA, WA, RK, WK>, plan: &Plan, position: usize, outcome: &Outcome) {
    let outcome = match outcome {
        Outcome::Applied => "applied",
        Outcome::AlreadyDone => "already done",
        Outcome::Skipped(_) => "skipped",
        Outcome::Failed(_) => "failed",
    };
    runner.listen.on(&Event::StepFinished { address: plan.steps[position].address.clone(), outcome });
}

impl<'p> Scheduler<'p> {
    fn new(plan: &'p Plan, pace: Pace) -> Self {
        let positions: HashMap<&Address, usize> =
            plan.steps.iter().enumerate().map(|(position, step)| (&step.address, position)).collect();
        let mut dependents: Vec<Vec<Vec<CallRef>>> =
            plan.steps.iter().map(|step| vec![Vec::new(); step.parts.len()]).collect();
        let mut pending: Vec<Vec<usize>> = plan.steps.iter().map(|step| vec![0; step.parts.len()]).collect();
        for (position, step) in plan.steps.iter().enumerate() {
            for (part, call) in step.parts.iter().enumerate() {
                // what is not in the plan needs no change
                let earlier = call.after.iter().filter_map(|id| Some((*positions.get(&id.address)?, id.part)));
                for (step, place) in earlier.filter(|(step, place)| *place < plan.steps[*step].parts.len()) {
                    dependents[step][place].push((position, part));
                    pending[position][part] += 1;
                }
            }
        }
        let mut known: HashMap<Option<Endpoint>, usize> = HashMap::new();
        let mut home_of = |step: &Step| {
            let next = known.len();
            *known.entry(lane(step)).or_insert(next)
        };
        let slots_of: Vec<usize> = plan.steps.iter().map(&mut home_of).collect();
        let slots: Vec<Slots> = known.iter().map(|_| Slots::default()).collect();
        let mut scheduler = Self {
            plan,
            states: vec![StepState::Waiting; plan.steps.len()],
            done: vec![0; plan.steps.len()],
            pending,
            dependents,
            blocked: vec![None; plan.steps.len()],
            ending: BTreeSet::new(),
            objects: plan.steps.iter().map(objects).collect(),
            busy: BTreeSet::new(),
            slots_of,
            slots,
            limit: pace.parallelism.max(1),
            outages: Outages::default(),
        };
        (0..plan.steps.len()).for_each(|position| scheduler.look_again(position));
        scheduler
    }

    fn that_stand(&self, wanted: &StepState) -> Vec<usize> {
        let those = self.states.iter().enumerate().filter(|(_, stand)| *stand == wanted);
        those.map(|(position, _)| position).collect()
    }

    /// Says whether a step that waits may go on, or must end.
    fn look_again(&mut self, position: usize) {
        let next = self.done[position];
        if self.states[position] != StepState::Waiting {
            return;
        }
        let blocked = self.blocked[position].as_ref().is_some_and(|(part, _)| *part <= next);
        if blocked || self.outage(position).is_some() {
            self.slots[self.slots_of[position]].ready.remove(&position);
            self.ending.insert(position);
        } else if self.pending[position].get(next).is_none_or(|pending| *pending == 0) {
            self.slots[self.slots_of[position]].ready.insert(position);
        }
    }

    /// Ends the steps of which no further call will be begun: all once the run is stopped, else those whose next call must
    /// come after one that was not made.
    fn end_what_will_not_run<RA, WA, RK, WK>(&mut self, runner: &Runner<'_, RA, WA, RK, WK>, progress: &[Progress<'_>])
    where
        RA: ReadAws,
        WA: WriteAws,
        RK: ReadKubernetes,
        WK: WriteKubernetes,
    {
        let stop = runner.stopped();
        if stop.is_some() {
            self.ending.extend(self.that_stand(&StepState::Waiting));
        }
        while let Some(position) = self.ending.pop_first() {
            if self.states[position] != StepState::Waiting {
                continue;
            }
            let next = self.done[position];
            let why = self.blocked[position].as_ref().filter(|(part, _)| *part <= next).map(|(_, why)| why.clone());
            let outcome = match (&stop, why, self.outage(position)) {
                (Some(stop), ..) => progress[position].stopped(stop),
                (None, Some(why), _) => progress[position].held_up(why),
                (None, None, Some(failure)) => progress[position].failed_like(failure),
                (None, None, None) => {
                    self.look_again(position);
                    continue;
                }
            };
            self.slots[self.slots_of[position]].ready.remove(&position);
            self.over(position, outcome.clone());
            finished(runner, self.plan, position, &outcome);
        }
    }

    /// The steps that begin or go on now, in plan order, each with the calls that it may make: up to one that has to wait
    /// for another step, or for which another step waits.
    fn start(&mut self) -> Vec<(usize, Range<usize>)> {
        let mut started = Vec::new();
        for home in 0..self.slots.len() {
            let ready: Vec<usize> = self.slots[home].ready.iter().copied().collect();
            for position in ready {
                if self.slots[home].taken == self.limit {
                    break;
                }
                // where the last one failed, those that are under way show first whether the others will
                if self.slots[home].taken > 0 && self.is_suspected(position) {
                    continue;
                }
                if self.objects[position].is_disjoint(&self.busy) {
                    self.slots[home].taken += 1;
                    self.slots[home].ready.remove(&position);
                    self.busy.extend(self.objects[position].iter().cloned());
                    self.states[position] = StepState::Running;
                    started.push((position, self.next_calls(position)));
                }
            }
        }
        started.sort_unstable_by_key(|(position, _)| *position);
        started
    }

    /// Why the next call of a step is not worth sending, if so.
    fn outage(&self, position: usize) -> Option<&Failure> {
        self.outage_at(position, self.done[position])
    }

    /// Whether the last call of this kind failed in a way that is not the object's.
    fn is_suspected(&self, position: usize) -> bool {
        let next = self.plan.steps[position].parts.get(self.done[position]);
        let operation = || next.map(|part| part.call.operation());
        !self.outages.is_empty() && operation().is_some_and(|one| self.outages.suspects(self.slots_of[position], &one))
    }

    fn outage_at(&self, position: usize, part: usize) -> Option<&Failure> {
        if self.outages.is_empty() {
            return None;
        }
        let part = self.plan.steps[position].parts.get(part)?;
        self.outages.of(self.slots_of[position], &part.call.operation())
    }

    /// The next call of a step failed in a way that is not the object's: many such end the steps that have it before them.
    fn failed_for_all(&mut self, position: usize, failure: Failure) {
        let (home, at) = (self.slots_of[position], failure.done.len());
        let Some(part) = self.plan.steps[position].parts.get(at) else { return };
        if self.outages.failed(home, part.call.operation(), failure) {
            let waiting = self.that_stand(&StepState::Waiting);
            for other in waiting {
                if self.slots_of[other] == home {
                    self.look_again(other);
                }
            }
        }
    }

    fn next_calls(&self, position: usize) -> Range<usize> {
        let (first, all) = (self.done[position], self.pending[position].len());
        let waited_for = |part: &usize| !self.dependents[position][*part].is_empty();
        let waits = |part: &usize| self.pending[position][*part] > 0 || self.outage_at(position, *part).is_some();
        let blocked = self.blocked[position].as_ref().map_or(all, |(part, _)| *part);
        let after_waited_for = (first..all).find(waited_for).map_or(all, |part| part + 1);
        let before_waiting = (first + 1..all).find(waits).unwrap_or(all);
        first..after_waited_for.min(before_waiting).min(blocked).max(first)
    }

    /// Some calls of a step have ended: the step is over, or waits for its next call. Returns how it ended.
    fn end(&mut self, position: usize, done: usize, outcome: Option<Outcome>) -> Option<Outcome> {
        for object in &self.objects[position] {
            self.busy.remove(object);
        }
        self.slots[self.slots_of[position]].taken -= 1;
        let first = std::mem::replace(&mut self.done[position], done);
        self.states[position] = StepState::Waiting;
        for part in first..done {
            if !self.outages.is_empty() {
                self.outages
                    .succeeded(self.slots_of[position], &self.plan.steps[position].parts[part].call.operation());
            }
            for (step, later) in std::mem::take(&mut self.dependents[position][part]) {
                self.pending[step][later] -= 1;
                self.look_again(step);
            }
        }
        match outcome {
            Some(outcome) => self.over(position, outcome.clone()),
            None => self.look_again(position),
        }
        match &self.states[position] {
            StepState::Over(outcome) => Some(outcome.clone()),
            StepState::Waiting | StepState::Running => None,
        }
    }

    /// A step is over: what must come after calls that it did not make will not be begun.
    fn over(&mut self, position: usize, outcome: Outcome) {
        let why = match &outcome {
            // names the step that failed, not those between
            Outcome::Skipped(why) => why.clone(),
            Outcome::Failed(failure) if failure.held_up => failure.why.clone(),
            Outcome::Failed(_) | Outcome::Applied | Outcome::AlreadyDone => {
                format!("`{}`, which it depends on, failed", self.plan.steps[position].address)
            }
        };
        self.states[position] = StepState::Over(outcome);
        for part in self.done[position]..self.dependents[position].len() {
            for (step, later) in std::mem::take(&mut self.dependents[position][part]) {
                if self.blocked[step].as_ref().is_none_or(|(first, _)| later < *first) {
                    self.blocked[step] = Some((later, why.clone()));
                }
                self.look_again(step);
            }
        }
    }

    fn report(self, stop: Option<Stop>) -> Report {
        let outcomes = self.plan.steps.iter().zip(self.states).map(|(step, stand)| StepOutcome {
            address: step.address.clone(),
            action: step.change.action(),
            outcome: match stand {
                StepState::Over(outcome) => outcome,
                // every step has its turn: the calls of a plan have an order
                StepState::Waiting | StepState::Running => Outcome::Skipped("it was never begun".to_owned()),
            },
            note: None,
        });
        let mut report = Report { outcomes: outcomes.collect(), ..Report::default() };
        if let Some(stop) = stop {
            report.stopped_by(stop);
        }
        report
    }
}

/// The account or cluster of a step; one of no calls needs no room.
pub(super) fn lane(step: &Step) -> Option<Endpoint> {
    step.parts.first().map(|part| match &part.call {
        Call::Iam(account, _) => (false, account.clone()),
        Call::Kubernetes(cluster, _) => (true, cluster.clone()),
    })
}

/// The objects that a step's calls write to.
fn objects(step: &Step) -> BTreeSet<String> {
    step.parts.iter().map(|part| object(&part.call)).collect()
}

fn object(call: &Call) -> String {
    match call {
        Call::Iam(account, call) => match call.target() {
            Target::Provider(arn) => arn.to_string(),
            Target::Policy(arn) => arn.to_string(),
            Target::Role(name) => format!("{account} {}", name.case_insensitive()),
        },
        Call::Kubernetes(cluster, call) => {
            let item = call.object();
            format!("{cluster} {}/{}", item.namespace, item.name)
        }
    }
}
