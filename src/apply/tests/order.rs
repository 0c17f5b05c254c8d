use super::{clients, failure, kit, outcome, pace, planned, rechecked, run, world_of, writes};
use crate::apply::apply;
use crate::apply::report::Outcome;
use crate::context::worked;
use crate::event::{Event, Listen, Silence};
use crate::model::call::{Call, IamCall};
use crate::model::resource::StringMap;
use crate::observe::fake::World;
use crate::plan::Part;
use crate::plan::tests::kit::{Kit, allow, binding, key};
use crate::world::CallErrorKind;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;

#[tokio::test]
async fn creates_are_sent_without_a_read_and_the_next_plan_is_empty() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    assert_eq!(rechecked(&world, &plan).await, []);
    assert_eq!(world.take_log(), [""; 0], "creates are not rechecked");
    let report = run(&world, &plan).await;
    assert!(report.succeeded() && report.applied() == plan.steps.len(), "{report:#?}");
    assert!(report.outcomes.iter().zip(&plan.steps).all(|(outcome, step)| outcome.address == step.address));
    let log = world.take_log();
    assert_eq!(writes(&log).len(), log.len(), "{log:#?}");
    assert_eq!(planned(&kit, &world).await.steps, []);
}

#[tokio::test]
async fn creates_follow_their_dependencies_and_deletes_precede_them() {
    let mut kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    run(&world, &plan).await;
    let log = world.take_log();
    let at = |log: &[String], line: &str| {
        log.iter().position(|other| other == line).unwrap_or_else(|| panic!("no {line} in {log:#?}"))
    };
    let role = at(&log, "iam:CreateRole default reports");
    let policy = "arn:aws:iam::111122223333:policy/irsa/team/bucket";
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/east";
    assert!(at(&log, &format!("iam:CreateOpenIDConnectProvider default {provider}")) < role);
    assert!(at(&log, &format!("iam:CreatePolicy default {policy}")) < role);
    assert!(at(&log, "iam:PutRolePolicy default reports") > role);
    assert!(at(&log, "create:ServiceAccount east apps/worker") > at(&log, "iam:PutRolePolicy default reports"));
    kit.options.destroy = true;
    kit.options.force = true;
    let plan = planned(&kit, &world).await;
    let report = run(&world, &plan).await;
    assert!(report.succeeded(), "{report:#?}");
    let log = world.take_log();
    let role = at(&log, "iam:DeleteRole default reports");
    assert!(at(&log, "delete:ServiceAccount east apps/worker") < at(&log, "iam:DeleteRolePolicy default reports"));
    assert!(at(&log, &format!("iam:DeletePolicy default {policy}")) > role);
    assert!(at(&log, &format!("iam:DeleteOpenIDConnectProvider default {provider}")) > role);
    let live = world.live();
    assert!(live.accounts.values().all(|account| account.roles.is_empty() && account.providers.is_empty()));
}

#[tokio::test]
async fn running_steps_do_not_exceed_the_parallelism() {
    let mut kit = Kit::new();
    for index in 0..30 {
        kit.role(&format!("r{index}"), |role| {
            role.bindings = vec![binding("east", &format!("s{index}"))];
            role.inline.insert("in".parse().unwrap(), allow("s3:GetObject"));
        });
    }
    for (parallelism, most) in [(1, 1), (4, 4), (10, 10), (0, 1)] {
        let world = World::new(kit.live.clone());
        let plan = planned(&kit, &world).await;
        let (_sender, stop) = watch::channel(None);
        let report = apply(&plan, &clients(&world), &pace(parallelism), stop, &Silence).await;
        assert!(report.succeeded());
        assert_eq!(world.most_at_once(), most, "in one account");
    }
}

#[tokio::test]
async fn two_steps_never_write_to_one_object_concurrently() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.desired.roles.get_mut(&key("keep")).unwrap().description = "new".into();
    let mut plan = planned(&kit, &world).await;
    assert_eq!(plan.steps.len(), 1);
    let mut beside = plan.steps[0].clone();
    beside.address = "policy/default/beside".parse().unwrap();
    let call = IamCall::TagRole {
        name: "keep".parse().unwrap(),
        from: StringMap::new(),
        to: StringMap::from_iter([("beside".to_owned(), "1".to_owned())]),
    };
    beside.parts = vec![Part::from(Call::Iam(key("default"), call))];
    plan.steps.insert(0, beside);
    // the world panics if two writes to one object overlap
    assert!(run(&world, &plan).await.succeeded());
    assert_eq!(writes(&world.take_log()), ["iam:TagRole default keep", "iam:UpdateRole default keep"]);
}

#[test]
fn futures_are_send() {
    fn sent<T: Send>(_: &T) {}
    let kit = Kit::new();
    let world = World::new(kit.live.clone());
    let plan = crate::plan::plan(&kit.desired, &kit.live, &kit.options, Vec::new());
    let (_sender, stop) = watch::channel(None);
    sent(&apply(&plan, &clients(&world), &pace(1), stop, &Silence));
    sent(&crate::apply::recheck(&plan, &world, &world));
    sent(&crate::observe::identify(&kit.desired.accounts, &world));
    let looks = crate::observe::ReadOptions { parallelism: 1, destroy: false, shard: None };
    let identities = std::collections::BTreeMap::new();
    let early = crate::observe::EarlyCalls::default();
    sent(&crate::observe::observe(&kit.desired, &identities, early, &world, &world, &looks, &Silence));
}

