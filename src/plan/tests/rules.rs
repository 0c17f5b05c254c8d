//! One test for each rule of ownership and adoption.

use super::kit::{Kit, allow, aws, binding, declared, key};
use super::simulate::{self, US};
use crate::ids::{IamPath, Namespace, PolicyName, RoleName, ServiceAccountName};
use crate::model::call::{Call, KubernetesCall};
use crate::model::desired::{Adopt, Attachment, Boundary, Manage};
use crate::model::live::{FieldManager, LiveRole, LiveServiceAccount, Observed};
use crate::model::marks::{ADDRESS, CREATED, OWNER, PREVENT_DESTROY, ROLE_ARN};
use crate::model::pattern::Pattern;
use crate::plan::change::Action;
use crate::plan::{Plan, Step};
use crate::policy::Statement;
use crate::policy::document::PolicyKind;
use serde_json::json;
use std::sync::Arc;

/// One role `reports` for `east/apps/worker` with an attached and an inline policy, applied.
pub(super) fn applied() -> Kit {
    let mut kit = Kit::new();
    kit.role("keep", |role| role.bindings = vec![binding("east", "keep")]);
    kit.role("reports", |role| {
        role.bindings = vec![binding("east", "worker")];
        role.attach = [Attachment::Arn(aws("ReadOnly")), declared("bucket")].into();
        role.inline.insert(PolicyName::parse("queue").unwrap(), allow("sqs:SendMessage"));
    });
    kit.policy("bucket", allow("s3:GetObject"));
    apply(&mut kit);
    kit
}

/// Removes the declarations of `role/reports`, its ServiceAccount and its policy.
pub(super) fn undeclare(kit: &mut Kit) {
    kit.desired.roles.remove(&key("reports"));
    kit.desired.policies.clear();
}

pub(super) fn apply(kit: &mut Kit) {
    let plan = kit.plan();
    assert_eq!(plan.refused, []);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
}

pub(super) fn step<'a>(plan: &'a Plan, address: &str) -> &'a Step {
    let found = plan.steps.iter().find(|step| step.address.to_string() == address);
    found.unwrap_or_else(|| panic!("no step for {address}: {:#?} {:#?}", names(plan), plan.refused))
}

pub(super) fn names(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| format!("{} {}", step.change.action().as_str(), step.address)).collect()
}

pub(super) fn refused(plan: &Plan, address: &str, words: &str) {
    let found = plan.refused.iter().find(|item| item.address == address);
    let item = found.unwrap_or_else(|| panic!("{address} is not refused: {:#?} {:#?}", names(plan), plan.refused));
    assert!(item.why.contains(words), "{} lacks {words}", item.why);
    assert!(!item.hint.is_empty());
    assert!(plan.steps.iter().all(|step| step.address.to_string() != address));
}

pub(super) fn live_role<'a>(kit: &'a mut Kit, name: &str) -> &'a mut LiveRole {
    match kit.account().roles.get_mut(&RoleName::parse(name).unwrap().lower_case()) {
        Some(Observed::Present(role)) => role,
        _ => panic!("no role {name}"),
    }
}

pub(super) fn live_account<'a>(kit: &'a mut Kit, cluster: &str, name: &str) -> &'a mut LiveServiceAccount {
    let reference = (Namespace::parse("apps").unwrap(), ServiceAccountName::parse(name).unwrap());
    match kit.cluster(cluster).service_accounts.get_mut(&reference) {
        Some(Observed::Present(item)) => item,
        _ => panic!("no ServiceAccount {name}"),
    }
}

pub(super) fn manager(name: &str, annotation: &str) -> Arc<FieldManager> {
    Arc::new(FieldManager {
        name: name.into(),
        operation: "Update".into(),
        labels: [].into(),
        annotations: [annotation.to_owned()].into(),
        others: false,
    })
}

