//! Plans that are applied later: which of their changes remain, are done, or are stale. Also `confirm`, which compares the
//! plan that was shown with a second one.

use super::kit::{Kit, allow, key};
use super::rules::{applied, apply, live_account, live_role, names, undeclare};
use crate::ids::PolicyName;
use crate::model::desired::{Adopt, Manage};
use crate::model::live::{Access, Observed};
use crate::model::marks::{ADDRESS, CREATED, OWNER};
use crate::model::refusal::RefusalKind;
use crate::plan::saved::{Stale, recheck};
use crate::plan::{PlanV2, confirm};

fn saved(kit: &mut Kit) -> PlanV2 {
    PlanV2::of(&kit.plan(), "2026-01-01T00:00:00Z")
}

/// The steps that remain of the file.
fn left(file: &PlanV2, kit: &mut Kit) -> Vec<String> {
    let plan = recheck(file, kit.plan(), &kit.desired, &kit.live);
    names(&plan.unwrap_or_else(|stale| panic!("{stale:#?}")))
}

/// The only reason why the file is stale.
fn stale(file: &PlanV2, kit: &mut Kit) -> String {
    let mut list: Vec<Stale> = recheck(file, kit.plan(), &kit.desired, &kit.live).expect_err("it is stale");
    assert_eq!(list.len(), 1, "{list:#?}");
    list.remove(0).why
}

/// A kit in which `role/fresh`, with all fields of a role, is declared and does not exist.
fn fresh() -> Kit {
    let mut kit = applied();
    kit.role("fresh", |role| {
        role.bindings = vec![super::kit::binding("east", "fresh")];
        role.description = "new".into();
        role.attach = [super::kit::declared("bucket")].into();
        role.inline.insert(PolicyName::parse("queue").unwrap(), allow("sqs:SendMessage"));
    });
    kit
}

#[test]
fn interrupted_create_continues_as_update() {
    let mut kit = fresh();
    let file = saved(&mut kit);
    apply(&mut kit);
    let role = &mut live_role(&mut kit, "fresh").role;
    role.attached.clear();
    role.inline.clear();
    role.description.clear();
    assert_eq!(left(&file, &mut kit), ["update role/fresh"]);
    // somebody changed the description
    live_role(&mut kit, "fresh").role.description = "theirs".into();
    assert_eq!(stale(&file, &mut kit), "field `description` has changed since the plan was saved");
    // the role lost its owner tag
    live_role(&mut kit, "fresh").role.tags.clear();
    let why = stale(&file, &mut kit);
    assert!(why.contains("has no owner tag"), "{why}");
}

#[test]
fn interrupted_adoption_continues_as_update() {
    let mut kit = fresh();
    apply(&mut kit);
    let role = kit.desired.roles.get_mut(&key("fresh")).unwrap();
    role.adopt = Adopt::Unowned;
    role.description = "ours".into();
    let marks = live_role(&mut kit, "fresh").role.tags.clone();
    live_role(&mut kit, "fresh").role.tags.clear();
    let file = saved(&mut kit);
    assert_eq!(left(&file, &mut kit), ["adopt role/fresh"]);
    live_role(&mut kit, "fresh").role.tags = marks;
    assert_eq!(left(&file, &mut kit), ["update role/fresh"]);
    kit.desired.roles.get_mut(&key("fresh")).unwrap().description = "another".into();
    assert_eq!(stale(&file, &mut kit), "field `description` has changed since the plan was saved");
}

#[test]
fn change_with_another_action_is_stale_and_names_both() {
    let mut kit = fresh();
    apply(&mut kit);
    let role = kit.desired.roles.remove(&key("fresh")).unwrap();
    let mut file = saved(&mut kit);
    file.changes.retain(|change| change.address.contains("role/"));
    for change in &mut file.changes {
        change.address = "role/fresh".into();
    }
    kit.desired.roles.insert(key("fresh"), role);
    live_role(&mut kit, "fresh").role.description = "edited".into();
    assert_eq!(stale(&file, &mut kit), "the saved plan has action `delete`, but a new plan has `update`");
    live_role(&mut kit, "fresh").role.tags.clear();
    kit.options.adopt = true;
    assert_eq!(stale(&file, &mut kit), "the saved plan has action `delete`, but a new plan has `adopt`");
    // somebody created the role, and now it would be adopted
    kit.account().roles.insert("fresh".into(), Observed::Absent);
    let there = kit.live.clone();
    let mut file = saved(&mut kit);
    file.changes.retain(|change| change.address == "role/fresh");
    kit.live = there;
    apply(&mut kit);
    live_role(&mut kit, "fresh").role.tags.clear();
    assert_eq!(stale(&file, &mut kit), "the saved plan has action `create`, but a new plan has `adopt`");
}

