//! Shards that run at the same time, with their calls in any order: no object is planned twice, no IAM object is
//! deleted, nobody ever has more access than before or after, and together with an unsharded run they end in the state
//! of one run.

use super::kit::{Kit, aws, binding, key};
use super::laws::{chooser, declare, pairs, sketch};
use super::simulate;
use crate::model::desired::{Attachment, Desired};
use crate::model::live::{Access, Extent, Live, Observed};
use crate::model::shard::{Scope, Shard};
use crate::plan::change::{Action, ResourceChange};
use crate::plan::{Plan, plan};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The live state that `observe` reads for a shard.
pub(super) fn seen(live: &Live, desired: &Desired, scope: &Scope) -> Live {
    let mut seen = live.clone();
    let narrowed = scope.narrowed(desired);
    let roles: BTreeSet<String> = narrowed.roles.values().map(|role| role.name.lower_case()).collect();
    let policies: BTreeSet<String> = narrowed.policies.values().map(|policy| policy.name.lower_case()).collect();
    seen.accounts.retain(|key, _| scope.accounts.contains(key));
    for account in seen.accounts.values_mut() {
        account.roles.retain(|lower_case, _| roles.contains(lower_case));
        for lower_case in &roles {
            account.roles.entry(lower_case.clone()).or_insert(Observed::Absent);
        }
        account.policies.retain(|arn, _| policies.contains(&arn.name().to_lowercase()));
    }
    // of clusters of other shards, only the issuer is read
    for (key, cluster) in &mut seen.clusters {
        if !scope.has_cluster(key) {
            cluster.api = Access::Unknown("it belongs to another shard".into());
            cluster.extent = Extent::Named;
            cluster.service_accounts.clear();
        }
    }
    seen
}

/// The plans that all shards make at the same moment, as one plan.
pub(super) fn at_once(kit: &Kit, count: u32) -> Plan {
    let mut all = kit.empty_plan();
    let mut addresses = BTreeSet::new();
    for index in 0..count {
        let shard = Shard::new(index, count).unwrap();
        let mut options = kit.options.clone();
        options.shard = Some(shard);
        let scope = Scope::of(shard, &kit.desired);
        let plan = plan(&kit.desired, &seen(&kit.live, &kit.desired, &scope), &options, Vec::new());
        assert_eq!(plan.refused, [], "shard {shard}");
        assert_eq!(plan.unknown, [], "shard {shard}");
        for step in &plan.steps {
            assert!(addresses.insert(step.address.clone()), "`{}` is planned twice", step.address);
            let in_iam = !matches!(step.change, ResourceChange::ServiceAccount(_));
            assert!(!(in_iam && step.change.action() == Action::Delete), "`{}` would be deleted", step.address);
        }
        for address in &plan.waiting {
            assert!(addresses.insert(address.clone()), "`{address}` is planned and waits");
        }
        all.steps.extend(plan.steps);
    }
    all
}

/// Runs all shards at the same time, in rounds, until no plan has steps.
fn rounds(kit: &mut Kit, count: u32, seed: u64, mut look: impl FnMut(&Live)) {
    // each round creates what another shard waits for: a provider, a policy, a role, a ServiceAccount; some must delete first
    for _ in 0..8 {
        let plan = at_once(kit, count);
        if plan.steps.is_empty() {
            return;
        }
        simulate::run(&mut kit.live, &plan, chooser(seed), &mut look);
    }
    assert_eq!(at_once(kit, count).steps, [], "eight rounds are enough");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 192,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn shards_at_once_never_widen_and_end_in_the_state_of_one_run(
        first in sketch(), second in sketch(), count in 1_u32..6, seed in any::<u64>(),
    ) {
        let mut kit = Kit::new();
        declare(&mut kit, &first);
        rounds(&mut kit, count, seed, |_| ());
        prop_assert_eq!(&kit.plan().steps, &[], "shards alone create new objects");

        declare(&mut kit, &second);
        let before = pairs(&kit.live);
        let mut alone = kit.clone();
        let plan = alone.plan();
        simulate::run(&mut alone.live, &plan, |_| 0, |_| ());
        let allowed: BTreeSet<_> = before.union(&pairs(&alone.live)).cloned().collect();
        let look = |live: &Live| {
            let wider: Vec<_> = pairs(live).difference(&allowed).cloned().collect();
            assert!(wider.is_empty(), "wider than before and after: {wider:?}");
        };
        rounds(&mut kit, count, seed, look);
        let plan = kit.plan();
        prop_assert_eq!(&plan.refused, &[]);
        simulate::run(&mut kit.live, &plan, chooser(seed), look);
        rounds(&mut kit, count, seed, look);
        prop_assert_eq!(&kit.plan().steps, &[]);
        prop_assert_eq!(pairs(&kit.live), pairs(&alone.live));
        prop_assert!(kit.live.accounts[&key("default")].providers.len() <= 2);
    }
}

/// Each pair of policies whose documents were not read is a cycle, because each may deny and allow.
#[test]
fn role_that_exchanges_two_unread_policies_for_two_others_is_denied_once_meanwhile() {
    let mut kit = Kit::new();
    for name in ["A", "B", "C", "D"] {
        kit.account().foreign_policies.insert(aws(name), Observed::Unknown("AccessDenied".into()));
    }
    kit.role("reports", |role| {
        role.bindings = vec![binding("east", "reports")];
        role.attach = [aws("A"), aws("B")].map(Attachment::Arn).into();
    });
    let plan = kit.plan();
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    kit.desired.roles.get_mut(&key("reports")).unwrap().attach = [aws("C"), aws("D")].map(Attachment::Arn).into();
    let plan = kit.plan();
    assert_eq!(plan.refused, []);
    let calls: Vec<String> = plan.steps.iter().flat_map(|step| &step.parts).map(|part| part.call.operation()).collect();
    assert_eq!((calls[0].as_str(), calls[5].as_str()), ("iam:PutRolePolicy", "iam:DeleteRolePolicy"), "{calls:?}");
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    assert_eq!(kit.plan().steps, []);
}
