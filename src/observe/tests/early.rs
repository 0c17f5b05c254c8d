//! What is asked before it is known who the credentials are.

use super::accounts::crowd;
use super::look;
use crate::event::Silence;
use crate::model::live::Live;
use crate::observe::fake::World;
use crate::observe::{Early, ReadOptions, identify, observe};
use crate::plan::tests::kit::{Kit, key};
use crate::world::CallErrorKind;
use std::time::Duration;

/// One look at the world that is begun while it is asked who the credentials are, which ends so much later.
async fn early_look(kit: &Kit, world: &World, pause: impl Future<Output = ()>) -> (Vec<String>, Live) {
    let mut early = Early::of(&kit.desired.accounts, &kit.desired.clusters, kit.desired.roles.len(), world);
    let identities = early
        .during(async {
            let identities = identify(&kit.desired.accounts, world).await;
            pause.await;
            identities
        })
        .await;
    let begun = world.take_log();
    let looks = ReadOptions { destroy: false, shard: None };
    (begun, observe(&kit.desired, &identities, early, world, world, &looks, &Silence).await)
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_early_is_asked_once_and_shows_the_same() {
    for (ours, first) in [(5, "iam:ListPolicies default"), (40, "iam:GetAccountAuthorizationDetails default")] {
        let kit = crowd(ours, 50);
        let world = || World::new(kit.live.clone()).with_pages_of(Duration::from_millis(400));
        let plain = world();
        let wanted = look(&kit, &plain).await;
        let mut asked = plain.take_log();
        asked.sort();
        // all, some and none of it is answered by then
        for milliseconds in [0, 200, 1_000] {
            let world = world();
            let pause = tokio::time::sleep(Duration::from_millis(milliseconds));
            let (begun, live) = early_look(&kit, &world, pause).await;
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
async fn finding_the_credentials_is_no_part_of_a_pages_time() {
    for (ours, total, pages) in [(60, 60, 1), (200, 5_000, 5)] {
        let kit = crowd(ours, total);
        let world = World::new(kit.live.clone())
            .with_pages_of(Duration::from_millis(400))
            .with_sign_in_of(Duration::from_secs(20));
        let (begun, _) = early_look(&kit, &world, async {}).await;
        let log = [begun, world.take_log()].concat();
        let count = |operation: &str| log.iter().filter(|line| line.starts_with(operation)).count();
        assert_eq!((count("iam:GetAccountAuthorizationDetails"), count("iam:GetWholeRole")), (pages, 0), "{log:?}");
    }
}

#[tokio::test]
async fn of_an_account_with_an_id_nothing_is_asked_early() {
    let mut kit = crowd(40, 50);
    let account = kit.desired.accounts.get_mut(&key("default")).unwrap();
    account.declared_id = Some(account.id.clone());
    let world = World::new(kit.live.clone());
    let pause = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    let (begun, live) = early_look(&kit, &world, pause).await;
    assert_eq!(begun, ["sts:GetCallerIdentity default"]);
    assert_eq!(live.accounts[&key("default")].roles.len(), 40);
}

#[tokio::test]
async fn what_was_asked_early_is_let_go_where_nobody_says_who_we_are() {
    let kit = crowd(40, 50);
    let world = World::new(kit.live.clone());
    world.fail("sts:GetCallerIdentity", CallErrorKind::Credentials);
    let (begun, live) = early_look(&kit, &world, async {}).await;
    assert!(begun.len() > 1, "{begun:?}");
    assert_eq!(world.take_log(), [""; 0], "nothing more is asked");
    assert_eq!(live, look(&kit, &world).await, "as if nothing else had been asked");
}
