//! Waits for a value on a watch channel, for example for a signal or for the loss of the lock.

use tokio::sync::watch;

/// Waits until the value meets the condition; forever if the sender is dropped before.
pub(crate) async fn until<T>(receiver: &watch::Receiver<T>, condition: impl FnMut(&T) -> bool) {
    if receiver.clone().wait_for(condition).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until there is a value, and returns it.
pub(crate) async fn until_set<T: Clone>(receiver: &watch::Receiver<Option<T>>) -> T {
    loop {
        until(receiver, Option::is_some).await;
        if let Some(value) = receiver.borrow().clone() {
            return value;
        }
    }
}
