use super::{applied, apply, read_live};
use crate::ids::{AccountId, IamPath, IssuerUrl, PolicyArn, RoleName};
use crate::model::desired::{Attachment, Cluster, ClusterState};
use crate::model::live::{Access, LiveRole, Observed};
use crate::model::marks::OWNER;
use crate::model::refusal::{Refusal, RefusalKind};
use crate::observe::fake::World;
use crate::observe::identify;
use crate::plan::tests::kit::{Kit, allow, aws, binding, key};
use crate::world::CallErrorKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// `count` roles that irsa manages, and roles of strangers up to `total`.
pub(super) fn crowd(count: usize, total: usize) -> Kit {
    let mut kit = Kit::new();
    kit.role("r0", |role| role.bindings = vec![binding("east", "s0")]);
    apply(&mut kit);
    let pattern = kit.account().roles["r0"].present().unwrap().clone();
    for index in 1..total {
        let name = if index < count { format!("r{index}") } else { format!("a-stranger{index}") };
        let mut role = if index < count { pattern.clone() } else { stranger(&pattern, &name) };
        role.role.name = RoleName::parse(&name).unwrap();
        kit.account().roles.insert(name.clone(), Observed::Present(role));
        if index < count {
            kit.role(&name, |role| role.bindings = vec![binding("east", &format!("s{index}"))]);
            let items = &mut kit.cluster("east").service_accounts;
            let mut item = items.values().next().unwrap().present().unwrap().clone();
            item.name = format!("s{index}").parse().unwrap();
            items.insert((item.namespace.clone(), item.name.clone()), Observed::Present(item));
        }
    }
    kit
}

/// A role that irsa does not manage.
fn stranger(pattern: &LiveRole, name: &str) -> LiveRole {
    let mut stranger = pattern.clone();
    stranger.role.name = RoleName::parse(name).unwrap();
    stranger.role.path = IamPath::parse("/").unwrap();
    stranger.role.tags.clear();
    stranger.role.trust = crate::policy::PolicyDocument::live(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#,
    );
    stranger
}

fn roles(counts: &BTreeMap<String, usize>) -> (usize, usize) {
    let count = |operation: &str| counts.get(operation).copied().unwrap_or_default();
    (count("iam:GetAccountAuthorizationDetails"), count("iam:GetWholeRole") + count("iam:ListRoleTags"))
}

#[tokio::test(start_paused = true)]
async fn faster_way_to_read_roles_is_chosen() {
    // (roles of this owner, roles in the account, milliseconds of a page, pages, roles read one by one)
    for (ours, total, page, pages, single) in [
        (20, 5000, 100, 0, 20),
        (30, 30, 100, 0, 30),
        (100, 100, 400, 1, 0),
        // a page takes less time than the roles one by one
        (100, 100, 5_000, 1, 0),
        (100, 100, 10_000, 1, 100),
        (100, 5000, 400, 5, 0),
        // four more pages take longer than 5.7 seconds
        (100, 5000, 1_500, 1, 100),
        (40, 5000, 1_000, 1, 40),
        (1000, 1000, 10_000, 1, 0),
        (1000, 5000, 10_000, 5, 0),
        (1000, 5000, 20_000, 1, 1000),
    ] {
        let kit = crowd(ours, total);
        let world = World::new(kit.live.clone()).with_pages_of(Duration::from_millis(page));
        let live = read_live(&kit, &world).await;
        let counts = world.counts();
        assert_eq!(roles(&counts), (pages, single), "{ours} of {total} at {page} ms: {counts:?}");
        assert_eq!(counts.get("iam:GetAccountSummary").copied().unwrap_or_default(), usize::from(ours > 30));
        assert_eq!(live.accounts[&key("default")].roles.len(), ours);
        assert_eq!(live.accounts[&key("default")].role_list.present().unwrap().len(), total);
    }
}

