use super::{clients, kit, outcome, pace, planned, world_of};
use crate::apply::report::{Interrupt, Outcome, Report, Stop};
use crate::apply::{apply, verify_writes};
use crate::event::Silence;
use crate::model::live::Observed;
use crate::observe::fake::World;
use crate::plan::Plan;
use crate::plan::tests::kit::{Kit, allow, aws, binding, key};
use crate::world::CallErrorKind;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The time limit.
const TIME: Duration = Duration::from_secs(10);

/// Applies, runs `meanwhile`, and verifies; returns the calls of the verification.
async fn verified(world: &World, plan: &Plan, meanwhile: impl FnOnce(&World)) -> (Report, BTreeMap<String, usize>) {
    let (_sender, stop) = watch::channel(None);
    let report = apply(plan, &clients(world), &pace(4), stop.clone(), &Silence).await;
    world.take_log();
    meanwhile(world);
    let report = verify_writes(plan, report, world, TIME, &stop).await;
    (report, world.counts())
}

fn notes(report: &Report) -> Vec<(String, &str)> {
    let steps = report.outcomes.iter();
    steps.filter_map(|step| Some((step.address.to_string(), step.note.as_deref()?))).collect()
}

fn counts(table: &[(&str, usize)]) -> BTreeMap<String, usize> {
    table.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Removes the inline policy that was just written.
fn without_queue(world: &World) {
    world.change(|live| {
        let roles = &mut live.accounts.get_mut(&key("default")).unwrap().roles;
        let Some(Observed::Present(role)) = roles.get_mut("reports") else { panic!("no role") };
        role.role.inline.remove(&"queue".parse().unwrap());
    });
}

#[tokio::test(start_paused = true)]
async fn written_fields_are_read_once_and_no_others() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    let (report, asked) = verified(&world, &plan, |_| ()).await;
    assert!(report.succeeded());
    assert_eq!(notes(&report), []);
    let roles = [("iam:GetRole", 2), ("iam:GetRolePolicy", 1), ("iam:ListAttachedRolePolicies", 1)];
    let others = [("iam:GetOpenIDConnectProvider", 2), ("iam:GetPolicy", 1)];
    assert_eq!(asked, counts(&[&roles[..], &others].concat()));
    // a change of one field reads that field
    let mut kit = kit;
    let role = kit.desired.roles.get_mut(&key("reports")).unwrap();
    role.inline.insert("queue".parse().unwrap(), allow("sqs:ReceiveMessage"));
    role.attach.insert(crate::model::desired::Attachment::Arn(aws("Other")));
    let plan = planned(&kit, &world).await;
    let (report, asked) = verified(&world, &plan, |_| ()).await;
    assert_eq!(notes(&report), []);
    assert_eq!(asked, counts(&[("iam:GetRolePolicy", 1), ("iam:ListAttachedRolePolicies", 1)]));
    // an empty plan reads nothing
    let plan = planned(&kit, &world).await;
    let (_, asked) = verified(&world, &plan, |_| ()).await;
    assert_eq!(asked, BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn missing_field_is_read_three_more_times_and_noted() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    let began = Instant::now();
    let (report, asked) = verified(&world, &plan, without_queue).await;
    assert_eq!(notes(&report), [("role/reports".to_owned(), "written, but IAM does not show it yet: `inline.queue`")]);
    assert!(report.succeeded(), "what AWS has acknowledged was written");
    assert_eq!(outcome(&report, "role/reports"), &Outcome::Applied);
    assert_eq!(asked["iam:GetRolePolicy"], 1 + 3);
    assert_eq!(asked["iam:GetRole"], 2 + 3, "that role alone is asked for again");
    let took = began.elapsed();
    assert!(took > TIME / 2 && took < TIME, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn field_that_shows_late_is_not_noted() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    let (report, asked) = verified(&world, &plan, |world| {
        let whole = world.live();
        without_queue(world);
        let mut looks = 0;
        world.hook(move |line, live| {
            looks += usize::from(line.starts_with("iam:GetRolePolicy"));
            if looks == 2 {
                live.clone_from(&whole);
            }
        });
    })
    .await;
    assert_eq!(notes(&report), []);
    assert_eq!(asked["iam:GetRolePolicy"], 2);
}

#[tokio::test(start_paused = true)]
async fn failed_read_is_noted_and_fails_nothing() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    let (report, _) = verified(&world, &plan, |world| world.fail("iam:Get", CallErrorKind::Denied)).await;
    assert!(report.succeeded());
    let told = notes(&report);
    let addresses: Vec<&str> = told.iter().map(|(address, _)| address.as_str()).collect();
    let all = ["oidc-provider/default/east", "oidc-provider/default/west", "policy/default/bucket", "role/keep"];
    assert_eq!(addresses, [&all[..], &["role/reports"]].concat());
    assert!(
        told.iter().all(|(_, note)| note.starts_with("it was written, but irsa could not read it again: ")),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn many_roles_are_read_in_bulk_or_one_by_one_if_that_fails() {
    let mut kit = Kit::new();
    for number in 0..100 {
        kit.role(&format!("r{number}"), |role| role.bindings = vec![binding("east", &format!("s{number}"))]);
    }
    for (fails, single) in [(None, 0), (Some("iam:GetAccountAuth"), 100), (Some("iam:ListRoles"), 100)] {
        let world = World::new(kit.live.clone());
        let plan = planned(&kit, &world).await;
        let (report, asked) = verified(&world, &plan, |world| {
            if let Some(call) = fails {
                world.fail(call, CallErrorKind::Denied);
            }
        })
        .await;
        assert_eq!(notes(&report), []);
        assert_eq!(asked.get("iam:GetRole").copied().unwrap_or_default(), single);
        assert!(asked.values().sum::<usize>() <= 5 + single, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stopped_run_is_not_verified() {
    let kit = kit();
    let world = World::new(kit.live.clone());
    let plan = planned(&kit, &world).await;
    let (sender, stop) = watch::channel(None);
    let report = apply(&plan, &clients(&world), &pace(4), stop.clone(), &Silence).await;
    for why in [Stop::Signal(Interrupt::Terminate), Stop::LockLost("gone".into())] {
        let mut stopped = report.clone();
        stopped.stopped_by(why);
        world.take_log();
        assert_eq!(verify_writes(&plan, stopped.clone(), &world, TIME, &stop).await, stopped);
        assert_eq!(world.take_log(), Vec::<String>::new());
    }
    // a signal ends the wait at once
    without_queue(&world);
    let began = Instant::now();
    let looked = verify_writes(&plan, report, &world, TIME, &stop);
    let signal = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        sender.send_replace(Some(Stop::Signal(Interrupt::Interrupt)));
    };
    let (report, ()) = futures::future::join(looked, signal).await;
    assert_eq!((report.interrupted, notes(&report)), (Some(Interrupt::Interrupt), vec![]));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn deleted_objects_are_not_read() {
    let first = kit();
    let world = world_of(&first).await;
    let mut second = first.clone();
    second.options.force = true;
    second.desired.roles.remove(&key("reports"));
    let plan = planned(&second, &world).await;
    let (report, asked) = verified(&world, &plan, |_| ()).await;
    assert!(report.succeeded(), "{report:#?}");
    assert_eq!(asked, BTreeMap::new());
}
