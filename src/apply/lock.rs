//! The lock of `[lock]`: a Lease that a run takes before its first write, renews while it writes, and releases.
//!
//! It follows client-go's leader election, so that tools which show or watch Leases understand it
//! (<https://pkg.go.dev/k8s.io/client-go/tools/leaderelection>). Safety does not depend on the lock, because a run that
//! loses its connection learns late that it has lost the lock. So irsa re-reads each object before a write all the
//! same.

mod keeper;
mod rules;

use super::report::Interrupt;
use super::wait;
use crate::context::Context;
use crate::model::lease::{Lease, LeaseRecord, LeaseRef};
use crate::world::{Answer, CallError, CallErrorKind, ReadLease, WriteLease};
use keeper::Keeper;
use rules::{LeaseState, Observation};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often to read a Lease that another run holds. The same as in client-go.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// Time limit of a release. A lock that is not released expires.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);
/// Time limit of a release after a signal: the writes in flight and the release must end before a CI runner kills the
/// run.
pub const RELEASE_LIMIT_AFTER_SIGNAL: Duration = Duration::from_secs(2);
/// irsa gives up after this many lost races in a row. If it sees another holder, the count starts again. It gives up
/// earlier if a second write has no answer, and at once after any other error.
const MAX_RACES: u32 = 10;

/// Which Lease to take, and how.
#[derive(Debug, Clone)]
pub struct LockOptions {
    /// The Lease.
    pub lease: LeaseRef,
    /// The unique name of this run.
    pub identity: String,
    /// After how many seconds without a renewal the lock expires.
    pub seconds: u32,
    /// How long to wait for another holder.
    pub wait: Duration,
    /// The time of day.
    pub clock: Clock,
    /// Scales all durations in tests.
    pub context: Context,
}

/// A clock that gives microseconds since 1970. It adds the time since the run started to the time of day at the start,
/// so it never goes back.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    at_start: i64,
    start: Instant,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum TakeError {
    /// Another run holds it.
    Held(LeaseRecord),
    /// The Lease could not be read or written.
    Failed(CallError),
    /// A signal came.
    Interrupted(Interrupt),
}

/// The lock, renewed in the background until it is released or lost.
#[derive(Debug)]
pub struct HeldLock {
    /// Why it was lost; None while it is held.
    pub lost: watch::Receiver<Option<String>>,
    /// Whether another run may have held it since this run started. If so, the plan may be stale.
    pub overtaken: bool,
    release: oneshot::Sender<Duration>,
    keeper: JoinHandle<Answer<()>>,
}

impl Clock {
    /// A clock that showed `seconds` since 1970 at `start`.
    pub fn new(seconds: i64, start: Instant) -> Self {
        Self { at_start: seconds.saturating_mul(1_000_000), start }
    }

    /// Whether a record was written after the start, allowing for the skew between two clocks.
    fn is_after_start(self, record: &LeaseRecord) -> bool {
        record.renewed.is_some_and(|renewed| renewed.saturating_add(rules::micros(rules::MAX_SKEW)) >= self.at_start)
    }

    fn now(self) -> i64 {
        self.at_start.saturating_add(rules::micros(self.start.elapsed()))
    }
}

impl LockOptions {
    /// How long the lock is held without a renewal.
    fn lifetime(&self) -> Duration {
        self.context.scaled(Duration::from_secs(self.seconds.into()))
    }

    /// Time limit of one call: until the next renewal is due.
    fn call_limit(&self) -> Duration {
        self.lifetime() / 3
    }
}

/// Takes the lock. `stop` ends the wait for another holder; a write that is in flight then has a short time to end.
/// `on_wait` is called once for each other holder that the run waits for.
///
/// # Errors
/// The other holder, the call that failed, or the signal.
pub async fn take<R, W>(
    read: R,
    write: W,
    options: LockOptions,
    stop: watch::Receiver<Option<Interrupt>>,
    on_wait: &(dyn Fn(&LeaseRecord) + Send + Sync),
) -> Result<HeldLock, TakeError>
where
    R: ReadLease + 'static,
    W: WriteLease + 'static,
{
    let observed = Observation::default();
    let mut taker = Taker { read: &read, write: &write, options: &options, stop, observed, races: 0 };
    let (lease, renewed, overtaken) = taker.take(on_wait).await?;
    let ((release, released), (lost_sender, lost)) = (oneshot::channel(), watch::channel(None));
    let keeper = Keeper { read, write, options, lease, renewed, lost_sender };
    Ok(HeldLock { lost, overtaken, release, keeper: tokio::spawn(keeper.keep(released)) })
}

impl HeldLock {
    /// Releases the lock, if this run still holds it.
    ///
    /// # Errors
    /// The call that failed. The lock expires then.
    pub async fn release(self, is_interrupted: bool) -> Answer<()> {
        // a keeper that has lost the lock no longer listens
        let _ = self.release.send(if is_interrupted { RELEASE_LIMIT_AFTER_SIGNAL } else { RELEASE_LIMIT });
        let ended = self.keeper.await;
        ended.unwrap_or_else(|panic| Err(error("release Lease", CallErrorKind::Other, panic.to_string())))
    }
}

