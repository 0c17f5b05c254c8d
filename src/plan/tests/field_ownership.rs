//! Which labels and annotations of a ServiceAccount are removed or stay, by their field managers.

use super::kit::{Kit, binding, key};
use super::rules::{applied, live_account, manager, names, refused, step, undeclare};
use super::simulate;
use crate::ids::Namespace;
use crate::model::call::{Call, KubernetesCall};
use crate::model::desired::{Manage, Metadata};
use crate::model::live::{LiveServiceAccount, NamespacePhase, Observed};
use crate::model::marks::{ADDRESS, AUDIENCE, CREATED, OWNER, ROLE_ARN};
use crate::model::resource::ServiceAccount;
use crate::plan::Plan;
use crate::plan::change::Action;
use std::sync::Arc;

const ITEM: &str = "service-account/east/apps/worker";
const SKIP: &str = "eks.amazonaws.com/skip-containers";

fn undeclared() -> Kit {
    let mut kit = applied();
    undeclare(&mut kit);
    kit
}

fn item(kit: &mut Kit) -> &mut LiveServiceAccount {
    live_account(kit, "east", "worker")
}

/// Makes `name` the owner of every field that irsa owns.
fn held_by(kit: &mut Kit, name: &str) {
    for manager in &mut item(kit).managers {
        Arc::make_mut(manager).name = name.into();
    }
}

fn removed(plan: &Plan) -> &ServiceAccount {
    let calls = step(plan, ITEM).parts.iter().map(|part| &part.call);
    let mut found = calls.filter_map(|call| match call {
        Call::Kubernetes(_, KubernetesCall::Remove { from, .. }) => Some(from),
        _ => None,
    });
    found.next().unwrap_or_else(|| panic!("nothing is removed: {:#?}", step(plan, ITEM)))
}

fn note<'p>(plan: &'p Plan, rule: &str) -> &'p str {
    let found = plan.notes.iter().find(|note| note.rule == rule && note.address == ITEM);
    &found.unwrap_or_else(|| panic!("no note {rule}: {:#?}", plan.notes)).text
}

#[test]
fn unrecorded_fields_of_a_marked_object_are_removed() {
    type Lose = fn(&mut Kit);
    let losses: [Lose; 3] = [
        |kit| item(kit).managers.clear(),
        |kit| held_by(kit, "before-first-apply"),
        |kit| {
            item(kit).managers = vec![manager("velero", "velero.io/backup-name")];
        },
    ];
    for lose in losses {
        let mut kit = undeclared();
        lose(&mut kit);
        let plan = kit.plan();
        assert_eq!(step(&plan, ITEM).change.action(), Action::Update, "it is not deleted");
        let removed = removed(&plan);
        assert!(removed.labels.contains_key(OWNER));
        assert_eq!(removed.annotations.keys().collect::<Vec<_>>(), [ROLE_ARN, ADDRESS, CREATED]);
        assert_eq!(step(&plan, "orphan/default/role/reports").change.action(), Action::Delete);
        simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
        assert!(item(&mut kit).labels.is_empty() && item(&mut kit).annotations.is_empty());
        assert_eq!(names(&kit.plan()), [""; 0]);
    }
}

#[test]
fn fields_of_an_object_with_another_address_stay_without_force() {
    let mut kit = undeclared();
    item(&mut kit).managers.clear();
    item(&mut kit).annotations.insert(ADDRESS.into(), "service-account/east/apps/other".into());
    let plan = kit.plan();
    assert!(!names(&plan).iter().any(|name| name.contains(ITEM)), "{:?}", names(&plan));
    assert!(note(&plan, "label-held").contains("no owner of it is recorded"));
    assert!(note(&plan, "annotation-held").contains("still ask for `arn:"));
    kit.options.force_conflicts = true;
    assert!(removed(&kit.plan()).annotations.contains_key(ROLE_ARN));
}

