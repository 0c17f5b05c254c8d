//! SIGINT and SIGTERM at every write, and SIGHUP: the one in flight ends, no other starts, and the report says what is left.

use crate::ownership::{Scene, role};
use crate::support::fleet::{CLUSTERS, Fleet, same};
use crate::support::moments::{Moment, Others, PATIENCE, Watch, Write, pause};
use crate::support::program::{Run, changes, tell};
use irsa_sandbox::aws::{Fault, Match, Refusal};
use irsa_sandbox::gate::Stage;
use irsa_sandbox::kubernetes::Resource;
use serde_json::Value;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many worlds at a time.
const THREADS: usize = 3;
/// The longest that a run may go on behind a signal: runners of CI kill it then.
const GRACE: Duration = Duration::from_secs(7);

/// One signal at one write.
#[derive(Debug, Clone, Copy)]
struct Kind {
    name: &'static str,
    code: i32,
    /// Whether the other lanes have come to their end, or are in the middle of a write too.
    others: Others,
}

const KINDS: [Kind; 2] =
    [Kind { name: "INT", code: 130, others: Others::GoOn }, Kind { name: "TERM", code: 143, others: Others::Wait }];

#[test]
fn a_signal_at_any_write_ends_the_run_in_order() {
    let begin = Instant::now();
    let fleet = Fleet::new();
    let scene = fleet.scene();
    let foreign = scene.foreign();
    let watch = Watch::over(&scene.world, &CLUSTERS);
    scene.converges();
    let (writes, state) = (watch.writes(), scene.state());
    let signals = Mutex::new(writes.iter().flat_map(|write| KINDS.map(|kind| (write, kind))));
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let next = signals.lock().expect("no thread has failed here").next();
                    let Some((write, kind)) = next else { break };
                    let outcome = catch_unwind(AssertUnwindSafe(|| interrupt(&fleet, write, kind, &state, &foreign)));
                    let told = outcome.map_err(|panic| format!("SIG{} {write}: {}", kind.name, why(panic)));
                    outcomes.lock().expect("no thread has failed here").push(told);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("no thread has failed");
    let failed: Vec<&String> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    let slowest = outcomes.iter().flatten().max().copied().unwrap_or_default();
    tell(&format!(
        "signals: {} writes x {} = {} signals in {:.0?}; the slowest end took {slowest:.0?}",
        writes.len(),
        KINDS.len(),
        outcomes.len(),
        begin.elapsed()
    ));
    let list: Vec<&str> = failed.iter().map(|text| text.as_str()).collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), outcomes.len(), list.join("\n"));
    assert_eq!(outcomes.len(), writes.len() * KINDS.len());
}

fn why(panic: Box<dyn std::any::Any + Send>) -> String {
    panic.downcast::<String>().map_or_else(|_| "it panicked".to_owned(), |text| *text)
}

/// One signal at one write; how long the run went on behind it.
fn interrupt(fleet: &Fleet, write: &Write, kind: Kind, state: &Value, foreign: &Value) -> Duration {
    let scene = fleet.scene();
    let watch = Watch::over(&scene.world, &CLUSTERS);
    let reached = watch.stop_at(write, Moment::Arrived, kind.others);
    let running = scene.bench.start(&["apply", "--auto-approve", "--format", "json"]);
    reached.recv_timeout(PATIENCE).expect("the write comes");
    watch.wait_for_quiet(&running.child);
    running.signal(kind.name);
    running.says("interrupted");
    let begun = watch.writes().len();
    let heard = Instant::now();
    watch.go_on();
    let run = running.ends();
    let took = heard.elapsed();
    assert_eq!(run.code, kind.code, "{run}");
    assert!(took < GRACE, "{took:?}: {run}");
    let late: Vec<Write> = watch.writes().split_off(begun);
    assert!(late.is_empty(), "no write starts behind the signal, but {late:?}: {run}");
    told(&run, kind, &changes(&scene.bench.plan(&[])));
    scene.converges();
    assert_eq!(scene.foreign(), *foreign, "the objects of others");
    same(&scene.state(), state);
    took
}

/// The report and what a plan finds left must be of one mind.
fn told(run: &Run, kind: Kind, left: &[String]) {
    let report = run.json();
    assert_eq!(report["interrupted"], format!("SIG{}", kind.name));
    assert_eq!(report["succeeded"], false);
    let outcomes = report["outcomes"].as_array().expect("a list");
    let undone = outcomes.iter().filter(|step| ["skipped", "failed"].iter().any(|word| step["outcome"] == *word));
    let undone: BTreeSet<String> = undone.map(address).collect();
    let left: BTreeSet<String> = left.iter().filter_map(|change| Some(change.split_once(' ')?.1.to_owned())).collect();
    assert_eq!(undone, left, "what the report names as undone, and what is: {run}");
    for step in outcomes.iter().filter(|step| step["outcome"] == "failed") {
        assert_eq!(step["failure"]["why"], "interrupted", "{run}");
        let left = step["failure"]["left"].as_array().expect("a list");
        assert!(!left.is_empty(), "{run}");
    }
}