#[test]
fn created_objects_have_our_tags_from_the_first_call() {
    let mut kit = applied();
    let tags = live_role(&mut kit, "reports").role.tags.clone();
    assert_eq!((tags.get(OWNER).unwrap().as_str(), tags.get(ADDRESS).unwrap().as_str()), ("team", "role/reports"));
    let item = live_account(&mut kit, "east", "worker");
    assert_eq!(item.labels.get(OWNER).unwrap(), "team");
    let annotation = |key: &str| item.annotations.get(key).unwrap().as_str();
    assert_eq!(annotation(ADDRESS), "service-account/east/apps/worker");
    assert_eq!(annotation(CREATED), "true");
    assert_eq!(annotation(ROLE_ARN), "arn:aws:iam::111122223333:role/irsa/team/reports");
    let plan = kit.plan();
    assert_eq!((plan.steps, plan.unchanged.len()), (vec![], 6));
}

#[test]
fn creates_go_from_provider_to_service_account_and_deletes_in_reverse() {
    let mut kit = applied();
    kit.options.destroy = true;
    kit.options.force = true;
    let plan = kit.plan();
    let order: Vec<String> = names(&plan);
    let at = |name: &str| order.iter().position(|item| item == name).unwrap_or_else(|| panic!("{name} in {order:?}"));
    assert!(at("delete service-account/east/apps/worker") < at("delete role/reports"));
    assert!(at("delete role/reports") < at("delete policy/default/bucket"));
    assert!(at("delete role/reports") < at("delete oidc-provider/default/east"));
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert!(kit.account().providers.is_empty() && kit.account().policies.is_empty());
}

#[test]
fn object_without_owner_is_refused_until_adopted() {
    let mut kit = applied();
    live_role(&mut kit, "reports").role.tags.clear();
    refused(&kit.plan(), "role/reports", "has no owner tag");
    kit.options.adopt = true;
    let plan = kit.plan();
    assert_eq!(step(&plan, "role/reports").change.action(), Action::Adopt);
    kit.options.adopt = false;
    kit.desired.roles.get_mut(&key("reports")).unwrap().adopt = Adopt::Unowned;
    let plan = kit.plan();
    assert_eq!(step(&plan, "role/reports").change.action(), Action::Adopt);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(kit.plan().steps, []);
}

#[test]
pub(super) fn object_of_another_owner_needs_adopt_from() {
    let mut kit = applied();
    live_role(&mut kit, "reports").role.tags.insert(OWNER.into(), "other".into());
    kit.options.adopt = true;
    refused(&kit.plan(), "role/reports", "belongs to owner `other`");
    kit.desired.roles.get_mut(&key("reports")).unwrap().adopt = Adopt::From(key("third"));
    refused(&kit.plan(), "role/reports", "belongs to owner `other`");
    kit.desired.roles.get_mut(&key("reports")).unwrap().adopt = Adopt::From(key("other"));
    assert_eq!(step(&kit.plan(), "role/reports").change.action(), Action::Adopt);
}

#[test]
fn foreign_provider_gets_only_a_missing_audience() {
    let mut kit = applied();
    for provider in kit.account().providers.values_mut() {
        if let Observed::Present(live) = provider {
            live.provider.tags.clear();
            live.provider.audiences = ["another".to_owned()].into();
        }
    }
    let plan = kit.plan();
    let fields: Vec<&str> =
        step(&plan, "oidc-provider/default/east").fields.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(fields, ["audiences"]);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    let live = kit.account().providers.values().next().unwrap().present().unwrap().provider.clone();
    assert_eq!(live.audiences, ["another".to_owned(), "sts.amazonaws.com".to_owned()].into());
    assert!(live.tags.is_empty());
    kit.options.destroy = true;
    kit.options.force = true;
    assert!(!names(&kit.plan()).iter().any(|name| name.contains("oidc-provider")), "never deleted");
}

