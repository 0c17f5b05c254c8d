//! Takes, renews, loses and releases a Lease in memory, with tokio's paused clock.

use super::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const NOW: i64 = 1_800_000_000;
const SECOND: i64 = 1_000_000;

/// A Lease in memory, guarded by its version as the API guards it.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Lease>,
    version: u64,
    /// `get`, `create` and `update`, in their order.
    log: Vec<&'static str>,
    /// Whether calls never return.
    down: bool,
    /// The replies to this many writes are lost.
    lost: usize,
    /// Every write fails like this.
    failing: Option<CallErrorKind>,
}

fn error(kind: CallErrorKind) -> CallError {
    CallError { operation: "lease".into(), kind, code: None, message: "no".into(), request_id: None }
}

impl Board {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    /// Writes without a version check, as another client.
    fn set(&self, hold: Option<LeaseRecord>) {
        self.with(|state| {
            state.version += 1;
            let object = json!(state.version);
            state.lease = hold.map(|hold| Lease { hold, object });
        });
    }

    fn hold(&self) -> Option<LeaseRecord> {
        self.with(|state| state.lease.as_ref().map(|lease| lease.hold.clone()))
    }

    fn calls(&self, name: &str) -> usize {
        self.with(|state| state.log.iter().filter(|call| **call == name).count())
    }

    async fn call(&self, name: &'static str) {
        let down = self.with(|state| {
            state.log.push(name);
            state.down
        });
        if down {
            std::future::pending::<()>().await;
        }
        // lets other tasks run
        tokio::task::yield_now().await;
    }

