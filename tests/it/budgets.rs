//! Counts the requests of a run exactly. An upper limit would not notice that a saving was lost.
//!
//! The clock stands still, so that pacing costs no time. Only the last test uses sockets, because it reads what `-v`
//! prints.

use crate::support::inside::{self, Inside};
use crate::support::many::{self, Counts, counts};
use crate::support::program::{Bench, tell};
use crate::support::world::{FIRST, World};
use irsa_sandbox::aws::{Fault, Match};
use irsa_sandbox::gate::Stage;
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use std::time::Duration;

const CLUSTERS: [&str; 1] = ["main"];

/// The requests of every plan without changes, with one account and one cluster, whatever they hold.
const ALWAYS: [(&str, usize); 5] = [
    ("eks:DescribeCluster", 1),
    ("iam:GetOpenIDConnectProvider", 1),
    ("iam:ListOpenIDConnectProviders", 1),
    ("iam:ListPolicies", 1),
    ("sts:GetCallerIdentity", 1),
];

/// The further requests of many roles, in an account of up to a thousand roles.
const BULK: [(&str, usize); 3] =
    [("iam:GetAccountAuthorizationDetails", 1), ("iam:GetAccountSummary", 1), ("iam:ListRoles", 1)];

fn head(roles: usize) -> String {
    format!(
        "owner = \"many\"\n[accounts.one]\nid = \"{FIRST}\"\n[clusters.main]\naccount = \"one\"\nregion = \"eu-west-1\"\n\
         {}",
        many::roles(0..roles, "one", "main")
    )
}

fn sandbox() -> SandboxOptions {
    let clusters = vec![ClusterSpec::new("main", FIRST, "eu-west-1").with_namespaces(&["apps"])];
    SandboxOptions { clusters, ..SandboxOptions::empty() }
}

/// A sandbox after an apply of a configuration with this many roles.
async fn applied(roles: usize) -> Inside {
    let inside = Inside::start(sandbox()).await;
    many::strangers(&inside.sandbox, FIRST, 0..0);
    inside.write("irsa.toml", &head(roles));
    run(&inside, 0, &["apply", "--auto-approve"]).await;
    inside
}

/// Runs irsa and returns the requests that it sent.
async fn run(inside: &Inside, code: u8, arguments: &[&str]) -> (Counts, Counts) {
    many::forget(inside, &CLUSTERS);
    let ended = inside.irsa(1, "irsa.toml", arguments).await;
    assert_eq!(ended.code, code, "{ended}");
    (many::aws(inside), many::kubernetes(inside, "main"))
}

fn of(tables: &[&[(&str, usize)]]) -> Counts {
    counts(&tables.concat())
}

fn sum(asked: &(Counts, Counts)) -> usize {
    asked.0.values().chain(asked.1.values()).sum()
}

const PLAN: [&str; 2] = ["plan", "--detailed-exitcode"];

#[test]
fn plan_of_100_roles_and_100_service_accounts_takes_nine_requests() {
    inside::runtime().block_on(async {
        let inside = applied(100).await;
        let asked = run(&inside, 0, &PLAN).await;
        assert_eq!(asked.0, of(&[&ALWAYS, &BULK]));
        assert_eq!(asked.1, counts(&[("list serviceaccounts", 1)]));
        assert_eq!(sum(&asked), 9);
        // an apply with nothing to do and `drift` send the same requests
        assert_eq!(run(&inside, 0, &["apply", "--auto-approve"]).await, asked);
        assert_eq!(run(&inside, 0, &["drift"]).await, asked);
        // irsa does not ask the API server for its issuer if the kubeconfig names the server and CA that EKS names
        let text = head(100)
            .replace("region = \"eu-west-1\"\n", "region = \"eu-west-1\"\nkubernetes = { context = \"main\" }\n");
        inside.write("irsa.toml", &text);
        assert_eq!(run(&inside, 0, &PLAN).await, asked);
    });
}

#[test]
fn plan_of_1000_roles_takes_nine_requests_and_one_per_further_page() {
    inside::runtime().block_on(async {
        let inside = applied(1_000).await;
        let asked = run(&inside, 0, &PLAN).await;
        assert_eq!(asked.0, of(&[&ALWAYS, &BULK]));
        assert_eq!(asked.1, counts(&[("list serviceaccounts", 3)]), "a thousand, and those of every namespace");
        assert_eq!(sum(&asked), 11);
        many::strangers(&inside.sandbox, FIRST, 0..1_500);
        let asked = run(&inside, 0, &PLAN).await;
        let bulk = [("iam:GetAccountAuthorizationDetails", 1), ("iam:GetAccountSummary", 1), ("iam:ListRoles", 3)];
        // our roles are all on the first page, because of their names; irsa reads no page after that
        assert_eq!(asked.0, of(&[&ALWAYS, &bulk]));
        assert_eq!(sum(&asked), 13);
    });
}

