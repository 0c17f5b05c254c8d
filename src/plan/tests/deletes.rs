//! Which objects irsa deletes, and which it only releases. Each rule has its counterexample.

use super::kit::{Kit, NOW, allow, binding, declared, key};
use super::rules::{applied, apply, live_account, live_role, manager, names, refused, step, undeclare};
use crate::ids::{IssuerUrl, ProviderArn};
use crate::model::call::{Call, KubernetesCall};
use crate::model::desired::{ClusterState, Manage};
use crate::model::live::{LiveProvider, Observed};
use crate::model::marks::{ADDRESS, CREATED, OWNER, ROLE_ARN};
use crate::model::resource::{Provider, StringMap};
use crate::plan::Plan;
use crate::plan::change::{Action, ResourceChange};
use crate::policy::Statement;
use crate::policy::document::PolicyKind;
use serde_json::json;
use std::sync::Arc;

const ROLE: &str = "orphan/default/role/reports";
const ITEM: &str = "service-account/east/apps/worker";

/// `applied`, with `role/reports` and its ServiceAccount no longer declared.
fn undeclared() -> Kit {
    let mut kit = applied();
    undeclare(&mut kit);
    kit
}

/// Trust in a provider without owner, for this subject.
fn outside(subject: &str) -> Statement {
    let value = json!({
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/ci.example.com"},
        "Condition": {"StringEquals": {"ci.example.com:sub": subject}},
    });
    Statement::parse(&value, Some(PolicyKind::Trust)).unwrap()
}

fn with_outside(subject: &str) -> Kit {
    let mut kit = applied();
    let url = IssuerUrl::parse("https://ci.example.com").unwrap();
    let provider =
        Provider { url: url.to_string(), audiences: ["sts.amazonaws.com".to_owned()].into(), tags: StringMap::new() };
    let live = LiveProvider { provider, thumbprints: Vec::new() };
    let arn = ProviderArn::parse("arn:aws:iam::111122223333:oidc-provider/ci.example.com").unwrap();
    kit.account().providers.insert(arn, Observed::Present(live));
    kit.desired.roles.get_mut(&key("reports")).unwrap().extra_trust = vec![outside(subject)];
    apply(&mut kit);
    undeclare(&mut kit);
    kit
}

#[test]
fn role_that_also_trusts_another_provider_is_deleted() {
    let mut kit = with_outside("repo:example/reports:ref:refs/heads/main");
    assert_eq!(step(&kit.plan(), ROLE).change.action(), Action::Delete);
    let mut kit = with_outside("system:serviceaccount:apps:worker");
    refused(&kit.plan(), ROLE, "whose cluster is not declared");
}

#[test]
pub(super) fn role_of_a_gone_cluster_is_deleted_while_another_cluster_is_unknown() {
    let mut kit = applied();
    kit.role("far", |role| role.bindings = vec![binding("west", "far")]);
    apply(&mut kit);
    kit.desired.roles.remove(&key("far"));
    // only the tags of its provider show its issuer
    kit.desired.clusters.get_mut(&key("west")).unwrap().state = ClusterState::Gone;
    kit.live.clusters.remove(&key("west"));
    kit.cluster("east").issuer = Observed::Unknown("timeout".into());
    let plan = kit.plan();
    assert_eq!(step(&plan, "orphan/default/role/far").change.action(), Action::Delete);
    // a provider without the owner tag does not count
    for provider in kit.account().providers.values_mut() {
        if let Observed::Present(live) = provider {
            live.provider.tags.insert(OWNER.into(), "other".into());
        }
    }
    refused(&kit.plan(), "orphan/default/role/far", "may belong to cluster `east`, whose issuer is unknown");
}

#[test]
pub(super) fn nothing_that_roles_use_is_deleted_while_roles_cannot_be_listed() {
    let mut kit = undeclared();
    kit.role("far", |role| role.bindings = vec![binding("west", "far")]);
    apply_over(&mut kit);
    kit.desired.roles.remove(&key("far"));
    kit.account().role_list = Observed::Unknown("denied".into());
    for denied in [true, false] {
        kit.account().role_list_denied = denied;
        let plan = kit.plan();
        refused(&plan, "orphan/default/role/far", "could not be listed: denied");
        refused(&plan, "oidc-provider/default/west", "could not be listed: denied");
        assert_eq!(plan.complete(), denied, "what may never be listed is only said");
        assert!(plan.notes.iter().any(|note| note.address == "account/default" && note.rule == "orphans-unseen"));
    }
    assert!(applied().plan().notes.iter().all(|note| note.rule != "orphans-unseen"));
}

