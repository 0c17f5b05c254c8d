//! Guards, gone clusters, wrong accounts and clusters, and `--only`.

use super::kit::{Kit, NOW, binding, key};
use super::rules::{applied, apply, live_account, live_role, names, refused, step, undeclare};
use super::simulate;
use crate::ids::{IssuerUrl, RoleName};
use crate::model::desired::ClusterState;
use crate::model::live::{Access, FieldManager, Observed};
use crate::model::marks::{ADDRESS, OWNER, ROLE_ARN, address_mark};
use crate::model::refusal::RefusalKind;
use crate::plan::change::Action;
use std::sync::Arc;

/// `count` roles beside those of `applied`.
pub(super) fn crowd(count: usize) -> Kit {
    let mut kit = applied();
    for index in 0..count {
        kit.role(&format!("r{index}"), |role| role.bindings = vec![binding("east", &format!("s{index}"))]);
    }
    apply(&mut kit);
    kit
}

#[test]
pub(super) fn too_many_deletes_are_refused_until_forced() {
    let mut kit = crowd(20);
    for index in 0..3 {
        kit.desired.roles.remove(&key(&format!("r{index}")));
    }
    // three roles and three ServiceAccounts
    refused(&kit.plan(), "orphan/default/role/r0", "but `guard.max-delete` allows only 5");
    kit.desired.guard.max_delete = 6;
    assert_eq!(kit.plan().refused, []);
    kit.desired.guard.max_delete = 0;
    kit.options.force = true;
    assert_eq!(kit.plan().summary().delete, 6);
}

#[test]
pub(super) fn too_many_changes_are_refused_from_min_existing_on() {
    let mut kit = crowd(4);
    for index in 0..4 {
        live_role(&mut kit, &format!("r{index}")).role.description = "edited".into();
    }
    assert_eq!(kit.plan().refused, [], "4 of 14 are 28 %");
    live_role(&mut kit, "keep").role.description = "edited".into();
    refused(&kit.plan(), "role/keep", "but `guard.max-change-percent` allows only 30 percent");
    kit.desired.guard.min_existing = 100;
    assert_eq!(kit.plan().refused, []);
    kit.desired.guard.min_existing = 10;
    kit.options.force = true;
    assert_eq!(kit.plan().summary().update, 5);
}

/// Many ServiceAccounts with our label, set by `manager`.
fn labelled(kit: &mut Kit, manager: &str) {
    let label = Arc::new(FieldManager {
        name: manager.into(),
        operation: "Update".into(),
        labels: vec![OWNER.into()],
        annotations: Vec::new(),
        others: false,
    });
    for index in 0..100 {
        let mut live = live_account(kit, "east", "worker").clone();
        live.name = format!("theirs{index}").parse().unwrap();
        live.annotations.clear();
        live.managers = vec![Arc::clone(&label)];
        let reference = (live.namespace.clone(), live.name.clone());
        kit.cluster("east").service_accounts.insert(reference, Observed::Present(live));
    }
}

#[test]
fn owner_label_of_another_field_manager_does_not_count() {
    let mut kit = crowd(4);
    for name in ["r0", "r1", "r2", "r3", "keep"] {
        live_role(&mut kit, name).role.description = "edited".into();
    }
    labelled(&mut kit, "kubectl-label");
    refused(&kit.plan(), "role/keep", "5 of the 14 objects that irsa manages would change");
    // nor does it hide an emptied cluster or a reused owner
    let mut kit = applied();
    labelled(&mut kit, "kubectl-label");
    kit.desired.roles.retain(|name, _| name == &key("keep"));
    kit.role("keep", |role| role.bindings = vec![binding("west", "keep")]);
    kit.desired.policies.clear();
    kit.options.force = true;
    refused(&kit.plan(), "service-account/east/apps/worker", "everything that irsa manages in cluster/east");
    let mut kit = applied();
    labelled(&mut kit, "kubectl-label");
    kit.desired.roles.clear();
    kit.desired.policies.clear();
    kit.role("fresh", |role| role.bindings = vec![binding("east", "theirs0")]);
    kit.options.force = true;
    refused(&kit.plan(), "orphan/default/role/reports", "another configuration may use the same `owner`");
}

