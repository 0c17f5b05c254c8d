//! The re-read before each call: the owner tag, and the field that it writes.

use super::stale::{role, service_account};
use super::{clients, failure, kit, outcome, pace, planned, rechecked, run, world_of, writes};
use crate::apply::apply;
use crate::apply::report::{Interrupt, Outcome, Stop};
use crate::event::Silence;
use crate::model::desired::{Adopt, Boundary};
use crate::model::live::{Live, LivePolicy, LiveProvider, LiveServiceAccount, Observed};
use crate::model::marks::{ADDRESS, OWNER, PREVENT_DESTROY, ROLE_ARN};
use crate::observe::fake::World;
use crate::plan::Plan;
use crate::plan::tests::kit::{Kit, allow, aws, binding, declared, key};
use crate::world::CallErrorKind;
use tokio::sync::watch;

const PROVIDER: &str = "oidc-provider/default/east";
const GOING: &str = "orphan/default/role/reports";

fn provider(live: &mut Live, change: impl FnOnce(&mut LiveProvider)) {
    let providers = &mut live.accounts.get_mut(&key("default")).unwrap().providers;
    match providers.iter_mut().find(|(arn, _)| arn.host_path().ends_with("east")) {
        Some((_, Observed::Present(provider))) => change(provider),
        other => panic!("{other:?}"),
    }
}

fn policy(live: &mut Live, change: impl FnOnce(&mut LivePolicy)) {
    match live.accounts.get_mut(&key("default")).unwrap().policies.values_mut().next() {
        Some(Observed::Present(policy)) => change(policy),
        other => panic!("{other:?}"),
    }
}

/// Both rechecks find the step stale for this reason, and nothing of it is written.
async fn is_stale(world: &World, plan: &Plan, address: &str, says: &str) {
    let stale = rechecked(world, plan).await;
    assert!(stale.iter().any(|item| item.address == address && item.why.contains(says)), "{says}: {stale:?}");
    let report = run(world, plan).await;
    let failed = failure(&report, address);
    assert!(failed.stale && failed.why.contains(says), "{failed:?}");
    assert_eq!(failed.done, [""; 0]);
}

#[tokio::test]
async fn provider_with_another_owners_tag_is_not_written() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.desired.roles.get_mut(&key("keep")).unwrap().bindings[0].audience = Some("other".into());
    let plan = planned(&kit, &world).await;
    world.change(|live| provider(live, |it| drop(it.provider.tags.insert(OWNER.into(), "theirs".into()))));
    is_stale(&world, &plan, PROVIDER, "it belongs to `theirs` now").await;
}

#[tokio::test]
async fn provider_tags_are_compared_by_key() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    world.change(|live| provider(live, |it| drop(it.provider.tags.insert(ADDRESS.into(), "edited".into()))));
    let plan = planned(&kit, &world).await;
    // someone set the planned value
    let mended = World::new(world.live());
    mended.change(|live| provider(live, |it| drop(it.provider.tags.insert(ADDRESS.into(), PROVIDER.into()))));
    assert_eq!(outcome(&run(&mended, &plan).await, PROVIDER), &Outcome::AlreadyDone);
    assert_eq!(writes(&mended.take_log()), [""; 0]);
    world.change(|live| provider(live, |it| drop(it.provider.tags.insert(ADDRESS.into(), "again".into()))));
    is_stale(&world, &plan, PROVIDER, "`tags.irsa/address`").await;
    // the tags that `forget` removes
    let world = world_of(&kit).await;
    for role in kit.desired.roles.values_mut() {
        role.bindings.retain(|binding| binding.cluster != key("east"));
    }
    kit.desired.roles.retain(|_, role| !role.bindings.is_empty());
    kit.options.force = true;
    kit.desired.forget.push((PROVIDER.parse().unwrap(), crate::plan::tests::kit::origin()));
    let plan = planned(&kit, &world).await;
    let done = World::new(world.live());
    done.change(|live| provider(live, |it| it.provider.tags.clear()));
    assert_eq!(outcome(&run(&done, &plan).await, PROVIDER), &Outcome::AlreadyDone);
    world.change(|live| provider(live, |it| drop(it.provider.tags.insert(ADDRESS.into(), "again".into()))));
    is_stale(&world, &plan, PROVIDER, "`tags.irsa/address`").await;
}

