use super::{applied, look};
use crate::ids::{IssuerUrl, Key, Namespace, ServiceAccountName};
use crate::model::address::OrphanKind;
use crate::model::desired::{Manage, Subject};
use crate::model::live::{Access, Extent, LiveCluster, Malformed, NamespacePhase, Observed};
use crate::model::marks::{OWNER, ROLE_ARN};
use crate::model::resource::StringMap;
use crate::observe::fake::World;
use crate::plan::tests::kit::{Kit, binding, key};
use crate::world::{CallErrorKind, MalformedServiceAccount};

fn spot(namespace: &str, name: &str) -> (Namespace, ServiceAccountName) {
    (Namespace::parse(namespace).unwrap(), ServiceAccountName::parse(name).unwrap())
}

fn kubernetes(world: &World, cluster: &str) -> Vec<String> {
    let lines = world.take_log();
    let of_cluster = format!(" {cluster}");
    let mut lines: Vec<String> = lines
        .into_iter()
        .filter(|line| line.contains(&of_cluster) && !line.starts_with("iam:") && !line.starts_with("eks:"))
        .collect();
    lines.sort();
    lines
}

async fn east(kit: &Kit, world: &World) -> LiveCluster {
    look(kit, world).await.clusters.remove(&key("east")).unwrap()
}

#[tokio::test]
async fn one_list_is_enough() {
    let kit = applied();
    let world = World::new(kit.live.clone());
    let live = east(&kit, &world).await;
    assert!(live.extent == Extent::Whole && live.service_accounts.len() == 2 && live.namespaces.is_empty());
    assert_eq!(kubernetes(&world, "east"), ["list:all east", "verify east"]);
}

#[tokio::test]
async fn where_a_list_is_forbidden_the_next_narrower_is_tried() {
    let mut kit = applied();
    kit.role("missing", |role| role.bindings = vec![binding("east", "missing")]);
    let world = World::new(kit.live.clone());
    world.fail("list:all", CallErrorKind::Denied);
    let live = east(&kit, &world).await;
    assert!(live.extent == Extent::Named && live.api == Access::Granted(()));
    assert_eq!(live.service_accounts[&spot("apps", "missing")], Observed::Absent);
    assert!(live.service_accounts[&spot("apps", "worker")].present().is_some());
    assert_eq!(
        kubernetes(&world, "east"),
        ["get:namespace east apps", "list:all east", "list:namespace east apps", "verify east"]
    );
    world.fail("list:namespace ", CallErrorKind::Denied);
    world.fail("get east apps/keep", CallErrorKind::Denied);
    let live = east(&kit, &world).await;
    assert_eq!(live.service_accounts[&spot("apps", "missing")], Observed::Absent);
    assert!(live.service_accounts[&spot("apps", "worker")].present().is_some());
    assert!(matches!(&live.service_accounts[&spot("apps", "keep")], Observed::Unknown(why) if why.contains("Denied")));
    assert_eq!(kubernetes(&world, "east").iter().filter(|line| line.starts_with("get ")).count(), 3);
}

/// Someone else's ServiceAccount, with the annotation of our role `reports`.
fn strangers(kit: &mut Kit) {
    let east = kit.cluster("east");
    let Observed::Present(mut other) = east.service_accounts[&spot("apps", "worker")].clone() else { panic!() };
    other.name = "stranger".parse().unwrap();
    other.labels.clear();
    east.service_accounts.insert(spot("apps", "stranger"), Observed::Present(other));
}

#[tokio::test]
async fn of_a_huge_cluster_ours_and_the_declared_ones_are_read() {
    let mut kit = applied();
    strangers(&mut kit);
    kit.role("missing", |role| role.bindings = vec![binding("east", "missing")]);
    let world = World::new(kit.live.clone()).with_left_to_list(5_001);
    let live = look(&kit, &world).await;
    let east = &live.clusters[&key("east")];
    assert_eq!(east.extent, Extent::Ours);
    let read: Vec<_> = east.service_accounts.keys().map(|(_, name)| name.as_str()).collect();
    assert_eq!(read, ["keep", "missing", "worker"], "and not the stranger's");
    assert_eq!(
        kubernetes(&world, "east"),
        [
            "get east apps/missing",
            "get:namespace east apps",
            "list:first-page east",
            &format!("list:owner east {}", kit.desired.owner),
            "verify east"
        ]
    );
    let plan = |live| crate::plan::plan(&kit.desired, live, &kit.options, Vec::new());
    let whole = look(&kit, &World::new(kit.live.clone()).with_left_to_list(5_000)).await;
    assert_eq!(whole.clusters[&key("east")].extent, Extent::Whole, "ten pages more are read");
    assert_eq!(plan(&live), plan(&whole), "either way the plan is the same");
}

