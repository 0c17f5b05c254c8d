//! Whose an object is at the last look: what somebody else has taken over or made anew since the plan is not written,
//! whichever of its fields is to be.
//!
//! The mark is read with each field, never once for a step: a step may take minutes where IAM is slow.

use super::look::{Look, Verdict};
use crate::ids::{Key, RoleName};
use crate::model::call::Call;
use crate::model::marks::OWNER;
use crate::model::resource::{Pairs, Role};
use crate::plan::Step;
use crate::plan::change::{Change, ResourceChange};

impl<A, K> Look<'_, A, K> {
    /// Whether a role with these tags still is the one that the plan speaks of. Calls of a role may stand in another
    /// object's step.
    pub(super) fn role_owner(&self, account: &Key, name: &RoleName, live: &Pairs) -> Verdict {
        let changes = || self.plan.steps.iter().filter_map(|step| Some((step, role_change(step, name)?)));
        let here = changes().find(|(step, _)| stands_in(step, account));
        // a role whose calls were all moved elsewhere has none that tells its account
        let moved = || changes().find(|(step, _)| step.parts.is_empty());
        here.or_else(moved).map_or(Verdict::Write, |(_, change)| owner(change, |role| &role.tags, live))
    }
}

/// Whether the mark is the one from before or after the change.
pub(super) fn owner<T>(change: &Change<T>, tags: impl Fn(&T) -> &Pairs, live: &Pairs) -> Verdict {
    let known = [change.before(), change.after()];
    if known.into_iter().flatten().any(|item| tags(item).get(OWNER) == live.get(OWNER)) {
        return Verdict::Write;
    }
    let now = live.get(OWNER).map_or_else(|| "nobody".to_owned(), |owner| format!("`{owner}`"));
    Verdict::stale(format!("it belongs to {now} now, which `tags.{OWNER}` says"))
}

fn role_change<'p>(step: &'p Step, name: &RoleName) -> Option<&'p Change<Role>> {
    let ResourceChange::Role(change) = &step.change else { return None };
    let role = change.after().or(change.before())?;
    (role.name == *name).then_some(&**change)
}

fn stands_in(step: &Step, account: &Key) -> bool {
    step.parts.iter().any(|part| matches!(&part.call, Call::Iam(key, _) if key == account))
}