/// `kubectl label serviceaccount worker irsa/owner-`: irsa still owns the rest.
#[test]
fn object_without_its_owner_label_is_released() {
    let unlabelled = |mut kit: Kit| {
        item(&mut kit).labels.clear();
        for manager in &mut item(&mut kit).managers {
            Arc::make_mut(manager).labels.clear();
        }
        kit
    };
    let mut kit = unlabelled(undeclared());
    let plan = kit.plan();
    assert_eq!(step(&plan, ITEM).change.action(), Action::Update, "whoever took the label off may want it");
    let reasons = step(&plan, ITEM).reasons.join("\n");
    assert!(reasons.contains("not deleted: someone removed label `irsa/owner`"), "{reasons}");
    assert_eq!(step(&plan, "orphan/default/role/reports").change.action(), Action::Delete);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert!(item(&mut kit).annotations.is_empty() && item(&mut kit).managers.is_empty());
    assert_eq!(names(&kit.plan()), [""; 0]);
    // every managed object may be removed
    let mut kit = unlabelled(applied());
    (kit.options.destroy, kit.options.force) = (true, true);
    let plan = kit.plan();
    assert_eq!((step(&plan, ITEM).change.action(), plan.refused.len()), (Action::Update, 0));
    // not ours: the address names another object, or the label another owner
    for (key, value) in [(ADDRESS, "service-account/east/apps/other"), (OWNER, "them")] {
        let mut kit = unlabelled(undeclared());
        let item = item(&mut kit);
        let pairs = if key == OWNER { &mut item.labels } else { &mut item.annotations };
        pairs.insert(key.into(), value.into());
        let plan = kit.plan();
        assert!(!names(&plan).iter().any(|name| name.contains(ITEM)), "{:?}", names(&plan));
        let refused = plan.refused.iter().find(|refused| refused.why.contains("still points at it"));
        let hint = &refused.expect("its role is refused").hint;
        assert!(hint.contains(&format!("kubectl annotate serviceaccount -n apps worker {ROLE_ARN}-")), "{hint}");
    }
}

#[test]
fn missing_address_is_reported_as_missing() {
    let mut kit = undeclared();
    item(&mut kit).annotations.remove(ADDRESS);
    let reasons = step(&kit.plan(), ITEM).reasons.join("\n");
    assert!(reasons.contains("annotation `irsa/address` is missing") && !reasons.contains("another"), "{reasons}");
}

#[test]
fn annotation_owned_by_a_restore_stays_with_a_note_without_force() {
    let mut kit = undeclared();
    held_by(&mut kit, "velero-server");
    let plan = kit.plan();
    assert!(!names(&plan).iter().any(|name| name.contains(ITEM)), "{:?}", names(&plan));
    let text = note(&plan, "annotation-held");
    assert!(
        text.contains("because it also belongs to `velero-server`") && text.contains("still ask for `arn:"),
        "{text}"
    );
    assert!(note(&plan, "label-held").contains("because it also belongs to `velero-server`"));
    refused(&plan, "orphan/default/role/reports", "still points at it");
    kit.options.force_conflicts = true;
    let plan = kit.plan();
    assert_eq!(removed(&plan).annotations.keys().collect::<Vec<_>>(), [ROLE_ARN, ADDRESS, CREATED]);
    // an annotation with somebody else's role stays
    let other = "arn:aws:iam::999999999999:role/theirs";
    item(&mut kit).annotations.insert(ROLE_ARN.into(), other.into());
    let plan = kit.plan();
    assert_eq!(removed(&plan).annotations.keys().collect::<Vec<_>>(), [ADDRESS, CREATED]);
    assert!(!plan.notes.iter().any(|note| note.rule == "annotation-held"));
}

#[test]
fn forget_removes_unrecorded_marks() {
    let mut kit = undeclared();
    item(&mut kit).managers.clear();
    kit.desired.forget.push((ITEM.parse().unwrap(), super::kit::origin()));
    let plan = kit.plan();
    let removed = removed(&plan);
    assert_eq!(removed.annotations.keys().collect::<Vec<_>>(), [ADDRESS, CREATED]);
    assert!(removed.labels.contains_key(OWNER));
}

