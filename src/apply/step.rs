//! One step: its calls in order, each after a last look, until one fails, a signal comes or the lock is lost.

use super::awaited;
use super::hint::hint;
use super::look::{Look, Verdict};
use super::report::{Failure, Outcome, Stop};
use crate::event::{Event, Listen};
use crate::model::call::{Call, IamCall, KubernetesCall};
use crate::plan::Step;
use crate::world::{Answer, CallError, CallErrorKind, ReadAws, ReadKubernetes, WriteAws, WriteKubernetes, Written};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What running a step takes.
pub(super) struct Runner<'a, RA, WA, RK, WK> {
    pub look: Look<'a, RA, RK>,
    pub write_aws: &'a WA,
    pub write_kubernetes: &'a WK,
    pub stop: watch::Receiver<Option<Stop>>,
    pub listen: &'a dyn Listen,
}

/// The reason on a write that was in flight when a signal came, and did not end in time.
const UNANSWERED: &str = "it did not end in time after the signal: what came of it is unknown";

/// How far a step has come.
struct Progress<'s> {
    step: &'s Step,
    /// How many calls are done, or were not needed; told to whoever gives the step up.
    done: &'s AtomicUsize,
    /// Whether any was sent.
    wrote: bool,
    /// Whether this very step has made the object, so that there is nothing to look at.
    fresh: bool,
}

impl<RA: ReadAws, WA: WriteAws, RK: ReadKubernetes, WK: WriteKubernetes> Runner<'_, RA, WA, RK, WK> {
    /// Why no further write begins, if so.
    pub(super) fn stopped(&self) -> Option<Stop> {
        self.stop.borrow().clone()
    }

    /// Comes back when a signal has come and the time for what was in flight then is over.
    pub(super) async fn over(&self, grace: Duration) {
        let signal = |stop: &Option<Stop>| matches!(stop, Some(Stop::Signal(_)));
        if self.stop.clone().wait_for(signal).await.is_err() {
            // nobody is left who could send one
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(grace).await;
    }

    /// Comes back when no further write may begin.
    async fn until_stopped(&self) -> Stop {
        awaited::first(&self.stop).await
    }

    /// Runs the step to its end; `done` counts its calls that are done.
    pub(super) async fn run(&self, step: &Step, done: &AtomicUsize) -> Outcome {
        let mut progress = Progress { step, done, wrote: false, fresh: false };
        let first = step.parts.first().map(|part| &part.call);
        match self.looked(self.look.before_step(step)).await {
            Err(reason) => return progress.stopped(&reason),
            Ok(Err(error)) => return progress.failed(&error, first),
            Ok(Ok(Verdict::Stale(why))) => return progress.stale(why),
            Ok(Ok(Verdict::Write | Verdict::Done)) => {}
        }
        for part in &step.parts {
            if !progress.fresh {
                match self.looked(self.look.call(step, &part.call)).await {
                    Err(reason) => return progress.stopped(&reason),
                    Ok(Err(error)) => return progress.failed(&error, Some(&part.call)),
                    Ok(Ok(Verdict::Stale(why))) => return progress.stale(why),
                    Ok(Ok(Verdict::Done)) => {
                        progress.one_more();
                        self.finished(step, &part.call);
                        continue;
                    }
                    Ok(Ok(Verdict::Write)) => {}
                }
            }
            if let Some(reason) = self.stopped() {
                return progress.stopped(&reason);
            }
            self.listen.on(&Event::CallStarted { address: step.address.clone(), operation: part.call.operation() });
            match self.write(&part.call).await {
                Ok(written) => {
                    progress.one_more();
                    progress.wrote |= !written.already_done;
                    progress.fresh |= makes(&part.call) && !written.already_done;
                    self.finished(step, &part.call);
                }
                Err(error) if error.kind == CallErrorKind::Stopped => {
                    return progress.stopped(&self.until_stopped().await);
                }
                Err(error) => return progress.failed(&error, Some(&part.call)),
            }
        }
        // a step whose calls were all moved ahead into another one has been made by that
        if progress.wrote || step.parts.is_empty() { Outcome::Applied } else { Outcome::AlreadyDone }
    }

    fn finished(&self, step: &Step, call: &Call) {
        self.listen.on(&Event::CallFinished { address: step.address.clone(), operation: call.operation() });
    }

    /// A look, given up when the run is stopped: only writes are waited for.
    async fn looked(&self, look: impl Future<Output = Answer<Verdict>>) -> Result<Answer<Verdict>, Stop> {
        tokio::select! {
            biased;
            stop = self.until_stopped() => Err(stop),
            verdict = look => Ok(verdict),
        }
    }

    /// Sends a write; never given up once it is sent.
    async fn write(&self, call: &Call) -> Answer<Written> {
        match call {
            Call::Iam(account, call) => self.write_aws.write(account, call).await,
            Call::Kubernetes(cluster, call) => self.write_kubernetes.write(cluster, call).await,
        }
    }
}

/// Whether the call makes an object.
fn makes(call: &Call) -> bool {
    matches!(
        call,
        Call::Iam(_, IamCall::CreateRole { .. } | IamCall::CreatePolicy { .. } | IamCall::CreateProvider { .. })
            | Call::Kubernetes(_, KubernetesCall::Create { .. })
    )
}

/// What is told of a step whose write did not end in time after a signal.
pub(super) fn unanswered(step: &Step, done: usize) -> Outcome {
    let hint = Some("see what is left with `irsa plan`; apply again: it goes on from there".to_owned());
    Outcome::Failed(Failure { hint, ..failure(step, done, UNANSWERED.to_owned()) })
}

fn failure(step: &Step, done: usize, why: String) -> Failure {
    let mut operations: Vec<String> = step.parts.iter().map(|part| part.call.operation()).collect();
    let left = operations.split_off(done.min(operations.len()));
    Failure {
        operation: left.first().cloned().unwrap_or_default(),
        code: None,
        why,
        request_id: None,
        hint: None,
        stale: false,
        done: operations,
        left,
    }
}

impl Progress<'_> {
    fn one_more(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn failure(&self, why: String) -> Failure {
        failure(self.step, self.done.load(Ordering::Relaxed), why)
    }

    fn failed(&self, error: &CallError, call: Option<&Call>) -> Outcome {
        Outcome::Failed(Failure {
            operation: error.operation.clone(),
            code: error.code.clone(),
            request_id: error.request_id.clone(),
            hint: call.and_then(|call| hint(error, call)),
            ..self.failure(error.message.clone())
        })
    }

    fn stale(&self, why: std::collections::BTreeSet<String>) -> Outcome {
        let why = why.into_iter().collect::<Vec<_>>().join("; ");
        Outcome::Failed(Failure { stale: true, hint: Some("plan again".to_owned()), ..self.failure(why) })
    }

    /// Not begun, or broken off between two calls.
    fn stopped(&self, stop: &Stop) -> Outcome {
        if !self.wrote {
            return Outcome::Skipped(stop.why().to_owned());
        }
        let hint = Some("apply again: it goes on from here".to_owned());
        Outcome::Failed(Failure { hint, ..self.failure(stop.why().to_owned()) })
    }
}