#[tokio::test(start_paused = true)]
async fn many_candidates_are_read_in_bulk() {
    for (candidates, total, pages, tags) in [(20, 200, 0, 20), (100, 200, 1, 0), (100, 9_000, 0, 100)] {
        let mut kit = crowd(candidates + 5, total);
        for index in 5..candidates + 5 {
            kit.desired.roles.remove(&key(&format!("r{index}")));
        }
        let world = World::new(kit.live.clone()).with_pages_of(Duration::from_millis(400));
        let live = read_live(&kit, &world).await;
        let counts = world.counts();
        assert_eq!(counts.get("iam:GetAccountAuthorizationDetails").copied().unwrap_or_default(), pages);
        assert_eq!(counts.get("iam:ListRoleTags").copied().unwrap_or_default(), tags, "{counts:?}");
        assert_eq!(live.accounts[&key("default")].roles.len(), candidates + 5);
    }
}

#[tokio::test(start_paused = true)]
async fn first_page_and_summary_are_requested_together_with_the_list() {
    let kit = crowd(100, 100);
    let world = World::new(kit.live.clone());
    read_live(&kit, &world).await;
    let log = world.take_log();
    let place = |operation: &str| log.iter().position(|line| line.starts_with(operation)).unwrap();
    let after = place("iam:GetOpenIDConnectProvider ");
    for operation in ["iam:ListRoles", "iam:GetAccountAuthorizationDetails", "iam:GetAccountSummary"] {
        assert!(place(operation) < after, "{log:?}");
    }
}

#[tokio::test]
async fn hundred_roles_in_two_clusters_take_eleven_calls() {
    let kit = crowd(100, 100);
    let world = World::new(kit.live.clone());
    read_live(&kit, &world).await;
    let counts = world.counts();
    // DescribeCluster and the list of ServiceAccounts are made for each cluster; nine with one
    assert_eq!(counts.values().sum::<usize>() - counts["verify"], 11, "{counts:?}");
    assert_eq!(counts["iam:GetAccountSummary"], 1);
}

#[tokio::test]
async fn bulk_and_single_reads_have_the_same_result() {
    let mut kit = crowd(60, 80);
    kit.desired.roles.remove(&key("r7"));
    let mut lost = kit.account().roles["r8"].present().unwrap().clone();
    lost.role.name = RoleName::parse("lost").unwrap();
    lost.role.tags.insert(OWNER.into(), "others".into());
    kit.account().roles.insert("lost".into(), Observed::Present(lost));
    let world = World::new(kit.live.clone());
    let bulk = read_live(&kit, &world).await;
    assert_eq!(roles(&world.counts()), (1, 0));
    world.take_log();
    world.fail("iam:GetAccountAuthorizationDetails", CallErrorKind::Denied);
    let single = read_live(&kit, &world).await;
    // 59 declared roles in full; the tags of `r7` and `lost`, and `r7` in full, which has this owner's tag
    assert_eq!(roles(&world.counts()), (1, 59 + 2 + 1));
    assert_eq!(bulk, single);
    assert!(bulk.accounts[&key("default")].roles.contains_key("r7"));
    assert!(!bulk.accounts[&key("default")].roles.contains_key("lost"));
}

#[tokio::test(start_paused = true)]
async fn dropped_pages_do_not_change_the_result() {
    let mut kit = crowd(60, 1_500);
    // these sort before the names of the strangers, which sort before the others
    for index in 0..20 {
        let name = format!("0-first{index}");
        let mut role = kit.account().roles["r8"].present().unwrap().clone();
        role.role.name = RoleName::parse(&name).unwrap();
        role.role.description = format!("the {index}th");
        kit.account().roles.insert(name.clone(), Observed::Present(role));
        if index % 2 == 0 {
            kit.role(&name, |role| role.description = "declared".into());
        }
    }
    let fast = World::new(kit.live.clone()).with_pages_of(Duration::from_millis(100));
    let bulk = read_live(&kit, &fast).await;
    assert_eq!(roles(&fast.counts()), (2, 0));
    let slow = World::new(kit.live.clone()).with_pages_of(Duration::from_millis(3_200));
    let dropped = read_live(&kit, &slow).await;
    // the roles of the first page are not read again
    assert_eq!(roles(&slow.counts()), (1, 60));
    let denied = World::new(kit.live.clone());
    denied.fail("iam:GetAccountAuthorizationDetails", CallErrorKind::Denied);
    let single = read_live(&kit, &denied).await;
    assert_eq!(roles(&denied.counts()), (1, 70 + 10 + 10));
    assert_eq!(bulk, single);
    assert_eq!(dropped, single);
}

