//! Failures that would repeat for every object.

use super::{clients, failure, outcome, pace, planned, rechecked, world_of, writes};
use crate::apply::apply;
use crate::apply::outage::{LIMIT, NOT_SENT};
use crate::apply::report::{Outcome, Report};
use crate::event::Silence;
use crate::observe::fake::World;
use crate::plan::Plan;
use crate::plan::tests::kit::{Kit, allow, binding};
use crate::world::CallErrorKind;
use tokio::sync::watch;

const OBJECTS: usize = 100;

/// 100 roles with ServiceAccounts in cluster `east`, and one in cluster `west`.
fn kit() -> Kit {
    let mut kit = Kit::new();
    for index in 0..OBJECTS {
        kit.role(&format!("r{index:03}"), |role| role.bindings = vec![binding("east", &format!("s{index:03}"))]);
    }
    kit.role("west", |role| role.bindings = vec![binding("west", "one")]);
    kit
}

async fn run(world: &World, plan: &Plan, parallelism: usize) -> Report {
    let (_sender, stop) = watch::channel(None);
    apply(plan, &clients(world), &pace(parallelism), stop, &Silence).await
}

/// How many writes of this kind were sent, how many steps failed, and how many failed without a call.
fn counted(world: &World, report: &Report, write: &str) -> (usize, usize, usize) {
    let log = world.take_log();
    let sent = writes(&log).into_iter().filter(|line| line.starts_with(write)).count();
    let failures = report.outcomes.iter().filter_map(|step| match &step.outcome {
        Outcome::Failed(failure) => Some(failure.why.contains(NOT_SENT)),
        _ => None,
    });
    let failures: Vec<bool> = failures.collect();
    (sent, failures.len(), failures.iter().filter(|unsent| **unsent).count())
}

#[tokio::test]
async fn three_outages_in_a_row_stop_the_calls_of_their_kind() {
    let kit = kit();
    for kind in [CallErrorKind::Unavailable, CallErrorKind::Throttled, CallErrorKind::Credentials] {
        for parallelism in [1, 10] {
            let world = World::new(kit.live.clone());
            let plan = planned(&kit, &world).await;
            world.fail("create:ServiceAccount east", kind);
            let report = run(&world, &plan, parallelism).await;
            let (sent, failed, unsent) = counted(&world, &report, "create:ServiceAccount east");
            assert_eq!((failed, unsent), (OBJECTS, OBJECTS - sent), "each is told: {kind:?}");
            assert!((LIMIT..=LIMIT + parallelism).contains(&sent), "{sent} were sent {parallelism} at a time");
            assert_eq!(
                *outcome(&report, "service-account/west/apps/one"),
                Outcome::Applied,
                "another cluster is another"
            );
            let (first, last) = (
                failure(&report, "service-account/east/apps/s000"),
                failure(&report, "service-account/east/apps/s099"),
            );
            assert_eq!((&last.code, &last.hint, &last.left), (&first.code, &first.hint, &first.left));
            assert!(
                last.why.starts_with("told to fail") && last.why.contains(NOT_SENT),
                "a reason that is known: {last:?}"
            );
            // the next run succeeds
            world.heal();
            let plan = planned(&kit, &world).await;
            assert_eq!(plan.steps.len(), OBJECTS);
            assert!(run(&world, &plan, parallelism).await.succeeded());
        }
    }
}

#[tokio::test]
async fn errors_of_one_object_and_interleaved_successes_stop_no_other_call() {
    let kit = kit();
    for kind in [CallErrorKind::Rejected, CallErrorKind::Denied, CallErrorKind::Conflict, CallErrorKind::Other] {
        let world = World::new(kit.live.clone());
        let plan = planned(&kit, &world).await;
        world.fail("create:ServiceAccount east", kind);
        let report = run(&world, &plan, 10).await;
        assert_eq!(counted(&world, &report, "create:ServiceAccount east"), (OBJECTS, OBJECTS, 0), "{kind:?}");
    }
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    for index in (0..OBJECTS).filter(|index| index % LIMIT != 0) {
        world.fail(&format!("create:ServiceAccount east apps/s{index:03}"), CallErrorKind::Unavailable);
    }
    let report = run(&world, &plan, 1).await;
    let failed = (0..OBJECTS).filter(|index| index % LIMIT != 0).count();
    assert_eq!(counted(&world, &report, "create:ServiceAccount east"), (OBJECTS, failed, 0));
}

/// In an account, where a step has many calls: the report keeps the calls that succeeded.
#[tokio::test]
async fn outage_of_one_operation_stops_only_the_steps_at_it() {
    let mut kit = kit();
    for index in 0..OBJECTS {
        let name = format!("r{index:03}");
        kit.role(&name, |role| {
            role.bindings = vec![binding("east", &format!("s{index:03}"))];
            role.inline.insert("own".parse().unwrap(), allow("s3:GetObject"));
        });
    }
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    world.fail("iam:PutRolePolicy", CallErrorKind::Unavailable);
    let report = run(&world, &plan, 4).await;
    let log = world.take_log();
    let sent = |write: &str| log.iter().filter(|line| line.starts_with(write)).count();
    assert!((LIMIT..=LIMIT + 4).contains(&sent("iam:PutRolePolicy")), "{}", sent("iam:PutRolePolicy"));
    let first = failure(&report, "role/r000");
    assert!(first.done.contains(&"iam:CreateRole".to_owned()), "{first:?}");
    assert!(!report.succeeded() && *outcome(&report, "service-account/west/apps/one") == Outcome::Applied);
    // other roles are still created, since CreateRole succeeds
    assert_eq!(sent("iam:CreateRole"), OBJECTS + 1);
}

#[tokio::test]
async fn recheck_stops_reading_after_three_outages() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.options.force = true;
    kit.role("west", |role| {
        role.bindings = vec![binding("west", "one")];
        role.description = "new".into();
    });
    for index in 0..OBJECTS {
        kit.role(&format!("r{index:03}"), |role| {
            role.bindings = vec![binding("east", &format!("s{index:03}"))];
            role.max_session_duration = 7200;
        });
    }
    let plan = planned(&kit, &world).await;
    world.fail("iam:", CallErrorKind::Unavailable);
    let stale = rechecked(&world, &plan).await;
    assert_eq!(stale.len(), OBJECTS + 1, "each is told");
    let unsent = stale.iter().filter(|stale| stale.why.contains(NOT_SENT)).count();
    assert_eq!(unsent, OBJECTS + 1 - LIMIT);
    assert!(world.take_log().len() < OBJECTS, "those that were under way");
}
