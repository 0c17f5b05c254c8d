//! Watches the gates of a sandbox while irsa writes, so that a test can stop irsa at one write and do something to the
//! process at that moment.
//!
//! A write is identified by what it does, not by its time: writes run in parallel, but the writes to one object are
//! serial. The watch changes nothing itself, except that it drops requests after `cut`.

use super::world::World;
use irsa_sandbox::aws;
use irsa_sandbox::gate::{Admission, Stage};
use irsa_sandbox::kubernetes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Longer than anything that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// One write of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Write {
    /// An account or a cluster.
    pub(crate) place: String,
    pub(crate) action: String,
    pub(crate) object: String,
    /// Counts from 1 among equal writes to the same object.
    pub(crate) nth: usize,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, action, object, nth } = self;
        write!(f, "{place} {action} {object} #{nth}")
    }
}

/// The moment at which a write is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The request has arrived, and nothing is done.
    Arrived,
    /// The write is carried out, but not answered.
    Done,
    /// The write is answered, and the next request of any kind has arrived.
    Answered,
}

impl Moment {
    pub(crate) const ALL: [Self; 3] = [Self::Arrived, Self::Done, Self::Answered];
}

/// What happens to held requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Hold,
    GoOn,
    Lose,
}

/// What happens to other writes while one is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    GoOn,
    /// Every later write is held too.
    Wait,
}

#[derive(Default)]
struct State {
    counts: BTreeMap<(String, String, String), usize>,
    writes: Vec<Write>,
    /// The writes that a gate has let in, by gate and request number.
    inside: BTreeMap<(usize, u64), Write>,
    target: Option<(Write, Moment, Others)>,
    reached: Option<mpsc::Sender<()>>,
    /// Whether the target has been held.
    struck: bool,
    /// Whether the target was answered.
    answered: bool,
    /// The requests that are being carried out: let in, and not done yet.
    passing: BTreeSet<(usize, u64)>,
}

struct Shared {
    state: Mutex<State>,
    order: watch::Sender<Order>,
    requests: AtomicUsize,
    /// The number of held requests.
    held: AtomicUsize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing here panics")
    }
}

/// Watches all gates of a sandbox.
pub(crate) struct Watch {
    shared: Arc<Shared>,
}

impl Watch {
    /// Watches AWS and these clusters.
    pub(crate) fn over(world: &World, clusters: &[&str]) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            order: watch::Sender::new(Order::Hold),
            requests: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
        });
        let door = |number: usize, place: &str| Door { shared: Arc::clone(&shared), number, place: place.to_owned() };
        world.with(|sandbox| sandbox.gate().admit_by(Some(Arc::new(door(0, "")))));
        for (number, cluster) in clusters.iter().enumerate() {
            world.cluster(cluster).gate().admit_by(Some(Arc::new(door(number + 1, cluster))));
        }
        Self { shared }
    }

    /// The writes so far, in order of arrival.
    pub(crate) fn writes(&self) -> Vec<Write> {
        self.shared.state().writes.clone()
    }

    /// The number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// The number of held requests.
    pub(crate) fn held(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// Stops this write at this moment. The returned receiver gets a message when that has happened.
    pub(crate) fn stop_at(&self, write: &Write, moment: Moment, others: Others) -> mpsc::Receiver<()> {
        let (sender, receiver) = mpsc::channel();
        let mut state = self.shared.state();
        state.target = Some((write.clone(), moment, others));
        state.reached = Some(sender);
        receiver
    }

    /// Releases every held request, and holds none from now on.
    pub(crate) fn go_on(&self) {
        self.shared.order.send_replace(Order::GoOn);
    }

    /// Drops every request that is held or arrives later, as if the connections were cut. Returns after every request
    /// that was let in before is done.
    pub(crate) fn cut(&self) {
        {
            let _state = self.shared.state();
            self.shared.order.send_replace(Order::Lose);
        }
        let begin = Instant::now();
        while !self.shared.state().passing.is_empty() {
            assert!(begin.elapsed() < PATIENCE, "what was let in does not come to its end");
            pause();
        }
    }

    /// Stops watching: requests pass as usual.
    pub(crate) fn lift(world: &World, clusters: &[&str]) {
        world.with(|sandbox| sandbox.gate().admit_by(None));
        for cluster in clusters {
            world.cluster(cluster).gate().admit_by(None);
        }
    }

    /// Waits until nothing moves for longer than a call waits because of pacing: no request arrives or is under way,
    /// and every thread of the process sleeps.
    pub(crate) fn wait_for_quiet(&self, child: &Child) {
        let begin = Instant::now();
        let mut before = None;
        let mut same = 0;
        while same < 15 {
            let now = (self.requests(), self.held());
            let still = before == Some(now) && asleep(child.id());
            same = if still { same + 1 } else { 0 };
            before = Some(now);
            assert!(begin.elapsed() < PATIENCE, "the process does not come to rest");
            pause();
        }
    }
}

