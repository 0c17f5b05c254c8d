//! Waits for what is told once and stays told: a signal, a lost lock.

use tokio::sync::watch;

/// Comes back when there is a value. Where nobody is left who could give one, it never does.
pub(crate) async fn first<T: Clone>(receiver: &watch::Receiver<Option<T>>) -> T {
    let mut receiver = receiver.clone();
    loop {
        if let Some(value) = receiver.borrow_and_update().clone() {
            return value;
        }
        if receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
