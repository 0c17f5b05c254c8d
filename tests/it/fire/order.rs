//! Holds every request at the sandbox's gates, and lets one at a time through, in an order that a seed decides.
//!
//! With a clock that stands still, a sleep ends only if nothing else can continue. At that time every request that can
//! be under way waits here, and one of them is chosen.

use irsa_sandbox::aws;
use irsa_sandbox::gate::{Admission, Stage as Moment};
use irsa_sandbox::kubernetes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A held request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    /// The sender, from the user agent.
    pub(crate) actor: String,
    pub(crate) operation: String,
    pub(crate) object: String,
    pub(crate) write: bool,
    /// Whether the server has carried out the request, and only its answer is held.
    pub(crate) done: bool,
    /// The HTTP status of the answer.
    pub(crate) outcome: Option<u16>,
    number: u64,
}

#[derive(Default)]
struct State {
    waiting: Vec<(Step, oneshot::Sender<()>)>,
    past: Vec<Step>,
}

/// All held requests.
#[derive(Default)]
pub(crate) struct Order {
    state: Mutex<State>,
    arrived: Notify,
}

impl Order {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn. Never injects a fault.
    async fn let_on<F>(&self, step: Step) -> Option<F> {
        self.wait(step).await;
        None
    }

    async fn wait(&self, step: Step) {
        let (sender, receiver) = oneshot::channel();
        self.state().waiting.push((step, sender));
        self.arrived.notify_one();
        // once the order has ended, requests pass
        let _ = receiver.await;
    }

    /// Lets one request after the other through. `chosen` picks the next one; it is called when nothing else can
    /// continue.
    pub(crate) async fn run(&self, mut chosen: impl FnMut(&[Step], &[Step]) -> usize) {
        loop {
            if self.state().waiting.is_empty() {
                self.arrived.notified().await;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            let mut state = self.state();
            let State { waiting, past } = &mut *state;
            if waiting.is_empty() {
                continue;
            }
            waiting.sort_by(|(one, _), (other, _)| one.cmp(other));
            let steps: Vec<Step> = waiting.iter().map(|(step, _)| step.clone()).collect();
            let index = chosen(&steps, past) % waiting.len();
            let (step, sender) = waiting.swap_remove(index);
            past.push(step);
            // the sender may have given up
            let _ = sender.send(());
        }
    }

    /// The requests that were let through so far, in order.
    pub(crate) fn past(&self) -> Vec<Step> {
        self.state().past.clone()
    }
}

fn actor(user_agent: &str) -> String {
    let (_, rest) = user_agent.split_once("app/").unwrap_or_default();
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}

/// An `Order` that can be installed in the AWS gate and in the Kubernetes gate.
pub(crate) struct Admitted(pub(crate) Arc<Order>);

impl Admission<aws::Call> for Admitted {
    fn decide<'a>(&'a self, moment: Moment, call: &'a aws::Call, outcome: Option<u16>) -> aws::Decision<'a> {
        let step = Step {
            actor: actor(&call.user_agent),
            operation: call.action.clone(),
            object: format!("{}/{}", call.account, call.object),
            write: call.is_write(),
            done: moment == Moment::After,
            outcome,
            number: call.number,
        };
        Box::pin(self.0.let_on(step))
    }
}

impl Admission<kubernetes::Call> for Admitted {
    fn decide<'a>(
        &'a self,
        moment: Moment,
        call: &'a kubernetes::Call,
        outcome: Option<u16>,
    ) -> kubernetes::Decision<'a> {
        let step = Step {
            actor: actor(&call.user_agent),
            operation: format!("{} {}", call.verb, call.resource),
            object: format!("{}/{}", call.namespace, call.name),
            write: call.is_write(),
            done: moment == Moment::After,
            outcome,
            number: call.number,
        };
        Box::pin(self.0.let_on(step))
    }
}
