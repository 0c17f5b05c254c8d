//! The lock of `[lock]`, for `apply` alone: takes it before the first write, gives it back at the end, and says what is
//! in the way. How a Lease is taken and kept is for `apply::lock`.

use super::arguments::Apply;
use super::session::{Connected, Session};
use crate::apply::wait;
use crate::apply::lock::{self, Clock, Held, LockOptions, Refusal};
use crate::error::{Error, ExitStatus};
use crate::model::desired::Lock;
use crate::model::lease::{LeaseRecord, LeaseRef};
use crate::model::live::Access;
use crate::observe;
use crate::world::{CallError, CallErrorKind};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// Takes the declared lock; nothing if there is none, or it is not wanted. `started` is when the run began.
pub(super) async fn take(
    session: &Session<'_>,
    connected: &Connected,
    arguments: &Apply,
    started: Instant,
) -> Result<Option<Held>, Error> {
    let Some(lock) = connected.desired.lock.as_ref().filter(|_| !arguments.no_lock) else { return Ok(None) };
    reach(connected, lock).await?;
    let terms = LockOptions {
        place: place(lock),
        us: session.context.identity(),
        seconds: lock.duration,
        patience: arguments.lock_timeout,
        clock: Clock::new(session.context.now(), started),
        context: session.context.clone(),
    };
    let waiting = arguments.lock_timeout;
    let (ui, what) = (session.ui, name(lock));
    let told = |hold: &LeaseRecord| {
        if !waiting.is_zero() {
            ui.message(&format!("{what} {}; waiting", holder(hold)));
        }
    };
    let (read, write) = (connected.kubernetes.clone(), connected.kubernetes.writer());
    let taken = lock::take(read, write, terms, session.signals.first.clone(), &told).await;
    taken.map(Some).map_err(|refusal| match refusal {
        Refusal::Held(hold) => held(lock, &hold, waiting),
        Refusal::Failed(error) => failed(lock, &error),
        Refusal::Interrupted(signal) => Error::new(ExitStatus::Interrupted(signal), "interrupted; nothing was written"),
    })
}

/// Gives the lock back. That it could not be given back is no failure of what was applied.
pub(super) async fn release(session: &Session<'_>, connected: &Connected, held: Held) {
    let is_interrupted = session.signals.first.borrow().is_some();
    let hurried = async {
        wait::until_set(&session.signals.first).await;
        tokio::time::sleep(session.context.scaled(lock::PARTING)).await;
    };
    let why = tokio::select! {
        biased;
        released = held.release(is_interrupted) => released.err().map(|error| error.to_string()),
        () = hurried => Some("the API did not answer in time".to_owned()),
    };
    let (Some(why), Some(lock)) = (why, &connected.desired.lock) else { return };
    let what = name(lock);
    session.ui.warning(&format!("{what} could not be given back: {why}; it ends by itself within {}s", lock.duration));
}

/// A shard talks to the clusters of others for the lock alone.
async fn reach(connected: &Connected, lock: &Lock) -> Result<(), Error> {
    let Connected { desired, aws, kubernetes, identities } = connected;
    if kubernetes.is_ready(&lock.cluster).await {
        return Ok(());
    }
    let why = match observe::reach(desired, identities, aws, kubernetes, &lock.cluster).await {
        Access::Granted(()) => return Ok(()),
        Access::Wrong(why, _) | Access::Unknown(why) => why,
    };
    let message = format!("{} could not be taken: {why}; nothing was written", name(lock));
    Err(Error::failure(message).hint("`--no-lock` applies without the lock"))
}

fn place(lock: &Lock) -> LeaseRef {
    LeaseRef { cluster: lock.cluster.clone(), namespace: lock.namespace.clone(), name: lock.name.clone() }
}

fn name(lock: &Lock) -> String {
    format!("the lock (Lease `{}/{}` in cluster `{}`)", lock.namespace, lock.name, lock.cluster)
}

/// `is held by … since … until …`
fn holder(hold: &LeaseRecord) -> String {
    let since = hold.acquired.and_then(time).map(|since| format!(" since {since}")).unwrap_or_default();
    let until = match (hold.seconds, end(hold)) {
        (None, _) => ", without an end".to_owned(),
        (Some(_), Some(end)) => format!(" until {end}, unless it is renewed"),
        (Some(seconds), None) => format!(", {seconds}s at a time"),
    };
    format!("is held by `{}`{since}{until}", hold.holder)
}

fn end(hold: &LeaseRecord) -> Option<Timestamp> {
    let life = SignedDuration::from_secs(hold.seconds?.into());
    Timestamp::from_microsecond(hold.renewed?).ok()?.checked_add(life).ok().and_then(whole)
}

fn time(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros).ok().and_then(whole)
}

