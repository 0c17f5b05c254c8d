//! Calls that are sent before the identity of the credentials is known.

use super::accounts::crowd;
use super::read_live;
use crate::event::Silence;
use crate::model::live::Live;
use crate::observe::fake::World;
use crate::observe::{EarlyCalls, ReadOptions, identify, observe};
use crate::plan::tests::kit::{Kit, key};
use crate::world::CallErrorKind;
use std::time::Duration;

/// Reads live state, with early calls until the identities are known and `pause` has ended. Returns the log up to then.
async fn read_early(kit: &Kit, world: &World, pause: impl Future<Output = ()>) -> (Vec<String>, Live) {
    let mut early = EarlyCalls::of(&kit.desired.accounts, &kit.desired.clusters, kit.desired.roles.len(), world);
    let identities = early
        .during(async {
            let identities = identify(&kit.desired.accounts, world).await;
            pause.await;
            identities
        })
        .await;
    let begun = world.take_log();
    let options = ReadOptions { parallelism: 10, destroy: false, shard: None };
    (begun, observe(&kit.desired, &identities, early, world, world, &options, &Silence).await)
}

#[tokio::test(start_paused = true)]
async fn early_calls_are_sent_once_and_do_not_change_the_result() {
    for (ours, first) in [(5, "iam:ListPolicies default"), (40, "iam:GetAccountAuthorizationDetails default")] {
        let kit = crowd(ours, 50);
        let world = || World::new(kit.live.clone()).with_pages_of(Duration::from_millis(400));
        let plain = world();
        let wanted = read_live(&kit, &plain).await;
        let mut asked = plain.take_log();
        asked.sort();
        // none, some and all of them are answered when the pause ends
        for milliseconds in [0, 200, 1_000] {
            let world = world();
            let pause = tokio::time::sleep(Duration::from_millis(milliseconds));
            let (begun, live) = read_early(&kit, &world, pause).await;
            for call in ["sts:GetCallerIdentity default", "iam:ListRoles default", "eks:DescribeCluster east", first] {
                assert!(begun.iter().any(|line| line == call), "{call}: {begun:?}");
            }
            assert_eq!(live, wanted, "after {milliseconds} ms");
            let mut all = [begun, world.take_log()].concat();
            all.sort();
            assert_eq!(all, asked, "after {milliseconds} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn time_to_find_credentials_does_not_count_as_page_time() {
    for (ours, total, pages) in [(60, 60, 1), (200, 5_000, 5)] {
        let kit = crowd(ours, total);
        let world = World::new(kit.live.clone())
            .with_pages_of(Duration::from_millis(400))
            .with_sign_in_of(Duration::from_secs(20));
        let (begun, _) = read_early(&kit, &world, async {}).await;
        let log = [begun, world.take_log()].concat();
        let count = |operation: &str| log.iter().filter(|line| line.starts_with(operation)).count();
        assert_eq!((count("iam:GetAccountAuthorizationDetails"), count("iam:GetWholeRole")), (pages, 0), "{log:?}");
    }
}

#[tokio::test]
async fn account_with_a_declared_id_has_no_early_calls() {
    let mut kit = crowd(40, 50);
    let account = kit.desired.accounts.get_mut(&key("default")).unwrap();
    account.declared_id = Some(account.id.clone());
    let world = World::new(kit.live.clone());
    let pause = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    let (begun, live) = read_early(&kit, &world, pause).await;
    assert_eq!(begun, ["sts:GetCallerIdentity default"]);
    assert_eq!(live.accounts[&key("default")].roles.len(), 40);
}

#[tokio::test]
async fn early_calls_are_dropped_if_the_identity_is_unknown() {
    let kit = crowd(40, 50);
    let world = World::new(kit.live.clone());
    world.fail("sts:GetCallerIdentity", CallErrorKind::Credentials);
    let (begun, live) = read_early(&kit, &world, async {}).await;
    assert!(begun.len() > 1, "{begun:?}");
    assert_eq!(world.take_log(), [""; 0], "no more calls");
    assert_eq!(live, read_live(&kit, &world).await, "as without early calls");
}
