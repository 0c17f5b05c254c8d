//! One step: its calls in order, each after a last look, until one fails, a signal comes or the lock is lost.

use super::awaited;
use super::hint::hint;
use super::outage;
use super::recheck::{Finding, Recheck};
use super::report::{Failure, Outcome, Stop};
use crate::event::{Event, Listen};
use crate::model::call::{Call, Field, IamCall, KubernetesCall};
use crate::plan::Step;
use crate::world::{Answer, CallError, CallErrorKind, ReadAws, ReadKubernetes, WriteAws, WriteKubernetes, Written};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What running a step takes.
pub(super) struct Runner<'a, RA, WA, RK, WK> {
    pub look: Recheck<'a, RA, RK>,
    pub write_aws: &'a WA,
    pub write_kubernetes: &'a WK,
    pub stop: watch::Receiver<Option<Stop>>,
    pub listen: &'a dyn Listen,
}

/// How often an object that changes between the last look and its delete is looked at.
const LOOKS: usize = 3;

/// The reason on a write that was in flight when a signal came, and did not end in time.
const UNANSWERED: &str = "it did not end in time after the signal: what came of it is unknown";

/// How far a step has come. Calls are counted as they end, so that whoever gives the step up knows.
pub(super) struct Progress<'s> {
    step: &'s Step,
    /// How many calls are done, or were not needed.
    done: AtomicUsize,
    /// The calls that were sent, by their positions.
    sent: Mutex<BTreeSet<usize>>,
    /// Whether this very step has made the object, so that there is nothing to look at.
    fresh: AtomicBool,
    /// Its failure, where that is none of the object's own.
    outage: OnceLock<Failure>,
}

impl<RA: ReadAws, WA: WriteAws, RK: ReadKubernetes, WK: WriteKubernetes> Runner<'_, RA, WA, RK, WK> {
    /// Why no further write begins, if so.
    pub(super) fn stopped(&self) -> Option<Stop> {
        self.stop.borrow().clone()
    }

    /// Comes back when a signal has come and the time for what was in flight then is over, or a second one has come.
    pub(super) async fn over(&self, grace: Duration) {
        self.until(|stop| matches!(stop, Some(Stop::Signal(_) | Stop::Hurried(_)))).await;
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = self.until(|stop| matches!(stop, Some(Stop::Hurried(_)))) => {}
        }
    }

    async fn until(&self, reason: impl FnMut(&Option<Stop>) -> bool) {
        if self.stop.clone().wait_for(reason).await.is_err() {
            // nobody is left who could send one
            std::future::pending::<()>().await;
        }
    }

    /// Comes back when no further write may begin.
    async fn until_stopped(&self) -> Stop {
        awaited::first(&self.stop).await
    }

    /// Runs these calls of a step, the first of which is the next one; `None` once they are done and others are left.
    pub(super) async fn run(&self, progress: &Progress<'_>, parts: Range<usize>) -> Option<Outcome> {
        let step = progress.step;
        if parts.start == 0 {
            let first = step.parts.first().map(|part| &part.call);
            match self.looked(self.look.before_step(step)).await {
                Err(reason) => return Some(progress.stopped(&reason)),
                Ok(Err(error)) => return Some(progress.failed(&error, first)),
                Ok(Ok(Finding::Stale(why))) => return Some(progress.stale(why)),
                Ok(Ok(Finding::Write | Finding::Delete(_) | Finding::Done)) => {}
            }
        }
        for place in parts {
            if let Some(outcome) = self.part(progress, place).await {
                return Some(outcome);
            }
        }
        (progress.done() == step.parts.len()).then(|| progress.succeeded())
    }

    /// Makes one call, after a last look; `None` once it is done.
    async fn part(&self, progress: &Progress<'_>, place: usize) -> Option<Outcome> {
        let step = progress.step;
        let call = &step.parts[place].call;
        let mut looks = 0;
        loop {
            let mut version = None;
            if !progress.needs_no_look(place) {
                looks += 1;
                match self.looked(self.look.call(step, call)).await {
                    Err(reason) => return Some(progress.stopped(&reason)),
                    Ok(Err(error)) => return Some(progress.failed(&error, Some(call))),
                    Ok(Ok(Finding::Stale(why))) => return Some(progress.stale(why)),
                    Ok(Ok(Finding::Done)) => {
                        progress.one_more();
                        self.finished(step, call);
                        return None;
                    }
                    Ok(Ok(Finding::Write)) => {}
                    Ok(Ok(Finding::Delete(seen))) => version = Some(seen),
                }
            }
            if let Some(reason) = self.stopped() {
                return Some(progress.stopped(&reason));
            }
            self.listen.on(&Event::CallStarted { address: step.address.clone(), operation: call.operation() });
            return match self.write(call, version.as_deref()).await {
                Ok(written) => {
                    progress.one_more();
                    if !written.already_done {
                        progress.was_sent(place, makes(call));
                    }
                    self.finished(step, call);
                    None
                }
                // it changed since the look: perhaps it must not be deleted any more
                Err(error) if error.kind == CallErrorKind::Conflict && version.is_some() && looks < LOOKS => continue,
                Err(error) if error.kind == CallErrorKind::Stopped => {
                    Some(progress.stopped(&self.until_stopped().await))
                }
                Err(error) => Some(progress.failed(&error, Some(call))),
            };
        }
    }

    fn finished(&self, step: &Step, call: &Call) {
        self.listen.on(&Event::CallFinished { address: step.address.clone(), operation: call.operation() });
    }

    /// A look, given up when the run is stopped: only writes are waited for.
    async fn looked(&self, look: impl Future<Output = Answer<Finding>>) -> Result<Answer<Finding>, Stop> {
        tokio::select! {
            biased;
            stop = self.until_stopped() => Err(stop),
            verdict = look => Ok(verdict),
        }
    }

    /// Sends a write; never given up once it is sent.
    async fn write(&self, call: &Call, version: Option<&str>) -> Answer<Written> {
        match call {
            Call::Iam(account, call) => self.write_aws.write(account, call).await,
            Call::Kubernetes(cluster, call) => self.write_kubernetes.write(cluster, call, version).await,
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
        written: false,
        held_up: false,
        done: operations,
        left,
    }
}

