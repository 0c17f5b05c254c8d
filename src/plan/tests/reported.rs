//! Refused changes in a plan, plans that are only reported, and providers that are released.

use super::guards::crowd;
use super::kit::{NOW, binding, key};
use super::rules::{applied, live_account, live_role, refused, step, undeclare};
use super::simulate;
use crate::ids::RoleName;
use crate::model::live::Observed;
use crate::model::marks::{ADDRESS, OWNER};
use crate::plan::change::Action;
use crate::plan::confirm;

#[test]
fn reported_plan_has_no_guards() {
    let mut kit = crowd(20);
    for index in 0..20 {
        kit.desired.roles.remove(&key(&format!("r{index}")));
    }
    live_role(&mut kit, "r0").last_used = Some(NOW - 60);
    live_role(&mut kit, "r1").role.tags.insert("irsa/prevent-destroy".into(), "true".into());
    live_role(&mut kit, "r2").role.tags.insert(ADDRESS.into(), "policy/elsewhere/x".into());
    live_account(&mut kit, "east", "s3").annotations.insert(ADDRESS.into(), "service-account/north/apps/s3".into());
    let guarded = kit.plan();
    assert_eq!(guarded.refused.len(), 40, "{:#?}", guarded.refused);
    assert_eq!((guarded.steps.len(), guarded.refused_steps.len(), guarded.summary().delete), (0, 40, 39));
    kit.options.report_only = true;
    let told = kit.plan();
    assert_eq!((told.refused.as_slice(), told.steps.len(), told.refused_steps.len()), (&[][..], 40, 0));
    // a difference that only the second plan shows is dropped, even if it is refused
    kit.options.report_only = false;
    assert_eq!(confirm(&kit.empty_plan(), guarded.clone()).refused_steps, []);
    assert_eq!(confirm(&guarded, guarded.clone()).refused_steps.len(), 40);
}

#[test]
fn refused_change_is_shown_only_for_our_objects() {
    let mut kit = applied();
    undeclare(&mut kit);
    live_role(&mut kit, "reports").instance_profiles = vec!["nodes".into()];
    kit.role("theirs", |role| role.bindings = vec![binding("east", "theirs")]);
    let mut theirs = live_role(&mut kit, "keep").clone();
    theirs.role.name = RoleName::parse("theirs").unwrap();
    theirs.role.tags.insert(OWNER.into(), "them".into());
    kit.account().roles.insert("theirs".into(), Observed::Present(theirs));
    for report_only in [false, true] {
        kit.options.report_only = report_only;
        let plan = kit.plan();
        refused(&plan, "orphan/default/role/reports", "instance profiles");
        refused(&plan, "role/theirs", "owner `them`");
        refused(&plan, "service-account/east/apps/theirs", "`role/theirs`, which it depends on");
        let shown: Vec<String> = plan.refused_steps.iter().map(|step| step.address.to_string()).collect();
        assert_eq!(shown, ["orphan/default/policy/bucket", "orphan/default/role/reports"]);
    }
}

#[test]
pub(super) fn provider_is_released_only_if_its_other_roles_are_known_to_be_foreign() {
    let mut kit = applied();
    let mut theirs = live_role(&mut kit, "keep").clone();
    theirs.role.name = RoleName::parse("theirs").unwrap();
    theirs.role.tags.insert(OWNER.into(), "them".into());
    let summary = simulate::summary(&theirs);
    match &mut kit.account().role_list {
        Observed::Present(role_list) => role_list.push(summary),
        other => panic!("{other:?}"),
    }
    kit.options.destroy = true;
    kit.options.force = true;
    // a role that was read and is foreign
    let plan = kit.plan();
    assert_eq!(plan.refused, []);
    let provider = step(&plan, "oidc-provider/default/east");
    assert_eq!(provider.change.action(), Action::Update);
    assert!(plan.notes.iter().any(|note| note.rule == "left-to-others" && note.text.contains("`theirs`")));
    let mut after = kit.clone();
    simulate::run(&mut after.live, &plan, |_| 0, |_| ());
    assert_eq!(after.plan().steps, []);
    // the tags stay while one of our roles that trusts it is not changed
    kit.options.only = vec!["oidc-provider/*".into()];
    refused(&kit.plan(), "oidc-provider/default/east", "depends on it and is not selected");
    kit.options.only.clear();
    // one role could not be read, and one of ours stays
    kit.account().roles.insert("theirs".into(), Observed::Unknown("denied".into()));
    refused(&kit.plan(), "oidc-provider/default/east", "role `theirs` trusts it");
    kit.account().roles.remove("theirs");
    live_role(&mut kit, "keep").instance_profiles = vec!["nodes".into()];
    refused(&kit.plan(), "oidc-provider/default/east", "role `keep` trusts it");
}