#[test]
pub(super) fn a_role_in_use_is_not_deleted() {
    let mut kit = applied();
    live_role(&mut kit, "reports").last_used = Some(NOW - 3600);
    undeclare(&mut kit);
    refused(&kit.plan(), "orphan/default/role/reports", "`guard.recent-use`");
    kit.options.force = true;
    assert_eq!(step(&kit.plan(), "orphan/default/role/reports").change.action(), Action::Delete);
    live_role(&mut kit, "reports").instance_profiles = vec!["nodes".into()];
    refused(&kit.plan(), "orphan/default/role/reports", "instance profiles");
}

#[test]
pub(super) fn emptying_an_account_or_cluster_needs_destroy() {
    let mut kit = applied();
    kit.role("elsewhere", |role| role.bindings = vec![binding("west", "worker")]);
    apply(&mut kit);
    kit.desired.roles.retain(|name, _| name == &key("elsewhere"));
    kit.desired.policies.clear();
    kit.options.force = true;
    refused(&kit.plan(), "service-account/east/apps/worker", "everything that irsa manages in cluster/east");
    kit.desired.roles.clear();
    kit.options.destroy = true;
    assert_eq!(kit.plan().refused, []);
}

#[test]
pub(super) fn deletes_while_nothing_declared_exists_are_refused() {
    let mut kit = applied();
    kit.desired.roles.clear();
    kit.desired.policies.clear();
    kit.role("fresh", |role| role.bindings = vec![binding("west", "fresh")]);
    kit.options.force = true;
    refused(&kit.plan(), "orphan/default/role/reports", "another configuration may use the same `owner`");
}

#[test]
pub(super) fn delete_of_an_object_of_an_undeclared_account_or_cluster_is_refused() {
    let mut kit = applied();
    undeclare(&mut kit);
    for policy in kit.account().policies.values_mut() {
        if let Observed::Present(policy) = policy {
            policy.policy.tags.insert("irsa/address".into(), "policy/elsewhere/bucket".into());
        }
    }
    refused(&kit.plan(), "orphan/default/policy/bucket", "account `elsewhere`");
    live_account(&mut kit, "east", "worker")
        .annotations
        .insert("irsa/address".into(), "service-account/north/apps/worker".into());
    refused(&kit.plan(), "service-account/east/apps/worker", "cluster `north`");
}

#[test]
pub(super) fn trust_in_our_issuer_stays_until_its_cluster_is_declared_gone() {
    let mut kit = applied();
    kit.role("reports", |role| role.bindings = vec![binding("east", "worker"), binding("west", "worker")]);
    kit.desired.policies.clear();
    apply(&mut kit);
    // the cluster leaves the file
    kit.desired.clusters.remove(&key("west"));
    kit.live.clusters.remove(&key("west"));
    kit.role("reports", |role| role.bindings = vec![binding("east", "worker")]);
    let plan = kit.plan();
    refused(&plan, "role/reports", "no declared cluster has this issuer");
    refused(&plan, "orphan/default/oidc-provider/oidc.example.com/id/west", "cluster `west`");
    // declared gone: its trust, provider and bindings are removed without a request to it
    let mut gone = Kit::new().desired.clusters[&key("west")].clone();
    gone.state = ClusterState::Gone;
    kit.desired.clusters.insert(key("west"), gone);
    kit.role("reports", |role| role.bindings = vec![binding("east", "worker"), binding("west", "worker")]);
    let plan = kit.plan();
    assert_eq!(plan.refused, []);
    assert_eq!(names(&plan), ["update role/reports", "delete orphan/default/oidc-provider/oidc.example.com/id/west"]);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(kit.plan().steps, []);
}

#[test]
fn recreated_cluster_has_its_issuer_replaced_in_every_role() {
    let mut kit = applied();
    kit.cluster("east").issuer = Observed::Present(IssuerUrl::parse("https://oidc.example.com/id/new").unwrap());
    let plan = kit.plan();
    assert_eq!(plan.refused, []);
    assert_eq!(
        names(&plan),
        [
            "create oidc-provider/default/east",
            "update role/keep",
            "update role/reports",
            "delete orphan/default/oidc-provider/oidc.example.com/id/east"
        ]
    );
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(kit.plan().steps, []);
}