#[tokio::test]
async fn a_huge_cluster_is_read_whole_where_much_is_declared_or_all_goes() {
    let mut kit = applied();
    kit.options.destroy = true;
    let world = World::new(kit.live.clone()).with_left_to_list(5_001);
    assert_eq!(east(&kit, &world).await.extent, Extent::Whole);
    kit.options.destroy = false;
    let names: Vec<String> = (0..11).map(|number| format!("one-{number}")).collect();
    kit.role("many", |role| role.bindings = names.iter().map(|name| binding("east", name)).collect());
    let world = World::new(kit.live.clone()).with_left_to_list(5_001);
    assert_eq!(east(&kit, &world).await.extent, Extent::Whole);
}

#[tokio::test]
async fn before_a_role_goes_a_huge_cluster_is_searched_for_who_points_at_it() {
    let mut kit = applied();
    strangers(&mut kit);
    kit.desired.roles.remove(&key("reports"));
    let world = World::new(kit.live.clone()).with_left_to_list(5_001);
    let live = look(&kit, &world).await;
    assert_eq!(live.clusters[&key("east")].extent, Extent::Whole);
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    let stays = |refused: &crate::plan::Refused| refused.why.contains("stranger` still points at it");
    assert!(plan.refused.iter().any(stays), "{:?}", plan.refused);
    // and if that cannot be, it stays
    let world = World::new(kit.live.clone()).with_left_to_list(5_001);
    world.fail("list:all east", CallErrorKind::Unavailable);
    let live = look(&kit, &world).await;
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    let of_role = |step: &crate::plan::Step| matches!(step.change, crate::plan::ResourceChange::Role(_));
    assert!(!plan.complete() && !plan.steps.iter().any(of_role));
}

#[tokio::test]
async fn a_list_that_fails_is_not_a_list_of_nothing() {
    let kit = applied();
    let world = World::new(kit.live.clone());
    world.fail("list:all east", CallErrorKind::Unavailable);
    let live = look(&kit, &world).await;
    let east = &live.clusters[&key("east")];
    assert!(matches!(&east.api, Access::Unknown(why) if why.contains("told to fail")));
    assert!(east.extent == Extent::Named && east.issuer.present().is_some());
    assert!(live.clusters[&key("west")].extent == Extent::Whole, "the other cluster is read");
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    assert!(plan.steps.is_empty() && !plan.complete());
    // of one namespace
    let world = World::new(kit.live.clone());
    world.fail("list:all east", CallErrorKind::Denied);
    world.fail("list:namespace east", CallErrorKind::Unavailable);
    let live = look(&kit, &world).await;
    assert!(matches!(live.clusters[&key("east")].service_accounts[&spot("apps", "worker")], Observed::Unknown(_)));
}

#[tokio::test]
async fn another_clusters_api_is_not_read_and_its_issuer_is_still_known() {
    let mut kit = applied();
    for access in [Access::Wrong("another server".into(), "check".into()), Access::Unknown("refused".into())] {
        kit.cluster("east").api = access.clone();
        let world = World::new(kit.live.clone());
        let live = east(&kit, &world).await;
        assert_eq!(live.api, access);
        assert_eq!(live.issuer, kit.cluster("east").issuer);
        assert!(live.extent == Extent::Named && live.service_accounts.is_empty());
        assert_eq!(kubernetes(&world, "east"), ["verify east"]);
    }
}

#[tokio::test]
async fn a_cluster_that_is_not_described_is_not_talked_to() {
    let mut kit = applied();
    let world = World::new(kit.live.clone());
    world.fail("eks:DescribeCluster default", CallErrorKind::Unavailable);
    world.fail("eks:DescribeCluster east", CallErrorKind::Unavailable);
    let live = east(&kit, &world).await;
    assert!(matches!(live.issuer, Observed::Unknown(_)) && matches!(live.api, Access::Unknown(_)));
    assert_eq!(kubernetes(&world, "east"), [""; 0]);
    kit.cluster("east").issuer = Observed::Absent;
    let world = World::new(kit.live.clone());
    assert_eq!(east(&kit, &world).await.issuer, Observed::Absent);
    assert_eq!(kubernetes(&world, "east"), [""; 0]);
}

