//! Accounts, clusters and quotas: what irsa refuses or notes about them.

use super::kit::{Kit, allow, binding, declared, key};
use super::rules::{applied, apply, live_account, live_role, names, refused, step, undeclare};
use crate::ids::{IamPath, PolicyName};
use crate::model::live::{Access, Extent, Observed};
use crate::model::refusal::RefusalKind;
use crate::policy::Statement;
use crate::policy::document::PolicyKind;
use serde_json::json;

fn trusts_all() -> Statement {
    let value =
        json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}});
    Statement::parse(&value, Some(PolicyKind::Trust)).unwrap()
}

#[test]
pub(super) fn two_keys_of_one_cluster_are_refused() {
    let mut kit = applied();
    kit.role("far", |role| role.bindings = vec![binding("west", "far")]);
    kit.cluster("west").issuer = kit.live.clusters[&key("east")].issuer.clone();
    live_account(&mut kit, "east", "worker").annotations.clear();
    let plan = kit.plan();
    refused(&plan, "cluster/east", "the same issuer as cluster `west`");
    refused(&plan, "cluster/west", "the same issuer as cluster `east`");
    assert_eq!(names(&plan), [""; 0]);
}

#[test]
fn cluster_with_new_objects_is_not_emptied() {
    let mut kit = applied();
    undeclare(&mut kit);
    let bind = |kit: &mut Kit, cluster: &str| {
        kit.desired.roles.get_mut(&key("keep")).unwrap().bindings = vec![binding(cluster, "new")];
    };
    bind(&mut kit, "east");
    assert_eq!(kit.plan().refused, []);
    bind(&mut kit, "west");
    refused(&kit.plan(), "service-account/east/apps/worker", "everything that irsa manages in cluster/east");
}

#[test]
fn only_shows_refusals_of_selected_accounts_and_clusters() {
    let mut kit = Kit::new();
    kit.role("bound", |role| role.bindings = vec![binding("east", "bound")]);
    kit.role("other", |role| role.bindings = vec![binding("west", "other")]);
    kit.role("unbound", |role| role.extra_trust = vec![trusts_all()]);
    kit.cluster("east").api = Access::Wrong(
        RefusalKind::CertificateAuthority
            .because("it may lead to another cluster: another server", "check the context"),
    );
    let shown = |kit: &mut Kit, only: &str| -> Vec<String> {
        kit.options.only = vec![only.into()];
        kit.plan().refused.into_iter().map(|item| item.address).collect()
    };
    assert_eq!(shown(&mut kit, "role/bound"), ["cluster/east"]);
    assert_eq!(shown(&mut kit, "role/other"), [""; 0]);
    kit.wrong_account();
    assert_eq!(shown(&mut kit, "role/unbound"), ["account/default"]);
    assert_eq!(shown(&mut kit, "service-account/east/*"), ["account/default", "cluster/east"]);
}

#[test]
fn service_account_in_an_unread_namespace_is_unknown() {
    let mut kit = applied();
    kit.role("late", |role| role.bindings = vec![binding("east", "late")]);
    assert!(names(&kit.plan()).contains(&"create service-account/east/apps/late".to_owned()));
    // a list without a ServiceAccount shows that it does not exist, also if irsa could not parse another entry
    kit.cluster("east").extent = Extent::Understood;
    let plan = kit.plan();
    assert!(names(&plan).contains(&"create service-account/east/apps/late".to_owned()));
    assert!(plan.complete(), "{:?}", plan.unknown);
    kit.cluster("east").extent = Extent::Named;
    let unknown = |kit: &mut Kit| {
        let plan = kit.plan();
        let item = plan.unknown.iter().find(|item| item.address == "service-account/east/apps/late");
        item.map(|item| item.why.clone())
    };
    assert_eq!(unknown(&mut kit).as_deref(), Some("namespace `apps` was not read"));
    for seen in kit.cluster("east").namespaces.values_mut() {
        *seen = Observed::Unknown("forbidden".into());
    }
    assert_eq!(unknown(&mut kit).as_deref(), Some("forbidden"));
}