#[tokio::test]
async fn undeclared_roles_are_found_by_trust_and_by_path() {
    let mut kit = applied();
    let pattern = kit.account().roles["keep"].present().unwrap().clone();
    let mut add = |name: &str, path: &str, trusting: bool, owner: &str| {
        let mut role = if trusting { pattern.clone() } else { stranger(&pattern, name) };
        role.role.name = RoleName::parse(name).unwrap();
        role.role.path = IamPath::parse(path).unwrap();
        role.role.tags.insert(OWNER.into(), owner.into());
        kit.live.accounts.get_mut(&key("default")).unwrap().roles.insert(name.into(), Observed::Present(role));
    };
    add("by-trust", "/", true, "team");
    add("by-trust-of-others", "/", true, "others");
    add("by-path", "/irsa/team/deep/", false, "team");
    add("by-prune-path", "/legacy/", false, "team");
    add("nowhere", "/elsewhere/", false, "team");
    add("service", "/aws-service-role/x/", false, "team");
    kit.desired.prune_paths.insert(IamPath::parse("/legacy/").unwrap());
    let world = World::new(kit.live.clone());
    let live = read_live(&kit, &world).await;
    let names: Vec<&String> = live.accounts[&key("default")].roles.keys().collect();
    assert_eq!(names, ["by-path", "by-prune-path", "by-trust", "keep", "reports"]);
    let counts = world.counts();
    assert_eq!((counts["iam:ListRoleTags"], counts["iam:GetWholeRole"]), (4, 5));
    // only of the roles that may be deleted
    assert_eq!(counts["iam:ListInstanceProfilesForRole"], 3);
    kit.options.destroy = true;
    world.take_log();
    read_live(&kit, &world).await;
    assert_eq!(world.counts()["iam:ListInstanceProfilesForRole"], 5);
}

#[tokio::test]
async fn role_that_trusts_an_undeclared_cluster_is_found_by_our_provider() {
    let mut kit = applied();
    let mut old = kit.account().roles["keep"].present().unwrap().clone();
    old.role.name = RoleName::parse("old").unwrap();
    old.role.path = IamPath::parse("/").unwrap();
    kit.account().roles.insert("old".into(), Observed::Present(old));
    kit.desired.roles.remove(&key("keep"));
    kit.desired.clusters.remove(&key("west"));
    // it trusts east and west, and east is not described
    let world = World::new(kit.live.clone());
    world.fail("eks:DescribeCluster", CallErrorKind::Unavailable);
    let live = read_live(&kit, &world).await;
    assert!(live.accounts[&key("default")].roles.contains_key("old"));
    // the declared issuer of a cluster that is gone counts too
    kit.account().providers.clear();
    let gone = Cluster {
        state: ClusterState::Gone,
        issuer: Some(IssuerUrl::parse("https://oidc.example.com/id/west").unwrap()),
        ..Kit::new().desired.clusters[&key("west")].clone()
    };
    kit.desired.clusters.insert(key("west"), gone);
    let world = World::new(kit.live.clone());
    world.fail("eks:DescribeCluster", CallErrorKind::Unavailable);
    let live = read_live(&kit, &world).await;
    assert!(live.accounts[&key("default")].roles.contains_key("old"));
    assert!(!live.clusters.contains_key(&key("west")));
    assert!(!world.take_log().iter().any(|line| line.contains(" west")), "no calls to a cluster that is gone");
}

#[tokio::test]
async fn account_with_another_id_is_not_read() {
    let mut kit = applied();
    let account = kit.desired.accounts.get_mut(&key("default")).unwrap();
    account.declared_id = Some(AccountId::parse("999999999999").unwrap());
    let world = World::new(kit.live.clone());
    let live = read_live(&kit, &world).await;
    assert_eq!(world.take_log(), ["sts:GetCallerIdentity default"]);
    let Access::Wrong(Refusal { why, hint, kind }) = &live.accounts[&key("default")].identity else {
        panic!("{live:?}")
    };
    assert!(why.contains("111122223333") && why.contains("999999999999") && hint.contains("profile"));
    assert_eq!(*kind, RefusalKind::WrongAccount);
    assert!(matches!(live.clusters[&key("east")].issuer, Observed::Unknown(_)), "its clusters are not read either");
    // nor an account whose identity is unknown
    kit.desired.accounts.get_mut(&key("default")).unwrap().declared_id = None;
    world.fail("sts:GetCallerIdentity", CallErrorKind::Credentials);
    let live = read_live(&kit, &world).await;
    assert_eq!(world.take_log().len(), 1);
    assert!(matches!(&live.accounts[&key("default")].identity, Access::Unknown(why) if why.contains("Credentials")));
    assert!(matches!(live.accounts[&key("default")].role_list, Observed::Unknown(_)));
}