#[test]
fn few_roles_in_a_crowded_account_are_read_one_by_one() {
    inside::runtime().block_on(async {
        let inside = applied(20).await;
        many::strangers(&inside.sandbox, FIRST, 0..4_980);
        let asked = run(&inside, 0, &PLAN).await;
        let single = [
            ("iam:GetRole", 20),
            ("iam:GetRolePolicy", 20),
            ("iam:ListAttachedRolePolicies", 20),
            ("iam:ListRolePolicies", 20),
            ("iam:ListRoles", 5),
        ];
        assert_eq!(asked.0, of(&[&ALWAYS, &single]));
        assert_eq!(asked.1, counts(&[("list serviceaccounts", 1)]));
        assert!(sum(&asked) <= 92, "{}", sum(&asked));
    });
}

#[test]
fn few_service_accounts_in_a_crowded_cluster_are_listed_by_label() {
    inside::runtime().block_on(async {
        let inside = applied(10).await;
        inside.sandbox.cluster("main").with(|store| {
            for number in 0..5_600 {
                store.seed_service_account("apps", &format!("other-{number:04}"), &[], "kubectl-create").unwrap();
            }
        });
        let asked = run(&inside, 0, &PLAN).await;
        assert_eq!(asked.1, counts(&[("list serviceaccounts", 2)]), "the first page, and ours");
        // somebody else made this ServiceAccount; it is declared now and has no label yet
        inside.write("irsa.toml", &head(10).replace("apps/s0", "apps/other-0000"));
        let asked = run(&inside, 2, &PLAN).await;
        assert_eq!(asked.1, counts(&[("get serviceaccounts", 1), ("list pods", 1), ("list serviceaccounts", 2)]));
        // before irsa deletes a role, it searches all 5,600 ServiceAccounts for references to it
        inside.write("irsa.toml", &head(9));
        let asked = run(&inside, 2, &PLAN).await;
        assert_eq!(asked.1, counts(&[("list pods", 1), ("list serviceaccounts", 14)]));
    });
}

#[test]
fn each_new_role_takes_three_writes_and_shares_the_verifying_reads() {
    inside::runtime().block_on(async {
        let inside = Inside::start(sandbox()).await;
        inside.write("irsa.toml", &head(100));
        let plan = run(&inside, 2, &PLAN).await;
        inside.dials.take_made(true);
        let asked = run(&inside, 0, &["apply", "--auto-approve"]).await;
        let mut beyond = asked.0.clone();
        for (operation, count) in &plan.0 {
            *beyond.get_mut(operation).expect("apply plans too") -= count;
        }
        beyond.retain(|_, count| *count > 0);
        let written = [
            ("iam:AttachRolePolicy", 100),
            ("iam:CreateOpenIDConnectProvider", 1),
            ("iam:CreateRole", 100),
            ("iam:GetOpenIDConnectProvider", 1),
            ("iam:PutRolePolicy", 100),
        ];
        // irsa reads everything that it wrote once more
        assert_eq!(beyond, of(&[&written, &BULK]));
        assert!(beyond.values().sum::<usize>() <= 330);
        let mut applied = plan.1.clone();
        applied.insert("apply serviceaccounts".to_owned(), 100);
        assert_eq!(asked.1, applied);
        let made = inside.dials.take_made(true);
        // ten requests run at once
        assert!(made <= 12, "{made} connections for {} requests", asked.1.values().sum::<usize>());
        assert_eq!(sum(&run(&inside, 0, &PLAN).await), 9);
        assert_eq!(inside.dials.take_made(true), 1, "a connection carries what comes one after the other");
    });
}

#[test]
fn plan_of_one_role_takes_three_round_trips() {
    inside::runtime().block_on(async {
        let way = Duration::from_millis(50);
        let inside = applied(1).await;
        inside.sandbox.gate().latency(way);
        many::forget(&inside, &CLUSTERS);
        let ended = inside.irsa(1, "irsa.toml", &PLAN).await;
        assert_eq!(ended.code, 0, "{ended}");
        tell(&format!("one role, {way:?} a round trip: {:?}", ended.took));
        assert_eq!(many::aws(&inside)["iam:GetRolePolicy"], 1);
        // first our identity, then the lists, then the role and the provider
        assert!(ended.took >= way * 3 && ended.took < way * 4, "{:?}", ended.took);
        // a provider without a declared cluster may be ours, so irsa also looks for roles that trust it
        let other = [("Url", "https://oidc.example.com/other"), ("ClientIDList.member.1", "sts.amazonaws.com")];
        inside.sandbox.iam_call(FIRST, "CreateOpenIDConnectProvider", &other).expect("a provider");
        let ended = inside.irsa(1, "irsa.toml", &PLAN).await;
        assert_eq!(ended.code, 0, "{ended}");
        assert!(ended.took >= way * 4 && ended.took < way * 5, "{:?}", ended.took);
    });
}

