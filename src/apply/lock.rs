//! One run at a time: the Lease that a run takes before its first write, renews while it writes, and gives back.
//!
//! Made after client-go's leader election, so that tools which show or watch Leases understand it
//! (<https://pkg.go.dev/k8s.io/client-go/tools/leaderelection>). Nothing is safe only because of it: every look before a
//! write is taken all the same, since a holder that is cut off learns late that it has lost.

mod judge;
mod keep;

use super::wait;
use super::report::Interrupt;
use crate::context::Context;
use crate::model::lease::{Lease, LeaseRecord, LeaseRef};
use crate::world::{Answer, CallError, CallErrorKind, ReadLease, WriteLease};
use judge::{Observation, Standing, standing};
use keep::Keeper;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often a Lease that another holds is looked at: as often as client-go does.
const EVERY: Duration = Duration::from_secs(2);
/// How long giving it back may take: it ends by itself, too.
const RELEASE: Duration = Duration::from_secs(10);
/// The same behind a signal: together with the writes in flight it must be over before runners of CI kill the run.
pub const PARTING: Duration = Duration::from_secs(2);
/// How often in a row others may be quicker, without being seen to hold it, before that is an error.
const RACES: u32 = 10;

/// What the lock is, and who wants it.
#[derive(Debug, Clone)]
pub struct LockOptions {
    /// The Lease.
    pub place: LeaseRef,
    /// The name of this run: no other one's.
    pub us: String,
    /// For how many seconds it is to hold without being renewed.
    pub seconds: u32,
    /// How long to wait for another holder.
    pub patience: Duration,
    /// The time of day.
    pub clock: Clock,
    /// Divides all durations in tests.
    pub context: Context,
}

/// The time of day in microseconds since 1970, from the beginning of the run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    then: i64,
    since: Instant,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum Refusal {
    /// Someone else holds it.
    Held(LeaseRecord),
    /// It could not be read or written.
    Failed(CallError),
    /// A signal came.
    Interrupted(Interrupt),
}

/// The lock, held: renewed in the background until it is released or lost.
#[derive(Debug)]
pub struct Held {
    /// Why it was lost, once it is.
    pub lost: watch::Receiver<Option<String>>,
    /// Whether another run may have held it since this one began, so that what was planned may have changed.
    pub overtaken: bool,
    end: oneshot::Sender<Duration>,
    keeper: JoinHandle<Answer<()>>,
}

impl Clock {
    /// A clock that showed so many seconds since 1970 at that moment, when the run began.
    pub fn new(seconds: i64, since: Instant) -> Self {
        Self { then: seconds.saturating_mul(1_000_000), since }
    }

    /// Whether a hold was written since the clock was set, as far as clocks agree.
    fn saw(self, hold: &LeaseRecord) -> bool {
        let skew = i64::try_from(judge::SKEW.as_micros()).unwrap_or(i64::MAX);
        hold.renewed.is_some_and(|renewed| renewed.saturating_add(skew) >= self.then)
    }