/// Only the address of a provider says that a cluster was deleted.
#[test]
fn role_with_the_address_of_an_undeclared_cluster_gets_the_hint_of_a_reused_owner() {
    for (address, hint) in [
        ("service-account/lost/apps/worker", "check that no other configuration uses this `owner`"),
        ("oidc-provider/default/lost", "declare `[clusters.lost]` with `state = \"gone\"`"),
    ] {
        let mut kit = applied();
        undeclare(&mut kit);
        live_role(&mut kit, "reports").role.tags.insert(ADDRESS.into(), address.into());
        let plan = kit.plan();
        refused(&plan, "orphan/default/role/reports", "its tag `irsa/address` names cluster `lost`");
        let refused = plan.refused.iter().find(|item| item.address == "orphan/default/role/reports").unwrap();
        assert!(refused.hint.contains(hint), "{address}: {}", refused.hint);
    }
}

#[test]
fn wrong_account_or_cluster_is_refused_and_the_rest_is_planned() {
    let mut kit = applied();
    kit.cluster("east").api = Access::Wrong(
        RefusalKind::CertificateAuthority
            .because("it may lead to another cluster: another server", "check the context"),
    );
    kit.role("other", |role| role.bindings = vec![binding("west", "other")]);
    let plan = kit.plan();
    refused(&plan, "cluster/east", "another server");
    assert!(names(&plan).contains(&"create service-account/west/apps/other".to_owned()));
    kit.wrong_account();
    let plan = kit.plan();
    refused(&plan, "account/default", "999999999999");
    assert_eq!(plan.steps, []);
}

#[test]
pub(super) fn role_with_a_foreign_service_account_is_not_deleted() {
    let mut kit = applied();
    let item = live_account(&mut kit, "east", "worker");
    item.managers.push(super::rules::manager("helm", ROLE_ARN));
    undeclare(&mut kit);
    refused(&kit.plan(), "orphan/default/role/reports", "still points at it");
}

#[test]
fn role_whose_annotation_another_manager_owns_is_not_deleted() {
    let mut kit = applied();
    let item = live_account(&mut kit, "east", "worker");
    // another manager took it by force: irsa no longer owns it and cannot remove it
    for manager in &mut item.managers {
        Arc::make_mut(manager).annotations.retain(|key| key != ROLE_ARN);
    }
    item.managers.push(super::rules::manager("helm", ROLE_ARN));
    undeclare(&mut kit);
    refused(&kit.plan(), "orphan/default/role/reports", "still points at it");
}

#[test]
pub(super) fn service_account_needs_its_role_and_is_refused_with_it() {
    let mut kit = applied();
    kit.role("taken", |role| role.bindings = vec![binding("east", "taken")]);
    let mut foreign = live_role(&mut kit, "keep").clone();
    foreign.role.name = RoleName::parse("taken").unwrap();
    foreign.role.tags.clear();
    kit.account().roles.insert("taken".into(), Observed::Present(foreign));
    let plan = kit.plan();
    refused(&plan, "role/taken", "has no owner tag");
    refused(&plan, "service-account/east/apps/taken", "`role/taken`, which it depends on, is refused");
}

#[test]
fn only_selects_with_dependencies_and_refuses_dangling_deletes() {
    let mut kit = Kit::new();
    kit.role("one", |role| role.bindings = vec![binding("east", "one")]);
    kit.role("two", |role| role.bindings = vec![binding("west", "two")]);
    kit.options.only = vec!["service-account/east/*".into()];
    let plan = kit.plan();
    assert_eq!(
        names(&plan),
        ["create oidc-provider/default/east", "create role/one", "create service-account/east/apps/one"]
    );
    kit.options.only = vec!["role/nothing".into()];
    assert_eq!(kit.plan().unmatched, ["role/nothing"]);
    let mut kit = applied();
    undeclare(&mut kit);
    kit.options.only = vec!["orphan/default/role/*".into()];
    refused(&kit.plan(), "orphan/default/role/reports", "is not selected");
    kit.options.only.push("service-account/east/apps/worker".into());
    assert_eq!(kit.plan().refused, []);
}

#[test]
fn delete_of_a_service_account_with_an_undeclared_cluster_in_its_long_address_is_refused() {
    for name in ["worker".to_owned(), format!("{}.{}", "n".repeat(60), "m".repeat(180))] {
        let mut kit = applied();
        let item = live_account(&mut kit, "east", "worker");
        let far = format!("service-account/far/{}/{name}", "s".repeat(60)).parse().unwrap();
        item.annotations.insert(ADDRESS.into(), address_mark(&far));
        undeclare(&mut kit);
        refused(&kit.plan(), "service-account/east/apps/worker", "cluster `far`");
    }
}
