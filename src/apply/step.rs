//! Runs one step: makes its calls in order, each after a re-read, until one fails or the run is stopped.

use super::hint::hint;
use super::outage::{NOT_SENT, is_outage};
use super::recheck::{Finding, Recheck};
use super::report::{Failure, Outcome, Stop};
use super::wait;
use crate::event::{Event, Listen};
use crate::model::call::{Call, Field};
use crate::plan::Step;
use crate::world::{Answer, CallError, CallErrorKind, ReadAws, ReadKubernetes, WriteAws, WriteKubernetes, Written};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often irsa reads a ServiceAccount before it deletes it, if the ServiceAccount changes between the read and the
/// deletion.
const MAX_READS: usize = 3;

/// Runs steps with these clients.
pub(super) struct Runner<'a, RA, WA, RK, WK> {
    pub recheck: Recheck<'a, RA, RK>,
    pub write_aws: &'a WA,
    pub write_kubernetes: &'a WK,
    pub stop: watch::Receiver<Option<Stop>>,
    pub listener: &'a dyn Listen,
}

/// The progress of a step. The running step shares it with the scheduler, which reports on a step that it abandons.
pub(super) struct Progress<'s> {
    step: &'s Step,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many calls succeeded or were not needed.
    done: usize,
    /// The indexes of the calls that wrote something.
    sent: BTreeSet<usize>,
    /// Whether one of these calls created the object.
    created: bool,
    /// The failure of the step, if it is not about this object alone.
    outage: Option<Failure>,
}

impl<RA: ReadAws, WA: WriteAws, RK: ReadKubernetes, WK: WriteKubernetes> Runner<'_, RA, WA, RK, WK> {
    /// Why no further write starts; None while the run goes on.
    pub(super) fn stopped(&self) -> Option<Stop> {
        self.stop.borrow().clone()
    }

    /// Waits until a signal has come and the grace time is over, or until a second signal comes.
    pub(super) async fn until_abandoned(&self, grace: Duration) {
        wait::until(&self.stop, |stop| matches!(stop, Some(Stop::Signal(_) | Stop::SecondSignal(_)))).await;
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = wait::until(&self.stop, |stop| matches!(stop, Some(Stop::SecondSignal(_)))) => {}
        }
    }

    /// Makes these calls of a step. They follow the calls that are already done. Returns None if the step has further
    /// calls.
    pub(super) async fn run(&self, progress: &Progress<'_>, calls: Range<usize>) -> Option<Outcome> {
        let step = progress.step;
        if calls.start == 0 {
            let first = step.parts.first().map(|part| &part.call);
            if let Err(outcome) = self.read(progress, first, self.recheck.check_before_step(step)).await {
                return Some(outcome);
            }
        }
        for index in calls {
            if let Err(outcome) = self.call(progress, index).await {
                return Some(outcome);
            }
        }
        let state = progress.state();
        let outcome = if state.sent.is_empty() { Outcome::AlreadyDone } else { Outcome::Applied };
        (state.done == step.parts.len()).then_some(outcome)
    }

    /// Makes one call, after a re-read.
    async fn call(&self, progress: &Progress<'_>, index: usize) -> Result<(), Outcome> {
        let step = progress.step;
        let call = &step.parts[index].call;
        let mut reads = 0;
        let written = loop {
            let mut version = None;
            if !progress.knows_live_value(index) {
                reads += 1;
                match self.read(progress, Some(call), self.recheck.check_call(step, call)).await? {
                    Finding::Done => break Written { already_done: true, ..Written::default() },
                    Finding::Delete(seen) => version = Some(seen),
                    Finding::Stale(why) => return Err(progress.stale(why)),
                    Finding::Write => {}
                }
            }
            if let Some(stop) = self.stopped() {
                return Err(progress.stopped(&stop));
            }
            self.listener.on(&Event::CallStarted { address: step.address.clone(), operation: call.operation() });
            match self.write(call, version.as_deref()).await {
                Ok(written) => break written,
                // the object has changed since the read: reads it again, because the delete may no longer be allowed
                Err(error) if error.kind == CallErrorKind::Conflict && version.is_some() && reads < MAX_READS => {}
                Err(error) if error.kind == CallErrorKind::Stopped => {
                    return Err(progress.stopped(&wait::until_set(&self.stop).await));
                }
                Err(error) => return Err(progress.failed(&error, Some(call))),
            }
        };
        progress.succeeded(index, written.already_done);
        self.listener.on(&Event::CallFinished { address: step.address.clone(), operation: call.operation() });
        Ok(())
    }

    /// Awaits a re-read. If the run is stopped, drops the re-read: only a write must be allowed to finish.
    async fn read(
        &self,
        progress: &Progress<'_>,
        call: Option<&Call>,
        recheck: impl Future<Output = Answer<Finding>>,
    ) -> Result<Finding, Outcome> {
        let finding = tokio::select! {
            biased;
            stop = wait::until_set(&self.stop) => return Err(progress.stopped(&stop)),
            finding = recheck => finding,
        };
        match finding {
            Err(error) => Err(progress.failed(&error, call)),
            Ok(Finding::Stale(why)) => Err(progress.stale(why)),
            Ok(finding) => Ok(finding),
        }
    }

    /// Sends a write. Only the end of the grace time or a second signal drops it.
    async fn write(&self, call: &Call, version: Option<&str>) -> Answer<Written> {
        match call {
            Call::Iam(account, call) => self.write_aws.write(account, call).await,
            Call::Kubernetes(cluster, call) => self.write_kubernetes.write(cluster, call, version).await,
        }
    }
}

