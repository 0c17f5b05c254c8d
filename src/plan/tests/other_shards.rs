//! The objects of other shards for which a shard waits. Each case has its counterexample.

use super::kit::{Kit, allow, binding, declared, key};
use super::rules::{apply, live_role, names, step};
use super::shards::seen;
use super::simulate;
use crate::model::desired::Boundary;
use crate::model::live::Observed;
use crate::model::note::{Note, Severity};
use crate::model::shard::{Scope, Shard};
use crate::plan::{Options, Plan, confirm, plan};
use crate::policy::Statement;
use crate::policy::document::PolicyKind;
use serde_json::json;

/// A shard that has cluster `east`, and a shard that has `west`.
fn apart(kit: &Kit) -> (Shard, Shard) {
    let home = |count: u32, cluster: &str| {
        let shards = (0..count).filter_map(|index| Shard::new(index, count));
        shards.into_iter().find(|shard| Scope::of(*shard, &kit.desired).has_cluster(&key(cluster))).unwrap()
    };
    let count = (2..50).find(|count| home(*count, "east") != home(*count, "west")).unwrap();
    (home(count, "east"), home(count, "west"))
}

fn with_findings(kit: &Kit, shard: Shard, findings: Vec<Note>) -> Plan {
    let options = Options { shard: Some(shard), ..kit.options.clone() };
    plan(&kit.desired, &seen(&kit.live, &kit.desired, &Scope::of(shard, &kit.desired)), &options, findings)
}

fn of(kit: &Kit, shard: Shard) -> Plan {
    with_findings(kit, shard, Vec::new())
}

fn run(kit: &mut Kit, shard: Shard) {
    let plan = of(kit, shard);
    assert_eq!(plan.refused, []);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
}

fn waiting(plan: &Plan) -> Vec<String> {
    plan.waiting.iter().map(ToString::to_string).collect()
}

fn why(plan: &Plan, address: &str) -> String {
    let note = plan.notes.iter().find(|note| note.address == address && note.rule == "waiting");
    note.unwrap_or_else(|| panic!("{address} does not wait: {plan:#?}")).text.clone()
}

fn unknown(plan: &Plan) -> Vec<&str> {
    plan.unknown.iter().map(|item| item.address.as_str()).collect()
}

/// Role `a` in east and role `b` in west, both with policy `bucket`, which belongs to the shard of `a`.
fn kit() -> (Kit, Shard, Shard) {
    let mut kit = Kit::new();
    for (name, cluster) in [("a", "east"), ("b", "west")] {
        kit.role(name, |role| {
            role.bindings = vec![binding(cluster, name)];
            role.attach = [declared("bucket")].into();
        });
    }
    kit.policy("bucket", allow("s3:GetObject"));
    let (east, west) = apart(&kit);
    (kit, east, west)
}

#[test]
fn role_waits_for_the_policy_of_another_shard() {
    let (mut kit, east, west) = kit();
    let first = of(&kit, west);
    assert_eq!(waiting(&first), ["role/b", "service-account/west/apps/b"]);
    assert_eq!(
        why(&first, "role/b"),
        format!("`policy/default/bucket` comes first: it belongs to shard {east}, so run that shard first")
    );
    assert!(first.has_waiting_iam() && !first.is_empty(), "its provider is made already");
    // nor is it created while the policy is unknown
    kit.account().policies_listed = Observed::Unknown("denied".into());
    assert!(unknown(&of(&kit, west)).contains(&"role/b"));
    kit.account().policies_listed = Observed::Present(());
    run(&mut kit, east);
    run(&mut kit, west);
    assert!(!of(&kit, west).has_waiting_iam() && of(&kit, west).is_empty());
    // nor attached while its document differs
    kit.role("c", |role| {
        role.bindings = vec![binding("west", "c")];
        role.attach = [declared("bucket")].into();
    });
    kit.policy("bucket", allow("s3:PutObject"));
    assert_eq!(waiting(&of(&kit, west)), ["role/c", "service-account/west/apps/c"]);
}

#[test]
fn role_waits_for_the_provider_of_another_shard() {
    let mut kit = Kit::new();
    let (east, west) = apart(&kit);
    kit.role("a", |role| role.bindings = vec![binding("east", "a"), binding("west", "a")]);
    let plan = of(&kit, east);
    assert!(why(&plan, "role/a").starts_with("`oidc-provider/default/west` comes first: it belongs to shard"));
    kit.account().providers_listed = Observed::Unknown("denied".into());
    assert!(unknown(&of(&kit, east)).contains(&"role/a"));
    kit.account().providers_listed = Observed::Present(());
    run(&mut kit, west);
    assert_eq!(waiting(&of(&kit, east)), [""; 0]);
    // the ServiceAccount in west belongs to the other shard, and waits for the role
    assert!(why(&of(&kit, west), "service-account/west/apps/a").contains(&format!("it belongs to shard {east}")));
}

