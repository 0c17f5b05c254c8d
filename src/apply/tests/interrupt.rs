use super::{clients, kit, pace, planned, run, world_of, writes};
use crate::apply::report::{Interrupt, Outcome, Report, Stop};
use crate::apply::{Pace, apply};
use crate::event::Silence;
use crate::observe::fake::World;
use crate::plan::Plan;
use crate::plan::tests::kit::{Kit, allow, aws, binding, key};
use std::time::Duration;
use tokio::sync::watch;

/// Applies with a signal that comes while the write number `at` is in flight.
pub(super) async fn interrupted(world: &World, plan: &Plan, at: usize, parallelism: usize) -> Report {
    let (sender, stop) = watch::channel(None);
    let mut seen = 0;
    world.hook(move |line, _| {
        let line = [line.to_owned()];
        if !writes(&line).is_empty() {
            if seen == at {
                sender.send_replace(Some(Stop::Signal(Interrupt::Terminate)));
            }
            seen += 1;
        }
    });
    let report = apply(plan, &clients(world), &pace(parallelism), stop, &Silence).await;
    world.heal();
    report
}

fn calls(plan: &Plan) -> usize {
    plan.steps.iter().map(|step| step.parts.len()).sum()
}

/// Configurations that create, change and delete everything.
fn states() -> Vec<Kit> {
    let first = kit();
    let mut second = first.clone();
    second.options.force = true;
    second.role("keep", |role| role.bindings = vec![binding("west", "keep"), binding("east", "other")]);
    second.role("reports", |role| {
        role.bindings = vec![binding("east", "worker"), binding("east", "second")];
        role.attach = [crate::model::desired::Attachment::Arn(aws("Other"))].into();
        role.inline.insert("new".parse().unwrap(), allow("sqs:New"));
    });
    second.desired.policies.clear();
    let mut third = second.clone();
    third.desired.roles.remove(&key("reports"));
    vec![first, second, third]
}

#[tokio::test]
async fn signal_lets_the_write_in_flight_end_and_starts_no_other() {
    for parallelism in [1, 4] {
        for state in 0..3 {
            let kits = states();
            let mut at = 0;
            loop {
                let world = if state == 0 { World::new(kits[0].live.clone()) } else { world_of(&kits[0]).await };
                for kit in &kits[1..state.max(1)] {
                    let plan = planned(kit, &world).await;
                    assert!(run(&world, &plan).await.succeeded());
                }
                let plan = planned(&kits[state], &world).await;
                assert!(calls(&plan) > 0 && plan.refused.is_empty(), "{:?}", plan.refused);
                if at >= calls(&plan) {
                    break;
                }
                let report = interrupted(&world, &plan, at, parallelism).await;
                assert_eq!(writes(&world.take_log()).len(), at + 1, "no write begins after the signal");
                assert_eq!(report.interrupted, Some(Interrupt::Terminate));
                assert!(!report.succeeded());
                let done = report.outcomes.iter().zip(&plan.steps).map(|(end, step)| match &end.outcome {
                    Outcome::Applied | Outcome::AlreadyDone => step.parts.len(),
                    Outcome::Skipped(why) => {
                        assert_eq!(why, "interrupted");
                        0
                    }
                    Outcome::Failed(failure) => {
                        assert_eq!(failure.why, "interrupted");
                        assert_eq!(failure.done.len() + failure.left.len(), step.parts.len());
                        failure.done.len()
                    }
                });
                assert_eq!(done.sum::<usize>(), at + 1, "the writes in flight ended and are told");
                // a second run converges from any point
                let plan = planned(&kits[state], &world).await;
                assert_eq!(plan.refused, []);
                assert!(run(&world, &plan).await.succeeded());
                assert_eq!(planned(&kits[state], &world).await.steps, []);
                at += 1;
            }
        }
    }
}

