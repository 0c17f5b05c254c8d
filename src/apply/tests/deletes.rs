use super::stale::{role, service_account};
use super::{failure, kit, outcome, planned, rechecked, run, world_of, writes};
use crate::apply::report::Outcome;
use crate::model::live::{FieldManager, Live, Observed};
use crate::model::marks::{OWNER, PREVENT_DESTROY, ROLE_ARN};
use crate::observe::fake::World;
use crate::plan::Plan;
use crate::plan::tests::kit::{Kit, allow, aws, key};

const ROLE: &str = "orphan/default/role/reports";
const POLICY: &str = "orphan/default/policy/bucket";
const ITEM: &str = "service-account/east/apps/worker";

/// A plan that deletes role `reports`, its policy and its ServiceAccount.
async fn going() -> (Kit, World, Plan) {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.desired.roles.remove(&key("reports"));
    kit.desired.policies.clear();
    let plan = planned(&kit, &world).await;
    assert_eq!((plan.summary().delete, &plan.refused[..]), (3, &[][..]));
    (kit, world, plan)
}

fn policy(live: &mut Live, change: impl FnOnce(&mut crate::model::live::LivePolicy)) {
    let policies = &mut live.accounts.get_mut(&key("default")).unwrap().policies;
    if let Some(Observed::Present(policy)) = policies.values_mut().next() {
        change(policy);
    }
}

type Edit = fn(&mut Live);

/// Edits after the plan that forbid a delete: address, word of the reason, edit.
fn objections() -> Vec<(&'static str, &'static str, Edit)> {
    vec![
        (ROLE, "has been attached", |live| role(live, "reports", |it| it.role.attached.extend([aws("New")]))),
        (ROLE, "has been put into it", |live| {
            role(live, "reports", |it| drop(it.role.inline.insert("new".parse().unwrap(), allow("s3:New"))));
        }),
        (ROLE, OWNER, |live| role(live, "reports", |it| drop(it.role.tags.insert(OWNER.into(), "other".into())))),
        (ROLE, PREVENT_DESTROY, |live| {
            role(live, "reports", |it| drop(it.role.tags.insert(PREVENT_DESTROY.into(), "true".into())));
        }),
        (ROLE, "`trust`", |live| {
            let keep = live.accounts[&key("default")].roles["keep"].present().unwrap().role.trust.clone();
            role(live, "reports", |it| it.role.trust = keep);
        }),
        (POLICY, OWNER, |live| policy(live, |it| drop(it.policy.tags.remove(OWNER)))),
        (POLICY, "`document`", |live| policy(live, |it| it.policy.document = allow("s3:New"))),
        (ITEM, "pod `pod-1` uses it", |live| {
            service_account(live, "worker", |it| it.pods = Some(Observed::Present(vec!["pod-1".into()])));
        }),
        (ITEM, "`helm` manages it", |live| {
            let helm = FieldManager {
                name: "helm".into(),
                operation: "Update".into(),
                labels: [].into(),
                annotations: [].into(),
                others: true,
            };
            service_account(live, "worker", |it| it.managers.push(helm.into()));
        }),
        (ITEM, "owned by `Deployment/x`", |live| {
            service_account(live, "worker", |it| it.owner_references.push("Deployment/x".into()));
        }),
        (ITEM, "created again", |live| service_account(live, "worker", |it| it.uid = "uid-2".into())),
        (ITEM, OWNER, |live| service_account(live, "worker", |it| drop(it.labels.insert(OWNER.into(), "x".into())))),
    ]
}

#[tokio::test]
async fn changed_object_is_not_deleted_not_even_in_part() {
    for (address, word, edit) in objections() {
        let (_, world, plan) = going().await;
        world.change(edit);
        let stale = rechecked(&world, &plan).await;
        assert!(stale.iter().any(|item| item.address == address && item.why.contains(word)), "{word}: {stale:?}");
        let report = run(&world, &plan).await;
        let failed = failure(&report, address);
        assert!(failed.stale && failed.why.contains(word), "{address}: {failed:?}");
        assert_eq!(failed.done, [""; 0], "nothing of it went");
    }
    let (_, world, plan) = going().await;
    assert_eq!(rechecked(&world, &plan).await, []);
    assert!(run(&world, &plan).await.succeeded());
}

#[tokio::test]
async fn deleting_a_missing_object_is_already_done() {
    let (mut kit, world, _) = going().await;
    world.change(|live| policy(live, |it| it.other_versions.push("v0".into())));
    kit.options.force = true;
    let plan = planned(&kit, &world).await;
    assert!(run(&world, &plan).await.succeeded());
    world.take_log();
    let report = run(&world, &plan).await;
    assert!(report.outcomes.iter().all(|step| step.outcome == Outcome::AlreadyDone), "{report:#?}");
    assert_eq!(writes(&world.take_log()), [""; 0]);
}

#[tokio::test]
async fn role_is_kept_while_another_manager_holds_the_annotation() {
    let (_, world, plan) = going().await;
    // recreated by someone else between the deletes of the ServiceAccount and of the role
    let arn = "arn:aws:iam::111122223333:role/irsa/team/reports";
    let mut pending = true;
    world.hook(move |line, live| {
        let spot = ("apps".parse().unwrap(), "worker".parse().unwrap());
        let east = live.clusters.get_mut(&key("east")).unwrap();
        if line.starts_with("iam:GetRole default reports") && std::mem::take(&mut pending) {
            let mut item = east.service_accounts.values().next().unwrap().present().unwrap().clone();
            item.namespace = "apps".parse().unwrap();
            item.name = "worker".parse().unwrap();
            item.annotations.insert(ROLE_ARN.into(), arn.into());
            east.service_accounts.insert(spot, Observed::Present(item));
        }
    });
    let report = run(&world, &plan).await;
    assert_eq!(outcome(&report, ITEM), &Outcome::Applied);
    let failed = failure(&report, ROLE);
    assert!(failed.stale && failed.why.contains("still points at it"), "{failed:?}");
    assert_eq!(failed.done, [""; 0]);
    assert!(matches!(outcome(&report, POLICY), Outcome::Skipped(_)));
}

#[tokio::test]
async fn provider_is_kept_while_a_role_trusts_it() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.options.destroy = true;
    kit.options.force = true;
    let plan = planned(&kit, &world).await;
    let provider = "oidc-provider/default/east";
    assert_eq!(rechecked(&world, &plan).await, [], "what the plan itself takes away does not count");
    // someone else's role
    world.change(|live| {
        let account = live.accounts.get_mut(&key("default")).unwrap();
        let mut stranger = account.roles["keep"].present().unwrap().clone();
        stranger.role.name = "stranger".parse().unwrap();
        stranger.role.tags.clear();
        account.roles.insert("stranger".into(), Observed::Present(stranger));
    });
    let stale = rechecked(&world, &plan).await;
    assert!(
        stale.iter().any(|item| item.address == provider && item.why.contains("`stranger` trusts it")),
        "{stale:?}"
    );
    let report = run(&world, &plan).await;
    let failed = failure(&report, provider);
    assert!(failed.stale && failed.why.contains("`stranger` trusts it"), "{failed:?}");
    assert!(world.live().accounts[&key("default")].roles.contains_key("stranger"));
}