#[test]
fn declared_object_is_updated_after_a_restore() {
    let mut kit = applied();
    item(&mut kit).managers.clear();
    assert_eq!(names(&kit.plan()), [""; 0]);
    item(&mut kit).annotations.insert(ROLE_ARN.into(), "arn:aws:iam::111122223333:role/old".into());
    let plan = kit.plan();
    assert!(step(&plan, ITEM).reasons.iter().any(|why| why.contains("over from `before-first-apply`")));
}

fn spoiled(key: &str, value: &str, by: Option<&str>) -> Kit {
    let mut kit = applied();
    item(&mut kit).annotations.insert(key.into(), value.into());
    item(&mut kit).managers.extend(by.map(|name| manager(name, key)));
    kit
}

#[test]
fn undeclared_annotation_set_by_kubectl_is_removed() {
    for key in [AUDIENCE, SKIP, "eks.amazonaws.com/from-the-future"] {
        let mut kit = spoiled(key, "other", Some("kubectl-annotate"));
        let plan = kit.plan();
        assert_eq!(removed(&plan).annotations.keys().collect::<Vec<_>>(), [key]);
        assert_eq!(step(&plan, ITEM).parts.len(), 1, "the rest is as declared");
        let fields: Vec<&str> = step(&plan, ITEM).fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(fields, [format!("annotations.{key}")]);
        simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
        assert_eq!(names(&kit.plan()), [""; 0], "{key}");
    }
}

#[test]
fn undeclared_annotation_of_another_manager_is_refused_only_if_it_breaks_access() {
    let mut kit = spoiled(AUDIENCE, "other", Some("helm"));
    refused(&kit.plan(), ITEM, "manager `helm` holds annotation `eks.amazonaws.com/audience` with the value `other`");
    kit.options.force_conflicts = true;
    assert!(removed(&kit.plan()).annotations.contains_key(AUDIENCE));
    for (key, value, by) in
        [(AUDIENCE, "sts.amazonaws.com", Some("helm")), (SKIP, "sidecar", Some("helm")), (SKIP, "sidecar", None)]
    {
        let mut kit = spoiled(key, value, by);
        let plan = kit.plan();
        assert_eq!((names(&plan), plan.refused.len()), (Vec::new(), 0), "{key} {by:?}");
        assert!(note(&plan, "annotation-undeclared").contains(key));
    }
    // it has no recorded owner, and breaks access
    assert!(removed(&spoiled(AUDIENCE, "other", None).plan()).annotations.contains_key(AUDIENCE));
}

/// An annotation on an object that someone else created and that irsa has not changed yet.
fn found(key: &str, value: &str, by: &str) -> Kit {
    let mut kit = spoiled(key, value, Some(by));
    let item = item(&mut kit);
    item.labels.clear();
    item.annotations.retain(|name, _| name == key);
    item.managers.retain(|manager| manager.name == by);
    kit
}

#[test]
pub(super) fn harmless_annotation_older_than_the_label_stays() {
    for by in ["kubectl-client-side-apply", "kubectl", "kubectl-annotate", "before-first-apply", "helm"] {
        let mut kit = found(SKIP, "sidecar", by);
        let plan = kit.plan();
        assert_eq!((names(&plan), plan.refused.len()), (vec![format!("update {ITEM}")], 0), "{by}");
        assert!(note(&plan, "annotation-undeclared").contains(SKIP), "{by}");
        simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
        // its maker applies it again, and again
        for _ in 0..2 {
            let plan = kit.plan();
            assert_eq!((names(&plan), plan.refused.len()), (Vec::new(), 0), "{by}");
            assert!(note(&plan, "annotation-undeclared").contains(SKIP), "{by}");
        }
        assert!(item(&mut kit).annotations.contains_key(SKIP), "{by}");
        // what breaks the chain is refused, and names who set it
        let mut kit = found(AUDIENCE, "other", by);
        let who = if by == "before-first-apply" { "is not declared, and who set it is not recorded" } else { by };
        refused(&kit.plan(), ITEM, who);
        kit.options.force_conflicts = true;
        assert!(removed(&kit.plan()).annotations.contains_key(AUDIENCE), "{by}");
    }
}

