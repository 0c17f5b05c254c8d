//! One run per fault with everything real: the binary, sockets and waits. Only the waits are shortened.

use crate::support::program::{Bench, tell};
use crate::support::world::World;
use irsa_sandbox::aws::{Fault, Match, Refusal};
use irsa_sandbox::gate::Stage;

/// All waits are divided by this.
const SPEED: &str = "20";

const CONFIGURATION: &str = r#"
owner = "process"
[clusters.main]
region = "eu-west-1"
[roles.app]
service-accounts = ["shop/app"]
[roles.app.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["*"] }]
[roles.other]
service-accounts = ["shop/other"]
"#;

/// The faults for CreateRole.
fn faults() -> Vec<(&'static str, Stage, Fault)> {
    let refuse = |refusal: Refusal| Fault::Refuse(refusal);
    vec![
        ("throttling", Stage::Before, refuse(Refusal::throttled("iam"))),
        ("429", Stage::Before, refuse(Refusal::too_many("iam"))),
        ("500", Stage::Before, refuse(Refusal::internal("iam"))),
        ("502 in HTML", Stage::Before, Fault::bad_gateway()),
        ("503", Stage::Before, refuse(Refusal::unavailable())),
        ("a reset before", Stage::Before, Fault::Drop),
        ("a reset after", Stage::After, Fault::Drop),
        ("half an answer", Stage::After, Fault::Truncate),
        ("no answer", Stage::Before, Fault::Hang),
        ("no answer to what was done", Stage::After, Fault::Hang),
        ("access denied", Stage::Before, Fault::Deny),
        ("a concurrent change", Stage::Before, refuse(Refusal::concurrent_modification())),
        ("an object that cannot be changed now", Stage::Before, refuse(Refusal::unmodifiable())),
        ("expired credentials", Stage::Before, refuse(Refusal::expired("iam"))),
    ]
}

fn bench() -> (World, Bench) {
    let world = World::with_cluster("main");
    crate::support::world::create_namespaces_in(&world.cluster("main"), &["shop"]);
    let mut bench = Bench::with(world.environment(), CONFIGURATION);
    bench.set("IRSA_TEST_SPEED", SPEED);
    (world, bench)
}

#[test]
fn run_with_one_fault_fails_cleanly_or_succeeds_and_the_next_converges() {
    let faults = faults();
    for (what, stage, fault) in &faults {
        let (world, bench) = bench();
        world.fault(*stage, Match::on("iam", "CreateRole").about("app"), fault.clone(), Some(1));
        let run = bench.irsa(&["apply", "--auto-approve"]);
        assert!([0, 6].contains(&run.code), "{what}: {run}");
        if run.code == 6 {
            run.says("iam:CreateRole").says("role/app");
        }
        assert!(
            world.has_role(crate::support::world::FIRST, "other"),
            "{what}: what has nothing to do with it is lost"
        );
        bench.converges();
    }
    tell(&format!("process: {} faults, once each", faults.len()));
}

#[test]
fn run_with_a_permanent_fault_ends_within_its_timeout() {
    let faults = faults();
    for (what, stage, fault) in &faults {
        let (world, bench) = bench();
        world.fault(*stage, Match::on("iam", "CreateRole").about("app"), fault.clone(), None);
        let run = bench.ends(6, &["apply", "--auto-approve", "--timeout", "60s"]);
        run.says("iam:CreateRole").says("role/app");
        if matches!(fault, Fault::Refuse(_) | Fault::Deny) {
            run.says("request id: 00000000-0000-4000-8000-");
        }
        assert!(
            world.has_role(crate::support::world::FIRST, "other"),
            "{what}: what has nothing to do with it is lost"
        );
        world.allow_all();
        bench.converges();
    }
    tell(&format!("process: {} faults, for ever", faults.len()));
}

#[test]
fn unreachable_endpoint_is_named() {
    let (world, bench) = bench();
    world.refuse_connections(true);
    bench.ends(4, &["apply", "--auto-approve"]).says("sts:GetCallerIdentity").says("Connection refused");
    world.refuse_connections(false);
    bench.converges();
    world.cluster("main").stop();
    bench.ends(4, &["plan"]).says("cluster/main");
}

/// irsa reports an error in the configuration at once, and does not wait for something that will not come.
#[test]
fn configuration_error_found_by_aws_fails_at_once() {
    let (world, bench) = bench();
    bench.converges();
    let trust = "[[roles.app.trust]]\nprincipals = { aws = [\"arn:aws:iam::111122223333:user/nobody\"] }\nactions = [\"sts:AssumeRole\"]";
    bench.write("irsa.toml", &format!("{CONFIGURATION}\n{trust}"));
    world.clear_log();
    bench.ends(1, &["apply", "--auto-approve"]).says("MalformedPolicyDocument").says("role/app");
    assert_eq!(world.requests("UpdateAssumeRolePolicy").len(), 1, "{:?}", world.actions());
    bench.write("irsa.toml", &CONFIGURATION.replace("[roles.other]", "[roles.other]\nattach = [\"aws:NoSuchPolicy\"]"));
    world.clear_log();
    bench.ends(4, &["apply", "--auto-approve"]).says("aws:policy/NoSuchPolicy").says("role/other");
    assert!(world.writes().is_empty(), "{:?}", world.writes());
}
