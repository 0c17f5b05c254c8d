//! Which way is taken to read, and that what could not be read is never taken for absent.

mod accounts;
mod clusters;
mod early;

use super::fake::World;
use super::{Early, ReadOptions, identify, observe};
use crate::event::Silence;
use crate::model::live::Live;
use crate::plan::tests::kit::{Kit, allow, aws, binding, declared, key};
use crate::plan::tests::simulate;

/// One look at the world.
pub(super) async fn look(kit: &Kit, world: &World) -> Live {
    let looks = ReadOptions { destroy: kit.options.destroy, shard: kit.options.shard };
    let identities = identify(&kit.desired.accounts, world).await;
    observe(&kit.desired, &identities, Early::default(), world, world, &looks, &Silence).await
}

/// A role `keep` and a role `reports` with an inline, an attached and a declared policy, applied.
fn applied() -> Kit {
    let mut kit = Kit::new();
    kit.role("keep", |role| role.bindings = vec![binding("east", "keep"), binding("west", "keep")]);
    kit.role("reports", |role| {
        role.bindings = vec![binding("east", "worker")];
        role.attach = [crate::model::desired::Attachment::Arn(aws("ReadOnly")), declared("bucket")].into();
        role.inline.insert("queue".parse().unwrap(), allow("sqs:SendMessage"));
    });
    kit.policy("bucket", allow("s3:GetObject"));
    apply(&mut kit);
    kit
}

fn apply(kit: &mut Kit) {
    let plan = kit.plan();
    assert_eq!(plan.refused, []);
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    kit.account().roles.retain(|_, role| role.present().is_some());
}

#[tokio::test]
async fn what_is_there_is_seen_as_it_is() {
    let mut kit = applied();
    let world = World::new(kit.live.clone());
    let live = look(&kit, &world).await;
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    assert_eq!((plan.steps, plan.refused, plan.unknown, plan.unchanged), (vec![], vec![], vec![], 8));
    // and what is to go, with all that may speak against it
    kit.options.destroy = true;
    kit.options.force = true;
    let live = look(&kit, &world).await;
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    assert_eq!((plan.summary().delete, plan.refused), (8, vec![]));
    assert_eq!(look(&kit, &world).await, live, "the same world gives the same look");
    assert!(live.accounts[&key("default")].roles.contains_key("reports"));
}

#[tokio::test]
async fn reading_is_told_as_it_goes() {
    use crate::event::{Event, Listen};
    use std::sync::Mutex;
    #[derive(Default)]
    struct Ear(Mutex<Vec<Event>>);
    impl Listen for Ear {
        fn on(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }
    let kit = applied();
    let world = World::new(kit.live.clone());
    let identities = identify(&kit.desired.accounts, &world).await;
    let ear = Ear::default();
    let looks = ReadOptions { destroy: false, shard: None };
    observe(&kit.desired, &identities, Early::default(), &world, &world, &looks, &ear).await;
    let events = ear.0.into_inner().unwrap();
    assert_eq!(events[0], Event::ReadStarted { places: 3 });
    assert_eq!(events[4], Event::ReadFinished);
    for (place, objects) in [("account/default", 5), ("cluster/east", 2), ("cluster/west", 1)] {
        assert!(events.contains(&Event::PlaceRead { place: place.into(), objects }), "{place}: {events:?}");
    }
}
