//! The lock of `[lock]` for `irsa apply`: takes it before the first write, releases it at the end, and explains errors.
//! `apply::lock` implements it.

use super::Run;
use super::arguments::Apply;
use super::session::{Connected, Session};
use crate::apply::lock::{self, Clock, HeldLock, LockOptions, TakeError};
use crate::apply::wait;
use crate::error::{Error, ExitStatus};
use crate::model::desired::Lock;
use crate::model::lease::{LeaseRecord, LeaseRef};
use crate::model::live::Access;
use crate::model::refusal::{Refusal, RefusalKind};
use crate::observe;
use crate::world::{CallError, CallErrorKind};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

const NO_LOCK: &str = "`--no-lock` applies without the lock";

/// Takes the declared lock. Returns None without a declaration, or with `--no-lock`.
pub(super) async fn take(
    session: &Session<'_>,
    connected: &Connected,
    arguments: &Apply,
) -> Result<Option<HeldLock>, Error> {
    let Some(lock) = connected.desired.lock.as_ref().filter(|_| !arguments.no_lock) else { return Ok(None) };
    connect(connected, lock).await?;
    let Run { context, ui, .. } = session.run;
    let wait = arguments.lock_timeout;
    let options = LockOptions {
        lease: LeaseRef { cluster: lock.cluster.clone(), namespace: lock.namespace.clone(), name: lock.name.clone() },
        identity: context.identity(),
        seconds: lock.duration,
        wait,
        clock: Clock::new(context.now(), session.started),
        context: context.clone(),
    };
    let on_wait = |record: &LeaseRecord| {
        if !wait.is_zero() {
            ui.message(&format!("{} {}; waiting", name(lock), is_held_by(record)));
        }
    };
    let (read, write) = (connected.kubernetes.clone(), connected.kubernetes.writer());
    let taken = lock::take(read, write, options, session.signals.first.clone(), &on_wait).await;
    taken.map(Some).map_err(|error| match error {
        TakeError::Held(record) => held(lock, &record, wait),
        TakeError::Failed(error) => failed(lock, &error),
        TakeError::Interrupted(signal) => {
            Error::new(ExitStatus::Interrupted(signal), "interrupted; nothing was written")
        }
    })
}

/// Releases the lock. An error is only a warning: the plan was applied, and the lock expires.
pub(super) async fn release(session: &Session<'_>, connected: &Connected, held: HeldLock) {
    let signal = &session.signals.first;
    let is_interrupted = signal.borrow().is_some();
    let signal_and_limit = async {
        wait::until_set(signal).await;
        tokio::time::sleep(session.run.context.scaled(lock::RELEASE_LIMIT_AFTER_SIGNAL)).await;
    };
    let why = tokio::select! {
        biased;
        released = held.release(is_interrupted) => released.err().map(|error| error.to_string()),
        () = signal_and_limit => Some("the API did not answer in time".to_owned()),
    };
    if let (Some(why), Some(lock)) = (why, &connected.desired.lock) {
        let (name, seconds) = (name(lock), lock.duration);
        let text = format!("{name} could not be released: {why}; it expires within {seconds}s");
        session.run.ui.warning(&text);
    }
}

/// Connects to the cluster of the lock, which may belong to another shard.
async fn connect(connected: &Connected, lock: &Lock) -> Result<(), Error> {
    let Connected { desired, aws, kubernetes, identities } = connected;
    if kubernetes.is_verified(&lock.cluster).await {
        return Ok(());
    }
    match observe::connect_for_lock(desired, identities, aws, kubernetes, &lock.cluster).await {
        Access::Granted(()) => Ok(()),
        Access::Wrong(Refusal { why, .. }) | Access::Unknown(why) => Err(not_taken(lock, &why).hint(NO_LOCK)),
    }
}

fn name(lock: &Lock) -> String {
    format!("the lock (Lease `{}/{}` in cluster `{}`)", lock.namespace, lock.name, lock.cluster)
}

/// `is held by … since … until …`
fn is_held_by(record: &LeaseRecord) -> String {
    let since = record.acquired.and_then(|micros| time(micros, 0));
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    let until = match record.seconds {
        None => ", without an expiry".to_owned(),
        Some(seconds) => match record.renewed.and_then(|micros| time(micros, seconds)) {
            Some(end) => format!(" until {end}, unless it is renewed"),
            None => format!(", {seconds}s at a time"),
        },
    };
    format!("is held by `{}`{since}{until}", record.holder)
}

/// `seconds` after a time in microseconds since 1970, without the fraction of a second.
fn time(micros: i64, seconds: u32) -> Option<Timestamp> {
    let time = Timestamp::from_microsecond(micros).ok()?.checked_add(SignedDuration::from_secs(seconds.into()));
    Timestamp::from_second(time.ok()?.as_second()).ok()
}

fn held(lock: &Lock, record: &LeaseRecord, waited: Duration) -> Error {
    let message = format!("{} {}; nothing was written", name(lock), is_held_by(record));
    let hint = match record.seconds {
        None => "somebody set it by hand: ask them, or remove the holder from the Lease".to_owned(),
        Some(seconds) if waited < Duration::from_secs(seconds.into()) => format!(
            "wait for it with `--lock-timeout 5m`; the lock of a run that no longer exists expires {seconds}s after its last \
             renewal"
        ),
        Some(_) => "wait longer with `--lock-timeout`: its holder still renews it".to_owned(),
    };
    Error::refused(RefusalKind::Locked, message).hint(hint).hint(NO_LOCK)
}

fn failed(lock: &Lock, error: &CallError) -> Error {
    let Lock { namespace, cluster, .. } = lock;
    let hint = match error.kind {
        CallErrorKind::Denied => Some(format!(
            "give these credentials the verbs `get`, `create` and `update` on `leases` of the API group `coordination.k8s.io` in \
             namespace `{namespace}` of cluster `{cluster}`: docs/permissions.md has the Role"
        )),
        CallErrorKind::NotFound => Some(format!("create namespace `{namespace}` in cluster `{cluster}` first")),
        CallErrorKind::Credentials => Some("sign in again".to_owned()),
        _ => None,
    };
    hint.into_iter().fold(not_taken(lock, error), Error::hint).hint(NO_LOCK)
}

fn not_taken(lock: &Lock, why: &dyn std::fmt::Display) -> Error {
    Error::failure(format!("{} could not be taken: {why}; nothing was written", name(lock)))
}

#[cfg(test)]
mod tests;
