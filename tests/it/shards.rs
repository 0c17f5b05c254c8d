//! `--shard`: several runs divide a fleet. In parallel they create what one unsharded run creates, no two of them write
//! the same object, and none deletes what only an unsharded run may delete.

mod example;
mod simulation;

use crate::support::given::{self, OtherPeople, ec2_trust};
use crate::support::inside::{self, Ended, Inside};
use crate::support::program::Bench;
use crate::support::world::{FIRST, SECOND, create_namespace};
use futures::future::join_all;
use irsa_sandbox::kubernetes::Resource;
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const CLUSTERS: usize = 24;
const SHARDS: u64 = 4;

fn name(number: usize) -> String {
    format!("c{number:02}")
}

/// What the configuration of the fleet declares.
struct Declared {
    /// The clusters with `state = "gone"`.
    gone: Vec<usize>,
    /// The clusters whose own role is not declared.
    without: Vec<usize>,
    /// Whether the roles of several clusters keep only their first two clusters.
    narrow: bool,
    /// Whether the policy that only one role attaches is declared.
    alone: bool,
    /// The action that the shared policy allows.
    shared: &'static str,
}

const WHOLE: Declared =
    Declared { gone: Vec::new(), without: Vec::new(), narrow: false, alone: true, shared: "sqs:ReceiveMessage" };

impl Declared {
    fn text(&self) -> String {
        let mut text = format!(
            "{}{}[policies.shared]\nstatements = [{{ actions = [\"{}\"], resources = [\"*\"] }}]\n",
            given::head("fleet", &[]),
            given::second_account(),
            self.shared
        );
        if self.alone {
            text.push_str(
                "[policies.alone]\nstatements = [{ actions = [\"sqs:SendMessage\"], resources = [\"*\"] }]\n",
            );
        }
        for number in 0..CLUSTERS {
            let (account, region) = if number.is_multiple_of(2) { ("one", "eu-west-1") } else { ("two", "us-east-1") };
            let state = if self.gone.contains(&number) { "gone" } else { "active" };
            let cluster = name(number);
            let _ = write!(
                text,
                "[clusters.{cluster}]\naccount = \"{account}\"\nregion = \"{region}\"\nstate = \"{state}\"\n"
            );
            if self.without.contains(&number) {
                continue;
            }
            let attach = match number {
                0..=5 => "[\"shared\"]",
                7 if self.alone => "[\"alone\"]",
                _ => "[]",
            };
            let _ = write!(
                text,
                "[roles.own-{cluster}]\ncluster = \"{cluster}\"\nservice-accounts = [\"shop/app\"]\nattach = {attach}\n\
                 [roles.own-{cluster}.inline.own]\nstatements = [{{ actions = [\"s3:GetObject\"], resources = [\"*\"] }}]\n"
            );
        }
        for number in 0..6_usize {
            let account = if number.is_multiple_of(2) { "one" } else { "two" };
            let bound: Vec<String> = [0, 6, 12, 18].map(|more| name(number + more)).to_vec();
            let bound = if self.narrow { &bound[..2] } else { &bound[..] };
            let _ = write!(
                text,
                "[roles.wide-{number}]\naccount = \"{account}\"\nattach = [\"shared\"]\n\
                 [[service-accounts]]\nrole = \"wide-{number}\"\ncluster = {bound:?}\nnamespace = \"shop\"\nname = \"wide\"\n"
            );
        }
        text.push_str(
            "[roles.far]\naccount = \"two\"\n[roles.far.inline.own]\n\
             statements = [{ actions = [\"s3:ListBucket\"], resources = [\"*\"] }]\n\
             [[service-accounts]]\nrole = \"far\"\ncluster = [\"c00\", \"c01\", \"c13\"]\nnamespace = \"shop\"\nname = \"far\"\n",
        );
        text
    }
}

