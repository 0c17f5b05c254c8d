//! The order of writes in single cases: splits, transition denies, waiting and notes.

use super::kit::{Kit, allow, aws, binding, declared, key};
use super::rules::{applied, apply, live_role, refused, step};
use super::simulate;
use crate::model::call::{Call, IamCall};
use crate::model::desired::{Attachment, Boundary, Role};
use crate::model::live::Observed;
use crate::model::marks::TRANSITION;
use crate::plan::{Plan, Step};
use crate::policy::PolicyDocument;

fn reports(kit: &mut Kit, change: impl FnOnce(&mut Role)) {
    change(kit.desired.roles.get_mut(&key("reports")).unwrap());
}

fn deny(action: &str) -> PolicyDocument {
    PolicyDocument::live(&allow(action).text().replace("Allow", "Deny"))
}

fn operations(step: &Step) -> Vec<&'static str> {
    let iam = step.parts.iter().filter_map(|part| match &part.call {
        Call::Iam(_, call) => Some(call.operation()),
        Call::Kubernetes(..) => None,
    });
    iam.collect()
}

fn notes<'p>(plan: &'p Plan, rule: &str) -> Vec<&'p str> {
    plan.notes.iter().filter(|note| note.rule == rule).map(|note| note.text.as_str()).collect()
}

/// Whether the first call of step `later` waits for call number `part` of step `earlier`.
fn waits_for(plan: &Plan, later: &str, part: usize, earlier: &str) -> bool {
    step(plan, later).parts[part].after.iter().any(|id| id.address.to_string() == earlier)
}

#[test]
fn policy_grows_after_the_role_has_its_new_deny() {
    let mut kit = applied();
    kit.policy("fence", deny("s3:Delete*"));
    kit.policy("bucket", allow("s3:*"));
    reports(&mut kit, |role| role.attach.extend([declared("fence")]));
    let plan = kit.plan();
    assert!(waits_for(&plan, "policy/default/bucket", 0, "role/reports"));
    assert!(waits_for(&plan, "role/reports", 0, "policy/default/fence"));
}

#[test]
fn role_waits_for_the_boundary_that_the_plan_makes() {
    let mut kit = applied();
    kit.policy("limit", allow("s3:*"));
    kit.role("fresh", |role| {
        role.bindings = vec![binding("east", "fresh")];
        role.permissions_boundary =
            Boundary::Policy("arn:aws:iam::111122223333:policy/irsa/team/limit".parse().unwrap());
    });
    let plan = kit.plan();
    assert!(waits_for(&plan, "role/fresh", 0, "policy/default/limit"));
    simulate::run(&mut kit.live, &plan, |ready| ready - 1, |_| ());
    assert_eq!(kit.plan().steps, []);
}

#[test]
fn new_boundary_with_new_tags_is_changed_behind_a_deny_that_a_later_plan_removes() {
    let mut kit = applied();
    reports(&mut kit, |role| {
        role.permissions_boundary = Boundary::Policy(aws("One"));
        role.tags.insert("team".into(), "a".into());
    });
    apply(&mut kit);
    reports(&mut kit, |role| {
        role.permissions_boundary = Boundary::Policy(aws("Two"));
        role.tags.insert("team".into(), "b".into());
    });
    let plan = kit.plan();
    let order = ["PutRolePolicy", "TagRole", "PutRolePermissionsBoundary", "DeleteRolePolicy"];
    assert_eq!(operations(step(&plan, "role/reports")), order);
    assert!(notes(&plan, "dips")[0].contains(TRANSITION), "{:?}", plan.notes);
    // a run that dies behind the deny leaves it, and the next plan removes it last
    let mut calls = 0;
    simulate::run_until(
        &mut kit.live,
        &plan,
        |_| 0,
        |_, _| {
            calls += 1;
            calls < 2
        },
    );
    assert!(live_role(&mut kit, "reports").role.inline.keys().any(|name| name.as_str() == TRANSITION));
    let plan = kit.plan();
    assert_eq!(operations(step(&plan, "role/reports")), ["PutRolePermissionsBoundary", "DeleteRolePolicy"]);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(kit.plan().steps, []);
}

#[test]
fn trust_is_not_split_if_the_step_between_exceeds_the_quota() {
    let mut kit = applied();
    let bind = |kit: &mut Kit, from: usize, letter: &str| {
        reports(kit, |role| {
            role.bindings = (from..from + 20).map(|number| binding("east", &format!("account-{number}"))).collect();
            role.inline.insert("queue".parse().unwrap(), allow(&format!("sqs:{letter}")));
        });
    };
    bind(&mut kit, 0, "A");
    apply(&mut kit);
    bind(&mut kit, 2, "B");
    let plan = kit.plan();
    let trusts = |plan: &Plan| {
        operations(step(plan, "role/reports")).iter().filter(|name| **name == "UpdateAssumeRolePolicy").count()
    };
    assert_eq!(trusts(&plan), 2);
    // both versions fit; then the quota drops below the version between them
    let between = step(&plan, "role/reports").parts.iter().find_map(|part| match &part.call {
        Call::Iam(_, IamCall::UpdateTrust { to, .. }) => Some(to.size()),
        _ => None,
    });
    kit.account().quotas.trust_size = between.unwrap() - 1;
    refused(&kit.plan(), "role/reports", "its trust policy has");
}