#[test]
fn provider_of_another_shard_may_be_unknown() {
    let mut kit = Kit::new();
    let (east, _) = apart(&kit);
    kit.role("c", |role| role.bindings = vec![binding("east", "c")]);
    run(&mut kit, east);
    kit.role("a", |role| role.bindings = vec![binding("east", "a"), binding("west", "a")]);
    assert!(
        why(&of(&kit, east), "role/a").starts_with("`oidc-provider/default/west` comes first: it belongs to shard")
    );
    // east's own provider was read, although the list failed
    kit.account().providers_listed = Observed::Unknown("denied".into());
    let plan = of(&kit, east);
    assert!(!unknown(&plan).contains(&"oidc-provider/default/east"));
    assert!(unknown(&plan).contains(&"role/a"), "{:?}", waiting(&plan));
}

#[test]
fn policy_changes_in_its_shard_only_if_all_its_roles_are_there() {
    let (mut kit, east, _) = kit();
    kit.desired.roles.remove(&key("b"));
    run(&mut kit, east);
    kit.policy("bucket", allow("s3:PutObject"));
    assert_eq!(names(&of(&kit, east)), ["update policy/default/bucket"]);
    // attached and as boundary are two uses
    let arn = kit.account().policies.keys().next().unwrap().clone();
    live_role(&mut kit, "a").role.permissions_boundary = Some(arn.clone());
    kit.desired.roles.get_mut(&key("a")).unwrap().permissions_boundary = Boundary::Policy(arn.clone());
    let uses = |kit: &mut Kit, count: u32| match kit.account().policies.get_mut(&arn) {
        Some(Observed::Present(policy)) => policy.attachments = count,
        other => panic!("{other:?}"),
    };
    uses(&mut kit, 2);
    assert_eq!(names(&of(&kit, east)), ["update policy/default/bucket"]);
    uses(&mut kit, 3);
    assert!(why(&of(&kit, east), "policy/default/bucket").contains("3 uses, 2 of them here"));
}

/// Trust in a role of the kit.
fn trusts(name: &str) -> Statement {
    let value = json!({
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::111122223333:role/irsa/team/{name}")},
    });
    Statement::parse(&value, Some(PolicyKind::Trust)).unwrap()
}

#[test]
fn role_waits_for_new_principals_of_another_shard() {
    let mut kit = Kit::new();
    let (east, west) = apart(&kit);
    kit.role("a", |role| role.bindings = vec![binding("east", "a")]);
    kit.role("own", |role| role.bindings = vec![binding("east", "own")]);
    kit.role("b", |role| role.bindings = vec![binding("west", "b")]);
    let trusting = |kit: &mut Kit, names: &[&str]| {
        kit.desired.roles.get_mut(&key("a")).unwrap().extra_trust = names.iter().map(|name| trusts(name)).collect();
    };
    trusting(&mut kit, &["own"]);
    assert_eq!(waiting(&of(&kit, east)), [""; 0], "its own are made first");
    trusting(&mut kit, &["own", "b"]);
    let plan = of(&kit, east);
    assert_eq!(waiting(&plan), ["role/a", "service-account/east/apps/a"]);
    assert!(why(&plan, "role/a").contains(&format!("`role/b` comes first: it belongs to shard {west}")));
    run(&mut kit, west);
    assert_eq!(waiting(&of(&kit, east)), [""; 0]);
    run(&mut kit, east);
    // a missing role that it trusts already does not make it wait
    kit.account().roles.remove("b");
    kit.account().role_list = Observed::Present(Vec::new());
    kit.desired.roles.get_mut(&key("a")).unwrap().description = "new".into();
    let plan = of(&kit, east);
    assert!(!step(&plan, "role/a").fields.is_empty());
    // without a role list no role is known to be missing
    trusting(&mut kit, &["own", "b", "a"]);
    kit.account().role_list = Observed::Unknown("denied".into());
    assert_eq!(waiting(&of(&kit, east)), [""; 0]);
}

#[test]
fn finding_is_reported_by_the_shard_of_its_object_or_by_all() {
    let (kit, east, west) = kit();
    let note = |address: &str| Note {
        address: address.into(),
        severity: Severity::Low,
        rule: "IRSA000".into(),
        origin: String::new(),
        text: "text".into(),
        ignored: None,
    };
    let told = |shard| -> Vec<String> {
        let plan = with_findings(&kit, shard, vec![note("role/b"), note("account/default")]);
        plan.notes.into_iter().filter(|note| note.rule == "IRSA000").map(|note| note.address).collect()
    };
    assert_eq!(told(west), ["account/default", "role/b"]);
    assert_eq!(told(east), ["account/default"]);
}

