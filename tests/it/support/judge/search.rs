//! Searches for an order of a run's writes in which nobody dips and no access is widened.

use super::{ACCOUNTS, Law, Moment, Roles, all_roles, grants};
use irsa_sandbox::{Sandbox, Snapshot};
use std::collections::BTreeSet;

/// The most states to look at.
const MOST: usize = 3_000;

/// Such an order, found by trying the writes on the sandbox itself. Leaves the sandbox in the state `start`.
pub(crate) fn smooth_order(
    sandbox: &Sandbox,
    start: &Snapshot,
    moments: &[Moment],
    after: &Roles,
) -> Option<Vec<String>> {
    if moments.len() > 20 {
        return None;
    }
    sandbox.restore(start);
    let before = all_roles(sandbox, &ACCOUNTS);
    let law = Law::of(vec![before.clone(), after.clone()]);
    let mut search = Search { sandbox, moments, law, ends: [&before, after], seen: BTreeSet::new() };
    let mut order = Vec::new();
    let found = search.go_on(0, start, &mut order);
    sandbox.restore(start);
    found.then(|| order.into_iter().map(|index: usize| moments[index].what()).collect())
}

struct Search<'a> {
    sandbox: &'a Sandbox,
    moments: &'a [Moment],
    law: Law,
    ends: [&'a Roles; 2],
    /// The sets of writes that were tried, as bits.
    seen: BTreeSet<u32>,
}

impl Search<'_> {
    /// Continues from the state in which the writes `done` are done.
    fn go_on(&mut self, done: u32, state: &Snapshot, order: &mut Vec<usize>) -> bool {
        if order.len() == self.moments.len() {
            return true;
        }
        for (index, moment) in self.moments.iter().enumerate() {
            let next = done | (1 << index);
            if next == done || self.seen.len() >= MOST || !self.seen.insert(next) {
                continue;
            }
            self.sandbox.restore(state);
            let fields: Vec<(&str, &str)> =
                moment.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            if self.sandbox.iam_call(&moment.account, &moment.action, &fields).is_err() || !self.is_smooth() {
                continue;
            }
            order.push(index);
            if self.go_on(next, &self.sandbox.snapshot(), order) {
                return true;
            }
            order.pop();
        }
        false
    }

    fn is_smooth(&self) -> bool {
        let now = all_roles(self.sandbox, &ACCOUNTS);
        let [before, after] = self.ends;
        let dips = before.iter().any(|(name, before)| {
            after.get(name).is_some_and(|after| !grants::dips(name, [before, after], now.get(name)).is_empty())
        });
        !dips && self.law.broken(&now).is_empty()
    }
}
