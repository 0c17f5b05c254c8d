//! Random configurations, each changed into a random next one. The real binary applies each change, and a judge checks
//! it after every call.
//!
//! The world has three roles, three policies of ours, four of others and one of AWS. The policies allow, deny or do
//! both, and serve as attachments and as boundaries. Also: inline policies, conditions on tags, session durations,
//! ServiceAccounts that are added, removed and moved, roles that are deleted and created again, manual attachments in
//! between, and calls that fail. A walk is a number of such steps and follows from its seed. `IRSA_TEST_SEEDS` sets the
//! number of walks, `IRSA_TEST_SEED` repeats one.

use super::scene::{Judged, Scene, notes};
use crate::support::given::document_with_list;
use crate::support::judge::{Law, Moment, smooth_order};
use crate::support::program::{refusals, tell};
use crate::support::world::FIRST;
use irsa_sandbox::Snapshot;
use irsa_sandbox::aws::{Call, Decision, Fault};
use irsa_sandbox::gate::{Admission, Stage};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The number of walks without `IRSA_TEST_SEEDS`, and the steps of a walk.
const SEEDS: u64 = 10;
const STEPS: usize = 8;
/// No step begins after this time, however slow the machine is.
const BOUND: Duration = Duration::from_secs(50);
/// The percentage of parts that stay the same from one step to the next.
const KEEP: u8 = 60;

const ACTIONS: [&str; 4] = ["s3:GetObject", "s3:PutObject", "s3:*", "sqs:SendMessage"];
const OURS: [&str; 3] = ["p", "q", "w"];
const ATTACHED: [&str; 8] = [
    "p",
    "q",
    "w",
    "arn:aws:iam::111122223333:policy/allows",
    "arn:aws:iam::111122223333:policy/denies",
    "arn:aws:iam::111122223333:policy/both",
    "aws:AmazonS3ReadOnlyAccess",
    "aws:AWSCompromisedKeyQuarantineV3",
];
const BOUNDARIES: [&str; 3] = [
    "arn:aws:iam::111122223333:policy/irsa/order/p",
    "arn:aws:iam::111122223333:policy/limits",
    "arn:aws:iam::111122223333:policy/both",
];

/// A statement: whether it allows, its action, and the value of the `team` tag that it requires.
type Statement = (bool, &'static str, Option<&'static str>);

#[derive(Debug, Clone, PartialEq)]
struct Role {
    accounts: BTreeSet<&'static str>,
    inline: BTreeMap<&'static str, Vec<Statement>>,
    attached: BTreeSet<&'static str>,
    boundary: Option<&'static str>,
    team: Option<&'static str>,
    hours: u8,
}

#[derive(Debug, Clone, PartialEq)]
struct Configuration {
    policies: Vec<Vec<Statement>>,
    roles: Vec<Option<Role>>,
    /// The role that has the ServiceAccount that moves.
    mover: usize,
}

fn one<T: Copy>(random: &mut fastrand::Rng, list: &[T]) -> T {
    list[random.usize(..list.len())]
}

fn statements(random: &mut fastrand::Rng) -> Vec<Statement> {
    let kind = random.u8(..4);
    (0..random.usize(1..3))
        .map(|_| {
            let allows = kind < 2 || (kind == 2 && random.bool());
            (allows, one(random, &ACTIONS), one(random, &[None, None, Some("a"), Some("b")]))
        })
        .collect()
}

fn some<T: Copy + Ord>(random: &mut fastrand::Rng, list: &[T], most: usize) -> BTreeSet<T> {
    (0..random.usize(..=most)).map(|_| one(random, list)).collect()
}

impl Role {
    fn new(random: &mut fastrand::Rng) -> Self {
        let mut accounts = some(random, &["x", "y", "z"], 2);
        accounts.insert(one(random, &["x", "y", "z"]));
        Self {
            accounts,
            inline: some(random, &["i", "j"], 2).into_iter().map(|name| (name, statements(random))).collect(),
            attached: some(random, &ATTACHED, 4),
            boundary: random.bool().then(|| one(random, &BOUNDARIES)),
            team: one(random, &[None, Some("a"), Some("b")]),
            hours: one(random, &[1, 1, 4]),
        }
    }