    fn write(&self, guard: Option<&Lease>, hold: &LeaseRecord) -> Answer<Lease> {
        self.with(|state| {
            if let Some(kind) = state.failing {
                return Err(error(kind));
            }
            match (guard, &state.lease) {
                (None, Some(_)) => return Err(error(CallErrorKind::AlreadyExists)),
                (Some(_), None) => return Err(error(CallErrorKind::NotFound)),
                (Some(guard), Some(lease)) if guard.object != lease.object => {
                    return Err(error(CallErrorKind::Conflict));
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
            state.version += 1;
            let lease = Lease { hold: hold.clone(), object: json!(state.version) };
            state.lease = Some(lease.clone());
            if state.lost > 0 {
                state.lost -= 1;
                return Err(error(CallErrorKind::Unavailable));
            }
            Ok(lease)
        })
    }
}

impl ReadLease for Board {
    async fn lease(&self, _place: &LeaseRef) -> Answer<Option<Lease>> {
        self.call("get").await;
        Ok(self.with(|state| state.lease.clone()))
    }
}

impl WriteLease for Board {
    async fn create_lease(&self, _place: &LeaseRef, hold: &LeaseRecord) -> Answer<Lease> {
        self.call("create").await;
        self.write(None, hold)
    }

    async fn update_lease(&self, _place: &LeaseRef, lease: &Lease, hold: &LeaseRecord) -> Answer<Lease> {
        self.call("update").await;
        self.write(Some(lease), hold)
    }
}

fn options(identity: &str, wait: u64) -> LockOptions {
    LockOptions {
        lease: LeaseRef {
            cluster: "main".parse().unwrap(),
            namespace: "kube-system".parse().unwrap(),
            name: "irsa-me".parse().unwrap(),
        },
        identity: identity.into(),
        seconds: 60,
        wait: Duration::from_secs(wait),
        clock: Clock::new(NOW, Instant::now()),
        context: Context::fixed(BTreeMap::new(), NOW, 1),
    }
}

/// Takes the lock without a signal.
async fn taken(board: &Board, options: LockOptions) -> Result<HeldLock, TakeError> {
    let (_sender, stop) = watch::channel(None);
    take(board.clone(), board.clone(), options, stop, &|_| {}).await
}

/// Held by `them` for `seconds`, renewed just now.
fn theirs(seconds: u32) -> LeaseRecord {
    let now = Some(NOW * SECOND);
    LeaseRecord { holder: "them".into(), seconds: Some(seconds), acquired: now, renewed: now, transitions: 4 }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn free_lock_is_taken_renewed_at_a_third_of_its_duration_and_released() {
    let board = Board::default();
    let held = taken(&board, options("us", 0)).await.unwrap();
    let first = board.hold().unwrap();
    assert_eq!((first.holder.as_str(), first.seconds, first.transitions), ("us", Some(60), 0));
    assert_eq!((first.acquired, first.renewed), (Some(NOW * SECOND), Some(NOW * SECOND)));
    assert!(!held.overtaken);
    for (after, updates) in [(19, 0), (2, 1), (20, 2), (20, 3), (600, 33)] {
        pass(after).await;
        assert_eq!(board.calls("update"), updates, "renewed every 20 s");
    }
    let kept = board.hold().unwrap();
    assert_eq!(kept, LeaseRecord { renewed: kept.renewed, ..first });
    assert_eq!(kept.renewed, Some((NOW + 660) * SECOND));
    assert_eq!(*held.lost.borrow(), None);
    held.release(false).await.unwrap();
    let left = board.hold().unwrap();
    assert_eq!((left.holder.as_str(), left.seconds, left.transitions), ("", Some(1), 0));
    // the next run takes it at once
    let next = taken(&board, options("next", 0)).await.unwrap();
    assert!(next.overtaken, "another run held it just now");
    assert_eq!((board.hold().unwrap().holder.as_str(), board.hold().unwrap().transitions), ("next", 1));
    assert_eq!(board.calls("create"), 1);
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn held_lease_without_wait_is_refused_at_once() {
    let board = Board::default();
    board.set(Some(theirs(60)));
    let before = Instant::now();
    let Err(TakeError::Held(hold)) = taken(&board, options("us", 0)).await else { panic!("it is held") };
    assert_eq!(hold, theirs(60));
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(board.with(|state| state.log.clone()), ["get"]);
}

#[tokio::test(start_paused = true)]
async fn lease_that_is_not_renewed_is_taken_after_its_duration() {
    let board = Board::default();
    // the holder's clock does not count
    board.set(Some(LeaseRecord { renewed: Some((NOW + 86_400) * SECOND), ..theirs(30) }));
    let before = Instant::now();
    let held = taken(&board, options("us", 300)).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_secs(30));
    assert!(held.overtaken);
    let ours = board.hold().unwrap();
    assert_eq!((ours.holder.as_str(), ours.transitions, ours.seconds), ("us", 5, Some(60)));
}

#[tokio::test(start_paused = true)]
async fn long_expired_lease_is_taken_at_once() {
    let board = Board::default();
    board.set(Some(LeaseRecord { renewed: Some((NOW - 121) * SECOND), ..theirs(60) }));
    let held = taken(&board, options("us", 0)).await.unwrap();
    assert!(!held.overtaken);
    assert_eq!(board.hold().unwrap().transitions, 5);
}

#[tokio::test(start_paused = true)]
async fn renewed_lease_is_waited_for_up_to_the_lock_timeout() {
    let board = Board::default();
    board.set(Some(theirs(30)));
    let living = board.clone();
    tokio::spawn(async move {
        for second in 1..=10 {
            pass(10).await;
            living.set(Some(LeaseRecord { renewed: Some((NOW + 10 * second) * SECOND), ..theirs(30) }));
        }
        living.set(Some(rules::released(&theirs(30), (NOW + 100) * SECOND)));
    });
    let before = Instant::now();
    let Err(TakeError::Held(seen)) = taken(&board, options("hasty", 55)).await else { panic!("it is held") };
    assert_eq!((before.elapsed().as_secs(), seen.holder.as_str()), (55, "them"));
    let told = Mutex::new(Vec::new());
    let (_sender, stop) = watch::channel(None);
    let tell = |hold: &LeaseRecord| told.lock().unwrap().push(hold.holder.clone());
    let held = take(board.clone(), board.clone(), options("patient", 300), stop, &tell).await.unwrap();
    assert!((100..=102).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
    assert!(held.overtaken);
    assert_eq!(*told.lock().unwrap(), ["them"], "a holder is told of once");
}

#[tokio::test(start_paused = true)]
async fn two_runs_race_and_one_gets_the_lock() {
    for lease in [None, Some(LeaseRecord { renewed: Some((NOW - 500) * SECOND), ..theirs(60) })] {
        let board = Board::default();
        board.set(lease);
        let (one, two) = tokio::join!(taken(&board, options("one", 0)), taken(&board, options("two", 0)));
        let winner = board.hold().unwrap().holder;
        assert_eq!(board.calls("create") + board.calls("update"), 2, "both tried");
        let loser = match (one, two, winner.as_str()) {
            (Ok(_), Err(loser), "one") | (Err(loser), Ok(_), "two") => loser,
            other => panic!("{other:?}"),
        };
        assert!(matches!(loser, TakeError::Held(hold) if hold.holder == winner));
    }
}

#[tokio::test(start_paused = true)]
async fn lost_reply_to_the_own_write_is_recognised() {
    for lease in [None, Some(rules::released(&theirs(60), 0))] {
        let board = Board::default();
        board.set(lease);
        board.with(|state| state.lost = 1);
        let held = taken(&board, options("us", 0)).await.unwrap();
        assert_eq!(board.calls("create") + board.calls("update"), 1, "it is not taken twice");
        // the keeper renews the Lease that it finds
        pass(21).await;
        assert_eq!(board.hold().unwrap().renewed, Some((NOW + 20) * SECOND));
        board.with(|state| state.lost = 1);
        pass(60).await;
        assert_eq!(*held.lost.borrow(), None);
        held.release(false).await.unwrap();
        assert_eq!(board.hold().unwrap().holder, "");
    }
}

#[tokio::test(start_paused = true)]
async fn failing_writes_end_with_the_error_after_a_few_tries() {
    for (kind, writes) in [
        (CallErrorKind::Denied, 1),
        (CallErrorKind::NotFound, 1),
        (CallErrorKind::Unavailable, 2),
        (CallErrorKind::Conflict, usize::try_from(MAX_RACES).unwrap()),
    ] {
        let board = Board::default();
        board.with(|state| state.failing = Some(kind));
        let Err(TakeError::Failed(error)) = taken(&board, options("us", 300)).await else { panic!("{kind:?}") };
        assert_eq!((error.kind, board.calls("create")), (kind, writes));
    }
    // a write that hangs counts as no answer
    let board = Board::default();
    board.set(Some(rules::released(&theirs(60), 0)));
    let silent = board.clone();
    tokio::spawn(async move {
        while silent.calls("get") == 0 {
            tokio::task::yield_now().await;
        }
        silent.with(|state| state.down = true);
        pass(15).await;
        silent.with(|state| state.down = false);
    });
    let before = Instant::now();
    taken(&board, options("us", 0)).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn lock_survives_a_short_outage_and_is_lost_in_a_long_one() {
    let (board, before) = (Board::default(), Instant::now());
    let held = taken(&board, options("us", 0)).await.unwrap();
    board.with(|state| state.down = true);
    pass(45).await;
    board.with(|state| state.down = false);
    pass(15).await;
    assert_eq!(*held.lost.borrow(), None, "it was renewed before 60 s were over");
    let renewed = board.hold().unwrap().renewed.unwrap();
    assert!(renewed > (NOW + 40) * SECOND, "{renewed}");
    board.with(|state| state.down = true);
    let mut lost = held.lost.clone();
    let why = lost.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert!(why.contains("could not be renewed in time: ") && why.contains("did not answer"), "{why}");
    assert_eq!(before.elapsed().as_micros(), u128::try_from(renewed - NOW * SECOND).unwrap() + 60_000_000);
    // once the API answers again, the run's name is removed
    board.with(|state| state.down = false);
    held.release(false).await.unwrap();
    assert_eq!(board.hold().unwrap().holder, "");
}

#[tokio::test(start_paused = true)]
async fn lease_taken_by_another_run_is_lost_and_not_touched() {
    let stolen = LeaseRecord { transitions: 1, ..theirs(60) };
    for (lease, why) in [
        (Some(stolen.clone()), "`them` holds it now"),
        (Some(LeaseRecord { holder: String::new(), ..stolen }), "someone removed this run's name from the Lease"),
        (None, "someone deleted the Lease"),
    ] {
        let board = Board::default();
        let held = taken(&board, options("us", 0)).await.unwrap();
        board.set(lease.clone());
        pass(21).await;
        assert_eq!(held.lost.borrow().as_deref(), Some(why));
        pass(120).await;
        held.release(false).await.unwrap();
        assert_eq!(board.hold(), lease, "nobody else's is touched");
    }
    // taken by another run after the last renewal
    let board = Board::default();
    let held = taken(&board, options("us", 0)).await.unwrap();
    board.set(Some(theirs(60)));
    held.release(false).await.unwrap();
    assert_eq!(board.hold(), Some(theirs(60)));
}

#[tokio::test(start_paused = true)]
async fn other_changes_of_the_lease_do_not_lose_the_lock() {
    let board = Board::default();
    let held = taken(&board, options("us", 0)).await.unwrap();
    board.set(board.hold());
    pass(21).await;
    assert_eq!((held.lost.borrow().clone(), board.hold().unwrap().renewed), (None, Some((NOW + 20) * SECOND)));
    board.set(board.hold());
    held.release(false).await.unwrap();
    assert_eq!(board.hold().unwrap().holder, "");
}

#[tokio::test(start_paused = true)]
async fn release_ends_at_its_time_limit() {
    let board = Board::default();
    let held = taken(&board, options("us", 0)).await.unwrap();
    board.with(|state| state.down = true);
    // released while a renewal hangs
    pass(25).await;
    let before = Instant::now();
    let error = held.release(false).await.unwrap_err();
    assert_eq!((before.elapsed(), error.kind), (Duration::from_secs(10), CallErrorKind::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn signal_ends_the_wait_without_a_write() {
    let board = Board::default();
    board.set(Some(theirs(60)));
    let (sender, stop) = watch::channel(None);
    tokio::spawn(async move {
        pass(7).await;
        sender.send_replace(Some(Interrupt::Terminate));
    });
    let before = Instant::now();
    let refusal = take(board.clone(), board.clone(), options("us", 300), stop, &|_| {}).await.unwrap_err();
    assert!(matches!(refusal, TakeError::Interrupted(Interrupt::Terminate)), "{refusal:?}");
    assert_eq!((before.elapsed(), board.hold()), (Duration::from_secs(7), Some(theirs(60))));
}

#[tokio::test(start_paused = true)]
async fn all_durations_are_scaled() {
    let board = Board::default();
    board.set(Some(theirs(60)));
    let quick = LockOptions { context: Context::fixed(BTreeMap::new(), NOW, 60), ..options("us", 300) };
    let before = Instant::now();
    let held = taken(&board, quick).await.unwrap();
    assert_eq!(before.elapsed().as_millis() / 100, 10, "a second: {:?}", before.elapsed());
    assert_eq!(board.hold().unwrap().seconds, Some(60), "what the Lease says is not scaled");
    let updates = board.calls("update");
    tokio::time::sleep(Duration::from_millis(1_010)).await;
    assert_eq!((board.calls("update") - updates, held.lost.borrow().clone()), (3, None));
}
