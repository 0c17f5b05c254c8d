//! The order of the calls of one role: old denies stay until the end, and permissions that the role keeps are never
//! missing.

use super::kit::{Kit, allow, aws, binding, declared, key};
use super::rules::{applied, apply, live_role, step};
use super::simulate;
use crate::ids::PolicyName;
use crate::model::call::{Call, IamCall};
use crate::model::desired::{Attachment, Boundary, Role};
use crate::plan::Plan;
use crate::policy::PolicyDocument;
use serde_json::json;

/// The calls of a step: each operation with the name in it.
fn calls(plan: &Plan, address: &str) -> Vec<String> {
    let parts = step(plan, address).parts.iter();
    parts
        .map(|part| match &part.call {
            Call::Iam(_, IamCall::Attach { arn, .. }) => format!("attach {}", arn.name()),
            Call::Iam(_, IamCall::Detach { arn, .. }) => format!("detach {}", arn.name()),
            Call::Iam(_, IamCall::DeleteInline { policy, .. }) => format!("delete {policy}"),
            Call::Iam(_, IamCall::PutInline { policy, .. }) => format!("put {policy}"),
            call => call.operation(),
        })
        .collect()
}

fn reports(kit: &mut Kit, change: impl FnOnce(&mut Role)) {
    change(kit.desired.roles.get_mut(&key("reports")).unwrap());
}

fn arns<const N: usize>(names: [&str; N]) -> impl IntoIterator<Item = Attachment> {
    names.map(|name| Attachment::Arn(aws(name)))
}

fn denies(action: &str) -> PolicyDocument {
    PolicyDocument::live(&allow(action).text().replace("Allow", "Deny"))
}

/// Allows and denies, each with a long list of actions.
fn mixed(letter: char, size: usize) -> PolicyDocument {
    let statement = |effect: &str| json!({"Effect": effect, "Action": format!("s3:{}", letter.to_string().repeat(size)), "Resource": "*"});
    let text = json!({"Version": "2012-10-17", "Statement": [statement("Allow"), statement("Deny")]}).to_string();
    PolicyDocument::live(&text)
}

#[test]
fn denies_are_added_first_and_removed_last() {
    let mut kit = applied();
    kit.policy("a-access", allow("s3:*"));
    kit.policy("b-fence", denies("s3:DeleteObject"));
    let both = [declared("a-access"), declared("b-fence")];
    reports(&mut kit, |role| role.attach.extend(both.clone()));
    assert_eq!(calls(&kit.plan(), "role/reports"), ["attach b-fence", "attach a-access"]);
    apply(&mut kit);
    reports(&mut kit, |role| role.attach.retain(|item| !both.contains(item)));
    assert_eq!(calls(&kit.plan(), "role/reports"), ["detach a-access", "detach b-fence"]);
}

#[test]
fn removed_documents_with_allows_and_denies_go_before_pure_denies() {
    let mut kit = applied();
    let old = PolicyDocument::live(&mixed('a', 3).text().replace("2012-10-17", "2008-10-17"));
    for (name, document) in [("a-fence", denies("s3:*")), ("b-mixed", old), ("c-access", allow("s3:*"))] {
        reports(&mut kit, |role| drop(role.inline.insert(PolicyName::parse(name).unwrap(), document)));
    }
    apply(&mut kit);
    reports(&mut kit, |role| role.inline.retain(|name, _| name.as_str() == "queue"));
    assert_eq!(calls(&kit.plan(), "role/reports"), ["delete c-access", "delete b-mixed", "delete a-fence"]);
}

#[test]
fn replacement_is_attached_first_unless_a_quota_forbids_it() {
    let mut kit = applied();
    reports(&mut kit, |role| role.permissions_boundary = Boundary::Policy(aws("Boundary")));
    apply(&mut kit);
    reports(&mut kit, |role| role.attach = arns(["Other"]).into_iter().chain([declared("bucket")]).collect());
    // three policies while both are attached
    for (quota, order) in [
        (4, ["attach Other", "detach ReadOnly"]),
        (3, ["attach Other", "detach ReadOnly"]),
        (2, ["detach ReadOnly", "attach Other"]),
    ] {
        kit.account().quotas.attached_per_role = quota;
        let plan = kit.plan();
        assert_eq!(calls(&plan, "role/reports"), order, "quota {quota}");
        let said = step(&plan, "role/reports").reasons.iter().any(|why| why.contains("at a quota"));
        assert_eq!(said, quota == 2);
    }
}

#[test]
fn inline_policy_with_denies_needs_room_for_both_versions() {
    let mut kit = applied();
    let wide = |kit: &mut Kit, letter: char| {
        reports(kit, |role| drop(role.inline.insert(PolicyName::parse("wide").unwrap(), mixed(letter, 2_500))));
        reports(kit, |role| {
            role.inline.insert(PolicyName::parse("beside").unwrap(), allow(&format!("s3:{letter}")));
        });
    };
    wide(&mut kit, 'a');
    apply(&mut kit);
    wide(&mut kit, 'b');
    let plan = kit.plan();
    let most = kit.account().quotas.inline_size;
    simulate::run(
        &mut kit.live.clone(),
        &plan,
        |_| 0,
        |live| {
            let role = live.accounts[&key("default")].roles["reports"].present().unwrap();
            let size: usize = role.role.inline.values().map(PolicyDocument::size).sum();
            assert!(size <= most, "{size} characters on the way");
        },
    );
}