#[test]
fn annotation_from_a_manifest_stays_if_harmless_and_is_refused_otherwise() {
    for by in ["kubectl-client-side-apply", "kubectl", "kubectl-replace"] {
        let plan = spoiled(SKIP, "sidecar", Some(by)).plan();
        assert_eq!((names(&plan), plan.refused.len()), (Vec::new(), 0), "{by}");
        assert!(note(&plan, "annotation-undeclared").contains(by));
        refused(&spoiled(AUDIENCE, "other", Some(by)).plan(), ITEM, &format!("manager `{by}` holds annotation"));
        // a field of ours with another value is drift all the same
        let plan = spoiled(ROLE_ARN, "arn:aws:iam::111122223333:role/other", Some(by)).plan();
        assert!(step(&plan, ITEM).reasons.contains(&format!("irsa takes annotation `{ROLE_ARN}` over from `{by}`")));
    }
}

#[test]
fn hint_offers_force_only_to_commands_that_write() {
    let mut kit = spoiled(AUDIENCE, "other", Some("helm"));
    let hint = |kit: &mut Kit| kit.plan().refused.first().expect("it is refused").hint.clone();
    let forced = "declare it, remove it where it is set, or let irsa remove it with `--force-conflicts`";
    assert_eq!(hint(&mut kit), forced);
    kit.options.report_only = true;
    assert_eq!(hint(&mut kit), "declare it, or remove it where it is set");
    let mut kit = spoiled(ROLE_ARN, "other", Some("helm"));
    kit.options.report_only = true;
    assert_eq!(hint(&mut kit), "stop that manager from setting the field");
}

/// irsa removes its own field without another recorded owner. A field that another manager owns too stays.
#[test]
fn undeclared_field_is_removed_unless_another_manager_owns_it() {
    for (by, goes) in [("before-first-apply", true), ("helm", false)] {
        let mut kit = applied();
        declare(&mut kit, Some(metadata(&[("tier", "web")], &[("example.com/contact", "me")])));
        super::rules::apply(&mut kit);
        let mut other = manager(by, "example.com/contact");
        Arc::make_mut(&mut other).labels.push("tier".into());
        item(&mut kit).managers.push(other);
        declare(&mut kit, None);
        let plan = kit.plan();
        if goes {
            let fields: Vec<&str> = step(&plan, ITEM).fields.iter().map(|field| field.path.as_str()).collect();
            assert_eq!(fields, ["annotations.example.com/contact", "labels.tier"]);
            assert_eq!(removed(&plan).labels.keys().collect::<Vec<_>>(), ["tier"]);
            simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
        } else {
            assert_eq!(names(&plan), [""; 0]);
            assert!(note(&plan, "field-shared").contains("it stays, because it also belongs to `helm`"));
            // beside something else that changes
            item(&mut kit).annotations.insert(ROLE_ARN.into(), "other".into());
            let plan = kit.plan();
            let fields: Vec<&str> = step(&plan, ITEM).fields.iter().map(|field| field.path.as_str()).collect();
            assert_eq!(fields, [format!("annotations.{ROLE_ARN}")], "it is not promised to go");
            simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
        }
        assert_eq!(item(&mut kit).labels.contains_key("tier"), !goes);
        assert_eq!(item(&mut kit).annotations.contains_key("example.com/contact"), !goes);
        assert_eq!(names(&kit.plan()), [""; 0]);
    }
}