#[test]
fn only_may_select_objects_of_another_shard() {
    let (mut kit, east, _) = kit();
    kit.options.only = vec!["role/b".into(), "service-account/west/*".into(), "role/nothing".into()];
    let plan = of(&kit, east);
    assert_eq!((plan.unmatched, plan.steps.len()), (vec!["role/nothing".to_owned()], 0));
}

#[test]
fn only_does_not_select_the_boundary_that_another_shard_has() {
    let (mut kit, _, west) = kit();
    apply(&mut kit);
    let arn = kit.account().policies.keys().next().unwrap().clone();
    let role = kit.desired.roles.get_mut(&key("b")).unwrap();
    (role.attach, role.permissions_boundary) = ([].into(), Boundary::Policy(arn));
    kit.policy("bucket", allow("s3:PutObject"));
    kit.account().providers_listed = Observed::Unknown("timeout".into());
    assert!(unknown(&of(&kit, west)).contains(&"account/default"));
    kit.options.only = vec!["policy/default/bucket".into()];
    let plan = of(&kit, west);
    assert_eq!((unknown(&plan), &plan.unmatched[..]), (vec![], &[][..]));
}

#[test]
fn shard_reports_only_clusters_that_it_needs() {
    let (mut kit, east, west) = kit();
    kit.live.clusters.remove(&key("east"));
    assert_eq!(unknown(&of(&kit, west)), [""; 0]);
    assert!(unknown(&of(&kit, east)).contains(&"cluster/east"));
    let (mut kit, _, west) = self::kit();
    kit.role("b", |role| role.bindings = vec![binding("west", "b")]);
    apply(&mut kit);
    kit.live.clusters.remove(&key("west"));
    assert!(unknown(&of(&kit, west)).contains(&"cluster/west"));
}

#[test]
fn waiting_object_counts_if_both_plans_show_it() {
    let (kit, _, west) = kit();
    let second = of(&kit, west);
    let kept = |first: &Plan| waiting(&confirm(first, second.clone()));
    assert_eq!(kept(&second), ["role/b", "service-account/west/apps/b"]);
    let mut first = second.clone();
    first.waiting.clear();
    first.steps.clear();
    assert_eq!(kept(&first), ["service-account/west/apps/b"], "the first look saw no difference");
    let mut all = kit.clone();
    first.steps = all.plan().steps;
    assert_eq!(kept(&first), ["role/b", "service-account/west/apps/b"]);
    first.steps.retain(|step| step.address.to_string() != "role/b");
    assert_eq!(kept(&first), ["service-account/west/apps/b"]);
}

#[test]
fn policy_waits_for_the_deferred_role_that_loses_a_principal() {
    let mut kit = Kit::new();
    let (east, west) = apart(&kit);
    kit.role("b", |role| {
        role.bindings = vec![binding("east", "leaves")];
        role.attach = [declared("bucket")].into();
    });
    kit.policy("bucket", allow("s3:GetObject"));
    apply(&mut kit);
    kit.policy("bucket", allow("s3:PutObject"));
    kit.policy("fresh", allow("sqs:SendMessage"));
    kit.role("a", |role| {
        role.bindings = vec![binding("west", "a")];
        role.attach = [declared("fresh")].into();
    });
    let declare = |kit: &mut Kit, names: &[&str]| {
        let role = kit.desired.roles.get_mut(&key("b")).unwrap();
        role.bindings = names.iter().map(|name| binding("east", name)).collect();
        role.attach = [declared("bucket"), declared("fresh")].into();
    };
    let deferred = ["policy/default/bucket", "role/b", "service-account/east/apps/comes"];
    declare(&mut kit, &["comes"]);
    let plan = of(&kit, east);
    assert_eq!(waiting(&plan), deferred, "who leaves would have what the policy gives from now on");
    assert!(why(&plan, "policy/default/bucket").contains("`role/b` comes first"));
    declare(&mut kit, &["comes", "leaves"]);
    let plan = of(&kit, east);
    assert_eq!(waiting(&plan), deferred[1..], "nobody leaves");
    declare(&mut kit, &["comes"]);
    run(&mut kit, west);
    assert_eq!(waiting(&of(&kit, east)), [""; 0]);
    run(&mut kit, east);
    assert_eq!(kit.plan().steps, []);
}
