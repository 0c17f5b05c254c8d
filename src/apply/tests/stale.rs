use super::{failure, kit, outcome, planned, rechecked, run, world_of, writes};
use crate::apply::report::Outcome;
use crate::model::live::{Live, LiveRole, LiveServiceAccount, Observed};
use crate::model::marks::ROLE_ARN;
use crate::observe::fake::World;
use crate::plan::Plan;
use crate::plan::tests::kit::{Kit, allow, aws, binding, key};
use crate::world::CallErrorKind;

pub(super) fn role(live: &mut Live, name: &str, change: impl FnOnce(&mut LiveRole)) {
    match live.accounts.get_mut(&key("default")).unwrap().roles.get_mut(name) {
        Some(Observed::Present(role)) => change(role),
        _ => panic!("no role {name}"),
    }
}

pub(super) fn service_account(live: &mut Live, name: &str, change: impl FnOnce(&mut LiveServiceAccount)) {
    let spot = ("apps".parse().unwrap(), name.parse().unwrap());
    match live.clusters.get_mut(&key("east")).unwrap().service_accounts.get_mut(&spot) {
        Some(Observed::Present(item)) => change(item),
        _ => panic!("no ServiceAccount {name}"),
    }
}

/// A plan that changes every field.
async fn changed() -> (Kit, World, Plan) {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.role("reports", |role| {
        role.bindings = vec![binding("east", "worker"), binding("east", "second")];
        role.description = "new".into();
        role.tags.insert("team".into(), "other".into());
        role.inline.insert("queue".parse().unwrap(), allow("sqs:ReceiveMessage"));
        role.permissions_boundary = crate::model::desired::Boundary::None;
        role.attach = [crate::plan::tests::kit::declared("bucket")].into();
    });
    kit.policy("bucket", allow("s3:ListBucket"));
    kit.role("keep", |role| {
        role.bindings = vec![binding("east", "keep"), binding("west", "keep")];
        role.bindings[0].audience = Some("other".into());
    });
    let plan = planned(&kit, &world).await;
    assert_eq!(plan.refused, []);
    (kit, world, plan)
}

/// Someone's edit of the live world.
type Edit = fn(&mut Live);

/// Edits after the plan: address, word of the reason, edit.
fn edits() -> Vec<(&'static str, &'static str, Edit)> {
    vec![
        ("role/reports", "`description`", |live| role(live, "reports", |it| it.role.description = "theirs".into())),
        ("role/reports", "`tags.team`", |live| {
            role(live, "reports", |it| drop(it.role.tags.insert("team".into(), "theirs".into())));
        }),
        ("role/reports", "`trust`", |live| {
            let trust = |it: &mut LiveRole| it.role.trust = crate::policy::PolicyDocument::live("{\"Statement\":[]}");
            role(live, "reports", trust);
        }),
        ("role/reports", "`permissions-boundary`", |live| {
            role(live, "reports", |it| it.role.permissions_boundary = Some(aws("Theirs")));
        }),
        ("role/reports", "`inline.queue`", |live| {
            role(live, "reports", |it| drop(it.role.inline.insert("queue".parse().unwrap(), allow("sqs:Theirs"))));
        }),
        ("role/reports", "`tags.irsa/owner`", |live| {
            role(live, "reports", |it| drop(it.role.tags.insert("irsa/owner".into(), "theirs".into())));
        }),
        ("policy/default/bucket", "`tags.irsa/owner`", |live| {
            for policy in live.accounts.get_mut(&key("default")).unwrap().policies.values_mut() {
                if let Observed::Present(policy) = policy {
                    policy.policy.tags.insert("irsa/owner".into(), "theirs".into());
                }
            }
        }),
        ("role/reports", "it is gone", |live| {
            live.accounts.get_mut(&key("default")).unwrap().roles.remove("reports");
        }),
        ("policy/default/bucket", "`document`", |live| {
            for policy in live.accounts.get_mut(&key("default")).unwrap().policies.values_mut() {
                if let Observed::Present(policy) = policy {
                    policy.policy.document = allow("s3:Theirs");
                }
            }
        }),
        ("oidc-provider/default/east", "it is gone", |live| {
            live.accounts.get_mut(&key("default")).unwrap().providers.clear();
        }),
        ("service-account/east/apps/keep", "annotations.eks.amazonaws.com/audience", |live| {
            let audience = ("eks.amazonaws.com/audience".to_owned(), "theirs".to_owned());
            service_account(live, "keep", |it| it.annotations.extend([audience]));
        }),
        ("service-account/east/apps/keep", "created again", |live| {
            service_account(live, "keep", |it| it.uid = "uid-2".into());
        }),
    ]
}

#[tokio::test]
async fn changed_field_fails_its_step_and_is_not_overwritten() {
    for (address, word, edit) in edits() {
        let (_, world, plan) = changed().await;
        world.change(edit);
        let report = run(&world, &plan).await;
        let failed = failure(&report, address);
        assert!(failed.stale && failed.why.contains(word), "{address}: {failed:?}");
        assert_eq!(failed.hint.as_deref(), Some("plan again"));
        assert_eq!(failed.left.first(), Some(&failed.operation));
        // the edit is still there
        let edited = {
            let mut live = world.live();
            edit(&mut live);
            live
        };
        assert_eq!(edited, world.live(), "{address} {word}");
        assert!(report.applied() > 0, "the others go on");
    }
}