#[test]
pub(super) fn role_above_a_quota_is_refused_and_at_the_quota_is_not() {
    type Narrow = fn(&mut crate::model::live::Quotas, usize);
    let mut kit = applied();
    kit.role("fresh", |role| {
        role.bindings = vec![binding("east", "fresh")];
        role.attach = [declared("bucket"), declared("table")].into();
        role.inline.insert(PolicyName::parse("queue").unwrap(), allow("sqs:SendMessage"));
    });
    kit.policy("table", allow("dynamodb:GetItem"));
    let trust = step(&kit.plan(), "role/fresh").reasons[1].clone();
    let size: usize = trust.strip_prefix("trust policy: ").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(trust, format!("trust policy: {size} of 2048 characters"));
    let cases: [(Narrow, usize, &str); 3] = [
        (|quotas, to| quotas.trust_size = to, size, "its trust policy has"),
        (|quotas, to| quotas.attached_per_role = to, 2, "it has 2 attached policies"),
        (|quotas, to| quotas.inline_size = to, allow("sqs:SendMessage").size(), "its inline policies have"),
    ];
    for (narrow, enough, words) in cases {
        let mut kit = kit.clone();
        narrow(&mut kit.account().quotas, enough);
        assert!(kit.plan().refused.iter().all(|item| item.address != "role/fresh"), "{words}");
        narrow(&mut kit.account().quotas, enough - 1);
        refused(&kit.plan(), "role/fresh", words);
    }
    apply(&mut kit);
    kit.policy("table", allow("dynamodb:PutItem"));
    kit.account().quotas.managed_size = allow("dynamodb:PutItem").size();
    assert_eq!(kit.plan().refused, []);
    kit.account().quotas.managed_size -= 1;
    refused(&kit.plan(), "policy/default/table", "the quota is");
    kit.desired.roles.get_mut(&key("fresh")).unwrap().bindings.clear();
    refused(&kit.plan(), "role/fresh", "would have no statement");
}

#[test]
fn trust_size_is_a_reason_if_trust_changes() {
    let told = |kit: &mut Kit| {
        let plan = kit.plan();
        step(&plan, "role/reports").reasons.iter().any(|why| why.starts_with("trust policy: "))
    };
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("reports")).unwrap().description = "new".into();
    assert!(!told(&mut kit));
    kit.desired.roles.get_mut(&key("reports")).unwrap().bindings.push(binding("east", "second"));
    assert!(told(&mut kit));
}

#[test]
fn role_waits_for_the_missing_audience_of_its_provider() {
    let mut kit = applied();
    for provider in kit.account().providers.values_mut() {
        if let Observed::Present(live) = provider {
            live.provider.audiences.clear();
            live.provider.tags.clear();
        }
    }
    kit.desired.roles.get_mut(&key("reports")).unwrap().bindings.push(binding("east", "second"));
    kit.desired.roles.get_mut(&key("keep")).unwrap().description = "new".into();
    let plan = kit.plan();
    let provider = step(&plan, "oidc-provider/default/east");
    assert_eq!(step(&plan, "role/reports").needs, std::slice::from_ref(&provider.address));
    assert_eq!(step(&plan, "role/keep").needs, []);
    let foreign = "irsa does not manage this provider: irsa only adds to it, and never deletes it".to_owned();
    assert!(provider.reasons.contains(&foreign));
    kit.desired.roles.get_mut(&key("keep")).unwrap().bindings[0].audience = Some("other".into());
    apply(&mut applied());
    let mut kit = applied();
    kit.desired.roles.get_mut(&key("keep")).unwrap().bindings[0].audience = Some("other".into());
    assert!(!step(&kit.plan(), "oidc-provider/default/east").reasons.contains(&foreign));
}

#[test]
fn foreign_roles_that_trust_our_clusters_are_noted() {
    let mut kit = applied();
    let mut stranger = live_role(&mut kit, "keep").clone();
    stranger.role.name = "stranger".parse().unwrap();
    stranger.role.tags.clear();
    let summary = super::simulate::summary(&stranger);
    match &mut kit.account().role_list {
        Observed::Present(role_list) => role_list.push(summary),
        other => panic!("{other:?}"),
    }
    let plan = kit.plan();
    let noted: Vec<&str> =
        plan.notes.iter().filter(|note| note.rule == "foreign-trust").map(|note| note.text.as_str()).collect();
    assert_eq!(noted, ["irsa does not manage role `stranger`, which can be assumed from `east`"]);
    assert_eq!(plan.steps, []);
}

#[test]
fn live_policy_keeps_its_path() {
    let mut kit = applied();
    assert!(kit.plan().notes.iter().all(|note| note.rule != "path-kept"));
    for policy in kit.desired.policies.values_mut() {
        policy.path = IamPath::parse("/other/").unwrap();
    }
    let plan = kit.plan();
    assert_eq!(plan.steps, []);
    let kept: Vec<(&str, &str)> =
        plan.notes.iter().filter(|note| note.rule == "path-kept").map(|note| (&*note.address, &*note.text)).collect();
    assert_eq!(
        kept,
        [("policy/default/bucket", "the live policy keeps its path `/irsa/team/`; new ones get `/other/`")]
    );
}
