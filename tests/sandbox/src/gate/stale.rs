//! Stale reads: after a write, a number of reads see the state from before the write.
//!
//! IAM is eventually consistent
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>).
//! Writes always act on the current state.

/// An old state, and how many more reads see it.
#[derive(Debug)]
pub(crate) struct Stale<S> {
    shown: Option<(S, u32)>,
}

impl<S> Default for Stale<S> {
    fn default() -> Self {
        Self { shown: None }
    }
}

impl<S: Clone> Stale<S> {
    /// Makes reads see the current state.
    pub(crate) fn clear(&mut self) {
        self.shown = None;
    }

    /// Makes the next `reads` reads see the state `before`.
    pub(crate) fn wrote(&mut self, before: S, reads: u32) {
        self.shown = Some((before, reads));
    }

    /// The old state, if this read is stale. Counts the read.
    pub(crate) fn read(&mut self) -> Option<&mut S> {
        if self.shown.as_ref().is_some_and(|(_, left)| *left == 0) {
            self.shown = None;
        }
        let (state, left) = self.shown.as_mut()?;
        *left -= 1;
        Some(state)
    }

    /// Executes a write. If it succeeds, the next `reads` reads see the state from before it.
    pub(crate) fn write<T, E>(
        &mut self,
        reads: u32,
        now: &mut S,
        work: impl FnOnce(&mut S) -> Result<T, E>,
    ) -> Result<T, E> {
        if reads == 0 {
            return work(now);
        }
        let before = now.clone();
        let result = work(now);
        if result.is_ok() {
            self.wrote(before, reads);
        }
        result
    }
}