#[test]
fn empty_field_that_somebody_filled_is_stale() {
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().description = "ours".into();
    let file = saved(&mut kit);
    assert_eq!(left(&file, &mut kit), ["update role/reports"]);
    live_role(&mut kit, "reports").role.description = "theirs".into();
    assert_eq!(stale(&file, &mut kit), "field `description` has changed since the plan was saved");
}

#[test]
fn done_change_is_stale_only_if_its_cluster_is_refused_since() {
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().description = "ours".into();
    let file = saved(&mut kit);
    apply(&mut kit);
    // another role is refused
    let other = applied();
    live_role(&mut kit, "keep").role.tags.clear();
    assert!(kit.plan().refused.iter().any(|item| item.address == "role/keep"));
    assert_eq!(left(&file, &mut kit), [""; 0]);
    // a cluster that was refused in the saved plan does not count either
    *live_role(&mut kit, "keep") = live_role(&mut other.clone(), "keep").clone();
    kit.cluster("west").api = Access::Wrong(
        RefusalKind::CertificateAuthority.because("it may lead to another cluster: another server", "check"),
    );
    kit.role("far", |role| role.bindings = vec![super::kit::binding("west", "far")]);
    let place = |kit: &mut Kit| kit.plan().refused.into_iter().find(|item| item.address == "cluster/west");
    let refused = place(&mut kit).expect("west is refused");
    let mut known = file.clone();
    known.refused.push(saved(&mut kit).refused.into_iter().find(|item| item.address == refused.address).unwrap());
    assert_eq!(left(&known, &mut kit), [""; 0]);
    assert_eq!(stale(&file, &mut kit), format!("`cluster/west` cannot be used: {}", refused.reason()));
}

#[test]
fn unknown_or_waiting_object_is_stale_with_its_reason() {
    let mut kit = fresh();
    let mut file = saved(&mut kit);
    file.changes.retain(|change| change.address == "role/fresh");
    kit.account().roles.insert("fresh".into(), Observed::Unknown("iam:GetRole: timeout".into()));
    kit.cluster("west").api = Access::Unknown("not reached".into());
    assert_eq!(stale(&file, &mut kit), "it could not be read: iam:GetRole: timeout");
    kit.account().roles.insert("fresh".into(), Observed::Absent);
    assert_eq!(left(&file, &mut kit), ["create role/fresh"], "west has no part in this role");
    let mut kit = fresh();
    let mut file = saved(&mut kit);
    file.changes.retain(|change| change.address == "service-account/east/apps/fresh");
    let role = kit.desired.roles.get_mut(&key("fresh")).unwrap();
    role.bindings[0].manage = Manage::Annotate;
    assert_eq!(stale(&file, &mut kit), "it now waits for another object");
}

#[test]
fn undeclared_update_is_stale_and_delete_of_missing_object_is_done() {
    let mut kit = applied();
    let role = kit.desired.roles.get_mut(&key("reports")).unwrap();
    role.description = "ours".into();
    role.tags.insert("team".into(), "reports".into());
    let file = saved(&mut kit);
    kit.desired.roles.remove(&key("reports"));
    kit.account().roles.remove("reports");
    assert_eq!(stale(&file, &mut kit), "the configuration no longer asks for it");
    // a ServiceAccount that was to be released does not exist any more
    let mut kit = applied();
    let reference = ("apps".parse().unwrap(), "keep".parse().unwrap());
    drop(live_account(&mut kit, "east", "keep").annotations.remove(CREATED));
    kit.desired.roles.remove(&key("keep"));
    let mut file = saved(&mut kit);
    file.changes.retain(|change| change.address == "service-account/east/apps/keep");
    assert_eq!(left(&file, &mut kit), ["update service-account/east/apps/keep"]);
    kit.cluster("east").service_accounts.remove(&reference);
    assert_eq!(left(&file, &mut kit), [""; 0]);
    // somebody has deleted the object
    let mut kit = applied();
    undeclare(&mut kit);
    let file = saved(&mut kit);
    apply(&mut kit);
    assert_eq!(left(&file, &mut kit), [""; 0]);
    // the object is declared again
    let mut kit = applied();
    let role = kit.desired.roles.remove(&key("keep")).unwrap();
    let mut file = saved(&mut kit);
    file.changes.retain(|change| change.address == "service-account/east/apps/keep");
    kit.desired.roles.insert(key("keep"), role);
    assert_eq!(stale(&file, &mut kit), "the configuration declares it");
}