impl<'s> Progress<'s> {
    pub(super) fn new(step: &'s Step) -> Self {
        Self {
            step,
            done: AtomicUsize::new(0),
            sent: Mutex::new(BTreeSet::new()),
            fresh: AtomicBool::new(false),
            outage: OnceLock::new(),
        }
    }

    /// How it failed, where other objects would fail alike.
    pub(super) fn outage(&self) -> Option<Failure> {
        self.outage.get().cloned()
    }

    /// How many calls are done.
    pub(super) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    fn one_more(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn sent(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn was_sent(&self, place: usize, made: bool) {
        self.sent().insert(place);
        self.fresh.fetch_or(made, Ordering::Relaxed);
    }

    /// Whether the call is made without asking what is there: this run has made the object, or has written this field
    /// before, and what IAM answers may be older than that.
    fn needs_no_look(&self, place: usize) -> bool {
        let field = |place: usize| match &self.step.parts[place].call {
            Call::Iam(_, call) => Some(call.field()).filter(|field| *field != Field::Tags),
            Call::Kubernetes(..) => None,
        };
        self.fresh.load(Ordering::Relaxed)
            || (field(place).is_some() && self.sent().iter().any(|sent| field(*sent) == field(place)))
    }

    fn succeeded(&self) -> Outcome {
        if self.sent().is_empty() { Outcome::AlreadyDone } else { Outcome::Applied }
    }

    fn failure(&self, why: String) -> Failure {
        failure(self.step, self.done(), why)
    }

    fn failed(&self, error: &CallError, call: Option<&Call>) -> Outcome {
        let failure = Failure {
            operation: error.operation.clone(),
            code: error.code.clone(),
            request_id: error.request_id.clone(),
            hint: call.and_then(|call| hint(error, call)),
            written: error.kind == CallErrorKind::Altered,
            ..self.failure(error.message.clone())
        };
        if outage::is_one(error.kind) {
            // a step fails once
            let _ = self.outage.set(failure.clone());
        }
        Outcome::Failed(failure)
    }

    /// Its next call was not sent, since it would fail as those before it did.
    pub(super) fn failed_like(&self, other: &Failure) -> Outcome {
        Outcome::Failed(Failure {
            operation: other.operation.clone(),
            code: other.code.clone(),
            hint: other.hint.clone(),
            ..self.failure(format!("{} ({})", other.why, outage::UNSENT))
        })
    }

    fn stale(&self, why: BTreeSet<String>) -> Outcome {
        let why = why.into_iter().collect::<Vec<_>>().join("; ");
        Outcome::Failed(Failure { stale: true, hint: Some("plan again".to_owned()), ..self.failure(why) })
    }

    /// Not begun, or broken off between two calls.
    pub(super) fn stopped(&self, stop: &Stop) -> Outcome {
        if self.sent().is_empty() {
            return Outcome::Skipped(stop.why().to_owned());
        }
        let hint = Some("apply again: it goes on from here".to_owned());
        Outcome::Failed(Failure { hint, ..self.failure(stop.why().to_owned()) })
    }

    /// Not begun, or broken off, since another step did not make what must come before.
    pub(super) fn held_up(&self, why: String) -> Outcome {
        if self.sent().is_empty() {
            return Outcome::Skipped(why);
        }
        let hint = Some("apply again once that is mended: it goes on from here".to_owned());
        Outcome::Failed(Failure { hint, held_up: true, ..self.failure(why) })
    }

    /// Its write did not end in time after a signal.
    pub(super) fn unanswered(&self) -> Outcome {
        let hint = Some("see what is left with `irsa plan`; apply again: it goes on from there".to_owned());
        Outcome::Failed(Failure { hint, ..self.failure(UNANSWERED.to_owned()) })
    }
}
