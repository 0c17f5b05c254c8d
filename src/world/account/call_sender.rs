//! Sends the calls of one account: at the rate that AWS permits, a few at a time, with retries within a time budget.
//!
//! The time budget of a call starts with its first attempt, so a wait for the rate limit before it does not count.
//! `retry` decides what to retry.

use super::{Action, failure, invalid};
use crate::context::Context;
use crate::event::{Event, Listen};
use crate::ids::Key;
use crate::world::rate_limit::RateLimiter;
use crate::world::retry::{AwsFailure, FailureClass, RetryFacts, RetryReason, backoff, retry_reason};
use crate::world::{Answer, CallError, CallErrorKind};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The error of an SDK operation.
pub(crate) trait SdkFailure: ProvideErrorMetadata + Error + Send + Sync + 'static {}

impl<E: ProvideErrorMetadata + Error + Send + Sync + 'static> SdkFailure for E {}

/// The future of an SDK operation.
pub(crate) trait SdkFuture<T, E>: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send {}

impl<T, E, F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send> SdkFuture<T, E> for F {}

/// Sends the calls of one account.
pub(crate) struct CallSender {
    account: Key,
    context: Context,
    /// How long one operation may take, retries included.
    budget: Duration,
    slots: Semaphore,
    limiters: Mutex<BTreeMap<Action, Arc<RateLimiter>>>,
    /// The services that answered in this run.
    reached: Mutex<BTreeSet<&'static str>>,
    /// How many random numbers were drawn.
    drawn: AtomicU64,
    listen: Arc<dyn Listen>,
    /// A setting that makes every call fail.
    fault: Option<String>,
}

impl CallSender {
    pub(crate) fn new(
        account: Key,
        context: Context,
        timeout: Duration,
        parallelism: usize,
        listen: Arc<dyn Listen>,
        fault: Option<String>,
    ) -> Self {
        Self {
            account,
            budget: context.scaled(timeout),
            context,
            slots: Semaphore::new(parallelism.max(1)),
            limiters: Mutex::default(),
            reached: Mutex::default(),
            drawn: AtomicU64::new(0),
            listen,
            fault,
        }
    }

    /// How long one operation may take.
    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    /// Makes a call, and retries it while `facts` and the budget allow.
    pub(crate) async fn call<T: Send, E: SdkFailure, Sent: SdkFuture<T, E>>(
        &self,
        action: Action,
        facts: RetryFacts,
        send: impl Fn() -> Sent + Send + Sync,
    ) -> Answer<T> {
        self.call_unless(&CancellationToken::new(), action, facts, send).await
    }

    /// Like [`Self::call`], but sends nothing once `halt` is cancelled. A request that is then in flight ends normally.
    pub(crate) async fn call_unless<T: Send, E: SdkFailure, Sent: SdkFuture<T, E>>(
        &self,
        halt: &CancellationToken,
        action: Action,
        facts: RetryFacts,
        send: impl Fn() -> Sent + Send + Sync,
    ) -> Answer<T> {
        if let Some(fault) = &self.fault {
            return Err(invalid(action, fault));
        }
        let limiter = self.limiter(action);
        let mut started = None;
        let mut last: Option<AwsFailure> = None;
        for attempt in 0.. {
            let slot = halt.run_until_cancelled(self.slot(&limiter, attempt > 0)).await;
            let Some(slot) = slot.filter(|_| !halt.is_cancelled()) else {
                let stopped = CallError {
                    kind: CallErrorKind::Stopped,
                    ..invalid(action, "irsa did not send it, because the run was stopped")
                };
                return Err(last.map_or(stopped, |failure| failure.into_error(action.to_string())));
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
                    self.reached().insert(action.service);
                    limiter.record_accepted(departed);
                    return Ok(answer);
                }
                Ok(Err(error)) => failure::failure(&error),
                Err(_) => break,
            };
            if failure.class == FailureClass::Service {
                self.reached().insert(action.service);
            }
            let reached = self.reached().contains(action.service);
            let facts = RetryFacts { reached, retried: attempt > 0, ..facts };
            let Some(reason) = retry_reason(&failure, facts) else {
                return Err(failure.into_error(action.to_string()));
            };
            match reason {
                RetryReason::Throttled => limiter.record_throttle(departed),
                RetryReason::Propagation | RetryReason::Busy => limiter.record_accepted(departed),
                // the request may not have reached the service
                RetryReason::Unavailable => {}
            }
            let wait = self.context.scaled(backoff(attempt, self.random()));
            last = Some(failure);
            if Instant::now() + wait >= deadline {
                break;
            }
            let what = format!("{action} in account `{}`: {}", self.account, reason.message());
            self.listen.on(&Event::Waiting { what });
            // if `halt` ends the wait, the next turn of the loop returns
            halt.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        let out_of_time = || {
            let message = format!("no answer within {:?}; AWS may have carried out the call", self.budget);
            AwsFailure::local(FailureClass::Network, message)
        };
        Err(last.unwrap_or_else(out_of_time).into_error(action.to_string()))
    }

    /// Waits for the rate limit, then for one of the slots.
    async fn slot(&self, limiter: &RateLimiter, is_retry: bool) -> Result<SemaphorePermit<'_>, AcquireError> {
        let mut is_retry = is_retry;
        loop {
            let admitted = limiter.admit(is_retry).await;
            let slot = self.slots.acquire().await?;
            // if another call was throttled meanwhile, this one would be throttled too, so it waits for the rate limit
            // again, but not in the queue
            if !limiter.throttled_since(admitted) {
                return Ok(slot);
            }
            is_retry = true;
        }
    }

    /// How long the rate limits delay `calls` calls of each of these actions, if all actions are sent in parallel.
    pub(crate) fn time_for(&self, actions: &[Action], calls: usize) -> Duration {
        let now = Instant::now();
        actions.iter().map(|action| self.limiter(*action).time_for(calls, now)).max().unwrap_or_default()
    }

    fn limiter(&self, action: Action) -> Arc<RateLimiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(RateLimiter::new(self.context.scaled(Duration::from_secs(1))));
        Arc::clone(limiters.entry(action).or_insert_with(new))
    }

    fn reached(&self) -> std::sync::MutexGuard<'_, BTreeSet<&'static str>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number in `0.0..1.0` that depends on the seed of the run.
    fn random(&self) -> f64 {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((self.context.seed(), drawn));
        f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests;