/// To the second.
fn whole(time: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(time.as_second()).ok()
}

fn held(lock: &Lock, hold: &LeaseRecord, waited: Duration) -> Error {
    let what = name(lock);
    let error = Error::new(ExitStatus::Refused, format!("{what} {}; nothing was written", holder(hold)));
    let error = match hold.seconds {
        None => error.hint("someone has set it by hand: ask them, or take their name out of the Lease"),
        Some(seconds) if waited < Duration::from_secs(seconds.into()) => error.hint(format!(
            "wait for it with `--lock-timeout 5m`; a holder that is no more has lost it {seconds}s after it was last seen to \
             renew it"
        )),
        Some(_) => error.hint("wait longer with `--lock-timeout`: its holder still renews it"),
    };
    error.hint("`--no-lock` applies without the lock")
}

fn failed(lock: &Lock, error: &CallError) -> Error {
    let Lock { namespace, cluster, .. } = lock;
    let what = name(lock);
    let advice = match error.kind {
        CallErrorKind::Denied => Some(format!(
            "allow these credentials `get`, `create` and `update` on `leases` of the API group `coordination.k8s.io` in \
             namespace `{namespace}` of cluster `{cluster}`: docs/permissions.md has the Role"
        )),
        CallErrorKind::NotFound => Some(format!("make namespace `{namespace}` in cluster `{cluster}` first")),
        CallErrorKind::Credentials => Some("sign in again".to_owned()),
        _ => None,
    };
    let message = format!("{what} could not be taken: {error}; nothing was written");
    let error = Error::failure(message);
    let error = advice.into_iter().fold(error, Error::hint);
    error.hint("`--no-lock` applies without the lock")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::origin::Origin;

    fn lock() -> Lock {
        Lock {
            cluster: "main".parse().unwrap(),
            namespace: "kube-system".parse().unwrap(),
            name: "irsa-me".parse().unwrap(),
            duration: 60,
            origin: Origin { file: "irsa.toml".into(), line: 1, column: 1, span: 0..0 },
        }
    }

    fn hold() -> LeaseRecord {
        let acquired = Some(1_767_323_045_600_006);
        let renewed = acquired.map(|time| time + 20_000_000);
        LeaseRecord { holder: "host/1/a".into(), seconds: Some(60), acquired, renewed, transitions: 0 }
    }

    #[test]
    fn a_holder_is_named_with_its_times_and_what_to_do() {
        let error = held(&lock(), &hold(), Duration::ZERO);
        assert_eq!(error.status, ExitStatus::Refused);
        assert_eq!(
            error.message,
            "the lock (Lease `kube-system/irsa-me` in cluster `main`) is held by `host/1/a` since 2026-01-02T03:04:05Z \
             until 2026-01-02T03:05:25Z, unless it is renewed; nothing was written"
        );
        assert!(error.hints[0].contains("--lock-timeout 5m") && error.hints[1].contains("--no-lock"), "{error:?}");
        let longer = held(&lock(), &hold(), Duration::from_mins(5));
        assert!(longer.hints[0].contains("still renews it"), "{longer:?}");
        let endless = held(&lock(), &LeaseRecord { seconds: None, ..hold() }, Duration::ZERO);
        assert!(endless.message.contains("since 2026-01-02T03:04:05Z, without an end"), "{endless:?}");
        assert!(endless.hints[0].contains("by hand"), "{endless:?}");
        let timeless = held(&lock(), &LeaseRecord { acquired: None, renewed: None, ..hold() }, Duration::ZERO);
        assert!(timeless.message.contains("held by `host/1/a`, 60s at a time"), "{timeless:?}");
    }

    #[test]
    fn a_denied_lease_names_the_rule_to_add() {
        let error = |kind| CallError {
            operation: "create Lease".into(),
            kind,
            code: Some("Forbidden".into()),
            message: "no".into(),
            request_id: None,
        };
        let denied = failed(&lock(), &error(CallErrorKind::Denied));
        assert_eq!(denied.status, ExitStatus::Failure);
        assert!(denied.message.contains("create Lease: Forbidden: no"), "{denied:?}");
        assert!(denied.hints[0].contains("`get`, `create` and `update` on `leases`"), "{denied:?}");
        assert!(denied.hints[0].contains("namespace `kube-system` of cluster `main`"), "{denied:?}");
        let homeless = failed(&lock(), &error(CallErrorKind::NotFound));
        assert!(homeless.hints[0].contains("make namespace `kube-system`"), "{homeless:?}");
        // a policy's text says what it wants
        assert_eq!(failed(&lock(), &error(CallErrorKind::Rejected)).hints, ["`--no-lock` applies without the lock"]);
        assert_eq!(failed(&lock(), &error(CallErrorKind::Other)).hints, ["`--no-lock` applies without the lock"]);
    }
}
