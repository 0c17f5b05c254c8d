//! Renews a Lease each time a third of its lifetime has passed, until it is released. Reports if it is lost.

use super::{LockOptions, RELEASE_LIMIT, no_answer, rules};
use crate::model::lease::Lease;
use crate::world::{Answer, CallError, CallErrorKind, ReadLease, WriteLease};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// The background task of a held lock.
pub(super) struct Keeper<R, W> {
    pub(super) read: R,
    pub(super) write: W,
    pub(super) options: LockOptions,
    /// The Lease as this run last wrote it.
    pub(super) lease: Lease,
    /// The earliest time at which the API may have stored it.
    pub(super) renewed: Instant,
    pub(super) lost_sender: watch::Sender<Option<String>>,
}

enum Renewal {
    Renewed(Lease),
    /// This run no longer holds the Lease, for this reason.
    Lost(String),
    /// The Lease may or may not have been renewed.
    Unknown(CallError),
}

impl<R: ReadLease, W: WriteLease> Keeper<R, W> {
    /// Renews the lock until the run ends, and releases it.
    pub(super) async fn keep(mut self, mut released: oneshot::Receiver<Duration>) -> Answer<()> {
        let lifetime = self.options.lifetime();
        let mut next = self.renewed + lifetime / 3;
        let limit = loop {
            let expires = self.renewed + lifetime;
            let renewal = async {
                sleep_until(next.min(expires)).await;
                let sent = Instant::now();
                (sent, self.renew(expires).await)
            };
            let (sent, renewal) = tokio::select! {
                biased;
                // a dropped sender ends the loop too
                limit = &mut released => break limit,
                renewal = renewal => renewal,
            };
            match renewal {
                Renewal::Renewed(lease) => {
                    (self.lease, self.renewed) = (lease, sent);
                    next = sent + lifetime / 3;
                }
                Renewal::Lost(why) => {
                    self.lost_sender.send_replace(Some(why));
                    return Ok(());
                }
                Renewal::Unknown(error) if Instant::now() >= expires => {
                    self.lost_sender.send_replace(Some(format!("it could not be renewed in time: {error}")));
                    // the Lease may still name this run, so remove the name at the end
                    break released.await;
                }
                // tries again soon: up to four attempts fit into a third of the lifetime
                Renewal::Unknown(_) => next = Instant::now() + lifetime / 12,
            }
        };
        let limit = self.options.context.scaled(limit.unwrap_or(RELEASE_LIMIT));
        timeout(limit, self.release()).await.unwrap_or_else(|_| Err(no_answer("release Lease")))
    }

    /// Renews the Lease as it was last written. If that is refused, reads it, and renews it if it still names this run.
    async fn renew(&self, expires: Instant) -> Renewal {
        let LockOptions { lease: place, clock, identity, .. } = &self.options;
        let limit = self.options.call_limit().min(expires.saturating_duration_since(Instant::now()));
        let renew = async {
            let record = rules::renewed(&self.lease.hold, clock.now());
            if let Ok(lease) = self.write.update_lease(place, &self.lease, &record).await {
                return Renewal::Renewed(lease);
            }
            let found = match self.read.lease(place).await {
                Ok(found) => found,
                Err(error) => return Renewal::Unknown(error),
            };
            let lease = match rules::still_held(found, identity) {
                Ok(lease) => lease,
                Err(why) => return Renewal::Lost(why),
            };
            let record = rules::renewed(&lease.hold, clock.now());
            self.write.update_lease(place, &lease, &record).await.map_or_else(Renewal::Unknown, Renewal::Renewed)
        };
        timeout(limit, renew).await.unwrap_or_else(|_| Renewal::Unknown(no_answer("renew Lease")))
    }

    /// Removes this run's name. Never removes another name, because the API refuses the update if the Lease has changed
    /// since the read.
    async fn release(&mut self) -> Answer<()> {
        let LockOptions { lease: place, clock, identity, .. } = &self.options;
        loop {
            let record = rules::released(&self.lease.hold, clock.now());
            match self.write.update_lease(place, &self.lease, &record).await {
                Ok(_) => return Ok(()),
                Err(error) if matches!(error.kind, CallErrorKind::Conflict | CallErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
            match self.read.lease(place).await? {
                Some(lease) if lease.hold.holder == *identity => self.lease = lease,
                Some(_) | None => return Ok(()),
            }
        }
    }
}
