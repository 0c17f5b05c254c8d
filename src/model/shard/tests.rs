use super::*;
use crate::model::desired::Subject;
use crate::plan::tests::kit::{Kit, allow, binding, declared, key};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn shards_may_be_counted_from_0_or_from_1() {
    let shown = |text: &str| text.parse::<Shard>().map(|shard| shard.to_string()).ok();
    assert_eq!(shown("0/20").as_deref(), Some("0/20"));
    assert_eq!(shown("19/20").as_deref(), Some("19/20"));
    assert_eq!(shown("20/20").as_deref(), Some("0/20"));
    assert_eq!(shown("1/1").as_deref(), Some("0/1"));
    assert_eq!(shown("10000/10000").as_deref(), Some("0/10000"));
    for bad in
        ["", "/", "1", "1/", "/1", "0/0", "1/0", "21/20", "1/10001", "-1/2", "+1/2", " 1/2", "1/2 ", "1/2/3", "a/b"]
    {
        assert_eq!(shown(bad), None, "{bad}");
    }
    assert_eq!(shown("4294967296/4294967297"), None);
}

#[test]
fn the_shard_of_a_cluster_never_changes_between_versions() {
    // other numbers would move the clusters of every fleet to other shards
    let numbers = |count| {
        let shard = Shard::new(0, count).unwrap();
        ["prod-eu", "prod-us", "a", "z.9"].map(|name| shard.of(&key(name)).index)
    };
    assert_eq!(numbers(1), [0, 0, 0, 0]);
    assert_eq!(numbers(20), EXPECTED_20);
    assert_eq!(numbers(10_000), EXPECTED_10000);
}

/// The first eight bytes of SHA-256 of the key, as a number, modulo N.
const EXPECTED_20: [u32; 4] = [16, 8, 10, 16];
const EXPECTED_10000: [u32; 4] = [3136, 6868, 2250, 236];

/// A configuration with these numbers of clusters and policies. Each role is given as its clusters and its policies.
fn fleet(clusters: usize, roles: &[(Vec<usize>, Vec<usize>)], policies: usize) -> Kit {
    let mut kit = Kit::new();
    let pattern = kit.desired.clusters[&key("east")].clone();
    kit.desired.clusters = (0..clusters).map(|number| (key(&format!("c{number}")), pattern.clone())).collect();
    for number in 0..policies {
        kit.policy(&format!("p{number}"), allow("s3:GetObject"));
    }
    for (number, (bound, attached)) in roles.iter().enumerate() {
        kit.role(&format!("r{number}"), |role| {
            role.bindings = bound
                .iter()
                .map(|cluster| binding(&format!("c{}", cluster % clusters), &format!("s{number}")))
                .collect();
            role.attach = attached.iter().map(|policy| declared(&format!("p{}", policy % policies))).collect();
        });
    }
    kit
}

fn addresses(kit: &Kit) -> Vec<Address> {
    let policies = kit.desired.policies.keys();
    let mut list: Vec<Address> =
        policies.map(|(account, key)| Address::Policy { account: account.clone(), key: key.clone() }).collect();
    for (key, role) in &kit.desired.roles {
        list.push(Address::role(key));
        for binding in &role.bindings {
            let Subject::Exact(namespace, name) = &binding.subject else { continue };
            let (cluster, account) = (binding.cluster.clone(), role.account.clone());
            list.push(Address::OidcProvider { account, cluster: cluster.clone() });
            list.push(Address::ServiceAccount { cluster, namespace: namespace.clone(), name: name.clone() });
        }
    }
    list.sort();
    list.dedup();
    list
}

fn fleets() -> impl Strategy<Value = Kit> {
    let role = (vec(0_usize..40, 0..4), vec(0_usize..5, 0..3));
    (1_usize..40, vec(role, 0..12), 1_usize..6)
        .prop_map(|(clusters, roles, policies)| fleet(clusters, &roles, policies))
}

proptest! {
    #[test]
    fn every_object_belongs_to_exactly_one_shard(kit in fleets(), count in 1_u32..60) {
        let scopes: Vec<Scope> =
            (0..count).map(|index| Scope::of(Shard::new(index, count).unwrap(), &kit.desired)).collect();
        for address in addresses(&kit) {
            let owners = scopes.iter().filter(|scope| scope.has(&address)).count();
            prop_assert_eq!(owners, 1, "{}", address);
        }
        for cluster in kit.desired.clusters.keys() {
            prop_assert_eq!(scopes.iter().filter(|scope| scope.has_cluster(cluster)).count(), 1);
        }
    }

    #[test]
    fn a_cluster_keeps_its_shard_when_another_one_goes(kit in fleets(), count in 1_u32..60, gone in 0_usize..40) {
        let shard = Shard::new(0, count).unwrap();
        let before = Scope::of(shard, &kit.desired);
        let mut less = kit.desired.clone();
        let gone = key(&format!("c{gone}"));
        less.clusters.remove(&gone);
        let after = Scope::of(shard, &less);
        for cluster in less.clusters.keys() {
            prop_assert_eq!(&before.clusters[cluster], &after.clusters[cluster]);
        }
    }

    #[test]
    fn a_shard_reads_what_it_needs(kit in fleets(), count in 1_u32..60) {
        for index in 0..count {
            let scope = Scope::of(Shard::new(index, count).unwrap(), &kit.desired);
            let narrowed = scope.narrowed(&kit.desired);
            for (key, role) in &kit.desired.roles {
                prop_assert_eq!(narrowed.roles.contains_key(key), scope.has(&Address::role(key)));
                let read = role.attach.iter().filter(|_| narrowed.roles.contains_key(key));
                for attachment in read {
                    let Attachment::Declared(policy) = attachment else { continue };
                    prop_assert!(narrowed.policies.contains_key(&(role.account.clone(), policy.clone())));
                }
                for binding in &role.bindings {
                    let reads = scope.described.contains(&binding.cluster);
                    prop_assert!(reads || !(narrowed.roles.contains_key(key) || scope.has_cluster(&binding.cluster)));
                }
            }
            let kept = narrowed.policies.len();
            let owned = kit.desired.policies.keys().filter(|(account, key)| {
                scope.has(&Address::Policy { account: account.clone(), key: key.clone() })
            });
            prop_assert!(kept >= owned.count());
        }
    }
}

#[test]
fn a_role_follows_its_first_cluster_and_a_policy_its_first_role() {
    let kit = fleet(30, &[(vec![7, 3, 20], vec![0]), (vec![5], vec![0, 1]), (vec![], vec![])], 3);
    let scope = Scope::of(Shard::new(0, 50).unwrap(), &kit.desired);
    let of = |address: &str| scope.owner(&address.parse().unwrap());
    let hashed = |name: &str| Some(scope.shard.of(&key(name)));
    // in key order: c20 before c3 and c7
    assert_eq!(of("role/r0"), hashed("c20"));
    assert_eq!(of("role/r1"), hashed("c5"));
    assert_eq!(of("role/r2"), hashed("r2"));
    assert_eq!(of("policy/default/p0"), hashed("c20"));
    assert_eq!(of("policy/default/p1"), hashed("c5"));
    assert_eq!(of("policy/default/p2"), hashed("p2"));
    assert_eq!(of("oidc-provider/default/c3"), hashed("c3"));
    assert_eq!(of("service-account/c3/apps/s0"), hashed("c3"));
    assert_eq!(of("orphan/default/role/old"), None);
    assert_eq!(of("role/undeclared"), None);
    assert_eq!(of("service-account/undeclared/apps/s0"), None);
}