#[tokio::test]
async fn changed_boundary_is_not_removed() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.desired.roles.get_mut(&key("reports")).unwrap().permissions_boundary = Boundary::None;
    let plan = planned(&kit, &world).await;
    world.change(|live| role(live, "reports", |it| it.role.permissions_boundary = Some(aws("Tighter"))));
    is_stale(&world, &plan, "role/reports", "`permissions-boundary`").await;
}

#[tokio::test]
async fn policy_is_not_attached_to_a_missing_role() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.desired.roles.get_mut(&key("reports")).unwrap().attach.insert(declared("second"));
    kit.policy("second", allow("s3:ListBucket"));
    let plan = planned(&kit, &world).await;
    world.change(|live| drop(live.accounts.get_mut(&key("default")).unwrap().roles.remove("reports")));
    is_stale(&world, &plan, "role/reports", "it is gone").await;
}

#[tokio::test]
async fn policy_version_is_deleted_unless_it_is_the_default() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    let versions = || ["v2", "v3", "v4", "v5"].map(str::to_owned).to_vec();
    world.change(|live| policy(live, |it| it.other_versions = versions()));
    kit.policy("bucket", allow("s3:PutObject"));
    let plan = planned(&kit, &world).await;
    let gone = World::new(world.live());
    gone.change(|live| policy(live, |it| it.other_versions.retain(|version| version != "v2")));
    assert!(run(&gone, &plan).await.succeeded());
    assert!(writes(&gone.take_log()).iter().all(|line| !line.starts_with("iam:DeletePolicyVersion")));
    world.change(|live| {
        policy(live, |it| {
            it.other_versions = ["v1", "v3", "v4", "v5"].map(str::to_owned).to_vec();
            it.default_version = "v2".into();
        });
    });
    is_stale(&world, &plan, "policy/default/bucket", "version `v2` has become the default").await;
}

#[tokio::test]
async fn role_may_have_the_owner_of_its_own_change_only() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    // one role is adopted from `theirs`, which has adopted the other one meanwhile
    world.change(|live| role(live, "keep", |it| drop(it.role.tags.insert(OWNER.into(), "theirs".into()))));
    kit.desired.roles.get_mut(&key("keep")).unwrap().adopt = Adopt::From(key("theirs"));
    kit.desired.roles.get_mut(&key("reports")).unwrap().description = "new".into();
    let plan = planned(&kit, &world).await;
    let good = World::new(world.live());
    assert!(run(&good, &plan).await.succeeded());
    world.change(|live| role(live, "reports", |it| drop(it.role.tags.insert(OWNER.into(), "theirs".into()))));
    is_stale(&world, &plan, "role/reports", "it belongs to `theirs` now").await;
}

/// A plan that deletes role `reports` and everything of it.
async fn going() -> (World, Plan) {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.desired.roles.remove(&key("reports"));
    kit.desired.policies.clear();
    let plan = planned(&kit, &world).await;
    assert_eq!(plan.refused, []);
    (world, plan)
}

#[tokio::test]
async fn role_with_a_new_prevent_destroy_tag_is_kept() {
    let (world, plan) = going().await;
    world.hook(|line, live| {
        if line == "iam:DeleteRolePolicy default reports" {
            role(live, "reports", |it| drop(it.role.tags.insert(PREVENT_DESTROY.into(), "true".into())));
        }
    });
    let report = run(&world, &plan).await;
    let failed = failure(&report, GOING);
    assert!(failed.stale && failed.why.contains(PREVENT_DESTROY), "{failed:?}");
    assert_eq!(failed.left, ["iam:DeleteRole"]);
}

#[tokio::test]
async fn role_is_deleted_if_its_service_account_names_another_role() {
    let (world, plan) = going().await;
    let kept: LiveServiceAccount = {
        let mut kept = None;
        world.change(|live| service_account(live, "worker", |it| kept = Some(it.clone())));
        kept.unwrap()
    };
    let mut pending = Some(kept);
    world.hook(move |line, live| {
        if line.starts_with("iam:GetRole default reports")
            && let Some(mut item) = pending.take()
        {
            item.annotations.insert(ROLE_ARN.into(), "arn:aws:iam::111122223333:role/irsa/team/other".into());
            let spot = (item.namespace.clone(), item.name.clone());
            live.clusters.get_mut(&key("east")).unwrap().service_accounts.insert(spot, Observed::Present(item));
        }
    });
    let report = run(&world, &plan).await;
    assert_eq!(outcome(&report, GOING), &Outcome::Applied, "{report:#?}");
}

