//! Keeps a Lease: renews it at a third of its time until it is to be released, and tells when it is lost.

use super::{LockOptions, RELEASE, judge, silence};
use crate::model::lease::Lease;
use crate::world::{Answer, CallError, CallErrorKind, ReadLease, WriteLease};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// One who keeps a Lease.
pub(super) struct Keeper<R, W> {
    pub(super) read: R,
    pub(super) write: W,
    pub(super) terms: LockOptions,
    /// As it was last written.
    pub(super) lease: Lease,
    /// When it was last written, or earlier.
    pub(super) sent: Instant,
    pub(super) lose: watch::Sender<Option<String>>,
}

/// What came of a renewal.
enum Renewal {
    Renewed(Lease),
    /// It is no longer this run's, for this reason.
    Gone(String),
    /// It may or may not have been renewed.
    Unsure(CallError),
}

impl<R: ReadLease, W: WriteLease> Keeper<R, W> {
    /// Renews until `ended`, and releases.
    pub(super) async fn keep(mut self, mut ended: oneshot::Receiver<Duration>) -> Answer<()> {
        let life = self.terms.life();
        let mut next = self.sent + life / 3;
        let limit = loop {
            let over = self.sent + life;
            let due = async {
                sleep_until(next.min(over)).await;
                let sent = Instant::now();
                (sent, self.renew(over).await)
            };
            let (sent, renewal) = tokio::select! {
                biased;
                // a closed channel is an end like any other
                limit = &mut ended => break limit,
                done = due => done,
            };
            match renewal {
                Renewal::Renewed(lease) => {
                    (self.lease, self.sent) = (lease, sent);
                    next = sent + life / 3;
                }
                Renewal::Gone(why) => {
                    self.lose.send_replace(Some(why));
                    return Ok(());
                }
                Renewal::Unsure(error) if Instant::now() >= over => {
                    self.lose.send_replace(Some(format!("it could not be renewed in time: {error}")));
                    // our name may still stand there, and may be taken out once the run is over
                    break ended.await;
                }
                // four tries in the time until the next one would have been due
                Renewal::Unsure(_) => next = Instant::now() + life / 12,
            }
        };
        let limit = self.terms.context.scaled(limit.unwrap_or(RELEASE));
        timeout(limit, self.release()).await.unwrap_or_else(|_| Err(silence("release Lease")))
    }

    /// Renews it by what was last written; if that is refused, by what is there.
    async fn renew(&self, over: Instant) -> Renewal {
        let LockOptions { place, clock, us, .. } = &self.terms;
        let limit = self.terms.call().min(over.saturating_duration_since(Instant::now()));
        let work = async {
            let hold = judge::renewed(&self.lease.hold, clock.now());
            if let Ok(lease) = self.write.update_lease(place, &self.lease, &hold).await {
                return Renewal::Renewed(lease);
            }
            let found = match self.read.lease(place).await {
                Ok(found) => found,
                Err(error) => return Renewal::Unsure(error),
            };
            if let Some(why) = judge::loss(found.as_ref().map(|lease| &lease.hold), us) {
                return Renewal::Gone(why);
            }
            let Some(lease) = found else { return Renewal::Unsure(silence("renew Lease")) };
            let hold = judge::renewed(&lease.hold, clock.now());
            match self.write.update_lease(place, &lease, &hold).await {
                Ok(lease) => Renewal::Renewed(lease),
                Err(error) => Renewal::Unsure(error),
            }
        };
        timeout(limit, work).await.unwrap_or_else(|_| Renewal::Unsure(silence("renew Lease")))
    }

    /// Takes our name out, and nobody else's: the write is refused unless the Lease is as it was read.
    async fn release(&mut self) -> Answer<()> {
        let LockOptions { place, clock, us, .. } = &self.terms;
        loop {
            let hold = judge::released(&self.lease.hold, clock.now());
            match self.write.update_lease(place, &self.lease, &hold).await {
                Ok(_) => return Ok(()),
                Err(error) if matches!(error.kind, CallErrorKind::Conflict | CallErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
            match self.read.lease(place).await? {
                Some(lease) if lease.hold.holder == *us => self.lease = lease,
                Some(_) | None => return Ok(()),
            }
        }
    }
}
