//! A test makes every kind of refusal that a plan can have, with the message in the documentation.

use super::kit::{Kit, REFUSED, allow, aws, binding, declared, key};
use super::rules::{applied, apply, refused};
use super::{accounts_and_clusters, deletes, field_ownership, guards, ordering, reported, rules, unread};
use crate::model::address::OrphanKind;
use crate::model::desired::Boundary;
use crate::model::live::{Malformed, Observed};
use crate::model::refusal::RefusalKind;
use crate::policy::PolicyDocument;
use std::collections::BTreeSet;

/// The kinds that no plan has, because they end a run.
const ENDING: [RefusalKind; 7] = [
    RefusalKind::OwnerInUse,
    RefusalKind::HasRefusals,
    RefusalKind::Incomplete,
    RefusalKind::NotConfirmed,
    RefusalKind::NoTerminal,
    RefusalKind::NoPrompt,
    RefusalKind::Locked,
];

/// The kinds that come from reading. The tests of `observe` and `world` make them.
const READ: [RefusalKind; 3] =
    [RefusalKind::WrongAccount, RefusalKind::CertificateAuthority, RefusalKind::WrongCluster];

const TESTS: [&str; 5] = [
    include_str!("../../../tests/it/explain.rs"),
    include_str!("../../../tests/it/import/owner.rs"),
    include_str!("../../../tests/it/lock.rs"),
    include_str!("../../observe/tests/accounts.rs"),
    include_str!("../../world/kubernetes/tests/server_identity.rs"),
];

#[test]
fn every_kind_is_made_by_a_test() {
    let tests: [fn(); 29] = [
        guards::too_many_deletes_are_refused_until_forced,
        guards::too_many_changes_are_refused_from_min_existing_on,
        guards::a_role_in_use_is_not_deleted,
        guards::emptying_an_account_or_cluster_needs_destroy,
        guards::deletes_while_nothing_declared_exists_are_refused,
        guards::delete_of_an_object_of_an_undeclared_account_or_cluster_is_refused,
        guards::trust_in_our_issuer_stays_until_its_cluster_is_declared_gone,
        unread::unknown_object_is_neither_changed_nor_deleted,
        guards::role_with_a_foreign_service_account_is_not_deleted,
        guards::service_account_needs_its_role_and_is_refused_with_it,
        unread::role_that_trusts_an_unread_cluster_is_not_deleted,
        unread::trust_in_an_issuer_with_an_unreadable_provider_stays,
        rules::object_of_another_owner_needs_adopt_from,
        rules::live_role_keeps_its_path_and_another_declared_path_is_refused,
        rules::field_of_another_manager_is_refused_unless_it_is_kubectl,
        rules::live_prevent_destroy_tag_prevents_a_delete,
        rules::new_roles_that_trust_each_other_are_refused,
        field_ownership::harmless_annotation_older_than_the_label_stays,
        deletes::role_of_a_gone_cluster_is_deleted_while_another_cluster_is_unknown,
        deletes::nothing_that_roles_use_is_deleted_while_roles_cannot_be_listed,
        deletes::policy_that_any_role_keeps_is_not_deleted,
        reported::provider_is_released_only_if_its_other_roles_are_known_to_be_foreign,
        accounts_and_clusters::two_keys_of_one_cluster_are_refused,
        accounts_and_clusters::role_above_a_quota_is_refused_and_at_the_quota_is_not,
        ordering::policy_that_does_not_exist_is_refused_with_its_line,
        new_role_in_a_cluster_that_does_not_exist_is_refused,
        provider_stays_while_a_role_is_malformed,
        deny_that_does_not_fit_is_refused,
        policies_without_a_safe_order_are_refused,
    ];
    for test in tests {
        test();
    }
    let made = REFUSED.take();
    let missing = RefusalKind::ALL.iter().filter(|kind| !made.contains(kind));
    let elsewhere: BTreeSet<RefusalKind> = ENDING.into_iter().chain(READ).collect();
    assert_eq!(missing.copied().collect::<BTreeSet<_>>(), elsewhere);
    let has = |text: String| TESTS.iter().any(|test| test.contains(&text));
    assert!(ENDING.into_iter().all(|kind| has(format!("nothing was written ({})", kind.word()))));
    assert!(READ.into_iter().all(|kind| has(format!("kind, RefusalKind::{kind:?})"))));
}

#[test]
fn new_role_in_a_cluster_that_does_not_exist_is_refused() {
    let mut kit = applied();
    kit.cluster("west").issuer = Observed::Absent;
    kit.role("fresh", |role| role.bindings = vec![binding("west", "fresh")]);
    refused(&kit.plan(), "role/fresh", "cluster `west` does not exist");
}

#[test]
fn provider_stays_while_a_role_is_malformed() {
    let mut kit = applied();
    let role = Malformed { kind: OrphanKind::Role, name: "odd".into(), why: "it has no trust policy".into() };
    kit.account().malformed.push(role);
    kit.options.destroy = true;
    kit.options.force = true;
    refused(&kit.plan(), "oidc-provider/default/east", "role `odd` may trust it");
}

/// The temporary deny of a new boundary with new tags needs room among the inline policies.
#[test]
fn deny_that_does_not_fit_is_refused() {
    let mut kit = applied();
    let set = |kit: &mut Kit, boundary: &str, team: &str| {
        let role = kit.desired.roles.get_mut(&key("reports")).unwrap();
        role.permissions_boundary = Boundary::Policy(aws(boundary));
        role.tags.insert("team".into(), team.into());
    };
    set(&mut kit, "One", "a");
    apply(&mut kit);
    set(&mut kit, "Two", "b");
    assert_eq!(kit.plan().refused, []);
    kit.account().quotas.inline_size = allow("sqs:SendMessage").size();
    refused(&kit.plan(), "role/reports", "during the change its inline policies would have");
}

/// Each of two policies of a role takes a permission and a deny, and neither has room for both denies in between.
#[test]
fn policies_without_a_safe_order_are_refused() {
    let mut kit = applied();
    let document = |allowed: &str, denied: &str| {
        PolicyDocument::live(&format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{allowed}","Resource":"*"}},{{"Effect":"Deny","Action":"{denied}","Resource":"*"}}]}}"#
        ))
    };
    let (before, after) = (document("s3:GetObject", "s3:DeleteObject"), document("s3:PutObject", "s3:ListBucket"));
    let role = kit.desired.roles.get_mut(&key("reports")).unwrap();
    role.attach.insert(declared("second"));
    kit.policy("bucket", before.clone());
    kit.policy("second", before);
    apply(&mut kit);
    kit.policy("bucket", after.clone());
    kit.policy("second", after.clone());
    assert_eq!(kit.plan().refused, []);
    kit.account().quotas.managed_size = after.size();
    for policy in ["policy/default/bucket", "policy/default/second"] {
        refused(&kit.plan(), policy, "every order of the calls on");
    }
}