/// The state of a run that tries to take the lock.
struct Taker<'a, R, W> {
    read: &'a R,
    write: &'a W,
    options: &'a LockOptions,
    stop: watch::Receiver<Option<Interrupt>>,
    observed: Observation,
    /// How many writes in a row failed: another run was faster, or no answer came.
    races: u32,
}

impl<R: ReadLease, W: WriteLease> Taker<'_, R, W> {
    /// Returns the Lease that names this run, the earliest time at which it may have been written, and whether another
    /// run may have held it since this one started.
    async fn take(
        &mut self,
        on_wait: &(dyn Fn(&LeaseRecord) + Send + Sync),
    ) -> Result<(Lease, Instant, bool), TakeError> {
        let LockOptions { lease, identity, wait, clock, context, .. } = self.options;
        let end = Instant::now() + context.scaled(*wait);
        let (mut waiting_for, mut overtaken): (Option<String>, bool) = (None, false);
        // when this run first sent its name. That attempt may have succeeded although its reply was lost
        let mut sent: Option<Instant> = None;
        loop {
            let found = self.until_stopped(self.read.lease(lease)).await?.map_err(TakeError::Failed)?;
            let now = Instant::now();
            let state = found.as_ref().map_or(LeaseState::Free, |found| {
                let unchanged_for = self.observed.unchanged_for(&found.hold, now);
                rules::state(&found.hold, identity, unchanged_for, clock.now(), context)
            });
            match (state, found) {
                (LeaseState::Ours, Some(found)) => return Ok((found, sent.unwrap_or(now), overtaken)),
                (LeaseState::Held, Some(found)) => {
                    let record = found.hold;
                    if now >= end {
                        return Err(TakeError::Held(record));
                    }
                    (self.races, sent, overtaken) = (0, None, true);
                    if waiting_for.as_ref() != Some(&record.holder) {
                        on_wait(&record);
                        waiting_for = Some(record.holder);
                    }
                    self.until_stopped(sleep_until(end.min(now + context.scaled(RETRY_PERIOD)))).await?;
                }
                (_, found) => {
                    let sent = *sent.get_or_insert(now);
                    overtaken |= found.as_ref().is_some_and(|found| clock.is_after_start(&found.hold));
                    if let Some(written) = self.write(found.as_ref()).await? {
                        return Ok((written, sent, overtaken));
                    }
                }
            }
        }
    }

    /// Writes this run's name into a free Lease. Returns None if the Lease must be read again to know who holds it.
    async fn write(&mut self, found: Option<&Lease>) -> Result<Option<Lease>, TakeError> {
        let LockOptions { lease, identity, seconds, clock, .. } = self.options;
        let record = rules::taken(found.map(|found| &found.hold), identity, *seconds, clock.now());
        let write = async {
            match found {
                Some(found) => self.write.update_lease(lease, found, &record).await,
                None => self.write.create_lease(lease, &record).await,
            }
        };
        let written = tokio::select! {
            biased;
            written = timeout(self.options.call_limit(), write) => written,
            signal = self.until_abandoned() => {
                self.give_back().await;
                return Err(TakeError::Interrupted(signal));
            }
        };
        let error = match written {
            Ok(Ok(lease)) => return Ok(Some(lease)),
            Ok(Err(error)) => error,
            Err(_) => no_answer("take Lease"),
        };
        self.races += 1;
        let read_again = match error.kind {
            // another run was faster, or the reply to this run's own write was lost
            CallErrorKind::Conflict | CallErrorKind::AlreadyExists => self.races < MAX_RACES,
            // deleted since the read; a create fails like this if the namespace is missing
            CallErrorKind::NotFound => found.is_some() && self.races < MAX_RACES,
            CallErrorKind::Unavailable => self.races < 2,
            _ => false,
        };
        if read_again { Ok(None) } else { Err(TakeError::Failed(error)) }
    }

    /// Waits for a signal, and then for the time that a write in flight may still take.
    async fn until_abandoned(&self) -> Interrupt {
        let signal = wait::until_set(&self.stop).await;
        sleep(self.options.context.scaled(RELEASE_LIMIT_AFTER_SIGNAL)).await;
        signal
    }

    /// Removes this run's name if the abandoned write has put it there. If that fails, the lock expires.
    async fn give_back(&self) {
        let LockOptions { lease, identity, clock, context, .. } = self.options;
        let release = async {
            let found = self.read.lease(lease).await.ok().flatten().filter(|found| found.hold.holder == *identity)?;
            self.write.update_lease(lease, &found, &rules::released(&found.hold, clock.now())).await.ok()
        };
        let _ = timeout(context.scaled(RELEASE_LIMIT_AFTER_SIGNAL), release).await;
    }

    /// Awaits work that writes nothing, and drops it when a signal comes.
    async fn until_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, TakeError> {
        tokio::select! {
            biased;
            signal = wait::until_set(&self.stop) => Err(TakeError::Interrupted(signal)),
            done = work => Ok(done),
        }
    }
}

fn no_answer(operation: &str) -> CallError {
    error(operation, CallErrorKind::Unavailable, "the API did not answer in time".to_owned())
}

fn error(operation: &str, kind: CallErrorKind, message: String) -> CallError {
    CallError { operation: operation.to_owned(), kind, code: None, message, request_id: None }
}

#[cfg(test)]
mod tests;