impl<'s> Progress<'s> {
    pub(super) fn new(step: &'s Step) -> Self {
        Self { step, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls are done.
    pub(super) fn done(&self) -> usize {
        self.state().done
    }

    /// The failure of the step, if other objects would fail alike.
    pub(super) fn outage(&self) -> Option<Failure> {
        self.state().outage.clone()
    }

    fn succeeded(&self, index: usize, already_done: bool) {
        let mut state = self.state();
        state.done += 1;
        if !already_done {
            state.sent.insert(index);
            state.created |= self.step.parts[index].call.creates();
        }
    }

    /// Whether the call needs no re-read, because this run created the object or wrote this field before, and IAM may
    /// still answer with an older value.
    fn knows_live_value(&self, index: usize) -> bool {
        let field = |index: usize| {
            let (_, call) = self.step.parts[index].call.iam()?;
            Some(call.field()).filter(|field| *field != Field::Tags)
        };
        let state = self.state();
        state.created || (field(index).is_some() && state.sent.iter().any(|sent| field(*sent) == field(index)))
    }

    fn failure(&self, why: impl Into<String>, hint: Option<String>) -> Failure {
        let mut done: Vec<String> = self.step.parts.iter().map(|part| part.call.operation()).collect();
        let left = done.split_off(self.done().min(done.len()));
        let operation = left.first().cloned().unwrap_or_default();
        Failure { operation, why: why.into(), hint, done, left, ..Failure::default() }
    }

    fn failed(&self, error: &CallError, call: Option<&Call>) -> Outcome {
        let failure = Failure {
            operation: error.operation.clone(),
            code: error.code.clone(),
            request_id: error.request_id.clone(),
            written: error.kind == CallErrorKind::Altered,
            ..self.failure(&error.message, call.and_then(|call| hint(error, call)))
        };
        if is_outage(error.kind) {
            self.state().outage = Some(failure.clone());
        }
        Outcome::Failed(failure)
    }

    /// The outcome if the next call is not sent because it would fail like the calls before it.
    pub(super) fn failed_like(&self, other: &Failure) -> Outcome {
        Outcome::Failed(Failure {
            operation: other.operation.clone(),
            code: other.code.clone(),
            ..self.failure(format!("{} ({NOT_SENT})", other.why), other.hint.clone())
        })
    }

    fn stale(&self, why: BTreeSet<String>) -> Outcome {
        let why = why.into_iter().collect::<Vec<_>>().join("; ");
        Outcome::Failed(Failure { stale: true, ..self.failure(why, Some("plan again".to_owned())) })
    }

    /// The outcome if the run is stopped before the next call.
    pub(super) fn stopped(&self, stop: &Stop) -> Outcome {
        if self.state().sent.is_empty() {
            return Outcome::Skipped(stop.why().to_owned());
        }
        Outcome::Failed(self.failure(stop.why(), Some("apply again to continue".to_owned())))
    }

    /// The outcome if a call of another step, which must come first, was not made.
    pub(super) fn held_up(&self, why: String) -> Outcome {
        if self.state().sent.is_empty() {
            return Outcome::Skipped(why);
        }
        let hint = Some("apply again once that is fixed".to_owned());
        Outcome::Failed(Failure { held_up: true, ..self.failure(why, hint) })
    }

    /// The outcome if a write did not end in time after a signal.
    pub(super) fn unanswered(&self) -> Outcome {
        let why = "it did not end in time after the signal, so its result is unknown";
        let hint = "see what is left with `irsa plan`, then apply again";
        Outcome::Failed(self.failure(why, Some(hint.to_owned())))
    }
}