#[tokio::test]
async fn signal_before_the_first_write_writes_nothing() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    let (_sender, stop) = watch::channel(Some(Stop::Signal(Interrupt::Interrupt)));
    let report = apply(&plan, &clients(&world), &pace(4), stop, &Silence).await;
    assert_eq!(world.take_log(), [""; 0]);
    assert_eq!(report.interrupted, Some(Interrupt::Interrupt));
    assert!(report.outcomes.iter().all(|step| step.outcome == Outcome::Skipped("interrupted".into())));
    assert_eq!(report.outcomes.len(), plan.steps.len());
}

#[tokio::test]
async fn signal_drops_a_read_that_hangs() {
    let mut kit = kit();
    let mut world = world_of(&kit).await;
    kit.desired.roles.get_mut(&key("reports")).unwrap().description = "new".into();
    let plan = planned(&kit, &world).await;
    world.turns = usize::MAX;
    let (sender, stop) = watch::channel(None);
    world.hook(move |line, _| {
        if line.starts_with("iam:GetRole") {
            sender.send_replace(Some(Stop::Signal(Interrupt::Interrupt)));
        }
    });
    let report = apply(&plan, &clients(&world), &pace(4), stop, &Silence).await;
    assert_eq!(report.outcomes[0].outcome, Outcome::Skipped("interrupted".into()));
}

#[tokio::test]
async fn lost_lock_lets_the_write_in_flight_end_and_starts_no_other() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    let (sender, stop) = watch::channel(None);
    world.hook(move |line, _| {
        if line.starts_with("iam:CreateRole") {
            sender.send_replace(Some(Stop::LockLost("`them` holds it now".into())));
        }
    });
    let report = apply(&plan, &clients(&world), &pace(1), stop, &Silence).await;
    let log = world.take_log();
    assert!(writes(&log).last().unwrap().starts_with("iam:CreateRole"), "{log:#?}");
    assert_eq!((report.interrupted, report.lock_lost.as_deref()), (None, Some("`them` holds it now")));
    assert!(!report.succeeded());
    let unfinished = report.outcomes.iter().filter_map(|step| match &step.outcome {
        Outcome::Applied | Outcome::AlreadyDone => None,
        Outcome::Skipped(why) => Some(why.as_str()),
        Outcome::Failed(failure) => Some(failure.why.as_str()),
    });
    let unfinished: Vec<&str> = unfinished.collect();
    assert!(unfinished.len() > 1 && unfinished.iter().all(|why| *why == "the lock was lost"), "{unfinished:?}");
    // a second run finishes
    world.heal();
    let plan = planned(&kit, &world).await;
    assert!(run(&world, &plan).await.succeeded());
    assert_eq!(planned(&kit, &world).await.steps, []);
}

#[tokio::test]
async fn write_that_hangs_after_a_signal_is_reported_as_unknown() {
    let kit = kit();
    let mut world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    // no write returns any more
    world.turns = usize::MAX;
    let (sender, stop) = watch::channel(None);
    world.hook(move |_, _| {
        sender.send_replace(Some(Stop::Signal(Interrupt::Interrupt)));
    });
    let pace = Pace { grace: Duration::from_millis(20), ..pace(1) };
    let report = apply(&plan, &clients(&world), &pace, stop, &Silence).await;
    assert_eq!(report.outcomes.len(), plan.steps.len());
    assert_eq!(report.interrupted, Some(Interrupt::Interrupt));
    let begun = report.outcomes.iter().filter(|step| step.outcome != Outcome::Skipped("interrupted".into()));
    for step in begun {
        let Outcome::Failed(failure) = &step.outcome else { panic!("{step:?}") };
        assert!(failure.why.contains("unknown"), "{failure:?}");
        assert_eq!((failure.done.len(), Some(&failure.operation)), (0, failure.left.first()));
    }
    assert!(report.outcomes.iter().any(|step| matches!(step.outcome, Outcome::Failed(_))));
}