#[test]
fn role_whose_cluster_cannot_be_read_may_shrink_and_may_not_grow() {
    let mut kit = applied();
    reports(&mut kit, |role| role.bindings.push(binding("west", "worker")));
    apply(&mut kit);
    reports(&mut kit, |role| {
        role.attach.insert(Attachment::Arn(aws("More")));
        role.max_session_duration = 7200;
        role.permissions_boundary = Boundary::Policy(aws("Tight"));
    });
    kit.policy("bucket", allow("s3:*"));
    kit.cluster("west").issuer = Observed::Unknown("timeout".into());
    kit.options.allow_incomplete = true;
    let plan = kit.plan();
    assert_eq!(operations(step(&plan, "role/reports")), ["PutRolePermissionsBoundary"]);
    let fields: Vec<&str> = step(&plan, "role/reports").fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(fields, ["permissions-boundary"], "the plan shows what will be done, and no more");
    assert!(notes(&plan, "held-back")[0].contains("`AttachRolePolicy`, `UpdateRole`"), "{:?}", plan.notes);
    assert!(plan.unknown.iter().any(|item| item.address == "policy/default/bucket"), "{:?}", plan.unknown);
}

#[test]
fn unselected_step_holds_back_steps_that_must_follow() {
    let mut kit = applied();
    kit.role("other", |role| {
        role.bindings = vec![binding("east", "leaves"), binding("east", "stays")];
        role.attach = [declared("bucket")].into();
    });
    apply(&mut kit);
    kit.policy("bucket", allow("s3:*"));
    kit.desired.roles.get_mut(&key("other")).unwrap().bindings.remove(0);
    kit.options.only = vec!["role/reports".into()];
    let plan = kit.plan();
    assert!(plan.waiting.iter().any(|address| address.to_string() == "policy/default/bucket"), "{:?}", plan.waiting);
    assert!(notes(&plan, "waiting")[0].contains("add `--only 'role/other'`"), "{:?}", plan.notes);
    kit.options.only.push("role/other".into());
    assert_eq!(kit.plan().waiting, []);
}

#[test]
fn sessions_of_removed_principals_are_noted_if_the_role_grows() {
    let mut kit = applied();
    reports(&mut kit, |role| {
        role.bindings.push(binding("east", "leaves"));
        role.max_session_duration = 43_200;
    });
    apply(&mut kit);
    reports(&mut kit, |role| drop(role.bindings.pop()));
    assert_eq!(notes(&kit.plan(), "sessions-live-on"), [""; 0], "nothing is added");
    reports(&mut kit, |role| role.attach.extend([Attachment::Arn(aws("More"))]));
    let plan = kit.plan();
    let text = notes(&plan, "sessions-live-on")[0];
    assert!(text.contains("`east apps/leaves`") && text.contains("12h") && text.contains("policy `More`"), "{text}");
}

#[test]
pub(super) fn policy_that_does_not_exist_is_refused_with_its_line() {
    for boundary in [false, true] {
        let mut kit = applied();
        kit.account().foreign_policies.insert(aws("Typo"), Observed::Absent);
        reports(&mut kit, |role| {
            role.policy_origins.insert(aws("Typo"), super::kit::origin());
            if boundary {
                role.permissions_boundary = Boundary::Policy(aws("Typo"));
            } else {
                role.attach.insert(Attachment::Arn(aws("Typo")));
            }
        });
        refused(&kit.plan(), "role/reports", "at irsa.toml:7, does not exist");
    }
}

#[test]
fn tag_keys_that_differ_in_case_are_one_key() {
    let mut kit = applied();
    kit.desired.ignore_tags = vec![crate::model::pattern::Pattern::new("CostCenter")];
    reports(&mut kit, |role| drop(role.tags.insert("team".into(), "a".into())));
    let tags = &mut live_role(&mut kit, "reports").role.tags;
    tags.remove("team");
    for (name, value) in [("Team", "a"), ("Old", "1"), ("costcenter", "7")] {
        tags.insert(name.into(), value.into());
    }
    let plan = kit.plan();
    assert_eq!(operations(step(&plan, "role/reports")), ["UntagRole"]);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    let tags = &live_role(&mut kit, "reports").role.tags;
    assert_eq!(
        (tags.get("Team"), tags.get("Old"), tags.get("costcenter")),
        (Some(&"a".into()), None, Some(&"7".into()))
    );
    assert_eq!(kit.plan().steps, []);
}

#[test]
fn undeclared_tags_are_removed_from_policies_and_providers() {
    let mut kit = applied();
    for live in kit.account().policies.values_mut() {
        let Observed::Present(live) = live else { continue };
        live.policy.tags.insert("stray".into(), "1".into());
    }
    for live in kit.account().providers.values_mut() {
        let Observed::Present(live) = live else { continue };
        live.provider.tags.insert("stray".into(), "1".into());
    }
    let plan = kit.plan();
    assert_eq!(operations(step(&plan, "policy/default/bucket")), ["UntagPolicy"]);
    assert_eq!(operations(step(&plan, "oidc-provider/default/east")), ["UntagOpenIDConnectProvider"]);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(kit.plan().steps, []);
}