#[tokio::test]
async fn role_with_changed_trust_is_not_deleted() {
    let mut kit = kit();
    kit.role("reports", |role| {
        role.bindings = vec![binding("east", "worker"), binding("east", "leaves")];
        role.attach = [declared("bucket")].into();
    });
    let world = world_of(&kit).await;
    kit.role("reports", |role| {
        role.name = "reports-2".parse().unwrap();
        role.bindings = vec![binding("east", "worker")];
        role.attach = [declared("bucket")].into();
    });
    kit.policy("bucket", allow("s3:PutObject"));
    kit.options.force = true;
    let plan = planned(&kit, &world).await;
    assert_eq!(rechecked(&world, &plan).await, []);
    let copy = World::new(world.live());
    assert!(run(&copy, &plan).await.succeeded());
    world.change(|live| {
        let keep = live.accounts[&key("default")].roles["keep"].present().unwrap().role.trust.clone();
        role(live, "reports", |it| it.role.trust = keep);
    });
    let stale = rechecked(&world, &plan).await;
    assert!(stale.iter().any(|item| item.address == GOING && item.why.contains("`trust`")), "{stale:?}");
}

#[tokio::test]
async fn write_that_a_signal_stopped_is_skipped_not_failed() {
    let mut kit = kit();
    let world = world_of(&kit).await;
    kit.desired.roles.get_mut(&key("reports")).unwrap().description = "new".into();
    let plan = planned(&kit, &world).await;
    world.fail("iam:UpdateRole default reports", CallErrorKind::Stopped);
    let (sender, stop) = watch::channel(None);
    world.hook(move |line, _| {
        if line == "iam:UpdateRole default reports" {
            sender.send_replace(Some(Stop::Signal(Interrupt::Interrupt)));
        }
    });
    let report = apply(&plan, &clients(&world), &pace(4), stop, &Silence).await;
    assert_eq!(outcome(&report, "role/reports"), &Outcome::Skipped("interrupted".into()));
}

/// Accounts `default` and `other`, both empty.
fn two_accounts() -> Kit {
    let mut kit = kit();
    let id = crate::ids::AccountId::parse("444455556666").unwrap();
    let mut account = kit.desired.accounts[&key("default")].clone();
    account.id = id.clone();
    kit.desired.accounts.insert(key("other"), account);
    let mut live = kit.live.accounts[&key("default")].clone();
    if let crate::model::live::Access::Granted(identity) = &mut live.identity {
        identity.account = id;
    }
    kit.live.accounts.insert(key("other"), live);
    kit
}

#[tokio::test]
async fn role_of_the_same_name_in_another_account_is_independent() {
    let mut kit = two_accounts();
    kit.desired.roles.get_mut(&key("reports")).unwrap().attach.clear();
    kit.desired.policies.clear();
    let world = world_of(&kit).await;
    // its ServiceAccount follows it to the other account, and the old role may go
    kit.desired.roles.get_mut(&key("reports")).unwrap().account = key("other");
    kit.options.force = true;
    let plan = planned(&kit, &world).await;
    let copy = World::new(world.live());
    let report = run(&copy, &plan).await;
    assert!(report.succeeded(), "{report:#?}");
    assert!(!copy.live().accounts[&key("default")].roles.contains_key("reports"));
}

#[tokio::test]
async fn owner_is_compared_with_the_change_in_the_same_account() {
    let mut kit = two_accounts();
    kit.role("afar", |role| {
        role.name = "reports".parse().unwrap();
        role.account = key("other");
        role.bindings = vec![binding("east", "afar")];
    });
    let world = world_of(&kit).await;
    let theirs = |account: &'static str| {
        move |live: &mut Live| match live.accounts.get_mut(&key(account)).unwrap().roles.get_mut("reports") {
            Some(Observed::Present(role)) => drop(role.role.tags.insert(OWNER.into(), "theirs".into())),
            other => panic!("{other:?}"),
        }
    };
    // the role in the other account is adopted from `theirs`, the one here is not
    world.change(theirs("other"));
    kit.desired.roles.get_mut(&key("afar")).unwrap().adopt = Adopt::From(key("theirs"));
    kit.desired.roles.get_mut(&key("reports")).unwrap().description = "new".into();
    let plan = planned(&kit, &world).await;
    let good = World::new(world.live());
    let report = run(&good, &plan).await;
    assert!(report.succeeded(), "{report:#?}");
    world.change(theirs("default"));
    is_stale(&world, &plan, "role/reports", "it belongs to `theirs` now").await;
}
