//! Which step runs when: after all that it needs, beside the others of its account or cluster as far as there is room,
//! and never beside one that writes to the same object.

use super::Pace;
use super::report::{Outcome, Report, StepOutcome, Stop};
use super::step::{self, Runner};
use crate::event::Event;
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::call::{Call, KubernetesCall, Target};
use crate::plan::{Plan, Step};
use crate::world::{ReadAws, ReadKubernetes, WriteAws, WriteKubernetes};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stand {
    Waiting,
    Running,
    Over(Outcome),
}

/// A cluster or else an account, whose room a step takes.
type Lane = (bool, Key);

/// All steps, and who is under way. What is kept beside the stands tells what a step that ends sets free, so that a plan
/// of many steps takes no longer a step than one of few.
struct Lanes<'p> {
    plan: &'p Plan,
    stands: Vec<Stand>,
    /// For each step the positions of those that it needs.
    needs: Vec<Vec<usize>>,
    /// For each step the positions of those that need it, all of them behind it.
    dependents: Vec<Vec<usize>>,
    /// For each step how many of those that it needs are not over.
    pending: Vec<usize>,
    /// Steps that need one that did not succeed.
    doomed: BTreeSet<usize>,
    /// For each step the objects that its calls write to.
    objects: Vec<BTreeSet<String>>,
    /// The objects that are being written to.
    busy: BTreeSet<String>,
    /// For each step the place of its account or cluster in `rooms`.
    homes: Vec<usize>,
    rooms: Vec<Room>,
    /// How many steps may be under way in each.
    room: usize,
}

/// An account or cluster.
#[derive(Debug, Default)]
struct Room {
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
    let mut lanes = Lanes::new(plan, *pace);
    let done: Vec<AtomicUsize> = plan.steps.iter().map(|_| AtomicUsize::new(0)).collect();
    let over = runner.over(pace.grace);
    tokio::pin!(over);
    let mut running = FuturesUnordered::new();
    loop {
        lanes.skip_what_will_not_run(runner);
        for position in lanes.start() {
            let (step, done) = (&plan.steps[position], &done[position]);
            running.push(async move { (position, runner.run(step, done).await) });
        }
        let ended = tokio::select! {
            biased;
            ended = running.next() => ended,
            () = &mut over => break,
        };
        let Some((position, outcome)) = ended else { break };
        let address = plan.steps[position].address.clone();
        runner.listen.on(&Event::StepFinished { address, outcome: word(&outcome) });
        lanes.end(position, outcome);
    }
    lanes.skip_what_will_not_run(runner);
    for position in lanes.running() {
        let outcome = step::unanswered(&plan.steps[position], done[position].load(Ordering::Relaxed));
        lanes.end(position, outcome);
    }
    lanes.report(runner.stopped())
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "applied",
        Outcome::AlreadyDone => "already done",
        Outcome::Skipped(_) => "skipped",
        Outcome::Failed(_) => "failed",
    }
}

impl<'p> Lanes<'p> {
    fn new(plan: &'p Plan, pace: Pace) -> Self {
        let positions: HashMap<&Address, usize> =
            plan.steps.iter().enumerate().map(|(position, step)| (&step.address, position)).collect();
        // what is not in the plan needs no change; what comes later cannot be waited for
        let needs = |(position, step): (usize, &Step)| {
            let needed: BTreeSet<usize> = step.needs.iter().filter_map(|need| positions.get(need).copied()).collect();
            needed.into_iter().filter(|need| *need < position).collect()
        };
        let needs: Vec<Vec<usize>> = plan.steps.iter().enumerate().map(needs).collect();
        let mut dependents = vec![Vec::new(); plan.steps.len()];
        for (position, needed) in needs.iter().enumerate() {
            for need in needed {
                dependents[*need].push(position);
            }
        }
        let mut known: HashMap<Option<Lane>, usize> = HashMap::new();
        let mut home_of = |step: &Step| {
            let next = known.len();
            *known.entry(lane(step)).or_insert(next)
        };
        let homes: Vec<usize> = plan.steps.iter().map(&mut home_of).collect();
        let pending: Vec<usize> = needs.iter().map(Vec::len).collect();
        let mut rooms: Vec<Room> = known.iter().map(|_| Room::default()).collect();
        for (position, _) in pending.iter().enumerate().filter(|(_, pending)| **pending == 0) {
            rooms[homes[position]].ready.insert(position);
        }
        Self {
            plan,
            stands: vec![Stand::Waiting; plan.steps.len()],
            needs,
            dependents,
            pending,
            doomed: BTreeSet::new(),
            objects: plan.steps.iter().map(objects).collect(),
            busy: BTreeSet::new(),
            homes,
            rooms,
            room: pace.parallelism.max(1),
        }
    }

