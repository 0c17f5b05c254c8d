//! Applies plans to a world in memory: order, stale objects, failures, signals.

mod deletes;
mod interrupt;
mod laws;
mod order;
mod outage;
mod ownership;
mod stale;
mod verify_writes;

use super::report::{Failure, Outcome, Report};
use super::{Clients, Pace, apply, recheck};
use crate::event::Silence;
use crate::observe::fake::World;
use crate::observe::{EarlyCalls, ReadOptions, identify, observe};
use crate::plan::Plan;
use crate::plan::saved::Stale;
use crate::plan::tests::kit::{Kit, allow, aws, binding, declared};
use std::time::Duration;
use tokio::sync::watch;

fn clients(world: &World) -> Clients<'_, World, World, World, World> {
    Clients { read_aws: world, write_aws: world, read_kubernetes: world, write_kubernetes: world }
}

/// The plan for the current state of the world.
async fn planned(kit: &Kit, world: &World) -> Plan {
    let looks = ReadOptions { parallelism: 10, destroy: kit.options.destroy, shard: kit.options.shard };
    let identities = identify(&kit.desired.accounts, world).await;
    let live = observe(&kit.desired, &identities, EarlyCalls::default(), world, world, &looks, &Silence).await;
    world.take_log();
    crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new())
}

fn pace(parallelism: usize) -> Pace {
    Pace { parallelism, grace: Duration::from_secs(10) }
}

async fn run(world: &World, plan: &Plan) -> Report {
    let (_sender, stop) = watch::channel(None);
    apply(plan, &clients(world), &pace(4), stop, &Silence).await
}

async fn rechecked(world: &World, plan: &Plan) -> Vec<Stale> {
    recheck(plan, world, world).await
}

/// A world with everything declared already applied.
async fn world_of(kit: &Kit) -> World {
    let world = World::new(kit.live.clone());
    let plan = planned(kit, &world).await;
    assert_eq!(plan.refused, []);
    let report = run(&world, &plan).await;
    assert!(report.succeeded(), "{report:#?}");
    world.take_log();
    world
}

/// Roles `keep` and `reports` with everything that a role can have.
fn kit() -> Kit {
    let mut kit = Kit::new();
    kit.role("keep", |role| role.bindings = vec![binding("east", "keep"), binding("west", "keep")]);
    kit.role("reports", |role| {
        role.bindings = vec![binding("east", "worker")];
        role.attach = [crate::model::desired::Attachment::Arn(aws("ReadOnly")), declared("bucket")].into();
        role.inline.insert("queue".parse().unwrap(), allow("sqs:SendMessage"));
        role.description = "reads reports".into();
        role.tags.insert("team".into(), "reports".into());
        role.permissions_boundary = crate::model::desired::Boundary::Policy(aws("Boundary"));
    });
    kit.policy("bucket", allow("s3:GetObject"));
    kit
}

fn outcome<'a>(report: &'a Report, address: &str) -> &'a Outcome {
    let found = report.outcomes.iter().find(|step| step.address.to_string() == address);
    &found.unwrap_or_else(|| panic!("no step {address}: {report:#?}")).outcome
}

fn failure<'a>(report: &'a Report, address: &str) -> &'a Failure {
    match outcome(report, address) {
        Outcome::Failed(failure) => failure,
        other => panic!("{address} did not fail: {other:?}"),
    }
}

/// The writes in a log.
fn writes(log: &[String]) -> Vec<&str> {
    let read = |line: &&str| {
        let operation = line.split(' ').next().unwrap_or_default();
        ["iam:Get", "iam:List", "list:", "get", "verify", "sts:", "eks:"].iter().any(|read| operation.starts_with(read))
    };
    log.iter().map(String::as_str).filter(|line| !read(line)).collect()
}
