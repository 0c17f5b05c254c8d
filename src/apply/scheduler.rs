//! Decides when each call runs: after all calls that it depends on, within the parallelism of its account or cluster,
//! and never at the same time as another write to the same object.

use super::Pace;
use super::outage::Outages;
use super::report::{Failure, Outcome, Report, StepOutcome, Stop};
use super::step::{Progress, Runner};
use crate::event::Event;
use crate::ids::Key;
use crate::model::address::{Address, Place};
use crate::plan::{Plan, Step};
use crate::world::{ReadAws, ReadKubernetes, WriteAws, WriteKubernetes};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// A call: the index of its step, and its index in that step.
type CallRef = (usize, usize);

/// All steps of a plan. Reverse edges find the dependents of a finished step without a search.
struct Scheduler<'p> {
    steps: Vec<ScheduledStep<'p>>,
    slots: Vec<Slots>,
    /// Maximum number of running steps in each place.
    limit: usize,
    /// Waiting steps whose next call will never run.
    to_end: BTreeSet<usize>,
    /// The objects that a running step writes to.
    busy: BTreeSet<String>,
    outages: Outages,
}

struct ScheduledStep<'p> {
    step: &'p Step,
    state: StepState,
    /// How many calls are done.
    done: usize,
    /// For each call, how many calls of other steps must still succeed before it.
    pending: Vec<usize>,
    /// For each call, the calls of other steps that depend on it.
    dependents: Vec<Vec<CallRef>>,
    /// The first call that will never run because of another step, and why.
    blocked: Option<(usize, String)>,
    /// The objects that the calls write to.
    objects: BTreeSet<String>,
    /// The index of its place in `slots`.
    place: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum StepState {
    /// Before the first call, or between two calls.
    Waiting,
    Running,
    Over(Outcome),
}

/// The steps of one place.
#[derive(Debug, Default)]
struct Slots {
    running: usize,
    /// Steps that may run once a slot and their objects are free.
    ready: BTreeSet<usize>,
}

/// Runs all steps.
pub(super) async fn run(
    plan: &Plan,
    runner: &Runner<'_, impl ReadAws, impl WriteAws, impl ReadKubernetes, impl WriteKubernetes>,
    pace: &Pace,
) -> Report {
    let finished = |index: usize, outcome: &Outcome| {
        let outcome = match outcome {
            Outcome::Applied => "applied",
            Outcome::AlreadyDone => "already done",
            Outcome::Skipped(_) => "skipped",
            Outcome::Failed(_) => "failed",
        };
        runner.listener.on(&Event::StepFinished { address: plan.steps[index].address.clone(), outcome });
    };
    let mut scheduler = Scheduler::new(plan, *pace);
    let progress: Vec<Progress<'_>> = plan.steps.iter().map(Progress::new).collect();
    let abandoned = runner.until_abandoned(pace.grace);
    tokio::pin!(abandoned);
    let mut running = FuturesUnordered::new();
    loop {
        scheduler.end_blocked(runner.stopped().as_ref(), &progress, &finished);
        for (index, calls) in scheduler.start() {
            let progress = &progress[index];
            running.push(async move { (index, runner.run(progress, calls).await) });
        }
        let ended = tokio::select! {
            biased;
            ended = running.next() => ended,
            () = &mut abandoned => break,
        };
        let Some((index, outcome)) = ended else { break };
        scheduler.free_slot(index, progress[index].done());
        match outcome {
            Some(outcome) => {
                finished(index, &outcome);
                scheduler.end(index, outcome);
            }
            None => scheduler.update(index),
        }
        if let Some(failure) = progress[index].outage() {
            scheduler.count_outage(index, failure);
        }
    }
    scheduler.end_blocked(runner.stopped().as_ref(), &progress, &finished);
    for index in scheduler.in_state(&StepState::Running) {
        scheduler.free_slot(index, progress[index].done());
        scheduler.end(index, progress[index].unanswered());
    }
    scheduler.report(runner.stopped())
}

