use super::interrupt::interrupted;
use super::{planned, rechecked, run};
use crate::apply::report::Outcome;
use crate::model::live::{Live, Observed};
use crate::model::marks::{ADDRESS, OWNER};
use crate::observe::fake::World;
use crate::plan::tests::kit::{Kit, allow, binding, key};
use crate::plan::tests::laws::{Sketch, declare, sketch};
use crate::plan::tests::simulate;
use proptest::prelude::*;

/// A role, policy and ServiceAccount of someone else that look like ours.
fn with_strangers(mut kit: Kit) -> Live {
    kit.role("stranger", |role| {
        role.bindings = vec![binding("east", "stranger")];
        role.inline.insert("in".parse().unwrap(), allow("s3:Stranger"));
        role.attach = [crate::plan::tests::kit::declared("strange")].into();
    });
    kit.policy("strange", allow("s3:Strange"));
    let plan = kit.plan();
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    let account = kit.account();
    account.roles.retain(|_, role| role.present().is_some());
    for role in account.roles.values_mut() {
        if let Observed::Present(role) = role {
            role.role.tags.remove(OWNER);
            role.role.tags.remove(ADDRESS);
        }
    }
    for policy in account.policies.values_mut() {
        if let Observed::Present(policy) = policy {
            policy.policy.tags.insert(OWNER.into(), "other".into());
        }
    }
    for item in kit.cluster("east").service_accounts.values_mut() {
        if let Observed::Present(item) = item {
            item.labels.insert(OWNER.into(), "other".into());
        }
    }
    kit.live
}

/// The objects that are not ours.
fn strangers(live: &Live) -> impl PartialEq + std::fmt::Debug {
    let account = &live.accounts[&key("default")];
    let role = account.roles.get("stranger").cloned();
    let policies: Vec<_> = account.policies.iter().filter(|(arn, _)| arn.name() == "strange").collect();
    let items = live.clusters[&key("east")].service_accounts.iter();
    let items: Vec<_> = items.filter(|((_, name), _)| name.as_str() == "stranger").collect();
    format!("{role:?} {policies:?} {items:?}")
}

async fn converges(first: &Sketch, second: &Sketch, at: usize) {
    let mut kit = Kit::new();
    let world = World::new(with_strangers(kit.clone()));
    let theirs = format!("{:?}", strangers(&world.live()));
    for (sketch, broken) in [(first, false), (second, true)] {
        declare(&mut kit, sketch);
        let plan = planned(&kit, &world).await;
        assert_eq!(plan.refused, []);
        assert_eq!(rechecked(&world, &plan).await, []);
        if broken {
            interrupted(&world, &plan, at, 3).await;
            let plan = planned(&kit, &world).await;
            assert_eq!(plan.refused, []);
        }
        let plan = planned(&kit, &world).await;
        let report = run(&world, &plan).await;
        let bad: Vec<_> = report.outcomes.iter().filter(|step| step.outcome != Outcome::Applied).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        let again = planned(&kit, &world).await;
        assert_eq!((again.steps, again.refused, again.unknown), (vec![], vec![], vec![]));
        assert_eq!(format!("{:?}", strangers(&world.live())), theirs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn run_after_an_interrupted_run_reaches_the_declared_state(first in sketch(), second in sketch(), at in 0_usize..30) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(converges(&first, &second, at));
    }
}
