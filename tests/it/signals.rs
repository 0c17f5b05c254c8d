//! SIGINT and SIGTERM at every write, and SIGHUP: irsa completes the write in flight, starts no other, and reports what
//! is left.

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

/// The number of worlds that run in parallel.
const THREADS: usize = 3;
/// The longest that a run may continue after a signal: CI runners kill it then.
const GRACE: Duration = Duration::from_secs(7);

/// One signal at one write.
#[derive(Debug, Clone, Copy)]
struct Kind {
    name: &'static str,
    code: i32,
    /// Whether the parallel writes are complete at that time, or in flight too.
    others: Others,
}

const KINDS: [Kind; 2] =
    [Kind { name: "INT", code: 130, others: Others::GoOn }, Kind { name: "TERM", code: 143, others: Others::Wait }];

#[test]
fn signal_at_any_write_ends_the_run_in_order() {
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

/// Sends one signal at one write. Returns how long the run continued after it.
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

/// The report lists as undone exactly what a plan finds left.
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

/// A write gets no answer: after the signal the run still ends, and reports that the result of the write is unknown.
#[test]
fn unanswered_write_is_reported_as_unknown_after_a_signal() {
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

/// A second signal ends the run at once. The run still prints its report and releases its lock.
#[test]
fn second_signal_ends_the_run_at_once() {
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
        // half of the time that the first signal alone would have allowed
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

/// The Lease has no holder any more.
#[track_caller]
fn gave_the_lock_back(scene: &Scene, run: &Run) {
    let lease =
        scene.world.cluster("main").with(|store| store.get(Resource::Leases, "kube-system", "irsa-me").cloned());
    assert_eq!(lease.expect("a Lease")["spec"]["holderIdentity"], "", "it was given back: {run}");
}

/// A closed terminal or a broken ssh connection sends SIGHUP: the run ends in order and releases its lock.
#[test]
fn sighup_ends_the_run_as_sigterm_does() {
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

/// Under `nohup` the run must outlive its terminal.
#[test]
fn run_under_nohup_ignores_sighup() {
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

/// A write to a cluster may wait for a webhook longer than an interrupted run may continue.
#[test]
fn signal_ends_a_run_with_an_unanswered_kubernetes_write() {
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

/// The lock must not delay an interrupted run either.
#[test]
fn signal_ends_a_run_with_an_unanswered_lock_request() {
    // once while the run takes the lock, and once while it releases it
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

/// Waits until this many writes of a kind have arrived.
fn wait_for(watch: &Watch, kind: impl Fn(&Write) -> bool, count: usize) {
    let begin = Instant::now();
    while watch.writes().iter().filter(|write| kind(write)).count() < count {
        assert!(begin.elapsed() < PATIENCE, "the writes do not come");
        pause();
    }
}

/// A write that waits because of pacing is not in flight.
#[test]
fn write_delayed_by_pacing_does_not_start_after_a_signal() {
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
        // the service accepts everything again: irsa would succeed with any write that it still sends
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