#[tokio::test]
async fn a_cluster_of_an_issuer_alone_asks_nothing_of_aws() {
    let mut kit = applied();
    let issuer = IssuerUrl::parse("https://oidc.example.com/id/east").unwrap();
    let cluster = kit.desired.clusters.get_mut(&key("east")).unwrap();
    cluster.name = None;
    cluster.issuer = Some(issuer.clone());
    let world = World::new(kit.live.clone());
    let live = east(&kit, &world).await;
    assert_eq!(live.issuer, Observed::Present(issuer));
    assert!(live.extent == Extent::Whole);
    assert!(!world.take_log().contains(&"eks:DescribeCluster east".to_owned()));
    // declared beside a name, it must be what EKS says
    let cluster = kit.desired.clusters.get_mut(&key("east")).unwrap();
    cluster.name = Some("east".parse().unwrap());
    cluster.issuer = Some(IssuerUrl::parse("https://oidc.example.com/id/other").unwrap());
    assert!(matches!(east(&kit, &world).await.issuer, Observed::Unknown(why) if why.contains("id/other")));
}

#[tokio::test]
async fn namespaces_are_asked_for_where_something_is_missing() {
    let bind = |kit: &mut Kit, namespaces: &[&str], manage: Manage| {
        kit.role("new", |role| {
            role.bindings = namespaces.iter().map(|namespace| binding("east", namespace)).collect();
            for (binding, namespace) in role.bindings.iter_mut().zip(namespaces) {
                binding.subject = Subject::Exact(spot(namespace, "new").0, spot(namespace, "new").1);
                binding.manage = manage;
            }
        });
    };
    let apps = Namespace::parse("apps").unwrap();
    let nowhere = Namespace::parse("nowhere").unwrap();
    let mut kit = applied();
    bind(&mut kit, &["apps", "nowhere"], Manage::Create);
    let world = World::new(kit.live.clone());
    let live = east(&kit, &world).await;
    assert_eq!(live.namespaces[&apps], Observed::Present(NamespacePhase::Active));
    assert_eq!(live.namespaces[&nowhere], Observed::Absent);
    assert_eq!(world.counts()["get:namespace"], 2);
    // many: one list
    bind(&mut kit, &["apps", "nowhere", "a", "b"], Manage::Create);
    world.take_log();
    let live = east(&kit, &world).await;
    assert_eq!((live.namespaces[&apps].clone(), live.namespaces.len()), (Observed::Present(NamespacePhase::Active), 4));
    assert_eq!((world.counts()["list:namespaces"], world.counts().get("get:namespace")), (1, None));
    // which may be forbidden
    world.fail("list:namespaces", CallErrorKind::Denied);
    world.fail("get:namespace east nowhere", CallErrorKind::Denied);
    let live = east(&kit, &world).await;
    assert_eq!(live.namespaces[&apps], Observed::Present(NamespacePhase::Active));
    assert!(matches!(live.namespaces[&nowhere], Observed::Unknown(_)));
    // trust only: nothing is missing
    bind(&mut kit, &["nowhere"], Manage::None);
    assert!(east(&kit, &world).await.namespaces.is_empty());
}

#[tokio::test]
async fn pods_are_asked_for_before_a_delete_alone() {
    let pods = |world: &World| {
        let mut lines = world.take_log();
        lines.retain(|line| line.starts_with("list:pods"));
        lines
    };
    let mut kit = applied();
    let world = World::new(kit.live.clone());
    east(&kit, &world).await;
    assert_eq!(pods(&world), [""; 0]);
    kit.desired.roles.remove(&key("reports"));
    world.change(|live| {
        let east = live.clusters.get_mut(&key("east")).unwrap();
        if let Some(Observed::Present(item)) = east.service_accounts.get_mut(&spot("apps", "worker")) {
            item.pods = Some(Observed::Present(vec!["pod-1".into()]));
        }
    });
    let live = east(&kit, &world).await;
    assert_eq!(pods(&world), ["list:pods east apps/worker"]);
    let pods_of = |live: &LiveCluster| live.service_accounts[&spot("apps", "worker")].present().unwrap().pods.clone();
    assert_eq!(pods_of(&live), Some(Observed::Present(vec!["pod-1".into()])));
    world.fail("list:pods", CallErrorKind::Denied);
    assert!(matches!(pods_of(&east(&kit, &world).await), Some(Observed::Unknown(_))));
    world.heal();
    world.take_log();
    kit.options.destroy = true;
    east(&kit, &world).await;
    assert_eq!(pods(&world).len(), 3, "everything that irsa made, in both clusters");
    let _: Key = key("east");
}