    fn now(self) -> i64 {
        self.then.saturating_add(i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

impl LockOptions {
    fn life(&self) -> Duration {
        self.context.scaled(Duration::from_secs(self.seconds.into()))
    }

    /// The longest that one call may take: no longer than the time until the next is due.
    fn call(&self) -> Duration {
        self.life() / 3
    }

    /// What the Lease says once this run has it.
    fn taken(&self, before: Option<&LeaseRecord>) -> LeaseRecord {
        judge::taken(before, &self.us, self.seconds, self.clock.now())
    }
}

/// Takes the lock, or says why not. `stop` is heard while nothing is being written; `told` hears of each other holder
/// that is waited for.
///
/// # Errors
/// The other holder, the call that failed, or the signal.
pub async fn take<R, W>(
    read: R,
    write: W,
    terms: LockOptions,
    stop: watch::Receiver<Option<Interrupt>>,
    told: &(dyn Fn(&LeaseRecord) + Send + Sync),
) -> Result<Held, Refusal>
where
    R: ReadLease + 'static,
    W: WriteLease + 'static,
{
    let mut taker = Taker { read: &read, write: &write, terms: &terms, stop, sight: Observation::default(), races: 0 };
    let (lease, sent, overtaken) = taker.take(told).await?;
    let ((end, ended), (teller, lost)) = (oneshot::channel(), watch::channel(None));
    let keeper = Keeper { read, write, terms, lease, sent, lose: teller };
    Ok(Held { lost, overtaken, end, keeper: tokio::spawn(keeper.keep(ended)) })
}

impl Held {
    /// Gives the lock back, if it still is this run's, in the usual time or, behind a signal, in less.
    ///
    /// # Errors
    /// The call that failed: the lock ends by itself then.
    pub async fn release(self, is_interrupted: bool) -> Answer<()> {
        // a keeper that has lost it no longer listens
        let _ = self.end.send(if is_interrupted { PARTING } else { RELEASE });
        self.keeper.await.unwrap_or_else(|error| {
            Err(CallError {
                operation: "release Lease".to_owned(),
                kind: CallErrorKind::Other,
                code: None,
                message: error.to_string(),
                request_id: None,
            })
        })
    }
}

/// One who wants the lock.
struct Taker<'a, R, W> {
    read: &'a R,
    write: &'a W,
    terms: &'a LockOptions,
    stop: watch::Receiver<Option<Interrupt>>,
    sight: Observation,
    /// How often in a row a write was not the first.
    races: u32,
}

impl<R: ReadLease, W: WriteLease> Taker<'_, R, W> {
    /// The Lease as this run's, when it was last written at the latest, and whether another one may have held it since
    /// this one began.
    async fn take(&mut self, told: &(dyn Fn(&LeaseRecord) + Send + Sync)) -> Result<(Lease, Instant, bool), Refusal> {
        let end = Instant::now() + self.terms.context.scaled(self.terms.patience);
        let (mut waiting, mut overtaken): (Option<String>, bool) = (None, false);
        // when our name was first sent: the lost answer of an early try counts from there
        let mut sent: Option<Instant> = None;
        loop {
            let found = match self.until_stopped(self.read.lease(&self.terms.place)).await {
                Ok(answer) => answer.map_err(Refusal::Failed)?,
                Err(signal) => return Err(Refusal::Interrupted(signal)),
            };
            let now = Instant::now();
            match found.as_ref().map_or(Standing::Free, |lease| self.judge(lease, now)) {
                Standing::Free => {
                    let sent = *sent.get_or_insert(now);
                    overtaken |= found.as_ref().is_some_and(|lease| self.terms.clock.saw(&lease.hold));
                    if let Some(lease) = self.claim(found.as_ref()).await? {
                        return Ok((lease, sent, overtaken));
                    }
                }
                Standing::Ours => {
                    if let Some(lease) = found {
                        return Ok((lease, sent.unwrap_or(now), overtaken));
                    }
                }
                Standing::Held => {
                    let hold = found.map(|lease| lease.hold).unwrap_or_default();
                    if now >= end {
                        return Err(Refusal::Held(hold));
                    }
                    (self.races, sent, overtaken) = (0, None, true);
                    if waiting.as_ref() != Some(&hold.holder) {
                        told(&hold);
                        waiting = Some(hold.holder);
                    }
                    let next = end.min(now + self.terms.context.scaled(EVERY));
                    self.until_stopped(sleep_until(next)).await.map_err(Refusal::Interrupted)?;
                }
            }
        }
    }

    fn judge(&mut self, lease: &Lease, now: Instant) -> Standing {
        let still = self.sight.still(&lease.hold, now);
        standing(&lease.hold, &self.terms.us, still, self.terms.clock.now(), &self.terms.context)
    }

    /// Writes our name. Nothing, if it is not sure to stand there now: then to be looked at again.
    async fn claim(&mut self, found: Option<&Lease>) -> Result<Option<Lease>, Refusal> {
        let LockOptions { place, .. } = self.terms;
        let hold = self.terms.taken(found.map(|lease| &lease.hold));
        let written = async {
            match found {
                Some(lease) => self.write.update_lease(place, lease, &hold).await,
                None => self.write.create_lease(place, &hold).await,
            }
        };
        let written = tokio::select! {
            biased;
            written = timeout(self.terms.call(), written) => written,
            signal = self.parted() => {
                self.give_back().await;
                return Err(Refusal::Interrupted(signal));
            }
        };
        let error = match written {
            Ok(Ok(lease)) => return Ok(Some(lease)),
            Ok(Err(error)) => error,
            Err(_) => silence("take Lease"),
        };
        self.races += 1;
        let unsure = match error.kind {
            // someone was quicker, or our own answer was lost
            CallErrorKind::Conflict | CallErrorKind::AlreadyExists => self.races < RACES,
            // deleted in between; where the namespace is missing, creating says so
            CallErrorKind::NotFound => found.is_some() && self.races < RACES,
            CallErrorKind::Unavailable => self.races < 2,
            _ => false,
        };
        if unsure { Ok(None) } else { Err(Refusal::Failed(error)) }
    }

    /// Comes back when a write that was under way at a signal has had its time.
    async fn parted(&self) -> Interrupt {
        let signal = wait::until_set(&self.stop).await;
        sleep(self.terms.context.scaled(PARTING)).await;
        signal
    }

    /// Takes our name out, should it stand there.
    async fn give_back(&self) {
        let LockOptions { place, us, clock, .. } = self.terms;
        let back = async {
            let lease = self.read.lease(place).await.ok().flatten().filter(|lease| lease.hold.holder == *us)?;
            self.write.update_lease(place, &lease, &judge::released(&lease.hold, clock.now())).await.ok()
        };
        // what cannot be given back ends by itself
        let _ = timeout(self.terms.context.scaled(PARTING), back).await;
    }

    /// Only what writes nothing may be given up.
    async fn until_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Interrupt> {
        tokio::select! {
            biased;
            signal = wait::until_set(&self.stop) => Err(signal),
            done = work => Ok(done),
        }
    }
}

/// A call that did not end in its time.
fn silence(operation: &str) -> CallError {
    CallError {
        operation: operation.to_owned(),
        kind: CallErrorKind::Unavailable,
        code: None,
        message: "the API did not answer in time".to_owned(),
        request_id: None,
    }
}

#[cfg(test)]
mod tests;