    /// The next role: each part stays the same or becomes a new random one.
    fn next(&self, random: &mut fastrand::Rng) -> Self {
        let new = Self::new(random);
        let mut keep = || random.u8(..100) < KEEP;
        let mut inline = self.inline.clone();
        for name in ["i", "j"] {
            if !keep() {
                inline.remove(name);
                inline.extend(new.inline.get_key_value(name).map(|(name, document)| (*name, document.clone())));
            }
        }
        Self {
            accounts: if keep() { self.accounts.clone() } else { new.accounts },
            inline,
            attached: if keep() { self.attached.clone() } else { new.attached },
            boundary: if keep() { self.boundary } else { new.boundary },
            team: if keep() { self.team } else { new.team },
            hours: if keep() { self.hours } else { new.hours },
        }
    }
}

impl Configuration {
    fn new(random: &mut fastrand::Rng) -> Self {
        Self {
            policies: OURS.map(|_| statements(random)).into(),
            roles: (0..3).map(|_| Some(Role::new(random))).collect(),
            mover: random.usize(..4),
        }
    }

    fn next(&self, random: &mut fastrand::Rng) -> Self {
        let mut next = self.clone();
        for policy in &mut next.policies {
            if random.u8(..100) >= KEEP {
                *policy = statements(random);
            }
        }
        for role in &mut next.roles {
            *role = match (&role, random.u8(..10)) {
                (Some(_), 0) | (None, 0..4) => None,
                (Some(role), _) => Some(role.next(random)),
                (None, _) => Some(Role::new(random)),
            };
        }
        if random.u8(..100) >= KEEP {
            next.mover = random.usize(..4);
        }
        next
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, policy) in OURS.iter().zip(&self.policies) {
            let _ = writeln!(text, "[policies.{name}]\nstatements = {}", shown(policy));
        }
        text.push_str("[roles.keeper]\ncluster = \"main\"\nattach = [\"p\", \"q\", \"w\"]\nservice-accounts = [\"apps/keeper\"]\n");
        for (number, role) in self.roles.iter().enumerate() {
            let Some(role) = role else { continue };
            let mut accounts: Vec<String> =
                role.accounts.iter().map(|name| format!("\"apps/r{number}-{name}\"")).collect();
            accounts.extend((self.mover == number).then(|| "\"apps/mover\"".to_owned()));
            let attached: Vec<String> = role.attached.iter().map(|name| format!("\"{name}\"")).collect();
            let _ = writeln!(
                text,
                "[roles.r{number}]\ncluster = \"main\"\nservice-accounts = [{}]\nattach = [{}]\n\
                 permissions-boundary = \"{}\"\nmax-session-duration = \"{}h\"\ntags = {{ {} }}",
                accounts.join(", "),
                attached.join(", "),
                role.boundary.unwrap_or("none"),
                role.hours,
                role.team.map(|team| format!("team = \"{team}\"")).unwrap_or_default()
            );
            for (name, document) in &role.inline {
                let _ = writeln!(text, "[roles.r{number}.inline.{name}]\nstatements = {}", shown(document));
            }
        }
        text
    }
}

fn shown(statements: &[Statement]) -> String {
    let list = statements.iter().map(|(allows, action, team)| {
        let effect = if *allows { "Allow" } else { "Deny" };
        let condition = team
            .map(|team| format!(", conditions = {{ StringEquals = {{ \"aws:PrincipalTag/team\" = \"{team}\" }} }}"));
        format!(
            "  {{ effect = \"{effect}\", actions = [\"{action}\"], resources = [\"*\"]{} }},\n",
            condition.unwrap_or_default()
        )
    });
    format!("[\n{}]", list.collect::<String>())
}

/// Delays every write by a random time, and denies one of them.
struct Shake {
    random: Mutex<fastrand::Rng>,
    writes: AtomicU64,
    denied: Option<u64>,
}

impl Admission<Call> for Shake {
    fn decide<'a>(&'a self, stage: Stage, call: &'a Call, _outcome: Option<u16>) -> Decision<'a> {
        let write = stage == Stage::Before && call.is_write();
        let fault = write.then(|| {
            if Some(self.writes.fetch_add(1, Ordering::SeqCst)) == self.denied {
                return Fault::Deny;
            }
            Fault::Delay(Duration::from_millis(self.random.lock().expect("nobody panics here").u64(..25)))
        });
        Box::pin(std::future::ready(fault))
    }
}

