//! A sandbox with irsa's objects before a change, and a run that is judged.

use crate::support::given::{OtherPeople, document_with_list};
use crate::support::judge::{ACCOUNTS, Moment, Roles, Trail, all_roles};
use crate::support::program::{Bench, Run};
use crate::support::world::{FIRST, World, create_namespaces_in};
use irsa_sandbox::aws::{Fault, Match};
use irsa_sandbox::gate::Stage;
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use serde_json::Value;
use std::time::Duration;

/// The owner, the guards and the first cluster.
pub(super) const HEAD: &str =
    "owner = \"order\"\n[guard]\nmax-change-percent = 100\nmax-delete = 50\n[clusters.main]\nregion = \"eu-west-1\"\n";

/// One call at a time, and the default number of parallel calls.
pub(super) const PARALLEL: [&str; 2] = ["1", "10"];

/// How long a call is delayed: many times as long as irsa needs for its next call.
const HELD: Duration = Duration::from_millis(150);

/// A sandbox with the clusters `main` and `second` in one account, and a folder with `irsa.toml`.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) bench: Bench,
}

/// A run, and the judge's findings.
pub(super) struct Judged {
    pub(super) run: Run,
    pub(super) before: Roles,
    pub(super) after: Roles,
    pub(super) moments: Vec<Moment>,
    /// Access that somebody had at some moment, and has neither before nor after the run.
    pub(super) broken: Vec<String>,
    /// Access that somebody lost for a moment, and has before and after the run.
    pub(super) dips: Vec<String>,
}

impl Scene {
    /// A scene in which this configuration is applied.
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

    /// Applies the configuration. A boundary that is created together with its role may need a second run.
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

    /// Calls IAM as somebody else.
    #[track_caller]
    pub(super) fn iam(&self, action: &str, fields: &[(&str, &str)]) {
        self.world.with(|sandbox| OtherPeople { sandbox, account: FIRST }.call(action, fields));
    }

    /// Creates a managed policy of somebody else, with one statement.
    pub(super) fn foreign(&self, name: &str, effect: &str, action: &str) {
        self.world.with(|sandbox| {
            OtherPeople { sandbox, account: FIRST }.create_policy(name, &document_with_list(effect, action));
        });
    }

    /// Attaches a policy to a role, as somebody else.
    pub(super) fn attach(&self, role: &str, arn: &str) {
        self.world.with(|sandbox| OtherPeople { sandbox, account: FIRST }.attach(role, arn));
    }

    /// Tags a role, as somebody else.
    pub(super) fn tag(&self, role: &str, key: &str, value: &str) {
        self.world.with(|sandbox| OtherPeople { sandbox, account: FIRST }.tag_role(role, key, value));
    }

    /// Delays every call of this action.
    pub(super) fn hold_up(&self, action: &str) {
        self.world.fault(Stage::Before, Match::on("iam", action), Fault::Delay(HELD), None);
    }

    pub(super) fn roles(&self) -> Roles {
        self.world.with(|sandbox| all_roles(sandbox, &ACCOUNTS))
    }

    /// The roles after an apply of the declared configuration. Restores the state afterwards.
    #[track_caller]
    pub(super) fn declared(&self) -> Roles {
        let snapshot = self.world.with(|sandbox| sandbox.snapshot());
        self.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
        let roles = self.roles();
        self.world.with(|sandbox| sandbox.restore(&snapshot));
        roles
    }

    /// Applies, and judges by the state before and the state after the run.
    pub(super) fn apply(&self, arguments: &[&str]) -> Judged {
        self.judged(None, &[&["apply", "--auto-approve"], arguments].concat())
    }

    /// Applies, and judges by the state before and the declared state.
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

/// The notes of a plan by this rule, each with its address and text.
pub(super) fn notes(plan: &Value, rule: &str) -> Vec<String> {
    let notes = plan["notes"].as_array().into_iter().flatten().filter(|note| note["rule"] == rule);
    notes.map(|note| format!("{}: {}", note["address"].as_str().unwrap_or_default(), note["text"])).collect()
}

/// The live tags of a role, policy or provider.
pub(super) fn tags(scene: &Scene, kind: &str, name: &str) -> Value {
    scene.world.with(|sandbox| sandbox.iam(FIRST, |iam| iam.snapshot()))[kind][name]["tags"].clone()
}