#[test]
fn undeclared_attachments_and_tags_are_removed_unless_ignored() {
    let mut kit = applied();
    kit.desired.ignore_tags = vec![Pattern::new("cost:*")];
    kit.desired.roles.get_mut(&key("reports")).unwrap().ignore_attached =
        vec![Pattern::new("arn:aws:iam::*:policy/Audit*")];
    let live = live_role(&mut kit, "reports");
    live.role.attached.extend([aws("AuditX"), aws("AdministratorAccess")]);
    live.role.inline.insert(PolicyName::parse("rogue").unwrap(), allow("*"));
    for (key, value) in [("cost:center", "1"), ("aws:cloudformation:stack-name", "x"), ("stray", "1")] {
        live.role.tags.insert(key.into(), value.into());
    }
    live.role.permissions_boundary = Some(aws("Boundary"));
    apply(&mut kit);
    let live = live_role(&mut kit, "reports");
    assert!(live.role.attached.contains(&aws("AuditX")) && !live.role.attached.contains(&aws("AdministratorAccess")));
    assert_eq!(live.role.inline.len(), 1);
    assert!(live.role.tags.contains_key("cost:center") && live.role.tags.contains_key("aws:cloudformation:stack-name"));
    assert!(!live.role.tags.contains_key("stray"));
    assert_eq!(live.role.permissions_boundary, Some(aws("Boundary")), "an undeclared boundary stays");
    kit.desired.roles.get_mut(&key("reports")).unwrap().permissions_boundary = Boundary::None;
    apply(&mut kit);
    assert_eq!(live_role(&mut kit, "reports").role.permissions_boundary, None);
}

#[test]
pub(super) fn live_role_keeps_its_path_and_another_declared_path_is_refused() {
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().path = IamPath::parse("/other/").unwrap();
    let plan = kit.plan();
    assert_eq!(plan.steps, []);
    let kept: Vec<(&str, &str)> =
        plan.notes.iter().filter(|note| note.rule == "path-kept").map(|note| (&*note.address, &*note.text)).collect();
    assert_eq!(kept, [("role/reports", "the live role keeps its path `/irsa/team/`; new ones get `/other/`")]);
    kit.desired.roles.get_mut(&key("reports")).unwrap().path_declared = true;
    refused(&kit.plan(), "role/reports", "IAM cannot move a role");
}

#[test]
fn new_role_name_creates_moves_and_deletes() {
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().name = RoleName::parse("reports-2").unwrap();
    let plan = kit.plan();
    let order = names(&plan);
    assert_eq!(
        order,
        ["create role/reports", "update service-account/east/apps/worker", "delete orphan/default/role/reports"]
    );
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(kit.plan().steps, []);
}

#[test]
fn changed_key_updates_only_the_tag() {
    let mut kit = applied();
    let role = kit.desired.roles.remove(&key("reports")).unwrap();
    kit.desired.roles.insert(key("renamed"), role);
    let plan = kit.plan();
    let fields: Vec<&str> = step(&plan, "role/renamed").fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!((names(&plan).len(), fields), (1, vec!["tags.irsa/address"]));
}

#[test]
fn forget_removes_only_our_tags_and_labels() {
    let mut kit = applied();
    let role = kit.desired.roles.remove(&key("reports")).unwrap();
    for address in ["role/reports", "service-account/east/apps/worker", "policy/default/bucket"] {
        kit.desired.forget.push((address.parse().unwrap(), role.origin.clone()));
    }
    kit.desired.policies.clear();
    // IAM ignores the case of tag keys
    live_role(&mut kit, "reports").role.tags.insert("Irsa/Address".into(), "role/older".into());
    let plan = kit.plan();
    assert_eq!(plan.refused, []);
    assert!(plan.steps.iter().all(|step| step.change.action() == Action::Update), "{:?}", names(&plan));
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    let live = live_role(&mut kit, "reports").clone();
    assert!(live.role.tags.is_empty() && live.role.attached.len() == 2);
    let item = live_account(&mut kit, "east", "worker");
    assert!(
        item.labels.is_empty() && item.annotations.contains_key(ROLE_ARN) && !item.annotations.contains_key(CREATED)
    );
    assert_eq!(kit.plan().steps, []);
}

