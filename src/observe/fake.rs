//! A world in memory behind the ports: it counts calls, fails where it is told to, and lets others write in between.
//!
//! What it has is a `Live` in which everything is Present, whoever owns it; what is asked of it comes back as the real
//! ports would give it.

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

/// Someone who sees every call right before it is carried out, and may change the world first.
type Hook = Box<dyn FnMut(&str, &mut Live) + Send>;

/// A call that is to fail.
struct Fault {
    /// The beginning of its line in the log.
    call: String,
    kind: CallErrorKind,
    /// Whether it is carried out before its answer is lost.
    lost: bool,
}

/// How many writes are under way.
#[derive(Default)]
struct Flight {
    /// By account or cluster: now, and at most.
    places: BTreeMap<String, (usize, usize)>,
    /// The objects that are being written to.
    objects: BTreeSet<String>,
}

/// The world.
pub(crate) struct World {
    live: Mutex<Live>,
    log: Mutex<Vec<String>>,
    faults: Mutex<Vec<Fault>>,
    hook: Mutex<Option<Hook>>,
    flight: Mutex<Flight>,
    /// How many turns of the scheduler a call takes.
    pub turns: usize,
    /// How long it takes to find the credentials; the first call waits for them if nobody has.
    sign_in: Duration,
    signed_in: OnceCell<()>,
    /// How long a page in bulk takes.
    page: Duration,
    /// How many ServiceAccounts every cluster says are left after the first page.
    left: i64,
    /// The ServiceAccounts that every list has in a form that is not understood.
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

    /// It takes so long to find the credentials.
    pub(crate) fn with_sign_in_of(self, sign_in: Duration) -> Self {
        Self { sign_in, ..self }
    }

    /// A page in bulk takes so long.
    pub(crate) fn with_pages_of(self, page: Duration) -> Self {
        Self { page, ..self }
    }

    /// Every cluster says that so many ServiceAccounts are left after the first page.
    pub(crate) fn with_left_to_list(self, left: i64) -> Self {
        Self { left, ..self }
    }

    /// Every call whose line in the log begins so fails in this way.
    pub(crate) fn fail(&self, call: &str, kind: CallErrorKind) {
        lock(&self.faults).push(Fault { call: call.into(), kind, lost: false });
    }

    /// The calls are carried out, and their answers lost.
    pub(crate) fn lose(&self, call: &str) {
        lock(&self.faults).push(Fault { call: call.into(), kind: CallErrorKind::Unavailable, lost: true });
    }

    /// No call fails any more, and nobody writes in between.
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

    /// The calls so far, and none from now on.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.log))
    }

    /// How many calls there were of each operation.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in lock(&self.log).iter() {
            *counts.entry(line.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        counts
    }

    /// The most writes that were under way at once in one account or cluster.
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
    // the ports have no such check: a write past what is there would have gone through
    assert!(!why.contains("planned from"), "written over what was not looked at: {why}");
    let kind = match why.as_str() {
        "there is one already" => CallErrorKind::AlreadyExists,
        "DeleteConflict" => CallErrorKind::Conflict,
        text if text.starts_with("no ") || text == "gone" => CallErrorKind::NotFound,
        _ => CallErrorKind::Other,
    };
    CallError { operation: call.operation(), kind, code: None, message: why, request_id: None }
}
