//! An in-memory implementation of the read and write traits of `world`. It logs calls, injects faults, and can change
//! objects between calls.
//!
//! It holds a `Live` in which every object is Present, whoever owns it, and answers as the real implementations do.

mod ports;

use crate::ids::Key;
use crate::model::call::Call;
use crate::model::live::{Live, LiveAccount, LiveCluster};
use crate::plan::tests::simulate;
use crate::world::{Answer, CallError, CallErrorKind, MalformedServiceAccount, Written};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Runs before each call, and may change the world.
type Hook = Box<dyn FnMut(&str, &mut Live) + Send>;

/// An injected fault.
struct Fault {
    /// The beginning of the log line of the calls that fail.
    call: String,
    kind: CallErrorKind,
    /// Whether the call takes effect and only its reply is lost.
    lost: bool,
}

/// The writes in flight.
#[derive(Default)]
struct Flight {
    /// By account or cluster: now, and the maximum so far.
    places: BTreeMap<String, (usize, usize)>,
    /// The objects that are being written.
    objects: BTreeSet<String>,
}

pub(crate) struct World {
    live: Mutex<Live>,
    log: Mutex<Vec<String>>,
    faults: Mutex<Vec<Fault>>,
    hook: Mutex<Option<Hook>>,
    flight: Mutex<Flight>,
    /// How often a call yields to the scheduler.
    pub turns: usize,
    /// How long it takes to find the credentials, before the first call.
    sign_in: Duration,
    signed_in: OnceCell<()>,
    /// How long a bulk page takes.
    page: Duration,
    /// How many ServiceAccounts are left after the first page, in every cluster.
    left: i64,
    /// Malformed ServiceAccounts, in every list.
    pub malformed: Vec<MalformedServiceAccount>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    pub(crate) fn new(live: Live) -> Self {
        Self {
            live: Mutex::new(live),
            log: Mutex::default(),
            faults: Mutex::default(),
            hook: Mutex::default(),
            flight: Mutex::default(),
            turns: 3,
            sign_in: Duration::ZERO,
            signed_in: OnceCell::new(),
            page: Duration::ZERO,
            left: 0,
            malformed: Vec::new(),
        }
    }

    pub(crate) fn with_sign_in_of(self, sign_in: Duration) -> Self {
        Self { sign_in, ..self }
    }

    pub(crate) fn with_pages_of(self, page: Duration) -> Self {
        Self { page, ..self }
    }

    pub(crate) fn with_left_to_list(self, left: i64) -> Self {
        Self { left, ..self }
    }

    /// Makes every call fail whose log line begins with `call`.
    pub(crate) fn fail(&self, call: &str, kind: CallErrorKind) {
        lock(&self.faults).push(Fault { call: call.into(), kind, lost: false });
    }

    /// Like `fail`, but the calls take effect, and only their replies are lost.
    pub(crate) fn lose(&self, call: &str) {
        lock(&self.faults).push(Fault { call: call.into(), kind: CallErrorKind::Unavailable, lost: true });
    }

    /// Removes all faults and the hook.
    pub(crate) fn heal(&self) {
        lock(&self.faults).clear();
        *lock(&self.hook) = None;
    }

    pub(crate) fn hook(&self, hook: impl FnMut(&str, &mut Live) + Send + 'static) {
        *lock(&self.hook) = Some(Box::new(hook));
    }

    pub(crate) fn live(&self) -> Live {
        lock(&self.live).clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Live)) {
        change(&mut lock(&self.live));
    }

    /// Takes the log of the calls so far.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.log))
    }

    /// The number of calls of each operation.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in lock(&self.log).iter() {
            *counts.entry(line.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        counts
    }

    /// The maximum of writes in flight in one account or cluster.
    pub(crate) fn most_at_once(&self) -> usize {
        lock(&self.flight).places.values().map(|(_, most)| *most).max().unwrap_or_default()
    }

    async fn signed_in(&self) {
        if !self.sign_in.is_zero() {
            self.signed_in.get_or_init(|| tokio::time::sleep(self.sign_in)).await;
        }
    }

    async fn take_turns(&self) {
        for _ in 0..self.turns {
            tokio::task::yield_now().await;
        }
    }

    fn fault(&self, line: &str) -> Option<(CallError, bool)> {
        let faults = lock(&self.faults);
        let fault = faults.iter().find(|fault| line.starts_with(&fault.call))?;
        let error = CallError {
            operation: line.split(' ').next().unwrap_or_default().to_owned(),
            kind: fault.kind,
            code: Some(format!("{:?}", fault.kind)),
            message: format!("told to fail: {line}"),
            request_id: Some("request-1".into()),
        };
        Some((error, fault.lost))
    }

    fn announce(&self, line: &str) {
        lock(&self.log).push(line.to_owned());
        if let Some(hook) = lock(&self.hook).as_mut() {
            hook(line, &mut lock(&self.live));
        }
    }

    async fn read<T>(&self, line: String, read: impl FnOnce(&Live) -> T) -> Answer<T> {
        self.announce(&line);
        self.signed_in().await;
        self.take_turns().await;
        match self.fault(&line) {
            Some((error, _)) => Err(error),
            None => Ok(read(&lock(&self.live))),
        }
    }

    async fn account<T>(&self, call: &str, account: &Key, read: impl FnOnce(&LiveAccount) -> T) -> Answer<T> {
        let (operation, subject) = call.split_once(' ').unwrap_or((call, ""));
        let line = format!("{operation} {account} {subject}").trim_end().to_owned();
        self.read(line, |live| read(&live.accounts[account])).await
    }

    async fn cluster_of<T>(&self, call: &str, cluster: &Key, read: impl FnOnce(&LiveCluster) -> T) -> Answer<T> {
        let (operation, subject) = call.split_once(' ').unwrap_or((call, ""));
        let line = format!("{operation} {cluster} {subject}").trim_end().to_owned();
        self.read(line, |live| read(&live.clusters[cluster])).await
    }

    async fn write_call(&self, place: &Key, object: String, call: Call) -> Answer<Written> {
        let line = format!("{} {object}", call.operation().replace(' ', ":"));
        self.announce(&line);
        {
            let mut flight = lock(&self.flight);
            assert!(flight.objects.insert(object.clone()), "{object} is written to twice at once");
            let (now, most) = flight.places.entry(place.to_string()).or_default();
            *now += 1;
            *most = (*most).max(*now);
        }
        self.take_turns().await;
        let fault = self.fault(&line);
        let answer = match &fault {
            Some((error, false)) => Err(error.clone()),
            _ => simulate::call(&mut lock(&self.live), &call).map_err(|why| refusal(&call, why)),
        };
        let mut flight = lock(&self.flight);
        flight.objects.remove(&object);
        if let Some((now, _)) = flight.places.get_mut(place.as_str()) {
            *now -= 1;
        }
        answer?;
        match fault {
            Some((error, _)) => Err(error),
            None => Ok(Written::default()),
        }
    }
}

fn refusal(call: &Call, why: String) -> CallError {
    // the real implementations do not check this: the write would have taken effect
    assert!(!why.contains("planned from"), "the plan did not re-read what it overwrites: {why}");
    let kind = match why.as_str() {
        "there is one already" => CallErrorKind::AlreadyExists,
        "DeleteConflict" => CallErrorKind::Conflict,
        text if text.starts_with("no ") || text == "gone" => CallErrorKind::NotFound,
        _ => CallErrorKind::Other,
    };
    CallError { operation: call.operation(), kind, code: None, message: why, request_id: None }
}