impl<'p> Scheduler<'p> {
    fn new(plan: &'p Plan, pace: Pace) -> Self {
        let mut places: HashMap<Option<Place<&Key>>, usize> = HashMap::new();
        let steps = plan.steps.iter().map(|step| {
            let next = places.len();
            ScheduledStep {
                step,
                state: StepState::Waiting,
                done: 0,
                pending: vec![0; step.parts.len()],
                dependents: vec![Vec::new(); step.parts.len()],
                blocked: None,
                objects: step.parts.iter().map(|part| part.call.object()).collect(),
                place: *places.entry(step.place()).or_insert(next),
            }
        });
        let mut steps: Vec<ScheduledStep<'p>> = steps.collect();
        let indexes: HashMap<&Address, usize> =
            plan.steps.iter().enumerate().map(|(index, step)| (&step.address, index)).collect();
        for (index, step) in plan.steps.iter().enumerate() {
            for (call, part) in step.parts.iter().enumerate() {
                for id in &part.after {
                    // an object that is not in the plan needs no change
                    let Some(first) = indexes.get(&id.address) else { continue };
                    if let Some(dependents) = steps[*first].dependents.get_mut(id.part) {
                        dependents.push((index, call));
                        steps[index].pending[call] += 1;
                    }
                }
            }
        }
        let mut scheduler = Self {
            steps,
            slots: places.iter().map(|_| Slots::default()).collect(),
            limit: pace.parallelism.max(1),
            to_end: BTreeSet::new(),
            busy: BTreeSet::new(),
            outages: Outages::default(),
        };
        (0..plan.steps.len()).for_each(|index| scheduler.update(index));
        scheduler
    }

    fn in_state(&self, state: &StepState) -> Vec<usize> {
        (0..self.steps.len()).filter(|index| self.steps[*index].state == *state).collect()
    }

    fn slots_of(&mut self, index: usize) -> &mut Slots {
        &mut self.slots[self.steps[index].place]
    }

    /// Puts a waiting step into `ready` if its next call may run, or into `to_end` if it never will.
    fn update(&mut self, index: usize) {
        let step = &self.steps[index];
        if step.state != StepState::Waiting {
            return;
        }
        if step.blocker().is_some() || self.outage(index, step.done).is_some() {
            self.slots_of(index).ready.remove(&index);
            self.to_end.insert(index);
        } else if step.pending.get(step.done).is_none_or(|pending| *pending == 0) {
            self.slots_of(index).ready.insert(index);
        }
    }