#[tokio::test]
async fn failure_skips_only_the_dependents() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    world.fail("iam:PutRolePolicy default reports", CallErrorKind::Denied);
    let report = run(&world, &plan).await;
    let failed = failure(&report, "role/reports");
    assert_eq!(failed.operation, "iam:PutRolePolicy");
    assert_eq!((failed.code.as_deref(), failed.request_id.as_deref()), (Some("Denied"), Some("request-1")));
    assert!(failed.hint.as_ref().unwrap().contains("give these credentials the permission `iam:PutRolePolicy`"));
    assert!(!failed.stale);
    assert_eq!(failed.done.first().map(String::as_str), Some("iam:CreateRole"));
    assert_eq!(failed.left.first().map(String::as_str), Some("iam:PutRolePolicy"));
    let step = plan.steps.iter().find(|step| step.address.to_string() == "role/reports").unwrap();
    assert_eq!(failed.done.len() + failed.left.len(), step.parts.len());
    let skipped = "`role/reports`, which it depends on, failed";
    assert_eq!(outcome(&report, "service-account/east/apps/worker"), &Outcome::Skipped(skipped.into()));
    assert_eq!(report.applied(), plan.steps.len() - 2);
    assert!(!report.succeeded());
    // the next run finishes
    world.heal();
    let plan = planned(&kit, &world).await;
    assert_eq!(plan.steps.len(), 2);
    assert!(run(&world, &plan).await.succeeded());
    assert_eq!(planned(&kit, &world).await.steps, []);
}

#[tokio::test]
async fn skipped_steps_name_the_step_that_failed() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    world.fail("iam:CreatePolicy ", CallErrorKind::Limit);
    let report = run(&world, &plan).await;
    assert!(failure(&report, "policy/default/bucket").hint.as_ref().unwrap().contains("managed policies"));
    let skipped = Outcome::Skipped("`policy/default/bucket`, which it depends on, failed".into());
    assert_eq!(outcome(&report, "role/reports"), &skipped);
    assert_eq!(outcome(&report, "service-account/east/apps/worker"), &skipped);
    assert_eq!(outcome(&report, "role/keep"), &Outcome::Applied);
    assert!(!writes(&world.take_log()).iter().any(|line| line.contains("reports")));
}

#[tokio::test]
async fn failed_read_fails_the_step_without_a_write() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.desired.roles.get_mut(&key("reports")).unwrap().description = "new".into();
    let plan = planned(&kit, &world).await;
    world.fail("iam:GetRole default reports", CallErrorKind::Unavailable);
    let report = run(&world, &plan).await;
    let failed = failure(&report, "role/reports");
    assert_eq!((failed.operation.as_str(), &failed.left[..]), ("iam:GetRole", &["iam:UpdateRole".to_owned()][..]));
    assert!(!failed.stale);
    assert_eq!(writes(&world.take_log()), [""; 0]);
}

#[tokio::test]
async fn next_run_after_a_lost_reply_has_nothing_left_to_do() {
    let kit = kit();
    for call in ["iam:CreateRole default reports", "iam:CreatePolicy", "iam:AttachRolePolicy", "iam:PutRolePolicy"] {
        let world = World::new(kit.live.clone());
        let plan = planned(&kit, &world).await;
        world.lose(call);
        assert!(!run(&world, &plan).await.succeeded());
        world.heal();
        let plan = planned(&kit, &world).await;
        assert!(run(&world, &plan).await.succeeded());
        assert_eq!(planned(&kit, &world).await.steps, [], "{call}");
    }
}

#[tokio::test]
async fn events_report_each_call_and_step() {
    #[derive(Default)]
    struct Ear(Mutex<Vec<Event>>);
    impl Listen for Ear {
        fn on(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    world.fail("iam:CreateRole default keep", CallErrorKind::Other);
    let ear = Ear::default();
    let (_sender, stop) = watch::channel(None);
    apply(&plan, &clients(&world), &pace(1), stop, &ear).await;
    let events = ear.0.into_inner().unwrap();
    let calls = plan.steps.iter().map(|step| step.parts.len()).sum();
    assert_eq!(events[0], Event::ApplyStarted { steps: plan.steps.len(), calls });
    let ends = |word: &str| {
        let ends =
            events.iter().filter(|event| matches!(event, Event::StepFinished { outcome, .. } if *outcome == word));
        ends.count()
    };
    assert_eq!((ends("applied"), ends("failed"), ends("skipped")), (plan.steps.len() - 3, 1, 2));
    let started = events.iter().filter(|event| matches!(event, Event::CallStarted { .. })).count();
    let finished = events.iter().filter(|event| matches!(event, Event::CallFinished { .. })).count();
    assert_eq!(started, finished + 1, "the one that failed is not finished");
}

/// Finishing a step does not scan all waiting steps.
#[tokio::test]
async fn time_grows_linearly_with_the_steps() {
    let applied = async |roles: usize| {
        let mut kit = Kit::new();
        for number in 0..roles {
            let name = format!("role-{number:04}");
            kit.role(&name, |role| role.bindings = vec![binding("east", &name)]);
        }
        let world = world_of(&kit).await;
        // the stand-in for IAM counts uses anew with each call, the one for Kubernetes counts nothing
        world.change(|live| live.clusters.get_mut(&key("east")).unwrap().service_accounts.clear());
        let plan = planned(&kit, &world).await;
        let begin = worked();
        let report = run(&world, &plan).await;
        let time = worked().saturating_sub(begin);
        assert!(report.succeeded() && report.outcomes.len() == roles);
        time
    };
    let (mut few, many) = (Duration::ZERO, applied(1000).await);
    for _ in 0..10 {
        few += applied(100).await;
    }
    // the kernel counts in ticks of some milliseconds
    let most = few * 4 + Duration::from_millis(40);
    assert!(many < most, "ten times 100 steps took {few:?}, 1000 took {many:?}");
}
