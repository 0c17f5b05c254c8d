//! Kills irsa at every write. Whatever the run leaves behind, the next run completes it and touches no object of
//! others. At no moment does anybody have access that they have neither before nor after.

use crate::support::fleet::{CLUSTERS, Fleet, same};
use crate::support::judge::{ACCOUNTS, Law, Trail, all_roles};
use crate::support::moments::{Moment, Others, PATIENCE, Watch, Write, pause};
use crate::support::program::{Running, tell};
use serde_json::Value;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// The number of worlds that run in parallel.
const THREADS: usize = 3;

/// One kill.
struct Kill {
    write: Write,
    moment: Moment,
}

/// The state at the end of an undisturbed run.
struct Wanted {
    state: Value,
    foreign: Value,
    law: Law,
}

#[test]
fn run_killed_at_any_write_is_completed_by_the_next() {
    let begin = Instant::now();
    let fleet = Fleet::new();
    let (writes, wanted) = undisturbed(&fleet);
    let count = writes.len();
    assert!((60..=100).contains(&count), "{count} writes");
    assert_eq!(writes.iter().collect::<BTreeSet<_>>().len(), count, "each has a name of its own");
    let kills = writes.into_iter().flat_map(|write| Moment::ALL.map(|moment| Kill { write: write.clone(), moment }));
    let kills = Mutex::new(kills);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let next = kills.lock().expect("no thread has failed here").next();
                    let Some(kill) = next else { break };
                    let name = format!("{:?} {}", kill.moment, kill.write);
                    let outcome = catch_unwind(AssertUnwindSafe(|| strike(&fleet, &kill, &wanted)));
                    outcomes.lock().expect("no thread has failed here").push((name, outcome.map_err(why)));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("no thread has failed");
    let failed: Vec<String> =
        outcomes.iter().filter_map(|(name, outcome)| Some(format!("{name}: {}", outcome.as_ref().err()?))).collect();
    tell(&format!(
        "kill: {count} writes x {} = {} kills in {:.0?}",
        Moment::ALL.len(),
        outcomes.len(),
        begin.elapsed()
    ));
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), outcomes.len(), failed.join("\n"));
    assert_eq!(outcomes.len(), count * Moment::ALL.len());
}

fn why(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "it panicked".to_owned(), |text| (*text).to_owned()),
    }
}

/// The writes of a whole run, and the state after it.
fn undisturbed(fleet: &Fleet) -> (Vec<Write>, Wanted) {
    let scene = fleet.scene();
    let before = scene.foreign();
    let trail = scene.world.with(|sandbox| Trail::begin(sandbox));
    let watch = Watch::over(&scene.world, &CLUSTERS);
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    let writes = watch.writes();
    let plan = scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
    plan.says("No changes.");
    assert_eq!(watch.writes().len(), writes.len(), "a plan writes nothing");
    assert_eq!(scene.foreign(), before, "the objects of others");
    let after = scene.world.with(|sandbox| all_roles(sandbox, &ACCOUNTS));
    let law = Law::of(vec![trail.before().clone(), after]);
    (writes, Wanted { state: scene.state(), foreign: before, law })
}

/// Kills one run, and runs irsa again.
fn strike(fleet: &Fleet, kill: &Kill, wanted: &Wanted) {
    let scene = fleet.scene();
    let trail = scene.world.with(|sandbox| Trail::begin(sandbox));
    let watch = Watch::over(&scene.world, &CLUSTERS);
    let reached = watch.stop_at(&kill.write, kill.moment, Others::GoOn);
    let mut running = scene.bench.start(&["apply", "--auto-approve"]);
    let ended = wait(&reached, &mut running);
    // drops everything that is still under way
    watch.cut();
    let killed = running.kill();
    assert!(!killed.stderr.contains("panicked"), "{killed}");
    // after the last answer no request is left to hold
    assert_eq!(killed.code, if ended { 0 } else { -1 }, "{killed}");
    assert!(!ended || kill.moment == Moment::Answered, "it came to its end past the write: {killed}");
    let writes = watch.writes();
    assert!(writes.contains(&kill.write), "the write came: {killed}");
    Watch::lift(&scene.world, &CLUSTERS);
    scene.converges();
    let broken = trail.broken_by(&wanted.law);
    assert!(broken.is_empty(), "{} grants are wider, the first {}", broken.len(), broken[0]);
    assert_eq!(scene.foreign(), wanted.foreign, "the objects of others");
    same(&scene.state(), &wanted.state);
}

/// Waits until the write is at the requested moment. Returns whether the run ended before that.
fn wait(reached: &Receiver<()>, running: &mut Running) -> bool {
    let begin = Instant::now();
    loop {
        if reached.try_recv().is_ok() {
            return false;
        }
        if running.child.try_wait().expect("it can be waited for").is_some() {
            return true;
        }
        assert!(begin.elapsed() < PATIENCE, "the write does not come");
        pause();
    }
}
