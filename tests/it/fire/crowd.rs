//! Two runs of irsa and a person with a console change the same objects at the same time. A seed decides the order of
//! all requests.
//!
//! Whatever the order, objects of others stay untouched, and once the others have stopped, one run converges. If both
//! runs apply the same configuration, nobody gains access for a moment: as a role that the person leaves alone, nobody
//! may do what they may do neither before nor after. Runs with different configurations undo each other's changes, so
//! this guarantee cannot hold for both. IAM has no compare-and-swap: irsa cannot see a change that lands between its
//! last read of an object and its write. The test counts those changes; every other violation is a failure.
//! `IRSA_TEST_SEEDS` sets the number of seeds, `IRSA_TEST_SEED` repeats one.

use super::order::{Admitted, Order, Step};
use crate::support::given::{self, document, ec2_trust};
use crate::support::inside::{self, Inside};
use crate::support::judge::{ACCOUNTS, Law, all_roles, roles as judged};
use crate::support::program::tell;
use crate::support::world::{FIRST, create_namespace};
use irsa_sandbox::kubernetes::{Preconditions, Resource};
use irsa_sandbox::{ClusterSpec, SandboxOptions, Snapshot};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The number of seeds without `IRSA_TEST_SEEDS`.
const SEEDS: u64 = 1_000;