fn address(step: &Value) -> String {
    step["address"].as_str().unwrap_or_default().to_owned()
}

/// A write that is not answered: the run ends all the same, and says that what came of it is not known.
#[test]
fn a_write_that_hangs_is_told_as_unknown() {
    for kind in KINDS {
        let mut scene = Scene::new();
        scene.bench.set("IRSA_TEST_SPEED", "10");
        scene.declare(&(role("app") + &role("other")));
        scene.world.with(|sandbox| {
            let attach = Match::on("iam", "AttachRolePolicy").about("app");
            sandbox.gate().fault(Stage::Before, attach, Fault::Hang, None);
        });
        let watch = Watch::over(&scene.world, &["main"]);
        let running = scene.bench.start(&["apply", "--auto-approve", "--format", "json", "--timeout", "1h"]);
        wait_for(&watch, |write| write.action == "AttachRolePolicy" && write.object == "app", 1);
        running.signal(kind.name);
        running.says("interrupted");
        let heard = Instant::now();
        let run = running.ends();
        assert!(heard.elapsed() < GRACE, "{run}");
        assert_eq!(run.code, kind.code, "{run}");
        run.says("unknown");
        let report = run.json();
        let find = |wanted: &str| {
            let steps = report["outcomes"].as_array().into_iter().flatten();
            steps.into_iter().find(|step| address(step) == wanted).cloned().unwrap_or_default()
        };
        let app = find("role/app");
        assert_eq!((&app["outcome"], &app["failure"]["operation"]), (&"failed".into(), &"iam:AttachRolePolicy".into()));
        assert!(app["failure"]["why"].as_str().is_some_and(|why| why.contains("unknown")), "{run}");
        assert_eq!(app["failure"]["done"], serde_json::json!(["iam:CreateRole"]), "{run}");
        assert_eq!(find("service-account/main/apps/app")["outcome"], "skipped", "{run}");
        scene.world.with(|sandbox| sandbox.gate().heal());
        scene.bench.converges();
    }
}

/// The second signal ends the run at once, with its report and without its lock.
#[test]
fn a_second_signal_waits_for_nothing() {
    for (first, second) in [("INT", "INT"), ("INT", "TERM"), ("TERM", "INT")] {
        let scene = Scene::new();
        scene.declare(&("[lock]\ncluster = \"main\"\n".to_owned() + &role("app")));
        scene.world.fault(Stage::Before, Match::on("iam", "CreateRole"), Fault::Hang, None);
        let watch = Watch::over(&scene.world, &["main"]);
        let running = scene.bench.start(&["apply", "--auto-approve", "--format", "json", "--timeout", "1h"]);
        wait_for(&watch, |write| write.action == "CreateRole", 1);
        running.signal(first);
        running.says("a second signal ends at once");
        running.signal(second);
        let heard = Instant::now();
        let run = running.ends();
        // half of what the first one alone would have been given
        assert!(heard.elapsed() < Duration::from_millis(2_500), "{:?}: {run}", heard.elapsed());
        assert_eq!(run.code, if first == "INT" { 130 } else { 143 }, "{run}");
        let report = run.json();
        assert_eq!(report["interrupted"], format!("SIG{first}"), "{run}");
        let steps = report["outcomes"].as_array().expect("a list");
        let app = steps.iter().find(|step| address(step) == "role/app").expect("the role");
        assert!(app["failure"]["why"].as_str().is_some_and(|why| why.contains("unknown")), "{run}");
        gave_the_lock_back(&scene, &run);
        scene.world.allow_all();
        scene.bench.converges();
    }
}

/// The Lease names nobody any more.
#[track_caller]
fn gave_the_lock_back(scene: &Scene, run: &Run) {
    let lease =
        scene.world.cluster("main").with(|store| store.get(Resource::Leases, "kube-system", "irsa-me").cloned());
    assert_eq!(lease.expect("a Lease")["spec"]["holderIdentity"], "", "it was given back: {run}");
}

/// A closed terminal or a broken ssh sends SIGHUP: the run ends in order, and its lock is given back.
#[test]
fn a_closed_terminal_ends_the_run_as_sigterm_does() {
    let scene = Scene::new();
    scene.declare(&("[lock]\ncluster = \"main\"\n".to_owned() + &role("app")));
    scene.world.fault(Stage::Before, Match::on("iam", "CreateRole"), Fault::Hang, None);
    let watch = Watch::over(&scene.world, &["main"]);
    let running = scene.bench.start(&["apply", "--auto-approve", "--format", "json", "--timeout", "1h"]);
    wait_for(&watch, |write| write.action == "CreateRole", 1);
    running.signal("HUP");
    running.says("interrupted");
    running.signal("HUP");
    let run = running.ends();
    assert_eq!(run.code, 143, "{run}");
    assert_eq!(run.json()["interrupted"], "SIGTERM", "{run}");
    gave_the_lock_back(&scene, &run);
    scene.world.allow_all();
    scene.bench.converges();
}