#[test]
fn object_missing_only_in_the_second_read_is_not_unchanged() {
    let mut kit = applied();
    let first = kit.plan();
    let there = kit.live.clone();
    kit.account().roles.insert("reports".into(), Observed::Absent);
    let confirmed = confirm(&first, kit.plan());
    assert_eq!(names(&confirmed), [""; 0]);
    assert_eq!(confirmed.unchanged.len(), 5, "the role is neither changed nor seen to be as declared");
    kit.live = there;
    live_account(&mut kit, "east", "worker").annotations.insert(ADDRESS.into(), "x".into());
    live_role(&mut kit, "reports").role.tags.insert("stray".into(), "x".into());
    assert!(live_role(&mut kit, "reports").role.tags.contains_key(OWNER));
    assert_eq!(confirm(&first, kit.plan()).unchanged.len(), 6);
}

#[test]
fn difference_missing_from_the_second_plan_is_dropped() {
    let mut kit = applied();
    live_role(&mut kit, "reports").role.description = "edited".into();
    let first = kit.plan();
    live_role(&mut kit, "reports").role.description = String::new();
    live_role(&mut kit, "keep").role.description = "edited".into();
    let second = kit.plan();
    assert_eq!((names(&first).len(), names(&second).len()), (1, 1));
    let confirmed = confirm(&first, second);
    assert_eq!((names(&confirmed).len(), confirmed.unchanged.len()), (0, 6));
    let first = kit.plan();
    let second = kit.plan();
    assert_eq!(names(&confirm(&first, second)), ["update role/keep"]);
}

#[test]
fn saved_plan_tells_done_steps_from_stale_ones() {
    let mut kit = applied();
    kit.policy("bucket", allow("s3:PutObject"));
    live_role(&mut kit, "reports").role.description = "edited".into();
    let text = PlanV2::of(&kit.plan(), "2026-01-01T00:00:00Z").to_text();
    let file = PlanV2::read(&text).unwrap();
    assert_eq!(left(&file, &mut kit).len(), 2);
    // done already
    live_role(&mut kit, "reports").role.description = String::new();
    assert_eq!(left(&file, &mut kit), ["update policy/default/bucket"]);
    // a change of another object does not matter
    live_role(&mut kit, "keep").role.description = "edited".into();
    assert_eq!(left(&file, &mut kit), ["update policy/default/bucket"]);
    // neither the state before nor the state after
    live_role(&mut kit, "reports").role.description = "third".into();
    let stale = recheck(&file, kit.plan(), &kit.desired, &kit.live).unwrap_err();
    assert_eq!((stale.len(), stale[0].address.as_str()), (1, "role/reports"));
    // one changed byte is refused, or asks for less, even with both digests recomputed
    let at = text.find("PutObject").unwrap();
    let forged = format!("{}Get{}", &text[..at], &text[at + 3..]);
    assert!(PlanV2::read(&forged).is_err());
    assert!(PlanV2::read(&text.replace('\n', "\n ")).is_err());
}

#[test]
fn saved_delete_is_not_done_if_its_account_or_cluster_changed() {
    let mut kit = applied();
    undeclare(&mut kit);
    let file = saved(&mut kit);
    assert_eq!(file.summary.delete, 3);
    kit.wrong_account();
    let stale = recheck(&file, kit.plan(), &kit.desired, &kit.live).unwrap_err();
    assert_eq!(stale.len(), 2, "the role and the policy, while the cluster is as it was");
    assert!(stale.iter().all(|item| item.why.contains("999999999999")), "{stale:?}");
}