    fn running(&self) -> Vec<usize> {
        self.that_stand(&Stand::Running)
    }

    fn that_stand(&self, wanted: &Stand) -> Vec<usize> {
        let those = self.stands.iter().enumerate().filter(|(_, stand)| *stand == wanted);
        those.map(|(position, _)| position).collect()
    }

    fn skip_what_will_not_run<RA, WA, RK, WK>(&mut self, runner: &Runner<'_, RA, WA, RK, WK>)
    where
        RA: ReadAws,
        WA: WriteAws,
        RK: ReadKubernetes,
        WK: WriteKubernetes,
    {
        for address in self.skip(runner.stopped().as_ref()) {
            runner.listen.on(&Event::StepFinished { address, outcome: "skipped" });
        }
    }

    /// Ends the steps that will not be begun: all once the run is stopped, else those that need one that did not succeed,
    /// and those that need them.
    fn skip(&mut self, stop: Option<&Stop>) -> Vec<Address> {
        if stop.is_some() {
            self.doomed.extend(self.that_stand(&Stand::Waiting));
        }
        let mut skipped = Vec::new();
        // each comes after what it needs, so that the next one is never before this one
        while let Some(position) = self.doomed.pop_first() {
            if self.stands[position] != Stand::Waiting {
                continue;
            }
            let why = stop.map(|stop| stop.why().to_owned()).or_else(|| self.obstacle(position));
            if let Some(why) = why {
                self.rooms[self.homes[position]].ready.remove(&position);
                self.over(position, Outcome::Skipped(why));
                skipped.push(self.plan.steps[position].address.clone());
            }
        }
        skipped
    }

    /// Why a step cannot be begun any more.
    fn obstacle(&self, position: usize) -> Option<String> {
        self.needs[position].iter().find_map(|need| match &self.stands[*need] {
            Stand::Over(Outcome::Failed(_)) => {
                Some(format!("`{}`, which it depends on, failed", self.plan.steps[*need].address))
            }
            // names the step that failed, not those between
            Stand::Over(Outcome::Skipped(why)) => Some(why.clone()),
            Stand::Over(Outcome::Applied | Outcome::AlreadyDone) | Stand::Waiting | Stand::Running => None,
        })
    }

    /// The steps that begin now, in plan order.
    fn start(&mut self) -> Vec<usize> {
        let mut started = Vec::new();
        for room in &mut self.rooms {
            let mut begun = Vec::new();
            for position in &room.ready {
                if room.taken == self.room {
                    break;
                }
                if self.objects[*position].is_disjoint(&self.busy) {
                    room.taken += 1;
                    self.busy.extend(self.objects[*position].iter().cloned());
                    self.stands[*position] = Stand::Running;
                    begun.push(*position);
                }
            }
            for position in &begun {
                room.ready.remove(position);
            }
            started.extend(begun);
        }
        started.sort_unstable();
        started
    }

    fn end(&mut self, position: usize, outcome: Outcome) {
        for object in &self.objects[position] {
            self.busy.remove(object);
        }
        self.rooms[self.homes[position]].taken -= 1;
        self.over(position, outcome);
    }

    /// A step is over: those that needed it are ready, or will not be begun.
    fn over(&mut self, position: usize, outcome: Outcome) {
        let good = matches!(outcome, Outcome::Applied | Outcome::AlreadyDone);
        self.stands[position] = Stand::Over(outcome);
        for dependent in &self.dependents[position] {
            self.pending[*dependent] -= 1;
            if self.stands[*dependent] != Stand::Waiting {
                continue;
            }
            if !good {
                self.doomed.insert(*dependent);
            }
            if self.pending[*dependent] == 0 {
                self.rooms[self.homes[*dependent]].ready.insert(*dependent);
            }
        }
    }

    fn report(self, stop: Option<Stop>) -> Report {
        let outcomes = self.plan.steps.iter().zip(self.stands).map(|(step, stand)| StepOutcome {
            address: step.address.clone(),
            action: step.change.action(),
            outcome: match stand {
                Stand::Over(outcome) => outcome,
                // every step has its turn: it needs only earlier ones
                Stand::Waiting | Stand::Running => Outcome::Skipped("it was never begun".to_owned()),
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
fn lane(step: &Step) -> Option<Lane> {
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
            Target::Role(name) => format!("{account} {}", name.folded()),
        },
        Call::Kubernetes(cluster, call) => {
            let item = match call {
                KubernetesCall::Create { service_account } => service_account,
                KubernetesCall::Apply { from, .. }
                | KubernetesCall::Release { from, .. }
                | KubernetesCall::Delete { from, .. } => from,
            };
            format!("{cluster} {}/{}", item.namespace, item.name)
        }
    }
}
