//! What irsa does not change while an object, a cluster or a list could not be read.

use super::kit::{allow, binding, declared, key};
use super::rules::{applied, apply, names, refused, step, undeclare};
use crate::ids::IssuerUrl;
use crate::model::address::Address;
use crate::model::desired::ClusterState;
use crate::model::live::{Access, Extent, Observed};

#[test]
pub(super) fn unknown_object_is_neither_changed_nor_deleted() {
    let mut kit = applied();
    kit.role("reports", |role| role.bindings = vec![binding("east", "worker"), binding("west", "worker")]);
    kit.cluster("west").issuer = Observed::Unknown("eks:DescribeCluster: timeout".into());
    kit.cluster("west").api = Access::Unknown("not reached".into());
    let plan = kit.plan();
    assert!(!plan.complete());
    assert!(plan.unknown.iter().any(|item| item.address == "cluster/west" && item.why.contains("timeout")));
    let trust_changes = plan.steps.iter().any(|step| step.fields.iter().any(|field| field.path == "trust"));
    assert!(!trust_changes, "while an issuer is unknown the role's trust is not changed");
    // an undeclared role stays while a cluster in its trust was not read in full
    let mut kit = applied();
    undeclare(&mut kit);
    kit.cluster("east").extent = Extent::Named;
    refused(&kit.plan(), "orphan/default/role/reports", "did not read in full");
    // a cluster that does not exist is refused by name
    let mut kit = applied();
    kit.cluster("east").issuer = Observed::Absent;
    refused(&kit.plan(), "cluster/east", "EKS has no cluster");
}

#[test]
fn unreadable_undeclared_object_makes_the_plan_incomplete() {
    let mut kit = applied();
    undeclare(&mut kit);
    let unknown = "iam:ListRoleTags: timeout";
    kit.account().roles.insert("reports".into(), Observed::Unknown(unknown.into()));
    for policy in kit.account().policies.values_mut() {
        *policy = Observed::Unknown(unknown.into());
    }
    let plan = kit.plan();
    let unknown: Vec<&str> = plan.unknown.iter().map(|item| item.address.as_str()).collect();
    assert_eq!(unknown, ["orphan/default/policy/bucket", "orphan/default/role/reports"]);
    assert!(!names(&plan).iter().any(|step| step.contains("orphan/")));
}

#[test]
fn partly_listed_cluster_is_noted() {
    let mut kit = applied();
    kit.cluster("east").extent = Extent::Named;
    let plan = kit.plan();
    assert!(plan.notes.iter().any(|note| note.address == "cluster/east" && note.rule == "orphans-unseen"));
    assert!(plan.complete());
}

#[test]
fn policy_of_a_deferred_role_is_deferred_too() {
    let mut kit = applied();
    kit.policy("bucket", allow("s3:PutObject"));
    kit.role("reports", |role| {
        role.bindings = vec![binding("west", "worker")];
        role.attach = [declared("bucket")].into();
    });
    assert_eq!(
        step(&kit.plan(), "policy/default/bucket").parts.len(),
        2,
        "nobody keeps the role: it takes, then gives"
    );
    let arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/west";
    kit.account().providers.insert(arn.parse().unwrap(), Observed::Unknown("timeout".into()));
    let plan = kit.plan();
    assert!(plan.unknown.iter().any(|item| item.address == "role/reports"), "{:?}", plan.unknown);
    let deferred =
        plan.unknown.iter().find(|item| item.address == "policy/default/bucket").expect("it waits for the role");
    assert!(deferred.why.contains("`role/reports`, which must come first"), "{}", deferred.why);
}

#[test]
pub(super) fn role_that_trusts_an_unread_cluster_is_not_deleted() {
    let mut kit = applied();
    kit.role("far", |role| role.bindings = vec![binding("west", "far")]);
    apply(&mut kit);
    for provider in kit.account().providers.values_mut() {
        if let Observed::Present(live) = provider {
            live.provider.tags.clear();
        }
    }
    kit.desired.roles.remove(&key("far"));
    let mut gone = kit.desired.clusters.remove(&key("west")).unwrap();
    kit.live.clusters.remove(&key("west"));
    refused(&kit.plan(), "orphan/default/role/far", "whose cluster is not declared");
    gone.state = ClusterState::Gone;
    gone.issuer = Some(IssuerUrl::parse("https://oidc.example.com/id/west").unwrap());
    kit.desired.clusters.insert(key("west"), gone);
    assert_eq!(names(&kit.plan()), ["delete orphan/default/role/far"]);
}

#[test]
pub(super) fn trust_in_an_issuer_with_an_unreadable_provider_stays() {
    for listed in [true, false] {
        let mut kit = applied();
        kit.role("reports", |role| role.bindings = vec![binding("east", "worker"), binding("west", "worker")]);
        apply(&mut kit);
        kit.role("reports", |role| role.bindings = vec![binding("east", "worker")]);
        kit.desired.clusters.remove(&key("west"));
        kit.live.clusters.remove(&key("west"));
        kit.options.allow_incomplete = true;
        let arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/west".parse().unwrap();
        if listed {
            kit.account().providers.insert(arn, Observed::Unknown("timeout".into()));
        } else {
            kit.account().providers.remove(&arn);
            kit.account().providers_listed = Observed::Unknown("timeout".into());
        }
        refused(&kit.plan(), "role/reports", "the owner of its provider is unknown: timeout");
    }
}

#[test]
fn role_that_keeps_its_trust_waits_for_no_provider() {
    let mut kit = applied();
    kit.role("keep", |role| {
        role.description = "new".into();
        role.bindings = vec![binding("east", "keep"), binding("west", "keep")];
    });
    assert_eq!(step(&kit.plan(), "role/keep").needs, ["oidc-provider/default/west".parse::<Address>().unwrap()]);
    kit.cluster("east").issuer = Observed::Unknown("timeout".into());
    assert_eq!(step(&kit.plan(), "role/keep").needs, []);
}