#[tokio::test]
async fn failed_account_does_not_hide_the_other() {
    let mut kit = applied();
    let other = kit.desired.accounts[&key("default")].clone();
    kit.desired.accounts.insert(key("other"), other);
    let live = kit.live.accounts[&key("default")].clone();
    kit.live.accounts.insert(key("other"), live);
    let world = World::new(kit.live.clone());
    world.fail("sts:GetCallerIdentity other", CallErrorKind::Unavailable);
    let identities = identify(&kit.desired.accounts, &world).await;
    assert!(matches!(identities[&key("other")], Access::Unknown(_)));
    assert!(matches!(identities[&key("default")], Access::Granted(_)));
    let live = read_live(&kit, &world).await;
    assert_eq!(live.accounts[&key("default")].roles.len(), 2);
    assert!(live.accounts[&key("other")].roles.is_empty());
}

#[tokio::test]
async fn declared_roles_are_read_without_the_role_list() {
    let mut kit = applied();
    kit.desired.roles.remove(&key("keep"));
    kit.role("missing", |role| role.bindings = vec![binding("east", "missing")]);
    for (kind, denied) in [(CallErrorKind::Denied, true), (CallErrorKind::Unavailable, false)] {
        let world = World::new(kit.live.clone());
        world.fail("iam:ListRoles", kind);
        let live = read_live(&kit, &world).await;
        let account = &live.accounts[&key("default")];
        assert_eq!(account.role_list_denied, denied);
        assert!(matches!(&account.role_list, Observed::Unknown(why) if why.contains("iam:ListRoles")));
        let names: Vec<&String> = account.roles.keys().collect();
        assert_eq!(names, ["missing", "reports"]);
        assert_eq!(account.roles["missing"], Observed::Absent);
        assert!(account.roles["reports"].present().is_some());
    }
}

#[tokio::test]
async fn failed_reads_are_unknown_with_their_reason() {
    let mut kit = applied();
    kit.desired.roles.remove(&key("keep"));
    let find = |call: &'static str, kit: &Kit| {
        let world = World::new(kit.live.clone());
        world.fail(call, CallErrorKind::Unavailable);
        let kit = kit.clone();
        async move { read_live(&kit, &world).await.accounts.remove(&key("default")).unwrap() }
    };
    let account = find("iam:GetWholeRole default reports", &kit).await;
    assert!(matches!(&account.roles["reports"], Observed::Unknown(why) if why.contains("told to fail")));
    assert!(account.roles["keep"].present().is_some(), "the others are read");
    let account = find("iam:ListRoleTags default keep", &kit).await;
    assert!(matches!(account.roles["keep"], Observed::Unknown(_)), "its owner is unknown");
    let account = find("iam:ListInstanceProfilesForRole default keep", &kit).await;
    assert!(matches!(account.roles["keep"], Observed::Unknown(_)), "its instance profiles are unknown");
    let account = find("iam:GetPolicy default bucket", &kit).await;
    assert!(matches!(account.policies.values().next(), Some(Observed::Unknown(_))));
    let account = find("iam:GetOpenIDConnectProvider default oidc.example.com/id/east", &kit).await;
    assert_eq!(account.providers.values().filter(|provider| provider.present().is_none()).count(), 1);
    let account = find("iam:ListPolicies", &kit).await;
    assert!(matches!(account.policies_listed, Observed::Unknown(_)) && account.policies.is_empty());
}

#[tokio::test]
async fn declared_role_that_is_not_listed_is_absent() {
    let mut kit = applied();
    kit.role("missing", |role| role.bindings = vec![binding("east", "missing")]);
    let world = World::new(kit.live.clone());
    let live = read_live(&kit, &world).await;
    assert_eq!(live.accounts[&key("default")].roles["missing"], Observed::Absent);
    assert!(!world.take_log().iter().any(|line| line.contains("missing") && line.starts_with("iam:")));
}