/// Clusters in two accounts, with an object of others in each.
async fn fleet() -> Inside {
    let spec = |number: usize| {
        let (account, region) = if number.is_multiple_of(2) { (FIRST, "eu-west-1") } else { (SECOND, "us-east-1") };
        ClusterSpec::new(&name(number), account, region)
    };
    let clusters = (0..CLUSTERS).map(spec).collect();
    let inside = Inside::start(SandboxOptions { clusters, access_roles: true, ..SandboxOptions::empty() }).await;
    for number in 0..CLUSTERS {
        inside.sandbox.cluster(&name(number)).with(|store| {
            create_namespace(store, "shop");
            let role = [("eks.amazonaws.com/role-arn", "arn:aws:iam::111122223333:role/foreign")];
            store.seed_service_account("shop", "foreign", &role, "someone").expect("a ServiceAccount");
        });
    }
    OtherPeople { sandbox: &inside.sandbox, account: FIRST }.create_role("foreign", &ec2_trust());
    inside
}

/// Runs a command in all shards at once.
async fn all(inside: &Inside, file: &str, command: &[&str]) -> Vec<Ended> {
    let runs = (0..SHARDS).map(|number| {
        let shard = format!("--shard={number}/{SHARDS}");
        async move {
            let mut line = command.to_vec();
            line.push(&shard);
            inside.irsa_as(&format!("shard{number}"), number, file, &line).await
        }
    });
    join_all(runs).await
}

/// Applies in all shards at once until none has anything to do. Returns the number of rounds that wrote something.
async fn converge(inside: &Inside, file: &str, most: usize) -> usize {
    for round in 0..=most {
        let ended = all(inside, file, &["apply", "--auto-approve"]).await;
        for run in &ended {
            assert_eq!(run.code, 0, "{run}");
        }
        if ended.iter().all(|run| run.stdout.contains("No changes.")) {
            for run in &ended {
                assert!(!run.stdout.contains("for others"), "nothing waits in the end: {run}");
            }
            return round;
        }
    }
    panic!("after {most} rounds there still is something to do");
}

/// The whole live state: our objects and those of others.
fn view(inside: &Inside) -> BTreeMap<String, Value> {
    let mut view = BTreeMap::new();
    for account in [FIRST, SECOND] {
        let iam = inside.sandbox.iam(account, |iam| iam.snapshot());
        for (kind, objects) in iam.as_object().into_iter().flatten() {
            for (name, object) in objects.as_object().into_iter().flatten() {
                view.insert(format!("{account} {kind} {name}"), object.clone());
            }
        }
    }
    for number in 0..CLUSTERS {
        let cluster = name(number);
        inside.sandbox.cluster(&cluster).with(|store| {
            for object in store.all(Resource::ServiceAccounts) {
                let meta = &object["metadata"];
                let place = format!("{cluster} {}/{}", meta["namespace"], meta["name"]);
                view.insert(place, json!({"labels": meta["labels"], "annotations": meta["annotations"]}));
            }
        });
    }
    view
}

