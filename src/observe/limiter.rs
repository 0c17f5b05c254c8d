//! How many calls may be under way at once in one account or cluster. The pace against throttling is kept by `world`, and
//! so is the bound on what is really sent; the first calls of an account and the pages in bulk do not pass here.

use tokio::sync::Semaphore;

/// A bound on calls that run side by side.
#[derive(Debug)]
pub(super) struct Limiter(Semaphore);

impl Limiter {
    pub(super) fn new(parallelism: usize) -> Self {
        Self(Semaphore::new(parallelism.max(1)))
    }

    /// Makes a call as soon as there is room for it.
    pub(super) async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        // never closed, so there is always a permit in the end
        let _permit = self.0.acquire().await;
        call.await
    }
}