/// Plans and applies, without deletes.
fn apply_over(kit: &mut Kit) {
    let mut plan = kit.plan();
    plan.steps.retain(|step| step.change.action() == Action::Create);
    super::simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
}

#[test]
fn policy_attached_to_and_bounding_the_same_deleted_role_is_deleted() {
    let mut kit = applied();
    let attached = &live_role(&mut kit, "reports").role.attached;
    let arn = attached.iter().find(|arn| arn.as_str().ends_with("/bucket")).unwrap().clone();
    live_role(&mut kit, "reports").role.permissions_boundary = Some(arn.clone());
    let Some(Observed::Present(live)) = kit.account().policies.get_mut(&arn) else { panic!("no {arn}") };
    live.boundaries = 1;
    undeclare(&mut kit);
    assert_eq!(step(&kit.plan(), "orphan/default/policy/bucket").change.action(), Action::Delete);
    let Some(Observed::Present(live)) = kit.account().policies.get_mut(&arn) else { panic!("no {arn}") };
    live.boundaries = 2;
    refused(
        &kit.plan(),
        "orphan/default/policy/bucket",
        "it has 3 uses (attached, or as a permissions boundary), of which this plan ends 2",
    );
}

#[test]
fn role_is_deleted_once_recent_use_has_passed() {
    let mut kit = undeclared();
    let limit = i64::try_from(kit.desired.guard.recent_use.as_secs()).unwrap();
    live_role(&mut kit, "reports").last_used = Some(NOW - limit + 1);
    refused(&kit.plan(), ROLE, "`guard.recent-use`");
    live_role(&mut kit, "reports").last_used = Some(NOW - limit);
    let plan = kit.plan();
    assert_eq!(step(&plan, ROLE).reasons, ["no longer declared"]);
    kit.options.destroy = true;
    kit.desired.guard.max_delete = 10;
    assert_eq!(step(&kit.plan(), ROLE).reasons, ["`--destroy` deletes every selected object"]);
}

#[test]
pub(super) fn policy_that_any_role_keeps_is_not_deleted() {
    let mut kit = undeclared();
    for policy in kit.account().policies.values_mut() {
        if let Observed::Present(policy) = policy {
            policy.attachments += 1;
        }
    }
    // an update of another field detaches nothing
    live_role(&mut kit, "keep").role.description = "edited".into();
    refused(
        &kit.plan(),
        "orphan/default/policy/bucket",
        "it has 2 uses (attached, or as a permissions boundary), of which this plan ends 1",
    );
}

#[test]
fn forget_releases_only_the_objects_that_it_names() {
    let mut kit = undeclared();
    let origin = super::kit::origin();
    kit.desired.forget.push(("role/reports".parse().unwrap(), origin.clone()));
    let plan = kit.plan();
    assert_eq!(step(&plan, ROLE).change.action(), Action::Update);
    assert_eq!(step(&plan, ITEM).change.action(), Action::Delete);
    refused(
        &plan,
        "orphan/default/policy/bucket",
        "it has 1 use (attached, or as a permissions boundary), of which this plan ends 0",
    );
    // by its current address, whatever its address tag says
    kit.desired.forget = vec![(ROLE.parse().unwrap(), origin)];
    live_role(&mut kit, "reports").role.tags.remove(ADDRESS);
    assert_eq!(step(&kit.plan(), ROLE).change.action(), Action::Update);
}

#[test]
fn service_account_with_declared_trust_is_released_and_deleted_by_destroy() {
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().bindings[0].manage = Manage::None;
    let plan = kit.plan();
    let released = step(&plan, ITEM);
    assert_eq!(released.change.action(), Action::Update);
    assert!(
        released
            .reasons
            .contains(&"not deleted: the configuration still lets a role trust it (`manage = \"none\"`)".to_owned())
    );
    let ResourceChange::ServiceAccount(change) = &released.change else { panic!("{released:?}") };
    assert!(change.after().unwrap().labels.is_empty(), "the label goes with the rest");
    kit.options.destroy = true;
    kit.options.force = true;
    assert_eq!(step(&kit.plan(), ITEM).change.action(), Action::Delete);
}