/// Changes an existing role by hand before a step.
fn by_hand(scene: &Scene, number: usize, random: &mut fastrand::Rng) -> String {
    let role = format!("r{number}");
    match random.u8(..4) {
        0 => {
            let arn = format!("arn:aws:iam::{FIRST}:policy/{}", one(random, &["denies", "both", "allows"]));
            scene.attach(&role, &arn);
            format!("somebody attaches {arn} to {role}")
        }
        1 => {
            let text = document_with_list(one(random, &["Allow", "Deny"]), one(random, &ACTIONS));
            scene.iam("PutRolePolicy", &[("RoleName", &role), ("PolicyName", "hand"), ("PolicyDocument", &text)]);
            format!("somebody puts {text} into {role}")
        }
        2 => {
            let team = one(random, &["a", "b"]);
            scene.tag(&role, "team", team);
            format!("somebody tags {role} with team = {team}")
        }
        _ => {
            scene.iam("UpdateRole", &[("RoleName", &role), ("MaxSessionDuration", "7200")]);
            format!("somebody gives {role} sessions of two hours")
        }
    }
}

#[derive(Default)]
struct Sum {
    steps: usize,
    refused: usize,
    failed: usize,
    writes: usize,
    /// Changes that widen access on the way, or do not converge.
    wrong: Vec<String>,
    /// Dips that the plan does not note, if no call was split and another order without dips exists.
    dips: Vec<String>,
}

impl Sum {
    fn add(&mut self, other: Self) {
        let Self { steps, refused, failed, writes, wrong, dips } = other;
        self.steps += steps;
        self.refused += refused;
        self.failed += failed;
        self.writes += writes;
        self.wrong.extend(wrong);
        self.dips.extend(dips);
    }
}

/// Whether some part was written more than once. A run does that when it splits a call.
fn is_split(moments: &[Moment]) -> bool {
    let mut parts = BTreeMap::new();
    for moment in moments {
        let kind = moment.action.trim_start_matches(|letter: char| letter.is_lowercase() || "PCDU".contains(letter));
        *parts.entry((kind, &moment.object, &moment.parts)).or_insert(0) += 1;
    }
    parts.values().any(|count| *count > 1)
}

/// Plays one step. Returns true if the change was applied, and what is wrong as the error.
fn step(scene: &Scene, random: &mut fastrand::Rng, sum: &mut Sum) -> Result<bool, String> {
    let plan = scene.plan(&[]);
    let refused = refusals(&plan);
    if !refused.is_empty() {
        sum.refused += 1;
        let judged = scene.apply(&[]);
        let nothing = judged.run.code == 4 && judged.moments.is_empty();
        return if nothing { Ok(false) } else { Err(format!("a refused plan is applied: {}", judged.run)) };
    }
    let noted = notes(&plan, "dips");
    let denied = (random.u8(..4) == 0).then(|| random.u64(..8));
    let start = scene.world.with(|sandbox| sandbox.snapshot());
    let shake = Shake { random: Mutex::new(random.fork()), writes: AtomicU64::new(0), denied };
    scene.world.with(|sandbox| sandbox.gate().admit_by(Some(Arc::new(shake))));
    let parallel = one(random, &["1", "10"]);
    let first = scene.apply(&["--parallelism", parallel]);
    scene.world.allow_all();
    sum.writes += first.moments.len();
    let mut runs = vec![first];
    if runs[0].run.code == 6 && denied.is_some() {
        sum.failed += 1;
        runs.push(scene.apply(&[]));
    }
    judge(scene, &start, &runs, &noted, sum)?;
    Ok(true)
}