#[test]
fn foreign_service_account_is_released_and_not_deleted() {
    let mut kit = applied();
    let item = live_account(&mut kit, "east", "worker");
    item.managers.push(manager("helm", "meta.helm.sh/release-name"));
    item.annotations.insert("meta.helm.sh/release-name".into(), "x".into());
    undeclare(&mut kit);
    let plan = kit.plan();
    let released = step(&plan, "service-account/east/apps/worker");
    assert_eq!(released.change.action(), Action::Update);
    assert!(released.reasons.iter().any(|why| why.contains("not deleted")));
    assert_eq!(step(&plan, "orphan/default/role/reports").needs, std::slice::from_ref(&released.address));
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    let item = live_account(&mut kit, "east", "worker");
    assert_eq!(item.annotations.keys().collect::<Vec<_>>(), ["meta.helm.sh/release-name"]);
}

#[test]
fn service_account_that_must_not_be_deleted_is_released() {
    type Spoil = fn(&mut LiveServiceAccount);
    let spoils: [(&str, Spoil); 8] = [
        ("made by someone else", |item| drop(item.annotations.remove(CREATED))),
        ("another address", |item| {
            drop(item.annotations.insert(ADDRESS.into(), "service-account/west/apps/worker".into()));
        }),
        ("another manager", |item| item.managers.push(manager("terraform", "x"))),
        ("owner reference", |item| item.owner_references.push("App/x".into())),
        ("helm", |item| drop(item.labels.insert("app.kubernetes.io/managed-by".into(), "Helm".into()))),
        ("argo", |item| drop(item.annotations.insert("argocd.argoproj.io/tracking-id".into(), "x".into()))),
        ("pods", |item| item.pods = Some(Observed::Present(vec!["worker-1".into()]))),
        ("pods unknown", |item| item.pods = Some(Observed::Unknown("denied".into()))),
    ];
    for (name, spoil) in spoils {
        let mut kit = applied();
        undeclare(&mut kit);
        assert_eq!(step(&kit.plan(), "service-account/east/apps/worker").change.action(), Action::Delete);
        spoil(live_account(&mut kit, "east", "worker"));
        assert_eq!(step(&kit.plan(), "service-account/east/apps/worker").change.action(), Action::Update, "{name}");
    }
}

#[test]
pub(super) fn field_of_another_manager_is_refused_unless_it_is_kubectl() {
    let mut kit = applied();
    let spoil = |kit: &mut Kit, name: &str| {
        let item = live_account(kit, "east", "worker");
        item.annotations.insert(ROLE_ARN.into(), "arn:aws:iam::111122223333:role/x".into());
        item.managers.retain(|manager| manager.name == US);
        Arc::make_mut(&mut item.managers[0]).annotations.retain(|key| key != ROLE_ARN);
        item.managers.push(manager(name, ROLE_ARN));
    };
    spoil(&mut kit, "argocd-controller");
    refused(&kit.plan(), "service-account/east/apps/worker", "manager `argocd-controller`");
    kit.options.force_conflicts = true;
    assert_eq!(names(&kit.plan()), ["update service-account/east/apps/worker"]);
    kit.options.force_conflicts = false;
    spoil(&mut kit, "kubectl-annotate");
    let plan = kit.plan();
    assert!(step(&plan, "service-account/east/apps/worker").reasons.iter().any(|why| why.contains("kubectl-annotate")));
    // without our label it is not drift
    live_account(&mut kit, "east", "worker").labels.clear();
    refused(&kit.plan(), "service-account/east/apps/worker", "manager `kubectl-annotate`");
    // a foreign label is refused even with force
    live_account(&mut kit, "east", "worker").labels.insert(OWNER.into(), "other".into());
    kit.options.force_conflicts = true;
    refused(&kit.plan(), "service-account/east/apps/worker", "owner `other`");
}

#[test]
fn field_without_a_recorded_owner_is_refused_without_force() {
    let mut kit = applied();
    // created bare and annotated by hand: it has no managedFields
    let item = live_account(&mut kit, "east", "worker");
    item.annotations = [(ROLE_ARN.to_owned(), "arn:aws:iam::111122223333:role/x".to_owned())].into_iter().collect();
    item.labels.clear();
    item.managers.clear();
    refused(&kit.plan(), "service-account/east/apps/worker", "manager `before-first-apply`");
    kit.options.force_conflicts = true;
    let plan = kit.plan();
    let part = &step(&plan, "service-account/east/apps/worker").parts[0];
    assert!(matches!(&part.call, Call::Kubernetes(_, KubernetesCall::Apply { force: true, .. })), "{part:?}");
}