#[test]
fn field_with_another_owner_stays_on_release() {
    let mut kit = undeclared();
    let mut helm = manager("helm", ROLE_ARN);
    Arc::make_mut(&mut helm).labels.push(OWNER.into());
    live_account(&mut kit, "east", "worker").managers.push(helm);
    let plan = kit.plan();
    let released = step(&plan, ITEM);
    assert!(released.reasons.contains(&"not deleted: others manage it too: helm".to_owned()), "{released:?}");
    let ResourceChange::ServiceAccount(change) = &released.change else { panic!("{released:?}") };
    let after = change.after().unwrap();
    assert_eq!((after.labels.len(), after.annotations.len()), (1, 1));
    assert!(after.labels.contains_key(OWNER) && after.annotations.contains_key(ROLE_ARN));
    // once irsa owns no field, the next plan releases nothing
    super::simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    let plan = kit.plan();
    assert!(!names(&plan).iter().any(|name| name.contains(ITEM)), "{:?}", names(&plan));
    let note = plan.notes.iter().find(|note| note.rule == "label-held").unwrap();
    assert_eq!((note.address.as_str(), note.text.contains("because it also belongs to `helm`")), (ITEM, true));
}

fn applies(plan: &Plan) -> (&crate::model::resource::ServiceAccount, bool) {
    match &step(plan, ITEM).parts[0].call {
        Call::Kubernetes(_, KubernetesCall::Apply { to, force, .. }) => (to, *force),
        call => panic!("{call:?}"),
    }
}

#[test]
fn created_mark_is_never_inferred() {
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().bindings[0].token_expiration = Some(3600);
    let plan = kit.plan();
    let (to, force) = applies(&plan);
    assert_eq!((to.annotations.get(CREATED).map(String::as_str), force), (Some("true"), false));
    // irsa owns other fields of the object, but not this one
    let item = live_account(&mut kit, "east", "worker");
    item.annotations.remove(CREATED);
    Arc::make_mut(&mut item.managers[0]).annotations.retain(|key| key != CREATED);
    let plan = kit.plan();
    assert!(!applies(&plan).0.annotations.contains_key(CREATED));
    // someone else created it, and no owner is recorded
    let item = live_account(&mut kit, "east", "worker");
    item.labels.clear();
    item.annotations.clear();
    item.managers = vec![manager("kubectl-create", "x")];
    let plan = kit.plan();
    assert!(!applies(&plan).0.annotations.contains_key(CREATED));
}

#[test]
fn field_changed_by_kubectl_is_taken_back() {
    let mut kit = applied();
    let item = live_account(&mut kit, "east", "worker");
    item.annotations.insert(ROLE_ARN.into(), "x".into());
    Arc::make_mut(&mut item.managers[0]).annotations.retain(|key| key != ROLE_ARN);
    item.managers.push(manager("kubectl-annotate", ROLE_ARN));
    assert!(applies(&kit.plan()).1);
}

#[test]
fn creates_come_before_deletes_in_order_of_kind() {
    let mut kit = undeclared();
    kit.role("another", |role| {
        role.bindings = vec![binding("west", "another")];
        role.attach = [declared("zebra")].into();
    });
    kit.policy("zebra", allow("s3:GetObject"));
    assert_eq!(
        names(&kit.plan()),
        [
            "create oidc-provider/default/west",
            "create policy/default/zebra",
            "create role/another",
            "delete service-account/east/apps/worker",
            "create service-account/west/apps/another",
            "delete orphan/default/role/reports",
            "delete orphan/default/policy/bucket",
        ]
    );
    // also without any dependencies
    let mut kit = undeclared();
    kit.cluster("east").service_accounts.retain(|(_, name), _| name.as_str() != "worker");
    kit.policy("zebra", allow("s3:GetObject"));
    kit.desired.roles.get_mut(&key("keep")).unwrap().description = "new".into();
    assert_eq!(
        names(&kit.plan()),
        [
            "create policy/default/zebra",
            "update role/keep",
            "delete orphan/default/role/reports",
            "delete orphan/default/policy/bucket",
        ]
    );
}

#[test]
fn unreadable_provider_makes_the_plan_incomplete() {
    let mut kit = applied();
    let arn = ProviderArn::parse("arn:aws:iam::111122223333:oidc-provider/ci.example.com").unwrap();
    kit.account().providers.insert(arn, Observed::Unknown("AccessDenied".into()));
    let plan = kit.plan();
    let unknown: Vec<_> = plan.unknown.iter().map(|item| (item.address.as_str(), item.why.as_str())).collect();
    assert_eq!(unknown, [("orphan/default/oidc-provider/ci.example.com", "AccessDenied")]);
    assert!(!plan.complete());
}