/// Judges all runs of a step: by the state before the first run and the state after the last.
fn judge(scene: &Scene, start: &Snapshot, runs: &[Judged], noted: &[String], sum: &mut Sum) -> Result<(), String> {
    let (first, last) = (&runs[0], &runs[runs.len() - 1]);
    if last.run.code != 0 {
        return Err(format!("exit {}: {}", last.run.code, last.run));
    }
    let law = Law::of(vec![first.before.clone(), last.after.clone()]);
    for judged in runs {
        for (index, moment) in judged.moments.iter().enumerate() {
            if let Some(grant) = law.broken(&moment.roles).first() {
                let writes: Vec<String> = judged.moments[..=index].iter().map(Moment::what).collect();
                return Err(format!("wider after {}: {grant}\n{}", writes.join(", "), judged.run));
            }
        }
    }
    if let [only] = runs
        && let Some(dip) = only.dips.first()
        && noted.is_empty()
        && !is_split(&only.moments)
        && let Some(order) = other_order(scene, start, only)
    {
        sum.dips.push(format!("{dip}\nit need not be: {}\n{}", order.join(", "), only.run));
    }
    let plan = scene.bench.irsa(&["plan", "--detailed-exitcode", "--deny", "none"]);
    if plan.code == 0 { Ok(()) } else { Err(format!("then there is something left: {plan}")) }
}

/// Another order of the same writes in which nobody dips and no access is widened.
fn other_order(scene: &Scene, start: &Snapshot, judged: &Judged) -> Option<Vec<String>> {
    scene.world.with(|sandbox| {
        let now = sandbox.snapshot();
        let order = smooth_order(sandbox, start, &judged.moments, &judged.after);
        sandbox.restore(&now);
        order
    })
}

fn walk(seed: u64, begin: Instant, sum: &mut Sum) {
    let mut random = fastrand::Rng::with_seed(seed);
    let scene = Scene::empty();
    for (name, effect, action) in
        [("allows", "Allow", "s3:*"), ("denies", "Deny", "s3:Put*"), ("limits", "Allow", "s3:*")]
    {
        scene.foreign(name, effect, action);
    }
    let both = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["sqs:*", "s3:Get*"], "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:Put*", "Resource": "*"}]}"#;
    scene.iam("CreatePolicy", &[("PolicyName", "both"), ("PolicyDocument", both)]);
    let mut now = Configuration::new(&mut random);
    scene.declare(&now.text());
    scene.settle();
    for number in 0..STEPS {
        if begin.elapsed() > BOUND {
            return;
        }
        let role = random.usize(..3);
        let hand = (random.u8(..3) == 0 && now.roles[role].is_some()).then(|| by_hand(&scene, role, &mut random));
        let next = now.next(&mut random);
        scene.declare(&next.text());
        sum.steps += 1;
        match step(&scene, &mut random, sum) {
            Ok(true) => now = next,
            Ok(false) => scene.declare(&now.text()),
            Err(wrong) => {
                let hand = hand.unwrap_or_default();
                let (before, after) = (now.text(), next.text());
                sum.wrong.push(format!(
                    "== IRSA_TEST_SEED={seed}, step {number}: {wrong}\n--- before\n{before}--- {hand}\n--- after\n{after}"
                ));
                return;
            }
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Plays the walks once for all tests.
fn walks() -> &'static Sum {
    static WALKS: OnceLock<Sum> = OnceLock::new();
    WALKS.get_or_init(|| {
        let begin = Instant::now();
        let (from, seeds) = match number("IRSA_TEST_SEED") {
            Some(seed) => (seed, 1),
            None => (0, number("IRSA_TEST_SEEDS").unwrap_or(SEEDS)),
        };
        let next = AtomicU64::new(0);
        let all = Mutex::new(Sum::default());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::SeqCst);
                        if index >= seeds {
                            return;
                        }
                        let mut sum = Sum::default();
                        walk(from + index, begin, &mut sum);
                        all.lock().expect("no thread has failed here").add(sum);
                    }
                });
            }
        });
        let all = all.into_inner().expect("no thread has failed");
        tell(&format!(
            "write order: {} random changes in {seeds} walks, {} writes, {} refused, {} with a call that failed, in {:.0?}",
            all.steps,
            all.writes,
            all.refused,
            all.failed,
            begin.elapsed()
        ));
        all
    })
}

#[test]
fn random_changes_never_widen_access_on_the_way() {
    let Sum { steps, refused, wrong, .. } = walks();
    assert!(wrong.is_empty(), "{} walks fail\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused * 4 <= *steps, "{refused} of {steps} changes are refused");
}

#[test]
fn random_changes_have_no_unannounced_dip_that_another_order_avoids() {
    let dips = &walks().dips;
    assert!(dips.is_empty(), "{} changes make somebody dip, and no plan says so\n{}", dips.len(), dips.join("\n"));
}
