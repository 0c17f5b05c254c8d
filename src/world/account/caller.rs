//! Sends the calls of one account: paced, a few at a time, and again where that may help, within a budget.
//!
//! Waiting for our own pace is no failure and costs no budget before the first try. What to do about a failure is
//! decided in `retry`; here is only the waiting.

use super::{Action, failure, invalid};
use crate::context::Context;
use crate::event::{Event, Listen};
use crate::ids::Key;
use crate::world::pace::Pacer;
use crate::world::retry::{self, Because, Class, Decision, Facts, Failure};
use crate::world::{Answer, CallError, CallErrorKind};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Sends the calls of one account.
pub(crate) struct Caller {
    account: Key,
    context: Context,
    budget: Duration,
    slots: Semaphore,
    pacers: Mutex<BTreeMap<Action, Arc<Pacer>>>,
    /// The services that answered in this run.
    reached: BTreeMap<&'static str, AtomicBool>,
    random: AtomicU64,
    listen: Arc<dyn Listen>,
    /// What is set so that no call can be made.
    fault: Option<String>,
}

impl Caller {
    pub(crate) fn new(
        account: Key,
        context: Context,
        timeout: Duration,
        parallelism: usize,
        listen: Arc<dyn Listen>,
    ) -> Self {
        Self {
            account,
            budget: context.scaled(timeout),
            random: AtomicU64::new(context.seed() | 1),
            context,
            slots: Semaphore::new(parallelism.max(1)),
            pacers: Mutex::default(),
            reached: ["iam", "eks", "sts"].map(|service| (service, AtomicBool::new(false))).into(),
            listen,
            fault: None,
        }
    }

    /// The same, but no call is made if there is a fault.
    pub(crate) fn with_fault(self, fault: Option<String>) -> Self {
        Self { fault, ..self }
    }

    /// How long one operation may take.
    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    /// Makes one call, and makes it again while `facts` and the budget allow.
    pub(crate) async fn call<T, E, Sent>(
        &self,
        action: Action,
        facts: Facts,
        send: impl Fn() -> Sent + Send + Sync,
    ) -> Answer<T>
    where
        T: Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        self.call_unless(&CancellationToken::new(), action, facts, send).await
    }

    /// The same, but nothing is sent any more once `halt` is cancelled; what is under way then is waited for.
    pub(crate) async fn call_unless<T, E, Sent>(
        &self,
        halt: &CancellationToken,
        action: Action,
        facts: Facts,
        send: impl Fn() -> Sent + Send + Sync,
    ) -> Answer<T>
    where
        T: Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        if let Some(fault) = &self.fault {
            return Err(invalid(action, fault));
        }
        let pacer = self.pacer(action);
        let mut started = None;
        let mut last: Option<Failure> = None;
        for attempt in 0.. {
            let slot = halt.run_until_cancelled(self.turn(&pacer, attempt > 0)).await;
            let Some(slot) = slot.filter(|_| !halt.is_cancelled()) else {
                return Err(last.map_or_else(|| stopped(action), |failure| failure.into_error(action.to_string())));
            };
            let departed = Instant::now();
            let deadline = *started.get_or_insert(departed) + self.budget;
            if departed >= deadline {
                break;
            }
            let outcome = tokio::time::timeout_at(deadline, send()).await;
            drop(slot);
            let failure = match outcome {
                Ok(Ok(answer)) => {
                    self.answered(action);
                    pacer.taken(departed);
                    return Ok(answer);
                }
                Ok(Err(error)) => failure::failure(&error),
                Err(_) => break,
            };
            if failure.class == Class::Service {
                self.answered(action);
            }
            let facts = Facts { reached: self.was_reached(action), again: attempt > 0, ..facts };
            let Decision::Retry(because) = retry::decide(&failure, facts) else {
                return Err(failure.into_error(action.to_string()));
            };
            match because {
                Because::Throttled => pacer.slow_down(departed),
                Because::Propagation | Because::Busy => pacer.taken(departed),
                // it may never have got there
                Because::Unavailable => {}
            }
            let wait = self.context.scaled(retry::backoff(attempt, self.random()));
            last = Some(failure);
            if Instant::now() + wait >= deadline {
                break;
            }
            self.tell(action, because);
            // who is told to stop here finds that out above
            halt.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        Err(last.unwrap_or_else(|| self.out_of_time()).into_error(action.to_string()))
    }

    /// Waits for the pace, and then for room.
    async fn turn(&self, pacer: &Pacer, again: bool) -> Result<SemaphorePermit<'_>, AcquireError> {
        let mut again = again;
        loop {
            let admitted = pacer.admit(again).await;
            let slot = self.slots.acquire().await?;
            // others were refused while this one waited for room: it would be next
            if !pacer.slowed_since(admitted) {
                return Ok(slot);
            }
            again = true;
        }
    }

    /// How long so many calls of each of these actions wait for their turns, side by side.
    pub(crate) fn time_for(&self, actions: &[Action], calls: usize) -> Duration {
        let now = Instant::now();
        actions.iter().map(|action| self.pacer(*action).time_for(calls, now)).max().unwrap_or_default()
    }

    fn pacer(&self, action: Action) -> Arc<Pacer> {
        let mut pacers = self.pacers.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Pacer::new(self.context.scaled(Duration::from_secs(1))));
        Arc::clone(pacers.entry(action).or_insert_with(new))
    }

    fn answered(&self, action: Action) {
        if let Some(reached) = self.reached.get(action.service) {
            reached.store(true, Ordering::Relaxed);
        }
    }

    fn was_reached(&self, action: Action) -> bool {
        self.reached.get(action.service).is_some_and(|reached| reached.load(Ordering::Relaxed))
    }

    fn tell(&self, action: Action, because: Because) {
        let what = format!("{action} in account `{}`: {}", self.account, because.words());
        self.listen.on(&Event::Waiting { what });
    }

    fn out_of_time(&self) -> Failure {
        let message = format!("no answer within {:?}; it may have been done all the same", self.budget);
        Failure { class: Class::Network, status: None, code: None, message, request_id: None }
    }

    /// xorshift64 (Marsaglia 2003): good enough to spread retries.
    fn random(&self) -> f64 {
        let step = |mut x: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^ (x << 17)
        };
        let before = self.random.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |x| Some(step(x)));
        let drawn = u32::try_from(step(before.unwrap_or(1)) >> 32).unwrap_or(0);
        f64::from(drawn) / (f64::from(u32::MAX) + 1.0)
    }
}

fn stopped(action: Action) -> CallError {
    CallError {
        operation: action.to_string(),
        kind: CallErrorKind::Stopped,
        code: None,
        message: "it was not sent".to_owned(),
        request_id: None,
    }
}

#[cfg(test)]
mod tests;
