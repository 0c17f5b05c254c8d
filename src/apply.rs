//! Carries out a plan: runs its calls in order, and re-reads each object right before writing to it.
//!
//! The plan decides what to write and in which order. This room only leaves out a call that is already done or stale,
//! or that can no longer succeed. It does not know how results are displayed. IAM has no compare-and-swap, so irsa
//! overwrites what somebody else writes between the last read of a field and the write.

mod hint;
pub mod lock;
mod outage;
mod recheck;
pub mod report;
mod scheduler;
mod step;
mod verify_writes;
pub(crate) mod wait;

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

/// The AWS and Kubernetes clients of a run.
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

/// Limits of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Maximum number of running steps in each account and each cluster.
    pub parallelism: usize,
    /// After a signal, how long to wait for the writes in flight.
    pub grace: Duration,
}

/// Compares every object that the plan updates, adopts or deletes with its live state, before the first write. Returns
/// the objects that changed since the plan, sorted by address: a field has neither its old nor its planned value. An
/// object that cannot be read is stale too. Creates are not checked, because a create itself fails if the object
/// exists.
pub async fn recheck(plan: &Plan, aws: &impl ReadAws, kubernetes: &impl ReadKubernetes) -> Vec<Stale> {
    let recheck = Recheck { plan, aws, kubernetes, when: When::BeforeFirstWrite };
    let mut by_place: BTreeMap<_, Vec<&Step>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.change.action() != Action::Create) {
        by_place.entry(step.place()).or_default().push(step);
    }
    let stale = join_all(by_place.values().map(|steps| recheck.check_steps(steps))).await;
    stale.into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Carries out the plan. A call starts when all calls that it depends on have succeeded. A failure stops its
/// dependents. Only several outages in a row stop other steps too (`outage`). Once `stop` has a value, no further write
/// starts. Writes in flight may end within the grace time. If a write does not, irsa reports its result as unknown.
pub async fn apply(
    plan: &Plan,
    clients: &Clients<'_, impl ReadAws, impl WriteAws, impl ReadKubernetes, impl WriteKubernetes>,
    pace: &Pace,
    stop: watch::Receiver<Option<Stop>>,
    listener: &dyn Listen,
) -> Report {
    let Clients { read_aws: aws, read_kubernetes: kubernetes, write_aws, write_kubernetes } = *clients;
    let calls = plan.steps.iter().map(|step| step.parts.len()).sum();
    listener.on(&Event::ApplyStarted { steps: plan.steps.len(), calls });
    let recheck = Recheck { plan, aws, kubernetes, when: When::BeforeEachWrite };
    let runner = step::Runner { recheck, write_aws, write_kubernetes, stop, listener };
    scheduler::run(plan, &runner, pace).await
}

/// Reads again what the run wrote to IAM, unless the run was stopped. The first read may take three times `time`. Then
/// irsa waits up to `time` until IAM shows the rest. Adds a note to the report for each step whose writes IAM does not
/// show by then. A signal ends the wait.
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
        stop = wait::until_set(stop) => Some(stop),
        () = verify_writes::verify_writes(plan, &mut report, aws, time) => None,
    };
    if let Some(stop) = stopped {
        report.stopped_by(stop);
    }
    report
}

#[cfg(test)]
mod tests;