/// `reports` of `applied` with these boundaries before and after, and another ServiceAccount afterwards.
fn handed_over(before: &str, after: &str) -> Kit {
    let mut kit = applied();
    reports(&mut kit, |role| {
        role.attach = arns(["ReadOnly", "Stays"]).into_iter().collect();
        role.inline.clear();
        role.permissions_boundary = Boundary::Policy(aws(before));
    });
    apply(&mut kit);
    reports(&mut kit, |role| {
        role.attach = arns(["Other", "Stays"]).into_iter().collect();
        role.bindings = vec![binding("east", "successor")];
        role.permissions_boundary = Boundary::Policy(aws(after));
    });
    kit
}

#[test]
fn new_principal_gets_nothing_under_the_old_boundary() {
    let mut kit = handed_over("One", "Two");
    let plan = kit.plan();
    let order = calls(&plan, "role/reports");
    assert_eq!(
        order,
        [
            "put irsa-transition",
            "iam:UpdateAssumeRolePolicy",
            "iam:PutRolePermissionsBoundary",
            "attach Other",
            "detach ReadOnly",
            "delete irsa-transition"
        ]
    );
    assert!(!plan.notes.iter().any(|note| note.rule == "dips"), "nobody is left who could miss it");
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(kit.plan().steps, []);
}

#[test]
fn shared_permissions_stay_when_principals_change_under_the_same_boundary() {
    let mut kit = handed_over("One", "One");
    let order = calls(&kit.plan(), "role/reports");
    assert_eq!(order, ["detach ReadOnly", "iam:UpdateAssumeRolePolicy", "attach Other"]);
}

#[test]
fn tags_are_removed_first_only_at_the_tag_limit() {
    for (live, order) in [(50, ["iam:UntagRole", "iam:TagRole"]), (49, ["iam:TagRole", "iam:UntagRole"])] {
        let mut kit = applied();
        reports(&mut kit, |role| drop(role.tags.insert("new".into(), "1".into())));
        let tags = &mut live_role(&mut kit, "reports").role.tags;
        for number in tags.len()..live {
            tags.insert(format!("stray{number}"), "1".into());
        }
        assert_eq!(calls(&kit.plan(), "role/reports"), order, "{live} tags");
    }
    // a new value of an existing key takes no room
    let mut kit = applied();
    reports(&mut kit, |role| drop(role.tags.insert("team".into(), "new".into())));
    let tags = &mut live_role(&mut kit, "reports").role.tags;
    tags.insert("team".into(), "old".into());
    for number in tags.len()..50 {
        tags.insert(format!("stray{number}"), "1".into());
    }
    assert_eq!(calls(&kit.plan(), "role/reports"), ["iam:TagRole", "iam:UntagRole"]);
}

#[test]
fn principal_that_keeps_a_changing_policy_always_has_it() {
    // the ServiceAccount moves to a role of another name while the policy changes
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().name = "reports-2".parse().unwrap();
    kit.policy("bucket", allow("s3:PutObject"));
    assert_eq!(calls(&kit.plan(), "policy/default/bucket"), ["iam:CreatePolicyVersion"]);
    // one principal leaves, one stays, one is added: the role loses a principal once, before both of its policies
    // change
    let mut kit = applied();
    let bind = |kit: &mut Kit, names: [&str; 2]| {
        reports(kit, |role| {
            role.bindings = names.into_iter().map(|name| binding("east", name)).collect();
            role.attach = [declared("bucket"), declared("table")].into();
        });
    };
    kit.policy("table", allow("dynamodb:GetItem"));
    bind(&mut kit, ["leaves", "stays"]);
    apply(&mut kit);
    kit.policy("bucket", allow("s3:PutObject"));
    kit.policy("table", allow("dynamodb:PutItem"));
    bind(&mut kit, ["stays", "comes"]);
    let plan = kit.plan();
    assert_eq!(calls(&plan, "policy/default/bucket"), ["iam:CreatePolicyVersion"]);
    assert_eq!(calls(&plan, "policy/default/table"), ["iam:CreatePolicyVersion"]);
    assert_eq!(calls(&plan, "role/reports"), ["iam:UpdateAssumeRolePolicy", "iam:UpdateAssumeRolePolicy"]);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(kit.plan().steps, []);
}

#[test]
fn policy_does_not_wait_for_a_role_that_keeps_its_principals() {
    let mut kit = applied();
    kit.policy("bucket", allow("s3:PutObject"));
    reports(&mut kit, |role| role.description = "new".into());
    let plan = kit.plan();
    assert_eq!(step(&plan, "policy/default/bucket").needs, []);
    assert_eq!(calls(&plan, "policy/default/bucket"), ["iam:CreatePolicyVersion"]);
}

#[test]
fn trust_changes_in_one_call_if_no_permission_changes() {
    let mut kit = applied();
    for names in [["worker", "second"], ["second", "third"]] {
        reports(&mut kit, |role| role.bindings = names.map(|name| binding("east", name)).into());
        assert_eq!(calls(&kit.plan(), "role/reports"), ["iam:UpdateAssumeRolePolicy"]);
        apply(&mut kit);
    }
}
