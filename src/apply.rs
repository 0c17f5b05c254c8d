//! Carries a plan out: lanes that run side by side, each object re-read right before it is written.
//!
//! Makes no choices: what to write, and in which order, the plan has said. May not know how anything looks. Neither IAM
//! nor this program can compare and swap: between the last look at a field and its write lies one call, and what
//! someone else writes in that moment is overwritten.

pub(crate) mod awaited;
mod chain;
mod deletes;
mod hint;
mod iam;
mod kubernetes;
pub mod lock;
mod outage;
mod ownership;
mod recheck;
pub mod report;
mod scheduler;
mod step;
mod verify_writes;

use crate::event::{Event, Listen};
use crate::plan::change::Action;
use crate::plan::saved::Stale;
use crate::plan::{Plan, Step};
use crate::world::{ReadAws, ReadKubernetes, WriteAws, WriteKubernetes};
use futures::future::join_all;
use recheck::{Recheck, When};
use report::{Report, Stop};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;

/// The ports that apply works with.
pub struct Clients<'a, RA, WA, RK, WK> {
    /// Reads from AWS.
    pub read_aws: &'a RA,
    /// Writes to AWS.
    pub write_aws: &'a WA,
    /// Reads from Kubernetes.
    pub read_kubernetes: &'a RK,
    /// Writes to Kubernetes.
    pub write_kubernetes: &'a WK,
}

/// How fast to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many steps may be under way at once, in each account and each cluster.
    pub parallelism: usize,
    /// How long the writes in flight are waited for once a signal has come.
    pub grace: Duration,
}

/// Holds every call of the plan against the world, before the first write: all that is neither as the plan found it nor
/// as it would leave it, sorted by address. What could not be read counts as stale, for nothing is written on a guess.
/// Creates are not looked at: that there is such an object already is for the create itself to find out.
pub async fn recheck<RA, WA, RK, WK>(plan: &Plan, clients: &Clients<'_, RA, WA, RK, WK>) -> Vec<Stale>
where
    RA: ReadAws,
    WA: WriteAws,
    RK: ReadKubernetes,
    WK: WriteKubernetes,
{
    let look = Recheck { plan, aws: clients.read_aws, kubernetes: clients.read_kubernetes, when: When::BeforeAll };
    let mut lanes: BTreeMap<_, Vec<&Step>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.change.action() != Action::Create) {
        lanes.entry(scheduler::lane(step)).or_default().push(step);
    }
    let looked = join_all(lanes.values().map(|steps| look.steps(steps))).await;
    looked.into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Carries the plan out. A step runs once all that it needs has succeeded; one that fails holds back only what depends
/// on it. Once `stop` has a reason no write begins any more, and the writes in flight are waited for: what came of those
/// that do not end in time is unknown.
pub async fn apply<RA, WA, RK, WK>(
    plan: &Plan,
    clients: &Clients<'_, RA, WA, RK, WK>,
    pace: &Pace,
    stop: watch::Receiver<Option<Stop>>,
    listen: &dyn Listen,
) -> Report
where
    RA: ReadAws,
    WA: WriteAws,
    RK: ReadKubernetes,
    WK: WriteKubernetes,
{
    let calls = plan.steps.iter().map(|step| step.parts.len()).sum();
    listen.on(&Event::ApplyStarted { steps: plan.steps.len(), calls });
    let runner = step::Runner {
        look: Recheck { plan, aws: clients.read_aws, kubernetes: clients.read_kubernetes, when: When::BeforeWrite },
        write_aws: clients.write_aws,
        write_kubernetes: clients.write_kubernetes,
        stop,
        listen,
    };
    scheduler::run(plan, &runner, pace).await
}

/// ReadOptions once more at what was written, unless the run was stopped, and notes in the report what does not show within
/// `time`. A signal ends the look.
pub async fn verify_writes(
    plan: &Plan,
    mut report: Report,
    aws: &impl ReadAws,
    time: Duration,
    stop: &watch::Receiver<Option<Stop>>,
) -> Report {
    if report.interrupted.is_some() || report.lock_lost.is_some() {
        return report;
    }
    let stopped = tokio::select! {
        biased;
        stop = awaited::first(stop) => Some(stop),
        () = verify_writes::verify_writes(plan, &mut report, aws, time) => None,
    };
    if let Some(stop) = stopped {
        report.stopped_by(stop);
    }
    report
}

#[cfg(test)]
mod tests;