#[tokio::test]
async fn recheck_finds_every_change_before_the_first_write() {
    let (_, world, plan) = changed().await;
    assert_eq!(rechecked(&world, &plan).await, []);
    for (address, word, edit) in edits() {
        let (_, world, plan) = changed().await;
        world.change(edit);
        let stale = rechecked(&world, &plan).await;
        let found = stale.iter().any(|item| item.address == address && item.why.contains(word));
        assert!(found, "{address} {word}: {stale:?}");
        assert_eq!(writes(&world.take_log()), [""; 0]);
    }
    world.fail("iam:ListRoleTags default reports", CallErrorKind::Unavailable);
    let stale = rechecked(&world, &plan).await;
    assert_eq!((stale.len(), stale[0].address.as_str()), (1, "role/reports"));
    assert!(stale[0].why.contains("could not be read"));
}

#[tokio::test]
async fn planned_value_is_not_written_again() {
    let (kit, world, plan) = changed().await;
    assert!(run(&world, &plan).await.succeeded());
    world.take_log();
    assert_eq!(rechecked(&world, &plan).await, []);
    let report = run(&world, &plan).await;
    let fresh: Vec<String> = plan
        .steps
        .iter()
        .filter(|step| step.change.action() == crate::plan::change::Action::Create)
        .map(|step| step.address.to_string())
        .collect();
    for step in &report.outcomes {
        if !fresh.contains(&step.address.to_string()) {
            assert_eq!(step.outcome, Outcome::AlreadyDone, "{}", step.address);
        }
    }
    assert_eq!(planned(&kit, &world).await.steps, []);
}

#[tokio::test]
async fn field_with_the_planned_value_is_skipped_and_the_rest_is_written() {
    let (kit, world, plan) = changed().await;
    world.change(|live| role(live, "reports", |it| it.role.description = "new".into()));
    assert_eq!(rechecked(&world, &plan).await, []);
    let report = run(&world, &plan).await;
    assert!(report.succeeded(), "{report:#?}");
    assert_eq!(outcome(&report, "role/reports"), &Outcome::Applied);
    assert!(!writes(&world.take_log()).contains(&"iam:UpdateRole default reports"));
    assert_eq!(planned(&kit, &world).await.steps, []);
}

#[tokio::test]
async fn edit_between_two_calls_of_a_step_is_stale() {
    let (_, world, plan) = changed().await;
    world.hook(|line, live| {
        if line == "iam:UpdateRole default reports" {
            role(live, "reports", |it| drop(it.role.inline.insert("queue".parse().unwrap(), allow("sqs:Theirs"))));
        }
    });
    let report = run(&world, &plan).await;
    let failed = failure(&report, "role/reports");
    assert!(failed.stale && failed.why.contains("`inline.queue`"), "{failed:?}");
    assert!(failed.done.contains(&"iam:UpdateRole".to_owned()));
    let skipped = outcome(&report, "service-account/east/apps/second");
    assert_eq!(skipped, &Outcome::Skipped("`role/reports`, which it depends on, failed".into()));
}

#[tokio::test]
async fn trust_written_twice_is_not_stale_by_its_own_first_write() {
    let mut kit = kit();
    kit.role("reports", |role| {
        role.bindings = vec![binding("east", "worker"), binding("east", "going")];
        role.inline.insert("queue".parse().unwrap(), allow("sqs:SendMessage"));
    });
    let world = world_of(&kit).await;
    kit.role("reports", |role| {
        role.bindings = vec![binding("east", "worker"), binding("east", "coming")];
        role.inline.insert("queue".parse().unwrap(), allow("sns:Publish"));
    });
    let plan = planned(&kit, &world).await;
    let writes_of = |operation: &str| {
        let parts = plan.steps.iter().flat_map(|step| &step.parts);
        parts.filter(|part| part.call.operation() == operation).count()
    };
    assert_eq!(writes_of("iam:UpdateAssumeRolePolicy"), 2);
    assert_eq!(rechecked(&world, &plan).await, []);
    // IAM shows the old trust for a while after it was narrowed
    let trust = |live: &Live| live.accounts[&key("default")].roles["reports"].present().unwrap().role.trust.clone();
    let old = trust(&world.live());
    let mut hidden = None;
    let shown = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = shown.clone();
    world.hook(move |line, live| {
        if line == "iam:GetRole default reports" && hidden.is_none() && trust(live) != old {
            hidden = Some(trust(live));
            role(live, "reports", |it| it.role.trust = old.clone());
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        if line == "iam:UpdateAssumeRolePolicy default reports"
            && let Some(narrow) = hidden.take()
        {
            role(live, "reports", |it| it.role.trust = narrow);
        }
    });
    let report = run(&world, &plan).await;
    assert!(report.succeeded(), "{report:#?}");
    assert_eq!(shown.load(std::sync::atomic::Ordering::Relaxed), 0, "what this run has written is not asked for again");
    world.heal();
    assert_eq!(planned(&kit, &world).await.steps, []);
}

#[tokio::test]
async fn edited_annotation_is_stale() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.desired.roles.get_mut(&key("reports")).unwrap().bindings[0].token_expiration = Some(3600);
    let plan = planned(&kit, &world).await;
    world.change(|live| service_account(live, "worker", |it| drop(it.annotations.insert(ROLE_ARN.into(), "x".into()))));
    let report = run(&world, &plan).await;
    assert!(failure(&report, "service-account/east/apps/worker").why.contains(ROLE_ARN));
}