#[tokio::test]
async fn policies_are_found_by_name_and_under_our_paths() {
    let mut kit = applied();
    let pattern = kit.account().policies.values().next().unwrap().present().unwrap().clone();
    let mut add = |name: &str, path: &str, owner: &str| {
        let mut policy = pattern.clone();
        policy.policy.name = name.parse().unwrap();
        policy.policy.path = path.parse().unwrap();
        policy.policy.tags.insert(OWNER.into(), owner.into());
        let arn = PolicyArn::parse(format!("arn:aws:iam::111122223333:policy{path}{name}")).unwrap();
        kit.account().policies.insert(arn, Observed::Present(policy));
    };
    add("ours", "/irsa/team/", "team");
    add("theirs", "/irsa/team/", "others");
    add("elsewhere", "/x/", "team");
    add("moved", "/x/", "team");
    kit.policy("moved", allow("s3:ListBucket"));
    let world = World::new(kit.live.clone());
    let live = read_live(&kit, &world).await;
    let names: Vec<&str> = live.accounts[&key("default")].policies.keys().map(PolicyArn::name).collect();
    assert_eq!(names, ["bucket", "ours", "moved"]);
    let counts = world.counts();
    assert_eq!((counts["iam:ListPolicyTags"], counts["iam:GetPolicy"], counts["iam:ListPolicies"]), (2, 3, 1));
    // without the list, irsa finds only policies under their declared path
    world.fail("iam:ListPolicies", CallErrorKind::Denied);
    let live = read_live(&kit, &world).await;
    let account = &live.accounts[&key("default")];
    assert_eq!(account.policies.keys().map(PolicyArn::name).collect::<Vec<_>>(), ["bucket"]);
    assert!(matches!(account.policies_listed, Observed::Unknown(_)));
}

#[tokio::test]
async fn providers_of_declared_clusters_are_read_without_the_provider_list() {
    let kit = applied();
    let world = World::new(kit.live.clone());
    world.fail("iam:ListOpenIDConnectProviders", CallErrorKind::Denied);
    let live = read_live(&kit, &world).await;
    let account = &live.accounts[&key("default")];
    assert_eq!(account.providers.values().filter(|provider| provider.present().is_some()).count(), 2);
    assert!(matches!(account.providers_listed, Observed::Unknown(_)));
}

/// A name, a change of the configuration or of live state, and how often irsa then reads the quotas.
type Case = (&'static str, fn(&mut Kit), usize);

#[tokio::test]
async fn quotas_are_read_when_a_size_comes_near_the_default() {
    let cases: [Case; 5] = [
        ("small", |_| {}, 0),
        (
            "many subjects",
            |kit| {
                kit.role("big", |role| {
                    role.bindings = (0..60).map(|index| binding("east", &format!("s{index}"))).collect();
                });
            },
            1,
        ),
        (
            "many attached",
            |kit| {
                kit.role("big", |role| {
                    role.bindings = vec![binding("east", "big")];
                    role.attach = (0..9).map(|index| Attachment::Arn(aws(&format!("P{index}")))).collect();
                });
            },
            1,
        ),
        ("a long policy", |kit| kit.policy("bucket", allow(&format!("s3:{}", "x".repeat(5000)))), 1),
        (
            "many attached by others",
            |kit| {
                if let Some(Observed::Present(role)) = kit.account().roles.get_mut("reports") {
                    role.role.attached.extend((0..8).map(|index| aws(&format!("P{index}"))));
                }
            },
            1,
        ),
    ];
    for (name, change, asked) in cases {
        let mut kit = applied();
        change(&mut kit);
        kit.account().quotas.trust_size = 4096;
        let world = World::new(kit.live.clone());
        let live = read_live(&kit, &world).await;
        assert_eq!(world.counts().get("iam:GetAccountSummary").copied().unwrap_or_default(), asked, "{name}");
        let expected = if asked == 1 { 4096 } else { 2048 };
        assert_eq!(live.accounts[&key("default")].quotas.trust_size, expected, "{name}");
        // the defaults if they cannot be read
        world.fail("iam:GetAccountSummary", CallErrorKind::Denied);
        assert_eq!(read_live(&kit, &world).await.accounts[&key("default")].quotas.trust_size, 2048);
    }
}
