//! A sandbox, irsa at the start of a change, and the run that is judged.

use crate::support::given::{OtherPeople, document};
use crate::support::judge::{ACCOUNTS, Moment, Roles, Trail, all_roles};
use crate::support::program::{Bench, Run};
use crate::support::world::{FIRST, World, create_namespaces_in};
use irsa_sandbox::aws::{Fault, Match};
use irsa_sandbox::gate::Stage;
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use serde_json::Value;
use std::time::Duration;

/// Owner, guards and the first cluster.
pub(super) const HEAD: &str =
    "owner = \"order\"\n[guard]\nmax-change-percent = 100\nmax-delete = 50\n[clusters.main]\nregion = \"eu-west-1\"\n";

/// One call at a time, and as many as by default.
pub(super) const PARALLEL: [&str; 2] = ["1", "10"];

/// How long a call is held up: many times as long as irsa needs for the next one.
const HELD: Duration = Duration::from_millis(150);

/// A sandbox with the clusters `main` and `second` of one account, and a folder with `irsa.toml`.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) bench: Bench,
}

/// A run, and what the judge says.
pub(super) struct Judged {
    pub(super) run: Run,
    pub(super) before: Roles,
    pub(super) after: Roles,
    pub(super) moments: Vec<Moment>,
    /// Who was given at some moment what they are given neither before nor in the end.
    pub(super) broken: Vec<String>,
    /// Who lost for a moment what they are given before and in the end.
    pub(super) dips: Vec<String>,
}

impl Scene {
    /// Where this is applied.
    pub(super) fn of(before: &str) -> Self {
        let scene = Self::empty();
        scene.declare(before);
        scene.settle();
        scene
    }

    pub(super) fn empty() -> Self {
        let cluster = |name: &str| ClusterSpec::new(name, FIRST, "eu-west-1");
        let clusters = vec![cluster("main"), cluster("second")];
        let world = World::of(SandboxOptions { clusters, ..SandboxOptions::empty() });
        for name in ["main", "second"] {
            create_namespaces_in(&world.cluster(name), &["apps"]);
        }
        let mut bench = Bench::new(world.environment());
        bench.set("IRSA_TEST_SPEED", "20");
        Self { world, bench }
    }

    pub(super) fn declare(&self, text: &str) {
        self.bench.write("irsa.toml", &format!("{HEAD}{text}"));
    }

    /// Applies what is declared; a boundary that is made with the role that it bounds may take a second run.
    #[track_caller]
    pub(super) fn settle(&self) {
        if self.bench.irsa(&["apply", "--auto-approve", "--deny", "none"]).code != 0 {
            self.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
        }
        self.is_settled();
    }

    #[track_caller]
    pub(super) fn is_settled(&self) {
        self.bench.ends(0, &["plan", "--detailed-exitcode", "--deny", "none"]).says("No changes.");
    }

    /// Something that somebody else does in IAM.
    #[track_caller]
    pub(super) fn iam(&self, action: &str, fields: &[(&str, &str)]) {
        self.world.with(|sandbox| OtherPeople { sandbox, account: FIRST }.call(action, fields));
    }

    /// Somebody makes a managed policy with one statement.
    pub(super) fn foreign(&self, name: &str, effect: &str, action: &str) {
        self.world.with(|sandbox| {
            OtherPeople { sandbox, account: FIRST }.create_policy(name, &document(effect, &[action]));
        });
    }

    /// Somebody attaches a policy to a role.
    pub(super) fn attach(&self, role: &str, arn: &str) {
        self.world.with(|sandbox| OtherPeople { sandbox, account: FIRST }.attach(role, arn));
    }

    /// Somebody tags a role.
    pub(super) fn tag(&self, role: &str, key: &str, value: &str) {
        self.world.with(|sandbox| OtherPeople { sandbox, account: FIRST }.tag_role(role, key, value));
    }

    /// Every call of this action is held up.
    pub(super) fn hold_up(&self, action: &str) {
        self.world.fault(Stage::Before, Match::on("iam", action), Fault::Delay(HELD), None);
    }

    pub(super) fn roles(&self) -> Roles {
        self.world.with(|sandbox| all_roles(sandbox, &ACCOUNTS))
    }

    /// What the declared configuration comes to; everything is as it was after this.
    #[track_caller]
    pub(super) fn declared(&self) -> Roles {
        let snapshot = self.world.with(|sandbox| sandbox.snapshot());
        self.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
        let roles = self.roles();
        self.world.with(|sandbox| sandbox.restore(&snapshot));
        roles
    }

    /// Applies, judged by what was before and what is in the end.
    pub(super) fn apply(&self, arguments: &[&str]) -> Judged {
        self.judged(None, &[&["apply", "--auto-approve"], arguments].concat())
    }

    /// Applies, judged by what was before and what is declared.
    pub(super) fn apply_toward(&self, declared: &Roles, arguments: &[&str]) -> Judged {
        self.judged(Some(declared), &[&["apply", "--auto-approve"], arguments].concat())
    }

    pub(super) fn judged(&self, declared: Option<&Roles>, line: &[&str]) -> Judged {
        let trail = self.world.with(|sandbox| Trail::begin(sandbox));
        let run = self.bench.irsa(&[line, &["--deny", "none"]].concat());
        let after = self.roles();
        let before = trail.before().clone();
        let end = declared.unwrap_or(&after);
        let broken = trail.broken(vec![before.clone(), end.clone()]);
        let dips = trail.dips(end);
        Judged { run, before, moments: trail.moments(), broken, dips, after }
    }

    /// The plan as JSON.
    pub(super) fn plan(&self, arguments: &[&str]) -> Value {
        self.bench.plan(&[&["--deny", "none"], arguments].concat())
    }
}

impl Judged {
    #[track_caller]
    pub(super) fn is_lawful(&self) -> &Self {
        let first = self.broken.first().map_or("", |line| line);
        assert!(self.broken.is_empty(), "{} grants are wider; {first}\n{}", self.broken.len(), self.run);
        self
    }

    #[track_caller]
    pub(super) fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.run.code, code, "{}", self.run);
        self
    }

    #[track_caller]
    pub(super) fn makes_nobody_dip(&self) -> &Self {
        let first = self.dips.first().map_or("", |line| line);
        assert!(self.dips.is_empty(), "{} grants dip; {first}\n{}", self.dips.len(), self.run);
        self
    }

    /// The writes to IAM, in the order in which they were carried out.
    pub(super) fn writes(&self) -> Vec<String> {
        self.moments.iter().map(Moment::what).collect()
    }

    #[track_caller]
    pub(super) fn writes_nothing(&self) -> &Self {
        assert!(self.moments.is_empty(), "{:?}\n{}", self.writes(), self.run);
        self
    }
}

/// The notes of a plan by this rule, with their addresses and texts.
pub(super) fn notes(plan: &Value, rule: &str) -> Vec<String> {
    let notes = plan["notes"].as_array().into_iter().flatten().filter(|note| note["rule"] == rule);
    notes.map(|note| format!("{}: {}", note["address"].as_str().unwrap_or_default(), note["text"])).collect()
}

/// The live tags of a role, policy or provider in an account's state.
pub(super) fn tags(scene: &Scene, kind: &str, name: &str) -> Value {
    scene.world.with(|sandbox| sandbox.iam(FIRST, |iam| iam.snapshot()))[kind][name]["tags"].clone()
}