fn assert_same(is: &BTreeMap<String, Value>, wanted: &BTreeMap<String, Value>) {
    let keys: BTreeSet<&String> = is.keys().chain(wanted.keys()).collect();
    let wrong: Vec<String> = keys
        .into_iter()
        .filter(|key| is.get(*key) != wanted.get(*key))
        .map(|key| format!("{key}: {:?} should be {:?}", is.get(key), wanted.get(key)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The run that sent a request, taken from its user agent.
fn actor(user_agent: &str) -> String {
    let name = user_agent.split("app/").nth(1).unwrap_or_default();
    name.split_whitespace().next().unwrap_or_default().to_owned()
}

/// The objects that were written, and the runs that wrote them: for AWS since this log record, for Kubernetes since the
/// start.
fn writers(inside: &Inside, since: usize) -> BTreeMap<String, BTreeSet<String>> {
    let mut writers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in inside.sandbox.log().iter().skip(since).filter(|record| record.call.is_write()) {
        let object = &record.call.object;
        let object = object.split_once("oidc-provider/").map_or(object.as_str(), |(_, issuer)| issuer);
        let object = object.trim_start_matches("https://");
        let object = if object.starts_with("arn:") { object.rsplit('/').next().unwrap_or_default() } else { object };
        let place = format!("{} {object}", record.call.account);
        writers.entry(place).or_default().insert(actor(&record.call.user_agent));
    }
    for number in 0..CLUSTERS {
        let cluster = name(number);
        for record in inside.sandbox.cluster(&cluster).gate().log() {
            if record.call.is_write() {
                let place = format!("{cluster} {}/{}", record.call.namespace, record.call.name);
                writers.entry(place).or_default().insert(actor(&record.call.user_agent));
            }
        }
    }
    writers
}

#[test]
fn parallel_shards_create_the_same_state_as_one_unsharded_run() {
    inside::runtime().block_on(async {
        let inside = fleet().await;
        let start = inside.sandbox.snapshot();
        inside.write("fleet.toml", &WHOLE.text());
        let rounds = converge(&inside, "fleet.toml", 3).await;
        assert!(rounds >= 2, "something of one shard needs something of another: {rounds}");
        let made = view(&inside);
        let writers = writers(&inside, 0);
        assert!(writers.len() > 100, "{writers:?}");
        let several: Vec<_> = writers.iter().filter(|(_, actors)| actors.len() != 1).collect();
        assert!(several.is_empty(), "written by two shards: {several:?}");
        let actors: BTreeSet<&String> = writers.values().flatten().collect();
        assert_eq!(actors.len(), usize::try_from(SHARDS).expect("small"), "every shard has something: {actors:?}");

        let ended = inside.irsa(9, "fleet.toml", &["plan", "--detailed-exitcode"]).await;
        assert_eq!(ended.code, 0, "one run over all finds nothing to do: {ended}");
        inside.sandbox.restore(&start);
        let ended = inside.irsa(9, "fleet.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert_same(&made, &view(&inside));
    });
}

#[test]
fn iam_objects_are_deleted_only_by_an_unsharded_run() {
    inside::runtime().block_on(async {
        let inside = fleet().await;
        inside.write("before.toml", &WHOLE.text());
        let ended = inside.irsa(9, "before.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        let since = inside.sandbox.log().len();
        let less = Declared { gone: vec![23], without: vec![0, 9, 23], narrow: true, alone: false, ..WHOLE };
        inside.write("after.toml", &less.text());
        converge(&inside, "after.toml", 2).await;

        let log = inside.sandbox.log();
        let written: BTreeSet<&str> = log
            .iter()
            .skip(since)
            .filter(|record| record.call.is_write())
            .map(|record| record.call.action.as_str())
            .collect();
        assert_eq!(
            written,
            BTreeSet::from(["DetachRolePolicy", "UpdateAssumeRolePolicy"]),
            "trust narrows, nothing goes"
        );
        let service_account = |cluster: &str, name: &str| {
            inside.sandbox.cluster(cluster).with(|store| store.service_account("shop", name).is_some())
        };
        assert!(!service_account("c00", "app"), "a ServiceAccount of the shard goes");
        assert!(!service_account("c12", "wide"));
        assert!(service_account("c23", "app"), "nobody talks to a cluster that is gone");
        let shared = writers(&inside, since);
        assert!(shared.values().all(|actors| actors.iter().filter(|actor| actor.starts_with("shard")).count() <= 1));
        let roles = |account| inside.sandbox.iam(account, |iam| iam.snapshot())["roles"].clone();
        assert!(roles(FIRST)["own-c00"].is_object() && roles(SECOND)["own-c09"].is_object());

        let ended = inside.irsa(9, "after.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert!(roles(FIRST)["own-c00"].is_null() && roles(SECOND)["own-c09"].is_null(), "{ended}");
        let second = inside.sandbox.iam(SECOND, |iam| iam.snapshot());
        assert!(second["policies"]["alone"].is_null() && second["roles"]["own-c23"].is_null());
        let ended = inside.irsa(9, "after.toml", &["plan", "--detailed-exitcode"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert_eq!(converge(&inside, "after.toml", 0).await, 0);
    });
}

#[test]
fn policy_shared_between_shards_is_changed_only_by_an_unsharded_run() {
    inside::runtime().block_on(async {
        let inside = fleet().await;
        inside.write("before.toml", &WHOLE.text());
        let ended = inside.irsa(9, "before.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        inside.write("after.toml", &Declared { shared: "sqs:*", ..WHOLE }.text());
        let since = inside.sandbox.log().len();
        let ended = all(&inside, "after.toml", &["apply", "--auto-approve"]).await;
        assert!(ended.iter().all(|run| run.code == 0), "{}", ended[0]);
        let waits: Vec<&Ended> = ended.iter().filter(|run| run.stdout.contains("policy/one/shared")).collect();
        assert_eq!(waits.len(), 1, "it is one shard's");
        assert!(waits[0].stdout.contains("a run without `--shard` changes it"), "{}", waits[0]);
        assert!(!inside.sandbox.log().iter().skip(since).any(|record| record.call.is_write()), "nothing was written");
        // drift still reports the change that this run leaves out
        let drift = all(&inside, "after.toml", &["drift"]).await;
        assert!(drift.iter().any(|run| run.code == 2 && run.stdout.contains("policy/one/shared")));
        assert!(drift.iter().all(|run| [0, 2].contains(&run.code)));
        let ended = inside.irsa(9, "after.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert!(all(&inside, "after.toml", &["drift"]).await.iter().all(|run| run.code == 0));
    });
}

#[test]
fn saved_plan_keeps_its_shard() {
    inside::runtime().block_on(async {
        let inside = fleet().await;
        inside.write("fleet.toml", &WHOLE.text());
        let file = inside.path("plan.json").display().to_string();
        let ended = inside.irsa(1, "fleet.toml", &["plan", "--shard=4/4", "-o", &file]).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert!(ended.stdout.contains("Shard 0/4"), "{ended}");
        let saved: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("a plan")).expect("JSON");
        assert_eq!(saved["options"]["shard"], "0/4");
        let planned: BTreeSet<String> = addresses(&saved["changes"]);
        let ended = inside.irsa(1, "fleet.toml", &["apply", &file]).await;
        assert_eq!(ended.code, 0, "{ended}");
        let ended = inside.irsa(1, "fleet.toml", &["plan", "--format=json"]).await;
        let left = addresses(&serde_json::from_str::<Value>(&ended.stdout).expect("JSON")["changes"]);
        assert!(planned.len() > 10 && planned.is_disjoint(&left), "all of the shard was made, and nothing else");
        let ended = inside.irsa(1, "fleet.toml", &["plan", "--shard=0/4"]).await;
        assert!(
            ended.stdout.contains("Plan: 0 to create") || ended.stdout.contains("Nothing to change yet."),
            "{ended}"
        );
        let whole = inside.irsa(1, "fleet.toml", &["plan", "--format=json"]).await;
        assert!(!whole.stdout.contains("\"shard\""), "a plan of everything has no such key: {whole}");
    });
}

#[test]
fn shard_reads_only_what_it_needs() {
    inside::runtime().block_on(async {
        let inside = fleet().await;
        inside.write("fleet.toml", &WHOLE.text());
        let ended = inside.irsa(9, "fleet.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        let since = inside.sandbox.log().len();
        let ended = all(&inside, "fleet.toml", &["plan"]).await;
        assert!(ended.iter().all(|run| run.code == 0 && run.stdout.contains("No changes.")), "{}", ended[0]);
        let mut readers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for number in 0..CLUSTERS {
            for record in inside.sandbox.cluster(&name(number)).gate().log() {
                let actor = actor(&record.call.user_agent);
                if actor.starts_with("shard") {
                    readers.entry(name(number)).or_default().insert(actor);
                }
            }
        }
        assert_eq!(readers.len(), CLUSTERS);
        assert!(readers.values().all(|actors| actors.len() == 1), "each cluster is one shard's: {readers:?}");
        let mut roles: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for record in inside.sandbox.log().into_iter().skip(since).filter(|record| record.call.action == "GetRole") {
            let actor = actor(&record.call.user_agent);
            roles.entry((record.call.account, record.call.object)).or_default().insert(actor);
        }
        assert!(roles.len() > CLUSTERS && roles.values().all(|actors| actors.len() == 1), "{roles:?}");
    });
}

fn addresses(list: &Value) -> BTreeSet<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item["address"].as_str().map(str::to_owned)).collect()
}

#[test]
fn shard_sends_no_request_to_accounts_without_its_objects() {
    inside::runtime().block_on(async {
        let clusters = vec![ClusterSpec::new("c00", FIRST, "eu-west-1"), ClusterSpec::new("c01", SECOND, "us-east-1")];
        let inside = Inside::start(SandboxOptions { clusters, access_roles: true, ..SandboxOptions::empty() }).await;
        let text = format!(
            "owner = \"fleet\"\n[accounts.one]\nid = \"{FIRST}\"\n[accounts.two]\nid = \"{SECOND}\"\n\
             assume-role = \"arn:aws:iam::{SECOND}:role/no-such-role\"\n\
             [clusters.c00]\naccount = \"one\"\nregion = \"eu-west-1\"\n\
             [clusters.c01]\naccount = \"two\"\nregion = \"us-east-1\"\n\
             [roles.a]\ncluster = \"c00\"\nservice-accounts = [\"default/app\"]\n\
             [roles.b]\ncluster = \"c01\"\nservice-accounts = [\"default/app\"]\n"
        );
        inside.write("fleet.toml", &text);
        let ended = inside.irsa(1, "fleet.toml", &["plan"]).await;
        assert_eq!(ended.code, 4, "account two cannot be used: {ended}");
        let (mut fine, mut incomplete, mut empty) = (0, 0, 0);
        for index in 0..7 {
            let ended = inside.irsa(1, "fleet.toml", &["plan", &format!("--shard={index}/7")]).await;
            match ended.code {
                0 if ended.stdout.contains("0 objects match") => empty += 1,
                0 if ended.stdout.contains("role/a") && !ended.text().contains("account/two") => fine += 1,
                4 if ended.text().contains("account/two") && !ended.stdout.contains("role/a") => incomplete += 1,
                _ => panic!("{ended}"),
            }
        }
        assert_eq!((fine, incomplete, empty), (1, 1, 5));
        let selected = inside.irsa(1, "fleet.toml", &["plan", "--shard=0/7", "--only=role/*"]).await;
        assert_ne!(selected.code, 64, "what another shard has is declared all the same: {selected}");
        let selected = inside.irsa(1, "fleet.toml", &["plan", "--shard=0/7", "--only=role/none"]).await;
        assert_eq!(selected.code, 64, "{selected}");
    });
}

#[test]
fn lock_can_be_in_a_cluster_of_another_shard() {
    inside::runtime().block_on(async {
        let inside = fleet().await;
        inside.write("fleet.toml", &format!("{}\n[lock]\ncluster = \"c02\"\n", WHOLE.text()));
        for index in 0..SHARDS {
            let shard = format!("--shard={index}/{SHARDS}");
            let ended = inside.irsa(index, "fleet.toml", &["apply", "--auto-approve", &shard]).await;
            assert_eq!(ended.code, 0, "{ended}");
        }
        let log = inside.sandbox.cluster("c02").gate().log();
        let taken = log.iter().filter(|record| record.call.resource == "leases" && record.call.is_write()).count();
        // each shard takes and releases the lock
        assert!(taken >= 8, "{taken}");
    });
}

#[test]
fn invalid_shard_is_a_usage_error() {
    let text = "owner = \"fleet\"\n[clusters.c]\n[roles.r]\nservice-accounts = [\"a/b\"]\n";
    let bench = Bench::with(BTreeMap::new(), text);
    for bad in ["", "1", "0/0", "3/2", "1/10001", "-1/2", "a/b"] {
        let shard = format!("--shard={bad}");
        for command in ["plan", "apply", "drift"] {
            let run = bench.ends(64, &[command, &shard]);
            assert!(run.stderr.contains("shard I of N") || bad.is_empty(), "{run}");
        }
    }
    let run = bench.ends(64, &["plan", "--shard=0/2", "--destroy"]);
    assert!(run.stderr.contains("hint: ") && run.stderr.contains("without `--shard`"), "{run}");
    bench.ends(64, &["apply", "--shard=0/2", "--destroy"]);
    bench.ends(64, &["validate", "--shard=0/2"]);
}
