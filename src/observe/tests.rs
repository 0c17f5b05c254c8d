//! Which calls irsa chooses to read live state, and that objects it cannot read never count as absent.

mod accounts;
mod clusters;
mod early;
pub(crate) mod fake;

use super::{EarlyCalls, ReadOptions, identify, observe};
use crate::event::Silence;
use crate::model::live::Live;
use crate::plan::tests::kit::{Kit, allow, aws, binding, declared, key};
use crate::plan::tests::simulate;
use fake::World;

/// Reads live state once.
pub(super) async fn read_live(kit: &Kit, world: &World) -> Live {
    let options = ReadOptions { parallelism: 10, destroy: kit.options.destroy, shard: kit.options.shard };
    let identities = identify(&kit.desired.accounts, world).await;
    observe(&kit.desired, &identities, EarlyCalls::default(), world, world, &options, &Silence).await
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
async fn applied_configuration_has_an_empty_plan_and_a_full_destroy_plan() {
    let mut kit = applied();
    let world = World::new(kit.live.clone());
    let live = read_live(&kit, &world).await;
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    assert_eq!((plan.steps, plan.refused, plan.unknown, plan.unchanged.len()), (vec![], vec![], vec![], 8));
    // and with all reads that a destroy needs
    kit.options.destroy = true;
    kit.options.force = true;
    let live = read_live(&kit, &world).await;
    let plan = crate::plan::plan(&kit.desired, &live, &kit.options, Vec::new());
    assert_eq!((plan.summary().delete, plan.refused), (8, vec![]));
    assert_eq!(read_live(&kit, &world).await, live, "the same world reads the same");
    assert!(live.accounts[&key("default")].roles.contains_key("reports"));
}

#[tokio::test]
async fn events_report_each_account_and_cluster() {
    use crate::event::{Event, Listen};
    use std::sync::Mutex;
    #[derive(Default)]
    struct Recorder(Mutex<Vec<Event>>);
    impl Listen for Recorder {
        fn on(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }
    let kit = applied();
    let world = World::new(kit.live.clone());
    let identities = identify(&kit.desired.accounts, &world).await;
    let recorder = Recorder::default();
    let options = ReadOptions { parallelism: 1, destroy: false, shard: None };
    observe(&kit.desired, &identities, EarlyCalls::default(), &world, &world, &options, &recorder).await;
    let events = recorder.0.into_inner().unwrap();
    assert_eq!(events[0], Event::ReadStarted { places: 3 });
    assert_eq!(events[4], Event::ReadFinished);
    for (place, objects) in [("account/default", 5), ("cluster/east", 2), ("cluster/west", 1)] {
        assert!(events.contains(&Event::PlaceRead { place: place.into(), objects }), "{place}: {events:?}");
    }
}
