//! Whose an object is at the last look: what somebody else has taken over or made anew since the plan is not written,
//! whichever of its fields is to be.
//!
//! The mark is read with each field, never once for a step: a step may take minutes where IAM is slow.

use super::recheck::Finding;
use crate::model::marks::OWNER;
use crate::model::resource::StringMap;
use crate::plan::change::Change;

/// Whether the mark is the one from before or after the change.
pub(super) fn owner<T>(change: &Change<T>, tags: impl Fn(&T) -> &StringMap, live: &StringMap) -> Finding {
    let known = [change.before(), change.after()];
    if known.into_iter().flatten().any(|item| tags(item).get(OWNER) == live.get(OWNER)) {
        return Finding::Write;
    }
    let now = live.get(OWNER).map_or_else(|| "nobody".to_owned(), |owner| format!("`{owner}`"));
    Finding::stale(format!("it belongs to {now} now, which `tags.{OWNER}` says"))
}