const OLDER: &str = r#"
[policies.read]
statements = [{ actions = ["sqs:ReceiveMessage"], resources = ["*"] }]
[policies.limits]
statements = [{ actions = ["sqs:*", "s3:*"], resources = ["*"] }]
[roles.kept]
service-accounts = ["shop/kept", "shop/leaves"]
attach = ["read"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/crowd/limits"
[roles.kept.inline.own]
statements = [
  { actions = ["s3:GetObject", "dynamodb:GetItem"], resources = ["*"] },
  { effect = "Deny", actions = ["s3:DeleteObject"], resources = ["*"] },
]
[roles.gone]
service-accounts = ["shop/gone"]
attach = ["read", "limits"]
"#;

const NEWER: &str = r#"
[policies.read]
statements = [
  { actions = ["sqs:ReceiveMessage", "s3:*"], resources = ["*"] },
  { effect = "Deny", actions = ["s3:ListBucket"], resources = ["*"] },
]
[policies.limits]
statements = [{ actions = ["sqs:*", "s3:*", "dynamodb:*"], resources = ["*"] }]
[policies.guard]
statements = [{ effect = "Deny", actions = ["s3:Delete*"], resources = ["*"] }]
[roles.kept]
service-accounts = ["shop/kept", "shop/more"]
description = "newer"
attach = ["read", "guard"]
tags = { stage = "newer" }
max-session-duration = "2h"
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/crowd/limits"
[roles.kept.inline.own]
statements = [{ actions = ["s3:PutObject"], resources = ["*"] }]
[roles.new]
service-accounts = ["shop/new"]
attach = ["read", "limits"]
"#;

const ROLES: [&str; 3] = ["kept", "gone", "new"];

struct Crowd {
    inside: Inside,
    start: Snapshot,
    wanted: BTreeMap<String, Value>,
    law: Arc<Law>,
}

impl Crowd {
    async fn gather() -> Self {
        let clusters = vec![ClusterSpec::new("main", FIRST, "eu-west-1").with_namespaces(&["shop"])];
        let inside = Inside::start(SandboxOptions { clusters, ..SandboxOptions::empty() }).await;
        let head = given::head("crowd", &[("main", "one", "eu-west-1")]);
        inside.write("older.toml", &format!("{head}{OLDER}"));
        inside.write("newer.toml", &format!("{head}{NEWER}"));
        inside.sandbox.cluster("main").with(|store| create_namespace(store, "shop"));
        let person = Person { inside: &inside, touched: Arc::default() };
        person.make_role("foreign");
        person.iam(
            "PutRolePolicy",
            &[("RoleName", "foreign"), ("PolicyName", "own"), ("PolicyDocument", &document("Allow", "s3:*"))],
        );
        person.iam("CreatePolicy", &[("PolicyName", "foreign"), ("PolicyDocument", &document("Allow", "ec2:*"))]);
        // the boundary must exist before the role that it bounds
        for only in ["policy/*", "*"] {
            let ended = inside.irsa(1, "older.toml", &["apply", "--auto-approve", "--only", only]).await;
            assert_eq!(ended.code, 0, "{ended}");
        }
        let start = inside.sandbox.snapshot();
        let before = all_roles(&inside.sandbox, &ACCOUNTS);
        let ended = inside.irsa(1, "newer.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        let wanted = ours(&inside);
        let law = Arc::new(Law::of(vec![before, all_roles(&inside.sandbox, &ACCOUNTS)]));
        Self { inside, start, wanted, law }
    }
}

fn roles(inside: &Inside) -> Value {
    inside.sandbox.iam(FIRST, |iam| iam.snapshot())["roles"].clone()
}

/// The fields of our objects that must match in the end.
fn ours(inside: &Inside) -> BTreeMap<String, Value> {
    let iam = inside.sandbox.iam(FIRST, |iam| iam.snapshot());
    let mut all = BTreeMap::new();
    for name in ROLES {
        all.insert(format!("role {name}"), iam["roles"][name].clone());
    }
    inside.sandbox.cluster("main").with(|store| {
        for name in ["kept", "more", "gone", "new"] {
            let object = store.get(Resource::ServiceAccounts, "shop", name);
            let role = object.map(|object| object["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].clone());
            // an undeclared ServiceAccount may name any role except one of ours
            let ours = role.filter(|role| role.as_str().is_some_and(|arn| arn.contains("/irsa/crowd/")));
            all.insert(format!("ServiceAccount {name}"), json!(ours));
        }
    });
    all
}

fn others(inside: &Inside) -> Value {
    let iam = inside.sandbox.iam(FIRST, |iam| iam.snapshot());
    json!([iam["roles"]["foreign"], iam["policies"]["foreign"], iam["users"]])
}

fn owner(roles: &Value, name: &str) -> Option<String> {
    let role = roles.get(name).filter(|role| role.is_object())?;
    Some(role["tags"]["irsa/owner"].as_str().unwrap_or_default().to_owned())
}

/// A person who changes objects by hand.
struct Person<'a> {
    inside: &'a Inside,
    /// The roles that this person has changed.
    touched: Arc<Mutex<BTreeSet<String>>>,
}

impl Person<'_> {
    /// Calls IAM. A failure means that somebody else has changed the object meanwhile, which is fine.
    fn iam(&self, action: &str, fields: &[(&str, &str)]) {
        let _ = self.inside.sandbox.iam_call(FIRST, action, fields);
    }

    fn make_role(&self, name: &str) {
        self.iam("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &ec2_trust())]);
    }

    fn delete_role(&self, name: &str) {
        let role = roles(self.inside)[name].clone();
        for (policy, _) in role["inline"].as_object().into_iter().flatten() {
            self.iam("DeleteRolePolicy", &[("RoleName", name), ("PolicyName", policy)]);
        }
        for arn in role["attached"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.iam("DetachRolePolicy", &[("RoleName", name), ("PolicyArn", arn)]);
        }
        self.iam("DeleteRole", &[("RoleName", name)]);
    }

    fn tag(&self, name: &str, key: &str, value: &str) {
        self.iam("TagRole", &[("RoleName", name), ("Tags.member.1.Key", key), ("Tags.member.1.Value", value)]);
    }

    /// Does one random change. Returns the role if the change gave it to another owner.
    fn act(&self, random: &mut fastrand::Rng) -> Option<&'static str> {
        let name = ROLES[random.usize(..ROLES.len())];
        self.touched.lock().expect("nobody fails while holding it").insert(format!("{FIRST}/{name}"));
        match random.u8(..12) {
            0 => self.iam(
                "AttachRolePolicy",
                &[("RoleName", name), ("PolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess")],
            ),
            1 => {
                let inline = [
                    ("RoleName", name),
                    ("PolicyName", "own"),
                    ("PolicyDocument", &document("Allow", "s3:DeleteObject")),
                ];
                self.iam("PutRolePolicy", &inline);
            }
            2 => self.iam("DeleteRolePolicy", &[("RoleName", name), ("PolicyName", "own")]),
            3 => self.tag(name, "by", "hand"),
            4 => self.tag("foreign", "changed", &random.u32(..).to_string()),
            5 => {
                let inline = [
                    ("RoleName", "foreign"),
                    ("PolicyName", "own"),
                    ("PolicyDocument", &document("Allow", "ec2:RunInstances")),
                ];
                self.iam("PutRolePolicy", &inline);
            }
            6 => self.delete_role(name),
            7 => self.inside.sandbox.cluster("main").with(|store| {
                let role = "arn:aws:iam::111122223333:role/foreign";
                // an object that does not exist cannot be changed
                let _ = store.edit(Resource::ServiceAccounts, "shop", name, "kubectl-edit", |object| {
                    object["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] = json!(role);
                });
            }),
            8 => self.inside.sandbox.cluster("main").with(|store| {
                let _ = store.delete(Resource::ServiceAccounts, "shop", name, &Preconditions::default(), false);
            }),
            9 | 10 => {
                if owner(&roles(self.inside), name).is_some() {
                    self.tag(name, "irsa/owner", "somebody-else");
                    return Some(name);
                }
                self.make_role(name);
                return Some(name);
            }
            _ => {}
        }
        None
    }

    /// Undoes the person's changes: deletes each role that has one of our names and another owner.
    fn leave(&self) {
        for name in ROLES {
            if owner(&roles(self.inside), name).is_some_and(|owner| owner != "crowd") {
                self.delete_role(name);
            }
        }
    }
}

/// The result of one seed.
#[derive(Default)]
struct Outcome {
    wrong: Vec<String>,
    /// Writes to an object that somebody took over after irsa's last read of it.
    races: u64,
    writes: u64,
    trace: u64,
}

/// The role that a step is about.
fn role_of(step: &Step) -> Option<&str> {
    let name = step.object.rsplit('/').next()?;
    (ROLES.contains(&name) && !step.operation.contains(' ')).then_some(name)
}

/// Whether the actor has read the role after the other owner's tag was set.
fn has_looked(past: &[Step], actor: &str, role: &str, since: usize) -> bool {
    let tells = ["GetRole", "ListRoleTags", "GetAccountAuthorizationDetails"];
    past.iter().skip(since).any(|step| {
        step.actor == actor
            && !step.done
            && tells.contains(&step.operation.as_str())
            && (step.operation.starts_with("GetAccount") || role_of(step) == Some(role))
    })
}

async fn play(crowd: &Crowd, seed: u64) -> Outcome {
    let inside = &crowd.inside;
    inside.sandbox.restore(&crowd.start);
    let mut random = fastrand::Rng::with_seed(seed);
    let order = Arc::new(Order::default());
    let admitted = Arc::new(Admitted(Arc::clone(&order)));
    inside.sandbox.gate().admit_by(Some(Arc::clone(&admitted) as Arc<_>));
    let cluster = inside.sandbox.cluster("main");
    cluster.gate().admit_by(Some(admitted as Arc<_>));

    let second = if random.bool() { "newer.toml" } else { "older.toml" };
    let outcome = RefCell::new(Outcome::default());
    let expected = RefCell::new(others(inside));
    let taken: RefCell<BTreeMap<&'static str, usize>> = RefCell::default();
    let person = Person { inside, touched: Arc::default() };
    let broken = if second == "newer.toml" { witness(crowd, &person) } else { Arc::default() };
    // the share of steps before which the person acts, in thousandths
    let busy = [0, 2, 5, 10, 20, 50, 150][random.usize(..7)];
    let choose = |waiting: &[Step], past: &[Step]| {
        let mut outcome = outcome.borrow_mut();
        let now = others(inside);
        if now != *expected.borrow() {
            let text = format!("what belongs to others was changed: {now} was {}", expected.borrow());
            outcome.wrong.push(text);
        }
        if random.u16(..1000) < busy
            && let Some(role) = person.act(&mut random)
        {
            taken.borrow_mut().insert(role, past.len());
        }
        *expected.borrow_mut() = others(inside);
        let index = random.usize(..waiting.len());
        let step = &waiting[index];
        if step.write && !step.done {
            outcome.writes += 1;
            let role = role_of(step).filter(|_| !step.operation.starts_with("Create"));
            let owner = role.and_then(|role| owner(&roles(inside), role));
            if let (Some(role), Some(owner)) = (role, owner)
                && owner != "crowd"
            {
                let since = taken.borrow().get(role).copied().unwrap_or(0);
                if has_looked(past, &step.actor, role, since) {
                    let text =
                        format!("{} {} although `{role}` was seen to be `{owner}`'s", step.actor, step.operation);
                    outcome.wrong.push(text);
                } else {
                    outcome.races += 1;
                }
            }
        }
        index
    };
    let both = async {
        let run = |actor: &'static str, file: &'static str| async move {
            let ended = inside.irsa_as(actor, seed, file, &["apply", "--auto-approve"]).await;
            (actor, ended)
        };
        tokio::join!(run("first", "newer.toml"), run("second", second))
    };
    let ((_, one), (_, two)) = tokio::select! {
        () = order.run(choose) => unreachable!("it ends with the runs"),
        ended = both => ended,
    };
    inside.sandbox.gate().admit_by(None);
    cluster.gate().admit_by(None);
    inside.sandbox.witness(None);
    let mut outcome = outcome.into_inner();
    outcome.wrong.append(&mut broken.lock().expect("nobody fails while holding it"));
    for ended in [&one, &two] {
        if ![0, 1, 4, 6].contains(&ended.code) {
            outcome.wrong.push(format!("a run among others ended oddly: {ended}"));
        }
    }
    outcome.trace = trace(&order.past());
    settle(crowd, &person, &mut outcome).await;
    outcome
}

/// Records from now on the first violation of the guarantee by a role of ours that the person leaves alone.
fn witness(crowd: &Crowd, person: &Person<'_>) -> Arc<Mutex<Vec<String>>> {
    let broken: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, law, touched) = (Arc::clone(&broken), Arc::clone(&crowd.law), Arc::clone(&person.touched));
    crowd.inside.sandbox.witness(Some(Arc::new(move |written| {
        let mut kept = kept.lock().expect("nobody fails while holding it");
        if !kept.is_empty() {
            return;
        }
        let mut roles = judged(written.account, written.iam);
        let touched = touched.lock().expect("nobody fails while holding it");
        let ours = ROLES.map(|name| format!("{FIRST}/{name}"));
        roles.retain(|name, _| ours.contains(name) && !touched.contains(name));
        let found = law.broken(&roles);
        kept.extend(found.first().map(|grant| {
            format!("after {} {}, {grant} (and {} more)", written.action, written.object, found.len() - 1)
        }));
    })));
    broken
}

/// Once the others have stopped, one apply must leave nothing to do.
async fn settle(crowd: &Crowd, person: &Person<'_>, outcome: &mut Outcome) {
    let inside = &crowd.inside;
    person.leave();
    let expected = others(inside);
    let ended = inside.irsa(5, "newer.toml", &["apply", "--auto-approve", "--force-conflicts"]).await;
    if ended.code != 0 {
        outcome.wrong.push(format!("alone again, it does not converge: {ended}"));
    }
    let plan = inside.irsa(5, "newer.toml", &["plan", "--detailed-exitcode"]).await;
    if plan.code != 0 {
        outcome.wrong.push(format!("then the plan is not empty: {plan}"));
    }
    let is = ours(inside);
    if is != crowd.wanted {
        outcome.wrong.push(format!("what is live is not what was to be: {is:?}"));
    }
    if others(inside) != expected {
        outcome.wrong.push("the last run changed what belongs to others".to_owned());
    }
}

/// A hash of the order of steps (FNV-1a).
fn trace(past: &[Step]) -> u64 {
    past.iter()
        .flat_map(|step| format!("{}{}{}{}", step.actor, step.operation, step.object, step.done).into_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[derive(Default)]
struct Sum {
    seeds: u64,
    writes: u64,
    races: u64,
    orders: BTreeSet<u64>,
    failures: BTreeMap<u64, Vec<String>>,
}

fn work(next: &AtomicU64, from: u64, seeds: u64) -> Sum {
    inside::runtime().block_on(async {
        let crowd = Crowd::gather().await;
        let mut sum = Sum::default();
        loop {
            let index = next.fetch_add(1, Ordering::SeqCst);
            if index >= seeds {
                return sum;
            }
            let seed = from + index;
            let outcome = play(&crowd, seed).await;
            sum.seeds += 1;
            sum.writes += outcome.writes;
            sum.races += outcome.races;
            sum.orders.insert(outcome.trace);
            if !outcome.wrong.is_empty() {
                sum.failures.insert(seed, outcome.wrong);
            }
        }
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[test]
fn parallel_runs_and_manual_changes_do_no_harm_and_converge() {
    let (from, seeds) = match number("IRSA_TEST_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("IRSA_TEST_SEEDS").unwrap_or(SEEDS)),
    };
    let next = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let next = Arc::clone(&next);
            std::thread::spawn(move || work(&next, from, seeds))
        })
        .collect();
    let mut all = Sum::default();
    for thread in threads {
        let sum = thread.join().expect("a thread of the crowd");
        all.seeds += sum.seeds;
        all.writes += sum.writes;
        all.races += sum.races;
        all.orders.extend(sum.orders);
        all.failures.extend(sum.failures);
    }
    let Sum { seeds, writes, races, orders, failures } = all;
    tell(&format!(
        "crowd: {seeds} seeds, {} orders, {writes} writes, {races} to what was taken over since the last look",
        orders.len()
    ));
    let shown: Vec<String> = failures
        .iter()
        .take(5)
        .map(|(seed, wrong)| format!("== IRSA_TEST_SEED={seed}\n{}", wrong.join("\n")))
        .collect();
    assert!(failures.is_empty(), "{} of {seeds} seeds failed\n{}", failures.len(), shown.join("\n"));
}

#[test]
fn same_seed_gives_the_same_order_of_requests() {
    let traces = |_| {
        inside::runtime().block_on(async {
            let crowd = Crowd::gather().await;
            let mut traces = Vec::new();
            for seed in [3, 17, 99] {
                traces.push(play(&crowd, seed).await.trace);
            }
            traces
        })
    };
    assert_eq!(traces(0), traces(1));
}