/// Two configurations: one declares an account called `default`; the other declares none, and irsa gives that name to
/// the account of the ambient credentials.
fn defaults(roles: usize) -> [String; 2] {
    let declared = head(roles).replace("accounts.one", "accounts.default").replace("\"one\"", "\"default\"");
    let ambient = declared.replace(&format!("[accounts.default]\nid = \"{FIRST}\"\n"), "");
    [declared, ambient]
}

#[test]
fn only_an_account_without_declared_id_is_read_beside_get_caller_identity() {
    inside::runtime().block_on(async {
        let way = Duration::from_millis(50);
        let inside = Inside::start(sandbox()).await;
        let [declared, ambient] = defaults(100);
        inside.write("irsa.toml", &declared);
        run(&inside, 0, &["apply", "--auto-approve"]).await;
        inside.sandbox.gate().latency(way);
        inside.sandbox.cluster("main").gate().latency(way);
        let rounds = |text: &str, rounds: u32| {
            inside.write("irsa.toml", text);
            let inside = &inside;
            async move {
                many::forget(inside, &CLUSTERS);
                let ended = inside.irsa(1, "irsa.toml", &PLAN).await;
                assert_eq!(ended.code, 0, "{ended}");
                assert!(ended.took >= way * rounds && ended.took < way * (rounds + 1), "{rounds}: {:?}", ended.took);
                (many::aws(inside), many::kubernetes(inside, "main"))
            }
        };
        // first our identity; then all lists and the cluster; then the provider and the ServiceAccounts
        let checked = rounds(&declared, 3).await;
        // first our identity, all lists and the cluster; then the provider and the ServiceAccounts
        assert_eq!(rounds(&ambient, 2).await, checked);
        assert_eq!(sum(&checked), 9);
        let run = async |more: &[&str]| {
            let ended = inside.irsa(1, "irsa.toml", &[&PLAN, more].concat()).await;
            assert_eq!(ended.code, 0, "{ended}");
            ended.took
        };
        // a shard must know more before it can send requests
        let took = run(&["--shard", "0/1"]).await;
        assert!(took >= way * 3, "{took:?}");
        // eight AWS requests one after the other; the ServiceAccounts run beside the last one
        let took = run(&["--parallelism", "1"]).await;
        assert!(took >= way * 8 && took <= way * 9, "{took:?}");
        // a page that irsa gives up delays nothing
        let bulk = Match::on("iam", "GetAccountAuthorizationDetails");
        inside.sandbox.gate().fault(Stage::Before, bulk, Fault::Hang, None);
        let took = run(&["--parallelism", "1"]).await;
        assert!(took < Duration::from_mins(1), "{took:?}");
    });
}

#[test]
fn credential_process_runs_once_for_parallel_requests() {
    let world = World::of(sandbox());
    let [_, ambient] = defaults(40);
    let mut bench = Bench::with(world.environment(), &ambient);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        bench.set(name, "");
    }
    let asked = bench.path("asked").display().to_string();
    bench.set("ASKED", &asked);
    bench.write("keys.json", "{\"Version\": 1, \"AccessKeyId\": \"test\", \"SecretAccessKey\": \"test\"}");
    let keys = bench.path("keys.json").display().to_string();
    let process = format!("[default]\ncredential_process = sh -c 'echo once >> \"$ASKED\"; cat \"{keys}\"'\n");
    bench.write(".aws/credentials", &process);
    bench.ends(2, &PLAN);
    assert_eq!(bench.read("asked"), "once\n");
    let calls = world.with(|sandbox| sandbox.log().len());
    assert!(calls >= 7, "{calls} calls were signed with them");
}

#[test]
fn verbose_output_says_how_roles_were_read_and_why() {
    let world = World::of(sandbox());
    let mut bench = Bench::with(world.environment(), &head(60));
    bench.set("IRSA_TEST_SPEED", "20");
    let silent = bench.ends(0, &["apply", "--auto-approve"]);
    assert!(!silent.stderr.contains("one by one"), "{silent}");
    bench.set("IRSA_TEST_SPEED", "1");
    let told = bench.ends(0, &["plan", "-v"]);
    assert!(told.stderr.contains("account/one: 60 roles in bulk: 1 page of "), "{told}");
    assert!(told.stderr.contains(" s; one by one it would take 3.1 s"), "{told}");
    bench.set("IRSA_TEST_SPEED", "20");
    let bulk = Match::on("iam", "GetAccountAuthorizationDetails");
    world.with(|sandbox| sandbox.gate().fault(Stage::Before, bulk, Fault::Deny, None));
    let told = bench.ends(0, &["plan", "-v"]);
    told.says("account/one: 60 roles one by one: iam:GetAccountAuthorizationDetails: AccessDenied");
    bench.write("irsa.toml", &head(30));
    bench.irsa(&["plan", "-v"]).says("account/one: 60 roles one by one: there are few roles");
}