#[test]
fn missing_namespace_and_annotate_without_an_object_wait() {
    let mut kit = applied();
    kit.role("late", |role| {
        let mut annotate = binding("east", "later");
        annotate.manage = Manage::Annotate;
        role.bindings = vec![annotate, binding("west", "later")];
    });
    kit.cluster("west").namespaces.insert(Namespace::parse("apps").unwrap(), Observed::Absent);
    let plan = kit.plan();
    let waiting: Vec<String> = plan.waiting.iter().map(ToString::to_string).collect();
    assert_eq!(waiting, ["service-account/east/apps/later", "service-account/west/apps/later"]);
    assert!(names(&plan).contains(&"create role/late".to_owned()));
    assert_eq!(plan.summary().waiting, 2);
    assert!(!plan.has_waiting_iam(), "no IAM object waits");
}

#[test]
fn oldest_policy_version_is_deleted_only_at_the_quota() {
    let mut kit = applied();
    for (round, action) in ["s3:A", "s3:B", "s3:C", "s3:D", "s3:E", "s3:F"].into_iter().enumerate() {
        kit.policy("bucket", allow(action));
        let plan = kit.plan();
        assert_eq!(step(&plan, "policy/default/bucket").parts.len(), if round < 4 { 1 } else { 2 }, "round {round}");
        simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    }
}

#[test]
pub(super) fn live_prevent_destroy_tag_prevents_a_delete() {
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().prevent_destroy = true;
    apply(&mut kit);
    assert_eq!(live_role(&mut kit, "reports").role.tags.get(PREVENT_DESTROY).unwrap(), "true");
    undeclare(&mut kit);
    kit.options.force = true;
    refused(&kit.plan(), "orphan/default/role/reports", PREVENT_DESTROY);
}

/// Trust in a role of the kit, by its ARN.
fn trusts(name: &str) -> Statement {
    let value = json!({
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": [format!("arn:aws:iam::111122223333:role/irsa/team/{name}"), "arn:aws:iam::111122223333:root"]},
    });
    Statement::parse(&value, Some(PolicyKind::Trust)).unwrap()
}

#[test]
fn role_waits_for_new_roles_that_it_trusts() {
    let mut kit = applied();
    kit.role("agent", |role| role.extra_trust = vec![trusts("runner")]);
    kit.role("runner", |role| role.extra_trust = vec![trusts("source"), trusts("runner")]);
    kit.role("source", |role| role.bindings = vec![binding("east", "source")]);
    if let Some(role) = kit.desired.roles.get_mut(&key("keep")) {
        role.extra_trust = vec![trusts("agent"), trusts("reports")];
    }
    let plan = kit.plan();
    let needs = |name: &str| step(&plan, name).needs.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(needs("role/agent"), ["role/runner"]);
    assert_eq!(needs("role/runner"), ["role/source"], "not for itself");
    assert_eq!(needs("role/keep"), ["role/agent"], "not for what is there");
    let roles: Vec<String> = names(&plan).into_iter().filter(|name| name.contains(" role/")).collect();
    assert_eq!(roles, ["create role/source", "create role/runner", "create role/agent", "update role/keep"]);
}

#[test]
pub(super) fn new_roles_that_trust_each_other_are_refused() {
    let mut kit = applied();
    for (name, other) in [("a", "b"), ("b", "a")] {
        kit.role(name, |role| {
            role.extra_trust = vec![trusts(other)];
            role.attach = [declared("fresh")].into();
        });
    }
    kit.policy("fresh", allow("s3:GetObject"));
    let plan = kit.plan();
    for name in ["role/a", "role/b"] {
        refused(&plan, name, "need each other, so none of them can come first");
    }
}
