//! Moments of a run: the gates of a world watched while irsa writes, so that a test can stop it at one write and do
//! something to the process right then.
//!
//! A write is known by what it is, not by when it comes: lanes run side by side, but the writes to one object are
//! serial. Changes nothing itself, except that requests are lost once the connection is said to be cut.

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

/// Nothing that a test waits for takes as long as this.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// One write of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Write {
    /// An account or a cluster.
    pub(crate) place: String,
    pub(crate) action: String,
    pub(crate) object: String,
    /// Counts from 1 among the same on the same object.
    pub(crate) nth: usize,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, action, object, nth } = self;
        write!(f, "{place} {action} {object} #{nth}")
    }
}

/// When a write is stopped at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It has arrived, and nothing is done.
    Arrived,
    /// It is carried out and not answered.
    Done,
    /// It is answered; the next request, whatever it is, has arrived.
    Answered,
}

impl Moment {
    pub(crate) const ALL: [Self; 3] = [Self::Arrived, Self::Done, Self::Answered];
}

/// What becomes of requests that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Hold,
    GoOn,
    Lose,
}

/// Whom else to hold while a write is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    GoOn,
    /// Every write that comes after it is held too.
    Wait,
}

#[derive(Default)]
struct State {
    counts: BTreeMap<(String, String, String), usize>,
    writes: Vec<Write>,
    /// Those that a door has let in, by its request numbers.
    inside: BTreeMap<(usize, u64), Write>,
    target: Option<(Write, Moment, Others)>,
    reached: Option<mpsc::Sender<()>>,
    /// The target has come, or gone, as far as was asked for.
    struck: bool,
    /// The answer to the target is on its way.
    answered: bool,
    /// The requests that are being carried out: let in, and not yet done.
    passing: BTreeSet<(usize, u64)>,
}

struct Shared {
    state: Mutex<State>,
    order: watch::Sender<Order>,
    requests: AtomicUsize,
    /// Requests that wait here.
    held: AtomicUsize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing here panics")
    }
}

/// All gates of a world, watched.
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

    /// How many requests have come so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many requests wait here.
    pub(crate) fn held(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// Stops this write at this moment; what comes back hears when it is there.
    pub(crate) fn stop_at(&self, write: &Write, moment: Moment, others: Others) -> mpsc::Receiver<()> {
        let (sender, receiver) = mpsc::channel();
        let mut state = self.shared.state();
        state.target = Some((write.clone(), moment, others));
        state.reached = Some(sender);
        receiver
    }

    /// Lets everything go on that is held, and holds nothing any more.
    pub(crate) fn go_on(&self) {
        self.shared.order.send_replace(Order::GoOn);
    }

    /// Loses everything that is held or will come, as if the connections were cut; what was let in before is done when
    /// this comes back.
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

    /// Watches no more; requests pass as ever.
    pub(crate) fn lift(world: &World, clusters: &[&str]) {
        world.with(|sandbox| sandbox.gate().admit_by(None));
        for cluster in clusters {
            world.cluster(cluster).gate().admit_by(None);
        }
    }

    /// Waits until nothing moves: no request comes or is under way, and every thread of the process sleeps; for longer
    /// than a call waits for its pace.
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

/// A moment of real time: other processes do not know of a paused clock.
pub(crate) fn pause() {
    std::thread::park_timeout(Duration::from_millis(3));
}

/// Whether every thread of a process sleeps, as far as this system tells.
fn asleep(id: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return true };
    threads.flatten().all(|thread| {
        let text = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // the name of the program, which stands before the state, is in brackets
        text.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['S', 'I', 'Z']))
    })
}

/// One gate.
struct Door {
    shared: Arc<Shared>,
    number: usize,
    /// The cluster; empty for AWS, where the caller's account is the place.
    place: String,
}

impl Door {
    /// Notes a request at a stage; whether it is to be held.
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

    /// Whether the request is to be lost.
    async fn at(&self, stage: Stage, number: u64, write: Option<(String, String, String)>) -> bool {
        let hold = self.note(stage, number, write);
        let mut order = self.shared.order.subscribe();
        if hold {
            self.shared.held.fetch_add(1, Ordering::SeqCst);
            let reached = self.shared.state().reached.take();
            if let Some(reached) = reached {
                // a test that no longer listens has ended
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
