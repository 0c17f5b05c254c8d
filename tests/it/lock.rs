//! `[lock]`: only one run writes at a time. These tests run the real binary against the sandbox's Leases.

use crate::ownership::{Scene, role};
use irsa_sandbox::kubernetes::{Fault, Match, Resource, Stage, WriteOptions};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "irsa-me";
const LOCK: &str = "[lock]\ncluster = \"main\"\n";

impl Scene {
    /// One cluster, with a lock in it. Waits are a quarter as long as in production.
    fn locked(text: &str) -> Self {
        let mut scene = Self::new();
        scene.bench.set("IRSA_TEST_SPEED", "4");
        scene.declare(&format!("{LOCK}{text}"));
        scene
    }

    fn lease(&self) -> Option<Value> {
        self.world.cluster("main").with(|store| store.get(Resource::Leases, NAMESPACE, NAME).cloned())
    }

    /// The fields of the Lease.
    #[track_caller]
    fn spec(&self) -> Value {
        self.lease().expect("a Lease")["spec"].clone()
    }

    #[track_caller]
    fn holder(&self) -> String {
        self.spec()["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    /// The holder `them` has the lock, and renewed it `ago` seconds ago.
    fn held_by_them(&self, seconds: u32, ago: i64) {
        let renewed = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(ago);
        let time = renewed.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let spec = json!({
            "holderIdentity": "them", "leaseDurationSeconds": seconds, "leaseTransitions": 3,
            "acquireTime": time, "renewTime": time,
        });
        self.world
            .cluster("main")
            .with(|store| {
                if store.get(Resource::Leases, NAMESPACE, NAME).is_some() {
                    return store.edit(Resource::Leases, NAMESPACE, NAME, "them", |lease| lease["spec"] = spec);
                }
                let lease = json!({"metadata": {"name": NAME}, "spec": spec});
                store.create(Resource::Leases, NAMESPACE, lease, &WriteOptions::by("them")).map(|made| made.object)
            })
            .expect("a Lease");
    }

    /// The holder `them` releases the lock.
    fn freed_by_them(&self) {
        let free = |lease: &mut Value| lease["spec"]["holderIdentity"] = json!("");
        self.world
            .cluster("main")
            .with(|store| store.edit(Resource::Leases, NAMESPACE, NAME, "them", free))
            .expect("one");
    }

    /// The verbs of the requests for Leases.
    fn asked(&self) -> Vec<String> {
        let log = self.world.cluster("main").gate().log();
        log.into_iter().filter(|record| record.call.resource == "leases").map(|record| record.call.verb).collect()
    }

    fn deny_leases(&self, verb: &str) {
        let what = Match::on(verb, "leases");
        self.world.cluster("main").gate().fault(Stage::Before, what, Fault::Deny, None);
    }

    /// Starts a run and stops it at this action of IAM, while it holds the lock. The request does not get through.
    fn start_and_stay_at(&self, action: &str, arguments: &[&str]) -> Started {
        self.world.throttle(action);
        let mut line = vec!["--timeout", "30m"];
        line.extend(arguments);
        let mut run = self.start(&line);
        while self.world.requests(action).is_empty() {
            let ended = run.child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "it ended before it came to {action}: {ended:?}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        run
    }

    fn start(&self, arguments: &[&str]) -> Started {
        let mut line = vec!["apply", "--auto-approve", "--parallelism", "1"];
        line.extend(arguments);
        let mut child = self.bench.command(&line).spawn().expect("irsa starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        Started { child, stderr, said: String::new() }
    }
}

/// A run under way.
struct Started {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    said: String,
}

impl Started {
    /// Reads stderr until this text appears.
    #[track_caller]
    fn says(&mut self, text: &str) {
        while !self.said.contains(text) {
            let before = self.said.len();
            self.stderr.read_line(&mut self.said).expect("text");
            assert!(self.said.len() > before, "`{text}` was not said: {}", self.said);
        }
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }

    /// Waits for the run to end with `code`. Returns everything that it printed.
    #[track_caller]
    fn ends(mut self, code: i32) -> String {
        self.stderr.read_to_string(&mut self.said).expect("text");
        let Output { status, stdout, .. } = self.child.wait_with_output().expect("irsa ends");
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), self.said);
        assert_eq!(status.code(), Some(code), "{said}");
        said
    }
}

#[test]
fn lock_is_held_during_writes_and_released_after() {
    let scene = Scene::locked(&role("app"));
    scene.bench.ends(0, &["validate"]);
    scene.bench.ends(0, &["plan"]);
    scene.bench.ends(2, &["drift", "--confirm-after", "0s"]);
    assert_eq!(scene.asked(), [""; 0], "only apply takes it");
    let (reached, release) = scene.world.hold("CreateRole");
    let run = scene.start(&[]);
    reached.recv().expect("a CreateRole was sent");
    let spec = scene.spec();
    let holder = spec["holderIdentity"].as_str().expect("a holder").to_owned();
    let parts: Vec<&str> = holder.split('/').collect();
    assert_eq!((parts.len(), parts[1]), (3, run.child.id().to_string().as_str()), "{holder}");
    assert_eq!((&spec["leaseDurationSeconds"], &spec["leaseTransitions"]), (&json!(60), &json!(0)));
    let time =
        |field: &str| spec[field].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("a time");
    let age = jiff::Timestamp::now().duration_since(time("renewTime"));
    assert!((0..120).contains(&age.as_secs()), "{spec}");
    assert!(time("acquireTime") <= time("renewTime"));
    release.send(()).expect("the sandbox listens");
    run.ends(0);
    let spec = scene.spec();
    assert_eq!((scene.holder().as_str(), &spec["leaseDurationSeconds"]), ("", &json!(1)));
    // a run with nothing to write does not take the lock
    scene.world.cluster("main").gate().forget();
    scene.bench.ends(0, &["apply", "--auto-approve"]).says("No changes.");
    assert_eq!(scene.asked(), [""; 0]);
    // the next run counts as another holder
    scene.declare(&format!("{LOCK}{}description = \"new\"\n", role("app")));
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    assert_eq!((scene.holder().as_str(), &scene.spec()["leaseTransitions"]), ("", &json!(1)));
}

#[test]
fn apply_is_refused_while_another_run_holds_the_lock() {
    let scene = Scene::locked(&role("app"));
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    scene.held_by_them(60, 0);
    let before = scene.lease();
    for line in
        [&["apply", "--auto-approve"][..], &["apply", "plan.json"], &["apply", "plan.json", "--lock-timeout", "2s"]]
    {
        let run = scene.bench.ends(4, line);
        run.says("Lease `kube-system/irsa-me` in cluster `main`")
            .says("held by `them` since 20")
            .says("nothing was written (locked)");
        run.says("--lock-timeout 5m").says("`--no-lock`");
    }
    assert!(scene.world.writes().is_empty());
    // plan needs no lock
    scene.bench.ends(0, &["plan"]);
    scene.bench.ends(64, &["apply", "--no-lock", "--lock-timeout", "5m"]);
    scene.bench.ends(0, &["apply", "plan.json", "--no-lock"]);
    assert!(scene.someone.has_role("app"));
    assert_eq!(scene.lease(), before, "it was left alone");
}

#[test]
fn lease_without_duration_is_reported_as_set_by_hand() {
    let scene = Scene::locked(&role("app"));
    scene.held_by_them(60, 86_400);
    let endless = |lease: &mut Value| {
        lease["spec"].as_object_mut().expect("a spec").remove("leaseDurationSeconds");
    };
    scene
        .world
        .cluster("main")
        .with(|store| store.edit(Resource::Leases, NAMESPACE, NAME, "them", endless))
        .expect("one");
    scene.bench.ends(4, &["apply", "--auto-approve"]).says("without an expiry").says("by hand");
    assert_eq!(scene.holder(), "them");
}

#[test]
fn expired_lock_is_taken_over() {
    let scene = Scene::locked(&role("app"));
    scene.held_by_them(60, 3_600);
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    assert!(scene.someone.has_role("app"));
    assert_eq!((scene.holder().as_str(), &scene.spec()["leaseTransitions"]), ("", &json!(4)));
}

#[test]
fn second_run_waits_for_the_first() {
    let scene = Scene::locked(&role("app"));
    let first = scene.start_and_stay_at("CreateRole", &[]);
    let pid = first.child.id();
    scene.bench.ends(4, &["apply", "--auto-approve"]).says(&format!("/{pid}/"));
    let mut second = scene.start(&["--lock-timeout", "30m"]);
    second.says("waiting");
    assert!(second.said.contains(&format!("/{pid}/")), "{}", second.said);
    scene.world.allow_all();
    first.ends(0);
    let said = second.ends(0);
    assert!(said.contains("was already as planned"), "{said}");
    assert_eq!(scene.world.requests("AttachRolePolicy").len(), 1, "nothing is written twice");
    assert_eq!((scene.holder().as_str(), &scene.spec()["leaseTransitions"]), ("", &json!(1)));
    scene.bench.converges();
}

#[test]
fn plan_is_stale_if_the_awaited_run_changed_something() {
    let scene = Scene::locked(&role("app"));
    scene.bench.converges();
    scene.declare(&format!("{LOCK}{}tags = {{ team = \"ours\" }}\n", role("app")));
    scene.held_by_them(600, 0);
    let mut run = scene.start(&["--lock-timeout", "30m"]);
    run.says("waiting");
    scene.someone.tag_role("app", "team", "theirs");
    scene.world.clear_log();
    scene.freed_by_them();
    let said = run.ends(5);
    assert!(said.contains("the plan is stale: another run held the lock") && said.contains("role/app"), "{said}");
    assert!(scene.world.writes().is_empty());
    assert_eq!(scene.holder(), "", "it is given back after an error");
}

#[test]
fn lock_of_a_killed_run_delays_the_next_run_only_briefly() {
    let scene = Scene::locked(&format!("duration = \"15s\"\n{}", role("app")));
    let (reached, release) = scene.world.hold("CreateRole");
    let mut killed = scene.start(&[]);
    reached.recv().expect("a CreateRole was sent");
    killed.child.kill().expect("it can be killed");
    killed.child.wait().expect("it ends");
    drop(release);
    let pid = killed.child.id();
    assert!(scene.holder().contains(&format!("/{pid}/")), "nobody gave it back");
    scene.bench.ends(4, &["apply", "--auto-approve"]).says(&format!("/{pid}/")).says("--lock-timeout");
    // the wait lasts as long as the Lease goes without renewal while irsa watches it, whatever the clocks say
    scene.bench.ends(0, &["apply", "--auto-approve", "--lock-timeout", "30m"]).says("waiting");
    assert_eq!((scene.holder().as_str(), &scene.spec()["leaseTransitions"]), ("", &json!(1)));
    scene.bench.converges();
}

#[test]
fn run_that_loses_the_lock_stops_writing() {
    for stolen in [true, false] {
        let scene = Scene::locked(&format!("duration = \"30s\"\n{}{}", role("app"), role("other")));
        let mut run = scene.start_and_stay_at("CreateRole", &["--format", "json"]);
        if stolen {
            scene.held_by_them(60, 0);
        } else {
            scene.world.cluster("main").gate().fault(Stage::Before, Match::on("update", "leases"), Fault::Hang, None);
        }
        run.says("the lock was lost");
        scene.world.cluster("main").gate().heal();
        scene.world.allow_all();
        let said = run.ends(6);
        let why = if stolen { "`them` holds it now" } else { "it could not be renewed in time: " };
        assert!(said.contains(&format!("\"lock-lost\": \"{why}")), "{said}");
        assert!(said.contains("\"why\": \"the lock was lost\""), "{said}");
        let writes: BTreeSet<String> = scene.world.writes().into_iter().collect();
        let roles: Vec<&String> = writes.iter().filter(|write| !write.starts_with("CreateOpenIDConnect")).collect();
        assert_eq!(roles.len(), 1, "only the one that was under way: {writes:?}");
        assert_eq!(scene.holder(), if stolen { "them" } else { "" }, "only one's own is given back");
        if stolen {
            scene.freed_by_them();
        }
        scene.bench.converges();
    }
}

#[test]
fn lock_is_released_after_signals_and_errors() {
    let scene = Scene::locked(&format!("{}{}", role("app"), role("other")));
    let (reached, release) = scene.world.hold("CreateRole");
    let mut run = scene.start(&[]);
    reached.recv().expect("a CreateRole was sent");
    run.signal("TERM");
    run.says("interrupted");
    release.send(()).expect("the sandbox listens");
    run.ends(143);
    assert_eq!(scene.holder(), "");
    scene.world.allow_all();
    scene.world.deny("AttachRolePolicy");
    scene.bench.ends(6, &["apply", "--auto-approve"]);
    assert_eq!(scene.holder(), "");
    scene.world.allow_all();
    // a signal ends the wait, and the other holder keeps the lock
    scene.held_by_them(600, 0);
    scene.world.clear_log();
    let mut run = scene.start(&["--lock-timeout", "30m"]);
    run.says("waiting");
    run.signal("INT");
    assert!(run.ends(130).contains("nothing was written"));
    assert!(scene.world.writes().is_empty());
    assert_eq!(scene.holder(), "them");
}

#[test]
fn missing_lease_permission_is_reported_with_the_rbac_rule_to_add() {
    for verb in ["get", "create", "update"] {
        let scene = Scene::locked(&role("app"));
        if verb == "update" {
            scene.held_by_them(60, 3_600);
        }
        scene.deny_leases(verb);
        let run = scene.bench.ends(1, &["apply", "--auto-approve"]);
        run.says(&format!("{verb} Lease: Forbidden")).says("`get`, `create` and `update` on `leases`");
        run.says("namespace `kube-system` of cluster `main`").says("nothing was written");
        assert!(scene.world.writes().is_empty());
        scene.bench.ends(0, &["apply", "--auto-approve", "--no-lock"]);
    }
    let scene = Scene::locked(&format!("namespace = \"nowhere\"\n{}", role("app")));
    scene.bench.ends(1, &["apply", "--auto-approve"]).says("create namespace `nowhere` in cluster `main` first");
    assert!(scene.world.writes().is_empty());
}