/// Under `nohup` it is the other way round: the run is to outlive its terminal.
#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    let throttled = Fault::Refuse(Refusal::throttled("iam"));
    scene.world.fault(Stage::Before, Match::on("iam", "CreateRole"), throttled, None);
    let watch = Watch::over(&scene.world, &["main"]);
    let irsa = scene.bench.command(&["apply", "--auto-approve", "--timeout", "1h"]);
    let mut nohup = Command::new("nohup");
    nohup.arg(irsa.get_program()).args(irsa.get_args()).current_dir(irsa.get_current_dir().expect("a folder"));
    nohup.env_clear().envs(irsa.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = nohup.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    wait_for(&watch, |write| write.action == "CreateRole", 1);
    let sent = Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    scene.world.allow_all();
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(scene.someone.has_role("app"));
}

/// A write to a cluster may wait for a webhook longer than a run that is to end.
#[test]
fn a_write_that_hangs_in_a_cluster_holds_no_signal_up() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    let cluster = scene.world.cluster("main");
    let patch = irsa_sandbox::kubernetes::Match::on("patch", "serviceaccounts");
    cluster.gate().fault(Stage::Before, patch, irsa_sandbox::kubernetes::Fault::Hang, None);
    let running = scene.bench.start(&["apply", "--auto-approve", "--format", "json"]);
    let begin = Instant::now();
    while !cluster.gate().log().iter().any(|record| record.call.verb == "patch") {
        assert!(begin.elapsed() < PATIENCE, "the ServiceAccount is not written");
        pause();
    }
    running.signal("TERM");
    let heard = Instant::now();
    let run = running.ends();
    assert!(heard.elapsed() < GRACE, "{:?}: {run}", heard.elapsed());
    assert_eq!(run.code, 143, "{run}");
    run.says("unknown");
}

/// Neither may the lock hold a run back that is to end.
#[test]
fn a_lock_that_hangs_holds_no_signal_up() {
    // while it is taken, and while it is given back
    for (verb, hangs_at) in [("create", "create"), ("update", "update")] {
        let mut scene = Scene::new();
        scene.bench.set("IRSA_TEST_SPEED", "2");
        scene.declare(&("[lock]\ncluster = \"main\"\n".to_owned() + &role("app")));
        let cluster = scene.world.cluster("main");
        let hang = irsa_sandbox::kubernetes::Fault::Hang;
        cluster.gate().fault(Stage::Before, irsa_sandbox::kubernetes::Match::on(hangs_at, "leases"), hang, None);
        let running = scene.bench.start(&["apply", "--auto-approve", "--format", "json", "--timeout", "1h"]);
        let begin = Instant::now();
        let asked = || {
            cluster.gate().log().iter().any(|record| record.call.verb == verb && record.call.path.contains("leases"))
        };
        while !asked() {
            assert!(begin.elapsed() < PATIENCE, "the Lease is not asked for");
            pause();
        }
        running.signal("TERM");
        let heard = Instant::now();
        let run = running.ends();
        assert!(heard.elapsed() < GRACE / 2, "{:?}: {run}", heard.elapsed());
        assert_eq!(run.code, if verb == "create" { 143 } else { 0 }, "{run}");
        cluster.gate().heal();
    }
}

/// Waits until so many writes of a kind have come.
fn wait_for(watch: &Watch, kind: impl Fn(&Write) -> bool, count: usize) {
    let begin = Instant::now();
    while watch.writes().iter().filter(|write| kind(write)).count() < count {
        assert!(begin.elapsed() < PATIENCE, "the writes do not come");
        pause();
    }
}

/// Writes that wait for their turn are not in flight.
#[test]
fn a_write_that_waits_for_its_pace_does_not_start_behind_a_signal() {
    for kind in KINDS {
        let scene = Scene::new();
        let roles: String = (0..12).map(|number| role(&format!("app{number}"))).collect();
        scene.declare(&roles);
        scene.world.with(|sandbox| {
            let throttled = Fault::Refuse(Refusal::throttled("iam"));
            sandbox.gate().fault(Stage::Before, Match::on("iam", "CreateRole"), throttled, None);
        });
        let watch = Watch::over(&scene.world, &["main"]);
        let running = scene.bench.start(&["apply", "--auto-approve", "--format", "json"]);
        wait_for(&watch, |write| write.action == "CreateRole", 10);
        watch.wait_for_quiet(&running.child);
        running.signal(kind.name);
        running.says("interrupted");
        // the service takes everything again: whatever comes now would be carried out
        scene.world.with(|sandbox| sandbox.gate().heal());
        let begun = watch.writes().len();
        let heard = Instant::now();
        let run = running.ends();
        assert_eq!(run.code, kind.code, "{run}");
        assert_eq!(watch.writes().len(), begun, "{:?}: {run}", watch.writes().split_off(begun));
        assert!(heard.elapsed() < Duration::from_secs(2), "there is nothing to wait for: {run}");
        let made = (0..12).filter(|number| scene.someone.has_role(&format!("app{number}"))).count();
        assert_eq!(made, 0, "{run}");
        scene.bench.converges();
    }
}