/// A ServiceAccount of which no more is known than this.
fn unclear(
    object: Option<(Namespace, ServiceAccountName)>,
    role: Option<&str>,
    readable: bool,
) -> MalformedServiceAccount {
    let annotations = role.map(|role| (ROLE_ARN.to_owned(), role.to_owned())).into_iter().collect();
    MalformedServiceAccount {
        object,
        labels: Some(StringMap::new()),
        annotations: readable.then_some(annotations),
        why: "it is odd".into(),
    }
}

#[tokio::test]
async fn what_is_not_understood_is_unknown_where_it_matters() {
    let kit = applied();
    for (name, role, readable, seen, extent) in [
        ("stranger", None, true, false, Extent::Whole),
        ("stranger", Some("arn"), true, true, Extent::Understood),
        ("stranger", None, false, true, Extent::Understood),
        ("worker", None, true, true, Extent::Whole),
    ] {
        let mut world = World::new(kit.live.clone());
        world.malformed = vec![unclear(Some(spot("apps", name)), role, readable)];
        let live = east(&kit, &world).await;
        let is_seen = matches!(live.service_accounts.get(&spot("apps", name)), Some(Observed::Unknown(_)));
        assert_eq!((is_seen, live.extent), (seen, extent), "{name} {role:?} {readable}");
        assert_eq!(kubernetes(&world, "east"), ["list:all east", "verify east"]);
    }
    let mut ours = unclear(Some(spot("apps", "stranger")), None, true);
    for labels in [None, Some(StringMap::from_iter([(OWNER.to_owned(), kit.desired.owner.to_string())]))] {
        ours.labels = labels;
        let mut world = World::new(kit.live.clone());
        world.malformed = vec![ours.clone()];
        assert!(matches!(east(&kit, &world).await.service_accounts[&spot("apps", "stranger")], Observed::Unknown(_)));
    }
}

#[tokio::test]
async fn one_without_a_name_may_be_any_so_the_missing_ones_are_asked_for() {
    let mut kit = applied();
    kit.role("missing", |role| role.bindings = vec![binding("east", "missing")]);
    let mut world = World::new(kit.live.clone());
    world.malformed = vec![unclear(None, None, true)];
    let live = look(&kit, &world).await;
    let seen = &live.clusters[&key("east")];
    assert_eq!(
        (seen.extent, &seen.service_accounts[&spot("apps", "missing")]),
        (Extent::Understood, &Observed::Absent)
    );
    assert_eq!(
        kubernetes(&world, "east"),
        ["get east apps/missing", "get:namespace east apps", "list:all east", "verify east"]
    );
    // and no role goes that it may name
    kit.desired.roles.remove(&key("reports"));
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    assert!(plan.refused.iter().any(|refused| refused.why.contains("was not read whole")), "{:?}", plan.refused);
    assert!(plan.notes.iter().any(|note| note.address == "cluster/east" && note.rule == "orphans-unseen"));
}

#[tokio::test]
async fn an_odd_entry_of_an_account_is_unknown_by_itself() {
    let mut kit = applied();
    let odd = Malformed { kind: OrphanKind::Role, name: "not a name".into(), why: "it is odd".into() };
    kit.account().odd = vec![odd.clone()];
    let live = look(&kit, &World::new(kit.live.clone())).await;
    assert_eq!(live.accounts[&key("default")].odd, [odd]);
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    let unknown: Vec<_> = plan.unknown.iter().map(|unseen| unseen.address.as_str()).collect();
    assert_eq!((unknown, plan.refused, plan.steps), (vec!["orphan/default/role/not a name"], vec![], vec![]));
    // a provider that it may trust stays
    kit.desired.roles.retain(|_, role| role.name.as_str() == "keep");
    kit.role("keep", |role| role.bindings = vec![binding("west", "keep")]);
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    let stays = |refused: &crate::plan::Refused| refused.why.contains("role `not a name` may trust it");
    assert!(plan.refused.iter().any(stays), "{:?}", plan.refused);
}