/// Waits a moment in real time, because other processes ignore a paused clock.
pub(crate) fn pause() {
    std::thread::park_timeout(Duration::from_millis(3));
}

/// Whether every thread of a process sleeps, as far as this operating system shows it.
fn asleep(id: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return true };
    threads.flatten().all(|thread| {
        let text = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // the state follows the program name, which is in brackets
        text.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['S', 'I', 'Z']))
    })
}

/// One gate.
struct Door {
    shared: Arc<Shared>,
    number: usize,
    /// The cluster. Empty for AWS, where the account of the caller counts.
    place: String,
}

impl Door {
    /// Records a request at a stage. Returns whether to hold it.
    fn note(&self, stage: Stage, number: u64, write: Option<(String, String, String)>) -> bool {
        let mut known = self.shared.state();
        let known = &mut *known;
        let write = match (stage, write) {
            (Stage::Before, Some(key)) => {
                self.shared.requests.fetch_add(1, Ordering::SeqCst);
                let count = known.counts.entry(key.clone()).or_default();
                *count += 1;
                let nth = *count;
                let (place, action, object) = key;
                let write = Write { place, action, object, nth };
                known.writes.push(write.clone());
                known.inside.insert((self.number, number), write.clone());
                Some(write)
            }
            (Stage::Before, None) => {
                self.shared.requests.fetch_add(1, Ordering::SeqCst);
                None
            }
            (Stage::After, _) => {
                known.passing.remove(&(self.number, number));
                known.inside.remove(&(self.number, number))
            }
        };
        let Some((target, moment, others)) = &known.target else { return false };
        let it = write.as_ref() == Some(target);
        let hold = match (moment, stage) {
            (Moment::Arrived, Stage::Before) | (Moment::Done, Stage::After) if it => true,
            (Moment::Answered, Stage::After) if it => {
                known.answered = true;
                false
            }
            (Moment::Answered, Stage::Before) => known.answered,
            (_, Stage::Before) => *others == Others::Wait && known.struck && write.is_some(),
            _ => false,
        };
        known.struck |= hold;
        hold
    }

    /// Returns whether to drop the request.
    async fn at(&self, stage: Stage, number: u64, write: Option<(String, String, String)>) -> bool {
        let hold = self.note(stage, number, write);
        let mut order = self.shared.order.subscribe();
        if hold {
            self.shared.held.fetch_add(1, Ordering::SeqCst);
            let reached = self.shared.state().reached.take();
            if let Some(reached) = reached {
                // the test may have ended
                let _ = reached.send(());
            }
            let _ = order.wait_for(|order| *order != Order::Hold).await;
            self.shared.held.fetch_sub(1, Ordering::SeqCst);
        }
        let mut known = self.shared.state();
        let lost = *order.borrow() == Order::Lose;
        if stage == Stage::Before && !lost {
            // from here to the second stage nothing waits
            known.passing.insert((self.number, number));
        }
        lost
    }
}

impl Admission<aws::Call> for Door {
    fn decide<'a>(&'a self, stage: Stage, call: &'a aws::Call, _outcome: Option<u16>) -> aws::Decision<'a> {
        Box::pin(async move {
            let write = call.is_write().then(|| (call.account.clone(), call.action.clone(), call.object.clone()));
            self.at(stage, call.number, write).await.then_some(aws::Fault::Drop)
        })
    }
}

impl Admission<kubernetes::Call> for Door {
    fn decide<'a>(
        &'a self,
        stage: Stage,
        call: &'a kubernetes::Call,
        _outcome: Option<u16>,
    ) -> kubernetes::Decision<'a> {
        Box::pin(async move {
            let object = || format!("{}/{}", call.namespace, call.name);
            let write = call.is_write().then(|| (self.place.clone(), call.verb.clone(), object()));
            self.at(stage, call.number, write).await.then_some(kubernetes::Fault::Drop)
        })
    }
}