fn metadata(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Arc<Metadata> {
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Arc::new(Metadata { labels: pairs(labels), annotations: pairs(annotations) })
}

fn declare(kit: &mut Kit, metadata: Option<Arc<Metadata>>) {
    kit.desired.roles.get_mut(&key("reports")).unwrap().bindings[0].metadata = metadata;
}

#[test]
fn declared_labels_and_annotations_are_applied() {
    let mut kit = applied();
    declare(&mut kit, Some(metadata(&[("team", "a")], &[("example.com/contact", "me")])));
    let plan = kit.plan();
    let fields: Vec<&str> = step(&plan, ITEM).fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(fields, ["annotations.example.com/contact", "labels.team"]);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(names(&kit.plan()), [""; 0]);
    // someone changes one
    item(&mut kit).labels.insert("team".into(), "b".into());
    assert_eq!(names(&kit.plan()), [format!("update {ITEM}")]);
    let mut helm = manager("helm", "x");
    Arc::make_mut(&mut helm).labels.push("team".into());
    item(&mut kit).managers.push(helm);
    refused(&kit.plan(), ITEM, "manager `helm` holds label `team` with the value `b`");
    item(&mut kit).managers.pop();
    item(&mut kit).labels.insert("team".into(), "a".into());
    // no longer declared
    declare(&mut kit, None);
    let plan = kit.plan();
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(item(&mut kit).labels.keys().collect::<Vec<_>>(), [OWNER]);
    assert!(!item(&mut kit).annotations.contains_key("example.com/contact"));
    assert_eq!(names(&kit.plan()), [""; 0]);
}

#[test]
fn declared_mark_of_another_tool_does_not_prevent_a_delete() {
    let mut kit = applied();
    declare(&mut kit, Some(metadata(&[("argocd.argoproj.io/instance", "x")], &[])));
    super::rules::apply(&mut kit);
    undeclare(&mut kit);
    assert_eq!(step(&kit.plan(), ITEM).change.action(), Action::Delete);
}

#[test]
fn service_account_being_deleted_waits() {
    let mut kit = applied();
    item(&mut kit).deleting = Some(vec!["example.com/hold".into()]);
    let plan = kit.plan();
    assert_eq!((names(&plan), plan.summary().waiting), (Vec::new(), 1));
    assert!(note(&plan, "waiting").contains("is being deleted, and waits for finalizer `example.com/hold`"));
    // it is no longer declared, so its role can be deleted
    let mut kit = undeclared();
    item(&mut kit).deleting = Some(Vec::new());
    let plan = kit.plan();
    assert_eq!(plan.summary().waiting, 1);
    assert_eq!(step(&plan, "orphan/default/role/reports").change.action(), Action::Delete);
}

#[test]
fn service_account_in_a_terminating_namespace_waits() {
    let mut kit = applied();
    kit.role("late", |role| role.bindings = vec![binding("west", "later")]);
    let terminating = Observed::Present(NamespacePhase::Terminating);
    kit.cluster("west").namespaces.insert(Namespace::parse("apps").unwrap(), terminating);
    let plan = kit.plan();
    let waiting: Vec<String> = plan.waiting.iter().map(ToString::to_string).collect();
    assert_eq!(waiting, ["service-account/west/apps/later"]);
    let found = plan.notes.iter().find(|note| note.rule == "waiting").unwrap();
    assert!(found.text.contains("`Terminating`"), "{}", found.text);
}

#[test]
fn unread_pods_are_a_reason_only_without_another() {
    let mut kit = undeclared();
    item(&mut kit).pods = None;
    let plan = kit.plan();
    assert_eq!(step(&plan, ITEM).change.action(), Action::Update, "unknown is not none");
    item(&mut kit).annotations.remove(CREATED);
    let plan = kit.plan();
    let reasons = step(&plan, ITEM).reasons.join("\n");
    assert!(reasons.contains("someone else created it") && !reasons.contains("pods"), "{reasons}");
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().bindings[0].manage = Manage::None;
    item(&mut kit).pods = None;
    assert!(!step(&kit.plan(), ITEM).reasons.join("\n").contains("pods"));
}
