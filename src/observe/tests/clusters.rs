use super::{applied, read_live};
use crate::ids::{IssuerUrl, Key, Namespace, ServiceAccountName};
use crate::model::address::OrphanKind;
use crate::model::desired::{Manage, Subject};
use crate::model::live::{Access, Extent, LiveCluster, Malformed, NamespacePhase, Observed};
use crate::model::marks::{OWNER, ROLE_ARN};
use crate::model::refusal::RefusalKind;
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
    read_live(kit, world).await.clusters.remove(&key("east")).unwrap()
}

#[tokio::test]
async fn cluster_is_read_with_one_list() {
    let kit = applied();
    let world = World::new(kit.live.clone());
    let live = east(&kit, &world).await;
    assert!(live.extent == Extent::Whole && live.service_accounts.len() == 2 && live.namespaces.is_empty());
    assert_eq!(kubernetes(&world, "east"), ["list:all east", "verify east"]);
}

#[tokio::test]
async fn forbidden_list_is_replaced_by_narrower_reads() {
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

/// Adds a ServiceAccount of somebody else that names the role `reports`.
fn strangers(kit: &mut Kit) {
    let east = kit.cluster("east");
    let Observed::Present(mut other) = east.service_accounts[&spot("apps", "worker")].clone() else { panic!() };
    other.name = "stranger".parse().unwrap();
    other.labels.clear();
    east.service_accounts.insert(spot("apps", "stranger"), Observed::Present(other));
}

#[tokio::test]
async fn huge_cluster_is_read_by_label_and_by_name() {
    let mut kit = applied();
    strangers(&mut kit);
    kit.role("missing", |role| role.bindings = vec![binding("east", "missing")]);
    let world = World::new(kit.live.clone()).with_left_to_list(5_001);
    let live = read_live(&kit, &world).await;
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
    let whole = read_live(&kit, &World::new(kit.live.clone()).with_left_to_list(5_000)).await;
    assert_eq!(whole.clusters[&key("east")].extent, Extent::Whole, "ten more pages are read");
    assert_eq!(plan(&live), plan(&whole), "either way the plan is the same");
}

#[tokio::test]
async fn huge_cluster_is_read_whole_with_many_declared_or_on_destroy() {
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
async fn huge_cluster_is_read_whole_before_a_role_is_deleted() {
    let mut kit = applied();
    strangers(&mut kit);
    kit.desired.roles.remove(&key("reports"));
    let world = World::new(kit.live.clone()).with_left_to_list(5_001);
    let live = read_live(&kit, &world).await;
    assert_eq!(live.clusters[&key("east")].extent, Extent::Whole);
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    let stays = |refused: &crate::plan::Refused| refused.why.contains("stranger` still points at it");
    assert!(plan.refused.iter().any(stays), "{:?}", plan.refused);
    // if that fails, the role stays
    let world = World::new(kit.live.clone()).with_left_to_list(5_001);
    world.fail("list:all east", CallErrorKind::Unavailable);
    let live = read_live(&kit, &world).await;
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    let of_role = |step: &crate::plan::Step| matches!(step.change, crate::plan::ResourceChange::Role(_));
    assert!(!plan.complete() && !plan.steps.iter().any(of_role));
}

#[tokio::test]
async fn failed_list_is_not_an_empty_list() {
    let kit = applied();
    let world = World::new(kit.live.clone());
    world.fail("list:all east", CallErrorKind::Unavailable);
    let live = read_live(&kit, &world).await;
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
    let live = read_live(&kit, &world).await;
    assert!(matches!(live.clusters[&key("east")].service_accounts[&spot("apps", "worker")], Observed::Unknown(_)));
}

#[tokio::test]
async fn wrong_api_server_is_not_read_and_the_issuer_stays_known() {
    let mut kit = applied();
    for access in
        [Access::Wrong(RefusalKind::WrongCluster.because("another server", "check")), Access::Unknown("refused".into())]
    {
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
async fn api_of_a_cluster_that_cannot_be_described_is_not_read() {
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
async fn cluster_with_only_an_issuer_is_not_described() {
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
    // with a name, the declared issuer must be that of EKS
    let cluster = kit.desired.clusters.get_mut(&key("east")).unwrap();
    cluster.name = Some("east".parse().unwrap());
    cluster.issuer = Some(IssuerUrl::parse("https://oidc.example.com/id/other").unwrap());
    assert!(matches!(east(&kit, &world).await.issuer, Observed::Unknown(why) if why.contains("id/other")));
}

#[tokio::test]
async fn namespaces_of_missing_service_accounts_are_read() {
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
    // one list for many namespaces
    bind(&mut kit, &["apps", "nowhere", "a", "b"], Manage::Create);
    world.take_log();
    let live = east(&kit, &world).await;
    assert_eq!((live.namespaces[&apps].clone(), live.namespaces.len()), (Observed::Present(NamespacePhase::Active), 4));
    assert_eq!((world.counts()["list:namespaces"], world.counts().get("get:namespace")), (1, None));
    // one by one if the list is forbidden
    world.fail("list:namespaces", CallErrorKind::Denied);
    world.fail("get:namespace east nowhere", CallErrorKind::Denied);
    let live = east(&kit, &world).await;
    assert_eq!(live.namespaces[&apps], Observed::Present(NamespacePhase::Active));
    assert!(matches!(live.namespaces[&nowhere], Observed::Unknown(_)));
    // an unmanaged ServiceAccount may be missing
    bind(&mut kit, &["nowhere"], Manage::None);
    assert!(east(&kit, &world).await.namespaces.is_empty());
}

#[tokio::test]
async fn pods_are_read_only_before_a_delete() {
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

/// A malformed ServiceAccount.
fn malformed(
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
async fn malformed_service_account_is_unknown_if_it_may_name_a_role_or_be_ours() {
    let kit = applied();
    for (name, role, readable, seen, extent) in [
        ("stranger", None, true, false, Extent::Whole),
        ("stranger", Some("arn"), true, true, Extent::Understood),
        ("stranger", None, false, true, Extent::Understood),
        ("worker", None, true, true, Extent::Whole),
    ] {
        let mut world = World::new(kit.live.clone());
        world.malformed = vec![malformed(Some(spot("apps", name)), role, readable)];
        let live = east(&kit, &world).await;
        let is_seen = matches!(live.service_accounts.get(&spot("apps", name)), Some(Observed::Unknown(_)));
        assert_eq!((is_seen, live.extent), (seen, extent), "{name} {role:?} {readable}");
        assert_eq!(kubernetes(&world, "east"), ["list:all east", "verify east"]);
    }
    let mut ours = malformed(Some(spot("apps", "stranger")), None, true);
    for labels in [None, Some(StringMap::from_iter([(OWNER.to_owned(), kit.desired.owner.to_string())]))] {
        ours.labels = labels;
        let mut world = World::new(kit.live.clone());
        world.malformed = vec![ours.clone()];
        assert!(matches!(east(&kit, &world).await.service_accounts[&spot("apps", "stranger")], Observed::Unknown(_)));
    }
}

#[tokio::test]
async fn malformed_service_account_without_a_name_makes_missing_ones_be_read() {
    let mut kit = applied();
    kit.role("missing", |role| role.bindings = vec![binding("east", "missing")]);
    let mut world = World::new(kit.live.clone());
    world.malformed = vec![malformed(None, None, true)];
    let live = read_live(&kit, &world).await;
    let seen = &live.clusters[&key("east")];
    assert_eq!(
        (seen.extent, &seen.service_accounts[&spot("apps", "missing")]),
        (Extent::Understood, &Observed::Absent)
    );
    assert_eq!(
        kubernetes(&world, "east"),
        ["get east apps/missing", "get:namespace east apps", "list:all east", "verify east"]
    );
    // and no role is deleted that it may name
    kit.desired.roles.remove(&key("reports"));
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    assert!(plan.refused.iter().any(|refused| refused.why.contains("did not read in full")), "{:?}", plan.refused);
    assert!(plan.notes.iter().any(|note| note.address == "cluster/east" && note.rule == "orphans-unseen"));
}

#[tokio::test]
async fn malformed_role_is_unknown_by_itself() {
    let mut kit = applied();
    let odd = Malformed { kind: OrphanKind::Role, name: "not a name".into(), why: "it is odd".into() };
    kit.account().malformed = vec![odd.clone()];
    let live = read_live(&kit, &World::new(kit.live.clone())).await;
    assert_eq!(live.accounts[&key("default")].malformed, [odd]);
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    let unknown: Vec<_> = plan.unknown.iter().map(|unseen| unseen.address.as_str()).collect();
    assert_eq!((unknown, plan.refused, plan.steps), (vec!["orphan/default/role/not a name"], vec![], vec![]));
    // and keeps the provider that it may trust
    kit.desired.roles.retain(|_, role| role.name.as_str() == "keep");
    kit.role("keep", |role| role.bindings = vec![binding("west", "keep")]);
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    let stays = |refused: &crate::plan::Refused| refused.why.contains("role `not a name` may trust it");
    assert!(plan.refused.iter().any(stays), "{:?}", plan.refused);
}