    /// Ends the steps whose next call will never run. Once the run is stopped, ends every waiting step.
    fn end_blocked(&mut self, stop: Option<&Stop>, progress: &[Progress<'_>], finished: &impl Fn(usize, &Outcome)) {
        if stop.is_some() {
            self.to_end.extend(self.in_state(&StepState::Waiting));
        }
        while let Some(index) = self.to_end.pop_first() {
            let scheduled = &self.steps[index];
            if scheduled.state != StepState::Waiting {
                continue;
            }
            let progress = &progress[index];
            let outcome = match (stop, scheduled.blocker(), self.outage(index, scheduled.done)) {
                (Some(stop), ..) => progress.stopped(stop),
                (None, Some(why), _) => progress.held_up(why.to_owned()),
                (None, None, Some(failure)) => progress.failed_like(failure),
                // a call of this kind has succeeded since
                (None, None, None) => {
                    self.update(index);
                    continue;
                }
            };
            self.slots_of(index).ready.remove(&index);
            finished(index, &outcome);
            self.end(index, outcome);
        }
    }

    /// Starts steps, in plan order. Returns each step with the range of calls that it may make now.
    fn start(&mut self) -> Vec<(usize, Range<usize>)> {
        let mut started = Vec::new();
        for place in 0..self.slots.len() {
            let ready: Vec<usize> = self.slots[place].ready.iter().copied().collect();
            for index in ready {
                if self.slots[place].running == self.limit {
                    break;
                }
                let step = &self.steps[index];
                let suspect =
                    step.step.parts.get(step.done).is_some_and(|part| self.outages.is_suspect(place, &part.call));
                // after a failure, wait for the running calls, because they show whether the others will fail too
                if (suspect && self.slots[place].running > 0) || !step.objects.is_disjoint(&self.busy) {
                    continue;
                }
                self.busy.extend(step.objects.iter().cloned());
                started.push((index, self.next_calls(index)));
                self.steps[index].state = StepState::Running;
                self.slots[place].running += 1;
                self.slots[place].ready.remove(&index);
            }
        }
        started.sort_unstable_by_key(|(index, _)| *index);
        started
    }

    /// The last failure of this kind of call, if the call is not worth sending.
    fn outage(&self, index: usize, call: usize) -> Option<&Failure> {
        let step = &self.steps[index];
        self.outages.failure(step.place, &step.step.parts.get(call)?.call)
    }

    /// Counts a failure that is not about one object. At the limit, every step of the place whose next call is of
    /// this kind ends.
    fn count_outage(&mut self, index: usize, failure: Failure) {
        let step = &self.steps[index];
        let place = step.place;
        let Some(part) = step.step.parts.get(failure.done.len()) else { return };
        if self.outages.failed(place, &part.call, failure) {
            for other in self.in_state(&StepState::Waiting) {
                if self.steps[other].place == place {
                    self.update(other);
                }
            }
        }
    }

    /// The calls that a step may make now. Ends after a call that another step depends on, and before a call that must
    /// wait for another step.
    fn next_calls(&self, index: usize) -> Range<usize> {
        let step = &self.steps[index];
        let (first, all) = (step.done, step.pending.len());
        let blocked = step.blocked.as_ref().map_or(all, |(call, _)| *call);
        let depended_on = (first..all).find(|call| !step.dependents[*call].is_empty()).map_or(all, |call| call + 1);
        let must_wait = |call: &usize| step.pending[*call] > 0 || self.outage(index, *call).is_some();
        let waiting = (first + 1..all).find(must_wait).unwrap_or(all);
        first..depended_on.min(waiting).min(blocked).max(first)
    }

    /// Frees the slot and the objects of a step that no longer runs, and the dependents of the calls that are done.
    fn free_slot(&mut self, index: usize, done: usize) {
        let step = &mut self.steps[index];
        let place = step.place;
        let first = std::mem::replace(&mut step.done, done);
        step.state = StepState::Waiting;
        for object in &step.objects {
            self.busy.remove(object);
        }
        self.slots[place].running -= 1;
        for call in first..done {
            self.outages.succeeded(place, &self.steps[index].step.parts[call].call);
            for (dependent, later) in std::mem::take(&mut self.steps[index].dependents[call]) {
                self.steps[dependent].pending[later] -= 1;
                self.update(dependent);
            }
        }
    }

    /// Ends a step, and blocks the calls that depend on calls that it did not make.
    fn end(&mut self, index: usize, outcome: Outcome) {
        let step = &mut self.steps[index];
        let why = match &outcome {
            // names the step that failed, not the steps between
            Outcome::Skipped(why) => why.clone(),
            Outcome::Failed(failure) if failure.held_up => failure.why.clone(),
            Outcome::Failed(_) | Outcome::Applied | Outcome::AlreadyDone => {
                format!("`{}`, which it depends on, failed", step.step.address)
            }
        };
        step.state = StepState::Over(outcome);
        let dependents: Vec<CallRef> = step.dependents[step.done..].iter_mut().flat_map(std::mem::take).collect();
        for (dependent, later) in dependents {
            let blocked = &mut self.steps[dependent].blocked;
            if blocked.as_ref().is_none_or(|(first, _)| later < *first) {
                *blocked = Some((later, why.clone()));
            }
            self.update(dependent);
        }
    }

    fn report(self, stop: Option<Stop>) -> Report {
        let outcomes = self.steps.into_iter().map(|step| StepOutcome {
            address: step.step.address.clone(),
            action: step.step.change.action(),
            outcome: match step.state {
                StepState::Over(outcome) => outcome,
                // unreachable while the calls of a plan form no cycle
                StepState::Waiting | StepState::Running => Outcome::Skipped("it was not started".to_owned()),
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

impl ScheduledStep<'_> {
    /// Why the next call will never run, if another step blocks it.
    fn blocker(&self) -> Option<&str> {
        self.blocked.as_ref().filter(|(call, _)| *call <= self.done).map(|(_, why)| why.as_str())
    }
}
