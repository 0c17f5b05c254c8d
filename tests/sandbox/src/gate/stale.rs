//! What reads see for a while after a write: the state as it was before.
//!
//! IAM is eventually consistent
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>).
//! Writes always see the state as it is.

/// A state that was, for so many reads.
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
    /// From now on reads see the state as it is.
    pub(crate) fn clear(&mut self) {
        self.shown = None;
    }

    /// The next so many reads are to see this.
    pub(crate) fn wrote(&mut self, before: S, reads: u32) {
        self.shown = Some((before, reads));
    }

    /// What a read is to see, if it is not the state as it is; counts as one read.
    pub(crate) fn read(&mut self) -> Option<&mut S> {
        if self.shown.as_ref().is_some_and(|(_, left)| *left == 0) {
            self.shown = None;
        }
        let (state, left) = self.shown.as_mut()?;
        *left -= 1;
        Some(state)
    }

    /// A write: what was before it is kept for so many reads, unless it is refused.
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
